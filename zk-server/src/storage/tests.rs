//! Recorded and made-up directories, opened as a server opens them: the tree, its digest, the refusals.

use super::*;
use crate::disk::files::RealFiles;
use crate::disk::store::{LogRecord, LogStore};
use crate::disk::testing::{DIRECTORIES, copy_recorded, testdata};
use std::collections::BTreeMap;
use std::path::Path;
use zk_proto::txn::{Creation, Txn, TxnDigest, TxnHeader};
use zk_proto::{Perms, Version, Xid};

fn open_dir(dir: &Path) -> Result<Opened, StorageError> {
    let mut config = Config::in_process(dir);
    config.misc.extended_types = true;
    let (door, _events) = tokio::sync::mpsc::unbounded_channel();
    open(Arc::new(RealFiles), &config, Arc::default(), door)
}

#[test]
fn every_recorded_directory_opens_with_its_digest() {
    for name in DIRECTORIES {
        let temp = tempfile::tempdir().unwrap();
        copy_recorded(name, &RealFiles, &temp.path().join("version-2"));
        let text = std::fs::read(testdata(name).join("expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let opened = open_dir(temp.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let tree = &opened.tree;
        assert_eq!(tree.digest(), expected["tree_digest"].as_u64(), "{name}");
        let last = format!("{:#x}", tree.last_zxid());
        assert_eq!(expected["last_zxid"], last, "{name}");
        let nodes = expected["nodes"].as_object().unwrap().len();
        assert_eq!(tree.walk().count(), nodes, "{name}");
        let sessions = expected["sessions"].as_object().unwrap().len();
        assert_eq!(tree.session_count(), sessions, "{name}");
    }
}

const OWNER: SessionId = SessionId::from_wire(0x1234);

/// Ten transactions that touch each other: what one makes, another changes or removes.
fn story() -> Vec<Txn> {
    let create = |path: &str, parent_cversion| Txn::Create {
        creation: Creation::Create { ephemeral: false },
        path: path.into(),
        data: Some(Bytes::from_static(b"first")),
        acl: vec![Acl::world(Perms::ALL)],
        parent_cversion,
    };
    let ephemeral = |path: &str, parent_cversion| Txn::Create {
        creation: Creation::Create2 { ephemeral: true },
        path: path.into(),
        data: None,
        acl: vec![Acl::world(Perms::READ)],
        parent_cversion,
    };
    let set = |path: &str, data: &'static [u8], version| Txn::SetData {
        path: path.into(),
        data: Some(Bytes::from_static(data)),
        version: Version(version),
    };
    vec![
        Txn::CreateSession { timeout: 30_000 },
        create("/a", 1),
        create("/a/b", 1),
        create("/c", 2),
        set("/a", b"second", 1),
        create("/a/d", 2),
        Txn::Multi(vec![
            Txn::Delete { path: "/c".into() },
            set("/a/b", b"in a multi", 1),
            ephemeral("/a/e", 3),
        ]),
        set("/a", b"third", 2),
        Txn::CloseSession {
            paths: Some(vec!["/a/e".into()]),
        },
        create("/f", 4),
    ]
}

/// The transactions with their digests, and the tree after each (the first is the empty one).
fn told() -> Vec<TxnRecord> {
    let mut tree = Tree::new(Rules::default());
    let mut records = Vec::new();
    for (at, txn) in (1..).zip(story()) {
        let zxid = Zxid::from_wire(at);
        let header = TxnHeader {
            session: OWNER,
            cxid: Xid(1),
            zxid,
            time: 999 + at,
        };
        let mut record = TxnRecord {
            header,
            txn,
            digest: None,
        };
        let applied = tree.apply(&record);
        assert!(applied.outcome.result.is_ok(), "{record:?}");
        record.digest = Some(TxnDigest {
            version: TxnDigest::VERSION,
            digest: tree.digest().unwrap(),
        });
        records.push(record);
    }
    records
}

fn tree_after(records: &[TxnRecord]) -> Tree {
    let mut tree = Tree::new(Rules::default());
    for record in records {
        assert!(tree.apply(record).digest_ok);
    }
    tree
}

/// A snapshot as Java writes it while transactions go on: `holds` is what its writer met, `named` the
/// transaction in its name, and `stamp` what the writer knew at its end.
fn write_fuzzy(dir: &Path, named: i64, holds: &mut Tree, stamp: (i64, u64)) {
    let mut body = Vec::new();
    holds.begin_image(&mut body).unwrap();
    while matches!(holds.step_image(100, &mut body), Ok(ImageProgress::More)) {}
    let file = SnapshotFile {
        dir: dir.to_owned(),
        zxid: Zxid::from_wire(named),
        compression: Compression::None,
    };
    let (sender, ended) = mpsc::channel();
    let tell = move |event| sender.send(event).unwrap();
    let writer = SnapshotWriter::start(Arc::new(RealFiles), file, tell).unwrap();
    assert!(writer.push_waiting(body.into()));
    let _ended = writer.finish(SnapshotTrailer {
        digest: Some((Zxid::from_wire(stamp.0), stamp.1)),
        last_zxid: None,
    });
    assert!(matches!(ended.recv(), Ok(SnapshotEvent::Written(_))));
}

fn write_log(dir: &Path, records: &[TxnRecord]) {
    let mut options = StoreOptions::new(dir.to_owned());
    options.preallocate = 0;
    let mut store = LogStore::new(Arc::new(RealFiles), options, Zxid::ZERO);
    let encode = |record: &TxnRecord| {
        let mut payload = Vec::new();
        record.encode(&mut payload);
        LogRecord {
            zxid: record.header.zxid,
            payload: payload.into(),
        }
    };
    let batch: Vec<_> = records.iter().map(encode).collect();
    store.write(&batch).unwrap();
    store.roll().unwrap();
}

fn open_fuzzy(
    holds: usize,
    stamp: (i64, u64),
    logged: &[TxnRecord],
) -> Result<(tempfile::TempDir, Opened), StorageError> {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("version-2");
    RealFiles.create_dir(&dir).unwrap();
    write_fuzzy(&dir, 3, &mut tree_after(&told()[..holds]), stamp);
    write_log(&dir, logged);
    Ok((temp, open_dir(dir.parent().unwrap())?))
}

#[test]
fn a_snapshot_written_while_transactions_went_on_is_repaired_by_the_log() {
    let records = told();
    let end = tree_after(&records);
    for stamp in 3..=9 {
        let digest = records[stamp - 1].digest.unwrap().digest;
        for holds in 3..=stamp {
            let stamp = (i64::try_from(stamp).unwrap(), digest);
            let (_temp, opened) = open_fuzzy(holds, stamp, &records)
                .unwrap_or_else(|error| panic!("holds {holds}, stamp {stamp:?}: {error}"));
            assert_eq!(opened.tree.digest(), end.digest(), "holds {holds}");
            assert_eq!(opened.tree.last_zxid(), end.last_zxid());
            assert_eq!(opened.tree.session_count(), 0);
            let stats = |tree: &Tree| -> BTreeMap<_, _> {
                tree.walk()
                    .map(|(path, node)| (path, node.stat()))
                    .collect()
            };
            assert_eq!(stats(&opened.tree), stats(&end), "holds {holds}");
        }
    }
}

#[test]
fn a_fuzzy_snapshot_is_held_to_its_digest_where_its_writer_knew_it() {
    let records = told();
    let right = records[7].digest.unwrap().digest;
    let refused = |stamp, logged: &[TxnRecord]| match open_fuzzy(5, stamp, logged) {
        Ok(_) => panic!("{stamp:?} is accepted"),
        Err(StorageError::Recovery(error)) => error,
        Err(other) => panic!("{other}"),
    };
    let error = refused((8, right + 1), &records);
    assert!(
        matches!(error, RecoveryError::DigestMismatch { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("snapshot.3"), "{error}");
    // Its writer had seen the eighth; a log without it has lost something.
    let error = refused((8, right), &records[..7]);
    assert!(
        matches!(error, RecoveryError::SnapshotAhead { .. }),
        "{error}"
    );
}

#[test]
fn a_transaction_with_another_digest_behind_the_stamp_is_refused() {
    let mut records = told();
    let stamp = records[4].digest.unwrap().digest;
    records[8].digest.as_mut().unwrap().digest += 1;
    let Err(StorageError::Recovery(error)) = open_fuzzy(4, (5, stamp), &records) else {
        panic!("it is accepted");
    };
    assert!(error.to_string().contains("log.1"), "{error}");
    assert!(
        matches!(&error, RecoveryError::DigestMismatch { zxid, .. } if zxid.to_wire() == 9),
        "{error}"
    );
}

#[test]
fn a_second_server_is_refused_before_it_reads_anything() {
    let temp = tempfile::tempdir().unwrap();
    let first = open_dir(temp.path()).unwrap();
    let Err(error) = open_dir(temp.path()) else {
        panic!("two servers have one directory");
    };
    assert!(matches!(error, StorageError::Locked(_)), "{error}");
    drop(first);
    open_dir(temp.path()).map(drop).unwrap();
}
