//! One conversation, cut at every byte of it, in both directions: each call ends in the verdict that is true, order
//! is kept, a protected create leaves one node or none, and the watch fires.

#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

mod common;

use common::PATIENCE;
use std::time::Duration;
use zk_client::hosts::backoff::Policy;
use zk_client::testkit::{Direction, FaultProxy, TestServer};
use zk_client::{Call, Client, ErrorCode, OnceEvent, Outcome};

/// Conversations at a time.
const AT_ONCE: u64 = 16;

async fn connect(address: std::net::SocketAddr) -> Client {
    let soon = Policy {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(5),
        ..Policy::default()
    };
    let client = Client::builder(address.to_string())
        .session_timeout(Duration::from_secs(10))
        .request_timeout(PATIENCE)
        .backoff(soon);
    client.connect().await.unwrap()
}

/// Says what a write has come to: done, not done, or nobody knows.
fn verdict<T>(result: &Result<T, zk_client::Error>) -> Option<bool> {
    match result {
        Ok(_) => Some(true),
        Err(error) if error.outcome() == Outcome::NotApplied => Some(false),
        Err(_) => None,
    }
}

/// A protected create leaves the node it told of, or none.
async fn one_or_none(witness: &Client, locks: &str, protected: Call<String>, cut: &str) {
    match protected.await {
        Ok(path) => {
            let names = witness.children(locks).await.unwrap();
            let name = path.strip_prefix("/locks/").unwrap();
            assert_eq!(names, [name], "{cut}");
        }
        Err(error) => {
            assert!(error.code() != Some(ErrorCode::NoNode), "{error}");
            // No ghost is left, once the client has cleaned up.
            let deadline = tokio::time::Instant::now() + PATIENCE;
            while !witness.children(locks).await.unwrap().is_empty() {
                assert!(tokio::time::Instant::now() < deadline, "{cut}: a ghost");
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Whether the cut came about.
async fn converse(server: std::net::SocketAddr, direction: Direction, bytes: u64) -> bool {
    let root = format!("/{direction:?}-{bytes}");
    let witness = connect(server).await;
    for path in [&root, &format!("{root}/locks")] {
        witness.create(path, "").await.unwrap();
    }
    let proxy = FaultProxy::start(server).await.unwrap();
    proxy.cut_after(direction, bytes);
    let whole = connect(proxy.address()).await;
    let client = whole.chroot(&root).unwrap();
    let (_, fires) = client.get("/").watch().await.unwrap();
    let sets: Vec<_> = (1..=3)
        .map(|i| client.set("/", format!("{i}")).send())
        .collect();
    let protected = client
        .create("/locks/n-", "")
        .ephemeral()
        .sequential()
        .protected()
        .send();
    let multi = client
        .multi()
        .create("/m", "")
        .delete("/m", None)
        .create("/m", "")
        .send();
    let read = client.get("/").send();
    let mut known = Vec::new();
    for set in sets {
        known.push(verdict(&set.await));
    }
    let (read, _) = read.await.unwrap();
    let multi = multi.await;
    let (data, stat) = witness.get(&root).await.unwrap();
    let cut = format!("cut after {bytes} bytes {direction:?}: {known:?}, {data:?}");
    // P9, P3: what is there is what was said, in order, and a prefix of what was asked.
    let done = usize::try_from(stat.version.0).unwrap();
    for (i, verdict) in known.iter().enumerate() {
        assert!(verdict.is_none_or(|applied| applied == (i < done)), "{cut}");
    }
    let last = if done == 0 {
        String::new()
    } else {
        done.to_string()
    };
    assert_eq!(data, last, "{cut}");
    assert_eq!(read, data, "{cut}: the read stands behind the writes");
    let there = witness.exists(format!("{root}/m")).await.unwrap().is_some();
    assert!(
        verdict(&multi).is_none_or(|applied| applied == there),
        "{cut}"
    );
    one_or_none(&witness, &format!("{root}/locks"), protected, &cut).await;
    witness.set(&root, "by the witness").await.unwrap();
    let heard = tokio::time::timeout(PATIENCE, fires.changed()).await;
    assert!(matches!(heard, Ok(OnceEvent::Fired(_))), "{cut}: {heard:?}");
    assert_eq!(whole.pending(), 0, "{cut}");
    whole.close().await;
    witness.close().await;
    proxy.tally().faults() > 0
}

async fn cut_everywhere(direction: Direction) {
    let server = TestServer::start().await.unwrap();
    let mut bytes = 0;
    loop {
        let batch: Vec<_> = (bytes..bytes + AT_ONCE)
            .map(|bytes| tokio::spawn(converse(server.address(), direction, bytes)))
            .collect();
        bytes += AT_ONCE;
        let mut beyond = false;
        for one in batch {
            beyond |= !one.await.unwrap();
        }
        if beyond {
            break;
        }
    }
    assert!(bytes > 400, "the conversation has {bytes} bytes");
}

#[tokio::test]
async fn cut_at_every_byte_to_the_server() {
    cut_everywhere(Direction::ToServer).await;
}

#[tokio::test]
async fn cut_at_every_byte_to_the_client() {
    cut_everywhere(Direction::ToClient).await;
}
