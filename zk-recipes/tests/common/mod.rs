//! A server in the process, clients of it, and the harness that drops every future at every await.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "a test's; and not every test file uses all of it"
)]

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use zk_client::hosts::backoff::Policy;
use zk_client::testkit::{FaultProxy, TestServer, end_session};
use zk_client::{Builder, Client, ErrorCode, OnExpiry};

/// What no condition waits longer for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Describes a client that reconnects at once and opens new sessions.
pub(crate) fn describe(address: SocketAddr) -> Builder {
    Client::builder(address.to_string())
        .session_timeout(Duration::from_secs(10))
        .on_expiry(OnExpiry::Renew)
        .backoff(Policy {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(5),
            ..Default::default()
        })
}

pub(crate) async fn client(address: SocketAddr) -> Client {
    describe(address).connect().await.unwrap()
}

pub(crate) async fn server() -> TestServer {
    TestServer::start().await.unwrap()
}

/// A server and a proxy before it.
pub(crate) async fn proxied() -> (TestServer, FaultProxy) {
    let server = server().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    (server, proxy)
}

/// Ends a client's session on the server. Its owner may take it up again in between; then so does this.
pub(crate) async fn expire(server: &TestServer, client: &Client) {
    let ticket = client.ticket().unwrap();
    let owns = || client.session_id() == Some(ticket.id());
    while owns()
        && end_session(server.address(), ticket.id(), *ticket.password())
            .await
            .is_err()
    {}
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What must come soon.
pub(crate) async fn soon<T>(what: &str, it: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, it).await;
    done.unwrap_or_else(|_| panic!("waited for: {what}"))
}

/// The names in a directory; none where there is none.
pub(crate) async fn names(client: &Client, directory: &str) -> Vec<String> {
    match client.children(directory).await {
        Ok(names) => names,
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

/// Waits until nobody stands in a directory.
pub(crate) async fn empty(client: &Client, directory: &str) {
    until(&format!("nobody in {directory}"), async || {
        names(client, directory).await.is_empty()
    })
    .await;
}

pub(crate) type Attempt = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Polls so often, whenever it is woken; whether it came to its end.
pub(crate) async fn poll_times(mut attempt: Attempt, times: usize) -> bool {
    let mut left = times;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match attempt.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// How often a future is polled at most before it has come to its end.
const MOST_POLLS: usize = 200;

/// Polls what is made never, once, twice, and drops it, until it comes to its end by itself; then all over again, with
/// the connection cut at each drop. Behind each it is looked whether all is well.
pub(crate) async fn drop_at_every_await(
    proxy: &FaultProxy,
    make: impl Fn(usize) -> Attempt,
    look: impl AsyncFn(),
) {
    for cut in [false, true] {
        for times in 0.. {
            assert!(times < MOST_POLLS, "it never ends");
            let ended = poll_times(make(times), times).await;
            if cut {
                proxy.cut();
            }
            look().await;
            if ended {
                break;
            }
        }
    }
}
