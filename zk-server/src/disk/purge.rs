//! What is old enough to go (P28).
//!
//! The plan is pure: from what is there to what is removed. It keeps the newest snapshots that have been
//! read to their last seal, every log that begins after the oldest of them, and the one log before that,
//! which may reach into it. What is newer than the oldest kept snapshot stays, damaged or not: it is
//! evidence, or about to be finished.

use super::files::{Files, Kind, Space};
use super::leave::Leave;
use super::names::{Compression, FileName};
use super::reclaim::Removed;
use super::snapshot::{SnapshotError, SnapshotLimits, verify_snapshot};
use std::io;
use std::path::{Path, PathBuf};
use zk_proto::Zxid;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How many snapshots (`autopurge.snapRetainCount`).
    pub keep: usize,
    /// Below how many free bytes only the two newest snapshots are kept; 0 for never.
    pub low_space: u64,
}

/// One snapshot may turn out bad; with two there is still one.
const KEEP_WHEN_LOW: usize = 2;

impl Retention {
    /// How many snapshots are kept with this much room.
    pub fn keep_with(&self, space: Space) -> usize {
        if space.free < self.low_space {
            self.keep.min(KEEP_WHEN_LOW)
        } else {
            self.keep
        }
    }
}

/// A snapshot there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFound {
    /// The zxid in its name.
    pub zxid: Zxid,
    /// Its name.
    pub name: String,
    /// Whether it was read to its last seal.
    pub verified: bool,
}

/// A log there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFound {
    /// The zxid in its name.
    pub first: Zxid,
    /// Its name.
    pub name: String,
}

/// What goes, each oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgePlan {
    /// The names of snapshots.
    pub snapshots: Vec<String>,
    /// The names of logs.
    pub logs: Vec<String>,
}

/// Decides what goes. `held` is the oldest snapshot in use elsewhere, being sent to a learner for one:
/// it and all that follows it stay.
pub fn plan(
    snapshots: &[SnapshotFound],
    logs: &[LogFound],
    keep: usize,
    held: Option<Zxid>,
) -> PurgePlan {
    let mut verified: Vec<_> = snapshots.iter().filter(|found| found.verified).collect();
    verified.sort_by_key(|found| std::cmp::Reverse(found.zxid));
    // Two files of one zxid, packed and not, are one snapshot.
    verified.dedup_by_key(|found| found.zxid);
    let Some(oldest) = verified.iter().take(keep.max(1)).next_back() else {
        return PurgePlan::default();
    };
    let oldest = held.map_or(oldest.zxid, |held| held.min(oldest.zxid));
    let reaching = logs
        .iter()
        .map(|log| log.first)
        .filter(|first| *first <= oldest)
        .max();
    let mut old_snapshots: Vec<_> = snapshots
        .iter()
        .filter(|found| found.zxid < oldest)
        .collect();
    old_snapshots.sort_by_key(|found| found.zxid);
    let mut old_logs: Vec<_> = logs
        .iter()
        .filter(|log| Some(log.first) < reaching)
        .collect();
    old_logs.sort_by_key(|log| log.first);
    PurgePlan {
        snapshots: old_snapshots
            .into_iter()
            .map(|found| found.name.clone())
            .collect(),
        logs: old_logs.into_iter().map(|log| log.name.clone()).collect(),
    }
}

/// Where to purge.
#[derive(Clone, Debug)]
pub struct PurgeDirs {
    /// `dataDir/version-2`
    pub snapshots: PathBuf,
    /// `dataLogDir/version-2`
    pub logs: PathBuf,
}

/// The snapshots there were at one moment, those to be kept read to their last seal.
#[derive(Debug)]
pub struct Looked {
    snapshots: Vec<SnapshotFound>,
    keep: usize,
}

impl Looked {
    /// Reads the snapshots that are to be kept. Takes long: not for the loop, and nobody needs to wait for it. Who is
    /// asked to leave meanwhile has removed nothing.
    pub fn at(
        files: &dyn Files,
        dirs: &PurgeDirs,
        retention: Retention,
        limits: SnapshotLimits,
        leave: &Leave,
    ) -> io::Result<Self> {
        let keep = retention.keep_with(files.space(&dirs.snapshots)?);
        let snapshots = find_snapshots(files, &dirs.snapshots, keep, limits, leave)?;
        Ok(Self { snapshots, keep })
    }

    /// Decides, and removes, durably. Nobody has cut or replaced the history since it was looked at.
    pub fn remove(
        &self,
        files: &dyn Files,
        dirs: &PurgeDirs,
        held: Option<Zxid>,
    ) -> io::Result<(PurgePlan, Removed)> {
        let logs = find_logs(files, &dirs.logs)?;
        let plan = plan(&self.snapshots, &logs, self.keep, held);
        // Snapshots first: one whose logs are gone would only pretend to be of use.
        let mut removed = Removed::default();
        removed.take(files, &dirs.snapshots, &plan.snapshots)?;
        removed.take(files, &dirs.logs, &plan.logs)?;
        Ok((plan, removed))
    }
}

/// Lists the snapshots and reads as many of the newest as will be kept.
fn find_snapshots(
    files: &dyn Files,
    dir: &Path,
    keep: usize,
    limits: SnapshotLimits,
    leave: &Leave,
) -> io::Result<Vec<SnapshotFound>> {
    let mut found: Vec<(Zxid, Compression, String)> = Vec::new();
    for entry in files
        .list(dir)?
        .into_iter()
        .filter(|entry| entry.kind == Kind::File)
    {
        if let Some(FileName::Snapshot(zxid, compression)) = FileName::parse(&entry.name) {
            found.push((zxid, compression, entry.name));
        }
    }
    found.sort_by_key(|(zxid, _, _)| std::cmp::Reverse(*zxid));
    let mut missing = keep.max(1);
    let mut snapshots = Vec::new();
    for (zxid, _, name) in found {
        let mut verified = false;
        if missing > 0 {
            match verify_snapshot(files, &dir.join(&name), limits, leave) {
                Ok(_) => {
                    verified = true;
                    missing -= 1;
                }
                Err(SnapshotError::Io(error)) => return Err(error),
                Err(error) => tracing::warn!(file = name, %error, "a snapshot is damaged"),
            }
        }
        snapshots.push(SnapshotFound {
            zxid,
            name,
            verified,
        });
    }
    Ok(snapshots)
}

fn find_logs(files: &dyn Files, dir: &Path) -> io::Result<Vec<LogFound>> {
    let mut logs = Vec::new();
    for entry in files
        .list(dir)?
        .into_iter()
        .filter(|entry| entry.kind == Kind::File)
    {
        if let Some(FileName::Log(first)) = FileName::parse(&entry.name) {
            let name = entry.name;
            logs.push(LogFound { first, name });
        }
    }
    Ok(logs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Snapshots as `34` or, damaged, `34!`; what is removed, in order.
    fn check(snapshots: &str, logs: &str, keep: usize, held: Option<i64>, expected: &str) {
        let number = |text: &str| Zxid::from_wire(i64::from_str_radix(text, 16).unwrap());
        let snapshots: Vec<_> = snapshots
            .split_whitespace()
            .map(|text| SnapshotFound {
                zxid: number(text.trim_end_matches('!')),
                name: format!("s{}", text.trim_end_matches('!')),
                verified: !text.ends_with('!'),
            })
            .collect();
        let logs: Vec<_> = logs
            .split_whitespace()
            .map(|text| LogFound {
                first: number(text),
                name: format!("l{text}"),
            })
            .collect();
        let plan = plan(&snapshots, &logs, keep, held.map(Zxid::from_wire));
        let removed = [plan.snapshots, plan.logs].concat().join(" ");
        assert_eq!(removed, expected);
    }

    #[test]
    fn the_newest_snapshots_and_their_logs_stay() {
        check("0 10 20 30 40", "1 11 21 31 41", 3, None, "s0 s10 l1");
        check("40 30 20 10 0", "41 31 21 11 1", 3, None, "s0 s10 l1");
        check("0 10", "1 11", 3, None, "");
        check("", "1 11", 3, None, "");
    }

    #[test]
    fn the_log_that_reaches_into_the_oldest_kept_snapshot_stays() {
        check("10 20 30", "1 8 1b 25", 2, None, "s10 l1 l8");
        check("10 20 30", "1 8 20 25", 2, None, "s10 l1 l8");
        check("10 20 30", "1 8 21 25", 2, None, "s10 l1");
    }

    #[test]
    fn damaged_snapshots_do_not_count() {
        check("10 20 30! 40! 50!", "1 11 21 31 41 51", 2, None, "");
        check("0 10 20 30! 40! 50!", "1 11 21 31", 2, None, "s0");
        check("10! 20! 30!", "1 11 21", 3, None, "");
    }

    #[test]
    fn a_snapshot_in_use_holds_what_follows_it() {
        check(
            "0 10 20 30 40",
            "1 11 21 31 41",
            1,
            None,
            "s0 s10 s20 s30 l1 l11 l21",
        );
        check("0 10 20 30 40", "1 11 21 31 41", 1, Some(0x20), "s0 s10 l1");
    }

    #[test]
    fn little_space_keeps_little() {
        let retention = Retention {
            keep: 5,
            low_space: 100,
        };
        let total = 1000;
        assert_eq!(retention.keep_with(Space { free: 100, total }), 5);
        assert_eq!(retention.keep_with(Space { free: 99, total }), 2);
        let one = Retention {
            keep: 1,
            ..retention
        };
        assert_eq!(one.keep_with(Space { free: 0, total }), 1);
    }
}
