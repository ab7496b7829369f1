//! Transactions that real servers logged and sent to each other: they decode to what an independent
//! decoder found, encode back to the same bytes, and cut anywhere they do as the format says.

mod recorded;

use bytes::Bytes;
use recorded::{Json, hex_i64, json_i32, unhex};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use zk_proto::txn::{Creation, Txn, TxnDigest, TxnHeader, TxnRecord};
use zk_proto::{Acl, DecodeError, ErrorCode, Perms, SessionId, Version, Xid, Zxid};

const LIMIT: usize = 2 * 0xf_ffff;
const HEADER_LEN: usize = 32;
const DIGEST_LEN: usize = 12;

fn decode(bytes: &[u8]) -> Result<TxnRecord, DecodeError> {
    TxnRecord::decode(&Bytes::copy_from_slice(bytes), LIMIT)
}

fn encode(record: &TxnRecord) -> Vec<u8> {
    let mut out = Vec::new();
    record.encode(&mut out);
    out
}

fn text(value: &Json) -> String {
    value.as_str().expect("text").to_owned()
}

fn data(value: &Json) -> Option<Bytes> {
    (!value.is_null()).then(|| unhex(value).into())
}

fn acl(value: &Json) -> Vec<Acl> {
    let entry =
        |entry: &Json| Acl::new(Perms(json_i32(&entry[0])), text(&entry[1]), text(&entry[2]));
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(entry)
        .collect()
}

/// The transaction an independent decoder found.
fn expected(name: &str, fields: &Json) -> Txn {
    let path = || text(&fields["path"]);
    let version = || Version(json_i32(&fields["version"]));
    let ephemeral = || fields["ephemeral"].as_bool().expect("a bool");
    let create = |creation| Txn::Create {
        creation,
        path: path(),
        data: data(&fields["data"]),
        acl: acl(&fields["acl"]),
        parent_cversion: json_i32(&fields["pcv"]),
    };
    match name {
        "createSession" => Txn::CreateSession {
            timeout: json_i32(&fields["timeout"]),
        },
        "closeSession" => Txn::CloseSession {
            paths: fields["paths"]
                .as_array()
                .map(|paths| paths.iter().map(text).collect()),
        },
        "error" => Txn::Error(ErrorCode::from_wire(json_i32(&fields["err"])).expect("a refusal")),
        "create" => create(Creation::Create {
            ephemeral: ephemeral(),
        }),
        "create2" => create(Creation::Create2 {
            ephemeral: ephemeral(),
        }),
        "createContainer" => create(Creation::Container),
        "createTTL" => create(Creation::Ttl(fields["ttl"].as_i64().expect("a number"))),
        "delete" => Txn::Delete { path: path() },
        "setData" => Txn::SetData {
            path: path(),
            data: data(&fields["data"]),
            version: version(),
        },
        "reconfig" => Txn::Reconfig {
            path: path(),
            data: data(&fields["data"]),
            version: version(),
        },
        "setACL" => Txn::SetAcl {
            path: path(),
            acl: acl(&fields["acl"]),
            version: version(),
        },
        "check" => Txn::Check {
            path: path(),
            version: version(),
        },
        "multi" => Txn::Multi(
            fields["txns"]
                .as_array()
                .expect("parts")
                .iter()
                .map(|part| expected(part[0].as_str().expect("a name"), &part[1]))
                .collect(),
        ),
        other => panic!("the index speaks of {other}"),
    }
}

fn expected_record(found: &Json) -> TxnRecord {
    let header = &found["hdr"];
    let digest = &found["digest"];
    TxnRecord {
        header: TxnHeader {
            session: SessionId::from_wire(hex_i64(&header["clientId"])),
            cxid: Xid(json_i32(&header["cxid"])),
            zxid: Zxid::from_wire(hex_i64(&header["zxid"])),
            time: header["time"].as_i64().expect("a number"),
        },
        txn: expected(header["name"].as_str().expect("a name"), &found["txn"]),
        digest: digest["version"].as_i64().map(|_| TxnDigest {
            version: json_i32(&digest["version"]),
            digest: digest["treeDigest"].as_u64().expect("a number"),
        }),
    }
}

/// What is left of a record when its bytes end early.
fn check_prefixes(bytes: &[u8], record: &TxnRecord) {
    let without_digest = bytes.len() - record.digest.map_or(0, |_| DIGEST_LEN);
    for len in 0..bytes.len() {
        let cut = decode(&bytes[..len]);
        if len >= without_digest {
            let digest = None;
            assert_eq!(
                cut,
                Ok(TxnRecord {
                    digest,
                    ..record.clone()
                }),
                "{len} bytes"
            );
        } else if len < HEADER_LEN {
            assert!(cut.is_err(), "{len} bytes");
        } else {
            check_cut_txn(len, without_digest, cut, &record.txn);
        }
    }
}

/// Two transactions have an old, shorter form; every other one is refused.
fn check_cut_txn(
    len: usize,
    without_digest: usize,
    cut: Result<TxnRecord, DecodeError>,
    whole: &Txn,
) {
    if let Txn::CloseSession { .. } = whole {
        let cut = cut.expect("a session closes without a list");
        assert_eq!(cut.txn, Txn::CloseSession { paths: None }, "{len} bytes");
        // Exactly as many bytes as a digest takes are taken for one; other pieces are not.
        assert_eq!(
            cut.digest.is_some(),
            len == HEADER_LEN + DIGEST_LEN,
            "{len} bytes"
        );
        return;
    }
    let plain = matches!(
        whole,
        Txn::Create {
            creation: Creation::Create { .. },
            ..
        }
    );
    if plain && len + 4 >= without_digest {
        let mut old = whole.clone();
        if let Txn::Create {
            parent_cversion, ..
        } = &mut old
        {
            *parent_cversion = -1;
        }
        assert_eq!(cut.map(|record| record.txn), Ok(old), "{len} bytes");
    } else {
        assert!(cut.is_err(), "{len} bytes of {whole:?}");
    }
}

#[test]
fn recorded_transactions_say_what_they_said_between_servers() {
    let mut kinds = BTreeSet::new();
    for run in [
        "3.9.5-static",
        "3.8.0-static",
        "3.8.0-reconfig",
        "3.8.0-observermaster-localsession",
        "3.8.0-sasl",
        "3.8.0-hierarchical",
    ] {
        let txns = recorded::txns(run);
        assert!(txns.len() >= 3, "{run} has transactions");
        for found in txns {
            let bytes = unhex(&found["data"]);
            let record = decode(&bytes).expect("a transaction");
            assert_eq!(record, expected_record(&found), "{run}");
            assert_eq!(encode(&record), bytes, "{run}: {record:?}");
            check_prefixes(&bytes, &record);
            kinds.insert(found["hdr"]["name"].as_str().expect("a name").to_owned());
        }
    }
    assert_eq!(
        kinds.iter().map(String::as_str).collect::<Vec<_>>(),
        [
            "closeSession",
            "create",
            "create2",
            "createContainer",
            "createSession",
            "createTTL",
            "delete",
            "error",
            "multi",
            "reconfig",
            "setACL",
            "setData"
        ]
    );
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (head, tail) = bytes.split_first_chunk().expect("a whole entry");
    *bytes = tail;
    *head
}

/// Adler-32, as its definition has it.
fn adler32(bytes: &[u8]) -> i64 {
    let (mut a, mut b) = (1_i64, 0);
    for &byte in bytes {
        a = (a + i64::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

/// The payloads of a log file: behind a header of 16 bytes, checksum, length, payload and end mark.
fn entries(log: &[u8]) -> Vec<&[u8]> {
    let mut left = log
        .strip_prefix(b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0")
        .expect("a log");
    let mut entries = Vec::new();
    while !left.is_empty() {
        let checksum = i64::from_be_bytes(take(&mut left));
        let len = usize::try_from(i32::from_be_bytes(take(&mut left))).expect("a length");
        let (payload, behind) = left.split_at(len);
        assert_eq!(checksum, adler32(payload));
        assert_eq!(behind.first(), Some(&b'B'));
        entries.push(payload);
        left = &behind[1..];
    }
    entries
}

#[test]
fn logged_transactions_read_and_write_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/txn");
    let (mut logs, mut records) = (0, 0);
    for file in fs::read_dir(folder).expect("the folder of logs") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            continue;
        }
        let log = fs::read(&path).expect("a readable log");
        let mut last = Zxid::ZERO;
        for bytes in entries(&log) {
            let record = decode(bytes).expect("a transaction");
            assert_eq!(encode(&record), bytes, "{}: {record:?}", path.display());
            assert!(record.header.zxid > last, "{}", path.display());
            let refused = matches!(record.txn, Txn::Error(_));
            assert_eq!(
                record.digest.is_none(),
                refused,
                "only refusals have no digest"
            );
            check_prefixes(bytes, &record);
            last = record.header.zxid;
            records += 1;
        }
        logs += 1;
    }
    assert_eq!((logs, records), (10, 139), "every log was read to its end");
}

fn close_session(rest: &[u8]) -> Result<(Txn, Option<u64>), DecodeError> {
    let mut bytes = vec![0; HEADER_LEN - 4];
    bytes.extend((-11_i32).to_be_bytes());
    bytes.extend(rest);
    decode(&bytes).map(|record| (record.txn, record.digest.map(|digest| digest.digest)))
}

#[test]
fn pieces_of_a_list_are_not_a_digest() {
    let missing = Txn::CloseSession { paths: None };
    let digest = [&[0, 0, 0, 2][..], &[0, 0, 0, 3, 0xbb, 0xa2, 0x9f, 0x2a]].concat();
    assert_eq!(close_session(&[]), Ok((missing.clone(), None)));
    assert_eq!(
        close_session(&digest),
        Ok((missing.clone(), Some(0x3_bba2_9f2a)))
    );
    let list = b"\0\0\0\x02\0\0\0\x02/a\0\0\0\x02/b";
    let paths = Txn::CloseSession {
        paths: Some(vec!["/a".into(), "/b".into()]),
    };
    assert_eq!(close_session(list), Ok((paths.clone(), None)));
    let both = [&list[..], &digest].concat();
    assert_eq!(close_session(&both), Ok((paths, Some(0x3_bba2_9f2a))));
    assert_eq!(close_session(&list[..list.len() - 1]), Ok((missing, None)));
    // A list that is there but nonsense is no old form.
    let nonsense = [&[0, 0, 0, 1][..], &[0xff, 0xff, 0xff, 0xf0], &digest].concat();
    assert_eq!(close_session(&nonsense), Err(DecodeError::Length(-16)));
}

#[test]
fn a_multi_has_only_the_parts_that_a_multi_can_ask_for() {
    let part = |op: i32, record: &[u8]| {
        let len = i32::try_from(record.len()).expect("a short record");
        let mut bytes = vec![0; HEADER_LEN - 4];
        bytes.extend(
            [14_i32, 1, op, len]
                .iter()
                .flat_map(|word| word.to_be_bytes()),
        );
        bytes.extend(record);
        decode(&bytes)
    };
    assert!(part(2, b"\0\0\0\x02/a").is_ok());
    assert!(part(20, b"\0\0\0\x02/a").is_ok());
    for (op, record) in [
        (7, &b"\0\0\0\x02/a\0\0\0\0\0\0\0\x01"[..]),
        (14, b"\0\0\0\0"),
        (16, b"\0\0\0\x02/a\0\0\0\0\0\0\0\x01"),
        (-10, b"\0\0\x4e\x20"),
        (-11, b"\0\0\0\0"),
    ] {
        assert!(part(op, record).is_err(), "part {op}");
    }
}
