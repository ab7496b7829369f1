//! Who waits for what. One table for all connections; whoever owns it says what changed.
//!
//! Two tables in one, as in Java: *data* (exists, getData, persistent and recursive watches) and *child*
//! (getChildren and persistent watches). A connection has at most one entry per path and table, with a
//! set of modes.

use super::Tree;
use super::apply::Change;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zk_proto::{AddWatchMode, EventType, WatchLists, WatcherType, Zxid};

/// A connection that watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u64);

/// The modes of one connection's watch on one path in one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Modes(u8);

impl Modes {
    const STANDARD: Self = Self(1);
    const PERSISTENT: Self = Self(2);
    const RECURSIVE: Self = Self(4);
    const ALL: Self = Self(7);

    const fn has(self, mode: Self) -> bool {
        self.0 & mode.0 != 0
    }

    const fn with(self, mode: Self) -> Self {
        Self(self.0 | mode.0)
    }

    const fn without(self, mode: Self) -> Self {
        Self(self.0 & !mode.0)
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// How much is being watched, in the data table only, as Java's `wchs` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounts {
    /// Connections that watch something.
    pub watchers: usize,
    /// Paths that are watched.
    pub paths: usize,
    /// Watches: pairs of both.
    pub watches: usize,
}

/// One of the two tables.
#[derive(Debug, Default)]
struct Table {
    /// By path: few watchers each, in order.
    paths: HashMap<Arc<str>, Vec<(WatcherId, Modes)>, FixedState>,
    /// By watcher: the same pairs, for dumps and for forgetting a connection.
    watchers: BTreeMap<WatcherId, BTreeSet<Arc<str>>>,
    watches: usize,
    recursive: usize,
}

impl Table {
    fn add(&mut self, watcher: WatcherId, path: &str, mode: Modes) {
        let known = self.paths.get_key_value(path).map(|(path, _)| path.clone());
        let path = known.unwrap_or_else(|| path.into());
        let list = self.paths.entry(path.clone()).or_default();
        let at = match list.binary_search_by_key(&watcher, |&(id, _)| id) {
            Ok(at) => at,
            Err(at) => {
                list.insert(at, (watcher, Modes::default()));
                self.watchers.entry(watcher).or_default().insert(path);
                self.watches += 1;
                at
            }
        };
        let modes = &mut list[at].1;
        if mode.has(Modes::RECURSIVE) && !modes.has(Modes::RECURSIVE) {
            self.recursive += 1;
        }
        *modes = modes.with(mode);
    }

    fn modes(&self, watcher: WatcherId, path: &str) -> Modes {
        let list = self.paths.get(path).map_or(&[][..], Vec::as_slice);
        match list.binary_search_by_key(&watcher, |&(id, _)| id) {
            Ok(at) => list[at].1,
            Err(_) => Modes::default(),
        }
    }

    /// Removes modes and says whether one of them was there.
    fn remove(&mut self, watcher: WatcherId, path: &str, mode: Modes) -> bool {
        let Some(list) = self.paths.get_mut(path) else {
            return false;
        };
        let Ok(at) = list.binary_search_by_key(&watcher, |&(id, _)| id) else {
            return false;
        };
        let before = list[at].1;
        let after = before.without(mode);
        if before.has(Modes::RECURSIVE) && !after.has(Modes::RECURSIVE) {
            self.recursive -= 1;
        }
        list[at].1 = after;
        if after.is_empty() {
            list.remove(at);
            if list.is_empty() {
                self.paths.remove(path);
            }
            self.unlink(watcher, path);
        }
        before != after
    }

    /// A pair is gone from the list by path: forget it in the other.
    fn unlink(&mut self, watcher: WatcherId, path: &str) {
        self.watches -= 1;
        if let Some(paths) = self.watchers.get_mut(&watcher) {
            paths.remove(path);
            if paths.is_empty() {
                self.watchers.remove(&watcher);
            }
        }
    }

    fn forget(&mut self, watcher: WatcherId) {
        for path in self.watchers.get(&watcher).cloned().unwrap_or_default() {
            self.remove(watcher, &path, Modes::ALL);
        }
    }

    /// Everyone who is to hear of a change at a path, each once; one-shot watches are used up.
    fn trigger(&mut self, path: &str) -> Vec<WatcherId> {
        let mut told = Vec::new();
        let mut spent = Vec::new();
        if let Some(list) = self.paths.get_mut(path) {
            told.extend(list.iter().map(|&(watcher, _)| watcher));
            list.retain_mut(|(watcher, modes)| {
                *modes = modes.without(Modes::STANDARD);
                if modes.is_empty() {
                    spent.push(*watcher);
                }
                !modes.is_empty()
            });
            if list.is_empty() {
                self.paths.remove(path);
            }
        }
        for watcher in spent {
            self.unlink(watcher, path);
        }
        if self.recursive > 0 {
            self.add_recursive_above(path, &mut told);
        }
        told
    }

    fn add_recursive_above(&self, path: &str, told: &mut Vec<WatcherId>) {
        let direct = told.len();
        for above in ancestors(path) {
            let list = self.paths.get(above).map_or(&[][..], Vec::as_slice);
            told.extend(
                list.iter()
                    .filter(|(_, modes)| modes.has(Modes::RECURSIVE))
                    .map(|&(watcher, _)| watcher),
            );
        }
        if told.len() > direct {
            told.sort_unstable();
            told.dedup();
        }
    }
}

/// The paths above a path, the root last.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let above = |path: &str| -> Option<usize> { path.rfind('/') };
    std::iter::successors(Some(path), move |&at| {
        if at == "/" {
            return None;
        }
        match above(at)? {
            0 => Some("/"),
            slash => Some(&at[..slash]),
        }
    })
    .skip(1)
}

/// All watches of a server.
#[derive(Debug, Default)]
pub struct WatchTable {
    data: Table,
    child: Table,
}

impl WatchTable {
    /// Nobody waits for anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nobody waits for anything.
    pub fn is_empty(&self) -> bool {
        self.data.watches == 0 && self.child.watches == 0
    }

    /// A one-shot watch on a node's data or existence.
    pub fn watch_data(&mut self, watcher: WatcherId, path: &str) {
        self.data.add(watcher, path, Modes::STANDARD);
    }

    /// A one-shot watch on a node's children.
    pub fn watch_children(&mut self, watcher: WatcherId, path: &str) {
        self.child.add(watcher, path, Modes::STANDARD);
    }

    /// A watch that stays.
    pub fn add(&mut self, watcher: WatcherId, path: &str, mode: AddWatchMode) {
        match mode {
            AddWatchMode::Persistent => {
                self.data.add(watcher, path, Modes::PERSISTENT);
                self.child.add(watcher, path, Modes::PERSISTENT);
            }
            AddWatchMode::PersistentRecursive => {
                self.data.add(watcher, path, Modes::RECURSIVE);
            }
        }
    }

    /// Tells everyone who waits for the change, each once.
    ///
    /// The order within one change is that of the tables, then of connections. A one-shot watch is used up
    /// even if the sink decides that its owner may not hear of the change.
    pub fn fire(&mut self, change: &Change<'_>, mut sink: impl FnMut(WatcherId, EventType, &str)) {
        if self.is_empty() {
            return;
        }
        let path = change.path.as_ref();
        let mut tell = |watchers: &[WatcherId], but: &[WatcherId]| {
            for watcher in watchers {
                if but.binary_search(watcher).is_err() {
                    sink(*watcher, change.event, path);
                }
            }
        };
        match change.event {
            EventType::Created | EventType::DataChanged => tell(&self.data.trigger(path), &[]),
            EventType::ChildrenChanged => tell(&self.child.trigger(path), &[]),
            EventType::Deleted => {
                let told = self.data.trigger(path);
                tell(&told, &[]);
                tell(&self.child.trigger(path), &told);
            }
        }
    }

    /// Whether a connection has a watch of a type on a path.
    pub fn has(&self, watcher: WatcherId, path: &str, kind: WatcherType) -> bool {
        let (data, child) = tables_of(kind);
        self.data.modes(watcher, path).has(data) || self.child.modes(watcher, path).has(child)
    }

    /// Removes a connection's watches of a type on a path, and says whether there were any.
    pub fn remove(&mut self, watcher: WatcherId, path: &str, kind: WatcherType) -> bool {
        let (data, child) = tables_of(kind);
        let data = self.data.remove(watcher, path, data);
        let child = self.child.remove(watcher, path, child);
        data || child
    }

    /// A connection is gone, with all it waited for.
    pub fn forget(&mut self, watcher: WatcherId) {
        self.data.forget(watcher);
        self.child.forget(watcher);
    }

    /// Restores the watches a client had on its last connection. What it missed is told at once, in the
    /// order of its lists, instead of being watched for again.
    pub fn set_watches(
        &mut self,
        tree: &Tree,
        watcher: WatcherId,
        lists: &WatchLists<'_>,
        mut sink: impl FnMut(EventType, &str),
    ) {
        for (list, missed) in [
            (&lists.data, Missed::Data),
            (&lists.exist, Missed::Exist),
            (&lists.child, Missed::Child),
        ] {
            for path in list {
                match missed_event(tree, path, missed, lists.relative_zxid) {
                    Some(event) => sink(event, path),
                    None if missed == Missed::Child => self.watch_children(watcher, path),
                    None => self.watch_data(watcher, path),
                }
            }
        }
        for path in &lists.persistent {
            self.add(watcher, path, AddWatchMode::Persistent);
        }
        for path in &lists.recursive {
            self.add(watcher, path, AddWatchMode::PersistentRecursive);
        }
    }
}

/// Numbers and lists for operators: the data table only, as Java's four-letter words show it.
impl WatchTable {
    /// How much is watched.
    pub fn counts(&self) -> WatchCounts {
        WatchCounts {
            watchers: self.data.watchers.len(),
            paths: self.data.paths.len(),
            watches: self.data.watches,
        }
    }

    /// How many watches there are in both tables (`watch_count`).
    pub const fn len(&self) -> usize {
        self.data.watches + self.child.watches
    }

    /// How many watches one connection has, for a limit.
    pub fn count_of(&self, watcher: WatcherId) -> usize {
        let count = |table: &Table| table.watchers.get(&watcher).map_or(0, BTreeSet::len);
        count(&self.data) + count(&self.child)
    }

    /// Every watching connection with its paths, both in order (`wchc`).
    pub fn by_watcher(&self) -> impl Iterator<Item = (WatcherId, impl Iterator<Item = &str>)> {
        let watchers = self.data.watchers.iter();
        watchers.map(|(&id, paths)| (id, paths.iter().map(AsRef::as_ref)))
    }

    /// Every watched path with its connections, both in order (`wchp`).
    pub fn by_path(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = WatcherId>)> {
        let mut paths: Vec<_> = self.data.paths.iter().collect();
        paths.sort_unstable_by_key(|(path, _)| *path);
        paths
            .into_iter()
            .map(|(path, list)| (path.as_ref(), list.iter().map(|&(id, _)| id)))
    }
}

/// The modes that a type means in the data and in the child table.
const fn tables_of(kind: WatcherType) -> (Modes, Modes) {
    const NONE: Modes = Modes(0);
    match kind {
        WatcherType::Children => (NONE, Modes::STANDARD),
        WatcherType::Data => (Modes::STANDARD, NONE),
        WatcherType::Any => (Modes::ALL, Modes::ALL),
        WatcherType::Persistent => (Modes::PERSISTENT, Modes::PERSISTENT),
        WatcherType::PersistentRecursive => (Modes::RECURSIVE, NONE),
    }
}

/// Which list of a client's watches a path stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// Watches on data.
    Data,
    /// Watches for a creation.
    Exist,
    /// Watches on children.
    Child,
}

/// What a client missed that watched a path up to a zxid; `None` if there is still something to wait for.
pub fn missed_event(tree: &Tree, path: &str, missed: Missed, since: Zxid) -> Option<EventType> {
    match (tree.get(path), missed) {
        (None, Missed::Exist) => None,
        (None, Missed::Data | Missed::Child) => Some(EventType::Deleted),
        (Some(_), Missed::Exist) => Some(EventType::Created),
        (Some(node), Missed::Data) => {
            (node.stored_stat().mzxid > since).then_some(EventType::DataChanged)
        }
        (Some(node), Missed::Child) => {
            (node.stored_stat().pzxid > since).then_some(EventType::ChildrenChanged)
        }
    }
}
