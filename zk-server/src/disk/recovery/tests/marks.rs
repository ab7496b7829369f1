//! The durable mark and the seals: torn or damaged (P24, P25).

use super::*;

#[test]
fn the_seal_tells_the_last_batch_from_what_was_durable_before_it() {
    for number in 1..=12 {
        let files = ours(false);
        damage(&files, place(number) + 60);
        let error = recover_all(&files).unwrap_err();
        let proof = tail::Proof::Durable(place(13));
        assert!(
            matches!(&error, RecoveryError::Corrupt { proof: p, .. } if *p == proof),
            "after a kill the mark is exact: {error}"
        );
        let files = ours(false);
        stale_mark(&files);
        damage(&files, place(number) + 60);
        let result = recover_all(&files);
        if number <= 8 {
            let error = result.unwrap_err();
            let proof = tail::Proof::Durable(place(9));
            assert!(matches!(&error, RecoveryError::Corrupt { proof: p, .. } if *p == proof));
        } else {
            assert_eq!(
                result.unwrap().0.last.to_wire(),
                i64::try_from(number).unwrap() - 1
            );
        }
        let files = ours(true);
        damage(&files, place(number) + 60);
        assert!(
            recover_all(&files).is_err(),
            "record {number} after a clean end"
        );
    }
}

#[test]
fn a_crash_without_a_torn_write_leaves_a_seal_that_goes() {
    let files = ours(false);
    let (recovered, _) = recover_all(&files).unwrap();
    assert_eq!(
        (recovered.last, recovered.cut.len()),
        (Zxid::from_wire(12), 0)
    );
    assert_eq!(
        read_all(&files, &log_path(), 1 << 20).unwrap().len() as u64,
        place(13)
    );
}

#[test]
fn a_log_that_ends_before_what_was_durable_is_refused() {
    for cut in [place(5), place(5) + 7, 16, 3] {
        let files = ours(true);
        files.open(&log_path()).unwrap().set_size(cut).unwrap();
        let error = recover_all(&files).unwrap_err();
        assert!(
            error.to_string().contains("log.1") && error.to_string().contains("byte"),
            "{error}"
        );
    }
    let files = ours(true);
    files.remove(&log_path()).unwrap();
    let error = recover_all(&files).unwrap_err();
    assert!(matches!(error, RecoveryError::TooShort { .. }), "{error}");
    let files = ours(true);
    let zeros = vec![0; 2000];
    files
        .open(&log_path())
        .unwrap()
        .write_at(place(5), &zeros)
        .unwrap();
    let error = recover_all(&files).unwrap_err();
    assert!(matches!(error, RecoveryError::TooShort { .. }), "{error}");
}

#[test]
fn what_java_had_to_truncate_is_abandoned_and_not_lost() {
    let files = ours(true);
    files.open(&log_path()).unwrap().set_size(place(9)).unwrap();
    let snapshot = read_all(&files, &Path::new(DIR).join("snapshot.0"), 1 << 20).unwrap();
    // As Java does after it truncated. What is in it does not matter here.
    replace(&files, &Path::new(DIR).join("snapshot.8"), &snapshot).unwrap();
    assert!(
        recover_all(&files).is_err(),
        "a standalone server truncates nothing"
    );
    let mut options = options();
    options.current_epoch = Some(Epoch::new(1));
    let recovered = recover(&files, &options, &mut Memory::default()).unwrap();
    assert_eq!(recovered.last, Zxid::from_wire(8));
    files.remove(&Path::new(DIR).join("snapshot.8")).unwrap();
    assert!(
        recover(&files, &options, &mut Memory::default()).is_err(),
        "no snapshot there"
    );
}

#[test]
fn damage_before_the_last_batch_is_found_without_any_padding() {
    for preallocate in [0, 1 << 10] {
        for number in 1..=19 {
            let files = FaultyFiles::new(3);
            begin(&files);
            let mut log = store(&files, 0, preallocate);
            for zxid in 1..=20 {
                put(&mut log, zxid, zxid).unwrap();
            }
            drop(log);
            stale_mark(&files);
            damage(&files, place(number) + 60);
            let error = recover_all(&files).unwrap_err();
            let proof = tail::Proof::Durable(place(20));
            assert!(matches!(&error, RecoveryError::Corrupt { proof: p, .. } if *p == proof));
        }
    }
}

#[test]
fn a_sector_of_long_ago_with_an_old_seal_in_it_is_damage() {
    let files = FaultyFiles::new(3);
    begin(&files);
    let mut log = store(&files, 0, 8 << 10);
    put(&mut log, 1, 4).unwrap();
    let sector = place(5) / 512 * 512;
    let mut old = [0; 512];
    let handle = files.open(&log_path()).unwrap();
    handle.read_at(sector, &mut old).unwrap();
    for zxid in 5..=30 {
        put(&mut log, zxid, zxid).unwrap();
    }
    handle.write_at(sector, &old).unwrap();
    let error = recover_all(&files).unwrap_err();
    assert!(matches!(error, RecoveryError::Corrupt { .. }), "{error}");
}

#[test]
fn a_whole_record_above_the_limit_is_never_cut() {
    let files = FaultyFiles::new(3);
    begin(&files);
    let mut log = store(&files, 0, 8 << 20);
    put(&mut log, 1, 2).unwrap();
    log.write(&[transaction(3, LIMIT + 1)]).unwrap();
    drop(log);
    for _ in 0..2 {
        let error = recover_all(&files).unwrap_err().to_string();
        assert!(error.contains("raise jute.maxbuffer"), "{error}");
        // Nor without the mark.
        Mark::forget(&files, Path::new(DIR)).ok();
    }
    let mut roomy = options();
    roomy.txn_limit = LIMIT * 2;
    let recovered = recover(&files, &roomy, &mut Memory::default()).unwrap();
    assert_eq!(recovered.last, Zxid::from_wire(3));
}

#[test]
fn a_mark_says_nothing_about_a_log_that_java_made_anew_under_the_same_name() {
    let files = FaultyFiles::new(3);
    begin(&files);
    put(&mut store(&files, 0, 8 << 10), 1, 1).unwrap();
    stale_mark(&files);
    let zxids: Vec<_> = (1..=1000).collect();
    java_log(&files, &zxids, &[0; 64]);
    damage(&files, 16 + 200);
    let error = recover_all(&files).unwrap_err();
    assert!(matches!(error, RecoveryError::Corrupt { .. }), "{error}");
}

#[test]
fn a_mark_that_cannot_be_written_is_only_late() {
    let files = FaultyFiles::new(0);
    begin(&files);
    let mut log = store(&files, 0, 64 << 10);
    put(&mut log, 1, 1).unwrap();
    fail(
        &files,
        1,
        ".durable",
        FaultKind::Always(io::ErrorKind::StorageFull),
    );
    for zxid in 2..=5 {
        assert_eq!(put(&mut log, zxid, zxid).unwrap(), Zxid::from_wire(zxid));
    }
    assert_eq!(log.mark_errors(), 4);
    log.roll().unwrap();
    drop(log);
    files.crash();
    assert_eq!(recover_all(&files).unwrap().0.last, Zxid::from_wire(5));
}

#[test]
fn without_fsync_an_earlier_mark_is_forgotten() {
    let files = ours(true);
    let mut options = StoreOptions::new(DIR.into());
    options.force_sync = false;
    let mut log = LogStore::new(Arc::new(files.clone()), options, Zxid::from_wire(12));
    put(&mut log, 13, 13).unwrap();
    assert_eq!(Mark::read(&files, Path::new(DIR)).unwrap(), None);
}
