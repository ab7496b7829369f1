//! The two epochs a member has promised, each in a file of its own (P27).
//!
//! A file is one decimal number without a newline, replaced as a whole. What the two mean, and when
//! they rise, is the agreement's business; here they are only kept, and refused when they cannot be
//! trusted: a guessed epoch is a second promise for the first one's number.

use super::files::{Files, read_all, replace};
use std::io;
use std::path::{Path, PathBuf};
use zk_proto::{Epoch, Zxid};

/// The name of the file with the epoch promised to a leader.
pub const ACCEPTED: &str = "acceptedEpoch";
/// The name of the file with the epoch whose leader's history this member has.
pub const CURRENT: &str = "currentEpoch";

/// What the files say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// The highest epoch promised to a leader.
    pub accepted: Option<Epoch>,
    /// The epoch of the leader this member last followed.
    pub current: Option<Epoch>,
}

/// Epochs that cannot be trusted.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the fields are named for what the messages say"
)]
pub enum EpochError {
    /// The disk failed.
    #[error("{}: {source}; check the disk and the permissions", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// There is no number in the file.
    #[error("{}: no epoch stands at byte 0; {REMEDY}", path.display())]
    Garbled { path: PathBuf },
    /// One file is there and the other is not, or neither though there are transactions of a leader.
    #[error("{} (byte 0) is missing though the log holds transactions up to {last}; {REMEDY}", path.display())]
    Missing { path: PathBuf, last: Zxid },
    /// More was followed than was promised.
    #[error(
        "{}: the epoch {accepted} promised at byte 0 is below {needed}, which this member has seen; {REMEDY}",
        path.display()
    )]
    Behind {
        path: PathBuf,
        accepted: Epoch,
        needed: Epoch,
    },
}

const REMEDY: &str = "restore the file, or move the data directory aside, keeping myid, and let the \
     server fetch its data from the ensemble";
/// An epoch has at most ten digits; a few blanks do no harm.
const MAX_LEN: usize = 64;

impl Epochs {
    /// Reads both files. That a file is missing is no error here.
    pub fn read(files: &dyn Files, dir: &Path) -> Result<Self, EpochError> {
        Ok(Self {
            accepted: read(files, &dir.join(ACCEPTED))?,
            current: read(files, &dir.join(CURRENT))?,
        })
    }

    /// Judges what a member of an ensemble found beside a history that ends with `last`: the two epochs
    /// to go on with. If `current` is above what the file says, it is to be written before the first vote.
    pub fn check(self, dir: &Path, last: Zxid) -> Result<(Epoch, Epoch), EpochError> {
        let seen = last.epoch();
        let missing = |name| EpochError::Missing {
            path: dir.join(name),
            last,
        };
        let (accepted, current) = match (self.accepted, self.current) {
            (Some(accepted), Some(current)) => (accepted, current),
            // A new member, or a standalone server that joins: nothing was ever promised.
            (None, None) if seen == Epoch::default() => return Ok((seen, seen)),
            (None, _) => return Err(missing(ACCEPTED)),
            // The first promise is written before the first epoch is followed.
            (Some(accepted), None) if last == Zxid::ZERO => (accepted, Epoch::default()),
            (Some(_), None) => return Err(missing(CURRENT)),
        };
        // A crash while joining leaves transactions of the new epoch before the epoch itself (P27).
        let current = current.max(seen);
        if accepted < current {
            return Err(EpochError::Behind {
                path: dir.join(ACCEPTED),
                accepted,
                needed: current,
            });
        }
        Ok((accepted, current))
    }
}

fn read(files: &dyn Files, path: &Path) -> Result<Option<Epoch>, EpochError> {
    let garbled = || EpochError::Garbled {
        path: path.to_path_buf(),
    };
    let bytes = match read_all(files, path, MAX_LEN) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(garbled()),
        Err(source) => {
            let path = path.to_path_buf();
            return Err(EpochError::Io { path, source });
        }
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| garbled())?;
    let number = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok());
    number
        .map(|number| Some(Epoch::new(number)))
        .ok_or_else(garbled)
}

/// Writes one of the files, durably.
pub fn write_epoch(
    files: &dyn Files,
    dir: &Path,
    name: &'static str,
    epoch: Epoch,
) -> Result<(), EpochError> {
    let path = dir.join(name);
    replace(files, &path, epoch.to_string().as_bytes())
        .map_err(|source| EpochError::Io { path, source })
}
