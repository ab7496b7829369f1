//! Writers that share one client, each with a node of its own, while servers come and go: what they read never goes back
//! in time (P4), what they were told is what is there (P9), and the session is one (P3).
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zk_client::hosts::backoff::Policy;
use zk_client::{Client, Outcome, State, States, Version};

const WRITERS: usize = 4;

/// What a writer knows of its node.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    applied: i32,
    unknown: i32,
    refused: i32,
    reads: u64,
}

/// Sets its own node and reads it, over and over.
async fn write(
    client: Client,
    node: String,
    stop: Arc<AtomicBool>,
    answers: watch::Sender<u64>,
) -> Ledger {
    let mut ledger = Ledger::default();
    let mut newest = Version(0);
    while !stop.load(Ordering::Relaxed) {
        let set = client.set(&node, "x").send();
        let get = client.get(&node).send();
        match set.await {
            Ok(stat) => {
                assert!(stat.version > newest, "{node}: a write went back in time");
                newest = stat.version;
                ledger.applied += 1;
            }
            Err(error) => match error.outcome() {
                Outcome::Unknown => ledger.unknown += 1,
                Outcome::NotApplied => ledger.refused += 1,
                Outcome::Applied => panic!("{node}: {error}"),
            },
        }
        let (_, stat) = get
            .await
            .unwrap_or_else(|error| panic!("{node}: a read is sent again: {error}"));
        assert!(stat.version >= newest, "{node}: a read went back in time");
        newest = stat.version;
        ledger.reads += 1;
        answers.send_modify(|count| *count += 1);
    }
    ledger
}

pub(crate) async fn describe(servers: &str, session_timeout: Duration) -> Client {
    Client::builder(servers)
        .session_timeout(session_timeout)
        .request_timeout(None)
        .read_retries(u8::MAX)
        .backoff(Policy {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(500),
            factor: 2.0,
        })
        .connect()
        .await
        .unwrap()
}

/// Sends the writers to work.
pub(crate) async fn work(
    client: &Client,
    stop: &Arc<AtomicBool>,
    answers: &watch::Sender<u64>,
) -> Vec<JoinHandle<Ledger>> {
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let node = format!("/n{number}");
        client.create(&node, "").await.unwrap();
        let work = write(client.clone(), node, Arc::clone(stop), answers.clone());
        writers.push(tokio::spawn(work));
    }
    writers
}

/// What is there is what the writers were told (P9).
pub(crate) async fn judge(
    client: &Client,
    writers: Vec<JoinHandle<Ledger>>,
    seed: u64,
    moves: u64,
) {
    for (number, writer) in writers.into_iter().enumerate() {
        let ledger = writer.await.unwrap();
        let Version(version) = client.get(format!("/n{number}")).await.unwrap().1.version;
        let Ledger {
            applied, unknown, ..
        } = ledger;
        assert!(
            (applied..=applied + unknown).contains(&version),
            "seed {seed}, {moves} moves, {version} sets: {ledger:?}"
        );
        assert!(ledger.reads > 10, "{ledger:?}");
    }
}

/// The session was never lost, and ends when it is closed.
pub(crate) async fn end(client: Client, mut states: States) {
    client.close().await;
    let mut last = None;
    while let Some(state) = states.next().await {
        let whole = !matches!(state, State::Lost { .. });
        assert!(whole, "a session is not lost while there are servers");
        last = Some(state);
    }
    assert_eq!(last, Some(State::Closed));
}
