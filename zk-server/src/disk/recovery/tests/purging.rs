//! What a purge must not trust (P28).

use super::*;

/// Well sealed, yet no tree: the nodes come without a root.
#[test]
fn purge_counts_no_snapshot_that_a_start_would_refuse() {
    use crate::disk::snapshot::verify_snapshot;
    let files = ours(true);
    let path = Path::new(DIR).join("snapshot.8");
    let limits = SnapshotLimits::default();
    let mut bytes = recorded("standalone-3.8.0/version-2/snapshot.0");
    replace(&files, &path, &bytes).unwrap();
    verify_snapshot(&files, &path, limits, &Leave::default()).unwrap();
    // The root's empty path, behind the header, no sessions and no ACLs, becomes that of a child.
    let root = 16 + 4 + 4 + acl_bytes(&bytes);
    bytes.truncate(bytes.len() - 46);
    bytes.splice(root..root + 4, *b"\0\0\0\x02/a");
    bytes.extend_from_slice(b"\0\0\0\x01/");
    let seal = u64::from(simd_adler32::adler32(&bytes.as_slice()));
    bytes.extend_from_slice(&seal.to_be_bytes());
    bytes.extend_from_slice(b"\0\0\0\x01/");
    replace(&files, &path, &bytes).unwrap();
    let error = verify_snapshot(&files, &path, limits, &Leave::default()).unwrap_err();
    assert!(error.to_string().contains("root"), "{error}");
    for zxid in [4, 12] {
        fuzzy(&files, zxid, zxid);
    }
    let plan = purge(&files, 2, limits, &Leave::default()).unwrap();
    assert_eq!(
        plan.snapshots,
        ["snapshot.0"],
        "12 and 4 are the two good ones"
    );
}

/// What the ACLs of a recorded snapshot without sessions take, read by their structure.
fn acl_bytes(snapshot: &[u8]) -> usize {
    use zk_proto::Acl;
    use zk_proto::jute::Reader;
    let body = &snapshot[20..];
    let mut reader = Reader::new(body);
    for _ in 0..reader.i32().unwrap() {
        reader.i64().unwrap();
        reader.vector(Acl::MIN_WIRE_LEN, Acl::decode).unwrap();
    }
    body.len() - reader.rest().len() - 4
}

#[test]
fn purge_trusts_no_snapshot_that_it_has_not_read() {
    let files = ours(true);
    for zxid in [4, 8, 12] {
        fuzzy(&files, zxid, zxid);
    }
    let rotten = Path::new(DIR).join("snapshot.c");
    files.open(&rotten).unwrap().write_at(30, b"rot").unwrap();
    let plan = purge(&files, 2, SnapshotLimits::default(), &Leave::default()).unwrap();
    assert_eq!(
        (plan.snapshots, plan.logs),
        (vec!["snapshot.0".to_owned()], vec![])
    );
    let (recovered, _) = recover_all(&files).unwrap();
    assert_eq!(
        (recovered.snapshot, recovered.last),
        (Some(Zxid::from_wire(8)), Zxid::from_wire(12))
    );
}

#[test]
fn a_purge_that_is_asked_to_leave_has_removed_nothing() {
    let files = ours(true);
    for zxid in [4, 8, 12] {
        fuzzy(&files, zxid, zxid);
    }
    let (limits, leave) = (SnapshotLimits::default(), Leave::default());
    let before = files.list(Path::new(DIR)).unwrap();
    leave.ask();
    // Not even of one that is read to its end is anything believed: the next would not be read.
    let error = purge(&files, 1, limits, &leave).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    assert_eq!(files.list(Path::new(DIR)).unwrap(), before);
    let plan = purge(&files, 1, limits, &Leave::default()).unwrap();
    assert_eq!(plan.snapshots.len(), 3);
}
