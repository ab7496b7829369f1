//! The read/write lock: who waits for whom, and what a downgrade keeps out.

mod common;

use common::{client, empty, names, proxied, server, soon, until};
use std::time::Duration;
use tokio::task::JoinSet;
use zk_client::testkit::{Direction, Kind};
use zk_proto::OpCode;
use zk_recipes::{Naming, RwLock};

#[tokio::test]
async fn readers_share_and_writers_are_alone() {
    let server = server().await;
    for naming in [Naming::Curator, Naming::Kazoo] {
        let one = client(server.address()).await;
        let lock = RwLock::builder(&one, format!("/{naming:?}"))
            .naming(naming)
            .build();
        let first = lock.read().await.unwrap();
        let second = lock.try_read().await.unwrap().unwrap();
        assert!(lock.try_write().await.unwrap().is_none());
        first.release().await.unwrap();
        let short = Duration::from_millis(20);
        assert!(lock.write_timeout(short).await.unwrap().is_none());
        second.release().await.unwrap();
        let writer = soon("the writer", lock.write()).await.unwrap();
        assert!(lock.try_read().await.unwrap().is_none());
        assert!(lock.read_timeout(short).await.unwrap().is_none());
        writer.release().await.unwrap();
        empty(&one, &format!("/{naming:?}")).await;
    }
}

#[tokio::test]
async fn nobody_comes_between_a_writer_and_the_reader_it_becomes() {
    let server = server().await;
    let one = client(server.address()).await;
    let lock = RwLock::new(&one, "/lock");
    let writer = lock.write().await.unwrap();
    let token = writer.token();
    let mut others = JoinSet::new();
    for (there, write) in [(2, false), (3, true), (4, false)] {
        let lock = lock.clone();
        others.spawn(async move {
            let guard = if write {
                lock.write().await.unwrap().into_guard()
            } else {
                lock.read().await.unwrap()
            };
            (write, guard)
        });
        until("its place", async || {
            names(&one, "/lock").await.len() == there
        })
        .await;
    }
    let reader = writer.downgrade().await.unwrap();
    assert!(token < reader.token());
    // The reader behind comes in; the writer behind that, and the last reader, wait for both.
    let (write, next) = soon("a reader", others.join_next()).await.unwrap().unwrap();
    assert!(!write);
    next.release().await.unwrap();
    assert!(
        others.try_join_next().is_none(),
        "the writer overtook a reader"
    );
    reader.release().await.unwrap();
    let (write, next) = soon("the writer", others.join_next())
        .await
        .unwrap()
        .unwrap();
    assert!(write);
    next.release().await.unwrap();
    let (write, next) = soon("the last", others.join_next()).await.unwrap().unwrap();
    assert!(!write);
    drop(next);
    empty(&one, "/lock").await;
}

/// A reader waits for the nearest writer before it, not for the first: a release wakes nobody in vain.
#[tokio::test]
async fn a_reader_behind_two_writers_is_woken_once() {
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let lock = RwLock::new(&one, "/lock");
    let first = lock.write().await.unwrap();
    let next = lock.clone();
    let second = tokio::spawn(async move { next.write().await.unwrap() });
    until("its place", async || names(&one, "/lock").await.len() == 2).await;
    let mut readers = JoinSet::new();
    for _ in 0..10 {
        let lock = lock.clone();
        readers.spawn(async move { lock.read().await.unwrap() });
    }
    proxy
        .until("everybody's watch", |tally| {
            tally.requests(OpCode::GetData) == 12
        })
        .await;
    let lists = || proxy.tally().requests(OpCode::GetChildren);
    let events = || proxy.tally().passed(Direction::ToClient, Kind::Event);
    let before = (lists(), events());
    first.release().await.unwrap();
    let second = soon("the second writer", second).await.unwrap();
    assert_eq!(
        (lists(), events()),
        (before.0 + 1, before.1 + 1),
        "only the writer was woken"
    );
    second.release().await.unwrap();
    while let Some(reader) = soon("the readers", readers.join_next()).await {
        drop(reader.unwrap());
    }
    assert_eq!(lists(), before.0 + 11, "each looked once");
}
