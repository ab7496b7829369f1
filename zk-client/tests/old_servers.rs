//! Servers of 3.4, which know neither creates that tell the stat nor containers, and keep watches until they fire: who
//! does not ask for more than they have notices nothing but a reconnect, once.
#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

#[path = "support/old_server.rs"]
mod old_server;

use old_server::OldServer;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use zk_client::{Client, ErrorCode};

const PATIENCE: Duration = Duration::from_secs(20);

async fn client(server: &OldServer) -> Client {
    Client::builder(server.address.to_string())
        .session_timeout(Duration::from_secs(10))
        .request_timeout(PATIENCE)
        .connect()
        .await
        .unwrap()
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn creates_tell_the_stat_all_the_same() {
    let server = OldServer::start().await;
    let client = client(&server).await;
    let made = client.create("/a", "abc").with_stat().await.unwrap();
    assert_eq!(made.0, "/a");
    assert_eq!(Some(made.1), client.exists("/a").await.unwrap());
    let (path, stat) = client
        .create("/deep/down/n-", "")
        .ephemeral()
        .sequential()
        .protected()
        .parents()
        .with_stat()
        .await
        .unwrap();
    assert!(path.ends_with("-n-0000000000"), "{path}");
    assert_eq!(Some(stat.ephemeral_owner), client.session_id());
    let set = client.set("/b", "first").or_create().await.unwrap();
    assert_eq!(Some(set), client.exists("/b").await.unwrap());
    let exists = client.create("/a", "").with_stat().await.unwrap_err();
    assert_eq!(exists.code(), Some(ErrorCode::NodeExists));
    client
        .create("/made/with/parents", "")
        .parents()
        .await
        .unwrap();
    assert_eq!(server.connections(), 2, "it was told once");
    client.close().await;
}

/// Whatever goes out behind the refused request is not lost with the connection.
#[tokio::test]
async fn a_refused_operation_takes_no_later_one_along() {
    let server = OldServer::start().await;
    let client = client(&server).await;
    client.create("/a", "").await.unwrap();
    for round in 1..=20 {
        let refused = client.who_am_i().await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::Unimplemented));
        // Not idempotent, so that it is not repeated for the caller.
        client.create(format!("/{round}"), "").await.unwrap();
    }
    client.close().await;
}

#[tokio::test]
async fn watches_that_are_dropped_cost_one_connection_in_all() {
    let server = OldServer::start().await;
    let client = client(&server).await;
    client.create("/a", "").await.unwrap();
    let (_, kept) = client.get("/a").watch().await.unwrap();
    for round in 0..10 {
        let (there, dropped) = client.exists(format!("/{round}")).watch().await.unwrap();
        assert!(there.is_none());
        drop(dropped);
        // Behind the removal, if there is one.
        client.sync("/").await.unwrap();
    }
    assert_eq!(server.connections(), 2, "it was told once");
    client.set("/a", "new").await.unwrap();
    let event = tokio::time::timeout(PATIENCE, kept.changed()).await;
    event.expect("the watch that was kept");
    client.close().await;
}

/// Polls so many times, and drops it. Whatever was the result by then.
async fn poll_times<T>(it: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut it = pin!(it);
    let mut left = times;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        it.as_mut().poll(cx).map(Some)
    })
    .await
}

#[tokio::test]
async fn an_ephemeral_node_of_which_nobody_hears_is_deleted() {
    let server = OldServer::start().await;
    let client = client(&server).await;
    let _learnt = client.create("/learnt", "").with_stat().await.unwrap();
    for times in 0.. {
        let create = client.create("/mine-", "").ephemeral().sequential();
        let made = poll_times(create.with_stat().send(), times).await;
        if let Some(made) = &made {
            let (path, stat) = made.as_ref().unwrap();
            client.delete(path).version(stat.version).await.unwrap();
        }
        until("that nothing is left", async || {
            let names = client.children("/").await.unwrap();
            !names.iter().any(|name| name.starts_with("mine-"))
        })
        .await;
        if made.is_some() {
            assert!(times >= 2, "both requests were waited for");
            break;
        }
    }
    client.close().await;
}
