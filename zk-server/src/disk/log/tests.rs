use super::queue::{Command, Waiting, fitting};
use super::*;
use crate::disk::fake::{Fault, FaultKind, FaultyFiles};
use crate::disk::files::{Files, RealFiles};
use crate::disk::mark::Mark;
use crate::disk::record::{Tail, scan};
use crate::disk::testing::transaction;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

const DIR: &str = "/d";

fn options() -> LogOptions {
    let mut store = StoreOptions::new(DIR.into());
    store.preallocate = 64 << 10;
    LogOptions::new(store)
}

fn disk() -> FaultyFiles {
    let files = FaultyFiles::new(5);
    files.create_dir(Path::new(DIR)).unwrap();
    files
}

fn start(files: &FaultyFiles, options: LogOptions) -> (Log, Receiver<LogEvent>) {
    let (events, received) = channel();
    let log = Log::start(Arc::new(files.clone()), options, Zxid::ZERO, move |event| {
        // The test may have seen enough.
        drop(events.send(event));
    });
    (log.unwrap(), received)
}

fn batch(zxids: std::ops::RangeInclusive<i64>) -> Vec<LogRecord> {
    zxids.map(|zxid| transaction(zxid, 100)).collect()
}

fn zxid(counter: i64) -> Zxid {
    Zxid::from_wire(counter)
}

fn read(files: &FaultyFiles, name: &str) -> Vec<u8> {
    crate::disk::files::read_all(files, &Path::new(DIR).join(name), 1 << 24).unwrap()
}

#[test]
fn a_clean_end_leaves_all_of_it_durable_and_the_file_as_java_leaves_it() {
    let files = disk();
    let (log, events) = start(&files, options());
    log.append(batch(1..=3)).unwrap();
    log.append(batch(4..=5)).unwrap();
    log.roll();
    log.append(batch(6..=6)).unwrap();
    log.close().unwrap();
    let events: Vec<_> = events.iter().collect();
    let rolled = events
        .iter()
        .position(|event| matches!(event, LogEvent::Rolled { last } if *last == zxid(5)));
    let persisted = events.iter().filter_map(|event| match event {
        LogEvent::Persisted { through: zxid, .. } => Some(zxid.to_wire()),
        LogEvent::Rolled { .. } | LogEvent::Failed(_) | LogEvent::Panicked => None,
    });
    assert!(
        rolled.is_some() && persisted.clone().is_sorted(),
        "{events:?}"
    );
    assert_eq!(persisted.max(), Some(6));
    files.crash();
    for (name, records) in [("log.1", 5), ("log.6", 1)] {
        let bytes = read(&files, name);
        let scan = scan(&bytes, 1 << 20);
        assert_eq!(
            (scan.records.len(), scan.tail),
            (records, Tail::Padding),
            "{name}"
        );
        assert_eq!(bytes.len(), 16 + (64 << 10));
    }
    let mark = Mark::read(&files, Path::new(DIR)).unwrap().unwrap();
    assert_eq!((mark.log, mark.zxid), (zxid(6), zxid(6)));
}

#[test]
fn after_an_error_nothing_is_acknowledged_any_more() {
    for (kind, full) in [
        (io::ErrorKind::Other, false),
        (io::ErrorKind::StorageFull, true),
    ] {
        for at in 1..=6 {
            let files = disk();
            let (log, events) = start(&files, options());
            log.append(batch(1..=2)).unwrap();
            assert!(
                matches!(events.recv().unwrap(), LogEvent::Persisted { through: z, .. } if z == zxid(2))
            );
            files.plan(Fault {
                at: at.min(2),
                on: "log.",
                kind: FaultKind::Once(kind),
            });
            log.append(batch(3..=4)).unwrap();
            let event = events.recv().unwrap();
            assert!(
                matches!(&event, LogEvent::Failed(f) if f.full == full && f.durable == zxid(2))
            );
            // The disk works again; the log does not.
            while log.append(batch(5..=6)).is_ok() {
                std::thread::yield_now();
            }
            assert_eq!(log.append(batch(7..=7)), Err(Refused::Dead(batch(7..=7))));
            assert!(log.close().is_err());
            assert_eq!(events.iter().count(), 0, "said once");
        }
    }
}

#[test]
fn the_queue_is_bounded_in_bytes() {
    let mut options = options();
    options.queue_bytes = 1000;
    // The thread lets others join for longer than this test takes.
    options.flush_delay = Duration::from_secs(3600);
    let (log, events) = start(&disk(), options);
    assert!(log.has_room());
    log.append(batch(1..=4)).unwrap();
    assert!(!log.has_room());
    assert_eq!(log.append(batch(5..=9)), Err(Refused::Full(batch(5..=9))));
    // Closing does not wait for the delay.
    log.close().unwrap();
    assert!(
        matches!(events.recv().unwrap(), LogEvent::Persisted { through: z, .. } if z == zxid(4))
    );
}

#[test]
fn batches_are_joined_and_split_at_their_limits() {
    let mut options = options();
    options.batch_count = 3;
    let mut waiting = Waiting::default();
    for range in [1..=2, 3..=7] {
        let batch = batch(range);
        waiting.bytes += weight(&batch);
        waiting.count += batch.len();
        waiting.commands.push_back(Command::Append(batch));
    }
    let mut sizes = Vec::new();
    while let Some(Command::Append(first)) = waiting.commands.pop_front() {
        sizes.push(waiting.gather(first, &options).len());
    }
    assert_eq!((sizes, waiting.bytes, waiting.count), (vec![3, 3, 1], 0, 0));
    options.batch_bytes = 1;
    assert_eq!(fitting(&batch(1..=2), &options), 1, "one always goes");
}

#[test]
fn a_long_file_is_left_for_a_new_one() {
    let mut options = options();
    options.store.roll_above = Some(1000);
    let files = disk();
    let (log, events) = start(&files, options);
    for first in [1, 11, 21] {
        log.append(batch(first..=first + 9)).unwrap();
        events.recv().unwrap();
    }
    log.close().unwrap();
    for name in ["log.1", "log.b", "log.15"] {
        assert_eq!(
            scan(&read(&files, name), 1 << 20).records.len(),
            10,
            "{name}"
        );
    }
}

#[test]
fn a_full_disk_is_met_on_what_was_reserved() {
    let files = disk();
    let (log, events) = start(&files, options());
    log.append(batch(1..=1)).unwrap();
    events.recv().unwrap();
    files.set_capacity(70 << 10);
    let mut last = 1;
    let failure = loop {
        last += 1;
        if log.append(batch(last..=last)).is_err() {
            last -= 1;
            continue;
        }
        match events.recv().unwrap() {
            LogEvent::Persisted { .. } => {}
            LogEvent::Failed(failure) => break failure,
            LogEvent::Rolled { .. } => panic!("nobody asked"),
            LogEvent::Panicked => panic!("the log's thread panicked"),
        }
    };
    assert!(failure.full);
    // 64 KiB in records of 159 bytes, all of it used.
    assert_eq!(failure.durable.to_wire(), (64 << 10) / 159, "{failure}");
    drop(log);
}

#[test]
fn the_latencies_are_counted() {
    let mut options = options();
    options.slow_fsync = Duration::ZERO;
    let (log, events) = start(&disk(), options);
    assert_eq!(log.stats().read(), LogNumbers::default());
    log.append(batch(1..=2)).unwrap();
    events.recv().unwrap();
    let numbers = log.stats().read();
    assert_eq!((numbers.fsyncs, numbers.slow, numbers.txns), (1, 1, 2));
    assert!(numbers.min <= numbers.max && numbers.max <= numbers.total);
}

#[test]
fn real_files_take_the_room_they_show() {
    let temp = tempfile::tempdir().unwrap();
    let mut store = StoreOptions::new(temp.path().to_path_buf());
    store.preallocate = 1 << 20;
    let log = Log::start(
        Arc::new(RealFiles),
        LogOptions::new(store),
        Zxid::ZERO,
        |_| (),
    );
    let log = log.unwrap();
    log.append(batch(1..=3)).unwrap();
    log.close().unwrap();
    let handle = RealFiles.open_read(&temp.path().join("log.1")).unwrap();
    assert_eq!(handle.size().unwrap(), 16 + (1 << 20));
    let mut bytes = vec![0; 2 << 20];
    let len = handle.read_at(0, &mut bytes).unwrap();
    let scan = scan(&bytes[..len], 1 << 20);
    assert_eq!((scan.records.len(), scan.tail), (3, Tail::Padding));
    let blocks = std::os::unix::fs::MetadataExt::blocks(
        &std::fs::metadata(temp.path().join("log.1")).unwrap(),
    );
    assert!(blocks * 512 >= 1 << 20, "{blocks} blocks");
}

#[test]
fn under_load_the_mark_is_no_older_than_it_may_be() {
    for seed in 0..32 {
        let files = FaultyFiles::new(seed);
        files.create_dir(Path::new(DIR)).unwrap();
        let mut options = options();
        options.mark_age = Duration::ZERO;
        let (log, events) = start(&files, options);
        let mut ended = 0;
        for number in 1..=20 {
            log.append(batch(number..=number)).unwrap();
            let LogEvent::Persisted { through, .. } = events.recv().unwrap() else {
                panic!("nothing else happens");
            };
            ended = through.to_wire();
        }
        // The thread makes the mark durable after it has told: the next batch shows that it has.
        files.plan(Fault {
            at: 1,
            on: "log.1",
            kind: FaultKind::Stop,
        });
        log.append(batch(21..=21)).unwrap();
        assert!(matches!(events.recv().unwrap(), LogEvent::Failed(_)));
        drop(log);
        files.crash();
        let mark = Mark::read(&files, Path::new(DIR)).unwrap().unwrap();
        assert_eq!(mark.zxid, zxid(ended));
    }
}
