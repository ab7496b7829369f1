//! What a truncation removes and where it cuts, decided before anything is touched.

use super::{TruncateError, TruncateLimits, at};
use crate::disk::files::{Files, Kind};
use crate::disk::leave::Leave;
use crate::disk::names::FileName;
use crate::disk::purge::PurgeDirs;
use crate::disk::reader::{LogReader, Next};
use crate::disk::record::HEADER_LEN;
use crate::disk::recovery::{History, Place};
use crate::disk::snapshot::{SnapshotError, SnapshotLimits, verify_snapshot};
use std::path::{Path, PathBuf};
use zk_proto::Zxid;

/// What goes, newest first, and where the last log is cut.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) snapshots: Vec<PathBuf>,
    pub(super) logs: Vec<PathBuf>,
    pub(super) cut: Option<(PathBuf, u64)>,
}

impl Plan {
    pub(super) fn make(
        files: &dyn Files,
        dirs: &PurgeDirs,
        zxid: Zxid,
        limits: TruncateLimits,
    ) -> Result<Self, TruncateError> {
        let snapshots = named(files, &dirs.snapshots, snapshot_zxid)?;
        let logs = named(files, &dirs.logs, log_zxid)?;
        let mut plan = Self::default();
        let mut base = None;
        for (name, path) in snapshots {
            if name <= zxid && is_surely_within(files, &path, name, zxid, limits.snapshots)? {
                base = base.max(Some(name));
            } else {
                plan.snapshots.push(path);
            }
        }
        let (later, earlier) = split(logs, zxid);
        plan.logs = later.into_iter().map(|(_, path)| path).collect();
        let mut known = base == Some(zxid);
        if let Some((_, path)) = earlier.first() {
            let (end, last) = find_end(files, path, zxid, limits.txn)?;
            known |= last == Some(zxid);
            plan.cut = Some((path.clone(), end));
        }
        if !known {
            let dir = dirs.logs.clone();
            return Err(TruncateError::Unknown { dir, zxid });
        }
        match base {
            Some(base) if leads(files, &earlier, base, zxid, limits.txn)? => Ok(plan),
            Some(_) | None => {
                let dir = dirs.snapshots.clone();
                Err(TruncateError::NoBase { dir, zxid })
            }
        }
    }
}

/// All snapshots but that of `zxid`, newest first.
pub(super) fn other_snapshots(
    files: &dyn Files,
    dirs: &PurgeDirs,
    zxid: Zxid,
) -> Result<Vec<PathBuf>, TruncateError> {
    let named = named(files, &dirs.snapshots, snapshot_zxid)?;
    let others = named.into_iter().filter(|(name, _)| *name != zxid);
    Ok(others.map(|(_, path)| path).collect())
}

/// All logs, newest first.
pub(super) fn all_logs(files: &dyn Files, dirs: &PurgeDirs) -> Result<Vec<PathBuf>, TruncateError> {
    let named = named(files, &dirs.logs, log_zxid)?;
    Ok(named.into_iter().map(|(_, path)| path).collect())
}

/// Whether a snapshot can be restored and holds nothing later than `zxid`. What cannot be read is not sure
/// to hold nothing: with other limits it might be.
fn is_surely_within(
    files: &dyn Files,
    path: &Path,
    name: Zxid,
    zxid: Zxid,
    limits: SnapshotLimits,
) -> Result<bool, TruncateError> {
    match verify_snapshot(files, path, limits, &Leave::default()) {
        Ok(end) => Ok(end.reach(name).is_some_and(|reach| reach <= zxid)),
        Err(SnapshotError::Io(error)) => at(path, "read", Err(error)),
        Err(SnapshotError::Damaged { .. } | SnapshotError::Refused { .. }) => Ok(false),
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

/// Whether the logs, newest first, lead from the snapshot to `zxid` without a gap: a start would not find
/// out otherwise before the snapshots behind it are gone.
fn leads(
    files: &dyn Files,
    logs: &Named,
    base: Zxid,
    zxid: Zxid,
    txn_limit: usize,
) -> Result<bool, TruncateError> {
    let mut history = History::after(base);
    let reaching = logs.partition_point(|(first, _)| *first > base) + 1;
    for (_, path) in logs.iter().take(reaching).rev() {
        let mut reader = at(path, "open", LogReader::open(files, path, txn_limit, None))?;
        while let Next::Entry(entry) = at(path, "read", reader.advance())? {
            if entry.zxid > zxid {
                break;
            }
            match history.place(entry.zxid) {
                Place::Held | Place::Next => {}
                Place::Gap | Place::Back => return Ok(false),
            }
        }
    }
    Ok(history.last() == zxid)
}
