//! Taking back what was never committed, on a new leader's word (O5).
//!
//! Nothing may be left that could bring it back: not the durable mark that vouches for it, not a
//! snapshot that holds it (ZOOKEEPER-4837), not a later log. They go in this order, each durably, and
//! the cut comes last; a crash in between leaves a history that the leader will cut again.
//!
//! A snapshot's name says only where its writing began. What stays has been read, and ends before the cut.

mod plan;
#[cfg(test)]
mod tests;

use super::files::Files;
use super::mark::Mark;
use super::purge::PurgeDirs;
use super::snapshot::SnapshotLimits;
use plan::Plan;
use std::io;
use std::path::{Path, PathBuf};
use zk_proto::Zxid;

/// Why nothing was truncated. A server that could not obey must not go on (S32).
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the fields are named for what the messages say"
)]
pub enum TruncateError {
    /// The disk failed, perhaps half way.
    #[error("{}: cannot {doing}: {source}; check the disk before restarting", path.display())]
    Io {
        path: PathBuf,
        doing: &'static str,
        source: io::Error,
    },
    /// The place is not in this history: the leader meant another one. Nothing was changed.
    #[error(
        "{}: neither a log nor a snapshot ends with {zxid}, to which the leader truncates; move the data \
         directory aside, keeping myid, and let the server fetch its data anew", dir.display()
    )]
    Unknown { dir: PathBuf, zxid: Zxid },
    /// No snapshot is surely free of what is to go, with logs from there on. Nothing was changed; the
    /// leader's snapshot is what helps.
    #[error(
        "{}: every snapshot is later than {zxid}, to which the leader truncates, or was perhaps still being \
         written then, or the logs do not lead from it there; move the data directory aside, keeping myid, \
         and let the server fetch its data anew", dir.display()
    )]
    NoBase { dir: PathBuf, zxid: Zxid },
}

/// How much of a log and of a snapshot is believed.
#[derive(Clone, Copy, Debug)]
pub struct TruncateLimits {
    /// The longest transaction.
    pub txn: usize,
    /// The bounds of a snapshot.
    pub snapshots: SnapshotLimits,
}

/// Cuts logs and snapshots behind `zxid`. No [`super::log::Log`] may be open on the directory; what is
/// in memory is stale afterwards and must be recovered again. Reads every snapshot that may stay.
pub fn truncate(
    files: &dyn Files,
    dirs: &PurgeDirs,
    zxid: Zxid,
    limits: TruncateLimits,
) -> Result<(), TruncateError> {
    let plan = Plan::make(files, dirs, zxid, limits)?;
    at(
        &dirs.logs,
        "forget the durable mark",
        Mark::forget(files, &dirs.logs),
    )?;
    remove(files, &dirs.snapshots, &plan.snapshots)?;
    remove(files, &dirs.logs, &plan.logs)?;
    if let Some((path, end)) = &plan.cut {
        let cut = files.open(path).and_then(|handle| {
            handle.set_size(*end)?;
            handle.sync()
        });
        at(path, "truncate", cut)?;
    }
    Ok(())
}

/// Forgets everything that came before the snapshot of `zxid`, which is durable and whole: all other snapshots
/// and all logs, newest first (O6). What is left at any moment is that snapshot, or it and the beginning of
/// the history that it replaces. No [`super::log::Log`] may be open on the directory.
pub fn forget_history(
    files: &dyn Files,
    dirs: &PurgeDirs,
    zxid: Zxid,
) -> Result<(), TruncateError> {
    at(
        &dirs.logs,
        "forget the durable mark",
        Mark::forget(files, &dirs.logs),
    )?;
    remove(
        files,
        &dirs.snapshots,
        &plan::other_snapshots(files, dirs, zxid)?,
    )?;
    remove(files, &dirs.logs, &plan::all_logs(files, dirs)?)
}

fn at<T>(path: &Path, doing: &'static str, result: io::Result<T>) -> Result<T, TruncateError> {
    result.map_err(|source| TruncateError::Io {
        path: path.to_path_buf(),
        doing,
        source,
    })
}

fn remove(files: &dyn Files, dir: &Path, paths: &[PathBuf]) -> Result<(), TruncateError> {
    for path in paths {
        at(path, "remove", files.remove(path))?;
    }
    if paths.is_empty() {
        return Ok(());
    }
    at(dir, "sync the directory", files.sync_dir(dir))
}
