//! Real servers' logs and snapshots: after each transaction the digest is theirs, and at the end the
//! nodes are those a client read back.

use super::super::{CONFIG_PATH, Restore, Rules, Tree, Trust};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use std::path::PathBuf;
use zk_proto::jute::Reader;
use zk_proto::txn::TxnRecord;
use zk_proto::{Acl, SessionId, StoredStat, Zxid};

fn directory(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/disk")
        .join(name)
}

fn log(name: &str, file: &str) -> Vec<TxnRecord> {
    let bytes = std::fs::read(directory(name).join("version-2").join(file)).unwrap();
    let mut reader = Reader::new(&bytes[16..]);
    let mut records = Vec::new();
    // A checksum of zero begins the padding; without padding the file just ends.
    while let Ok(checksum) = reader.i64()
        && checksum != 0
    {
        let entry = Bytes::copy_from_slice(reader.buffer().unwrap().unwrap());
        assert!(reader.bool().unwrap(), "the end mark");
        records.push(TxnRecord::decode(&entry, entry.len()).unwrap());
    }
    records
}

fn snapshot(name: &str, file: &str, rules: Rules, zxid: i64) -> Tree {
    let bytes = std::fs::read(directory(name).join("version-2").join(file)).unwrap();
    restore(&bytes[16..], rules, zxid)
}

/// What follows a snapshot's header.
pub(super) fn restore(body: &[u8], rules: Rules, zxid: i64) -> Tree {
    let reader = &mut Reader::new(body);
    let mut restore = Restore::new(rules);
    for _ in 0..reader.i32().unwrap() {
        let session = SessionId::from_wire(reader.i64().unwrap());
        restore.session(session, reader.i32().unwrap()).unwrap();
    }
    for _ in 0..reader.i32().unwrap() {
        let number = reader.i64().unwrap();
        let list = reader.vector(Acl::MIN_WIRE_LEN, Acl::decode).unwrap();
        restore.acl(number, &list).unwrap();
    }
    loop {
        let path = reader.string().unwrap();
        if path == "/" {
            break;
        }
        let data = reader.buffer().unwrap();
        let acl = reader.i64().unwrap();
        let stat = StoredStat::decode(reader).unwrap();
        restore.node(&path, data, acl, &stat).unwrap();
    }
    restore.finish(Zxid::from_wire(zxid)).unwrap()
}

fn replay(tree: &mut Tree, records: &[TxnRecord]) {
    for record in records {
        if record.header.zxid <= tree.last_zxid() {
            continue;
        }
        let applied = tree.apply(record);
        assert!(applied.digest_ok, "after {record:?}");
        assert_eq!(tree.last_zxid(), record.header.zxid);
    }
}

/// The nodes as the fixtures list them.
fn listing(tree: &Tree) -> Value {
    let nodes = tree.walk().map(|(path, node)| {
        let stat = node.stat();
        let acl: Vec<_> = node
            .acl()
            .iter()
            .map(|acl| json!({"perms": acl.perms.0, "scheme": acl.scheme, "id": acl.id}))
            .collect();
        let facts = json!({
            "data": node.data().map(|data| STANDARD.encode(data)),
            "stat": {
                "czxid": stat.czxid.to_wire(), "mzxid": stat.mzxid.to_wire(),
                "ctime": stat.ctime, "mtime": stat.mtime, "version": stat.version.0,
                "cversion": stat.cversion.0, "aversion": stat.aversion.0,
                "ephemeralOwner": stat.ephemeral_owner.to_wire(),
                "dataLength": stat.data_length, "numChildren": stat.num_children,
                "pzxid": stat.pzxid.to_wire(),
            },
            "acl": acl,
        });
        (
            if path.is_empty() {
                "/".to_owned()
            } else {
                path
            },
            facts,
        )
    });
    Value::Object(nodes.collect())
}

/// `local` says that the configuration node, which each server writes when it starts, is a later one's.
fn check_final(tree: &Tree, name: &str, local: bool) {
    let text = std::fs::read_to_string(directory(name).join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let found = listing(tree);
    for (path, node) in expected["nodes"].as_object().unwrap() {
        if !(local && path == CONFIG_PATH) {
            assert_eq!(&found[path], node, "{name}: {path}");
        }
    }
    assert_eq!(
        found.as_object().unwrap().len(),
        expected["nodes"].as_object().unwrap().len()
    );
    assert_eq!(tree.digest(), expected["tree_digest"].as_u64());
    let last = format!("{:#x}", tree.last_zxid());
    assert_eq!(expected["last_zxid"], json!(last));
    let sessions: Value = tree
        .sessions()
        .map(|(id, timeout)| (id.to_string(), json!(timeout)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(expected["sessions"], sessions);
}

fn extended() -> Rules {
    Rules {
        extended_types: true,
        ..Rules::default()
    }
}

#[test]
fn a_standalone_server_s_log_makes_its_tree_from_nothing() {
    let mut tree = Tree::new(extended());
    assert_eq!(tree.digest(), Some(1_371_985_504));
    for file in ["log.1", "log.26"] {
        replay(&mut tree, &log("standalone-3.8.0", file));
    }
    check_final(&tree, "standalone-3.8.0", false);
}

#[test]
fn a_snapshot_and_the_rest_of_the_log_make_the_same_tree() {
    let mut tree = snapshot("standalone-3.8.0", "snapshot.25", extended(), 0x25);
    assert_eq!(tree.digest(), Some(32_625_017_298));
    replay(&mut tree, &log("standalone-3.8.0", "log.26"));
    check_final(&tree, "standalone-3.8.0", false);
}

/// Java's snapshots are written while transactions apply: one that claims to be of an early zxid may
/// contain everything up to a later one. Applying all of that again must arrive at the same tree.
#[test]
fn applying_what_a_snapshot_contains_again_changes_nothing() {
    let mut tree = snapshot("standalone-3.8.0", "snapshot.25", extended(), 0);
    let before = (listing(&tree), tree.digest());
    tree.set_trust(Trust::From {
        zxid: Zxid::from_wire(0x25),
        digest: 32_625_017_298,
    });
    replay(&mut tree, &log("standalone-3.8.0", "log.1"));
    assert_eq!(tree.trust(), Trust::Exact);
    assert_eq!((listing(&tree), tree.digest()), before);
}

#[test]
fn members_logs_make_their_trees() {
    for (name, zxid) in [
        ("member-3.9.5-leader", 0x1_0000_001e),
        ("member-3.8.0-truncated", 0x1_0000_001e),
    ] {
        for (start, at) in [("snapshot.0", 0), ("snapshot.10000001e", zxid)] {
            let mut tree = snapshot(name, start, extended(), at);
            for file in ["log.100000001", "log.200000001"] {
                replay(&mut tree, &log(name, file));
            }
            check_final(&tree, name, at == 0);
        }
    }
}
