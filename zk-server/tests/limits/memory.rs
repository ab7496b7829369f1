//! How much may be said at once, and how much of it the server keeps.

use super::*;
use support::create;
use zk_proto::{AddWatchMode, MultiOp, OpCode, Request, RequestHeader, Xid};

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

#[test]
fn all_connections_together_hold_so_much() {
    let scene = Scene::start(|config| config.limits.global_buffer = 600 << 10);
    let mut hog = scene.connect().unwrap();
    let frame = |bytes: usize| [&1_000_000_i32.to_be_bytes()[..], &vec![0; bytes]].concat();
    // The rest stays in the kernel: the server stops reading.
    let mut stream = hog.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || stream.write_all(&frame(900 << 10)));
    eventually("reading stops", || scene.metric("limit_global_memory") > 0);
    scene.assert_polite_clients_are_served();
    // Without a session one may hold a handshake, not more.
    let mut fresh = scene.dial();
    let _may_be_cut_off = fresh.write_all(&[&60_000_i32.to_be_bytes()[..], &[0; 30_000]].concat());
    assert!(hangs_up(&mut fresh));
    // With the hog goes what it held, at the latest with its session: nobody reads that it hung up.
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
