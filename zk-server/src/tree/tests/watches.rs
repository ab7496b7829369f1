//! Who is told what: against a list of everyone who waits, and case by case.

use super::super::{Change, Missed, Rules, Wanted, WatchRoom, WatchTable, WatcherId, missed_event};
use super::scene::{SESSION, Scene, create, delete, set};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use zk_proto::{AddWatchMode, EventType, Request, WatchLists, WatcherType, Zxid};

const ONE: WatcherId = WatcherId(1);
const TWO: WatcherId = WatcherId(2);

fn change(event: EventType, path: &str) -> Change<'_> {
    Change {
        event,
        path: path.into(),
        acl: Arc::new([]),
    }
}

fn fire(table: &mut WatchTable, event: EventType, path: &str) -> Vec<(u64, EventType, String)> {
    let mut told = Vec::new();
    table.fire(&change(event, path), |watcher, event, path| {
        told.push((watcher.0, event, path.to_owned()));
    });
    told
}

/// One entry of the naive table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Child,
    Persistent,
    Recursive,
}

#[derive(Clone, Debug)]
enum Action {
    Watch(u64, &'static str, Kind),
    Fire(EventType, &'static str),
    Remove(u64, &'static str, WatcherType),
    Forget(u64),
}

#[derive(Default)]
struct Naive(Vec<(u64, &'static str, Kind)>);

impl Naive {
    fn watch(&mut self, entry: (u64, &'static str, Kind)) {
        if !self.0.contains(&entry) {
            self.0.push(entry);
        }
    }

    fn fire(&mut self, event: EventType, path: &str) -> Vec<(u64, EventType, String)> {
        let above = |entry: &str| {
            let below = !entry.is_empty() && path.starts_with(&format!("{entry}/"));
            entry == path || entry == "/" || below
        };
        let in_data = |&(_, at, kind): &(u64, &str, Kind)| match kind {
            Kind::Data | Kind::Persistent => at == path,
            Kind::Recursive => above(at),
            Kind::Child => false,
        };
        let in_child = |&(_, at, kind): &(u64, &str, Kind)| {
            at == path && matches!(kind, Kind::Child | Kind::Persistent)
        };
        let collect = |filter: &dyn Fn(&(u64, &'static str, Kind)) -> bool| {
            let mut ids: Vec<u64> = self.0.iter().filter(|e| filter(e)).map(|e| e.0).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let (data, child) = (collect(&in_data), collect(&in_child));
        let only_child = child.iter().filter(|id| !data.contains(id)).copied();
        let told: Vec<u64> = match event {
            EventType::Created | EventType::DataChanged => data,
            EventType::ChildrenChanged => child,
            EventType::Deleted => data.iter().copied().chain(only_child).collect(),
        };
        let spent: &[Kind] = match event {
            EventType::Created | EventType::DataChanged => &[Kind::Data],
            EventType::ChildrenChanged => &[Kind::Child],
            EventType::Deleted => &[Kind::Data, Kind::Child],
        };
        self.0
            .retain(|(_, at, kind)| *at != path || !spent.contains(kind));
        told.into_iter()
            .map(|id| (id, event, path.to_owned()))
            .collect()
    }

    fn matching(&self, id: u64, path: &str, kind: WatcherType) -> Vec<(u64, &'static str, Kind)> {
        let of_kind = |entry: Kind| match kind {
            WatcherType::Children => entry == Kind::Child,
            WatcherType::Data => entry == Kind::Data,
            WatcherType::Any => true,
            WatcherType::Persistent => entry == Kind::Persistent,
            WatcherType::PersistentRecursive => entry == Kind::Recursive,
        };
        let entries = self
            .0
            .iter()
            .filter(|e| e.0 == id && e.1 == path && of_kind(e.2));
        entries.copied().collect()
    }

    /// What stands in the data or in the child table.
    fn table(&self, child: bool) -> impl Iterator<Item = &(u64, &'static str, Kind)> {
        let in_table = move |kind: Kind| match kind {
            Kind::Data | Kind::Recursive => !child,
            Kind::Child => child,
            Kind::Persistent => true,
        };
        self.0.iter().filter(move |e| in_table(e.2))
    }

    /// Pairs of watcher and path in the data or in the child table.
    fn pairs(&self, child: bool) -> usize {
        let pairs = self.table(child).map(|e| (e.0, e.1));
        pairs.collect::<BTreeSet<_>>().len()
    }

    fn room(&self) -> WatchRoom {
        let of_table = |child| {
            let paths: BTreeSet<_> = self.table(child).map(|e| e.1).collect();
            WatchRoom {
                watches: self.pairs(child),
                bytes: paths.into_iter().map(str::len).sum(),
            }
        };
        of_table(false) + of_table(true)
    }
}

fn action() -> impl Strategy<Value = Action> {
    let path = || prop::sample::select(vec!["/", "/a", "/a/b", "/a/b/c", "/ab", ""]);
    let id = || 1..4_u64;
    let kind = prop::sample::select(vec![
        Kind::Data,
        Kind::Child,
        Kind::Persistent,
        Kind::Recursive,
    ]);
    let event = prop::sample::select(vec![
        EventType::Created,
        EventType::Deleted,
        EventType::DataChanged,
        EventType::ChildrenChanged,
    ]);
    let types = prop::sample::select(vec![
        WatcherType::Children,
        WatcherType::Data,
        WatcherType::Any,
        WatcherType::Persistent,
        WatcherType::PersistentRecursive,
    ]);
    // Nothing ever happens to the path "", though a client may watch it.
    let changed = prop::sample::select(vec!["/", "/a", "/a/b", "/a/b/c", "/ab"]);
    prop_oneof![
        6 => (id(), path(), kind).prop_map(|(id, path, kind)| Action::Watch(id, path, kind)),
        4 => (event, changed).prop_map(|(event, path)| Action::Fire(event, path)),
        3 => (id(), path(), types).prop_map(|(id, path, kind)| Action::Remove(id, path, kind)),
        1 => id().prop_map(Action::Forget),
    ]
}

fn add(table: &mut WatchTable, id: WatcherId, path: &str, kind: Kind) {
    let wanted = match kind {
        Kind::Data => Wanted::Data,
        Kind::Child => Wanted::Children,
        Kind::Persistent => Wanted::Added(AddWatchMode::Persistent),
        Kind::Recursive => Wanted::Added(AddWatchMode::PersistentRecursive),
    };
    let expected = table.room_of(id) + table.missing(id, path, wanted);
    table.watch(id, path, wanted);
    assert_eq!(
        table.room_of(id),
        expected,
        "what is missing is what is added"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_table_agrees_with_a_naive_list(actions in vec(action(), 1..80)) {
        let (mut table, mut naive) = (WatchTable::new(), Naive::default());
        for action in actions {
            match action {
                Action::Watch(id, path, kind) => {
                    add(&mut table, WatcherId(id), path, kind);
                    naive.watch((id, path, kind));
                }
                Action::Fire(event, path) => {
                    prop_assert_eq!(fire(&mut table, event, path), naive.fire(event, path));
                }
                Action::Remove(id, path, kind) => {
                    let gone = naive.matching(id, path, kind);
                    prop_assert_eq!(table.has(WatcherId(id), path, kind), !gone.is_empty());
                    prop_assert_eq!(table.remove(WatcherId(id), path, kind), !gone.is_empty());
                    naive.0.retain(|entry| !gone.contains(entry));
                }
                Action::Forget(id) => {
                    table.forget(WatcherId(id));
                    naive.0.retain(|entry| entry.0 != id);
                }
            }
            prop_assert_eq!(table.counts().watches, naive.pairs(false));
            prop_assert_eq!(table.len(), naive.pairs(false) + naive.pairs(true));
            prop_assert_eq!(table.by_watcher().map(|(_, paths)| paths.count()).sum::<usize>(),
                naive.pairs(false));
            prop_assert_eq!(table.by_path().map(|(_, ids)| ids.count()).sum::<usize>(),
                naive.pairs(false));
            prop_assert_eq!(table.is_empty(), naive.0.is_empty());
            prop_assert_eq!(table.room(), naive.room());
        }
    }
}

#[test]
fn a_deletion_is_told_once_but_uses_up_both_watches() {
    let mut table = WatchTable::new();
    table.watch(ONE, "/a", Wanted::Data);
    table.watch(ONE, "/a", Wanted::Children);
    table.watch(TWO, "/a", Wanted::Children);
    let deleted = |id| (id, EventType::Deleted, "/a".to_owned());
    assert_eq!(
        fire(&mut table, EventType::Deleted, "/a"),
        [deleted(1), deleted(2)]
    );
    assert!(table.is_empty());
}

#[test]
fn a_path_is_held_once_however_many_watch_it() {
    let mut table = WatchTable::new();
    table.watch(ONE, "/abc", Wanted::Data);
    table.watch(TWO, "/abc", Wanted::Data);
    table.watch(TWO, "/abc", Wanted::Children);
    assert_eq!(table.room_of(ONE), WatchRoom::of("/abc", 1));
    assert_eq!(table.room_of(TWO), WatchRoom::of("/abc", 2));
    let room = WatchRoom {
        watches: 3,
        bytes: 8,
    };
    assert_eq!(table.room(), room, "once in each of the two tables");
    table.forget(TWO);
    assert_eq!(table.room(), WatchRoom::of("/abc", 1));
    fire(&mut table, EventType::DataChanged, "/abc");
    assert_eq!(table.room(), WatchRoom::default());
}

#[test]
fn several_modes_on_one_path_are_one_event_and_only_one_is_used_up() {
    let mut table = WatchTable::new();
    for kind in [Kind::Data, Kind::Data, Kind::Persistent, Kind::Recursive] {
        add(&mut table, ONE, "/a", kind);
    }
    assert_eq!(
        (table.counts().watches, table.room_of(ONE)),
        (1, WatchRoom::of("/a", 2))
    );
    for _ in 0..2 {
        assert_eq!(fire(&mut table, EventType::DataChanged, "/a").len(), 1);
    }
    assert!(!table.has(ONE, "/a", WatcherType::Data));
    assert!(table.has(ONE, "/a", WatcherType::Persistent));
    assert!(table.has(ONE, "/a", WatcherType::PersistentRecursive));
}

/// What a write tells, in order: by what happened, path, and the ACL that filters it.
fn told(scene: &mut Scene, request: &Request<'_>) -> Vec<(EventType, String)> {
    let record = scene.prepare(request);
    let applied = scene.applied(&record);
    let changes = applied.changes.iter();
    changes
        .map(|change| (change.event, change.path.to_string()))
        .collect()
}

#[test]
fn writes_tell_of_the_node_and_then_of_its_parent() {
    use EventType::{ChildrenChanged, Created, DataChanged, Deleted};
    let scene = &mut Scene::new(Rules::default());
    let pair = |event, path: &str| (event, path.to_owned());
    assert_eq!(
        told(scene, &create("/a", 0)),
        [pair(Created, "/a"), pair(ChildrenChanged, "/")]
    );
    assert_eq!(
        told(scene, &create("/a/b", 1)),
        [pair(Created, "/a/b"), pair(ChildrenChanged, "/a")]
    );
    assert_eq!(told(scene, &set("/a", b"x")), [pair(DataChanged, "/a")]);
    assert_eq!(told(scene, &create("/a", 0)), [], "a refusal tells nothing");
    assert_eq!(
        told(scene, &Request::CloseSession),
        [pair(Deleted, "/a/b"), pair(ChildrenChanged, "/a")]
    );
    scene.open(SESSION);
    assert_eq!(
        told(scene, &delete("/a")),
        [pair(Deleted, "/a"), pair(ChildrenChanged, "/")]
    );
}

#[test]
fn what_was_missed_is_told_and_what_was_not_is_watched_again() {
    let mut scene = Scene::new(Rules::default());
    scene.run(&create("/old", 0)).unwrap();
    let since = scene.tree.last_zxid();
    scene.run(&create("/new", 0)).unwrap();
    scene.run(&create("/old/child", 0)).unwrap();
    let tree = &scene.tree;
    for (path, list, event) in [
        ("/old", Missed::Data, None),
        ("/new", Missed::Data, Some(EventType::DataChanged)),
        ("/gone", Missed::Data, Some(EventType::Deleted)),
        ("/old", Missed::Exist, Some(EventType::Created)),
        ("/gone", Missed::Exist, None),
        ("/old", Missed::Child, Some(EventType::ChildrenChanged)),
        (
            "/old/child",
            Missed::Child,
            Some(EventType::ChildrenChanged),
        ),
        ("/zookeeper", Missed::Child, None),
        ("/gone", Missed::Child, Some(EventType::Deleted)),
    ] {
        assert_eq!(
            missed_event(tree, path, list, since),
            event,
            "{path} {list:?}"
        );
    }
    let lists = WatchLists {
        relative_zxid: Zxid::from_wire(since.to_wire()),
        data: vec!["/old".into(), "/gone".into()],
        exist: vec!["/gone".into()],
        child: vec!["/zookeeper".into(), "/old".into()],
        persistent: vec!["/p".into()],
        recursive: vec!["/r".into()],
    };
    let (mut table, mut told) = (WatchTable::new(), Vec::new());
    // "/p" stands in both tables.
    let room = WatchRoom {
        watches: 6,
        bytes: "/gone/old/zookeeper/p/p/r".len(),
    };
    assert_eq!(table.missing_of(tree, ONE, &lists), room);
    table.set_watches(tree, ONE, &lists, |event, path| {
        told.push((event, path.to_owned()));
    });
    assert_eq!(
        told,
        [
            (EventType::Deleted, "/gone".to_owned()),
            (EventType::ChildrenChanged, "/old".to_owned())
        ]
    );
    let watched: Vec<_> = table.by_path().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(watched, ["/gone", "/old", "/p", "/r"]);
    assert!(table.has(ONE, "/zookeeper", WatcherType::Children));
    assert!(!table.has(ONE, "/old", WatcherType::Children));
    assert_eq!((table.room(), table.room_of(ONE)), (room, room));
    let nothing = WatchRoom::default();
    assert_eq!(
        table.missing_of(tree, ONE, &lists),
        nothing,
        "it is all there"
    );
}
