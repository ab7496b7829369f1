//! Persistent nodes: there again after a deletion, an expiry and a restart; one or none, never two.
#![expect(clippy::unwrap_used, reason = "a test's")]

mod common;

use common::{
    Attempt, client, describe, drop_at_every_await, expire, names, proxied, server, soon, until,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zk_client::testkit::{Direction, TestServer, Which};
use zk_client::{Client, EventType, SessionId, WatchItem};
use zk_recipes::{Lifetime, PersistentNode, Standing};

const NODE: &str = "/workers/ann";

async fn owner(witness: &Client, path: &str) -> Option<SessionId> {
    let found = witness.exists(path).await.unwrap();
    found.map(|stat| stat.ephemeral_owner)
}

async fn data(witness: &Client, path: &str) -> Vec<u8> {
    witness.get(path).await.unwrap().0.to_vec()
}

async fn there(witness: &Client, path: &str, of: &Client) {
    until("the node of the client's session", async || {
        let owner = owner(witness, path).await;
        owner.is_some() && owner == of.session_id()
    })
    .await;
}

#[tokio::test]
async fn an_ephemeral_node_comes_back_after_a_deletion_a_restart_and_an_expiry() {
    let mut server = server().await;
    let one = client(server.address()).await;
    let witness = client(server.address()).await;
    let node = PersistentNode::builder(&one, NODE, "here").start();
    assert_eq!(soon("the node", node.ready()).await.unwrap(), NODE);
    let first = witness.exists(NODE).await.unwrap().unwrap();
    assert_eq!(Some(first.ephemeral_owner), one.session_id());

    witness.delete(NODE).await.unwrap();
    until("the node again", async || {
        let found = witness.exists(NODE).await.unwrap();
        found.is_some_and(|stat| stat.czxid > first.czxid)
    })
    .await;

    server.restart().await.unwrap();
    there(&witness, NODE, &one).await;

    let old = one.session_id();
    expire(&server, &one).await;
    until("a node of another session", async || {
        let now = owner(&witness, NODE).await;
        now.is_some() && now != old
    })
    .await;
    there(&witness, NODE, &one).await;
    assert_eq!(data(&witness, NODE).await, b"here");

    node.close().await.unwrap();
    assert_eq!(owner(&witness, NODE).await, None);
}

#[tokio::test]
async fn what_is_dropped_goes_if_it_is_ephemeral_and_stays_if_not() {
    let server = server().await;
    let one = client(server.address()).await;
    for (lifetime, goes) in [
        (Lifetime::Ephemeral, true),
        (Lifetime::Persistent, false),
        (Lifetime::Container, false),
    ] {
        let path = format!("/kinds/{lifetime:?}");
        let node = PersistentNode::builder(&one, &path, "x").lifetime(lifetime);
        let node = node.start();
        soon("the node", node.ready()).await.unwrap();
        one.delete(&path).await.unwrap();
        until("the node again", async || {
            one.exists(&path).await.unwrap().is_some()
        })
        .await;
        let mut standings = node.standings();
        drop(node);
        let over = standings.wait_for(|it| *it == Standing::Over);
        soon("the end of its care", over).await.unwrap();
        assert_eq!(one.exists(&path).await.unwrap().is_none(), goes, "{path}");
        if !goes {
            let again = PersistentNode::builder(&one, &path, "y").lifetime(lifetime);
            let again = again.start();
            soon("the node of before", again.ready()).await.unwrap();
            assert_eq!(data(&one, &path).await, b"y", "adopted, with our data");
            again.close().await.unwrap();
            assert_eq!(one.exists(&path).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn a_node_with_a_number_keeps_its_name() {
    let server = server().await;
    let one = client(server.address()).await;
    let witness = client(server.address()).await;
    let node = PersistentNode::builder(&one, "/numbers/n-", "")
        .lifetime(Lifetime::EphemeralSequential)
        .start();
    let path = soon("the node", node.ready()).await.unwrap();
    assert!(path.starts_with("/numbers/_c_"), "{path}");
    assert!(path.ends_with("-n-0000000000"), "{path}");
    expire(&server, &one).await;
    there(&witness, &path, &one).await;
    witness.delete(&path).await.unwrap();
    there(&witness, &path, &one).await;
    assert_eq!(names(&witness, "/numbers").await.len(), 1);
    node.close().await.unwrap();
    assert!(names(&witness, "/numbers").await.is_empty());
}

/// Whichever reply is lost, there is one node in the end and there never were two.
#[tokio::test]
async fn there_are_never_two() {
    let (server, proxy) = proxied().await;
    let witness = client(server.address()).await;
    witness.create("/two", "").await.unwrap();
    let kinds = [
        (Lifetime::Ephemeral, false),
        (Lifetime::Ephemeral, true),
        (Lifetime::EphemeralSequential, true),
    ];
    for (lifetime, protected) in kinds {
        for lost in 0..6 {
            let one = client(proxy.address()).await;
            let done = Arc::new(AtomicBool::new(false));
            let count = tokio::spawn({
                let (witness, done) = (witness.clone(), Arc::clone(&done));
                async move {
                    let mut most = 0;
                    while !done.load(Ordering::Relaxed) {
                        most = most.max(names(&witness, "/two").await.len());
                    }
                    most
                }
            });
            proxy.drop_reply(Which::After(lost));
            let node = PersistentNode::builder(&one, "/two/n", "").lifetime(lifetime);
            let node = if protected { node.protected() } else { node };
            let node = node.start();
            let path = soon("the node", node.ready()).await.unwrap();
            witness.delete(&path).await.unwrap();
            there(&witness, &path, &one).await;
            proxy.drop_reply(Which::After(lost));
            node.set("more").await.unwrap();
            assert_eq!(data(&witness, &path).await, b"more");
            node.close().await.unwrap();
            done.store(true, Ordering::Relaxed);
            let what = format!("{lifetime:?}, reply {lost} lost");
            assert_eq!(count.await.unwrap(), 1, "{what}");
            assert!(names(&witness, "/two").await.is_empty(), "{what}");
            one.close().await;
        }
    }
}

/// A session that the client has given up lives on for the servers: its node is replaced, and never seen missing.
#[tokio::test]
async fn a_node_of_our_earlier_session_is_replaced_without_a_gap() {
    let (server, proxy) = proxied().await;
    let witness = client(server.address()).await;
    let one = describe(proxy.address())
        .give_up_after(Duration::from_millis(300))
        .connect()
        .await
        .unwrap();
    let node = PersistentNode::builder(&one, NODE, "here").start();
    soon("the node", node.ready()).await.unwrap();
    let old = one.session_id();
    let mut seen = witness.watch(NODE).await.unwrap();

    proxy.stall(Direction::ToServer);
    proxy.stall(Direction::ToClient);
    until("a session given up", async || one.session_id() != old).await;
    assert_eq!(owner(&witness, NODE).await, old, "the servers keep it");
    proxy.resume(Direction::ToServer);
    proxy.resume(Direction::ToClient);
    proxy.cut();

    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        let Some(WatchItem::Event(event)) = soon("an event", seen.next()).await else {
            panic!("the witness is cut off");
        };
        kinds.push((event.kind, event.zxid));
        if let (EventType::Deleted, _) = kinds[0] {
            let found = owner(&witness, NODE).await;
            assert!(found.is_some() && found != old, "replaced in one step");
        }
    }
    assert_eq!(kinds[0].0, EventType::Deleted);
    assert_eq!(kinds[1], (EventType::Created, kinds[0].1));
    node.close().await.unwrap();
}

#[tokio::test]
async fn somebody_elses_node_is_waited_for() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let theirs = PersistentNode::builder(&two, NODE, "theirs").start();
    soon("theirs", theirs.ready()).await.unwrap();
    let ours = PersistentNode::builder(&one, NODE, "ours").start();
    let mut standings = ours.standings();
    let by = two.session_id().unwrap();
    let taken = standings.wait_for(|it| *it == Standing::Taken { by });
    soon("that it is taken", taken).await.unwrap();
    assert_eq!(data(&one, NODE).await, b"theirs");
    theirs.close().await.unwrap();
    soon("ours", ours.ready()).await.unwrap();
    assert_eq!(data(&two, NODE).await, b"ours");

    // Unless it is known to be our own, from before a restart.
    let again = PersistentNode::builder(&two, NODE, "after").replace_at_first();
    let again = again.start();
    soon("the replacement", again.ready()).await.unwrap();
    assert_eq!(data(&one, NODE).await, b"after");
    until("the first to stand back", async || {
        matches!(ours.standing(), Standing::Taken { .. })
    })
    .await;
    // Closing what is taken leaves theirs alone.
    ours.close().await.unwrap();
    assert_eq!(data(&one, NODE).await, b"after");
}

#[tokio::test]
async fn data_is_kept_when_it_is_created_again() {
    let (server, proxy) = proxied().await;
    let witness = client(server.address()).await;
    let one = client(proxy.address()).await;
    let node = PersistentNode::builder(&one, NODE, "1").start();
    soon("the node", node.ready()).await.unwrap();
    node.set("2").await.unwrap();
    assert_eq!(data(&witness, NODE).await, b"2");
    witness.delete(NODE).await.unwrap();
    there(&witness, NODE, &one).await;
    assert_eq!(data(&witness, NODE).await, b"2");

    // Set while nobody answers: written when somebody does.
    proxy.refuse().await;
    proxy.cut();
    let set = node.set("3");
    tokio::pin!(set);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut set).await;
    assert!(early.is_err());
    proxy.accept().await;
    soon("the set", set).await.unwrap();
    assert_eq!(data(&witness, NODE).await, b"3");
}

#[tokio::test]
async fn a_refusal_is_told_and_tried_again() {
    let server = server().await;
    let one = client(server.address()).await;
    one.create("/not", "").ephemeral().await.unwrap();
    let node = PersistentNode::builder(&one, "/not/here", "").start();
    let refused = soon("a refusal", node.ready()).await.unwrap_err();
    assert!(refused.to_string().contains("EPHEMERAL"), "{refused}");
    one.delete("/not").await.unwrap();
    until("the node", async || node.ready().await.is_ok()).await;
    one.close().await;
    let mut standings = node.standings();
    let over = standings.wait_for(|it| *it == Standing::Over);
    soon("the end", over).await.unwrap();
    assert!(node.set("x").await.is_err());
    assert_eq!(node.close().await, Ok(()));
}

#[tokio::test]
async fn a_node_with_a_ttl_is_touched_until_it_is_closed() {
    let server = TestServer::start_with(|config| config.misc.extended_types = true)
        .await
        .unwrap();
    let one = client(server.address()).await;
    let ttl = Lifetime::Ttl(Duration::from_millis(400));
    let node = PersistentNode::builder(&one, NODE, "x").lifetime(ttl);
    let node = node.start();
    soon("the node", node.ready()).await.unwrap();
    let touch = format!("{NODE}/touch");
    let version = async || one.exists(&touch).await.unwrap().map(|it| it.version);
    let first = version().await.unwrap();
    until("three touches", async || {
        version().await.is_some_and(|now| now.0 >= first.0 + 3)
    })
    .await;
    // Somebody sweeps it away; it comes back, and the touch with it.
    one.delete(NODE).recursive().await.unwrap();
    until("both again", async || version().await.is_some()).await;
    node.close().await.unwrap();
    assert_eq!(one.exists(NODE).await.unwrap(), None);
}

#[tokio::test]
async fn every_future_may_be_dropped_at_any_await() {
    let (server, proxy) = proxied().await;
    let witness = client(server.address()).await;
    witness.create("/k", "").await.unwrap();
    let one = client(proxy.address()).await;
    let kinds = [Lifetime::Ephemeral, Lifetime::EphemeralSequential];
    for lifetime in kinds {
        let make = |_| -> Attempt {
            let client = one.clone();
            Box::pin(async move {
                let node = PersistentNode::builder(&client, "/k/n", "").lifetime(lifetime);
                let node = node.start();
                node.ready().await.unwrap();
                node.set("x").await.unwrap();
                node.close().await.unwrap();
            })
        };
        let look = async || common::empty(&witness, "/k").await;
        drop_at_every_await(&proxy, make, look).await;
    }
}
