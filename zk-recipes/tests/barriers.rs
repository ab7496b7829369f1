//! Barriers: closed and opened by anybody; passed together by their members, round after round.
#![expect(clippy::unwrap_used, reason = "a test's")]

mod common;

use common::{client, describe, empty, expire, names, proxied, server, soon, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use zk_client::Client;
use zk_client::testkit::Which;
use zk_proto::OpCode;
use zk_recipes::{Barrier, DoubleBarrier, Error, Loss};

const PATH: &str = "/below/barrier";

#[tokio::test]
async fn who_waits_goes_on_when_the_barrier_opens() {
    let (server, proxy) = proxied().await;
    let one = client(server.address()).await;
    let barrier = Barrier::new(&one, PATH);
    soon("an open barrier", barrier.wait()).await.unwrap();
    barrier.close().await.unwrap();
    barrier.close().await.unwrap();
    assert!(barrier.is_closed().await.unwrap());

    let two = client(proxy.address()).await;
    let mut waiting = tokio::task::JoinSet::new();
    for client in [&one, &two, &two] {
        let barrier = Barrier::new(client, PATH);
        waiting.spawn(async move { barrier.wait().await.unwrap() });
    }
    let nothing = tokio::time::timeout(Duration::from_millis(30), waiting.join_next()).await;
    assert!(nothing.is_err(), "they wait");
    // Neither a lost connection nor a lost session lets anybody through.
    proxy.cut();
    expire(&server, &two).await;
    until("its next session", async || two.exists("/").await.is_ok()).await;
    let nothing = tokio::time::timeout(Duration::from_millis(30), waiting.join_next()).await;
    assert!(nothing.is_err(), "they wait on");
    barrier.open().await.unwrap();
    barrier.open().await.unwrap();
    while let Some(done) = soon("all to go on", waiting.join_next()).await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_lost_reply_is_made_good_where_the_barrier_is_as_it_should_be() {
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    one.create("/below", "").await.unwrap();
    let barrier = Barrier::new(&one, PATH);
    proxy.drop_reply(Which::To(OpCode::Create));
    barrier.close().await.unwrap();
    assert!(barrier.is_closed().await.unwrap());
    proxy.drop_reply(Which::To(OpCode::Delete));
    barrier.open().await.unwrap();
    assert!(!barrier.is_closed().await.unwrap());
}

/// Everybody is in when the first is in, and out when the first is out, over many rounds without a pause.
#[tokio::test]
async fn members_begin_and_end_together() {
    const MEMBERS: usize = 4;
    let server = server().await;
    let inside = Arc::new(AtomicUsize::new(0));
    let mut members = tokio::task::JoinSet::new();
    for _ in 0..MEMBERS {
        let one = client(server.address()).await;
        let inside = Arc::clone(&inside);
        let barrier = DoubleBarrier::new(&one, PATH, MEMBERS).unwrap();
        members.spawn(async move {
            for round in 1..=20 {
                inside.fetch_add(1, Ordering::SeqCst);
                let entered = barrier.enter().await.unwrap();
                // Nobody is in before all of this round have come.
                assert!(inside.load(Ordering::SeqCst) >= MEMBERS * (2 * round - 1));
                inside.fetch_add(1, Ordering::SeqCst);
                entered.leave().await.unwrap();
                assert!(inside.load(Ordering::SeqCst) >= MEMBERS * 2 * round);
            }
        });
    }
    while let Some(done) = soon("all rounds", members.join_next()).await {
        done.unwrap();
    }
    let one = client(server.address()).await;
    empty(&one, PATH).await;
}

fn barrier(client: &Client, members: usize) -> DoubleBarrier {
    DoubleBarrier::builder(client, PATH, members)
        .id("somebody")
        .build()
        .unwrap()
}

async fn came(one: &Client, there: usize) {
    until("members", async || names(one, PATH).await.len() == there).await;
}

#[tokio::test]
async fn a_member_that_is_lost_does_not_pass_and_is_not_counted() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let lost = barrier(&two, 2);
    let lost = tokio::spawn(async move { lost.enter().await.map(drop) });
    came(&one, 1).await;
    expire(&server, &two).await;
    let lost = soon("its failure", lost).await.unwrap();
    assert_eq!(lost, Err(Error::Lost(Loss::SessionEnded)));
    let late = barrier(&one, 2);
    let late = late.enter_timeout(Duration::from_millis(50)).await.unwrap();
    assert!(late.is_none(), "alone");
    empty(&one, PATH).await;

    let both = [barrier(&one, 2), barrier(&one, 2)];
    let [first, second] = both.map(|it| tokio::spawn(async move { it.enter().await }));
    let first = soon("the first", first).await.unwrap().unwrap();
    let second = soon("the second", second).await.unwrap().unwrap();
    // One goes without a word: the other does not wait for it for ever.
    drop(second);
    soon("the end", first.leave()).await.unwrap();
    until("nobody", async || names(&one, PATH).await.len() <= 1).await;
}

#[tokio::test]
async fn the_flag_of_a_crashed_round_lets_nobody_in() {
    let server = server().await;
    let one = client(server.address()).await;
    one.create(format!("{PATH}/ready"), "")
        .parents()
        .await
        .unwrap();
    let first = barrier(&one, 2);
    let first = tokio::spawn(async move { first.enter().await });
    came(&one, 2).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!first.is_finished());
    let second = soon("the second", barrier(&one, 2).enter()).await.unwrap();
    let first = soon("the first", first).await.unwrap().unwrap();
    // Somebody is early for the next round: neither does he hold up this one, nor does it let him in.
    let early = barrier(&one, 2);
    let early = tokio::spawn(async move { early.enter().await });
    came(&one, 4).await;
    let leaving = tokio::spawn(first.leave());
    soon("the second's end", second.leave()).await.unwrap();
    soon("the first's end", leaving).await.unwrap().unwrap();
    assert!(!early.is_finished());
    let last = soon("the next round", barrier(&one, 2).enter())
        .await
        .unwrap();
    let early = soon("the early one", early).await.unwrap().unwrap();
    let leaving = tokio::spawn(early.leave());
    soon("the end", last.leave()).await.unwrap();
    soon("the end", leaving).await.unwrap().unwrap();
    empty(&one, PATH).await;
}

#[tokio::test]
async fn a_round_survives_lost_connections() {
    let (server, proxy) = proxied().await;
    let (one, two) = (
        client(server.address()).await,
        describe(proxy.address()).connect().await.unwrap(),
    );
    for _ in 0..5 {
        let other = barrier(&two, 2);
        let other = tokio::spawn(async move { other.enter().await?.leave().await });
        came(&one, 1).await;
        proxy.cut();
        let inside = soon("to come in", barrier(&one, 2).enter()).await.unwrap();
        proxy.cut();
        soon("to go out", inside.leave()).await.unwrap();
        soon("the other", other).await.unwrap().unwrap();
        empty(&one, PATH).await;
    }
}

/// A node that is no member's is neither counted nor waited for.
#[tokio::test]
async fn a_foreign_node_is_no_member() {
    let server = server().await;
    let one = client(server.address()).await;
    let foreign = format!("{PATH}/garbage");
    one.create(foreign, "").parents().await.unwrap();
    let alone = barrier(&one, 2);
    let alone = alone
        .enter_timeout(Duration::from_millis(100))
        .await
        .unwrap();
    assert!(alone.is_none(), "a round of one");
    until("nobody", async || names(&one, PATH).await.len() == 1).await;
    let other = barrier(&one, 2);
    let other = tokio::spawn(async move { other.enter().await?.leave().await });
    let inside = soon("to come in", barrier(&one, 2).enter()).await.unwrap();
    soon("to go out", inside.leave()).await.unwrap();
    soon("the other", other).await.unwrap().unwrap();
}
