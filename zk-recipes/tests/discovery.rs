//! Discovery: registered instances are seen, picked, kept while the servers are away, and gone when they should be.
#![expect(clippy::unwrap_used, reason = "a test's")]

mod common;

use common::{
    Attempt, client, describe, drop_at_every_await, expire, names, proxied, server, soon, until,
};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use zk_client::Client;
use zk_recipes::{
    DownPolicy, Floor, Freshness, Instance, Provider, Registry, ServiceType, Standing, Strategy,
};

const BASE: &str = "/services";

fn shop(id: &str) -> Instance {
    Instance::new("shop").id(id).address("10.0.0.1").port(80)
}

/// The ids of those who may be picked.
fn ids(provider: &Provider) -> Vec<String> {
    let all = provider.all();
    all.iter().map(|it| it.name().to_owned()).collect()
}

async fn started(client: &Client) -> Provider {
    let provider = Registry::new(client, BASE).provider("shop").start();
    soon("the provider", provider.ready()).await.unwrap();
    provider
}

/// Writes instances without caring for them.
async fn write(client: &Client, range: std::ops::Range<usize>) {
    let parents = client.create("/services/shop", "").parents().await;
    drop(parents);
    let mut sent = Vec::new();
    for number in range {
        client.room().await;
        let id = format!("{number:04}");
        let path = format!("/services/shop/{id}");
        sent.push(client.create(path, shop(&id).encode().unwrap()).send());
    }
    for create in sent {
        create.await.unwrap();
    }
}

#[tokio::test]
async fn an_instance_is_seen_changed_and_gone() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let registry = Registry::new(&one, BASE);
    let provider = started(&two).await;
    assert!(provider.pick().is_none());
    let ours = registry.register(shop("a")).unwrap();
    soon("the registration", ours.ready()).await.unwrap();
    provider.barrier().await.unwrap();
    assert_eq!(*provider.pick().unwrap(), ours.instance());
    assert_eq!(provider.pick().unwrap().host(), Some("10.0.0.1"));

    ours.update(shop("a").port(81)).await.unwrap();
    provider.barrier().await.unwrap();
    assert_eq!(provider.pick().unwrap().ports().0, Some(81));
    assert!(ours.update(shop("b")).await.is_err(), "another id");

    ours.enable(false).await.unwrap();
    provider.barrier().await.unwrap();
    assert!(provider.pick().is_none());
    let listing = registry.instances("shop").await.unwrap();
    assert_eq!(listing.instances.len(), 1);
    assert!(!listing.instances[0].is_enabled());
    ours.enable(true).await.unwrap();
    provider.barrier().await.unwrap();
    assert!(provider.pick().is_some());

    assert_eq!(registry.services().await.unwrap(), ["shop"]);
    ours.close().await.unwrap();
    provider.barrier().await.unwrap();
    assert!(provider.pick().is_none());
    let fixed = shop("s").service_type(ServiceType::Static);
    drop(registry.register(fixed).unwrap());
    let numbered = shop("n").service_type(ServiceType::DynamicSequential);
    assert!(registry.register(numbered).is_err());
    assert!(registry.register(shop("a/b")).is_err());
    assert!(registry.register(Instance::new("a/b")).is_err());
}

#[tokio::test]
async fn a_registration_survives_expiries_and_restarts() {
    let mut server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let provider = started(&two).await;
    let ours = Registry::new(&one, BASE).register(shop("a")).unwrap();
    soon("the registration", ours.ready()).await.unwrap();
    for round in 0..3 {
        let old = one.session_id();
        if round == 1 {
            server.restart().await.unwrap();
        } else {
            expire(&server, &one).await;
            until("another session", async || {
                one.session_id().is_some() && one.session_id() != old
            })
            .await;
        }
        until("the instance", async || {
            let found = two.exists("/services/shop/a").await;
            let owner = found.ok().flatten().map(|it| it.ephemeral_owner);
            owner.is_some() && owner == one.session_id()
        })
        .await;
        provider.barrier().await.unwrap();
        assert!(provider.pick().is_some());
    }
}

/// After a restart the old node, whose session lives on for a while, is replaced, and nobody sees it missing.
#[tokio::test]
async fn a_registration_of_before_a_restart_is_replaced_without_a_gap() {
    let server = server().await;
    let (before, after) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let watcher = client(server.address()).await;
    let old = Registry::new(&before, BASE).register(shop("a")).unwrap();
    soon("the first", old.ready()).await.unwrap();
    let provider = started(&watcher).await;
    let least = std::cell::Cell::new(usize::MAX);
    let new = Registry::new(&after, BASE)
        .register(shop("a").port(81))
        .unwrap();
    until("the second", async || {
        least.set(least.get().min(provider.all().len()));
        provider.pick().is_some_and(|it| it.ports().0 == Some(81))
    })
    .await;
    assert_eq!(least.get(), 1);
    soon("the second", new.ready()).await.unwrap();
    until("the first to stand back", async || {
        matches!(old.standing(), Standing::Taken { .. })
    })
    .await;
}

#[tokio::test]
async fn a_drained_instance_is_out_of_service_before_it_goes() {
    let server = server().await;
    let one = client(server.address()).await;
    let provider = started(&one).await;
    let ours = Registry::new(&one, BASE).register(shop("a").spring([]).unwrap());
    let ours = ours.unwrap();
    soon("the registration", ours.ready()).await.unwrap();
    provider.barrier().await.unwrap();
    assert!(provider.pick().is_some());
    let draining = tokio::spawn(ours.drain(Duration::from_millis(200)));
    until("out of service", async || provider.pick().is_none()).await;
    assert_eq!(
        names(&one, "/services/shop").await,
        ["a"],
        "it is there still"
    );
    soon("the end", draining).await.unwrap().unwrap();
    assert!(names(&one, "/services/shop").await.is_empty());
}

#[tokio::test]
async fn a_poisoned_node_is_reported_and_harms_nobody() {
    let server = server().await;
    let one = client(server.address()).await;
    write(&one, 0..3).await;
    one.create("/services/shop/bad", "{]").await.unwrap();
    let provider = started(&one).await;
    assert_eq!(ids(&provider), ["0000", "0001", "0002"]);
    let names: Vec<_> = provider.poisoned().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["bad"]);
    let listing = Registry::new(&one, BASE).instances("shop").await.unwrap();
    assert_eq!((listing.instances.len(), listing.poisoned.len()), (3, 1));
    // What was an instance goes on as what it was.
    one.set("/services/shop/0001", "rubbish").await.unwrap();
    provider.barrier().await.unwrap();
    assert_eq!(provider.all().len(), 3);
    assert_eq!(provider.poisoned().len(), 2);
    one.set("/services/shop/bad", shop("bad").encode().unwrap())
        .await
        .unwrap();
    provider.barrier().await.unwrap();
    assert_eq!((provider.all().len(), provider.poisoned().len()), (4, 1));
}

#[tokio::test]
async fn it_answers_with_all_servers_down_and_after_a_restart_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.json");
    let mut server = server().await;
    let one = client(server.address()).await;
    write(&one, 0..3).await;
    let saved = || Registry::new(&one, BASE).provider("shop").file(&file);
    let provider = saved().start();
    soon("the provider", provider.ready()).await.unwrap();
    until("the file", async || file.exists()).await;
    server.stop().await.unwrap();
    until("that it is stale", async || {
        matches!(provider.freshness(), Freshness::Stale { .. })
    })
    .await;
    assert_eq!(provider.all().len(), 3);
    assert!(provider.pick().is_some());

    // Another process, which has never seen a server.
    let alone = describe(server.address()).open().unwrap();
    let begun = Registry::new(&alone, BASE)
        .provider("shop")
        .file(&file)
        .start();
    soon("the provider", begun.ready()).await.unwrap();
    assert_eq!(begun.freshness(), Freshness::Filling);
    assert_eq!(ids(&begun), ["0000", "0001", "0002"]);
    server.restart().await.unwrap();
    one.delete("/services/shop/0001").await.unwrap();
    soon("the barrier", begun.barrier()).await.unwrap();
    assert_eq!(ids(&begun), ["0000", "0002"]);
    // Of another service there is nothing in that file, and a broken one is as good as none.
    let other = Registry::new(&alone, BASE)
        .provider("mill")
        .file(&file)
        .start();
    assert!(other.all().is_empty());
    let half = folder.path().join("half.json");
    std::fs::write(&half, "half a fi").unwrap();
    let broken = Registry::new(&alone, BASE)
        .provider("shop")
        .file(&half)
        .start();
    assert!(broken.all().is_empty());
}

#[tokio::test]
async fn those_who_vanish_together_are_kept_for_a_while() {
    let server = server().await;
    let one = client(server.address()).await;
    write(&one, 0..10).await;
    let floor = Floor {
        hold: Duration::from_millis(400),
        ..Floor::default()
    };
    let registry = Registry::new(&one, BASE);
    let guarded = registry.provider("shop").floor(floor).start();
    let trusting = registry.provider("shop").floor(None).start();
    soon("the provider", guarded.ready()).await.unwrap();
    soon("the provider", trusting.ready()).await.unwrap();
    let gone = (0..8).fold(one.multi(), |all, number| {
        all.delete(format!("/services/shop/{number:04}"), None)
    });
    gone.await.unwrap();
    let begun = Instant::now();
    guarded.barrier().await.unwrap();
    trusting.barrier().await.unwrap();
    assert_eq!(trusting.all().len(), 2);
    assert_eq!(guarded.all().len(), 10);
    until("the end of the hold", async || guarded.all().len() == 2).await;
    assert!(begun.elapsed() >= Duration::from_millis(350));
}

#[tokio::test]
async fn who_fails_is_left_out_for_a_while() {
    let server = server().await;
    let one = client(server.address()).await;
    write(&one, 0..2).await;
    let policy = DownPolicy {
        failures: 2,
        period: Duration::from_millis(300),
    };
    let provider = Registry::new(&one, BASE).provider("shop");
    let provider = provider
        .strategy(Strategy::Sticky)
        .down_policy(policy)
        .start();
    soon("the provider", provider.ready()).await.unwrap();
    let bad = provider.pick().unwrap().name().to_owned();
    provider.pick().unwrap().failed();
    assert_eq!(provider.all().len(), 2);
    provider.pick().unwrap().failed();
    assert_eq!(provider.all().len(), 1);
    assert_ne!(provider.pick().unwrap().name(), bad);
    until("both again", async || provider.all().len() == 2).await;
    // So it is when the client has come to its end.
    one.close().await;
    until("the end", async || {
        matches!(provider.freshness(), Freshness::Stale { .. })
    })
    .await;
    provider.pick().unwrap().failed();
    provider.pick().unwrap().failed();
    assert_eq!(provider.all().len(), 1);
    until("both again", async || provider.all().len() == 2).await;
}

#[tokio::test]
async fn wishes_narrow_the_choice() {
    let server = server().await;
    let one = client(server.address()).await;
    let registry = Registry::new(&one, BASE);
    let mut kept = Vec::new();
    for (id, zone, size) in [("a", "x", "1"), ("b", "x", "0"), ("c", "y", "3")] {
        let metadata = [("zone", zone), ("size", size)];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let ours = registry
            .register(shop(id).spring(metadata).unwrap())
            .unwrap();
        soon("the registration", ours.ready()).await.unwrap();
        kept.push(ours);
    }
    let size = |it: &Instance| {
        it.metadata("size")
            .and_then(|it| it.parse().ok())
            .unwrap_or(1)
    };
    let near = |it: &Instance| it.metadata("zone") == Some("y");
    let wish = || registry.provider("shop").weigh(size);
    for (provider, expected) in [
        (wish().start(), &["a", "c"][..]),
        (wish().prefer(near, 1).start(), &["c"]),
        (wish().prefer(near, 2).start(), &["a", "c"]),
        (wish().filter(|it| it.name() != "c").start(), &["a"]),
    ] {
        soon("the provider", provider.ready()).await.unwrap();
        assert_eq!(ids(&provider), expected);
    }
}

const STRATEGIES: [Strategy; 6] = [
    Strategy::RoundRobin,
    Strategy::Random,
    Strategy::Sticky,
    Strategy::PowerOfTwo,
    Strategy::RingHash,
    Strategy::Weighted,
];

/// Coarse: the exact figure is a benchmark's. Optimised it is below a microsecond.
#[tokio::test]
async fn a_pick_among_a_thousand_is_quick() {
    let server = server().await;
    let one = client(server.address()).await;
    write(&one, 0..1000).await;
    for strategy in STRATEGIES {
        let provider = Registry::new(&one, BASE)
            .provider("shop")
            .strategy(strategy);
        let provider = provider.start();
        soon("the provider", provider.ready()).await.unwrap();
        assert_eq!(provider.all().len(), 1000);
        let mut seen = BTreeSet::new();
        let begun = Instant::now();
        for number in 0..20_000_u32 {
            let pick = provider.pick_for(&number.to_be_bytes()).unwrap();
            if number < 2000 {
                seen.insert(pick.name().to_owned());
            }
        }
        let each = begun.elapsed() / 20_000;
        let limit = if cfg!(debug_assertions) { 50 } else { 2 };
        assert!(
            each < Duration::from_micros(limit),
            "{strategy:?}: {each:?}"
        );
        let many = if strategy == Strategy::Sticky { 1 } else { 500 };
        assert!(seen.len() >= many, "{strategy:?}: {}", seen.len());
    }
}

#[tokio::test]
async fn a_change_among_a_thousand_is_seen_soon() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    write(&one, 0..1000).await;
    let provider = started(&two).await;
    let mut took = Vec::new();
    let mut changes = provider.changes();
    for number in 1000..1020 {
        changes.borrow_and_update();
        write(&one, number..number + 1).await;
        let begun = Instant::now();
        while provider.all().len() <= number {
            soon("a change", changes.changed()).await.unwrap();
        }
        took.push(begun.elapsed());
    }
    took.sort();
    let median = took[took.len() / 2];
    // 50 ms where it is optimised; coarse where it is not, and the machine does other things.
    let limit = if cfg!(debug_assertions) { 250 } else { 50 };
    assert!(median < Duration::from_millis(limit), "{took:?}");
}

#[tokio::test]
async fn every_future_may_be_dropped_at_any_await() {
    let (server, proxy) = proxied().await;
    let witness = client(server.address()).await;
    let one = client(proxy.address()).await;
    let make = |_| -> Attempt {
        let client = one.clone();
        Box::pin(async move {
            let registry = Registry::new(&client, BASE);
            let ours = registry.register(shop("a")).unwrap();
            ours.ready().await.unwrap();
            let provider = registry.provider("shop").start();
            provider.ready().await.unwrap();
            provider.barrier().await.unwrap();
            ours.update(shop("a").port(81)).await.unwrap();
            let _lost = registry.services().await;
            let _lost = registry.instances("shop").await;
            ours.drain(Duration::from_millis(1)).await.unwrap();
        })
    };
    let look = async || common::empty(&witness, "/services/shop").await;
    drop_at_every_await(&proxy, make, look).await;
}
