//! Every kind of watch, against every server there is: what it hears, once or for ever, and that it goes with its
//! watcher.

mod common;

use common::{Arena, PATIENCE, everywhere, until};
use std::time::Duration;
use zk_client::{Client, Event, EventType, Once, OnceEvent, Watch, WatchItem};

async fn fired(watcher: Once) -> (EventType, String) {
    let heard = tokio::time::timeout(PATIENCE, watcher.changed()).await;
    match heard.expect("a watch fires") {
        OnceEvent::Fired(event) => (event.kind, event.path),
        OnceEvent::Lost => panic!("the session is there"),
    }
}

async fn next(watch: &mut Watch) -> (EventType, String) {
    let item = tokio::time::timeout(PATIENCE, watch.next()).await;
    match item.expect("an event comes") {
        Some(WatchItem::Event(Event { kind, path, .. })) => (kind, path),
        other => panic!("no event: {other:?}"),
    }
}

fn event(kind: EventType, path: &str) -> (EventType, String) {
    (kind, path.to_owned())
}

/// How many sessions watch a path: asked of the server, which alone knows.
#[expect(clippy::unwrap_used, reason = "a test's")]
async fn watches_on_server(arena: &Arena, path: &str) -> usize {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(&arena.words).await.unwrap();
    stream.write_all(b"wchp").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let wanted = format!("{}{path}", arena.root);
    let mut lines = text.lines().skip_while(|line| *line != wanted).skip(1);
    lines
        .by_ref()
        .take_while(|line| line.starts_with('\t'))
        .count()
}

async fn two(arena: &Arena) -> (Client, Client) {
    (arena.client().await, arena.client().await)
}

#[tokio::test]
async fn a_watch_on_data_fires_once() {
    everywhere(async |arena: &Arena| {
        let (client, other) = two(arena).await;
        client.create("/a", "").await.unwrap();
        let (_, set) = client.get("/a").watch().await.unwrap();
        let (_, deleted) = client.get("/a").watch().await.unwrap();
        other.set("/a", "1").await.unwrap();
        assert_eq!(fired(set).await, event(EventType::DataChanged, "/a"));
        assert_eq!(
            fired(deleted).await,
            event(EventType::DataChanged, "/a"),
            "both share the watch"
        );
        let (_, deleted) = client.get("/a").watch().await.unwrap();
        other.delete("/a").await.unwrap();
        assert_eq!(fired(deleted).await, event(EventType::Deleted, "/a"));
        client.close().await;
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_watch_for_creation_fires_for_creation_and_for_change() {
    everywhere(async |arena: &Arena| {
        let (client, other) = two(arena).await;
        let (stat, created) = client.exists("/a").watch().await.unwrap();
        assert_eq!(stat, None);
        other.create("/a", "").await.unwrap();
        assert_eq!(fired(created).await, event(EventType::Created, "/a"));
        let (stat, changed) = client.exists("/a").watch().await.unwrap();
        assert!(stat.is_some());
        other.set("/a", "1").await.unwrap();
        assert_eq!(fired(changed).await, event(EventType::DataChanged, "/a"));
        client.close().await;
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_watch_on_children_fires_for_births_deaths_and_the_end() {
    everywhere(async |arena: &Arena| {
        let (client, other) = two(arena).await;
        client.create("/a", "").await.unwrap();
        let (names, born) = client.children("/a").watch().await.unwrap();
        assert_eq!(names, Vec::<String>::new());
        other.create("/a/b", "").await.unwrap();
        assert_eq!(fired(born).await, event(EventType::ChildrenChanged, "/a"));
        let ((names, stat), died) = client.children("/a").with_stat().watch().await.unwrap();
        assert_eq!((names, stat.num_children), (vec!["b".to_owned()], 1));
        other.delete("/a/b").await.unwrap();
        assert_eq!(fired(died).await, event(EventType::ChildrenChanged, "/a"));
        let (_, end) = client.children("/a").watch().await.unwrap();
        other.delete("/a").await.unwrap();
        assert_eq!(fired(end).await, event(EventType::Deleted, "/a"));
        client.close().await;
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_comes_before_a_reply_that_shows_the_change() {
    everywhere(async |arena: &Arena| {
        let (client, other) = two(arena).await;
        client.create("/a", "0").await.unwrap();
        for i in 1..30 {
            let ((before, _), watcher) = client.get("/a").watch().await.unwrap();
            let heard = tokio::spawn(watcher.changed());
            let write = tokio::spawn(other.set("/a", format!("{i}")).send());
            loop {
                let (data, _) = client.get("/a").await.unwrap();
                if data != before {
                    break;
                }
            }
            // P10: what was read proves that the event is here.
            let heard = tokio::time::timeout(Duration::from_secs(1), heard).await;
            assert!(matches!(heard, Ok(Ok(OnceEvent::Fired(_)))), "{heard:?}");
            write.await.unwrap().unwrap();
        }
        client.close().await;
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_lasting_watch_hears_every_change_of_its_node() {
    everywhere(async |arena: &Arena| {
        let (client, other) = two(arena).await;
        let mut watch = client.watch("/a").await.unwrap();
        other.create("/a", "").await.unwrap();
        other.set("/a", "1").await.unwrap();
        other.create("/a/b", "").await.unwrap();
        other.set("/a/b", "not ours").await.unwrap();
        other.delete("/a/b").await.unwrap();
        other.delete("/a").await.unwrap();
        for kind in [
            EventType::Created,
            EventType::DataChanged,
            EventType::ChildrenChanged,
            EventType::ChildrenChanged,
            EventType::Deleted,
        ] {
            assert_eq!(next(&mut watch).await, event(kind, "/a"));
        }
        client.close().await;
        assert_eq!(watch.next().await, Some(WatchItem::Lost));
        assert_eq!(watch.next().await, None);
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_recursive_watch_hears_everything_below() {
    everywhere(async |arena: &Arena| {
        let (client, other) = two(arena).await;
        let view = client.chroot("/top").unwrap();
        let mut watch = view.watch_recursive("/").await.unwrap();
        other.create("/top/a/b", "").parents().await.unwrap();
        other.set("/top/a/b", "1").await.unwrap();
        other.create("/other", "").await.unwrap();
        other.delete("/top/a/b").await.unwrap();
        for (kind, path) in [
            (EventType::Created, "/"),
            (EventType::Created, "/a"),
            (EventType::Created, "/a/b"),
            (EventType::DataChanged, "/a/b"),
            (EventType::Deleted, "/a/b"),
        ] {
            assert_eq!(
                next(&mut watch).await,
                event(kind, path),
                "told below the chroot"
            );
        }
        client.close().await;
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_watch_goes_with_its_last_watcher() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        client.create("/a", "").await.unwrap();
        let (_, first) = client.get("/a").watch().await.unwrap();
        let (_, second) = client.exists("/a").watch().await.unwrap();
        let (_, child) = client.children("/a").watch().await.unwrap();
        let lasting = client.watch("/a").await.unwrap();
        let recursive = client.watch_recursive("/a").await.unwrap();
        drop((first, lasting));
        client.sync("/").await.unwrap();
        assert_ne!(watches_on_server(arena, "/a").await, 0);
        drop((second, child, recursive));
        until("nothing is watched", async || {
            watches_on_server(arena, "/a").await == 0
        })
        .await;
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_watch_can_be_dropped_and_taken_again_at_once() {
    everywhere(async |arena: &Arena| {
        let (client, other) = two(arena).await;
        client.create("/a", "").await.unwrap();
        for i in 0..50 {
            drop(client.watch("/a").await.unwrap());
            let mut watch = client.watch("/a").await.unwrap();
            other.set("/a", format!("{i}")).await.unwrap();
            assert_eq!(next(&mut watch).await, event(EventType::DataChanged, "/a"));
        }
        client.close().await;
        other.close().await;
    })
    .await;
}
