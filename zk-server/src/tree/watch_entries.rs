//! One of the two tables of watches: entries by path and by connection, kept in step.

use super::WatcherId;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The modes of one connection's watch on one path in one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Modes(pub(super) u8);

impl Modes {
    pub(super) const STANDARD: Self = Self(1);
    pub(super) const PERSISTENT: Self = Self(2);
    pub(super) const RECURSIVE: Self = Self(4);
    pub(super) const ALL: Self = Self(7);

    pub(super) const fn has(self, mode: Self) -> bool {
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

/// What one connection watches.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) paths: BTreeSet<Arc<str>>,
    /// The length of all of them.
    pub(super) bytes: usize,
}

/// One of the two tables.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// By path: few watchers each, in order.
    pub(super) paths: HashMap<Arc<str>, Vec<(WatcherId, Modes)>, FixedState>,
    /// By watcher: the same pairs, for dumps and for forgetting a connection.
    pub(super) watchers: BTreeMap<WatcherId, Watched>,
    pub(super) watches: usize,
    /// The length of all paths, each once: they are shared.
    pub(super) bytes: usize,
    recursive: usize,
}

impl Entries {
    pub(super) fn add(&mut self, watcher: WatcherId, path: &str, mode: Modes) {
        let known = self.paths.get_key_value(path).map(|(path, _)| path.clone());
        let path = known.unwrap_or_else(|| {
            self.bytes += path.len();
            path.into()
        });
        let list = self.paths.entry(path.clone()).or_default();
        let at = match list.binary_search_by_key(&watcher, |&(id, _)| id) {
            Ok(at) => at,
            Err(at) => {
                list.insert(at, (watcher, Modes::default()));
                let watched = self.watchers.entry(watcher).or_default();
                watched.bytes += path.len();
                watched.paths.insert(path);
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

    pub(super) fn modes(&self, watcher: WatcherId, path: &str) -> Modes {
        let list = self.paths.get(path).map_or(&[][..], Vec::as_slice);
        match list.binary_search_by_key(&watcher, |&(id, _)| id) {
            Ok(at) => list[at].1,
            Err(_) => Modes::default(),
        }
    }

    /// Whether a connection has an entry, of whatever modes.
    pub(super) fn holds(&self, watcher: WatcherId, path: &str) -> bool {
        !self.modes(watcher, path).is_empty()
    }

    /// Removes modes and says whether one of them was there.
    pub(super) fn remove(&mut self, watcher: WatcherId, path: &str, mode: Modes) -> bool {
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
                self.drop_path(path);
            }
            self.unlink(watcher, path);
        }
        before != after
    }

    /// Nobody watches a path any more.
    fn drop_path(&mut self, path: &str) {
        if self.paths.remove(path).is_some() {
            self.bytes -= path.len();
        }
    }

    /// A pair is gone from the list by path: forget it in the other.
    fn unlink(&mut self, watcher: WatcherId, path: &str) {
        self.watches -= 1;
        if let Some(watched) = self.watchers.get_mut(&watcher) {
            if watched.paths.remove(path) {
                watched.bytes -= path.len();
            }
            if watched.paths.is_empty() {
                self.watchers.remove(&watcher);
            }
        }
    }

    pub(super) fn forget(&mut self, watcher: WatcherId) {
        let watched = self.watchers.get(&watcher);
        for path in watched.map_or_else(BTreeSet::new, |watched| watched.paths.clone()) {
            self.remove(watcher, &path, Modes::ALL);
        }
    }

    /// Everyone who is to hear of a change at a path, each once; one-shot watches are used up.
    pub(super) fn trigger(&mut self, path: &str) -> Vec<WatcherId> {
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
                self.drop_path(path);
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
