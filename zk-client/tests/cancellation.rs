//! Every future, polled k times and dropped, for every k: nothing is left on the server (ephemeral nodes,
//! watches) and nothing in the client (slots); with and without a connection that breaks at that moment.

mod common;

use common::{PATIENCE, until};
use std::collections::BTreeSet;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_client::testkit::{FaultProxy, TestServer};
use zk_client::{Acl, Client, Perms};
use zk_server::config::settings::FourLetterWords;

type Attempt = Pin<Box<dyn Future<Output = ()> + Send>>;

fn attempt<T>(call: impl IntoFuture<Output = T, IntoFuture: Send + 'static>) -> Attempt {
    let call = call.into_future();
    Box::pin(async move { drop(call.await) })
}

/// Makes a future, when it is its turn: what is made is sent.
type Make = fn(&Client) -> Attempt;

/// Every public future, by name.
const EVERY_FUTURE: &[(&str, Make)] = &[
    ("get", |it| attempt(it.get("/a"))),
    ("get and watch", |it| attempt(it.get("/a").watch())),
    ("get linearizable", |it| {
        attempt(it.get("/a").linearizable())
    }),
    ("exists", |it| attempt(it.exists("/a"))),
    ("exists and watch", |it| attempt(it.exists("/a").watch())),
    ("exists and watch nothing", |it| {
        attempt(it.exists("/none").watch())
    }),
    ("exists linearizable", |it| {
        attempt(it.exists("/a").linearizable())
    }),
    ("children", |it| attempt(it.children("/a"))),
    ("children and watch", |it| {
        attempt(it.children("/a").watch())
    }),
    ("children with stat", |it| {
        attempt(it.children("/a").with_stat())
    }),
    ("children with stat and watch", |it| {
        attempt(it.children("/a").with_stat().watch())
    }),
    ("watch", |it| attempt(it.watch("/a"))),
    ("watch recursive", |it| attempt(it.watch_recursive("/a"))),
    ("get acl", |it| attempt(it.get_acl("/a"))),
    ("set acl", |it| {
        attempt(it.set_acl("/a", [Acl::world(Perms::ALL)]))
    }),
    ("create", |it| attempt(it.create("/new", ""))),
    (EPHEMERAL[0], |it| attempt(it.create("/e", "").ephemeral())),
    (EPHEMERAL[1], |it| {
        attempt(it.create("/e", "").ephemeral().with_stat())
    }),
    (EPHEMERAL[2], |it| {
        attempt(it.create("/e-", "").ephemeral().sequential())
    }),
    ("create protected", |it| {
        attempt(it.create("/p-", "").ephemeral().sequential().protected())
    }),
    ("create protected below", |it| {
        attempt(it.create("/x/y/p", "").ephemeral().protected().parents())
    }),
    ("create protected lasting", |it| {
        attempt(it.create("/p-", "").sequential().protected())
    }),
    ("create parents", |it| {
        attempt(it.create("/u/v/w", "").parents())
    }),
    ("set", |it| attempt(it.set("/a", "1"))),
    ("set or create", |it| attempt(it.set("/n", "1").or_create())),
    ("delete", |it| attempt(it.delete("/new"))),
    ("delete recursive", |it| {
        attempt(it.delete("/u").recursive())
    }),
    ("multi", |it| {
        attempt(it.multi().check("/a", None).set("/a", "2", None))
    }),
    ("multi read", |it| {
        attempt(it.multi_read().get("/a").children("/a"))
    }),
    ("sync", |it| attempt(it.sync("/"))),
    ("ephemerals", |it| attempt(it.ephemerals("/"))),
    ("count", |it| attempt(it.count_descendants("/"))),
    ("who am i", |it| attempt(it.who_am_i())),
    ("config", |it| attempt(it.config())),
    ("reconfig", |it| attempt(it.reconfig().leave("3"))),
    ("room", |it| {
        let it = it.clone();
        Box::pin(async move { it.room().await })
    }),
    ("add auth", |it| {
        let it = it.clone();
        Box::pin(async move { drop(it.add_auth("digest", "ann:secret").await) })
    }),
    ("states", |it| {
        let mut states = it.states();
        Box::pin(async move { assert!(states.next().await.is_some()) })
    }),
];

/// Without a name of its own such a node cannot be found again when its reply is lost with the connection; it
/// stays until the session ends, as their documentation says.
const EPHEMERAL: [&str; 3] = ["create ephemeral", "create with stat", "create numbered"];

/// Polls so often, whenever it is woken; whether it came to its end.
async fn poll_times(mut attempt: Attempt, times: usize) -> bool {
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

/// What the server has of watches.
#[expect(clippy::unwrap_used, reason = "a test's")]
async fn watched(server: &TestServer) -> String {
    let mut stream = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    stream.write_all(b"wchp").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.trim().to_owned()
}

async fn nothing_is_left(name: &str, times: usize, server: &TestServer, client: &Client) {
    let what = format!("{name} dropped after {times} polls leaves nothing");
    until(&what, async || {
        let owned = client
            .ephemerals("/")
            .await
            .unwrap_or_else(|_| vec!["?".into()]);
        let names = client.children("/").await.unwrap_or_default();
        let ghost = names.iter().any(|name| name.starts_with("_c_"));
        owned.is_empty() && !ghost && client.pending() == 0 && watched(server).await.is_empty()
    })
    .await;
}

#[expect(clippy::unwrap_used, reason = "a test's")]
async fn give_back(client: &Client) {
    let owned = client.ephemerals("/").await.unwrap();
    let names = client.children("/").await.unwrap();
    let protected = names.iter().filter(|name| name.starts_with("_c_"));
    let paths: BTreeSet<_> = protected
        .map(|name| format!("/{name}"))
        .chain(owned)
        .collect();
    for path in paths {
        // A delete may be lost with its connection, like any write.
        while client.exists(&path).await.unwrap().is_some() {
            let _perhaps = client.delete(&path).await;
        }
    }
}

async fn try_everything(cut: bool) {
    let server = TestServer::start_with(|config| {
        config.four_letter_words = FourLetterWords::All;
    });
    let server = server.await.expect("a server");
    let proxy = FaultProxy::start(server.address()).await.expect("a proxy");
    let client = Client::builder(proxy.address().to_string())
        .session_timeout(Duration::from_secs(4))
        .request_timeout(PATIENCE)
        .backoff(zk_client::hosts::backoff::Policy {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(5),
            ..Default::default()
        });
    let client = client.connect().await.expect("a session");
    client.create("/a", "").await.expect("a node");
    for (name, make) in EVERY_FUTURE {
        if cut && EPHEMERAL.contains(name) {
            continue;
        }
        for times in 0.. {
            let ended = poll_times(make(&client), times).await;
            if cut {
                proxy.cut();
            }
            if ended {
                // The caller has what it asked for, and gives it back.
                give_back(&client).await;
            }
            nothing_is_left(name, times, &server, &client).await;
            for path in ["/e", "/n", "/u", "/new", "/x"] {
                let _perhaps = client.delete(path).recursive().await;
            }
            if ended {
                break;
            }
            assert!(times < 100, "{name} never ends");
        }
    }
    client.close().await;
}

#[tokio::test]
async fn a_future_may_be_dropped_at_any_await() {
    try_everything(false).await;
}

#[tokio::test]
async fn a_future_may_be_dropped_when_the_connection_breaks() {
    try_everything(true).await;
}
