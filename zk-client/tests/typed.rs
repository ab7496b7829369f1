//! Nodes whose data is a value: read, changed by many at once, followed; an unknown write is never made twice.

mod common;

use common::{Arena, everywhere};
use serde::{Deserialize, Serialize};
use zk_client::testkit::{FaultProxy, TestServer, Which};
use zk_client::typed::{Text, TypedError};
use zk_client::{Client, ErrorCode, Operation, Outcome};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counter {
    count: u64,
}

#[tokio::test]
async fn a_value_is_created_read_and_replaced() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        let counter = client.typed::<Counter>("/deep/counter");
        assert_eq!(counter.find().await.expect("asked"), None);
        counter
            .create(&Counter { count: 1 })
            .await
            .expect("created");
        let read = counter.get().await.expect("read");
        assert_eq!(read.value, Counter { count: 1 });
        counter.set(&Counter { count: 2 }).await.expect("set");
        let late = counter.replace(&read).await.expect_err("an old version");
        assert_eq!(late.outcome(), Outcome::NotApplied);
        assert_eq!(counter.get().await.expect("read").value.count, 2);

        let text = client.typed_with("/deep/text", Text);
        text.create(&"wörter".to_owned()).await.expect("created");
        assert_eq!(text.get().await.expect("read").value, "wörter");
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn many_who_change_a_value_at_once_lose_no_change() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        let counter = client.typed::<Counter>("/counter");
        counter.create(&Counter::default()).await.expect("created");
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let client = client.clone();
            tasks.spawn(async move {
                let counter = client.typed::<Counter>("/counter");
                for _ in 0..10 {
                    counter
                        .update(|counter| counter.count += 1)
                        .await
                        .expect("updated");
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no panic");
        }
        assert_eq!(counter.get().await.expect("read").value.count, 80);
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_no_such_value_is_an_error_and_is_not_overwritten() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
    client.create("/garbage", "{").await.expect("created");
    let counter = client.typed::<Counter>("/garbage");
    let refused = counter
        .update(|counter| counter.count += 1)
        .await
        .expect_err("garbage");
    assert!(
        matches!(&refused, TypedError::Decode { path, stat, .. } if path == "/garbage" && stat.version.0 == 0)
    );
    assert_eq!(refused.outcome(), Outcome::NotApplied);
    assert_eq!(&client.get("/garbage").await.expect("read").0[..], b"{");
        client.close().await;
    })
    .await;
}

/// P9: the answer is lost, the write stands; a second one would count twice.
#[tokio::test]
async fn a_change_whose_answer_is_lost_is_unknown_and_made_once() {
    let server = TestServer::start().await.expect("a server");
    let proxy = FaultProxy::start(server.address()).await.expect("a proxy");
    let client = Client::connect(proxy.address().to_string())
        .await
        .expect("connected");
    let counter = client.typed::<Counter>("/once");
    counter.create(&Counter::default()).await.expect("created");
    proxy.drop_reply(Which::To(Operation::SetData));
    let lost = counter
        .update(|counter| counter.count += 1)
        .await
        .expect_err("the answer is lost");
    assert_eq!(lost.outcome(), Outcome::Unknown, "{lost}");
    assert_eq!(counter.get().await.expect("read").value.count, 1);
}

#[tokio::test]
async fn a_follower_of_a_value_sees_the_last_one() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
    let counter = client.typed::<Counter>("/followed");
    let mut values = counter.watch().await.expect("watched");
    assert_eq!(values.next().await.expect("asked"), None);
    counter
        .create(&Counter { count: 1 })
        .await
        .expect("created");
    let first = values.next().await.expect("asked").expect("a value");
    assert_eq!(first.value.count, 1);

    // Children are none of its business; garbage is told once.
    client.create("/followed/child", "").await.expect("created");
    client.set("/followed", "garbage").await.expect("set");
    let garbage = values.next().await.expect_err("garbage");
    assert!(matches!(garbage, TypedError::Decode { .. }), "{garbage}");
    for count in 2..50 {
        counter.set(&Counter { count }).await.expect("set");
    }
    while values
        .next()
        .await
        .expect("asked")
        .expect("a value")
        .value
        .count
        != 49
    {}

    client
        .delete("/followed")
        .recursive()
        .await
        .expect("deleted");
    assert_eq!(values.next().await.expect("asked"), None);
    let refused = counter.get().await.expect_err("gone");
    assert!(
        matches!(&refused, TypedError::Operation(error) if error.code() == Some(ErrorCode::NoNode))
    );
        client.close().await;
    })
    .await;
}
