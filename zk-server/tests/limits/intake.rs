//! What waits before it is prepared, and what is refused because there is no room for it.

use super::*;
use support::create;
use zk_proto::{MultiOp, Request};

/// Transactions stay in flight for this long.
const SLOW: Duration = Duration::from_millis(700);

fn throttled(change: impl FnOnce(&mut Config)) -> Scene {
    Scene::start(|config| {
        config.throttling.requests.max_requests = Some(1);
        config.storage.flush_delay = Some(SLOW);
        change(config);
    })
}

#[test]
fn requests_wait_for_one_another_and_keep_their_order() {
    let scene = Scene::start(|config| config.throttling.requests.max_requests = Some(2));
    let mut clients: Vec<Client> = (0..3).map(|_| scene.connect().unwrap()).collect();
    let path = "/";
    for client in &mut clients {
        for _ in 0..40 {
            client.send(&create("/n-", b"", 2)).unwrap();
            client
                .send(&Request::GetChildren {
                    path: path.into(),
                    watch: false,
                })
                .unwrap();
        }
    }
    for client in &mut clients {
        for _ in 0..80 {
            client.receive().unwrap().1.unwrap();
        }
    }
    assert!(scene.metric("request_throttle_wait_count") > 0);
    assert!(scene.metric("cnt_request_throttle_queue_time_ms") > 0);
    assert_eq!(scene.metric("throttled_ops"), 0);
    assert_eq!(
        scene.metric("outstanding_requests"),
        0,
        "what began has ended"
    );
}

#[test]
fn above_the_outstanding_limit_a_client_with_requests_in_process_is_not_read() {
    for (limit, held) in [(3, false), (4, false), (2, true)] {
        let scene = Scene::start(|config| {
            config.limits.global_outstanding = limit;
            config.storage.flush_delay = Some(SLOW);
        });
        let mut client = scene.connect().unwrap();
        for _ in 0..3 {
            client.send(&create("/n-", b"", 2)).unwrap();
        }
        if held {
            eventually("reading stops", || {
                scene.metric("limit_outstanding_requests") > 0
            });
        }
        // Whoever has nothing in process is read as ever.
        scene.connect().unwrap().children("/").unwrap().unwrap();
        for _ in 0..3 {
            client.receive().unwrap().1.unwrap();
        }
        let counted = scene.metric("limit_outstanding_requests") > 0;
        assert_eq!(counted, held, "{limit}");
        assert_eq!(scene.metric("outstanding_requests"), 0);
    }
}

#[test]
fn who_waited_too_long_is_told_so_and_nothing_is_done() {
    let scene = throttled(|config| {
        config.throttling.requests.throttled_op_wait = Some(Duration::from_millis(1));
    });
    let mut client = scene.connect().unwrap();
    for path in ["/a", "/b", "/c"] {
        client.send(&create(path, b"", 0)).unwrap();
    }
    let path = "/a".into();
    client
        .send(&Request::GetData { path, watch: false })
        .unwrap();
    client.send(&Request::Ping).unwrap();
    client.send(&Request::CloseSession).unwrap();
    let answers: Vec<i32> = (0..6)
        .map(|_| client.receive().unwrap().1.err().unwrap_or(0))
        .collect();
    // The end of a session and its pings never are.
    assert_eq!(answers, [0, -127, -127, -127, 0, 0]);
    assert_eq!(scene.metric("throttled_ops"), 3);
    let mut names = scene.connect().unwrap().children("/").unwrap().unwrap();
    names.sort();
    assert_eq!(names, ["a", "zookeeper"]);
}

#[test]
fn what_nobody_waits_for_any_more_is_dropped_if_that_is_wished() {
    for drop_stale in [true, false] {
        let scene = throttled(|config| config.throttling.requests.drop_stale = drop_stale);
        let mut client = scene.connect().unwrap();
        for path in ["/a", "/b", "/c"] {
            client.send(&create(path, b"", 0)).unwrap();
        }
        eventually("the first is on its way", || {
            scene.metric("request_throttle_wait_count") > 0
        });
        drop(client);
        if drop_stale {
            eventually("both are dropped", || {
                scene.metric("stale_requests_dropped") == 2
            });
            let names = scene.connect().unwrap().children("/").unwrap().unwrap();
            assert_eq!(names.len(), 2, "{names:?}");
        } else {
            let mut other = scene.connect().unwrap();
            eventually("all are done", || {
                other.children("/").unwrap().unwrap().len() == 4
            });
            assert_eq!(scene.metric("stale_requests_dropped"), 0);
        }
        eventually("all have ended", || {
            scene.metric("outstanding_requests") == 0
        });
    }
}

#[test]
fn a_multi_has_so_many_parts() {
    let scene = Scene::start(|config| config.limits.multi_ops = Some(3));
    let mut client = scene.connect().unwrap();
    let check = || MultiOp::Check {
        path: "/".into(),
        version: -1,
    };
    let read = || MultiOp::GetChildren {
        path: "/".into(),
        watch: false,
    };
    let mut errors = Vec::new();
    for count in 2..=4 {
        let write = Request::Multi((0..count).map(|_| check()).collect());
        errors.push(client.call(&write).unwrap().err());
        let read = Request::MultiRead((0..count).map(|_| read()).collect());
        errors.push(client.call(&read).unwrap().err());
    }
    assert_eq!(errors, [None, None, None, None, Some(-8), Some(-8)]);
    assert_eq!(scene.metric("limit_multi_ops"), 2);
}

#[test]
fn above_the_soft_limit_the_tree_does_not_grow() {
    let set = |data: &'static [u8]| Request::SetData {
        path: "/a".into(),
        data: Some(data),
        version: -1,
    };
    let empty = {
        let scene = Scene::start(|_| {});
        // Shown as Java shows it, with the root twice.
        let (size, nodes) = (
            scene.metric("approximate_data_size"),
            scene.metric("znode_count"),
        );
        size - 1 + 128 * (nodes - 1)
    };
    for (soft, expected) in [(empty - 1, 0), (empty, 1), (empty + 1, 1), (empty + 132, 2)] {
        let scene = Scene::start(|config| config.limits.soft_memory = Some(soft));
        let mut client = scene.connect().unwrap();
        let made = ["/a", "/b", "/c"].map(|path| client.create(path, b"xx", 0).unwrap());
        let refused = made.iter().filter(|made| **made == Err(-125)).count();
        assert_eq!(refused, 3 - expected, "{made:?} with {soft}");
        assert_eq!(scene.metric("limit_data_size"), refused as u64);
        if expected > 0 {
            assert_eq!(client.call(&set(b"xxx")).unwrap().err(), Some(-125));
            assert_eq!(client.call(&set(b"yy")).unwrap().err(), None);
            let path = "/a".into();
            let delete = Request::Delete { path, version: -1 };
            assert_eq!(client.call(&delete).unwrap().err(), None);
            client.create("/again", b"", 0).unwrap().unwrap();
        }
    }
}

#[test]
fn a_nearly_full_disk_takes_only_what_makes_room() {
    let scene = Scene::start(|config| config.storage.disk_headroom = Some(1));
    let mut client = scene.connect().unwrap();
    for path in ["/a", "/b", "/c"] {
        client.create(path, b"", 0).unwrap().unwrap();
    }
    assert_eq!(scene.metric("limit_disk_space"), 0);
    drop(client);
    let scene = Scene::start_on(scene.stop(), |config| {
        config.storage.disk_headroom = Some(1 << 60);
    });
    let mut client = scene.connect().unwrap();
    let delete = |path: &'static str| MultiOp::Delete {
        path: path.into(),
        version: -1,
    };
    let set = || MultiOp::SetData {
        path: "/c".into(),
        data: Some(b""),
        version: -1,
    };
    let asked = [
        (create("/d", b"", 0), -127),
        (
            Request::SetData {
                path: "/a".into(),
                data: None,
                version: -1,
            },
            -127,
        ),
        (Request::Multi(vec![delete("/a"), set()]), -127),
        (
            Request::Delete {
                path: "/a".into(),
                version: -1,
            },
            0,
        ),
        (Request::Multi(vec![delete("/b")]), 0),
        (Request::CloseSession, 0),
    ];
    for (request, expected) in asked {
        let answer = client.call(&request).unwrap();
        assert_eq!(answer.err().unwrap_or(0), expected, "{request:?}");
    }
    assert_eq!(scene.metric("limit_disk_space"), 3);
    let mut names = scene.connect().unwrap().children("/").unwrap().unwrap();
    names.sort();
    assert_eq!(names, ["c", "zookeeper"]);
}
