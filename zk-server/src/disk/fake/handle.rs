//! An open file of the disk that fails and forgets.

use super::media::{Change, Inode, below};
use super::{FaultyFiles, Trouble};
use crate::disk::files::Handle;
use std::io;
use std::path::PathBuf;

#[derive(Debug)]
pub(super) struct FakeHandle {
    pub(super) files: FaultyFiles,
    pub(super) path: PathBuf,
    pub(super) inode: usize,
    pub(super) boot: u64,
    pub(super) locked: bool,
}

impl Drop for FakeHandle {
    fn drop(&mut self) {
        let mut disk = self.files.disk();
        if self.locked && disk.boot == self.boot {
            disk.locks.remove(&self.inode);
        }
    }
}

impl FakeHandle {
    /// The file, with what is about to go wrong. A handle of before the crash is none.
    fn inode<T>(
        &self,
        changing: bool,
        work: impl FnOnce(&mut Inode, Option<Trouble>, &mut u64) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut disk = self.files.disk();
        disk.running()?;
        assert_eq!(disk.boot, self.boot, "no handle outlives a crash");
        let trouble = changing.then(|| disk.next_trouble(&self.path)).flatten();
        let disk = &mut *disk;
        let inode = disk
            .inodes
            .get_mut(self.inode)
            .ok_or(io::ErrorKind::NotFound)?;
        work(inode, trouble, &mut disk.random)
    }

    fn grow(&self, to: u64) -> io::Result<()> {
        let disk = self.files.disk();
        let len = disk
            .inodes
            .get(self.inode)
            .map_or(0, |inode| inode.seen.len() as u64);
        if to > len && disk.used() + (to - len) > disk.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

fn stopped() -> io::Error {
    io::Error::other("the machine has stopped")
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl Handle for FakeHandle {
    fn size(&self) -> io::Result<u64> {
        self.inode(false, |inode, _, _| Ok(inode.seen.len() as u64))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inode(false, |inode, _, _| {
            let from = inode.seen.get(place(offset)..).unwrap_or_default();
            let len = from.len().min(buffer.len());
            buffer[..len].copy_from_slice(&from[..len]);
            Ok(len)
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.grow(offset + bytes.len() as u64)?;
        self.inode(true, |inode, trouble, random| {
            let kept = match trouble {
                None => bytes.len(),
                Some(_) => below(random, bytes.len() + 1),
            };
            inode.change(Change::Write {
                at: place(offset),
                bytes: bytes[..kept].to_vec(),
            });
            match trouble {
                None => Ok(()),
                Some(Trouble::Fail(kind)) => Err(kind.into()),
                Some(Trouble::Stop) => Err(stopped()),
            }
        })
    }

    fn reserve(&self, _: u64, to: u64) -> io::Result<()> {
        self.grow(to)?;
        self.set_size(to)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.inode(true, |inode, trouble, _| match trouble {
            None => {
                inode.change(Change::Size(place(size)));
                Ok(())
            }
            Some(Trouble::Fail(kind)) => Err(kind.into()),
            Some(Trouble::Stop) => Err(stopped()),
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.inode(true, |inode, trouble, random| match trouble {
            None => {
                for change in inode.pending.drain(..) {
                    change.apply(&mut inode.durable, |_| true);
                }
                Ok(())
            }
            Some(Trouble::Fail(kind)) => {
                if below(random, 2) == 0 {
                    // The kernel forgets that these pages were ever dirty.
                    inode.pending.clear();
                }
                Err(kind.into())
            }
            Some(Trouble::Stop) => Err(stopped()),
        })
    }
}
