//! Configurations: layers, rejections, publications, gaps.
#![expect(clippy::unwrap_used, reason = "a test's")]

mod common;

use common::{Attempt, client, drop_at_every_await, expire, proxied, server, soon, until};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zk_client::{Client, Version};
use zk_recipes::{Config, ConfigBuilder, ConfigEvent, Freshness, PublishError};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Limits {
    per_second: u32,
    burst: u32,
}

const ALL: &str = "/config/all";
const SHOP: &str = "/config/shop";
const HOST: &str = "/config/shop/host-1";

const DEFAULT: Limits = Limits {
    per_second: 100,
    burst: 10,
};

fn limits(client: &Client) -> ConfigBuilder<Limits> {
    let builder = Config::<Limits>::builder(client)
        .default_value(&DEFAULT)
        .unwrap();
    let builder = builder.layer(ALL).layer(SHOP).layer(HOST);
    builder.check(|it| {
        let fine = it.burst <= it.per_second;
        fine.then_some(())
            .ok_or("a burst above the rate".to_owned())
    })
}

fn now(config: &Config<Limits>) -> (u32, u32) {
    let value = config.current().unwrap().value.clone();
    (value.per_second, value.burst)
}

#[tokio::test]
async fn layers_are_laid_over_each_other_and_the_last_good_value_stays() {
    let server = server().await;
    let one = client(server.address()).await;
    let config = limits(&one).start();
    let mut events = config.events();
    soon("the configuration", config.ready()).await.unwrap();
    assert_eq!(now(&config), (100, 10));
    config
        .publish(ALL, &json!({"per_second": 200}), None)
        .await
        .unwrap();
    config
        .publish(SHOP, &json!({"burst": 50}), None)
        .await
        .unwrap();
    config
        .publish(HOST, &json!({"burst": 60}), None)
        .await
        .unwrap();
    config.barrier().await.unwrap();
    assert_eq!(now(&config), (200, 60));
    let versions = config.current().unwrap().layers.clone();
    let zero = Version(0);
    let expected = [ALL, SHOP, HOST].map(|path| (path.to_owned(), zero));
    assert_eq!(versions, expected);

    // What others write is checked too, in each way it can be wrong.
    for (wrong, why) in [
        ("rubbish", "/config/shop: expected value"),
        (r#"{"per_second": "many"}"#, "invalid type"),
        (r#"{"burst": null, "per_second": null}"#, "missing field"),
        (r#"{"per_second": 1}"#, "a burst above the rate"),
    ] {
        let stat = one.set(SHOP, wrong).await.unwrap();
        config.barrier().await.unwrap();
        let rejected = config.rejected().unwrap();
        assert!(rejected.why.contains(why), "{rejected:?}");
        assert_eq!(rejected.layers, [(SHOP.to_owned(), stat.version)]);
        assert_eq!(now(&config), (200, 60));
    }
    one.set(SHOP, r#"{"burst": 55}"#).await.unwrap();
    one.delete(HOST).recursive().await.unwrap();
    config.barrier().await.unwrap();
    assert_eq!((now(&config), config.rejected()), ((200, 55), None));
    let (mut applied, mut rejected) = (0, 0);
    drop(config);
    while let Some(event) = soon("an event", events.next()).await {
        match event {
            ConfigEvent::Applied(_) => applied += 1,
            ConfigEvent::Rejected(_) => rejected += 1,
        }
    }
    assert!(applied >= 2 && rejected == 4, "{applied} {rejected}");
}

#[tokio::test]
async fn who_publishes_replaces_what_he_has_seen_or_nothing() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let (ours, theirs) = (limits(&one).keep_versions(3).start(), limits(&two).start());
    soon("the configuration", ours.ready()).await.unwrap();
    soon("the configuration", theirs.ready()).await.unwrap();
    let first = ours.publish(ALL, &json!({"burst": 1}), None).await.unwrap();
    assert_eq!(first, Version(0));
    let again = theirs.publish(ALL, &json!({"burst": 2}), None).await;
    assert!(
        matches!(again, Err(PublishError::Changed { .. })),
        "{again:?}"
    );
    let second = theirs.publish(ALL, &json!({"burst": 2}), Some(first)).await;
    assert_eq!(second.unwrap(), Version(1));
    let late = ours.publish(ALL, &json!({"burst": 3}), Some(first)).await;
    assert!(
        matches!(late, Err(PublishError::Changed { .. })),
        "{late:?}"
    );
    let wrong = ours
        .publish(ALL, &json!({"burst": 101}), Some(Version(1)))
        .await;
    assert!(
        matches!(wrong, Err(PublishError::Rejected { .. })),
        "{wrong:?}"
    );
    let nowhere = ours.publish("/other", &json!({}), None).await;
    assert!(
        matches!(nowhere, Err(PublishError::NoLayer { .. })),
        "{nowhere:?}"
    );
    ours.barrier().await.unwrap();
    assert_eq!(now(&ours), (100, 2));

    let mut version = Version(1);
    for burst in 3..8 {
        version = ours
            .publish(ALL, &json!({"burst": burst}), Some(version))
            .await
            .unwrap();
    }
    let history = ours.history(ALL).await.unwrap();
    let data: Vec<_> = history
        .iter()
        .map(|it| String::from_utf8_lossy(&it.data))
        .collect();
    assert_eq!(data, [r#"{"burst":5}"#, r#"{"burst":6}"#, r#"{"burst":7}"#]);
    assert!(history.is_sorted_by_key(|it| it.number));
    // A layer that others made has no history yet.
    one.create(SHOP, "{}").await.unwrap();
    assert!(ours.history(SHOP).await.unwrap().is_empty());
    ours.publish(SHOP, &json!({"burst": 9}), Some(Version(0)))
        .await
        .unwrap();
    assert_eq!(ours.history(SHOP).await.unwrap().len(), 1);
}

#[tokio::test]
async fn layers_that_are_written_together_are_applied_together() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let config = limits(&one).start();
    soon("the configuration", config.ready()).await.unwrap();
    two.create("/config", "").await.unwrap();
    let both = two.multi().create(ALL, r#"{"per_second": 5}"#);
    let mut events = config.events();
    both.create(SHOP, r#"{"burst": 5}"#).await.unwrap();
    let ConfigEvent::Applied(applied) = soon("an event", events.next()).await.unwrap() else {
        panic!("one without the other was looked at");
    };
    assert_eq!((applied.value.per_second, applied.value.burst), (5, 5));
}

#[tokio::test]
async fn it_stays_while_servers_and_sessions_go() {
    let mut server = server().await;
    let one = client(server.address()).await;
    let config = limits(&one).start();
    soon("the configuration", config.ready()).await.unwrap();
    config
        .publish(ALL, &json!({"burst": 20}), None)
        .await
        .unwrap();
    config.barrier().await.unwrap();
    server.stop().await.unwrap();
    until("that it is stale", async || {
        matches!(config.freshness(), Freshness::Stale { .. })
    })
    .await;
    assert_eq!(now(&config), (100, 20));
    server.restart().await.unwrap();
    expire(&server, &one).await;
    let two = client(server.address()).await;
    two.set(ALL, r#"{"burst": 21}"#).await.unwrap();
    until("the next value", async || now(&config) == (100, 21)).await;
    assert_eq!(config.freshness(), Freshness::Live);
}

#[tokio::test]
async fn without_anything_there_is_nothing() {
    let server = server().await;
    let one = client(server.address()).await;
    let config = Config::<Limits>::builder(&one).layer(ALL).start();
    soon("the configuration", config.ready()).await.unwrap();
    assert!(config.current().is_none());
    assert_eq!(config.rejected().unwrap().why, "nothing is configured");
    one.create("/config", "").await.unwrap();
    one.create(ALL, serde_json::to_vec(&DEFAULT).unwrap())
        .await
        .unwrap();
    config.barrier().await.unwrap();
    assert_eq!(now(&config), (100, 10));
}

#[tokio::test]
async fn every_future_may_be_dropped_at_any_await() {
    let (server, proxy) = proxied().await;
    let witness = client(server.address()).await;
    let one = client(proxy.address()).await;
    let make = |times: usize| -> Attempt {
        let client = one.clone();
        Box::pin(async move {
            let config = limits(&client).start();
            config.ready().await.unwrap();
            let seen = client.exists(ALL).await.ok().flatten();
            let seen = seen.map(|it| it.version);
            let _unknown = config.publish(ALL, &json!({"burst": times}), seen).await;
            config.barrier().await.unwrap();
            let _lost = config.history(ALL).await;
        })
    };
    // Whatever was dropped: what is there is whole, and the next publication succeeds.
    let look = async || {
        let config = limits(&witness).start();
        soon("the configuration", config.ready()).await.unwrap();
        assert_eq!(config.rejected(), None);
        let publish = async || {
            let seen = witness.exists(ALL).await.unwrap().map(|it| it.version);
            let published = config.publish(ALL, &json!({"burst": 7}), seen).await;
            published.is_ok()
        };
        until("a publication", publish).await;
        config.barrier().await.unwrap();
        assert_eq!(now(&config), (100, 7));
    };
    drop_at_every_await(&proxy, make, look).await;
}

/// The parent of a layer, made for its sake, is a layer without a word, and not a wrong one.
#[tokio::test]
async fn a_layer_without_data_says_nothing() {
    let server = server().await;
    let one = client(server.address()).await;
    let config = limits(&one).start();
    soon("the configuration", config.ready()).await.unwrap();
    // Makes its parent, which is a layer too.
    config
        .publish(HOST, &json!({"burst": 20}), None)
        .await
        .unwrap();
    soon("the barrier", config.barrier()).await.unwrap();
    assert_eq!((now(&config), config.rejected()), ((100, 20), None));
    config
        .publish(SHOP, &json!({"per_second": 50}), Some(Version(0)))
        .await
        .unwrap();
    soon("the barrier", config.barrier()).await.unwrap();
    assert_eq!(now(&config), (50, 20));
}
