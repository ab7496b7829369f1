//! Removing large files without holding up those who write beside them.
//!
//! A file system frees all blocks of a file at once, in the same commit that the log's next fdatasync waits for,
//! and where discards are mounted it tells the device about every one of them first: 64 MB made a write wait for
//! 80 ms. So the names go first, durably, and then the blocks, a few at a time.

use super::files::{Files, Handle};
use super::leave::Leave;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// What is freed at once.
const PIECE: u64 = 4 << 20;
/// What others have between two pieces. Together they free 400 MB in a second, more than a log grows in one.
const PAUSE: Duration = Duration::from_millis(10);
/// So many removed files are given back slowly, the others at once.
const MOST_OPEN: usize = 64;

/// Removed files that still hold their room. Whoever drops it frees everything at once.
#[derive(Debug, Default)]
#[must_use = "the room is to be given back a little at a time"]
pub struct Removed(Vec<Box<dyn Handle>>);

impl Removed {
    /// Removes files of a directory, durably when this returns.
    pub fn take(&mut self, files: &dyn Files, dir: &Path, names: &[String]) -> io::Result<()> {
        for name in names {
            let path = dir.join(name);
            if self.0.len() < MOST_OPEN {
                // One that cannot be opened can still be removed.
                self.0.extend(files.open(&path).ok());
            }
            files.remove(&path)?;
            tracing::debug!(file = name, "removed");
        }
        if names.is_empty() {
            Ok(())
        } else {
            files.sync_dir(dir)
        }
    }

    /// Frees what the files hold, slowly; at once, if that is asked.
    pub fn give_back(self, leave: &Leave) {
        for handle in self.0 {
            cut_away(&*handle, leave);
        }
    }
}

/// What fails here is done by the file's end.
fn cut_away(handle: &dyn Handle, leave: &Leave) {
    if !matches!(handle.is_forsaken(), Ok(true)) {
        return;
    }
    let mut size = handle.size().unwrap_or(0);
    while size > PIECE && !leave.is_asked() {
        size -= PIECE;
        if handle.set_size(size).is_err() {
            return;
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::RealFiles;
    use super::*;

    const NAMES: [&str; 3] = ["mine", "linked", "read"];

    #[test]
    fn only_what_nobody_else_has_is_cut() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        for name in NAMES {
            let handle = RealFiles.create(&dir.join(name)).unwrap();
            handle.write_at(3 * PIECE, b"the end").unwrap();
        }
        let other_name = dir.join("backup");
        std::fs::hard_link(dir.join("linked"), &other_name).unwrap();
        let watched = std::fs::File::open(dir.join("mine")).unwrap();
        let reader = RealFiles.open_read(&dir.join("read")).unwrap();
        reader.keep_whole().unwrap();

        let names = NAMES.map(str::to_owned);
        let mut removed = Removed::default();
        removed.take(&RealFiles, dir, &names).unwrap();
        removed.give_back(&Leave::default());

        for name in NAMES {
            assert!(!dir.join(name).exists(), "{name}");
        }
        let whole = 3 * PIECE + 7;
        assert!(watched.metadata().unwrap().len() <= PIECE);
        assert_eq!(std::fs::metadata(other_name).unwrap().len(), whole);
        assert_eq!(reader.size().unwrap(), whole, "(P28)");
    }

    #[test]
    fn what_was_removed_cannot_be_kept_any_more() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        RealFiles.create(&path).unwrap();
        let (late, cutter) = (
            RealFiles.open_read(&path).unwrap(),
            RealFiles.open(&path).unwrap(),
        );
        assert!(!cutter.is_forsaken().unwrap(), "it has a name");
        RealFiles.remove(&path).unwrap();
        assert!(cutter.is_forsaken().unwrap());
        let refused = late.keep_whole().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NotFound, "it is being cut");
        drop(cutter);
        let refused = late.keep_whole().unwrap_err();
        assert_eq!(
            refused.kind(),
            io::ErrorKind::NotFound,
            "it may have been cut"
        );
    }

    #[test]
    fn who_is_asked_to_leave_does_not_linger() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        let handle = RealFiles.create(&path).unwrap();
        handle.write_at(1000 * PIECE, b"the end").unwrap();
        let watched = std::fs::File::open(&path).unwrap();
        let leave = Leave::default();
        leave.ask();
        let mut removed = Removed::default();
        removed
            .take(&RealFiles, temp.path(), &["f".to_owned()])
            .unwrap();
        removed.give_back(&leave);
        assert!(!path.exists());
        assert_eq!(watched.metadata().unwrap().len(), 1000 * PIECE + 7);
    }
}
