//! Trees that leaders sent, Java's and ours, and what is left of a log that was cut or replaced.

use super::*;
use crate::disk::files::{Entry, Files, Handle, Kind, RealFiles, Space};
use crate::disk::snapshot::SYNC_SIGNATURE;
use crate::disk::testing::{copy_recorded, transaction};
use crate::storage::{Opened, open};
use crate::tree::ImageProgress;
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use zk_proto::txn::TxnRecord;

fn recorded(name: &str) -> Vec<u8> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/sync");
    std::fs::read(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The transactions that came behind a recorded snapshot.
fn behind(name: &str) -> Vec<TxnRecord> {
    let mut bytes = Bytes::from(recorded(&format!("{name}.txns")));
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let len = bytes.split_to(4);
        let len = u32::from_be_bytes(len[..].try_into().unwrap()) as usize;
        records.push(TxnRecord::decode(&bytes.split_to(len), 1 << 20).unwrap());
    }
    records
}

fn config() -> Config {
    Config::in_process("unused")
}

#[test]
fn java_s_snapshots_agree_with_the_digests_behind_them() {
    for (name, zxid) in [
        ("3.8.0", 0x1_0000_001b),
        ("3.9.5", 0x1_0000_001b),
        ("3.9.5-observer", 0x1_0000_0015),
    ] {
        let stream = recorded(&format!("{name}.snap"));
        let mut tree = load_sync(&*stream, &config(), Zxid::from_wire(zxid)).unwrap();
        assert_eq!(tree.last_zxid(), Zxid::from_wire(zxid), "{name}");
        // The first one that agrees ends the doubt; had none agreed, no later one could go wrong.
        let mut agreed = 0;
        for record in behind(name) {
            assert!(tree.apply(&record).digest_ok, "{name}: {:?}", record.header);
            let expected = record.digest.map(|digest| digest.digest);
            agreed += usize::from(expected.is_some() && expected == tree.digest());
        }
        let with_digest = behind(name).iter().filter(|r| r.digest.is_some()).count();
        assert_eq!(agreed, with_digest, "{name}");
        assert!(agreed > 0, "{name}");
    }
}

#[test]
fn what_was_told_twice_changes_nothing() {
    // As from a leader whose tree ran ahead of the zxid it names.
    let mut tree = load_sync(
        &*recorded("3.9.5.snap"),
        &config(),
        Zxid::from_wire(1 << 32),
    )
    .unwrap();
    for record in behind("3.9.5") {
        tree.apply(&record);
    }
    let ahead = tree.digest();
    let mut stream = Vec::new();
    image(&mut tree, &mut stream);
    let mut again = load_sync(&*stream, &config(), Zxid::from_wire(0x1_0000_001b)).unwrap();
    for record in behind("3.9.5") {
        assert!(again.apply(&record).digest_ok);
    }
    assert_eq!(again.digest(), ahead);
}

#[test]
fn a_stream_cut_anywhere_is_refused_and_one_byte_more_is_left_alone() {
    let stream = recorded("3.8.0.snap");
    let zxid = Zxid::from_wire(0x1_0000_001b);
    for len in 0..stream.len() {
        assert!(load_sync(&stream[..len], &config(), zxid).is_err(), "{len}");
    }
    let mut longer = stream.clone();
    longer.push(7);
    let mut from = &*longer;
    load_sync(&mut from, &config(), zxid).unwrap();
    assert_eq!(from, [7]);
    let mut spoilt = stream;
    *spoilt.last_mut().unwrap() = b'?';
    assert!(load_sync(&*spoilt, &config(), zxid).is_err());
}

/// The tree as a leader of ours sends it.
fn image(tree: &mut Tree, stream: &mut Vec<u8>) {
    tree.begin_image(stream).unwrap();
    while tree.step_image(7, stream).unwrap() == ImageProgress::More {}
    stream.extend_from_slice(&SYNC_SIGNATURE);
}

struct Member {
    opened: Opened,
    config: Config,
    door: UnboundedSender<Event>,
    _events: UnboundedReceiver<Event>,
}

fn member(dir: &Path) -> Member {
    let config = Config::in_process(dir);
    let (door, events) = tokio::sync::mpsc::unbounded_channel();
    let opened = open(Arc::new(RealFiles), &config, Arc::default(), door.clone());
    Member {
        opened: opened.unwrap(),
        config,
        door,
        _events: events,
    }
}

#[test]
fn our_own_stream_brings_the_same_tree_and_survives_a_restart() {
    let leader = tempfile::tempdir().unwrap();
    copy_recorded(
        "member-3.9.5-leader",
        &RealFiles,
        &leader.path().join("version-2"),
    );
    let mut leader = member(leader.path());
    let mut stream = Vec::new();
    image(&mut leader.opened.tree, &mut stream);
    let zxid = leader.opened.tree.last_zxid();
    let digest = leader.opened.tree.digest();

    // A learner with another history, a tail of which would follow the snapshot.
    let temp = tempfile::tempdir().unwrap();
    let learner = member(temp.path());
    learner.opened.log.append(vec![transaction(1, 10)]).unwrap();
    let tree = load_sync(&*stream, &learner.config, zxid).unwrap();
    assert_eq!((tree.last_zxid(), tree.digest()), (zxid, digest));
    let Opened { log, store, .. } = learner.opened;
    let reopened = store
        .replace(&learner.config, log, tree, learner.door)
        .unwrap();
    assert_eq!(reopened.tree.digest(), digest);
    let next = zxid.next().unwrap();
    let payload = transaction(next.to_wire(), 10);
    reopened.log.append(vec![payload]).unwrap();
    reopened.log.close().unwrap();
    drop(store);

    let back = member(temp.path()).opened;
    assert_eq!(back.tree.last_zxid(), next);
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let temp = tempfile::tempdir().unwrap();
    let Member {
        opened: Opened { log, store, .. },
        config,
        door,
        ..
    } = member(temp.path());
    let records = (1..=5).map(|zxid| transaction(zxid, 10)).collect();
    log.append(records).unwrap();
    let to = Zxid::from_wire(3);
    let reopened = store.cut(&config, log, to, door.clone()).unwrap();
    assert_eq!(reopened.tree.last_zxid(), to);
    let Reopened { log, .. } = reopened;
    let other = Zxid::from_wire(4);
    log.append(vec![transaction(other.to_wire(), 99)]).unwrap();
    log.close().unwrap();
    drop(store);
    let opened = member(temp.path()).opened;
    assert_eq!(opened.tree.last_zxid(), other);

    let beyond = Zxid::from_wire(9);
    let Opened { log, store, .. } = opened;
    assert!(store.cut(&config, log, beyond, door).is_err());
}

/// A disk on which the purge's reading of snapshots takes as long as the test likes.
#[derive(Debug)]
struct SlowToPurge {
    looks: std::sync::mpsc::Sender<()>,
    gate: Mutex<()>,
}

impl Files for SlowToPurge {
    fn open_read(&self, path: &Path) -> std::io::Result<Box<dyn Handle>> {
        if std::thread::current().name() == Some("purge") {
            self.looks.send(()).unwrap();
            drop(self.gate.lock().unwrap());
        }
        RealFiles.open_read(path)
    }

    fn create(&self, path: &Path) -> std::io::Result<Box<dyn Handle>> {
        RealFiles.create(path)
    }
    fn open(&self, path: &Path) -> std::io::Result<Box<dyn Handle>> {
        RealFiles.open(path)
    }
    fn create_dir(&self, path: &Path) -> std::io::Result<()> {
        RealFiles.create_dir(path)
    }
    fn list(&self, dir: &Path) -> std::io::Result<Vec<Entry>> {
        RealFiles.list(dir)
    }
    fn kind(&self, path: &Path) -> std::io::Result<Option<Kind>> {
        RealFiles.kind(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        RealFiles.rename(from, to)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        RealFiles.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> std::io::Result<()> {
        RealFiles.sync_dir(dir)
    }
    fn space(&self, dir: &Path) -> std::io::Result<Space> {
        RealFiles.space(dir)
    }
    fn lock(&self, path: &Path) -> std::io::Result<Box<dyn Handle>> {
        RealFiles.lock(path)
    }
}

/// The loop waits for a cut, and with it everyone who waits for this member (P31, P32).
#[test]
fn a_cut_does_not_wait_for_a_purge_that_reads_and_is_not_undone_by_it() {
    const PATIENCE: Duration = Duration::from_secs(30);
    let temp = tempfile::tempdir().unwrap();
    let (looks, looking) = std::sync::mpsc::channel();
    let files = Arc::new(SlowToPurge {
        looks,
        gate: Mutex::new(()),
    });
    let config = Config::in_process(temp.path());
    let (door, _events) = tokio::sync::mpsc::unbounded_channel();
    let opened = open(files.clone(), &config, Arc::default(), door.clone()).unwrap();
    let Opened { log, store, .. } = opened;
    log.append((1..=5).map(|zxid| transaction(zxid, 10)).collect())
        .unwrap();

    let store = Arc::new(store);
    let closed = files.gate.lock().unwrap();
    store.purge();
    looking.recv_timeout(PATIENCE).unwrap();
    let (cut, is_cut) = std::sync::mpsc::channel();
    let cutting = {
        let (store, config) = (Arc::clone(&store), config.clone());
        std::thread::spawn(move || {
            let reopened = store.cut(&config, log, Zxid::from_wire(3), door);
            cut.send(reopened.unwrap().tree.last_zxid()).unwrap();
        })
    };
    let cut = is_cut.recv_timeout(PATIENCE);
    drop(closed);
    cutting.join().unwrap();
    assert_eq!(cut, Ok(Zxid::from_wire(3)), "while the purge reads");
    let again = looking.recv_timeout(PATIENCE);
    assert_eq!(
        again,
        Ok(()),
        "what was read before the cut is not believed"
    );
}
