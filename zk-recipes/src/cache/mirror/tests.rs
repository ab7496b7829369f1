use super::*;

const LARGE: Limits = Limits {
    nodes: 100,
    bytes: 10_000,
};

fn node(path: &str, czxid: i64, mzxid: i64) -> CachedNode {
    let stat = Stat {
        czxid: Zxid::from_wire(czxid),
        mzxid: Zxid::from_wire(mzxid),
        ..Stat::default()
    };
    CachedNode::new(path, Bytes::from_static(b"0123456789"), stat)
}

fn staged(nodes: &[(&str, i64, i64)]) -> Staged {
    let mut staged = Staged::default();
    for (path, czxid, mzxid) in nodes {
        staged.there(node(path, *czxid, *mzxid));
    }
    staged
}

fn publish(mirror: &mut Mirror, staged: Staged) -> Vec<String> {
    let events = mirror.publish(staged, Zxid::ZERO, true);
    let text = |event: &CacheEvent| match event {
        CacheEvent::Created { node } => format!("+{}", node.path()),
        CacheEvent::Changed { node, .. } => format!("~{}", node.path()),
        CacheEvent::Deleted { before } => format!("-{}", before.path()),
        CacheEvent::Resynced { .. } => "resynced".to_owned(),
    };
    events.iter().map(text).collect()
}

#[test]
fn what_is_published_is_told_as_differences_in_an_order_that_keeps_a_tree() {
    let mut mirror = Mirror::new(LARGE);
    let tree = [("/a", 1, 1), ("/a/b", 2, 2), ("/a/b/c", 3, 3)];
    assert_eq!(
        publish(&mut mirror, staged(&tree)),
        ["+/a", "+/a/b", "+/a/b/c"]
    );
    let mut next = staged(&[("/a", 1, 5), ("/d", 6, 6)]);
    next.gone("/a/b");
    next.gone("/a/b/c");
    next.gone("/never");
    assert_eq!(
        publish(&mut mirror, next),
        ["-/a/b/c", "-/a/b", "~/a", "+/d"]
    );
    assert_eq!(mirror.bytes, "/a".len() + "/d".len() + 20);
}

#[test]
fn a_node_that_was_deleted_and_created_again_is_another() {
    let mut mirror = Mirror::new(LARGE);
    publish(&mut mirror, staged(&[("/a", 1, 1)]));
    assert_eq!(
        publish(&mut mirror, staged(&[("/a", 7, 7)])),
        ["-/a", "+/a"]
    );
    assert_eq!(publish(&mut mirror, staged(&[("/a", 7, 7)])), [""; 0]);
}

#[test]
fn a_late_answer_does_not_undo_a_newer_one() {
    let staged = staged(&[("/a", 1, 9), ("/a", 1, 4)]);
    let mut mirror = Mirror::new(LARGE);
    publish(&mut mirror, staged);
    assert_eq!(mirror.get("/a").unwrap().stat().mzxid, Zxid::from_wire(9));
}

#[test]
fn after_everything_was_read_the_rest_is_gone() {
    let mut mirror = Mirror::new(LARGE);
    publish(&mut mirror, staged(&[("/a", 1, 1), ("/b", 2, 2)]));
    let mut all = staged(&[("/b", 2, 2), ("/c", 3, 3)]);
    all.all = true;
    assert_eq!(publish(&mut mirror, all), ["-/a", "+/c"]);
}

#[test]
fn what_does_not_fit_is_left_out_and_said_to_be() {
    let small = Limits {
        nodes: 10,
        bytes: 36,
    };
    let mut mirror = Mirror::new(small);
    publish(
        &mut mirror,
        staged(&[("/a", 1, 1), ("/b", 2, 2), ("/c", 3, 3)]),
    );
    assert!(mirror.snapshot().is_complete() && mirror.snapshot().len() == 3);
    assert_eq!(publish(&mut mirror, staged(&[("/d", 4, 4)])), [""; 0]);
    assert!(!mirror.snapshot().is_complete() && !mirror.has_room_again());
    let mut fewer = Staged::default();
    fewer.gone("/a");
    publish(&mut mirror, fewer);
    assert!(mirror.has_room_again());
    let mut all = staged(&[("/b", 2, 2), ("/c", 3, 3), ("/d", 4, 4)]);
    all.all = true;
    assert_eq!(publish(&mut mirror, all), ["+/d"]);
    assert!(mirror.snapshot().is_complete());
}

#[test]
fn a_snapshot_lists_children_and_stays() {
    let mut mirror = Mirror::new(LARGE);
    let tree = [
        ("/a", 1, 1),
        ("/a/b", 2, 2),
        ("/a/b/c", 3, 3),
        ("/a/x", 4, 4),
        ("/ab", 5, 5),
    ];
    publish(&mut mirror, staged(&tree));
    let before = mirror.snapshot();
    let mut gone = Staged::default();
    gone.gone("/a/x");
    publish(&mut mirror, gone);
    let names = |path: &str| {
        before
            .children(path)
            .map(|it| it.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("/a"), ["b", "x"]);
    assert_eq!(names("/"), ["a", "ab"]);
    assert_eq!(mirror.snapshot().children("/a").count(), 1);
}
