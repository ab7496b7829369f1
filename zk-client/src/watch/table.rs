//! Who waits for what: the client's side of the server's watch tables. Pure.
//!
//! Several watchers of one kind on one path share one watch of the server. The table says which event reaches
//! whom (client protocol, 12), and when the last of them is gone, what the server may forget.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Item, SubscriptionId, WatchKind};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use zk_proto::{EventType, WatchEvent, WatcherType, Zxid};

/// All watches of a session.
#[derive(Debug, Default)]
pub(crate) struct Table {
    paths: BTreeMap<Arc<str>, Vec<(SubscriptionId, WatchKind)>>,
    by_id: BTreeMap<SubscriptionId, Arc<str>>,
}

impl Table {
    /// How many watchers there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A watch is armed.
    pub(crate) fn add(&mut self, id: SubscriptionId, kind: WatchKind, path: &str) {
        let path = match self.paths.get_key_value(path) {
            Some((path, _)) => Arc::clone(path),
            None => Arc::from(path),
        };
        self.by_id.insert(id, Arc::clone(&path));
        match self.paths.entry(path) {
            Entry::Occupied(mut known) => known.get_mut().push((id, kind)),
            Entry::Vacant(new) => drop(new.insert(vec![(id, kind)])),
        }
    }

    /// A watcher went away. `None` if it has none; else what the server may forget, if no other watcher needs it.
    #[expect(clippy::option_option, reason = "unknown, shared, or the last one")]
    pub(crate) fn remove(&mut self, id: SubscriptionId) -> Option<Option<(Arc<str>, WatcherType)>> {
        let path = self.by_id.remove(&id)?;
        let known = self.paths.get_mut(&path)?;
        let at = known.iter().position(|(other, _)| *other == id)?;
        let (_, kind) = known.swap_remove(at);
        let class = class_of(kind);
        let needed = known.iter().any(|(_, other)| class_of(*other) == class);
        // Servers before 3.9 remove a lasting watch together with a one-shot one; better to leave the one-shot
        // one armed, whose event nobody hears.
        let lasting = known.iter().any(|(_, other)| !other.is_once());
        if known.is_empty() {
            // Whatever was left to the server goes as well, and servers before 3.9 know no narrower word for a
            // lasting watch.
            self.paths.remove(&path);
            return Some(Some((path, WatcherType::Any)));
        }
        let keep = needed || (kind.is_once() && lasting);
        Some((!keep).then_some((path, class)))
    }

    /// Tells an event to everyone it concerns; one-shot watches are gone after it.
    pub(crate) fn on_event(
        &mut self,
        event: &WatchEvent,
        zxid: Option<Zxid>,
        mut tell: impl FnMut(SubscriptionId, Item),
    ) {
        let path: Arc<str> = match self.paths.get_key_value(event.path.as_str()) {
            Some((path, _)) => Arc::clone(path),
            None => Arc::from(event.path.as_str()),
        };
        let item = Item::Event {
            event: event.event,
            path: Arc::clone(&path),
            zxid,
        };
        if let Some(known) = self.paths.get_mut(&path) {
            known.retain(|(id, kind)| {
                let fires = concerns(*kind, event.event);
                if fires {
                    tell(*id, item.clone());
                }
                let stays = !fires || !kind.is_once();
                if !stays {
                    self.by_id.remove(id);
                }
                stays
            });
            if known.is_empty() {
                self.paths.remove(&path);
            }
        }
        if event.event == EventType::ChildrenChanged {
            return;
        }
        for ancestor in ancestors(&path) {
            for (id, kind) in self.paths.get(ancestor).into_iter().flatten() {
                if *kind == WatchKind::Recursive {
                    tell(*id, item.clone());
                }
            }
        }
    }

    /// Every watch the server has to have, each once.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (WatchKind, &str)> {
        const KINDS: [WatchKind; 5] = [
            WatchKind::Data,
            WatchKind::Exist,
            WatchKind::Child,
            WatchKind::Persistent,
            WatchKind::Recursive,
        ];
        self.paths.iter().flat_map(|(path, known)| {
            KINDS
                .into_iter()
                .filter(|kind| known.iter().any(|(_, other)| other == kind))
                .map(|kind| (kind, &**path))
        })
    }

    /// Everyone whose watch does not tell what it missed.
    pub(crate) fn each_lasting(&self, mut tell: impl FnMut(SubscriptionId)) {
        for (id, kind) in self.paths.values().flatten() {
            if !kind.is_once() {
                tell(*id);
            }
        }
    }

    /// Forgets everyone.
    pub(crate) fn drain(&mut self, mut tell: impl FnMut(SubscriptionId)) {
        self.paths.clear();
        for (id, _) in std::mem::take(&mut self.by_id) {
            tell(id);
        }
    }
}

/// The server's table a watch is in.
const fn class_of(kind: WatchKind) -> WatcherType {
    match kind {
        WatchKind::Data | WatchKind::Exist => WatcherType::Data,
        WatchKind::Child => WatcherType::Children,
        WatchKind::Persistent => WatcherType::Persistent,
        WatchKind::Recursive => WatcherType::PersistentRecursive,
    }
}

/// Whether a watch on the node itself hears of this.
const fn concerns(kind: WatchKind, event: EventType) -> bool {
    match (kind, event) {
        (WatchKind::Persistent, _) => true,
        (WatchKind::Recursive | WatchKind::Data | WatchKind::Exist, EventType::ChildrenChanged) => {
            false
        }
        (WatchKind::Recursive | WatchKind::Data | WatchKind::Exist, _) => true,
        (WatchKind::Child, EventType::ChildrenChanged | EventType::Deleted) => true,
        (WatchKind::Child, EventType::Created | EventType::DataChanged) => false,
    }
}

/// All nodes above, nearest first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut left = if path == "/" { None } else { Some(path) };
    std::iter::from_fn(move || {
        let (parent, _) = left?.rsplit_once('/')?;
        left = (!parent.is_empty()).then_some(parent);
        Some(if parent.is_empty() { "/" } else { parent })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(table: &mut Table, event: EventType, path: &str) -> Vec<u64> {
        let event = WatchEvent {
            event,
            path: path.into(),
        };
        let mut heard = Vec::new();
        table.on_event(&event, None, |id, _| heard.push(id.0));
        heard
    }

    fn table(watches: &[(u64, WatchKind, &str)]) -> Table {
        let mut table = Table::default();
        for (id, kind, path) in watches {
            table.add(SubscriptionId(*id), *kind, path);
        }
        table
    }

    #[test]
    fn a_one_shot_watch_hears_one_event() {
        let mut it = table(&[
            (1, WatchKind::Data, "/a"),
            (2, WatchKind::Child, "/a"),
            (3, WatchKind::Data, "/a"),
        ]);
        assert_eq!(heard(&mut it, EventType::DataChanged, "/a"), [1, 3]);
        assert!(heard(&mut it, EventType::DataChanged, "/a").is_empty());
        assert_eq!(heard(&mut it, EventType::Deleted, "/a"), [2]);
        assert_eq!(it.len(), 0);
        assert_eq!(it.iter().count(), 0);
    }

    #[test]
    fn a_lasting_watch_hears_every_event_of_its_reach() {
        let mut it = table(&[
            (1, WatchKind::Persistent, "/a"),
            (2, WatchKind::Recursive, "/a"),
            (3, WatchKind::Recursive, "/"),
        ]);
        assert_eq!(heard(&mut it, EventType::ChildrenChanged, "/a"), [1]);
        assert_eq!(heard(&mut it, EventType::Created, "/a/b/c"), [2, 3]);
        assert_eq!(heard(&mut it, EventType::DataChanged, "/a"), [1, 2, 3]);
        assert_eq!(heard(&mut it, EventType::DataChanged, "/ab"), [3]);
        assert_eq!(heard(&mut it, EventType::Deleted, "/"), [3]);
    }

    #[test]
    fn the_last_watcher_takes_the_watch_along() {
        let mut it = table(&[
            (1, WatchKind::Data, "/a"),
            (2, WatchKind::Exist, "/a"),
            (3, WatchKind::Child, "/a"),
        ]);
        assert_eq!(it.remove(SubscriptionId(1)), Some(None));
        assert_eq!(
            it.remove(SubscriptionId(2)),
            Some(Some(("/a".into(), WatcherType::Data))),
            "the watch on children stays"
        );
        assert_eq!(it.remove(SubscriptionId(2)), None);
        assert_eq!(
            it.iter().collect::<Vec<_>>(),
            [(WatchKind::Child, "/a")],
            "what is left"
        );
    }

    #[test]
    fn a_one_shot_watch_beside_a_lasting_one_goes_with_it() {
        let mut it = table(&[(1, WatchKind::Data, "/a"), (2, WatchKind::Persistent, "/a")]);
        assert_eq!(it.remove(SubscriptionId(1)), Some(None));
        assert_eq!(
            it.remove(SubscriptionId(2)),
            Some(Some(("/a".into(), WatcherType::Any)))
        );
    }

    #[test]
    fn ancestors_end_at_the_root() {
        let all = |path| ancestors(path).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(all("/a/b"), ["/a", "/"]);
        assert_eq!(all("/a"), ["/"]);
        assert_eq!(all("/"), Vec::<String>::new());
    }
}
