//! Who waits for what. One table for all connections; whoever owns it says what changed.
//!
//! Two tables in one, as in Java: *data* (exists, getData, persistent and recursive watches) and *child*
//! (getChildren and persistent watches). A connection has at most one entry per path and table, with a
//! set of modes.

use super::Tree;
use super::apply::Change;
use super::watch_entries::{Entries, Modes};
use std::collections::BTreeSet;
use zk_proto::{AddWatchMode, EventType, WatchLists, WatcherType, Zxid};

/// A connection that watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u64);

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

/// All watches of a server.
#[derive(Debug, Default)]
pub struct WatchTable {
    data: Entries,
    child: Entries,
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
    /// order of its lists, instead of being watched for again. As in Java, no ACL is asked here.
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
                let event = missed_event(tree, path, missed, lists.relative_zxid);
                match event {
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
        let count = |table: &Entries| table.watchers.get(&watcher).map_or(0, BTreeSet::len);
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
