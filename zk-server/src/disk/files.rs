//! The handful of storage operations everything in this room is made of, and the real ones.
//!
//! Nothing here knows what a log or a snapshot is. Two implementations stand behind [`Files`]: the
//! kernel's, below, and an in-memory disk that fails and forgets on demand. What counts as durable is
//! said once, here: a file's bytes after [`Handle::sync`], a name after [`Files::sync_dir`].

use rustix::fs::{FallocateFlags, FlockOperation, OFlags, SeekFrom};
use std::fmt::Debug;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A plain file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link, seen as itself.
    Link,
    /// A device, a socket or a pipe.
    Other,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without the directory.
    pub name: String,
    /// What it stands for.
    pub kind: Kind,
    /// The length in bytes, for a file.
    pub len: u64,
}

/// A storage that files live on.
pub trait Files: Debug + Send + Sync {
    /// Makes an empty file, or empties the one of that name. Only its owner may read it.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>>;
    /// Opens an existing file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn Handle>>;
    /// Makes a directory and those above it. Only its owner may enter it.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// What is in a directory, in the order of the names. Names that are not text are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// What a path stands for (links above the last part are followed), or nothing.
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>>;
    /// Gives a file another name in the same directory, replacing what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// The bytes that may still be written below a directory, and the size of its file system.
    fn space(&self, dir: &Path) -> io::Result<Space>;
    /// Takes an exclusive lock on an existing or new file. It is held until the handle is dropped, or
    /// the process is gone. Refused with [`io::ErrorKind::WouldBlock`] while another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Handle>>;
}

/// How much room a file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What may still be written.
    pub free: u64,
    /// What there is in total.
    pub total: u64,
}

/// An open file.
pub trait Handle: Debug + Send {
    /// Its length.
    fn size(&self) -> io::Result<u64>;
    /// Reads into `buffer` from `offset`; fewer bytes than asked only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Behind which there are only zeros: room that was reserved and never written, where the file system can
    /// tell; else the file's length. To be asked before anything is read, since what is cached counts as written.
    fn data_end(&self) -> io::Result<u64> {
        self.size()
    }
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes the file `to` bytes long, zeros from `from` on, with room on the disk already found for
    /// them: a full disk shows here and not at a later write.
    fn reserve(&self, from: u64, to: u64) -> io::Result<()>;
    /// Cuts the file, or extends it with a hole.
    fn set_size(&self, size: u64) -> io::Result<()>;
    /// Makes the bytes and the length durable.
    fn sync(&self) -> io::Result<()>;
    /// As long as this handle is open the file is not [forsaken](Self::is_forsaken), even if it is removed. Refused
    /// with [`io::ErrorKind::NotFound`] if it has been already.
    fn keep_whole(&self) -> io::Result<()> {
        Ok(())
    }
    /// Whether the file has no name any more and nobody keeps it whole, so that it may be cut. Nobody can keep it
    /// from then on.
    fn is_forsaken(&self) -> io::Result<bool> {
        Ok(false)
    }
}

/// Reads a whole file of at most `limit` bytes.
pub fn read_all(files: &dyn Files, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let handle = files.open_read(path)?;
    let size = usize::try_from(handle.size()?).unwrap_or(usize::MAX);
    if size > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the file has {size} bytes where at most {limit} are expected"),
        ));
    }
    let mut bytes = vec![0; size];
    let read = handle.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces a file so that after a crash it is either the old one or the new one, whole.
pub fn replace(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let tmp = dir.join(name);
    let handle = files.create(&tmp)?;
    handle.write_at(0, bytes)?;
    handle.sync()?;
    drop(handle);
    files.rename(&tmp, path)?;
    files.sync_dir(dir)
}

/// Whether an error says that the disk, or the share of it we may use, is full (P23).
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFiles;

impl RealFiles {
    /// A link where one of our files should be is never followed: whoever can plant one could have the
    /// server overwrite a file of its own elsewhere. A directory that is a link is the operator's.
    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        options
            .read(true)
            .mode(0o600)
            .custom_flags(flags.bits().cast_signed());
        options
    }
}

impl Files for RealFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let file = Self::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(RealFile(Self::options().write(true).open(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(RealFile(Self::options().open(path)?)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed since the listing began, by a purge for one.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            entries.push(Entry {
                name,
                kind: kind_of(metadata.file_type()),
                len: metadata.size(),
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(kind_of(metadata.file_type()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        let numbers = rustix::fs::statvfs(dir)?;
        Ok(Space {
            free: numbers.f_bavail.saturating_mul(numbers.f_frsize),
            total: numbers.f_blocks.saturating_mul(numbers.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let file = Self::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(RealFile(file)))
    }
}

fn kind_of(kind: std::fs::FileType) -> Kind {
    if kind.is_file() {
        Kind::File
    } else if kind.is_dir() {
        Kind::Dir
    } else if kind.is_symlink() {
        Kind::Link
    } else {
        Kind::Other
    }
}

#[derive(Debug)]
struct RealFile(File);

impl Handle for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn data_end(&self) -> io::Result<u64> {
        const MOST_PIECES: usize = 1000;
        let (size, mut end) = (self.size()?, 0);
        // The file's own position moves, which nothing here uses.
        for _ in 0..MOST_PIECES {
            let data = match rustix::fs::seek(&self.0, SeekFrom::Data(end)) {
                Ok(data) => data,
                Err(rustix::io::Errno::NXIO) => return Ok(end.min(size)),
                Err(_) => return Ok(size),
            };
            match rustix::fs::seek(&self.0, SeekFrom::Hole(data)) {
                Ok(hole) => end = hole,
                Err(_) => return Ok(size),
            }
        }
        Ok(size)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        let Some(len) = to.checked_sub(from).filter(|len| *len > 0) else {
            return Ok(());
        };
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), from, len) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let zeros = vec![0; 1 << 16];
        let mut at = from;
        while at < to {
            let step = usize::try_from(to - at).map_or(zeros.len(), |left| left.min(zeros.len()));
            self.0.write_all_at(&zeros[..step], at)?;
            at += step as u64;
        }
        Ok(())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn keep_whole(&self) -> io::Result<()> {
        match rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockShared) {
            Ok(()) if self.0.metadata()?.nlink() > 0 => Ok(()),
            Ok(()) | Err(rustix::io::Errno::WOULDBLOCK) => Err(io::ErrorKind::NotFound.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_forsaken(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(self.0.metadata()?.nlink() == 0),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_ends_behind_all_that_was_written() {
        let temp = tempfile::tempdir().unwrap();
        let handle = RealFiles.create(&temp.path().join("f")).unwrap();
        let end = |at_least: u64| {
            let found = handle.data_end().unwrap();
            // A file system that cannot tell says: at the end of the file.
            assert!(
                (at_least..=handle.size().unwrap()).contains(&found),
                "{found}"
            );
        };
        end(0);
        handle.write_at(0, b"begin").unwrap();
        handle.reserve(5, 8 << 20).unwrap();
        end(5);
        handle.write_at(5 << 20, b"x").unwrap();
        end((5 << 20) + 1);
        handle.sync().unwrap();
        end((5 << 20) + 1);
        handle.write_at((8 << 20) - 1, b"x").unwrap();
        end(8 << 20);
    }
}
