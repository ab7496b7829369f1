//! Which snapshot a start begins with, and what it is held to.

use super::*;

#[test]
fn a_bad_snapshot_falls_back_only_where_the_logs_make_up_for_it() {
    let files = FaultyFiles::new(0);
    copy_recorded("standalone-3.8.0", &files, Path::new(DIR));
    let path = Path::new(DIR).join("snapshot.25");
    files.open(&path).unwrap().write_at(100, b"rot").unwrap();
    let (recovered, _) = recover_all(&files).unwrap();
    assert_eq!(recovered.snapshot, Some(Zxid::ZERO));
    assert_eq!(
        (recovered.txns, recovered.last),
        (0x34, Zxid::from_wire(0x34))
    );
    assert_eq!(recovered.skipped.len(), 1);
    files.remove(&Path::new(DIR).join("log.1")).unwrap();
    let error = recover_all(&files).unwrap_err();
    assert!(
        matches!(error, RecoveryError::Gap { offset: 16, .. }),
        "{error}"
    );
    files.remove(&Path::new(DIR).join("log.26")).unwrap();
    let error = recover_all(&files).unwrap_err();
    assert!(
        matches!(error, RecoveryError::SnapshotLost { .. }),
        "{error}"
    );
    files.remove(&Path::new(DIR).join("snapshot.0")).unwrap();
    let error = recover_all(&files).unwrap_err();
    assert!(
        matches!(error, RecoveryError::NoUsableSnapshot { .. }),
        "{error}"
    );
}

#[test]
fn logs_without_a_snapshot_are_refused_unless_trusted() {
    let files = FaultyFiles::new(0);
    copy_recorded("standalone-3.8.0", &files, Path::new(DIR));
    for name in ["snapshot.0", "snapshot.25"] {
        files.remove(&Path::new(DIR).join(name)).unwrap();
    }
    let error = recover_all(&files).unwrap_err();
    assert!(
        matches!(error, RecoveryError::LogsWithoutSnapshot { .. }),
        "{error}"
    );
    let mut trusting = options();
    trusting.trust_empty = true;
    let recovered = recover(&files, &trusting, &mut Memory::default()).unwrap();
    assert_eq!((recovered.txns, recovered.fresh), (0x34, false));
}

#[test]
fn a_snapshot_that_was_never_finished_is_none() {
    let files = FaultyFiles::new(3);
    files.create_dir(Path::new(DIR)).unwrap();
    let half = Path::new(DIR).join("snapshot.0");
    for bytes in [&b""[..], b"ZKSN\0\0\0\x02 and so on"] {
        replace(&files, &half, bytes).unwrap();
        let (recovered, _) = recover_all(&files).unwrap();
        assert!(recovered.fresh);
        assert_eq!(recovered.skipped.len(), 1);
    }
    java_log(&files, &[1, 2, 3], &[]);
    let error = recover_all(&files).unwrap_err();
    assert!(
        matches!(error, RecoveryError::LogsWithoutSnapshot { .. }),
        "{error}"
    );
    let mut trusting = options();
    trusting.trust_empty = true;
    let recovered = recover(&files, &trusting, &mut Memory::default()).unwrap();
    assert_eq!(recovered.last, Zxid::from_wire(3));
    // As Java leaves it that was stopped while it wrote what its leader had sent.
    begin(&files);
    replace(&files, &Path::new(DIR).join("snapshot.9"), b"ZKSN").unwrap();
    assert_eq!(recover_all(&files).unwrap().0.last, Zxid::from_wire(3));
}

#[test]
fn nothing_at_all_is_a_fresh_start() {
    let files = FaultyFiles::new(0);
    assert!(recover_all(&files).unwrap().0.fresh);
    files.create_dir(Path::new(DIR)).unwrap();
    assert!(recover_all(&files).unwrap().0.fresh);
}

#[test]
fn a_replica_that_differs_is_not_served() {
    let files = FaultyFiles::new(0);
    copy_recorded("standalone-3.8.0", &files, Path::new(DIR));
    let mut memory = Memory {
        differs_at: Some(Zxid::from_wire(0x2b)),
        ..Memory::default()
    };
    let error = recover(&files, &options(), &mut memory).unwrap_err();
    let RecoveryError::DigestMismatch { zxid, computed, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((zxid, computed), (Zxid::from_wire(0x2b), 0xbad));
}

#[test]
fn a_snapshot_of_several_moments_is_compared_at_its_last_one() {
    let files = ours(true);
    fuzzy(&files, 4, 8);
    let differs = |at: i64| Memory {
        differs_at: Some(Zxid::from_wire(at)),
        ..Memory::default()
    };
    // Nothing is compared before the stamp; `differs_at` makes the replica have a digest at all.
    assert!(recover(&files, &options(), &mut differs(7)).is_ok());
    let error = recover(&files, &options(), &mut differs(8)).unwrap_err();
    assert!(
        matches!(
            &error,
            RecoveryError::DigestMismatch {
                expected: 0xd16e57,
                ..
            }
        ),
        "{error}"
    );
    fuzzy(&files, 4, 13);
    let error = recover_all(&files).unwrap_err();
    assert!(
        matches!(error, RecoveryError::SnapshotAhead { .. }),
        "{error}"
    );
}
