//! Recovery on recorded and on faulty disks; here is what several of the tests below need.

mod crashes;
mod java;
mod marks;
mod purging;
mod recorded;
mod snapshots;

use super::*;
use crate::disk::fake::{Fault, FaultKind, FaultyFiles};
use crate::disk::files::{read_all, replace};
use crate::disk::leave::Leave;
use crate::disk::purge::{Looked, PurgeDirs, PurgePlan, Retention};
use crate::disk::record;
use crate::disk::snapshot::{SnapshotEvent, SnapshotFile, SnapshotTrailer, SnapshotWriter};
use crate::disk::store::{LogStore, StoreOptions};
use crate::disk::testing::{DIRECTORIES, Memory, copy_recorded, recorded, testdata, transaction};
use std::sync::Arc;

const DIR: &str = "/d";

fn purge(
    files: &FaultyFiles,
    keep: usize,
    limits: SnapshotLimits,
    leave: &Leave,
) -> io::Result<PurgePlan> {
    let dirs = PurgeDirs {
        snapshots: DIR.into(),
        logs: DIR.into(),
    };
    let retention = Retention { keep, low_space: 0 };
    let looked = Looked::at(files, &dirs, retention, limits, leave)?;
    let (plan, _removed) = looked.remove(files, &dirs, None)?;
    Ok(plan)
}
const LIMIT: usize = 2 * DEFAULT_MAX_BUFFER;

fn options() -> RecoveryOptions {
    RecoveryOptions::new(DIR.into(), DIR.into())
}

fn recover_all(files: &FaultyFiles) -> Result<(Recovered, Memory), RecoveryError> {
    let mut memory = Memory::default();
    let recovered = recover(files, &options(), &mut memory)?;
    Ok((recovered, memory))
}

fn expected(name: &str) -> serde_json::Value {
    serde_json::from_slice(&recorded(&format!("{name}/expected.json"))).unwrap()
}

fn hex(value: &serde_json::Value) -> i64 {
    let text = value.as_str().unwrap().trim_start_matches("0x");
    i64::from_str_radix(text, 16).unwrap()
}

/// A first snapshot of nothing, as every server begins with.
fn begin(files: &FaultyFiles) {
    files.create_dir(Path::new(DIR)).unwrap();
    let empty = recorded("standalone-3.8.0/version-2/snapshot.0");
    replace(files, &Path::new(DIR).join("snapshot.0"), &empty).unwrap();
}

/// A directory of ours with records 1 to 12 in three batches; crashed or closed cleanly.
fn ours(clean: bool) -> FaultyFiles {
    let files = FaultyFiles::new(3);
    begin(&files);
    let mut options = StoreOptions::new(DIR.into());
    (options.preallocate, options.nonce_seed) = (8 << 10, 42);
    let mut store = LogStore::new(Arc::new(files.clone()), options, Zxid::ZERO);
    for batch in 0..3 {
        let zxids = batch * 4 + 1..=batch * 4 + 4;
        let records: Vec<_> = zxids.map(|zxid| transaction(zxid, 100)).collect();
        store.write(&records).unwrap();
        store.sync().unwrap();
    }
    if clean {
        store.roll().unwrap();
    }
    files
}

fn log_path() -> PathBuf {
    Path::new(DIR).join("log.1")
}

/// Where record `number` of `ours` begins.
fn place(number: u64) -> u64 {
    16 + (number - 1) * 159
}

fn damage(files: &FaultyFiles, at: u64) {
    files
        .open(&log_path())
        .unwrap()
        .write_at(at, &[0x5a; 3])
        .unwrap();
}

/// As after a power cut: what the mark says is from when the log was begun.
fn stale_mark(files: &FaultyFiles) {
    let dir = Path::new(DIR);
    let mark = Mark {
        zxid: Zxid::ZERO,
        offset: 16,
        ..Mark::read(files, dir).unwrap().unwrap()
    };
    files.remove(&dir.join(MARK_NAME)).unwrap();
    let mut file = crate::disk::mark::MarkFile::open(files, dir).unwrap();
    file.write(&mark).unwrap();
}

/// A log of Java's hand: records `zxids`, then `tail`.
fn java_log(files: &FaultyFiles, zxids: &[i64], tail: &[u8]) {
    let mut bytes = record::file_header(0).to_vec();
    for zxid in zxids {
        record::encode(&transaction(*zxid, 10).payload, &mut bytes).unwrap();
    }
    bytes.extend_from_slice(tail);
    let path = Path::new(DIR).join(crate::disk::names::log_name(Zxid::from_wire(zxids[0])));
    replace(files, &path, &bytes).unwrap();
}

/// A store with batches of records of 100 bytes.
fn store(files: &FaultyFiles, last: i64, preallocate: u64) -> LogStore {
    let mut options = StoreOptions::new(DIR.into());
    (options.preallocate, options.nonce_seed) = (preallocate, 42);
    LogStore::new(Arc::new(files.clone()), options, Zxid::from_wire(last))
}

fn put(store: &mut LogStore, from: i64, to: i64) -> io::Result<Zxid> {
    let batch: Vec<_> = (from..=to).map(|zxid| transaction(zxid, 100)).collect();
    store.write(&batch)?;
    store.sync()
}

fn fail(files: &FaultyFiles, at: u64, on: &'static str, kind: FaultKind) {
    files.plan(Fault { at, on, kind });
}

/// A snapshot named `name` that was finished when `stamp` was the last transaction.
fn fuzzy(files: &FaultyFiles, name: i64, stamp: i64) {
    let bytes = recorded("standalone-3.8.0/version-2/snapshot.0");
    // Header, no sessions, ACLs, nodes and the first seal; the digest section is made anew.
    let mut bytes = bytes[..bytes.len() - 33].to_vec();
    bytes.extend_from_slice(&stamp.to_be_bytes());
    bytes.extend_from_slice(&2_i32.to_be_bytes());
    bytes.extend_from_slice(&0xd16e57_u64.to_be_bytes());
    let seal = u64::from(simd_adler32::adler32(&bytes.as_slice()));
    bytes.extend_from_slice(&seal.to_be_bytes());
    bytes.extend_from_slice(b"\0\0\0\x01/");
    let name = crate::disk::names::snapshot_name(Zxid::from_wire(name), Compression::None);
    replace(files, &Path::new(DIR).join(name), &bytes).unwrap();
}
