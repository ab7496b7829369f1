//! How much may be said at once, and how much of it the server keeps.

use super::*;
use support::create;
use zk_proto::{AddWatchMode, MultiOp, OpCode, Request, RequestHeader, WatchLists, Xid, Zxid};

/// A write whose frame has that many bytes.
fn write_of(client: &mut Client, size: usize) -> std::io::Result<Result<zk_proto::Reply, i32>> {
    let data = vec![b'x'; size];
    let overhead = {
        let mut payload = Vec::new();
        let (xid, op) = (Xid(1), OpCode::SetData);
        RequestHeader { xid, op }.encode(&mut payload);
        set_data(&[]).encode(&mut payload);
        payload.len()
    };
    client.call(&set_data(&data[overhead..]))
}

fn set_data(data: &[u8]) -> Request<'_> {
    Request::SetData {
        path: "/a".into(),
        data: Some(data),
        version: -1,
    }
}

#[test]
fn a_frame_has_a_limit() {
    let scene = Scene::start(|config| config.limits.jute_maxbuffer = 5000);
    let mut client = scene.connect().unwrap();
    client.create("/a", b"", 0).unwrap().unwrap();
    for size in [4999, 5000] {
        write_of(&mut client, size).unwrap().unwrap();
    }
    assert!(write_of(&mut client, 5001).is_err());
    assert_eq!(scene.metric("limit_frame_size"), 1);
    scene.assert_polite_clients_are_served();
}

#[test]
fn large_requests_share_so_many_bytes() {
    let scene = Scene::start(|config| {
        config.limits.large_request_threshold = Some(1000);
        config.limits.large_request_max_bytes = 2000;
    });
    let mut client = scene.connect().unwrap();
    client.create("/a", b"", 0).unwrap().unwrap();
    // One after the other: what was taken is given back.
    for size in [1000, 1001, 1999, 2000, 2000] {
        write_of(&mut client, size).unwrap().unwrap();
    }
    assert!(write_of(&mut client, 2001).is_err());
    assert_eq!(scene.metric("large_requests_rejected"), 1);
    scene.assert_polite_clients_are_served();
}

#[test]
fn watches_of_one_connection_and_in_total() {
    let scene = Scene::start(|config| {
        config.limits.watches_per_connection = Some(3);
        config.limits.watches = Some(5);
    });
    let watch = |client: &mut Client, n: usize| {
        let path = format!("/none-{n}").into();
        let answer = client.call(&Request::Exists { path, watch: true });
        answer.unwrap().expect_err("there is no such node")
    };
    let (mut one, mut other) = (scene.connect().unwrap(), scene.connect().unwrap());
    let answers: Vec<i32> = (0..4).map(|n| watch(&mut one, n)).collect();
    assert_eq!(answers, [-101, -101, -101, -127]);
    assert_eq!(scene.metric("limit_watches_per_session"), 1);
    let answers: Vec<i32> = (0..3).map(|n| watch(&mut other, n)).collect();
    assert_eq!(answers, [-101, -101, -127]);
    assert_eq!(scene.metric("limit_watches"), 1);
    drop(one);
    eventually("watches go with their connection", || {
        scene.metric("watch_count") == 2
    });
    assert_eq!(watch(&mut other, 2), -101);
}

/// What is watched may be long: the paths are bounded by their bytes too, each held once in total.
#[test]
fn paths_of_watches_have_so_many_bytes() {
    let scene = Scene::start(|config| {
        config.limits.watch_bytes_per_connection = Some(3000);
        config.limits.watch_bytes = Some(4000);
    });
    let watch = |client: &mut Client, name: char, length: usize| {
        let path = format!("/{}", name.to_string().repeat(length - 1)).into();
        let answer = client.call(&Request::Exists { path, watch: true });
        answer.unwrap().expect_err("there is no such node")
    };
    let (mut one, mut other) = (scene.connect().unwrap(), scene.connect().unwrap());
    assert_eq!(watch(&mut one, 'a', 2999), -101);
    assert_eq!(watch(&mut one, 'b', 2), -127, "one byte too many");
    assert_eq!(scene.metric("limit_watch_bytes_per_session"), 1);
    assert_eq!(watch(&mut one, 'a', 2999), -101, "it is there already");
    assert_eq!(watch(&mut other, 'c', 1002), -127, "too many together");
    assert_eq!(scene.metric("limit_watch_bytes"), 1);
    assert_eq!(watch(&mut other, 'c', 1001), -101);
    drop(one);
    eventually("bytes go with their connection", || {
        scene.metric("watch_count") == 1
    });
    assert_eq!(watch(&mut other, 'd', 1999), -101);
    assert_eq!(watch(&mut other, 'e', 2), -127);
    // A persistent watch stands in both tables, a path of many parts is as long as any other.
    let mut client = scene.connect().unwrap();
    let add = |client: &mut Client, parts: usize| {
        let (path, mode) = ("/x".repeat(parts).into(), AddWatchMode::Persistent);
        let answer = client.call(&Request::AddWatch { path, mode }).unwrap();
        answer.err().unwrap_or(0)
    };
    assert_eq!(add(&mut client, 251), -127);
    assert_eq!(add(&mut client, 250), 0);
}

/// A persistent watch stands in two tables and counts twice; what is there already does not count again.
#[test]
fn watches_are_counted_exactly() {
    let scene = Scene::start(|config| config.limits.watches_per_connection = Some(4));
    let add = |client: &mut Client, path: &'static str, mode| {
        let path = path.into();
        let answer = client.call(&Request::AddWatch { path, mode }).unwrap();
        answer.err().unwrap_or(0)
    };
    let (persistent, recursive) = (AddWatchMode::Persistent, AddWatchMode::PersistentRecursive);
    let mut client = scene.connect().unwrap();
    assert_eq!(add(&mut client, "/a", recursive), 0);
    assert_eq!(add(&mut client, "/b", persistent), 0);
    assert_eq!(
        add(&mut client, "/c", persistent),
        -127,
        "one seat, not two"
    );
    assert_eq!(add(&mut client, "/d", recursive), 0);
    for mode in [persistent, persistent, recursive] {
        assert_eq!(add(&mut client, "/b", mode), 0, "no seat at all");
    }
    assert_eq!(add(&mut client, "/e", recursive), -127);
    assert_eq!(scene.metric("watch_count"), 4);
    let lists = |persistent: &[&'static str], exist: &[&'static str]| {
        let paths = |paths: &[&'static str]| paths.iter().map(|&path| path.into()).collect();
        Request::SetWatches2(WatchLists {
            relative_zxid: Zxid::ZERO,
            data: vec![],
            exist: paths(exist),
            child: vec![],
            persistent: paths(persistent),
            recursive: paths(exist),
        })
    };
    let mut client = scene.connect().unwrap();
    let mut set = |request| client.call(&request).unwrap().err().unwrap_or(0);
    // What was missed and is told takes no seat either: the root exists.
    assert_eq!(set(lists(&["/a"], &["/a", "/b", "/b", "/", "/"])), 0);
    assert_eq!(set(lists(&["/a", "/b"], &["/a"])), -127);
    assert_eq!(scene.metric("watch_count"), 8);
}

#[test]
fn all_connections_together_hold_so_much() {
    let scene = Scene::start(|config| config.limits.global_buffer = 600 << 10);
    let mut hog = scene.connect().unwrap();
    // The rest stays in the kernel: the server stops reading.
    let mut stream = hog.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || stream.write_all(&unfinished(900 << 10)));
    eventually("reading stops", || scene.metric("limit_global_memory") > 0);
    scene.assert_polite_clients_are_served();
    // Without a session one may hold a handshake, not more.
    let mut fresh = scene.dial();
    let _may_be_cut_off = fresh.write_all(&[&60_000_i32.to_be_bytes()[..], &[0; 30_000]].concat());
    assert!(hangs_up(&mut fresh));
    // With the hog goes what it held.
    hog.stream().shutdown(std::net::Shutdown::Both).unwrap();
    let _cut_off = sender.join().unwrap();
    drop(hog);
    eventually("what the hog held is given back", || {
        let mut fresh = scene.dial();
        let soon = Some(Duration::from_millis(100));
        fresh.set_read_timeout(soon).unwrap();
        let sent = fresh.write_all(&[&60_000_i32.to_be_bytes()[..], &[0; 30_000]].concat());
        sent.is_ok() && !hangs_up(&mut fresh)
    });
    let mut other = scene.connect().unwrap();
    other.create("/a", b"", 0).unwrap().unwrap();
    write_of(&mut other, 550 << 10).unwrap().unwrap();
}

/// The beginning of a request that is longer than what it sends.
fn unfinished(bytes: usize) -> Vec<u8> {
    [&1_000_000_i32.to_be_bytes()[..], &vec![0; bytes]].concat()
}

/// A client, with a session of that timeout, that will be stopped for holding too much.
fn hog(scene: &Scene, timeout: i32) -> Client {
    let none = zk_proto::SessionId::NONE;
    let mut hog = Client::connect_with(scene.address, none, &[0; 16], timeout).unwrap();
    assert_eq!(hog.session.timeout, timeout);
    hog.stream().set_write_timeout(Some(PATIENCE)).unwrap();
    hog
}

#[test]
fn who_hangs_up_while_it_is_stopped_gives_back_what_it_held() {
    let scene = Scene::start(|config| {
        config.limits.global_buffer = 100 << 10;
        config.sessions.max_timeout = Duration::from_secs(300);
    });
    let mut hog = hog(&scene, 300_000);
    // The kernel takes what is not read: that it hangs up arrives.
    hog.stream().write_all(&unfinished(120 << 10)).unwrap();
    eventually("reading stops", || scene.metric("limit_global_memory") > 0);
    // The connection of the last question may still be leaving.
    eventually("it and the one that asks are there", || {
        scene.metric("num_alive_connections") == 2
    });
    drop(hog);
    eventually("it is gone long before its session", || {
        scene.metric("num_alive_connections") == 1
    });
    let mut other = scene.connect().unwrap();
    other.create("/a", b"", 0).unwrap().unwrap();
    write_of(&mut other, 90 << 10).unwrap().unwrap();
}

#[test]
fn who_is_stopped_for_long_loses_its_connection_and_not_its_session() {
    let scene = Scene::start(|config| {
        config.limits.global_buffer = 100 << 10;
        config.sessions.tick_time = Duration::from_millis(200);
        config.sessions.max_timeout = Duration::from_secs(8);
    });
    let mut hog = hog(&scene, 8000);
    let mut stream = hog.stream().try_clone().unwrap();
    // More than anybody takes in: were it to hang up, nobody could see that.
    let sender = std::thread::spawn(
        move || {
            while stream.write_all(&unfinished(900 << 10)).is_ok() {}
        },
    );
    assert!(hangs_up(hog.stream()));
    sender.join().unwrap();
    let back = Client::resume(scene.address, &hog.session).unwrap();
    assert_eq!(back.session.session, hog.session.session, "it lives");
    assert!(scene.metric("limit_global_memory") > 0);
    scene.assert_polite_clients_are_served();
}

#[test]
fn who_does_not_read_is_let_go() {
    let scene = Scene::start(|config| config.limits.connection_buffer = 64 << 10);
    let mut deaf = scene.connect().unwrap();
    let mode = AddWatchMode::PersistentRecursive;
    let watch = Request::AddWatch {
        path: "/".into(),
        mode,
    };
    deaf.call(&watch).unwrap().unwrap();
    let mut busy = scene.connect().unwrap();
    let path = format!("/{}-", "x".repeat(4000));
    eventually("the deaf one is let go", || {
        for _ in 0..50 {
            busy.send(&create(&path, b"", 2)).unwrap();
        }
        for _ in 0..50 {
            busy.receive().unwrap().1.unwrap();
        }
        scene.metric("limit_connection_buffer") == 1
    });
    scene.assert_polite_clients_are_served();
}

/// Where frames may be longer, so may what is in them: the operator's limit counts, not the default one.
#[test]
fn a_raised_jute_maxbuffer_is_obeyed_by_writes_and_reads() {
    let large = vec![7; 3 << 20];
    let scene = Scene::start(|config| {
        config.limits.jute_maxbuffer = 4 << 20;
        config.limits.jute_maxbuffer_extrasize = 4 << 20;
    });
    let mut client = scene.connect().unwrap();
    client.create("/n", b"", 0).unwrap().unwrap();
    let set = Request::SetData {
        path: "/n".into(),
        data: Some(&large),
        version: -1,
    };
    client.call(&set).unwrap().unwrap();
    let part = MultiOp::SetData {
        path: "/n".into(),
        data: Some(&large),
        version: 1,
    };
    client.call(&Request::Multi(vec![part])).unwrap().unwrap();
    assert_eq!(client.data("/n").unwrap().unwrap(), large);
    drop(client);
    let data = scene.stop();
    let again = Scene::start_on(data, |config| {
        config.limits.jute_maxbuffer = 4 << 20;
        config.limits.jute_maxbuffer_extrasize = 4 << 20;
    });
    assert_eq!(again.connect().unwrap().data("/n").unwrap().unwrap(), large);
}
