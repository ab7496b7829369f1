//! Caches: what they hold, what they tell, how they catch up after gaps, and that nobody holds them up.
#![expect(clippy::unwrap_used, reason = "a test's")]

mod common;

use common::{client, expire, poll_times, proxied, server, soon, until};
use zk_client::testkit::Direction;
use zk_client::{Client, Version, Zxid};
use zk_recipes::{Cache, CacheEvent, CacheEvents, CachedNode, Freshness, Snapshot};

/// What a cache holds, as text.
fn text(snapshot: &Snapshot) -> Vec<String> {
    let nodes = snapshot.iter();
    nodes
        .map(|it| format!("{}={}", it.path(), String::from_utf8_lossy(it.data())))
        .collect()
}

/// Which state of which node: what changes without an event, the number of its children, is left out.
fn state(node: &CachedNode) -> (String, Zxid, Zxid, Vec<u8>) {
    let (stat, data) = (node.stat(), node.data().to_vec());
    (node.path().to_owned(), stat.czxid, stat.mzxid, data)
}

/// An event as text.
fn told(event: CacheEvent) -> String {
    match event {
        CacheEvent::Created { node } => format!("+{}", node.path()),
        CacheEvent::Changed { node, .. } => format!("~{}", node.path()),
        CacheEvent::Deleted { before } => format!("-{}", before.path()),
        CacheEvent::Resynced { skipped, .. } => format!("resynced {skipped}"),
    }
}

async fn next(events: &mut CacheEvents) -> String {
    told(soon("an event", events.next()).await.unwrap())
}

async fn nexts<const N: usize>(events: &mut CacheEvents) -> [String; N] {
    let mut all = Vec::new();
    for _ in 0..N {
        all.push(next(events).await);
    }
    all.try_into().unwrap()
}

/// All there is below a node, read node by node.
async fn really(client: &Client, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        if let Ok((data, _)) = client.get(&path).await {
            found.push(format!("{path}={}", String::from_utf8_lossy(&data)));
            let children = client.children(&path).await.unwrap_or_default();
            left.extend(children.iter().map(|name| format!("{path}/{name}")));
        }
    }
    found.sort_by_key(|it| it.split('=').next().map(str::to_owned));
    found
}

#[tokio::test]
async fn a_cache_holds_a_node_a_directory_or_a_tree() {
    let server = server().await;
    let one = client(server.address()).await;
    for path in ["/a", "/a/b", "/a/b/c", "/a/d"] {
        one.create(path, path).await.unwrap();
    }
    let node = Cache::node(&one, "/a").start();
    let children = Cache::children(&one, "/a").start();
    let tree = Cache::tree(&one, "/a").start();
    let mut events = tree.events();
    for cache in [&node, &children, &tree] {
        assert_eq!(cache.freshness(), Freshness::Filling);
        soon("the cache", cache.ready()).await.unwrap();
        assert_eq!(cache.freshness(), Freshness::Live);
    }
    assert_eq!(text(&node.snapshot()), ["/a=/a"]);
    assert_eq!(
        text(&children.snapshot()),
        ["/a=/a", "/a/b=/a/b", "/a/d=/a/d"]
    );
    assert_eq!(tree.snapshot().len(), 4);
    let first: [_; 5] = nexts(&mut events).await;
    assert_eq!(
        first,
        ["+/a", "+/a/b", "+/a/b/c", "+/a/d", "resynced false"]
    );

    one.set("/a/b/c", "new").await.unwrap();
    one.create("/a/e", "").await.unwrap();
    one.delete("/a/d").await.unwrap();
    for cache in [&node, &children, &tree] {
        soon("the barrier", cache.barrier()).await.unwrap();
        assert!(cache.snapshot().is_exact() && cache.snapshot().is_complete());
    }
    assert_eq!(text(&node.snapshot()), ["/a=/a"]);
    assert_eq!(text(&children.snapshot()), ["/a=/a", "/a/b=/a/b", "/a/e="]);
    assert_eq!(tree.get("/a/b/c").unwrap().data(), "new");
    let names: Vec<_> = tree
        .snapshot()
        .children("/a")
        .map(|it| it.name().to_owned())
        .collect();
    assert_eq!(names, ["b", "e"]);
    let mut then: [_; 3] = nexts(&mut events).await;
    then.sort();
    assert_eq!(then, ["+/a/e", "-/a/d", "~/a/b/c"]);
}

#[tokio::test]
async fn what_is_not_there_yet_is_seen_when_it_comes_and_goes() {
    let server = server().await;
    let one = client(server.address()).await;
    let cache = Cache::tree(&one, "/later").start();
    soon("the cache", cache.ready()).await.unwrap();
    assert!(cache.snapshot().is_empty());
    let mut events = cache.events();
    one.create("/later", "").await.unwrap();
    assert_eq!(next(&mut events).await, "+/later");
    one.delete("/later").await.unwrap();
    assert_eq!(next(&mut events).await, "-/later");
    drop(cache);
    assert_eq!(soon("the end", events.next()).await, None);
}

#[tokio::test]
async fn a_barrier_sees_what_anybody_wrote_before() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    two.create("/count", "").await.unwrap();
    let cache = Cache::node(&one, "/count").start();
    for version in 1..200 {
        let stat = two.set("/count", "").await.unwrap();
        let zxid = soon("the barrier", cache.barrier()).await.unwrap();
        assert!(zxid >= stat.mzxid, "{zxid} {}", stat.mzxid);
        let seen = cache.get("/count").unwrap();
        assert_eq!(seen.stat().version, Version(version));
        assert!(cache.snapshot().zxid() >= stat.mzxid);
    }
}

#[tokio::test]
async fn what_happens_while_there_is_no_connection_is_told_afterwards() {
    let (server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let witness = client(server.address()).await;
    for path in ["/t", "/t/goes", "/t/stays", "/t/again"] {
        witness.create(path, "1").await.unwrap();
    }
    let cache = Cache::tree(&one, "/t").start();
    soon("the cache", cache.ready()).await.unwrap();
    let mut events = cache.events();
    proxy.refuse().await;
    proxy.cut();
    until("that it is stale", async || {
        matches!(cache.freshness(), Freshness::Stale { .. })
    })
    .await;
    assert_eq!(cache.snapshot().len(), 4, "it keeps what it has");
    // Deleted and created again with the same version and data: another node all the same.
    witness.delete("/t/again").await.unwrap();
    witness.create("/t/again", "1").await.unwrap();
    witness.delete("/t/goes").await.unwrap();
    witness.create("/t/new", "").await.unwrap();
    proxy.accept().await;
    let all: [_; 5] = nexts(&mut events).await;
    assert_eq!(
        all,
        [
            "-/t/goes",
            "-/t/again",
            "+/t/again",
            "+/t/new",
            "resynced false"
        ]
    );
    assert_eq!(cache.freshness(), Freshness::Live);
}

#[tokio::test]
async fn a_cache_goes_on_in_the_next_session_and_after_a_restart() {
    let mut server = server().await;
    let (one, witness) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    witness.create("/t", "1").await.unwrap();
    let cache = Cache::tree(&one, "/t").start();
    soon("the cache", cache.ready()).await.unwrap();
    expire(&server, &one).await;
    witness.create("/t/a", "").await.unwrap();
    until("what came in the next session", async || {
        cache.get("/t/a").is_some()
    })
    .await;
    server.restart().await.unwrap();
    witness.create("/t/b", "").await.unwrap();
    until("what came after the restart", async || {
        cache.get("/t/b").is_some()
    })
    .await;
    one.close().await;
    assert!(soon("the end", cache.barrier()).await.is_err());
    until("that it is stale", async || {
        matches!(cache.freshness(), Freshness::Stale { .. })
    })
    .await;
    assert_eq!(cache.snapshot().len(), 3);
}

#[tokio::test]
async fn who_is_slow_is_told_so_and_holds_nobody_up() {
    let server = server().await;
    let one = client(server.address()).await;
    one.create("/t", "0").await.unwrap();
    let cache = Cache::node(&one, "/t").max_events(4).start();
    soon("the cache", cache.ready()).await.unwrap();
    let (mut slow, mut fast) = (cache.events(), cache.events());
    for number in 1..=20 {
        one.set("/t", number.to_string()).await.unwrap();
        soon("the barrier", cache.barrier()).await.unwrap();
        assert_eq!(next(&mut fast).await, "~/t");
    }
    assert_eq!(next(&mut slow).await, "resynced true");
    assert_eq!(cache.get("/t").unwrap().data(), "20");
    one.set("/t", "21").await.unwrap();
    let event = soon("an event", slow.next()).await.unwrap();
    let CacheEvent::Changed { before, node } = event else {
        panic!("{event:?}");
    };
    assert_eq!(
        (&before.data()[..], &node.data()[..]),
        (&b"20"[..], &b"21"[..])
    );
}

#[tokio::test]
async fn memory_is_bounded_and_what_is_left_out_comes_when_there_is_room() {
    let server = server().await;
    let one = client(server.address()).await;
    one.create("/t", "").await.unwrap();
    for number in 0..30 {
        one.create(format!("/t/{number:02}"), "x").await.unwrap();
    }
    let cache = Cache::tree(&one, "/t").max_nodes(20).start();
    soon("the cache", cache.ready()).await.unwrap();
    let snapshot = cache.snapshot();
    assert!(!snapshot.is_complete());
    assert_eq!(snapshot.len(), 20);
    for number in 0..15 {
        one.delete(format!("/t/{number:02}")).await.unwrap();
    }
    until("the rest", async || cache.snapshot().is_complete()).await;
    assert_eq!(text(&cache.snapshot()), really(&one, "/t").await);
}

/// Several write at random, connections break, sessions end: in the end the cache is what is there, and its events,
/// applied one after the other, lead to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disturbed_cache_ends_up_the_same_as_the_tree() {
    let (server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let witness = client(server.address()).await;
    witness.create("/t", "").await.unwrap();
    let cache = Cache::tree(&one, "/t").max_events(100_000).start();
    let mut events = cache.events();
    let writers = (0..3_usize).map(|writer| {
        let client = witness.clone();
        tokio::spawn(async move {
            for round in 0..300_usize {
                let at = (writer * 31 + round * 17) % 7;
                let (path, below) = (format!("/t/{at}"), format!("/t/{at}/{}", round % 3));
                let _refused = match round % 5 {
                    0 => client.create(&path, "c").await.map(drop),
                    1 => client.create(&below, "c").await.map(drop),
                    2 => client
                        .set(&below, format!("{writer}.{round}"))
                        .await
                        .map(drop),
                    3 => client.delete(&below).await,
                    _ => client.delete(&path).await,
                };
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for round in 0..6 {
        tokio::task::yield_now().await;
        cache.barrier().await.unwrap();
        if round % 2 == 0 {
            proxy.cut();
        } else {
            expire(&server, &one).await;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    witness.create("/t/last", "").await.unwrap();
    soon("the barrier", cache.barrier()).await.unwrap();
    assert_eq!(text(&cache.snapshot()), really(&witness, "/t").await);
    let mut replayed = std::collections::BTreeMap::new();
    while !replayed.contains_key("/t/last") {
        match soon("an event", events.next()).await.unwrap() {
            CacheEvent::Created { node } => {
                let known = replayed.insert(node.path().to_owned(), state(&node));
                assert_eq!(known, None, "created twice");
            }
            CacheEvent::Changed { before, node } => {
                let known = replayed.insert(node.path().to_owned(), state(&node));
                assert_eq!(known, Some(state(&before)));
            }
            CacheEvent::Deleted { before } => {
                assert_eq!(replayed.remove(before.path()), Some(state(&before)));
            }
            CacheEvent::Resynced { skipped, .. } => assert!(!skipped),
        }
    }
    let held: Vec<_> = cache.snapshot().iter().map(|it| state(it)).collect();
    assert_eq!(replayed.into_values().collect::<Vec<_>>(), held);
}

/// What is written in one step is seen in one step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_never_shows_half_of_a_multi() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    for path in ["/t", "/t/a", "/t/b"] {
        two.create(path, "0").await.unwrap();
    }
    let cache = Cache::tree(&one, "/t").start();
    soon("the cache", cache.ready()).await.unwrap();
    let writer = tokio::spawn(async move {
        for number in 1..=300 {
            let number = number.to_string();
            let both = two.multi().set("/t/a", &number, None);
            both.set("/t/b", &number, None).await.unwrap();
            // Time to look at it.
            two.sync("/").await.unwrap();
        }
    });
    let mut exact = 0;
    while !writer.is_finished() {
        let snapshot = cache.snapshot();
        if snapshot.is_exact() {
            exact += 1;
            let data = |path| snapshot.get(path).unwrap().data().clone();
            assert_eq!(data("/t/a"), data("/t/b"));
        }
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    assert!(exact > 10, "{exact}");
    cache.barrier().await.unwrap();
    assert_eq!(cache.get("/t/a").unwrap().data(), "300");
}

#[tokio::test]
async fn every_future_may_be_dropped_at_any_await() {
    let (server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let witness = client(server.address()).await;
    witness.create("/t", "0").await.unwrap();
    let cache = Cache::node(&one, "/t").start();
    soon("the cache", cache.ready()).await.unwrap();
    for cut in [false, true] {
        for times in 0..40 {
            let (handle, mut events) = (cache.clone(), cache.events());
            let attempt = async move {
                handle.ready().await.unwrap();
                handle.barrier().await.unwrap();
                events.next().await.unwrap();
            };
            let stat = witness.set("/t", "x").await.unwrap();
            let ended = poll_times(Box::pin(attempt), times).await;
            if cut {
                proxy.cut();
            }
            soon("the barrier", cache.barrier()).await.unwrap();
            assert_eq!(cache.get("/t").unwrap().stat().mzxid, stat.mzxid);
            if ended {
                break;
            }
            assert!(times < 39, "it never ends");
        }
    }
}

/// One node that never fits is left out; nobody reads the tree again and again for it, and what fits is there.
#[tokio::test]
async fn a_node_that_is_too_large_is_left_out_once() {
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    one.create("/t", "").await.unwrap();
    one.create("/t/a", "x").await.unwrap();
    one.create("/t/large", vec![b'x'; 4000]).await.unwrap();
    one.create("/t/z", "x").await.unwrap();
    let cache = Cache::tree(&one, "/t").max_bytes(2000).start();
    soon("the cache", cache.ready()).await.unwrap();
    let asked = proxy.tally().frames(Direction::ToServer);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let more = proxy.tally().frames(Direction::ToServer) - asked;
    assert!(more < 10, "{more} requests");
    assert_eq!(text(&cache.snapshot()), ["/t=", "/t/a=x", "/t/z=x"]);
    assert!(!cache.snapshot().is_complete());
    one.create("/t/b", "y").await.unwrap();
    soon("the barrier", cache.barrier()).await.unwrap();
    assert!(cache.get("/t/b").is_some() && !cache.snapshot().is_complete());
    // When it fits, or is gone, nothing is missing.
    one.set("/t/large", "small").await.unwrap();
    until("all", async || cache.snapshot().is_complete()).await;
    assert_eq!(text(&cache.snapshot()), really(&one, "/t").await);
    one.set("/t/large", vec![b'x'; 4000]).await.unwrap();
    until("a part", async || !cache.snapshot().is_complete()).await;
    one.delete("/t/large").await.unwrap();
    until("all", async || cache.snapshot().is_complete()).await;
    assert_eq!(text(&cache.snapshot()), really(&one, "/t").await);
}
