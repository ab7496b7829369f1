//! Clients that write and read all the time, and what must be true of what they were told (P1, P3, P4, P9, P19).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use zk_client::{Client, Outcome, Version};

/// What a writer was told of its numbers.
#[derive(Debug, Default)]
pub struct Told {
    /// By number; what was neither applied nor refused may be there or not.
    outcomes: BTreeMap<u32, Outcome>,
    /// The longest time between two acknowledged writes.
    pub longest_gap: Duration,
}

impl Told {
    pub fn acknowledged(&self) -> usize {
        let applied = self
            .outcomes
            .values()
            .filter(|outcome| **outcome == Outcome::Applied);
        applied.count()
    }
}

/// Writers and readers on every member, until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Told>>,
    readers: Vec<JoinHandle<usize>>,
}

fn hosts(members: &[SocketAddr], first: usize) -> String {
    let order = members.iter().cycle().skip(first).take(members.len());
    let order: Vec<_> = order.map(ToString::to_string).collect();
    order.join(",")
}

async fn connect(members: &[SocketAddr], first: usize) -> Client {
    let builder = Client::builder(hosts(members, first));
    let builder = builder.session_timeout(Duration::from_secs(10));
    builder
        .request_timeout(Duration::from_secs(20))
        .connect()
        .await
        .expect("somebody serves")
}

/// Creates `/w<writer>/<number>` one after the other.
async fn write(client: Client, writer: usize, stop: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    let mut last = Instant::now();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let created = client
            .create(format!("/w{writer}/{number:08}"), "some data")
            .await;
        let outcome = created.map_or_else(|error| error.outcome(), |_| Outcome::Applied);
        if outcome == Outcome::Applied {
            told.longest_gap = told.longest_gap.max(last.elapsed());
            last = Instant::now();
        }
        told.outcomes.insert(number, outcome);
    }
    client.close().await;
    told
}

/// Reads how many children each writer's node has had: a number that never falls, for one session (P4).
async fn read(client: Client, writers: usize, stop: Arc<AtomicBool>) -> usize {
    let mut seen = vec![Version::default(); writers];
    let mut reads = 0;
    while !stop.load(Ordering::Relaxed) {
        for (writer, seen) in seen.iter_mut().enumerate() {
            let Ok(Some(stat)) = client.exists(format!("/w{writer}")).await else {
                continue;
            };
            assert!(
                stat.cversion >= *seen,
                "/w{writer} went back from {seen} to {}",
                stat.cversion
            );
            *seen = stat.cversion;
            reads += 1;
        }
    }
    client.close().await;
    reads
}

impl Load {
    pub async fn begin(members: &[SocketAddr], writers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut load = Self {
            stop: Arc::clone(&stop),
            writers: Vec::new(),
            readers: Vec::new(),
        };
        let client = connect(members, 0).await;
        for writer in 0..writers {
            client
                .create(format!("/w{writer}"), "")
                .await
                .expect("it is new");
        }
        client.close().await;
        for first in 0..writers {
            let writer = connect(members, first).await;
            load.writers
                .push(tokio::spawn(write(writer, first, Arc::clone(&stop))));
            let reader = connect(members, first + 1).await;
            load.readers
                .push(tokio::spawn(read(reader, writers, Arc::clone(&stop))));
        }
        load
    }

    /// Stops, and returns what each writer was told; a reader that went back fails the test here.
    pub async fn end(self) -> Vec<Told> {
        self.stop.store(true, Ordering::Relaxed);
        for reader in self.readers {
            assert!(
                reader.await.expect("time does not go back") > 0,
                "nothing was read"
            );
        }
        let mut told = Vec::new();
        for writer in self.writers {
            told.push(writer.await.expect("a writer does not panic"));
        }
        told
    }
}

/// Checks one member against what the writers were told.
pub async fn check(member: SocketAddr, told: &[Told]) {
    let client = connect(&[member], 0).await;
    for (writer, told) in told.iter().enumerate() {
        let path = format!("/w{writer}");
        client
            .sync(&path)
            .await
            .expect("the ensemble is whole again");
        let names = client.children(&path).await.expect("it is there");
        let found: std::collections::BTreeSet<u32> = names
            .iter()
            .map(|name| name.parse().expect("a number"))
            .collect();
        for (number, outcome) in &told.outcomes {
            match outcome {
                Outcome::Applied => {
                    assert!(
                        found.contains(number),
                        "{member}: {path}/{number} was acknowledged and is lost"
                    );
                }
                Outcome::NotApplied => {
                    assert!(
                        !found.contains(number),
                        "{member}: {path}/{number} was refused and is there"
                    );
                }
                Outcome::Unknown => {}
            }
        }
        assert!(
            found.len() <= told.outcomes.len(),
            "{member}: {path} has what nobody wrote"
        );
    }
    client.close().await;
}
