//! The lock: exclusion, order, tokens, loss, and what it costs.

mod common;

use common::{client, describe, empty, expire, names, proxied, server, soon, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use zk_client::testkit::{FaultProxy, Which};
use zk_proto::OpCode;
use zk_recipes::{Error, Loss, Mutex, Naming, OnSuspension, Participant};

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_alone_and_their_tokens_rise() {
    let server = server().await;
    let address = server.address();
    let inside = Arc::new(AtomicUsize::new(0));
    let last = Arc::new(std::sync::Mutex::new(None));
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let (inside, last) = (Arc::clone(&inside), Arc::clone(&last));
        tasks.spawn(async move {
            let mutex = Mutex::new(&client(address).await, "/lock");
            for _ in 0..30 {
                let guard = mutex.lock().await.unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two are in");
                tokio::task::yield_now().await;
                let before = last.lock().unwrap().replace(guard.token());
                assert!(before < Some(guard.token()), "P18");
                inside.fetch_sub(1, Ordering::SeqCst);
                guard.release().await.unwrap();
            }
        });
    }
    while let Some(done) = soon("everybody's rounds", tasks.join_next()).await {
        done.unwrap();
    }
}

#[tokio::test]
async fn the_first_to_come_is_the_first_to_have_it() {
    let server = server().await;
    let one = client(server.address()).await;
    let mutex = Mutex::new(&one, "/lock");
    let mut held = mutex.lock().await.unwrap();
    let mut waiters = Vec::new();
    for there in 2..8 {
        let mutex = mutex.clone();
        waiters.push(tokio::spawn(async move { mutex.lock().await.unwrap() }));
        until("its place", async || {
            names(&one, "/lock").await.len() == there
        })
        .await;
    }
    for waiter in waiters {
        let before = held.token();
        held.release().await.unwrap();
        held = soon("its turn", waiter).await.unwrap();
        assert!(before < held.token());
    }
}

#[tokio::test]
async fn a_lock_is_tried_waited_for_in_time_and_re_entered_by_its_handle() {
    let server = server().await;
    let one = client(server.address()).await;
    let mutex = Mutex::builder(&one, "/lock").id("one").build();
    let guard = mutex.try_lock().await.unwrap().unwrap();
    assert!(mutex.try_lock().await.unwrap().is_none());
    let short = Duration::from_millis(20);
    assert!(mutex.lock_timeout(short).await.unwrap().is_none());
    until("no place left behind", async || {
        names(&one, "/lock").await.len() == 1
    })
    .await;

    let again = guard.reenter();
    guard.release().await.unwrap();
    assert!(
        mutex.try_lock().await.unwrap().is_none(),
        "a handle is left"
    );
    assert!(again.is_valid());
    let ids: Vec<_> = mutex
        .contenders()
        .await
        .unwrap()
        .iter()
        .map(Participant::id)
        .collect();
    assert_eq!(ids, ["one"]);
    again.release().await.unwrap();
    drop(mutex.lock_timeout(common::PATIENCE).await.unwrap().unwrap());
    empty(&one, "/lock").await;
}

#[tokio::test]
async fn a_holder_is_asked_to_let_go() {
    let server = server().await;
    let mutex = Mutex::new(&client(server.address()).await, "/lock");
    let other = Mutex::new(&client(server.address()).await, "/lock");
    let guard = mutex.lock().await.unwrap();
    let holder = other.contenders().await.unwrap().remove(0);
    assert_eq!(holder.token(), guard.token());
    assert!(other.revoke(&holder).await.unwrap());
    soon("the request", guard.revoke_requested()).await;
    guard.release().await.unwrap();
    assert!(!other.revoke(&holder).await.unwrap(), "it is gone");
}

#[tokio::test]
async fn a_foreign_contender_is_refused_and_nothing_left() {
    let server = server().await;
    let one = client(server.address()).await;
    let kazoo = "/lock/3deaea15e4f0489db9ad2c44caba1833__lock__";
    one.create("/lock", "").await.unwrap();
    one.create(kazoo, "").sequential().await.unwrap();
    let refused = Mutex::new(&one, "/lock").lock().await.unwrap_err();
    assert!(
        matches!(refused, Error::ForeignContenders { .. }),
        "{refused}"
    );
    until("only the foreign one", async || {
        names(&one, "/lock").await.len() == 1
    })
    .await;
    let kazoo = Mutex::builder(&one, "/lock").naming(Naming::Kazoo).build();
    assert!(kazoo.try_lock().await.unwrap().is_none());
}

#[tokio::test]
async fn a_holder_hears_of_its_sessions_end_and_later_tokens_are_larger() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let first = Mutex::new(&one, "/lock").lock().await.unwrap();
    let token = first.token();
    let signal = first.loss_signal();
    expire(&server, &one).await;
    let second = soon("the next", Mutex::new(&two, "/lock").lock())
        .await
        .unwrap();
    assert!(token < second.token(), "S72");
    assert_eq!(soon("the loss", first.lost()).await, Loss::SessionEnded);
    assert_eq!(first.valid_until(), None);
    assert_eq!(signal.loss(), Some(Loss::SessionEnded));
    until("its next session", async || one.exists("/").await.is_ok()).await;
    // Whoever does not listen is kept out all the same.
    let late = first.fenced().create("/sold", "").commit().await;
    assert_eq!(late, Err(Error::Lost(Loss::SessionEnded)));
    assert_eq!(one.exists("/sold").await.unwrap(), None);
    assert_eq!(first.release().await, Err(Error::Lost(Loss::SessionEnded)));
    second.fenced().create("/sold", "").commit().await.unwrap();
}

#[tokio::test]
async fn a_waiter_whose_session_ends_waits_on_in_the_next() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let held = Mutex::new(&one, "/lock").lock().await.unwrap();
    let waiting = Mutex::new(&two, "/lock");
    let waiter = tokio::spawn(async move { waiting.lock().await });
    until("its place", async || names(&one, "/lock").await.len() == 2).await;
    let session = two.session_id();
    expire(&server, &two).await;
    until("its next session", async || {
        two.session_id().is_some_and(|id| Some(id) != session)
    })
    .await;
    until("its new place", async || {
        names(&one, "/lock").await.len() == 2
    })
    .await;
    held.release().await.unwrap();
    assert!(soon("its turn", waiter).await.unwrap().unwrap().is_valid());
}

/// Pings, which are all that somebody who waits sends, prove nothing about the session.
#[tokio::test]
async fn who_has_waited_for_longer_than_a_session_lasts_holds_for_certain() {
    let server = server().await;
    let short = Duration::from_secs(1);
    let brief = describe(server.address()).session_timeout(short);
    let one = brief.connect().await.unwrap();
    let two = client(server.address()).await;
    let held = Mutex::new(&two, "/lock").lock().await.unwrap();
    let waiting = Mutex::new(&one, "/lock");
    let waiter = tokio::spawn(async move { waiting.lock().await.unwrap() });
    until("its place", async || names(&two, "/lock").await.len() == 2).await;
    tokio::time::sleep(2 * short).await;
    held.release().await.unwrap();
    let guard = soon("its turn", waiter).await.unwrap();
    assert!(guard.is_valid());
    let lost = tokio::time::timeout(2 * short, guard.lost()).await;
    assert!(lost.is_err(), "{lost:?}");
}

#[tokio::test]
async fn a_holder_hears_of_an_operators_hand() {
    let server = server().await;
    let one = client(server.address()).await;
    let guard = Mutex::new(&one, "/lock").lock().await.unwrap();
    one.delete(guard.path()).await.unwrap();
    assert_eq!(soon("the loss", guard.lost()).await, Loss::Deleted);
    assert!(!guard.is_valid());
}

#[tokio::test]
async fn work_stops_with_the_lock() {
    let server = server().await;
    let one = client(server.address()).await;
    let mutex = Mutex::new(&one, "/lock");
    assert_eq!(mutex.lock().await.unwrap().run(async { 7 }).await, Ok(7));
    let guard = mutex.lock().await.unwrap();
    one.delete(guard.path()).await.unwrap();
    let stopped = soon("the stop", guard.run(std::future::pending::<()>())).await;
    assert_eq!(stopped, Err(Error::Lost(Loss::Deleted)));
    empty(&one, "/lock").await;
}

/// P18: told before anybody else can be granted.
#[tokio::test]
async fn a_holder_that_is_cut_off_is_told_before_the_next_has_it() {
    let (server, proxy) = proxied().await;
    let short = Duration::from_secs(2);
    let one = describe(proxy.address())
        .session_timeout(short)
        .connect()
        .await
        .unwrap();
    let two = client(server.address()).await;
    let first = Mutex::new(&one, "/lock").lock().await.unwrap();
    let other = Mutex::new(&two, "/lock");
    let next = tokio::spawn(async move { other.lock().await.unwrap() });
    // For longer than the timeout, so that the deadline moves on while servers answer.
    tokio::time::sleep(2 * short).await;
    assert!(first.is_valid() && !next.is_finished());

    proxy.refuse().await;
    proxy.lose();
    let loss = soon("the loss", first.lost()).await;
    assert!(matches!(loss, Loss::Unconfirmed), "{loss:?}");
    assert!(
        !next.is_finished(),
        "the next had it before the first was told"
    );
    let second = soon("the next", next).await.unwrap();
    assert!(first.token() < second.token());
}

#[tokio::test]
async fn a_holder_may_let_go_as_soon_as_the_connection_does() {
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let mutex = Mutex::builder(&one, "/lock")
        .on_suspension(OnSuspension::LetGoAtOnce)
        .build();
    let guard = mutex.lock().await.unwrap();
    proxy.cut();
    assert_eq!(soon("the loss", guard.lost()).await, Loss::Suspended);
    assert_eq!(guard.release().await, Err(Error::Lost(Loss::Suspended)));
    // The session lives, and its node was let go all the same.
    empty(&one, "/lock").await;
}

/// S70: the create succeeded, its reply did not come.
#[tokio::test]
async fn a_reply_that_is_lost_costs_no_second_place() {
    let (server, proxy) = proxied().await;
    let (one, witness) = (
        client(proxy.address()).await,
        client(server.address()).await,
    );
    let mutex = Mutex::new(&one, "/lock");
    mutex.lock().await.unwrap().release().await.unwrap();
    proxy.drop_reply(Which::To(OpCode::Create2));
    let guard = soon("the lock", mutex.lock()).await.unwrap();
    assert_eq!(proxy.tally().faults(), 1);
    assert_eq!(names(&witness, "/lock").await.len(), 1);
    proxy.drop_reply(Which::To(OpCode::Delete));
    guard.release().await.unwrap();
    assert_eq!(proxy.tally().faults(), 2);
    empty(&witness, "/lock").await;
}

const COUNTED: [OpCode; 6] = [
    OpCode::Create2,
    OpCode::GetChildren,
    OpCode::GetData,
    OpCode::Exists,
    OpCode::Delete,
    OpCode::RemoveWatches,
];

fn requests(proxy: &FaultProxy) -> [u64; 6] {
    let tally = proxy.tally();
    COUNTED.map(|op| tally.requests(op))
}

fn since(before: [u64; 6], proxy: &FaultProxy) -> [u64; 6] {
    let mut now = requests(proxy);
    now.iter_mut()
        .zip(before)
        .for_each(|(now, before)| *now -= before);
    now
}

#[tokio::test]
async fn a_cycle_costs_what_is_documented() {
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let mutex = Mutex::new(&one, "/lock");
    mutex.lock().await.unwrap().release().await.unwrap();
    let before = requests(&proxy);
    let guard = mutex.lock().await.unwrap();
    proxy
        .until("its look at itself", |tally| {
            tally.requests(OpCode::GetData) > before[2]
        })
        .await;
    guard.release().await.unwrap();
    assert_eq!(since(before, &proxy), [1, 1, 1, 0, 1, 0]);

    let held = mutex.lock().await.unwrap();
    let before = requests(&proxy);
    assert!(mutex.try_lock().await.unwrap().is_none());
    assert_eq!(since(before, &proxy)[..2], [0, 1], "a look, no write");
    held.release().await.unwrap();
}

/// No herd: each release wakes the next alone, and costs the same for two hundred as for two.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_a_release_wakes_one() {
    const ALL: u64 = 200;
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let mutex = Mutex::new(&one, "/lock");
    let held = mutex.lock().await.unwrap();
    let mut tasks = JoinSet::new();
    let (granted, mut grants) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..ALL {
        let (mutex, granted) = (mutex.clone(), granted.clone());
        tasks.spawn(async move {
            let guard = mutex.lock().await.unwrap();
            granted.send(guard).unwrap();
        });
    }
    let placed = |tally: &zk_client::testkit::Tally| tally.requests(OpCode::GetData) == ALL + 1;
    proxy.until("two hundred places", placed).await;
    let before = requests(&proxy);
    let events = proxy.tally().passed(
        zk_client::testkit::Direction::ToClient,
        zk_client::testkit::Kind::Event,
    );
    let mut holder = held;
    for _ in 0..ALL {
        let token = holder.token();
        holder.release().await.unwrap();
        holder = soon("the next", grants.recv()).await.unwrap();
        assert!(token < holder.token());
        assert!(grants.is_empty(), "one at a time");
    }
    drop(holder);
    empty(&one, "/lock").await;
    // Per cycle: the list when its turn comes, the look at itself, the delete. `empty` lists at least once.
    let [creates, lists, gets, exists, deletes, unwatched] = since(before, &proxy);
    assert_eq!([creates, exists, deletes, unwatched], [0, 0, ALL + 1, 0]);
    assert!((ALL + 1..ALL + 20).contains(&lists), "{lists}");
    // Whoever lets go at once does not look at itself before.
    assert!(gets <= ALL, "{gets}");
    let events = proxy.tally().passed(
        zk_client::testkit::Direction::ToClient,
        zk_client::testkit::Kind::Event,
    ) - events;
    // One for the watcher behind; the holder's own watch is on the same node and the same session: still one.
    assert!((ALL..=2 * ALL + 1).contains(&events), "{events}");
}

/// A directory that goes when it is empty suits Curator; kazoo makes it once and fails when it has gone.
#[tokio::test]
async fn a_directory_is_made_as_the_others_expect_it() {
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    for (naming, containers) in [(Naming::Kazoo, 0), (Naming::Curator, 1)] {
        let mutex = Mutex::builder(&one, format!("/{naming:?}")).naming(naming);
        let held = mutex.build().lock().await.unwrap();
        held.release().await.unwrap();
        let made = proxy.tally().requests(OpCode::CreateContainer);
        assert_eq!(made, containers, "{naming:?}");
    }
}

/// The servers decide, not what is known here.
#[tokio::test]
async fn a_write_behind_the_end_of_a_hold_is_refused_before_anybody_heard_of_it() {
    let server = server().await;
    let one = client(server.address()).await;
    let held = Mutex::new(&one, "/lock").lock().await.unwrap();
    let end = one.delete(held.path()).send();
    let late = held.fenced().create("/sold", "").commit();
    assert_eq!(late.await, Err(Error::Lost(Loss::Deleted)));
    end.await.unwrap();
    assert_eq!(one.exists("/sold").await.unwrap(), None);
}

/// The runtime that a lock was taken in is gone, and with it whoever kept it: a release does not wait for nobody.
#[test]
fn a_release_behind_the_end_of_its_runtime_comes_to_an_end() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let (first, second) = (runtime(), runtime());
    let server = second.block_on(server());
    let held = first.block_on(async {
        let one = client(server.address()).await;
        Mutex::new(&one, "/lock").lock().await.unwrap()
    });
    drop(first);
    let released = second.block_on(async { soon("its end", held.release()).await });
    assert!(matches!(released, Err(Error::Lost(_))), "{released:?}");
}
