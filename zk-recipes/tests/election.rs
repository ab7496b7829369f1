//! Elections: one leader, the next in line, terms, hand-overs, observers.

mod common;

use common::{client, describe, empty, expire, names, proxied, server, soon, until};
use std::time::Duration;
use zk_client::Client;
use zk_recipes::{Election, Error, Loss, Participant};

const DIRECTORY: &str = "/election";

async fn stands(one: &Client, there: usize) {
    until("a candidate", async || {
        names(one, DIRECTORY).await.len() == there
    })
    .await;
}

#[tokio::test]
async fn candidates_lead_in_the_order_they_came_and_terms_are_counted() {
    let server = server().await;
    let one = client(server.address()).await;
    for (round, latch) in [(0, true), (1, false)] {
        let candidate = |id: &str| {
            let builder = if latch {
                Election::latch_builder(&one, DIRECTORY, id)
            } else {
                Election::selector_builder(&one, DIRECTORY, id)
            };
            builder.epochs_at("/epochs/shop").build()
        };
        let first = candidate("ann").campaign().await.unwrap();
        let second = candidate("bob");
        let waiting = tokio::spawn(async move { second.campaign().await.unwrap() });
        stands(&one, 2).await;
        let third = candidate("cid");
        let last = tokio::spawn(async move { third.campaign().await.unwrap() });
        stands(&one, 3).await;
        let ids: Vec<_> = candidate("")
            .participants()
            .await
            .unwrap()
            .iter()
            .map(Participant::id)
            .collect();
        assert_eq!(ids, ["ann", "bob", "cid"]);
        assert_eq!(first.epoch(), Some(3 * round + 1));
        let token = first.token();
        first.resign().await.unwrap();
        let second = soon("the second", waiting).await.unwrap();
        assert!(token < second.token() && second.epoch() == Some(3 * round + 2));
        assert!(!last.is_finished());
        assert_eq!(second.run(async { 7 }).await, Ok(7));
        let third = soon("the third", last).await.unwrap();
        assert_eq!(third.epoch(), Some(3 * round + 3));
        drop(third);
        empty(&one, DIRECTORY).await;
    }
}

#[tokio::test]
async fn a_leader_whose_session_ends_is_succeeded_and_kept_out() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let first = Election::latch(&one, DIRECTORY, "ann")
        .campaign()
        .await
        .unwrap();
    let second = Election::latch(&two, DIRECTORY, "bob");
    let waiting = tokio::spawn(async move { second.campaign().await.unwrap() });
    stands(&two, 2).await;
    expire(&server, &one).await;
    let second = soon("the second", waiting).await.unwrap();
    assert_eq!(soon("the loss", first.lost()).await, Loss::SessionEnded);
    until("its next session", async || one.exists("/").await.is_ok()).await;
    let late = first.fenced().create("/order", "").commit().await;
    assert_eq!(late, Err(Error::Lost(Loss::SessionEnded)));
    assert!(first.token() < second.token(), "S72");
    let third = tokio::spawn(first.requeue());
    stands(&two, 2).await;
    second.fenced().create("/order", "").commit().await.unwrap();
    second.resign().await.unwrap();
    assert!(soon("again", third).await.unwrap().unwrap().is_valid());
}

#[tokio::test]
async fn the_lead_is_handed_over_past_those_who_came_before() {
    let server = server().await;
    let one = client(server.address()).await;
    let leader = Election::latch(&one, DIRECTORY, "ann")
        .campaign()
        .await
        .unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for (there, id) in [(2, "bob"), (3, "cid"), (4, "dan")] {
        let election = Election::latch(&one, DIRECTORY, id);
        waiting.spawn(async move { (id, election.campaign().await.unwrap()) });
        stands(&one, there).await;
    }
    let participants = Election::latch(&one, DIRECTORY, "")
        .participants()
        .await
        .unwrap();
    leader.hand_over(&participants[3]).await.unwrap();
    let (id, leader) = soon("the named one", waiting.join_next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(id, "dan");
    // The note is spent: the others follow in their order.
    leader.resign().await.unwrap();
    let (id, leader) = soon("the next", waiting.join_next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(id, "bob");
    // One that is gone is nobody.
    leader.hand_over(&participants[3]).await.unwrap();
    let (id, leader) = soon("the last", waiting.join_next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(id, "cid");
    one.set(DIRECTORY, "somebody's").await.unwrap();
    let refused = leader.hand_over(&participants[0]).await;
    assert!(matches!(refused, Err(Error::Usage(_))));
    empty(&one, DIRECTORY).await;
}

#[tokio::test]
async fn an_observer_follows_the_leaders() {
    let (server, proxy) = proxied().await;
    let (one, two) = (
        client(server.address()).await,
        client(proxy.address()).await,
    );
    let mut leaders = Election::latch(&two, DIRECTORY, "").observe();
    assert_eq!(soon("nobody", leaders.next()).await.unwrap(), None);
    let first = Election::latch(&one, DIRECTORY, "ann")
        .campaign()
        .await
        .unwrap();
    let seen = soon("the first", leaders.next()).await.unwrap().unwrap();
    assert_eq!((seen.id(), seen.token()), ("ann".to_owned(), first.token()));
    let nothing = tokio::time::timeout(Duration::from_millis(30), leaders.next()).await;
    assert!(nothing.is_err(), "dropped, and asked again below");
    let second = Election::latch(&one, DIRECTORY, "bob");
    let waiting = tokio::spawn(async move { second.campaign().await.unwrap() });
    stands(&one, 2).await;
    proxy.cut();
    first.resign().await.unwrap();
    let seen = soon("the second", leaders.next()).await.unwrap().unwrap();
    assert_eq!(seen.id(), "bob");
    expire(&server, &two).await;
    drop(soon("the second", waiting).await.unwrap());
    assert_eq!(soon("nobody", leaders.next()).await.unwrap(), None);
}

#[tokio::test]
async fn a_latch_and_a_selector_refuse_each_other() {
    let server = server().await;
    let one = describe(server.address()).connect().await.unwrap();
    let leader = Election::latch(&one, DIRECTORY, "ann")
        .campaign()
        .await
        .unwrap();
    let refused = Election::selector(&one, DIRECTORY, "bob").campaign().await;
    assert!(matches!(refused, Err(Error::ForeignContenders { .. })));
    leader.resign().await.unwrap();
    empty(&one, DIRECTORY).await;
}
