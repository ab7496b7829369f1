//! The logs, one after the other, into the replica.

use super::history::{History, Place, follows};
use super::tail::{Proof, TailContext, Verdict, judge};
use super::{
    Cut, Listing, LogRead, RecoveryError, RecoveryOptions, Replica, Restored, at, compare,
};
use crate::disk::files::Files;
use crate::disk::mark::{MARK_NAME, Mark};
use crate::disk::reader::{LogEnd, LogEntry, LogReader, Next};
use crate::disk::record::{Defect, HEADER_LEN};
use std::path::{Path, PathBuf};
use zk_proto::Zxid;
use zk_proto::txn::TxnRecord;

pub(super) struct Replay<'a> {
    files: &'a dyn Files,
    options: &'a RecoveryOptions,
    replica: &'a mut dyn Replica,
    mark: Option<Mark>,
    restored: Option<&'a Restored>,
    history: History,
    /// An older log that ended badly and that the next record must continue.
    torn: Option<Torn>,
    /// Where the last log read ends.
    end: Option<(PathBuf, u64)>,
    done: Done,
}

/// What the replay found and what is to be done to the files.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) txns: u64,
    pub(super) logs: Vec<LogRead>,
    /// With each cut, whether anything is lost by it.
    pub(super) cut: Vec<(Cut, bool)>,
    pub(super) remove: Vec<PathBuf>,
    /// What was read of the newest log and may not be durable.
    pub(super) unsure: Option<Unsure>,
    /// No digest has agreed yet with a tree that may be a mixture.
    pub(super) doubtful: bool,
}

/// Bytes that read well and were perhaps never made durable.
#[derive(Debug)]
pub(super) struct Unsure {
    pub(super) file: PathBuf,
    pub(super) from: u64,
    pub(super) to: u64,
}

struct Torn {
    file: PathBuf,
    offset: u64,
    what: Defect,
    survivors: bool,
    /// The last record in that file.
    last: Option<Zxid>,
}

impl<'a> Replay<'a> {
    pub(super) fn new(
        files: &'a dyn Files,
        options: &'a RecoveryOptions,
        replica: &'a mut dyn Replica,
        mark: Option<Mark>,
        restored: Option<&'a Restored>,
    ) -> Self {
        Self {
            files,
            options,
            replica,
            mark,
            restored,
            history: History::after(restored.map_or(Zxid::ZERO, |restored| restored.zxid)),
            torn: None,
            end: None,
            done: Done {
                // The snapshot may be one that a leader sent while its tree changed.
                doubtful: restored.is_some_and(|restored| restored.digest.is_none()),
                ..Done::default()
            },
        }
    }

    pub(super) fn run(&mut self, listing: &Listing) -> Result<(Zxid, Done), RecoveryError> {
        let newest = listing.logs.last().map(|(first, _)| *first);
        for (first, path) in needed(&listing.logs, self.history.last()) {
            self.read_log(*first, path, newest == Some(*first))?;
        }
        if let Some(torn) = self.torn.take().filter(|torn| torn.survivors) {
            return Err(torn.lost(self.history.last(), None));
        }
        self.check_reached()?;
        Ok((self.history.last(), std::mem::take(&mut self.done)))
    }

    fn read_log(&mut self, first: Zxid, path: &Path, newest: bool) -> Result<(), RecoveryError> {
        let mark = self.mark.filter(|mark| mark.log == first);
        let limit = self.options.txn_limit;
        let mut reader = at(path, "open", LogReader::open(self.files, path, limit, mark))?;
        let (mut records, mut last) = (0, None);
        let end = loop {
            match at(path, "read", reader.advance())? {
                Next::Entry(entry) => {
                    self.take(path, &entry)?;
                    records += 1;
                    last = Some(entry.zxid);
                }
                Next::End(end) => break end,
            }
        };
        let mark = reader.mark();
        let context = TailContext {
            newest,
            marked: mark.map(|mark| mark.offset),
            drop_damaged_tail: self.options.drop_damaged_tail,
        };
        self.settle(path, &end, &context, last)?;
        if newest && records == 0 {
            // Nothing is in it, and its name is about to be used again, by us or by Java.
            self.remove_empty(path);
        } else {
            let from = mark.map_or(0, |mark| {
                let sealed = end.behind.sealed_from.unwrap_or(mark.offset);
                mark.offset.min(sealed).max(HEADER_LEN as u64)
            });
            let (file, to) = (path.to_path_buf(), end.at);
            self.done.unsure = Some(Unsure { file, from, to });
        }
        self.done.logs.push(LogRead {
            first,
            end: end.at,
            records,
        });
        self.end = Some((path.to_path_buf(), end.at));
        Ok(())
    }

    fn remove_empty(&mut self, path: &Path) {
        let torn = |(cut, torn): &(Cut, bool)| cut.file == path && *torn;
        if self.done.cut.iter().any(torn) || self.done.remove.iter().any(|file| file == path) {
            return;
        }
        self.done.cut.retain(|(cut, _)| cut.file != path);
        self.done.remove.push(path.to_path_buf());
    }

    fn take(&mut self, path: &Path, entry: &LogEntry) -> Result<(), RecoveryError> {
        let last = self.history.last();
        let (file, offset, found) = (path.to_path_buf(), entry.offset, entry.zxid);
        if self.restored.is_none() && !self.options.trust_empty {
            return Err(RecoveryError::LogsWithoutSnapshot {
                dir: self.options.snapshots.clone(),
                log: file,
                first: found,
            });
        }
        let place = self.history.place(found);
        if let Some(torn) = self.torn.take() {
            torn.check(&self.history, place, found)?;
        }
        match place {
            Place::Held => Ok(()),
            Place::Next => self.apply(path, entry),
            Place::Gap => Err(RecoveryError::Gap {
                file,
                offset,
                last,
                found,
            }),
            Place::Back => Err(RecoveryError::Regression {
                file,
                offset,
                last,
                found,
            }),
        }
    }

    fn apply(&mut self, path: &Path, entry: &LogEntry) -> Result<(), RecoveryError> {
        let (zxid, offset) = (entry.zxid, entry.offset);
        let record =
            TxnRecord::decode(&entry.payload, self.options.txn_limit).map_err(|source| {
                RecoveryError::Undecodable {
                    file: path.to_path_buf(),
                    offset,
                    zxid,
                    source,
                }
            })?;
        self.replica
            .apply(&record, &entry.payload)
            .map_err(|reason| RecoveryError::Refused {
                file: path.to_path_buf(),
                offset,
                zxid,
                reason,
            })?;
        self.done.txns += 1;
        let stamp = self.restored.and_then(|restored| restored.digest);
        let mismatch = |file: PathBuf| {
            move |expected, computed| RecoveryError::DigestMismatch {
                file,
                offset,
                zxid,
                expected,
                computed,
            }
        };
        // A snapshot written while the tree changed is no tree of any one time before its stamp.
        if let (Some(stamp), Some(restored)) = (stamp, self.restored) {
            if stamp.zxid > zxid {
                return Ok(());
            }
            if stamp.zxid == zxid {
                compare(
                    Some(stamp.digest),
                    self.replica,
                    mismatch(restored.path.clone()),
                )?;
            }
        }
        let compared = compare(record.digest, self.replica, mismatch(path.to_path_buf()));
        if self.done.doubtful {
            self.done.doubtful = record.digest.is_none() || compared.is_err();
            return Ok(());
        }
        compared
    }

    fn settle(
        &mut self,
        path: &Path,
        end: &LogEnd,
        context: &TailContext,
        last: Option<Zxid>,
    ) -> Result<(), RecoveryError> {
        let file = path.to_path_buf();
        let damaged = |proof: Proof| RecoveryError::Corrupt {
            file: file.clone(),
            offset: end.at,
            what: end.defect.unwrap_or(Defect::CutOff),
            proof,
        };
        match judge(end, context) {
            Verdict::Clean => self.check_length(path, end, context, last)?,
            Verdict::Cut { torn } => {
                let (at, size) = (end.at, end.size);
                self.done.cut.push((Cut { file, at, size }, torn));
            }
            Verdict::Remove => self.done.remove.push(file),
            Verdict::ContinueIfContiguous => {
                self.torn = Some(Torn {
                    file,
                    offset: end.at,
                    what: end.defect.unwrap_or(Defect::CutOff),
                    survivors: end.behind.survivor.is_some() || end.behind.unsure,
                    last,
                });
            }
            Verdict::Damaged(proof) => return Err(damaged(proof)),
        }
        Ok(())
    }

    /// A log that ends cleanly, but before what was durable of it.
    fn check_length(
        &self,
        path: &Path,
        end: &LogEnd,
        context: &TailContext,
        last: Option<Zxid>,
    ) -> Result<(), RecoveryError> {
        let short = context.marked.is_some_and(|marked| end.at < marked);
        match self.mark.filter(|_| short) {
            Some(mark) if !self.is_abandoned(&mark, last.unwrap_or(Zxid::ZERO)) => Err(self
                .too_short(
                    path.to_path_buf(),
                    end.at,
                    last.unwrap_or(Zxid::ZERO),
                    &mark,
                )),
            _ => Ok(()),
        }
    }

    /// Everything that was promised to be there must be.
    fn check_reached(&self) -> Result<(), RecoveryError> {
        let last = self.history.last();
        if let (Some(restored), Some(stamp)) = (
            self.restored,
            self.restored.and_then(|restored| restored.digest),
        ) && stamp.zxid > last
        {
            return Err(RecoveryError::SnapshotAhead {
                file: restored.path.clone(),
                needed: stamp.zxid,
                last,
            });
        }
        match &self.mark {
            Some(mark) if mark.zxid > last && !self.is_abandoned(mark, last) => {
                let (file, offset) = self.end.clone().unwrap_or_else(|| {
                    let offset = HEADER_LEN as u64;
                    (self.options.logs.clone(), offset)
                });
                Err(self.too_short(file, offset, last, mark))
            }
            _ => Ok(()),
        }
    }

    /// See the table in the module's documentation.
    fn is_abandoned(&self, mark: &Mark, last: Zxid) -> bool {
        let later = self.options.current_epoch > Some(mark.zxid.epoch());
        later && self.restored.is_some_and(|restored| restored.zxid >= last)
    }

    fn too_short(&self, file: PathBuf, offset: u64, last: Zxid, mark: &Mark) -> RecoveryError {
        RecoveryError::TooShort {
            file,
            offset,
            last,
            durable: mark.zxid,
            mark: self.options.logs.join(MARK_NAME),
        }
    }
}

impl Torn {
    /// Java drops a torn end without a trace and goes on in a new file. If the numbers go on too, nothing
    /// is missing; across epochs numbers prove nothing, and whole records in the dropped part count.
    fn check(self, history: &History, place: Place, found: Zxid) -> Result<(), RecoveryError> {
        let proven = match (place, self.last) {
            (Place::Held, _) | (_, None) => true,
            (Place::Next, Some(last)) => {
                !self.survivors || last.epoch() == found.epoch() && follows(last, found)
            }
            (Place::Gap | Place::Back, Some(_)) => false,
        };
        if proven {
            return Ok(());
        }
        Err(self.lost(history.last(), Some(found)))
    }

    fn lost(self, last: Zxid, found: Option<Zxid>) -> RecoveryError {
        RecoveryError::Lost {
            file: self.file,
            offset: self.offset,
            what: self.what,
            last,
            found,
        }
    }
}

/// The logs that may hold what comes after `zxid`: those that begin later, and the one before them.
fn needed(logs: &[(Zxid, PathBuf)], zxid: Zxid) -> &[(Zxid, PathBuf)] {
    let later = logs.partition_point(|(first, _)| *first <= zxid);
    logs.get(later.saturating_sub(1)..).unwrap_or_default()
}
