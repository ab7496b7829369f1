//! A disk in memory that fails, forgets and tears, from a seed.
//!
//! It is honest where a real one must be: what was synced stays. Everything else is at the mercy of the
//! seed. After [`FaultyFiles::crash`] each unsynced write is kept, lost, or torn at 512-byte sectors in
//! any order; of the unsynced changes of a directory some first ones are kept. A failing write may have
//! written a part; after a failed sync the bytes may be gone for good although they still read well.

use super::files::{Entry, Files, Handle, Kind, Space};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SECTOR: usize = 512;

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

#[derive(Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Size(usize),
}

type Names = BTreeMap<String, usize>;

#[derive(Debug, Default)]
struct Dir {
    seen: Names,
    durable: Names,
    pending: Vec<NameChange>,
}

#[derive(Debug)]
enum NameChange {
    Link(String, usize),
    Unlink(String),
    Rename(String, String),
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Link(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
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

impl Inode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen, |_| true);
        self.pending.push(change);
    }

    fn crash(&mut self, random: &mut u64) {
        let mood = below(random, 4);
        for change in self.pending.drain(..) {
            match mood {
                0 => {}
                1 => change.apply(&mut self.durable, |_| true),
                _ if matches!(change, Change::Size(_)) && below(random, 2) == 0 => {}
                _ => change.apply(&mut self.durable, |_| below(random, 2) == 0),
            }
        }
        self.seen.clone_from(&self.durable);
    }
}

impl Change {
    /// Applies the sectors that are kept.
    fn apply(&self, bytes: &mut Vec<u8>, mut keep: impl FnMut(usize) -> bool) {
        match self {
            Self::Size(size) => bytes.resize(*size, 0),
            Self::Write { at, bytes: written } => {
                let mut from = 0;
                while from < written.len() {
                    let sector = (at + from) / SECTOR;
                    let to = ((sector + 1) * SECTOR - at).min(written.len());
                    if keep(sector) {
                        if bytes.len() < at + to {
                            bytes.resize(at + to, 0);
                        }
                        bytes[at + from..at + to].copy_from_slice(&written[from..to]);
                    }
                    from = to;
                }
            }
        }
    }
}

/// A number below `bound`, from a SplitMix64.
fn below(random: &mut u64, bound: usize) -> usize {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *random;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let bound = bound.max(1) as u64;
    usize::try_from((mixed ^ (mixed >> 31)) % bound).unwrap_or(0)
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

#[derive(Debug)]
struct FakeHandle {
    files: FaultyFiles,
    path: PathBuf,
    inode: usize,
    boot: u64,
    locked: bool,
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

#[cfg(test)]
mod tests {
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
