//! From the files to the state they stand for, or to a precise refusal.
//!
//! 1. The newest snapshot that decodes is poured into the replica (P26).
//! 2. All logs that may hold something later are replayed, in order, without a gap (P25).
//! 3. Digests are compared on the way (P29).
//! 4. The end of each log is judged by the table in [`tail`].
//! 5. What was once recorded as durable must have been reached.
//! 6. Only then is anything changed on the disk: what was read of the newest log beyond the durable mark
//!    is made durable, the torn end is cut, so that Java can open the directory too, and leftovers are
//!    removed.
//!
//! What reads well is not always on the disk: after a kill between write and fsync, or an fsync that
//! failed, the bytes are the kernel's, and it may believe that they need no writing. They are written once
//! more, the same bytes at the same place, and synced, before anything is built on them.
//!
//! # What the durable mark means after Java had the directory
//!
//! | the mark names ... | then |
//! |--------------------|------|
//! | a log that is there, with its nonce, and reaches it | it separates torn from damaged |
//! | a log that is there, made anew by Java | the log is judged as Java's; its end must reach the mark's zxid |
//! | a log that ends cleanly before it | refused, unless abandoned (below) |
//! | a log that a snapshot made superfluous, there or not | nothing is read from it, nothing follows |
//! | a log that is gone, and the rest reaches the mark's zxid | nothing follows |
//! | a log that is gone, and the rest does not | refused, unless abandoned |
//! | an older log than the newest, Java's | the newest is judged as Java's |
//!
//! Abandoned: this server's epoch is above the mark's, and a snapshot stands at or after the place
//! where the history ends. A Java follower that had to truncate leaves exactly that, and nothing else
//! does: the mark's transactions were never committed.

mod error;
mod history;
mod replay;
pub mod tail;
#[cfg(test)]
mod tests;

pub use error::{RecoveryError, SkipReason, Skipped};
pub use history::{History, Place, follows};

use crate::disk::files::{Entry, Files, Kind};
use crate::disk::mark::{MARK_NAME, Mark};
use crate::disk::names::{Compression, FileName};
use crate::disk::snapshot::{
    Refusal, SnapshotLimits, SnapshotSink, TreeDigest, looks_whole, read_snapshot,
};
use bytes::Bytes;
use replay::{Replay, Unsure};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zk_proto::jute::DEFAULT_MAX_BUFFER;
use zk_proto::txn::{TxnDigest, TxnRecord};
use zk_proto::{Epoch, Zxid};

/// What is being recovered.
pub trait Replica: SnapshotSink {
    /// Forgets everything: a snapshot follows. Called again if that turns out bad.
    fn reset(&mut self);
    /// The snapshot was whole.
    fn restored(&mut self, zxid: Zxid) -> Result<(), Refusal>;
    /// There is no snapshot: begins as an empty database does.
    fn start_empty(&mut self);
    /// Applies the next transaction; `payload` is its bytes.
    fn apply(&mut self, record: &TxnRecord, payload: &Bytes) -> Result<(), Refusal>;
    /// The tree's digest of version 2, unless digests are switched off.
    fn digest(&self) -> Option<u64>;
}

/// Where the files are and what is tolerated.
#[derive(Clone, Debug)]
pub struct RecoveryOptions {
    /// `dataDir/version-2`.
    pub snapshots: PathBuf,
    /// `dataLogDir/version-2`.
    pub logs: PathBuf,
    /// The bounds of a snapshot.
    pub limits: SnapshotLimits,
    /// The longest transaction that is believed (`jute.maxbuffer` and its extra).
    pub txn_limit: usize,
    /// Whether logs without a snapshot begin at the empty tree (`snapshot.trust.empty`).
    pub trust_empty: bool,
    /// Whether a last record that a torn write or damage may have spoilt is dropped.
    pub drop_damaged_tail: bool,
    /// This member's epoch; none for a standalone server.
    pub current_epoch: Option<Epoch>,
}

impl RecoveryOptions {
    /// The defaults for a data directory.
    pub const fn new(snapshots: PathBuf, logs: PathBuf) -> Self {
        Self {
            snapshots,
            logs,
            limits: SnapshotLimits {
                field: 2 * DEFAULT_MAX_BUFFER,
                total: 64 << 30,
            },
            txn_limit: 2 * DEFAULT_MAX_BUFFER,
            trust_empty: false,
            drop_damaged_tail: false,
            current_epoch: None,
        }
    }
}

/// A torn end that was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The log.
    pub file: PathBuf,
    /// Its length now.
    pub at: u64,
    /// How many bytes there were.
    pub size: u64,
}

/// A log that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRead {
    /// The zxid in its name.
    pub first: Zxid,
    /// Where its records end.
    pub end: u64,
    /// How many records it holds.
    pub records: u64,
}

/// What was recovered.
#[derive(Debug)]
pub struct Recovered {
    /// Nothing at all was found: a new server, or one that lost its data (P26).
    pub fresh: bool,
    /// The zxid of the snapshot that was used.
    pub snapshot: Option<Zxid>,
    /// The last transaction.
    pub last: Zxid,
    /// How many were replayed.
    pub txns: u64,
    /// The logs that were read.
    pub logs: Vec<LogRead>,
    /// Torn ends that were cut.
    pub cut: Vec<Cut>,
    /// Files that were removed: a newest log without a header, `.tmp` leftovers.
    pub removed: Vec<PathBuf>,
    /// Snapshots that could not be used.
    pub skipped: Vec<Skipped>,
    /// Whether the tree may still be a mixture: its snapshot has no digest, as one from a leader has none,
    /// and no transaction behind it had one that agreed.
    pub doubtful: bool,
    /// How long the snapshot took.
    pub restore_time: Duration,
    /// How long the replay took.
    pub replay_time: Duration,
}

/// Java looks at no more candidates than this.
const CANDIDATES: usize = 100;

/// Recovers what the files hold into `replica`.
pub fn recover(
    files: &dyn Files,
    options: &RecoveryOptions,
    replica: &mut dyn Replica,
) -> Result<Recovered, RecoveryError> {
    let listing = Listing::read(files, options)?;
    let mark = at(
        &options.logs.join(MARK_NAME),
        "read",
        Mark::read(files, &options.logs),
    )?;
    let began = Instant::now();
    let (restored, skipped) = restore(files, options, &listing, replica)?;
    let restore_time = began.elapsed();
    let began = Instant::now();
    let mut replay = Replay::new(files, options, replica, mark, restored.as_ref());
    let (last, done) = replay.run(&listing)?;
    let is_lost = |skipped: &Skipped| skipped.was_whole() && skipped.zxid > last;
    if let Some(lost) = skipped.iter().position(is_lost) {
        let skipped = skipped.into_iter().nth(lost);
        return Err(skipped.map_or_else(
            || unreachable!("it was found at this place"),
            |skipped| RecoveryError::SnapshotLost {
                file: options.snapshots.join(skipped.name),
                reason: skipped.reason,
                last,
            },
        ));
    }
    if let Some(unsure) = &done.unsure {
        at(&unsure.file, "make durable", harden(files, unsure))?;
    }
    let mut removed = Vec::new();
    repair(
        files,
        &done.cut,
        &done.remove,
        &listing.leftovers,
        &mut removed,
    )?;
    let recovered = Recovered {
        fresh: restored.is_none() && done.txns == 0,
        snapshot: restored.map(|restored| restored.zxid),
        last,
        txns: done.txns,
        logs: done.logs,
        cut: done
            .cut
            .into_iter()
            .filter(|(_, torn)| *torn)
            .map(|(cut, _)| cut)
            .collect(),
        removed,
        skipped,
        doubtful: done.doubtful,
        restore_time,
        replay_time: began.elapsed(),
    };
    recovered.tell();
    Ok(recovered)
}

impl Recovered {
    fn tell(&self) {
        for skipped in &self.skipped {
            tracing::warn!(file = skipped.name, reason = %skipped.reason, "snapshot skipped");
        }
        for cut in &self.cut {
            let (file, lost) = (cut.file.display(), cut.size - cut.at);
            tracing::warn!(%file, at = cut.at, lost, "torn end of the log cut");
        }
        for file in &self.removed {
            tracing::warn!(file = %file.display(), "leftover of a crash removed");
        }
    }
}

fn at<T>(path: &Path, doing: &'static str, result: io::Result<T>) -> Result<T, RecoveryError> {
    result.map_err(|source| RecoveryError::Io {
        path: path.to_path_buf(),
        doing,
        source,
    })
}

/// What is in the two directories.
#[derive(Debug)]
struct Listing {
    /// Oldest first.
    logs: Vec<(Zxid, PathBuf)>,
    /// Newest first.
    snapshots: Vec<(Zxid, Compression, String)>,
    leftovers: Vec<PathBuf>,
}

impl Listing {
    fn read(files: &dyn Files, options: &RecoveryOptions) -> Result<Self, RecoveryError> {
        let mut listing = Self {
            logs: Vec::new(),
            snapshots: Vec::new(),
            leftovers: Vec::new(),
        };
        for entry in list(files, &options.snapshots)? {
            if let Some(FileName::Snapshot(zxid, compression)) = FileName::parse(&entry.name) {
                listing.snapshots.push((zxid, compression, entry.name));
            } else if is_leftover(&entry.name) {
                listing.leftovers.push(options.snapshots.join(entry.name));
            }
        }
        for entry in list(files, &options.logs)? {
            let path = options.logs.join(&entry.name);
            if let Some(FileName::Log(zxid)) = FileName::parse(&entry.name) {
                listing.logs.push((zxid, path));
            } else if is_leftover(&entry.name) && options.logs != options.snapshots {
                listing.leftovers.push(path);
            }
        }
        listing.logs.sort();
        listing.snapshots.sort_by(|a, b| b.cmp_newest(a));
        Ok(listing)
    }
}

trait Newest {
    fn cmp_newest(&self, other: &Self) -> std::cmp::Ordering;
}

impl Newest for (Zxid, Compression, String) {
    fn cmp_newest(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, &self.2).cmp(&(other.0, &other.2))
    }
}

fn list(files: &dyn Files, dir: &Path) -> Result<Vec<Entry>, RecoveryError> {
    match files.list(dir) {
        Ok(mut entries) => {
            entries.retain(|entry| entry.kind != Kind::Dir);
            Ok(entries)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => at(dir, "list the directory", Err(error)),
    }
}

/// A snapshot whose writing was interrupted. Other files ending so are not ours, and the epochs' mean
/// something to Java: only with them does it forgive a `currentEpoch` that is behind.
fn is_leftover(name: &str) -> bool {
    FileName::parse(name) == Some(FileName::Tmp) && name.starts_with("snapshot.")
}

/// The snapshot in the replica.
#[derive(Debug)]
struct Restored {
    zxid: Zxid,
    path: PathBuf,
    digest: Option<TreeDigest>,
}

fn restore(
    files: &dyn Files,
    options: &RecoveryOptions,
    listing: &Listing,
    replica: &mut dyn Replica,
) -> Result<(Option<Restored>, Vec<Skipped>), RecoveryError> {
    let mut skipped = Vec::new();
    let mut candidates = 0;
    for (zxid, compression, name) in &listing.snapshots {
        let path = options.snapshots.join(name);
        let whole = looks_whole(files, &path, *compression);
        let result = match whole {
            Ok(false) => Err(SkipReason::NotWhole),
            Err(error) => Err(SkipReason::Unreadable(error.into())),
            Ok(true) if candidates == CANDIDATES => break,
            Ok(true) => {
                candidates += 1;
                restore_from(files, options, &path, *zxid, replica)
            }
        };
        let (zxid, name) = (*zxid, name.clone());
        match result {
            Ok(digest) => {
                let restored = Restored { zxid, path, digest };
                check_restored(&restored, replica)?;
                return Ok((Some(restored), skipped));
            }
            Err(reason) => skipped.push(Skipped { name, zxid, reason }),
        }
    }
    // What does not even look whole was never finished: as for Java, it is no snapshot at all.
    if skipped.iter().any(Skipped::was_whole) {
        return Err(RecoveryError::NoUsableSnapshot {
            dir: options.snapshots.clone(),
            tried: skipped,
        });
    }
    replica.start_empty();
    Ok((None, skipped))
}

fn restore_from(
    files: &dyn Files,
    options: &RecoveryOptions,
    path: &Path,
    zxid: Zxid,
    replica: &mut dyn Replica,
) -> Result<Option<TreeDigest>, SkipReason> {
    replica.reset();
    let end = read_snapshot(files, path, options.limits, replica)?;
    replica
        .restored(zxid)
        .map_err(|reason| crate::disk::snapshot::SnapshotError::Refused {
            at: end.bytes,
            reason,
        })?;
    Ok(end.digest)
}

/// A digest of the snapshot's own zxid is compared now; an older one says nothing about a tree that was
/// written while it changed; a newer one waits for the replay.
fn check_restored(restored: &Restored, replica: &dyn Replica) -> Result<(), RecoveryError> {
    let digest = restored.digest.filter(|found| found.zxid == restored.zxid);
    compare(
        digest.map(|found| found.digest),
        replica,
        |expected, computed| RecoveryError::DigestMismatch {
            file: restored.path.clone(),
            offset: 0,
            zxid: restored.zxid,
            expected,
            computed,
        },
    )
}

fn compare(
    expected: Option<TxnDigest>,
    replica: &dyn Replica,
    error: impl FnOnce(u64, u64) -> RecoveryError,
) -> Result<(), RecoveryError> {
    match (expected, replica.digest()) {
        // Java writes 0 for a database in which nothing ever happened.
        (Some(TxnDigest { digest: 0, .. }), _) => Ok(()),
        (Some(expected), Some(computed))
            if expected.version == TxnDigest::VERSION && expected.digest != computed =>
        {
            Err(error(expected.digest, computed))
        }
        _ => Ok(()),
    }
}

fn harden(files: &dyn Files, unsure: &Unsure) -> io::Result<()> {
    const PIECE: u64 = 1 << 20;
    if unsure.from >= unsure.to {
        return Ok(());
    }
    let handle = files.open(&unsure.file)?;
    let mut at = unsure.from;
    while at < unsure.to {
        let len = usize::try_from((unsure.to - at).min(PIECE)).unwrap_or(usize::MAX);
        let mut piece = vec![0; len];
        let read = handle.read_at(at, &mut piece)?;
        if read != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        handle.write_at(at, &piece)?;
        at += len as u64;
    }
    handle.sync()?;
    files.sync_dir(unsure.file.parent().unwrap_or(Path::new(".")))
}

fn repair(
    files: &dyn Files,
    cuts: &[(Cut, bool)],
    remove: &[PathBuf],
    leftovers: &[PathBuf],
    removed: &mut Vec<PathBuf>,
) -> Result<(), RecoveryError> {
    for (cut, _) in cuts {
        let done = files.open(&cut.file).and_then(|handle| {
            handle.set_size(cut.at)?;
            handle.sync()
        });
        at(&cut.file, "cut the torn end", done)?;
    }
    for path in remove.iter().chain(leftovers) {
        at(path, "remove", files.remove(path))?;
        removed.push(path.clone());
    }
    let mut dirs: Vec<_> = removed.iter().filter_map(|path| path.parent()).collect();
    dirs.dedup();
    for dir in dirs {
        at(dir, "sync the directory", files.sync_dir(dir))?;
    }
    Ok(())
}
