//! Every recipe's future, polled k times and dropped, for every k, while everything is well, while the connection
//! breaks, and while any one reply is lost: no node stays, nothing is held by nobody, and the next one gets it (P9,
//! S70).
#![expect(clippy::unwrap_used, reason = "a test's")]

mod common;

use common::{Attempt, PATIENCE, client, describe, names, poll_times, proxied, soon, until};
use std::time::Duration;
use zk_client::Client;
use zk_client::ops::{MultiRead, ReadResult};
use zk_client::testkit::{FaultProxy, TestServer, Which};
use zk_recipes::{
    Counter, DoubleBarrier, Election, Encoding, Error, Failover, Fitness, Guard, Limit, MultiLock,
    Mutex, Operation, Partition, Partitioner, PrimaryBackup, PrimaryRecord, Queue, QueueLayout,
    Refusal, Role, Running, RwLock, Semaphore, StepDown, Term,
};

/// Makes the future of a recipe.
type Make = fn(Client) -> Attempt;

fn attempt<T>(it: impl Future<Output = Result<T, Error>> + Send + 'static) -> Attempt {
    Box::pin(async move {
        match it.await {
            // What was acquired is let go by a drop.
            Ok(_) => {}
            // A write whose end nobody can know, or a hold that went with its session.
            Err(Error::Client(_) | Error::Lost(_)) => {}
            Err(error) => panic!("{error}"),
        }
    })
}

const MUTEX: &str = "/r/mutex";
const RW: &str = "/r/rw";
const PLACES: &str = "/r/places";
const ELECTION: &str = "/r/election";
const SECOND: &str = "/r/second";
const BARRIER: &str = "/r/barrier";
const JOBS: &str = "/r/jobs";
const SERVICE: &str = "/r/service";
const PARTS: &str = "/r/parts";

/// Every directory in which a node might stay.
const EVERYWHERE: [&str; 11] = [
    MUTEX,
    RW,
    "/r/places/locks",
    "/r/places/leases",
    ELECTION,
    SECOND,
    BARRIER,
    "/r/jobs/taken",
    "/r/service/candidates",
    "/r/parts/members",
    "/r/parts/partitions/0",
];

fn places(it: &Client) -> Semaphore {
    Semaphore::new(it, PLACES, Limit::Fixed(2))
}

fn alone(it: &Client) -> DoubleBarrier {
    DoubleBarrier::new(it, BARRIER, 1).unwrap()
}

fn jobs(it: &Client) -> Queue {
    Queue::new(it, JOBS, QueueLayout::KazooLocking)
}

struct Idle;

impl PrimaryBackup for Idle {
    fn fitness(&self) -> Fitness {
        Fitness {
            offset: 0,
            eligible: true,
        }
    }

    async fn promote(&self, _term: &Term) -> Result<(), Refusal> {
        Ok(())
    }

    async fn demote(&self, _why: &StepDown) {}
    async fn follow(&self, _primary: Option<PrimaryRecord>) {}
}

/// Takes part until it is the primary.
async fn serve(it: &Client) -> Result<Running, Error> {
    let builder = Failover::builder(it, SERVICE, "x", "x", Idle);
    let running = builder
        .lock_delay(Duration::from_millis(20))
        .build()
        .start();
    let mut roles = running.roles();
    let primary = |role: &Role| matches!(role, Role::Primary { .. } | Role::Stopped);
    drop(roles.wait_for(primary).await);
    Ok(running)
}

async fn part(it: &Client) -> Result<Partition, Error> {
    Partitioner::new(it, PARTS, 1, "x")?.join().next().await
}

fn latch(it: &Client) -> Election {
    Election::latch_builder(it, ELECTION, "x")
        .epochs_at("/r/epochs")
        .build()
}

const EVERY_FUTURE: &[(&str, Make)] = &[
    ("lock", |it| {
        attempt(async move { Mutex::new(&it, MUTEX).lock().await })
    }),
    ("try lock", |it| {
        attempt(async move { Mutex::new(&it, MUTEX).try_lock().await })
    }),
    ("lock and release", |it| {
        attempt(async move { Mutex::new(&it, MUTEX).lock().await?.release().await })
    }),
    ("lock and run", |it| {
        attempt(async move {
            let guard = Mutex::new(&it, MUTEX).lock().await?;
            guard.run(tokio::task::yield_now()).await
        })
    }),
    ("fenced", |it| {
        attempt(async move {
            let guard = Mutex::new(&it, MUTEX).lock().await?;
            guard.fenced().set("/r", "x", None).commit().await
        })
    }),
    ("read", |it| {
        attempt(async move { RwLock::new(&it, RW).read().await })
    }),
    ("write", |it| {
        attempt(async move { RwLock::new(&it, RW).write().await })
    }),
    ("downgrade", |it| {
        attempt(async move { RwLock::new(&it, RW).write().await?.downgrade().await })
    }),
    ("acquire", |it| {
        attempt(async move { places(&it).acquire(2).await })
    }),
    ("try acquire", |it| {
        attempt(async move { places(&it).try_acquire(1).await })
    }),
    ("multi-lock", |it| {
        attempt(async move {
            let locks = [Mutex::new(&it, MUTEX), Mutex::new(&it, SECOND)];
            MultiLock::new(locks)?.lock().await
        })
    }),
    ("enter", |it| {
        attempt(async move { alone(&it).enter().await })
    }),
    ("enter and leave", |it| {
        attempt(async move { alone(&it).enter().await?.leave().await })
    }),
    ("add once", |it| {
        attempt(async move {
            let counter = Counter::new(&it, "/r/counter", Encoding::Long);
            counter.add_once(1, &Operation::new("x", 1)).await
        })
    }),
    ("claim", |it| {
        attempt(async move {
            jobs(&it).push("x").await?;
            jobs(&it).claim().await
        })
    }),
    ("claim and done", |it| {
        attempt(async move {
            jobs(&it).push("x").await?;
            jobs(&it).claim().await?.done().await
        })
    }),
    ("claim and reject", |it| {
        attempt(async move {
            jobs(&it).push("x").await?;
            jobs(&it).claim().await?.reject().await
        })
    }),
    ("serve and stop", |it| {
        attempt(async move { serve(&it).await?.stop().await })
    }),
    ("a partition", |it| {
        attempt(async move { part(&it).await?.release().await })
    }),
    ("campaign", |it| {
        attempt(async move { latch(&it).campaign().await })
    }),
    ("requeue", |it| {
        attempt(async move { latch(&it).campaign().await?.requeue().await })
    }),
    ("hand over", |it| {
        attempt(async move {
            let leader = latch(&it).campaign().await?;
            let me = latch(&it).participants().await?.remove(0);
            leader.hand_over(&me).await
        })
    }),
    ("observe", |it| {
        attempt(async move { latch(&it).observe().next().await })
    }),
];

/// How many nodes are anywhere.
async fn left(witness: &Client) -> usize {
    let reads = witness.multi_read();
    let reads = EVERYWHERE.into_iter().fold(reads, MultiRead::children);
    let found = reads.await.unwrap();
    let count = |it: &ReadResult| match it {
        // A flag may outlive its round: it lets nobody in.
        ReadResult::Children(names) => names.iter().filter(|name| *name != "ready").count(),
        ReadResult::Data(..) | ReadResult::Refused(_) => 0,
    };
    found.iter().map(count).sum()
}

/// Nobody is anywhere, and whoever comes next is served.
async fn is_free(what: &str, name: &str, witness: &Client) {
    until(&format!("nobody anywhere after {what}"), async || {
        left(witness).await == 0
    })
    .await;
    let serve = async {
        match name {
            "read" | "write" | "downgrade" => {
                RwLock::new(witness, RW).write().await?.release().await
            }
            "acquire" | "try acquire" => places(witness).acquire(2).await?.release().await,
            "enter" | "enter and leave" => alone(witness).enter().await?.leave().await,
            "add once" => {
                let counter = Counter::new(witness, "/r/counter", Encoding::Long);
                let counted = counter.add_once(1, &Operation::new("x", 1)).await?;
                assert_eq!(counted.after, 1, "once, whoever tried");
                Ok(())
            }
            "claim" | "claim and done" | "claim and reject" => {
                jobs(witness).push("next").await?;
                let mut done = Ok(());
                while let Some(job) = jobs(witness).try_claim().await? {
                    done = job.done().await;
                }
                done
            }
            "serve and stop" => serve(witness).await?.stop().await,
            "a partition" => part(witness).await?.release().await,
            "campaign" | "requeue" | "hand over" | "observe" => {
                latch(witness).campaign().await?.resign().await
            }
            _ => Mutex::new(witness, MUTEX).lock().await?.release().await,
        }
    };
    soon(&format!("the next after {what}"), serve)
        .await
        .unwrap();
}

struct Stage {
    _server: TestServer,
    proxy: FaultProxy,
    client: Client,
    witness: Client,
}

async fn stage() -> Stage {
    let (server, proxy) = proxied().await;
    let witness = client(server.address()).await;
    witness.create("/r", "").await.unwrap();
    let client = describe(proxy.address())
        .request_timeout(PATIENCE)
        .connect()
        .await
        .unwrap();
    // The directories are there, as they are mostly.
    for (name, _) in EVERY_FUTURE {
        is_free("the beginning", name, &witness).await;
    }
    Stage {
        _server: server,
        proxy,
        client,
        witness,
    }
}

/// How a run is disturbed.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// The connection breaks when the future is dropped.
    Cut,
    /// The n-th frame to the client from here on is lost, with the connection.
    Reply(u64),
}

/// Polls k times and drops, for every k until it ends by itself.
async fn every_k(stage: &Stage, name: &str, make: Make, fault: Fault) {
    for times in 0.. {
        if let Fault::Reply(after) = fault {
            stage.proxy.drop_reply(Which::After(after));
        }
        let ended = poll_times(make(stage.client.clone()), times).await;
        if let Fault::Cut = fault {
            stage.proxy.cut();
        }
        is_free(
            &format!("{name} dropped after {times} polls, {fault:?}"),
            name,
            &stage.witness,
        )
        .await;
        if ended {
            break;
        }
        assert!(times < 200, "{name} never ends");
    }
}

#[tokio::test]
async fn a_future_may_be_dropped_at_any_await() {
    let stage = stage().await;
    for (name, make) in EVERY_FUTURE {
        every_k(&stage, name, *make, Fault::None).await;
    }
}

#[tokio::test]
async fn a_future_may_be_dropped_when_the_connection_breaks() {
    let stage = stage().await;
    for (name, make) in EVERY_FUTURE {
        every_k(&stage, name, *make, Fault::Cut).await;
    }
}

#[tokio::test]
async fn a_future_may_be_dropped_while_any_reply_is_lost() {
    let stage = stage().await;
    for (name, make) in EVERY_FUTURE {
        for after in 0..8 {
            every_k(&stage, name, *make, Fault::Reply(after)).await;
        }
    }
}

/// Undropped, a recipe comes to its end whichever reply is lost.
#[tokio::test]
async fn a_lost_reply_stops_nobody() {
    let stage = stage().await;
    for (name, make) in EVERY_FUTURE {
        for after in 0..12 {
            stage.proxy.drop_reply(Which::After(after));
            let what = format!("{name} without reply {after}");
            soon(&what, make(stage.client.clone())).await;
            is_free(&what, name, &stage.witness).await;
        }
    }
}

/// With somebody before it: dropped at any poll while it waits, and when its turn comes.
#[tokio::test]
async fn a_waiter_may_be_dropped_at_any_await() {
    let stage = stage().await;
    for times in 0..40 {
        let mutex = Mutex::new(&stage.witness, MUTEX);
        let held: Guard = mutex.lock().await.unwrap();
        let waiting = Mutex::new(&stage.client, MUTEX);
        let waiter: Attempt = attempt(async move { waiting.lock().await });
        let waiter = tokio::spawn(poll_times(waiter, times));
        let witness = stage.witness.clone();
        // Its turn comes when it waits, or it never came so far.
        let came = async || names(&witness, MUTEX).await.len() == 2 || waiter.is_finished();
        until("a waiter, or none", came).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        held.release().await.unwrap();
        let ended = soon("its end", waiter).await.unwrap();
        is_free(
            &format!("a waiter dropped after {times} polls"),
            "lock",
            &stage.witness,
        )
        .await;
        if ended {
            return;
        }
    }
    panic!("a waiter never comes to its turn");
}

/// The harness itself: a lock that forgets its node when it is dropped is found out.
#[tokio::test]
async fn a_node_that_stays_is_noticed() {
    let stage = stage().await;
    let careless = |it: Client| -> Attempt {
        Box::pin(async move {
            let lock = format!("{MUTEX}/lock-");
            let lock = it.create(lock, "").ephemeral().sequential().await.unwrap();
            it.exists(&lock).await.unwrap();
            it.delete(&lock).await.unwrap();
        })
    };
    for times in 0.. {
        let ended = poll_times(careless(stage.client.clone()), times).await;
        let gone = async {
            while left(&stage.witness).await > 0 {
                tokio::task::yield_now().await;
            }
        };
        let noticed = tokio::time::timeout(Duration::from_millis(200), gone).await;
        if noticed.is_err() {
            return;
        }
        assert!(!ended, "it went unnoticed");
    }
}
