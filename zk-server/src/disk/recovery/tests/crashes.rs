//! Whatever fails, whenever: what was acknowledged is there, and stays.

use super::*;

/// Batches, a roll, more batches; what was acknowledged. Stops at the first error.
fn workload(files: &FaultyFiles, acknowledged: &mut Zxid, written: &mut i64) -> io::Result<()> {
    let mut options = StoreOptions::new(DIR.into());
    (options.preallocate, options.nonce_seed) = (8 << 10, 42);
    let mut store = LogStore::new(Arc::new(files.clone()), options, *acknowledged);
    for batch in 1..=12 {
        let first = *written + 1;
        let count = 1 + batch % 4;
        let records: Vec<_> = (first..first + count)
            .map(|zxid| transaction(zxid, usize::try_from(zxid * 37 % 1500).unwrap()))
            .collect();
        *written = first + count - 1;
        store.write(&records)?;
        *acknowledged = store.sync()?;
        assert_eq!(acknowledged.to_wire(), *written);
        match batch {
            4 => {
                store.save_mark();
            }
            3 | 6 | 8 | 10 => {
                store.roll()?;
                snapshot_and_purge(files, *acknowledged)?;
            }
            _ => {}
        }
    }
    store.roll()
}

/// A snapshot that may fail, and the purge that only a finished one allows (O7).
fn snapshot_and_purge(files: &FaultyFiles, zxid: Zxid) -> io::Result<()> {
    let (events, outcome) = std::sync::mpsc::channel();
    let file = SnapshotFile {
        dir: DIR.into(),
        zxid,
        compression: Compression::None,
    };
    let writer = SnapshotWriter::start(Arc::new(files.clone()), file, move |event| {
        events.send(event).unwrap();
    })?;
    let empty = recorded("standalone-3.8.0/version-2/snapshot.0");
    // Between the header and the first seal.
    writer.push_waiting(Bytes::copy_from_slice(&empty[16..empty.len() - 46]));
    let _ended = writer.finish(SnapshotTrailer::default());
    if !matches!(outcome.recv().unwrap(), SnapshotEvent::Written(_)) {
        return Ok(());
    }
    let limits = SnapshotLimits::default();
    purge(files, 2, limits, &Leave::default()).map(drop)
}

fn check_prefix(memory: &Memory, acknowledged: Zxid, written: i64, about: &str) {
    let base = memory.base.to_wire();
    let last = memory.applied.last().map_or(memory.base, |(zxid, _)| *zxid);
    assert!(
        last >= acknowledged,
        "{about}: {acknowledged} was acknowledged, {last} is left"
    );
    assert!(last.to_wire() <= written, "{about}");
    for (at, (zxid, payload)) in memory.applied.iter().enumerate() {
        assert_eq!(
            zxid.to_wire(),
            base + i64::try_from(at).unwrap() + 1,
            "{about}"
        );
        let len = usize::try_from(zxid.to_wire() * 37 % 1500).unwrap();
        assert_eq!(
            *payload,
            transaction(zxid.to_wire(), len).payload,
            "{about}"
        );
    }
}

#[test]
fn whatever_fails_whenever_what_was_acknowledged_is_there_after_a_crash() {
    let kinds = [
        FaultKind::Stop,
        FaultKind::Once(io::ErrorKind::Other),
        FaultKind::Always(io::ErrorKind::StorageFull),
    ];
    let mut torn = 0;
    for kind in kinds {
        let mut completed = false;
        for at in 1.. {
            for seed in 0..6 {
                let files = FaultyFiles::new(at * 1000 + seed);
                begin(&files);
                files.plan(Fault { at, on: "", kind });
                let (mut acknowledged, mut written) = (Zxid::ZERO, 0);
                completed = workload(&files, &mut acknowledged, &mut written).is_ok();
                files.crash();
                let about = format!("{kind:?} at {at}, seed {seed}");
                let (recovered, memory) =
                    recover_all(&files).unwrap_or_else(|error| panic!("{about}: {error}"));
                check_prefix(&memory, acknowledged, written, &about);
                assert!(
                    !completed || memory.base > Zxid::ZERO,
                    "snapshots were taken"
                );
                torn += recovered.cut.len();
                // And on: the same directory serves again, and once more after a crash.
                let mut last = recovered.last;
                let mut more = last.to_wire();
                workload(&files, &mut last, &mut more).unwrap();
                files.crash();
                let (_, memory) =
                    recover_all(&files).unwrap_or_else(|error| panic!("{about}, again: {error}"));
                check_prefix(&memory, last, more, &about);
            }
            if completed {
                break;
            }
        }
    }
    assert!(torn > 50, "only {torn} torn ends");
}

#[test]
fn two_crashes_around_the_same_new_file_are_survived() {
    let mut runs = 0;
    for (first, second, seed) in (1..14)
        .flat_map(|first| (1..14).map(move |second| (first, second)))
        .flat_map(|(first, second)| (0..8).map(move |seed| (first, second, seed)))
    {
        let about = format!("stopped at {first}, then at {second}, seed {seed}");
        let files = FaultyFiles::new(first * 100_000 + second * 1000 + seed);
        begin(&files);
        let mut acknowledged = 0;
        for at in [first, second] {
            let (recovered, _) = recover_all(&files).unwrap_or_else(|e| panic!("{about}: {e}"));
            let last = recovered.last.to_wire();
            assert!(last >= acknowledged, "{about}");
            fail(&files, at, "", FaultKind::Stop);
            acknowledged = last;
            if put(&mut store(&files, last, 8 << 10), last + 1, last + 4).is_ok() {
                acknowledged += 4;
            }
            files.crash();
        }
        let (recovered, _) = recover_all(&files).unwrap_or_else(|e| panic!("{about}: {e}"));
        assert!(recovered.last.to_wire() >= acknowledged, "{about}");
        runs += 1;
    }
    assert!(runs > 1000);
}

/// Recovers after a kill or a failed fsync, acknowledges more, loses power, and recovers.
fn served_and_then_lost(files: &FaultyFiles, seen: i64) {
    let (recovered, _) = recover_all(files).unwrap();
    let last = recovered.last.to_wire();
    assert_eq!(last, seen);
    put(&mut store(files, last, 8 << 10), last + 1, last + 2).unwrap();
    files.crash();
    let (recovered, _) = recover_all(files).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(recovered.last.to_wire(), last + 2);
}

#[test]
fn what_was_read_after_a_kill_is_durable_before_it_is_built_upon() {
    for seed in 0..50 {
        for preallocate in [0, 8 << 10] {
            let files = FaultyFiles::new(seed);
            begin(&files);
            let mut killed = store(&files, 0, preallocate);
            put(&mut killed, 1, 2).unwrap();
            let batch = [transaction(3, 100), transaction(4, 100)];
            killed.write(&batch).unwrap();
            drop(killed);
            served_and_then_lost(&files, 4);
        }
        let files = FaultyFiles::new(seed);
        begin(&files);
        let mut bytes = record::file_header(0).to_vec();
        for zxid in 1..=4 {
            record::encode(&transaction(zxid, 600).payload, &mut bytes).unwrap();
        }
        // Java's, named but not synced.
        let handle = files.create(&log_path()).unwrap();
        handle.write_at(0, &bytes).unwrap();
        drop(handle);
        served_and_then_lost(&files, 4);
    }
}

#[test]
fn what_was_read_after_a_failed_fsync_is_durable_before_it_is_built_upon() {
    for seed in 0..50 {
        let files = FaultyFiles::new(seed);
        begin(&files);
        let mut failed = store(&files, 0, 8 << 10);
        put(&mut failed, 1, 2).unwrap();
        // The second operation on the log is the fsync: the pages may count as clean from now on.
        fail(&files, 2, "log.", FaultKind::Once(io::ErrorKind::Other));
        assert!(put(&mut failed, 3, 4).is_err());
        drop(failed);
        served_and_then_lost(&files, 4);
    }
}
