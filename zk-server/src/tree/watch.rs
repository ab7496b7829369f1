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

/// What watches take: how many there are, and the length of their paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchRoom {
    /// Entries of both tables.
    pub watches: usize,
    /// Bytes of the paths of these entries.
    pub bytes: usize,
}

impl WatchRoom {
    /// Some entries of one path.
    pub const fn of(path: &str, watches: usize) -> Self {
        Self {
            watches,
            bytes: path.len() * watches,
        }
    }
}

impl std::ops::Add for WatchRoom {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            watches: self.watches.saturating_add(other.watches),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl std::iter::Sum for WatchRoom {
    fn sum<I: Iterator<Item = Self>>(rooms: I) -> Self {
        rooms.fold(Self::default(), std::ops::Add::add)
    }
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

    /// Notes that a connection waits for something.
    pub fn watch(&mut self, watcher: WatcherId, path: &str, wanted: Wanted) {
        let (data, child) = wanted.modes();
        for (table, modes) in [(&mut self.data, data), (&mut self.child, child)] {
            if let Some(modes) = modes {
                table.add(watcher, path, modes);
            }
        }
    }

    /// What that would add: a persistent watch stands in both tables, and what stands there
    /// already is not added again.
    pub fn missing(&self, watcher: WatcherId, path: &str, wanted: Wanted) -> WatchRoom {
        let (data, child) = wanted.modes();
        let lacks = |table: &Entries, modes: Option<Modes>| {
            usize::from(modes.is_some() && !table.holds(watcher, path))
        };
        WatchRoom::of(path, lacks(&self.data, data) + lacks(&self.child, child))
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
    /// order of its lists, instead of being watched for again, even if the sink decides that it may not hear.
    pub fn set_watches(
        &mut self,
        tree: &Tree,
        watcher: WatcherId,
        lists: &WatchLists<'_>,
        mut sink: impl FnMut(EventType, &str),
    ) {
        for (path, then) in restored(tree, lists) {
            match then {
                Then::Tell(event) => sink(event, path),
                Then::Watch(wanted) => self.watch(watcher, path, wanted),
            }
        }
    }

    /// What [`Self::set_watches`] would add.
    pub fn missing_of(&self, tree: &Tree, watcher: WatcherId, lists: &WatchLists<'_>) -> WatchRoom {
        let mut missing = BTreeSet::new();
        for (path, then) in restored(tree, lists) {
            let Then::Watch(wanted) = then else {
                continue;
            };
            let (data, child) = wanted.modes();
            if data.is_some() && !self.data.holds(watcher, path) {
                missing.insert((path, true));
            }
            if child.is_some() && !self.child.holds(watcher, path) {
                missing.insert((path, false));
            }
        }
        let rooms = missing.iter().map(|(path, _)| WatchRoom::of(path, 1));
        rooms.sum()
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

    /// What all watches take. A path that several connections watch is held once.
    pub const fn room(&self) -> WatchRoom {
        WatchRoom {
            watches: self.len(),
            bytes: self.data.bytes + self.child.bytes,
        }
    }

    /// What the watches of one connection take, for a limit.
    pub fn room_of(&self, watcher: WatcherId) -> WatchRoom {
        let room = |table: &Entries| {
            let watched = table.watchers.get(&watcher);
            watched.map_or_else(WatchRoom::default, |watched| WatchRoom {
                watches: watched.paths.len(),
                bytes: watched.bytes,
            })
        };
        room(&self.data) + room(&self.child)
    }

    /// Every watching connection with its paths, both in order (`wchc`).
    pub fn by_watcher(&self) -> impl Iterator<Item = (WatcherId, impl Iterator<Item = &str>)> {
        let watchers = self.data.watchers.iter();
        watchers.map(|(&id, watched)| (id, watched.paths.iter().map(AsRef::as_ref)))
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

/// What a connection may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A node's data or existence, once.
    Data,
    /// A node's children, once.
    Children,
    /// What `addWatch` asks for, until it is taken back.
    Added(AddWatchMode),
}

impl Wanted {
    /// What it is in the data and in the child table.
    const fn modes(self) -> (Option<Modes>, Option<Modes>) {
        match self {
            Self::Data => (Some(Modes::STANDARD), None),
            Self::Children => (None, Some(Modes::STANDARD)),
            Self::Added(AddWatchMode::Persistent) => {
                (Some(Modes::PERSISTENT), Some(Modes::PERSISTENT))
            }
            Self::Added(AddWatchMode::PersistentRecursive) => (Some(Modes::RECURSIVE), None),
        }
    }
}

/// What becomes of a watch that a client restores.
enum Then {
    Tell(EventType),
    Watch(Wanted),
}

/// Every path of a client's lists, in order, and what becomes of it.
fn restored<'a>(
    tree: &'a Tree,
    lists: &'a WatchLists<'_>,
) -> impl Iterator<Item = (&'a str, Then)> {
    let once = [
        (&lists.data, Missed::Data),
        (&lists.exist, Missed::Exist),
        (&lists.child, Missed::Child),
    ];
    let once = once.into_iter().flat_map(move |(list, missed)| {
        list.iter().map(move |path| {
            let then = match missed_event(tree, path, missed, lists.relative_zxid) {
                Some(event) => Then::Tell(event),
                None if missed == Missed::Child => Then::Watch(Wanted::Children),
                None => Then::Watch(Wanted::Data),
            };
            (path.as_ref(), then)
        })
    });
    let added = [
        (&lists.persistent, AddWatchMode::Persistent),
        (&lists.recursive, AddWatchMode::PersistentRecursive),
    ];
    once.chain(added.into_iter().flat_map(|(list, mode)| {
        list.iter()
            .map(move |path| (path.as_ref(), Then::Watch(Wanted::Added(mode))))
    }))
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
