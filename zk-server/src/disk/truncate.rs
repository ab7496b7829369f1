//! Taking back what was never committed, on a new leader's word (O5).
//!
//! Nothing may be left that could bring it back: not the durable mark that vouches for it, not a
//! snapshot that holds it (ZOOKEEPER-4837), not a later log. They go in this order, each durably, and
//! the cut comes last; a crash in between leaves a history that the leader will cut again.

use super::files::{Files, Kind};
use super::mark::Mark;
use super::names::FileName;
use super::purge::PurgeDirs;
use super::reader::{LogReader, Next};
use super::record::HEADER_LEN;
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
    /// All snapshots are later. Nothing was changed.
    #[error(
        "{}: every snapshot is later than {zxid}, to which the leader truncates; move the data \
         directory aside, keeping myid, and let the server fetch its data anew", dir.display()
    )]
    NoBase { dir: PathBuf, zxid: Zxid },
}

/// Cuts logs and snapshots behind `zxid`. No [`super::log::Log`] may be open on the directory; what is
/// in memory is stale afterwards and must be recovered again.
pub fn truncate(
    files: &dyn Files,
    dirs: &PurgeDirs,
    zxid: Zxid,
    txn_limit: usize,
) -> Result<(), TruncateError> {
    let plan = Plan::make(files, dirs, zxid, txn_limit)?;
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

/// What goes, newest first, and where the last log is cut.
#[derive(Debug, Default)]
struct Plan {
    snapshots: Vec<PathBuf>,
    logs: Vec<PathBuf>,
    cut: Option<(PathBuf, u64)>,
}

impl Plan {
    fn make(
        files: &dyn Files,
        dirs: &PurgeDirs,
        zxid: Zxid,
        txn_limit: usize,
    ) -> Result<Self, TruncateError> {
        let snapshots = named(files, &dirs.snapshots, snapshot_zxid)?;
        let logs = named(files, &dirs.logs, log_zxid)?;
        let (later, base) = split(snapshots, zxid);
        let Some((newest_base, _)) = base.first() else {
            let dir = dirs.snapshots.clone();
            return Err(TruncateError::NoBase { dir, zxid });
        };
        let mut plan = Self {
            snapshots: later.into_iter().map(|(_, path)| path).collect(),
            ..Self::default()
        };
        let (later, earlier) = split(logs, zxid);
        plan.logs = later.into_iter().map(|(_, path)| path).collect();
        let mut known = *newest_base == zxid;
        if let Some((_, path)) = earlier.into_iter().next() {
            let (end, last) = find_end(files, &path, zxid, txn_limit)?;
            known |= last == Some(zxid);
            plan.cut = Some((path, end));
        }
        if !known {
            let dir = dirs.logs.clone();
            return Err(TruncateError::Unknown { dir, zxid });
        }
        Ok(plan)
    }
}

type Named = Vec<(Zxid, PathBuf)>;

/// The files of a kind, newest first.
fn named(
    files: &dyn Files,
    dir: &Path,
    zxid_of: fn(FileName) -> Option<Zxid>,
) -> Result<Named, TruncateError> {
    let entries = at(dir, "list the directory", files.list(dir))?;
    let mut named: Named = entries
        .into_iter()
        .filter(|entry| entry.kind == Kind::File)
        .filter_map(|entry| {
            Some((
                zxid_of(FileName::parse(&entry.name)?)?,
                dir.join(entry.name),
            ))
        })
        .collect();
    named.sort_by(|a, b| b.cmp(a));
    Ok(named)
}

const fn snapshot_zxid(name: FileName) -> Option<Zxid> {
    match name {
        FileName::Snapshot(zxid, _) => Some(zxid),
        FileName::Log(_) | FileName::Tmp => None,
    }
}

const fn log_zxid(name: FileName) -> Option<Zxid> {
    match name {
        FileName::Log(zxid) => Some(zxid),
        FileName::Snapshot(..) | FileName::Tmp => None,
    }
}

/// Those above `zxid`, and the rest.
fn split(named: Named, zxid: Zxid) -> (Named, Named) {
    named.into_iter().partition(|(of, _)| *of > zxid)
}

/// Where the records up to `zxid` end, and the last of them.
fn find_end(
    files: &dyn Files,
    path: &Path,
    zxid: Zxid,
    txn_limit: usize,
) -> Result<(u64, Option<Zxid>), TruncateError> {
    let mut reader = at(path, "open", LogReader::open(files, path, txn_limit, None))?;
    let (mut end, mut last) = (HEADER_LEN as u64, None);
    loop {
        match at(path, "read", reader.advance())? {
            Next::Entry(entry) if entry.zxid <= zxid => {
                end = reader.position();
                last = Some(entry.zxid);
            }
            Next::Entry(_) | Next::End(_) => return Ok((end, last)),
        }
    }
}

#[cfg(test)]
mod tests;
