//! A conversation, cut at every byte in both directions (P3, P9-P12): each call ends in the verdict that is true on
//! the server, in order and in time; every watch fires or says that it cannot know; a protected create never leaves
//! two nodes.
//!
//! `CUT_STEP=n` tries every n-th byte only.
#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zk_client::hosts::backoff::Policy;
use zk_client::testkit::{Direction, FaultProxy, Tally, TestServer, Which};
use zk_client::{
    Client, Error, EventType, Once, OnceEvent, Outcome, State, Version, Watch, WatchItem,
};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How late a timer may be on a busy machine.
const LATE: Duration = Duration::from_secs(5);
/// How many conversations are held at the same time.
const TOGETHER: usize = 16;
const SETS: i32 = 4;

/// What became of a call, as its caller was told.
fn verdict<T>(result: &Result<T, Error>) -> Outcome {
    result
        .as_ref()
        .map_or_else(Error::outcome, |_| Outcome::Applied)
}

/// Whether a verdict can be true of something that was or was not done.
fn is_true(verdict: Outcome, done: bool) -> bool {
    match verdict {
        Outcome::Applied => done,
        Outcome::NotApplied => !done,
        Outcome::Unknown => true,
    }
}

/// What the client was told, call by call.
struct Told {
    create: Outcome,
    delete: Outcome,
    multi: Outcome,
    sets: Vec<Outcome>,
    seen: Vec<Option<i32>>,
    protected: Result<String, Outcome>,
    changed: Option<Once>,
    lasting: Option<Watch>,
    below: Vec<(String, Outcome)>,
}

fn describe(address: std::net::SocketAddr, root: &str) -> zk_client::Builder {
    Client::builder(format!("{address}{root}"))
        .session_timeout(Duration::from_secs(15))
        .request_timeout(REQUEST_TIMEOUT)
        .backoff(Policy {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(20),
            factor: 2.0,
        })
}

/// A root of its own with what the conversation is about.
async fn furnish(control: &Client, root: &str) -> Client {
    control.create(root, "").await.unwrap();
    let view = control.chroot(root).unwrap();
    for name in ["/watched", "/gone", "/sets", "/under", "/lasting"] {
        view.create(name, "").await.unwrap();
    }
    view
}

/// Everything at once on one connection, so that a cut finds many calls on their way.
async fn converse(client: &Client) -> Told {
    let lasting = client.watch_recursive("/lasting").send();
    let changed = client.get("/watched").watch();
    let create = client.create("/created", "x").send();
    let protected = client
        .create("/under/n-", "x")
        .ephemeral()
        .sequential()
        .protected()
        .send();
    let mut sets = Vec::new();
    let mut gets = Vec::new();
    for number in 1..=SETS {
        sets.push(client.set("/sets", number.to_string()).send());
        gets.push(client.get("/sets").send());
    }
    let below = [("/lasting/a", client.create("/lasting/a", "").send())];
    let multi = client
        .multi()
        .create("/lasting/m", "")
        .delete("/sets/none", None);
    let refused = multi.send();
    let multi = client
        .multi()
        .create("/lasting/m", "")
        .create("/multi", "")
        .send();
    let delete = client.delete("/gone").send();

    let lasting = lasting.await;
    let changed = changed.await;
    let mut told = Told {
        create: verdict(&create.await),
        protected: protected.await.map_err(|error| error.outcome()),
        changed: changed.ok().map(|(_, once)| once),
        lasting: lasting.ok(),
        sets: Vec::new(),
        seen: Vec::new(),
        below: Vec::new(),
        multi: Outcome::Unknown,
        delete: Outcome::Unknown,
    };
    for (set, get) in sets.into_iter().zip(gets) {
        told.sets.push(verdict(&set.await));
        let seen = get
            .await
            .ok()
            .map(|(data, _)| std::str::from_utf8(&data).unwrap().parse());
        told.seen.push(seen.map(|number| number.unwrap_or(0)));
    }
    for (path, call) in below {
        told.below.push((path.to_owned(), verdict(&call.await)));
    }
    let refused = refused.await.unwrap_err();
    assert_ne!(
        refused.outcome(),
        Outcome::Applied,
        "no node was there to delete"
    );
    told.multi = verdict(&multi.await);
    told.below.push(("/lasting/m".to_owned(), told.multi));
    told.delete = verdict(&delete.await);
    told
}

async fn exists(view: &Client, path: &str) -> bool {
    view.exists(path).await.unwrap().is_some()
}

/// Compares what was told with what is there.
async fn compare(view: &Client, told: &Told) {
    assert!(
        is_true(told.create, exists(view, "/created").await),
        "create: {:?}",
        told.create
    );
    assert!(
        is_true(told.delete, !exists(view, "/gone").await),
        "delete: {:?}",
        told.delete
    );
    let (m, multi) = (
        exists(view, "/lasting/m").await,
        exists(view, "/multi").await,
    );
    assert_eq!(m, multi, "a multi is done whole or not at all (P7)");
    assert!(is_true(told.multi, multi), "multi: {:?}", told.multi);

    // Those that were done are the first ones, in their order (P3), and each verdict is true (P9).
    let (data, stat) = view.get("/sets").await.unwrap();
    let Version(done) = stat.version;
    let last = if done == 0 {
        String::new()
    } else {
        done.to_string()
    };
    assert_eq!(
        std::str::from_utf8(&data).unwrap(),
        last,
        "sets were done out of order"
    );
    for (number, verdict) in (1..=SETS).zip(&told.sets) {
        assert!(
            is_true(*verdict, number <= done),
            "set {number} of {done}: {:?}",
            told.sets
        );
    }
    // A read sees the writes that were answered before it, and none goes back in time (P4).
    let seen: Vec<_> = told.seen.iter().flatten().copied().collect();
    assert!(seen.is_sorted(), "reads went back in time: {:?}", told.seen);
    for ((number, seen), set) in (1..=SETS).zip(&told.seen).zip(&told.sets) {
        let own = *set == Outcome::Applied;
        let missed = own && seen.is_some_and(|seen| seen < number);
        assert!(
            !missed,
            "a read missed its session's own write: {:?}",
            told.seen
        );
    }

    let under = view.children("/under").await.unwrap();
    match &told.protected {
        Ok(path) => {
            let name = path.strip_prefix("/under/").unwrap();
            assert_eq!(under, [name], "the protected create has one node");
        }
        // Whatever became of it, no ghost stays once the client has cleaned up.
        Err(_) => {
            let limit = Instant::now() + REQUEST_TIMEOUT;
            while !view.children("/under").await.unwrap().is_empty() {
                assert!(Instant::now() < limit, "a ghost: {under:?}");
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Every change below the lasting watch was told, or a gap was (P11, P12).
async fn hear(view: &Client, told: &mut Told) {
    if let Some(changed) = told.changed.take() {
        view.set("/watched", "now").await.unwrap();
        let event = timeout(REQUEST_TIMEOUT, changed.changed())
            .await
            .expect("a watch fires");
        let OnceEvent::Fired(event) = event else {
            panic!("the session lives, and so does its watch");
        };
        assert_eq!(
            (event.kind, event.path.as_str()),
            (EventType::DataChanged, "/watched")
        );
    }
    let Some(mut lasting) = told.lasting.take() else {
        return;
    };
    view.create("/lasting/end", "").await.unwrap();
    let (mut events, mut gap) = (BTreeSet::new(), false);
    loop {
        let item = timeout(REQUEST_TIMEOUT, lasting.next()).await;
        match item
            .expect("a lasting watch hears of the end")
            .expect("it lasts")
        {
            WatchItem::Event(event) if event.path == "/lasting/end" => break,
            WatchItem::Event(event) => {
                assert_eq!(event.kind, EventType::Created);
                let new = events.insert(event.path.clone());
                assert!(new, "{} was told twice", event.path);
            }
            WatchItem::Gap { .. } => gap = true,
            WatchItem::Lost => panic!("the session lives"),
        }
    }
    for (path, verdict) in &told.below {
        let done = exists(view, path).await;
        assert!(is_true(*verdict, done), "{path}: {verdict:?}");
        assert!(
            done || !events.contains(path),
            "{path} was told and is not there"
        );
        let heard = events.contains(path) || gap;
        assert!(
            !done || heard,
            "nothing was told of {path}, not even a gap; {verdict:?}"
        );
    }
}

/// What happens once to the connection.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It ends behind so many bytes.
    Cut(Direction, u64),
    /// The reply behind so many frames to the client is lost, and the connection with it.
    Lose(u64),
}

/// One conversation with one fault; returns what had passed when its last call was answered.
async fn conversation(server: &TestServer, name: &str, fault: Option<Fault>) -> Tally {
    let control = describe(server.address(), "").connect().await.unwrap();
    let root = format!("/{name}");
    let view = furnish(&control, &root).await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    match fault {
        Some(Fault::Cut(direction, byte)) => proxy.cut_after(direction, byte),
        Some(Fault::Lose(frame)) => proxy.drop_reply(Which::After(frame)),
        None => {}
    }
    let client = describe(proxy.address(), &root).connect().await.unwrap();
    let began = Instant::now();
    let mut told = converse(&client).await;
    assert!(
        began.elapsed() < REQUEST_TIMEOUT + LATE,
        "a call hung past its timeout"
    );
    // It is connected again, if it was not, and its watches are armed.
    client.get("/sets").await.unwrap();
    assert!(matches!(
        client.state(),
        State::Connected { generation: 0, .. }
    ));
    // Everything has passed by now that passes without a fault, so that the fault has come.
    let tally = proxy.tally();
    assert_eq!(tally.faults(), u64::from(fault.is_some()), "{tally}");
    compare(&view, &told).await;
    hear(&view, &mut told).await;
    assert_eq!(
        client.pending(),
        0,
        "no place is taken by a call that ended"
    );
    client.close().await;
    control.close().await;
    tally
}

/// A conversation for each fault, some of them at the same time.
async fn every(faults: impl Iterator<Item = (String, Fault)>, server: &Arc<TestServer>) {
    let places = Arc::new(Semaphore::new(TOGETHER));
    let mut running = JoinSet::new();
    let mut names = BTreeMap::new();
    for (name, fault) in faults {
        let (server, places) = (Arc::clone(server), Arc::clone(&places));
        let root = name.clone();
        let task = running.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            conversation(&server, &root, Some(fault)).await;
        });
        names.insert(task.id(), name);
    }
    // What was wrong has been printed by the panic.
    let mut failed = BTreeSet::new();
    while let Some(ended) = running.join_next().await {
        if let Err(panicked) = ended {
            failed.insert(names[&panicked.id()].clone());
        }
    }
    assert!(
        names.len() >= 20,
        "a conversation has more places to fail at"
    );
    assert!(failed.is_empty(), "failed with these faults: {failed:?}");
}

#[tokio::test]
async fn every_call_ends_in_the_true_verdict_wherever_the_connection_is_cut() {
    let server = Arc::new(TestServer::start().await.unwrap());
    let whole = conversation(&server, "w0000", None).await;
    let step = std::env::var("CUT_STEP").map_or(1, |step| step.parse().unwrap());
    let ways = [(Direction::ToServer, 's'), (Direction::ToClient, 'c')];
    let faults = ways.into_iter().flat_map(|(direction, letter)| {
        let bytes = (0..whole.bytes(direction)).step_by(step);
        bytes.map(move |byte| (format!("{letter}{byte:04}"), Fault::Cut(direction, byte)))
    });
    every(faults, &server).await;
}

#[tokio::test]
async fn every_call_ends_in_the_true_verdict_whichever_reply_is_lost() {
    let server = Arc::new(TestServer::start().await.unwrap());
    let whole = conversation(&server, "w0000", None).await;
    let faults = (0..whole.frames(Direction::ToClient))
        .map(|frame| (format!("r{frame:04}"), Fault::Lose(frame)));
    every(faults, &server).await;
}
