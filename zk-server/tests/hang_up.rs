//! What becomes of the words of a client that hangs up behind them.
#![expect(
    clippy::unwrap_used,
    reason = "the scene's helpers are test code, though not marked as tests"
)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};
use support::{Client, create};
use zk_proto::{Request, SessionId};
use zk_server::{Config, Server};

/// How long anything may take that must happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than the server takes of one client at once, with the buffer below.
const WRITES: usize = 2000;

/// A server that keeps little for each client, and a scene played on it.
fn on_a_server(play: impl FnOnce(SocketAddr) + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::in_process(data.path());
    config.limits.connection_buffer = 16 << 10;
    let server = runtime.block_on(Server::start(config)).unwrap();
    play(server.client_address().unwrap());
    runtime.block_on(server.stop()).unwrap();
}

/// Sends numbered creations without reading any answer.
fn send_writes(client: &mut Client, base: &str) {
    for number in 0..WRITES {
        let path = format!("{base}/{number:06}");
        client.send(&create(&path, b"", 0)).unwrap();
    }
}

/// Waits until everything that was sent is there.
#[track_caller]
fn assert_all_written(address: SocketAddr, base: &str) {
    assert_written(address, base, WRITES);
}

#[track_caller]
fn assert_written(address: SocketAddr, base: &str, writes: usize) {
    let mut other = Client::connect(address).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = other.children(base).unwrap().unwrap().len();
        if found == writes {
            return;
        }
        assert!(Instant::now() < deadline, "{found} of {writes} in {base}");
    }
}

/// Waits until an ephemeral node has gone with its session, sooner than that would expire.
#[track_caller]
fn assert_ended(address: SocketAddr, ephemeral: &str) {
    let mut other = Client::connect(address).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while other.data(ephemeral).unwrap() != Err(-101) {
        assert!(Instant::now() < deadline, "the session outlives its end");
    }
}

fn is_alive(address: SocketAddr, client: &Client) -> bool {
    let resumed = Client::resume(address, &client.session).unwrap();
    resumed.session.session != SessionId::NONE
}

/// As Apache's server does: every whole request before the end of the stream is carried out (P3).
#[test]
fn what_was_said_before_a_half_close_is_done() {
    on_a_server(|address| {
        let mut client = Client::connect(address).unwrap();
        client.create("/a", b"", 0).unwrap().unwrap();
        send_writes(&mut client, "/a");
        client.stream().shutdown(Shutdown::Write).unwrap();
        assert_all_written(address, "/a");
        assert!(is_alive(address, &client), "its session may come back");
    });
}

#[test]
fn a_session_closed_before_a_half_close_is_closed() {
    on_a_server(|address| {
        let mut client = Client::connect(address).unwrap();
        client.create("/b", b"", 0).unwrap().unwrap();
        client.create("/here", b"", 1).unwrap().unwrap();
        send_writes(&mut client, "/b");
        client.send(&Request::CloseSession).unwrap();
        client.stream().shutdown(Shutdown::Write).unwrap();
        assert_all_written(address, "/b");
        assert_ended(address, "/here");
        assert!(!is_alive(address, &client));
    });
}

/// The C client says that its session ends and closes its socket, whatever answers lie there unread.
#[test]
fn what_was_said_before_a_reset_is_done_as_far_as_it_arrived() {
    on_a_server(|address| {
        for round in 0..20 {
            let mut client = Client::connect(address).unwrap();
            let (base, here) = (format!("/c{round}"), format!("/here{round}"));
            client.create(&base, b"", 0).unwrap().unwrap();
            client.create(&here, b"", 1).unwrap().unwrap();
            let paths: Vec<_> = (0..40).map(|number| format!("{base}/{number}")).collect();
            let mut requests: Vec<_> = paths.iter().map(|path| create(path, b"", 0)).collect();
            requests.push(Request::CloseSession);
            // What the kernel has not sent when the reset goes out never arrives.
            client.send_together(&requests).unwrap();
            // Answers are there by now, or on their way: the kernel sends a reset.
            client.stream().read_exact(&mut [0]).unwrap();
            drop(client);
            assert_ended(address, &here);
            let mut other = Client::connect(address).unwrap();
            assert_eq!(other.children(&base).unwrap().unwrap().len(), 40);
        }
    });
}

/// A long reply keeps the server from taking the next request out of what it has already read.
#[test]
fn what_lay_unread_behind_a_long_reply_is_done() {
    on_a_server(|address| {
        let mut client = Client::connect(address).unwrap();
        client.create("/e", b"", 0).unwrap().unwrap();
        client.create("/long", &[7; 20_000], 0).unwrap().unwrap();
        let read = Request::GetData {
            path: "/long".into(),
            watch: false,
        };
        for number in 0..50 {
            client.send(&read).unwrap();
            client
                .send(&create(&format!("/e/{number}"), b"", 0))
                .unwrap();
        }
        client.stream().shutdown(Shutdown::Write).unwrap();
        for _ in 0..50 {
            // The last write is answered as well if it stands soon enough.
            client.receive().unwrap().1.unwrap();
        }
        assert_written(address, "/e", 50);
    });
}

/// An unfinished request is none.
#[test]
fn half_a_request_is_not_done() {
    on_a_server(|address| {
        let mut client = Client::connect(address).unwrap();
        client.send(&create("/d", b"", 0)).unwrap();
        client.receive().unwrap().1.unwrap();
        client.stream().write_all(&[0, 0, 0, 40, 0, 0]).unwrap();
        client.stream().shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.stream().read(&mut [0]).unwrap(), 0);
        assert!(is_alive(address, &client));
    });
}
