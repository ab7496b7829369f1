//! A part of the history as the logs hold it, for a learner that misses more than memory remembers.
//!
//! It is offered only if the logs lead from the learner's last transaction to the asked end without a hole, and
//! if it is small beside a snapshot. Where the epoch steps, the logs alone cannot tell whether the last of the
//! old one is missing: a snapshot that stands between the two says that it may be, because a Java member that
//! was sent one keeps its older logs (S16, ZOOKEEPER-2418).
//!
//! The files stay open from the look to the last record, so that removing them meanwhile harms nobody (P28).

use super::files::{Entry, Files, Kind};
use super::names::FileName;
use super::reader::{LogReader, Next};
use super::recovery::follows;
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};
use zk_proto::Zxid;

/// Where the files are, and how much of them is believed.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// `dataDir/version-2`.
    pub snapshots: PathBuf,
    /// `dataLogDir/version-2`.
    pub logs: PathBuf,
    /// The longest transaction.
    pub txn_limit: usize,
}

/// What follows one transaction up to another, ready to be read.
#[derive(Debug)]
pub struct Stretch {
    readers: std::vec::IntoIter<LogReader>,
    current: Option<LogReader>,
    after: Zxid,
    through: Zxid,
}

/// More than this part of the newest snapshot is not worth being read; Java's `snapshotSizeFactor`.
const PART_OF_SNAPSHOT: u64 = 3;
/// So much is sent in any case before a whole tree is.
const ALWAYS: u64 = 4 << 20;
/// Open at once, at most; a snapshot is better than more of them.
const MOST_FILES: usize = 64;

impl Stretch {
    /// Looks whether the logs hold everything behind `after` up to `through`, and whether that is cheaper than a
    /// snapshot. Reads it once, a piece at a time.
    pub fn find(
        files: &dyn Files,
        shelf: &Shelf,
        after: Zxid,
        through: Zxid,
    ) -> io::Result<Option<Self>> {
        let snapshots = named(files, &shelf.snapshots, |name| match name {
            FileName::Snapshot(zxid, _) => Some(zxid),
            FileName::Log(_) | FileName::Tmp => None,
        })?;
        let logs = named(files, &shelf.logs, |name| match name {
            FileName::Log(zxid) => Some(zxid),
            FileName::Snapshot(..) | FileName::Tmp => None,
        })?;
        let newest = snapshots.last().map_or(0, |(_, entry)| entry.len);
        let budget = (newest / PART_OF_SNAPSHOT).max(ALWAYS);
        let begins = logs.partition_point(|(first, _)| *first <= after);
        let open = |(_, entry): &(Zxid, Entry)| {
            let path = shelf.logs.join(&entry.name);
            let reader = LogReader::open(files, &path, shelf.txn_limit, None)?;
            reader.keep_whole()?;
            Ok(reader)
        };
        let readers = || -> io::Result<Vec<LogReader>> {
            logs.iter()
                .skip(begins.saturating_sub(1))
                .take_while(|(first, _)| *first <= through)
                .map(open)
                .collect()
        };
        let reaching = logs.partition_point(|(first, _)| *first <= through);
        if reaching > begins + MOST_FILES {
            return Ok(None);
        }
        let mut look = Self::over(readers()?, Zxid::NONE, through);
        let mut chain = Chain {
            after,
            last: None,
            snapshots: snapshots.iter().map(|(zxid, _)| *zxid).collect(),
        };
        let mut bytes = 0;
        while let Some((zxid, payload)) = look.advance()? {
            if zxid > after {
                bytes += payload.len() as u64;
            }
            if !chain.takes(zxid) || bytes > budget {
                return Ok(None);
            }
        }
        let whole = chain.last == Some(through);
        Ok(if whole {
            Some(Self::over(readers()?, after, through))
        } else {
            None
        })
    }

    fn over(readers: Vec<LogReader>, after: Zxid, through: Zxid) -> Self {
        let mut readers = readers.into_iter();
        Self {
            current: readers.next(),
            readers,
            after,
            through,
        }
    }

    /// The next transaction, none behind the last.
    pub fn advance(&mut self) -> io::Result<Option<(Zxid, Bytes)>> {
        while let Some(reader) = &mut self.current {
            match reader.advance()? {
                Next::Entry(entry) if entry.zxid > self.through => self.current = None,
                Next::Entry(entry) if entry.zxid > self.after => {
                    self.after = entry.zxid;
                    if entry.zxid == self.through {
                        self.current = None;
                    }
                    return Ok(Some((entry.zxid, entry.payload)));
                }
                Next::Entry(_) => {}
                Next::End(_) => self.current = self.readers.next(),
            }
        }
        Ok(None)
    }

    /// The last transaction read, and whether it was the last of all.
    pub fn is_read(&self) -> bool {
        self.after == self.through
    }
}

/// Whether transactions lead on from a learner's last one.
struct Chain {
    after: Zxid,
    last: Option<Zxid>,
    snapshots: Vec<Zxid>,
}

impl Chain {
    /// Whether this one may come next.
    fn takes(&mut self, zxid: Zxid) -> bool {
        if zxid < self.after {
            return true;
        }
        let leads_on = match self.last {
            None if zxid == self.after => true,
            // A learner at the opening of an epoch has everything before it.
            None => {
                self.after.counter() == 0
                    && self.after > Zxid::ZERO
                    && self.after.next() == Some(zxid)
            }
            Some(last) => follows(last, zxid) && !self.may_lack(last, zxid),
        };
        self.last = Some(zxid);
        leads_on
    }

    fn may_lack(&self, last: Zxid, next: Zxid) -> bool {
        let between = |zxid: &Zxid| *zxid > last && *zxid < next;
        last.epoch() != next.epoch() && self.snapshots.iter().any(between)
    }
}

/// The files of a kind, oldest first.
fn named(
    files: &dyn Files,
    dir: &Path,
    zxid_of: impl Fn(FileName) -> Option<Zxid>,
) -> io::Result<Vec<(Zxid, Entry)>> {
    let entries = files.list(dir)?.into_iter();
    let entries = entries.filter(|entry| entry.kind == Kind::File);
    let named = entries.filter_map(|entry| Some((zxid_of(FileName::parse(&entry.name)?)?, entry)));
    let mut named: Vec<_> = named.collect();
    named.sort_by_key(|(zxid, _)| *zxid);
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fake::FaultyFiles;
    use crate::disk::files::replace;
    use crate::disk::store::{LogStore, StoreOptions};
    use crate::disk::testing::transaction;

    const EPOCH: i64 = 1 << 32;

    fn zxid(wire: i64) -> Zxid {
        Zxid::from_wire(wire)
    }

    fn shelf() -> Shelf {
        Shelf {
            snapshots: "/data".into(),
            logs: "/data".into(),
            txn_limit: 1 << 20,
        }
    }

    /// Logs of these transactions, a file each, and empty snapshots.
    fn disk(logs: &[&[i64]], snapshots: &[i64], len: usize) -> FaultyFiles {
        let files = FaultyFiles::new(1);
        files.create_dir(Path::new("/data")).unwrap();
        for log in logs {
            let mut options = StoreOptions::new("/data".into());
            options.preallocate = 1 << 16;
            let before = zxid(log[0] - 1);
            let mut store = LogStore::new(std::sync::Arc::new(files.clone()), options, before);
            for wire in *log {
                store.write(&[transaction(*wire, len)]).unwrap();
            }
            store.sync().unwrap();
        }
        for wire in snapshots {
            let path = format!("/data/snapshot.{wire:x}");
            replace(&files, Path::new(&path), b"").unwrap();
        }
        files
    }

    fn read(files: &FaultyFiles, after: i64, through: i64) -> Option<Vec<i64>> {
        let found = Stretch::find(files, &shelf(), zxid(after), zxid(through));
        let mut stretch = found.unwrap()?;
        let mut read = Vec::new();
        while let Some((zxid, payload)) = stretch.advance().unwrap() {
            assert_eq!(payload, transaction(zxid.to_wire(), 10).payload);
            read.push(zxid.to_wire());
        }
        Some(read)
    }

    #[test]
    fn what_the_logs_hold_is_found_across_files() {
        let files = disk(&[&[1, 2, 3], &[4, 5], &[EPOCH + 1, EPOCH + 2]], &[0], 10);
        assert_eq!(read(&files, 1, 3), Some(vec![2, 3]));
        assert_eq!(read(&files, 2, 5), Some(vec![3, 4, 5]));
        assert_eq!(read(&files, 5, EPOCH + 2), Some(vec![EPOCH + 1, EPOCH + 2]));
        assert_eq!(read(&files, EPOCH, EPOCH + 1), Some(vec![EPOCH + 1]));
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        let files = disk(&[&[3, 4], &[6, 7], &[EPOCH + 1]], &[0], 10);
        assert_eq!(read(&files, 2, 4), None, "its own last one is not known");
        assert_eq!(read(&files, 0, 4), None, "nor is what an empty one lacks");
        assert_eq!(read(&files, 3, 7), None, "a hole (I16)");
        assert_eq!(read(&files, 3, 9), None, "the end is not there");
        assert_eq!(read(&files, 8, EPOCH + 1), None, "it went another way");
        assert_eq!(read(&files, 2 * EPOCH, EPOCH + 1), None);
    }

    #[test]
    fn a_snapshot_between_two_epochs_may_hold_what_the_logs_do_not() {
        let files = disk(&[&[1, 2], &[EPOCH + 1]], &[EPOCH], 10);
        assert_eq!(read(&files, 1, EPOCH + 1), None, "(S16)");
        assert_eq!(read(&files, 1, 2), Some(vec![2]));
    }

    #[test]
    fn more_than_a_snapshot_is_worth_is_not_offered() {
        let logs: Vec<i64> = (1..=90).collect();
        let files = disk(&[&logs], &[0], 60_000);
        let find = |after| Stretch::find(&files, &shelf(), zxid(after), zxid(90));
        assert!(find(1).unwrap().is_none());
        assert!(find(60).unwrap().is_some());
    }

    #[test]
    fn files_that_go_meanwhile_are_read_to_the_end() {
        let files = disk(&[&[1, 2], &[3, 4]], &[0], 10);
        let found = Stretch::find(&files, &shelf(), zxid(1), zxid(4));
        let mut stretch = found.unwrap().unwrap();
        for name in ["log.1", "log.3"] {
            files.remove(&Path::new("/data").join(name)).unwrap();
        }
        let mut read = Vec::new();
        while let Some((zxid, _)) = stretch.advance().unwrap() {
            read.push(zxid.to_wire());
        }
        assert_eq!(read, [2, 3, 4], "(P28)");
    }
}
