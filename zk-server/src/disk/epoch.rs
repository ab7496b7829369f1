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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fake::FaultyFiles;

    fn check(accepted: Option<u32>, current: Option<u32>, last: i64) -> Option<(u32, u32)> {
        let epochs = Epochs {
            accepted: accepted.map(Epoch::new),
            current: current.map(Epoch::new),
        };
        let checked = epochs.check(Path::new("/d"), Zxid::from_wire(last));
        checked.ok().map(|(a, c)| (a.number(), c.number()))
    }

    #[test]
    fn epochs_are_never_guessed() {
        assert_eq!(check(Some(3), Some(2), 0x2_0000_0005), Some((3, 2)));
        assert_eq!(check(None, None, 0), Some((0, 0)), "a new member");
        assert_eq!(
            check(None, None, 0x34),
            Some((0, 0)),
            "a standalone server joins"
        );
        assert_eq!(check(None, None, 0x1_0000_0001), None);
        assert_eq!(check(None, Some(1), 0x1_0000_0001), None);
        assert_eq!(check(Some(1), None, 0x1_0000_0001), None);
        assert_eq!(
            check(Some(1), None, 0),
            Some((1, 0)),
            "promised, never followed"
        );
        assert_eq!(check(Some(1), Some(2), 0x1_0000_0001), None);
        assert_eq!(check(Some(1), Some(1), 0x2_0000_0001), None);
    }

    #[test]
    fn transactions_of_an_epoch_prove_that_it_began() {
        assert_eq!(check(Some(2), Some(1), 0x2_0000_0001), Some((2, 2)));
    }

    #[test]
    fn a_file_is_one_number_or_refused() {
        let files = FaultyFiles::new(1);
        let dir = Path::new("/d");
        files.create_dir(dir).unwrap();
        assert_eq!(Epochs::read(&files, dir).unwrap(), Epochs::default());
        write_epoch(&files, dir, ACCEPTED, Epoch::new(7)).unwrap();
        assert_eq!(read_all(&files, &dir.join(ACCEPTED), 99).unwrap(), b"7");
        assert_eq!(
            Epochs::read(&files, dir).unwrap().accepted,
            Some(Epoch::new(7))
        );
        for garbled in ["", "x", "-1", "1 2", "99999999999", "\u{0}\u{0}"] {
            replace(&files, &dir.join(CURRENT), garbled.as_bytes()).unwrap();
            let error = Epochs::read(&files, dir).unwrap_err();
            assert!(
                matches!(error, EpochError::Garbled { .. }),
                "{garbled:?}: {error}"
            );
        }
        replace(&files, &dir.join(CURRENT), b"12\nmore").unwrap();
        assert_eq!(
            Epochs::read(&files, dir).unwrap().current,
            Some(Epoch::new(12))
        );
    }
}
