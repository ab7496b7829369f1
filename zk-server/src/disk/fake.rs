//! A disk in memory that fails, forgets and tears, from a seed.
//!
//! It is honest where a real one must be: what was synced stays. Everything else is at the mercy of the
//! seed. After [`FaultyFiles::crash`] each unsynced write is kept, lost, or torn at 512-byte sectors in
//! any order; of the unsynced changes of a directory some first ones are kept. A failing write may have
//! written a part; after a failed sync the bytes may be gone for good although they still read well.

mod handle;
mod media;

use super::files::{Entry, Files, Handle, Kind, Space};
use handle::FakeHandle;
use media::{Change, Dir, Inode, NameChange, below};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happens, and when.
#[derive(Clone, Debug)]
pub struct Fault {
    /// At which changing operation from now on, counted from 1.
    pub at: u64,
    /// Only operations on paths that contain this count.
    pub on: &'static str,
    /// What happens.
    pub kind: FaultKind,
}

/// The ways to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An error, once.
    Once(io::ErrorKind),
    /// An error, from then on.
    Always(io::ErrorKind),
    /// The machine stops; [`FaultyFiles::crash`] starts it again.
    Stop,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct FaultyFiles(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    inodes: Vec<Inode>,
    dirs: BTreeMap<PathBuf, Dir>,
    locks: BTreeSet<usize>,
    random: u64,
    fault: Option<Fault>,
    operations: u64,
    stopped: bool,
    boot: u64,
    capacity: u64,
}

/// What an operation must do instead of what it was asked to.
enum Trouble {
    Fail(io::ErrorKind),
    Stop,
}

impl FaultyFiles {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            inodes: Vec::new(),
            dirs: BTreeMap::new(),
            locks: BTreeSet::new(),
            random: seed,
            fault: None,
            operations: 0,
            stopped: false,
            boot: 0,
            capacity: u64::MAX,
        })))
    }

    /// Lets something happen, counted from now on.
    pub fn plan(&self, fault: Fault) {
        let mut disk = self.disk();
        disk.operations = 0;
        disk.fault = Some(fault);
    }

    /// How many changing operations there were since the last plan.
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// How much may be on the disk.
    pub fn set_capacity(&self, bytes: u64) {
        self.disk().capacity = bytes;
    }

    /// The power goes off and on: open files are gone, and so is what was not durable.
    pub fn crash(&self) {
        let mut disk = self.disk();
        let disk = &mut *disk;
        for dir in disk.dirs.values_mut() {
            let kept = below(&mut disk.random, dir.pending.len() + 1);
            for change in dir.pending.drain(..).take(kept) {
                change.apply(&mut dir.durable);
            }
            dir.seen.clone_from(&dir.durable);
        }
        for inode in &mut disk.inodes {
            inode.crash(&mut disk.random);
        }
        disk.locks.clear();
        disk.fault = None;
        disk.stopped = false;
        disk.boot += 1;
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, disk: &Disk, path: &Path, inode: usize) -> FakeHandle {
        FakeHandle {
            files: self.clone(),
            path: path.to_path_buf(),
            inode,
            boot: disk.boot,
            locked: false,
        }
    }

    fn existing(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let disk = self.disk();
        disk.running()?;
        let inode = disk.find(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(self.handle(&disk, path, inode)))
    }

    fn make(&self, path: &Path, truncate: bool) -> io::Result<FakeHandle> {
        let mut disk = self.disk();
        disk.trouble(path)?;
        let inode = match disk.find(path) {
            Some(inode) => {
                if truncate && let Some(inode) = disk.inodes.get_mut(inode) {
                    inode.change(Change::Size(0));
                }
                inode
            }
            None => {
                disk.inodes.push(Inode::default());
                let inode = disk.inodes.len() - 1;
                disk.change_name(path, |name| NameChange::Link(name, inode))?;
                inode
            }
        };
        Ok(self.handle(&disk, path, inode))
    }
}

impl Disk {
    fn running(&self) -> io::Result<()> {
        if self.stopped {
            return Err(io::Error::other("the machine has stopped"));
        }
        Ok(())
    }

    fn next_trouble(&mut self, path: &Path) -> Option<Trouble> {
        if self.stopped {
            return Some(Trouble::Stop);
        }
        let fault = self.fault.as_ref();
        if fault.is_some_and(|fault| !path.to_string_lossy().contains(fault.on)) {
            return None;
        }
        self.operations += 1;
        let fault = fault?;
        match fault.kind {
            FaultKind::Once(kind) if self.operations == fault.at => Some(Trouble::Fail(kind)),
            FaultKind::Always(kind) if self.operations >= fault.at => Some(Trouble::Fail(kind)),
            FaultKind::Stop if self.operations >= fault.at => {
                self.stopped = true;
                Some(Trouble::Stop)
            }
            FaultKind::Once(_) | FaultKind::Always(_) | FaultKind::Stop => None,
        }
    }

    fn trouble(&mut self, path: &Path) -> io::Result<()> {
        match self.next_trouble(path) {
            None => Ok(()),
            Some(Trouble::Fail(kind)) => Err(kind.into()),
            Some(Trouble::Stop) => self.running(),
        }
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let dir = self.dirs.get(path.parent()?)?;
        dir.seen.get(path.file_name()?.to_str()?).copied()
    }

    fn change_name(
        &mut self,
        path: &Path,
        change: impl FnOnce(String) -> NameChange,
    ) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let dir = self.dirs.get_mut(parent).ok_or(io::ErrorKind::NotFound)?;
        let change = change(name_of(path));
        change.apply(&mut dir.seen);
        dir.pending.push(change);
        Ok(())
    }

    fn used(&self) -> u64 {
        let linked: BTreeSet<_> = self
            .dirs
            .values()
            .flat_map(|dir| dir.seen.values())
            .collect();
        let inodes = linked
            .into_iter()
            .filter_map(|inode| self.inodes.get(*inode));
        inodes.map(|inode| inode.seen.len() as u64).sum()
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Files for FaultyFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(self.make(path, true)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        self.existing(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        self.existing(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.running()?;
        for dir in path.ancestors() {
            disk.dirs.entry(dir.to_path_buf()).or_default();
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let disk = self.disk();
        disk.running()?;
        let names = &disk.dirs.get(dir).ok_or(io::ErrorKind::NotFound)?.seen;
        let len = |inode: &usize| disk.inodes.get(*inode).map_or(0, |inode| inode.seen.len());
        let mut entries: Vec<_> = names
            .iter()
            .map(|(name, inode)| Entry {
                name: name.clone(),
                kind: Kind::File,
                len: len(inode) as u64,
            })
            .collect();
        let below = disk.dirs.keys().filter(|path| path.parent() == Some(dir));
        entries.extend(below.map(|path| Entry {
            name: name_of(path),
            kind: Kind::Dir,
            len: 0,
        }));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        let disk = self.disk();
        disk.running()?;
        if disk.dirs.contains_key(path) {
            return Ok(Some(Kind::Dir));
        }
        Ok(disk.find(path).map(|_| Kind::File))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.trouble(to)?;
        disk.find(from).ok_or(io::ErrorKind::NotFound)?;
        assert_eq!(from.parent(), to.parent(), "renamed inside one directory");
        disk.change_name(from, |name| NameChange::Rename(name, name_of(to)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.trouble(path)?;
        disk.find(path).ok_or(io::ErrorKind::NotFound)?;
        disk.change_name(path, NameChange::Unlink)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.trouble(dir)?;
        let dir = disk.dirs.get_mut(dir).ok_or(io::ErrorKind::NotFound)?;
        for change in dir.pending.drain(..) {
            change.apply(&mut dir.durable);
        }
        Ok(())
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        let disk = self.disk();
        disk.running()?;
        Ok(Space {
            free: disk.capacity.saturating_sub(disk.used()),
            total: disk.capacity,
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let mut handle = self.make(path, false)?;
        if !self.disk().locks.insert(handle.inode) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        handle.locked = true;
        Ok(Box::new(handle))
    }
}

#[cfg(test)]
mod tests {
    use super::media::SECTOR;
    use super::*;
    use crate::disk::files::{read_all, replace};

    #[test]
    fn what_was_not_synced_may_be_gone_and_what_was_is_not() {
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..64 {
            let files = FaultyFiles::new(seed);
            let dir = Path::new("/d");
            files.create_dir(dir).unwrap();
            replace(&files, &dir.join("synced"), b"old").unwrap();
            let handle = files.open(&dir.join("synced")).unwrap();
            handle.write_at(3, &[7; 4 * SECTOR]).unwrap();
            drop(handle);
            files.create(&dir.join("unnamed")).unwrap().sync().unwrap();
            files.crash();
            let bytes = read_all(&files, &dir.join("synced"), 1 << 20).unwrap();
            assert!(bytes.starts_with(b"old"));
            match bytes.len() {
                3 => lost += 1,
                len if len == 3 + 4 * SECTOR && !bytes[3..].contains(&0) => kept += 1,
                _ => torn += 1,
            }
        }
        assert!(kept > 5 && lost > 5 && torn > 5, "{kept} {lost} {torn}");
    }

    #[test]
    fn a_name_is_durable_only_after_the_directory_is() {
        let lost = (0..64).filter(|seed| {
            let files = FaultyFiles::new(*seed);
            files.create_dir(Path::new("/d")).unwrap();
            files.create(Path::new("/d/f")).unwrap().sync().unwrap();
            files.crash();
            files.kind(Path::new("/d/f")).unwrap().is_none()
        });
        assert!((10..54).contains(&lost.count()));
    }
}
