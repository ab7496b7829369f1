//! One client, three front doors, and somebody who opens and closes them at random while the client works: it keeps
//! its one session, its reads never go back in time (P4), and its writes are what it was told (P9).
//!
//! Then the same with an ensemble of three, whose members are stopped and started.
//!
//! `ZK_FAILOVER_SECONDS=180 ZK_FAILOVER_SEED=7` plays for longer, or another game.
#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

#[path = "support/writers.rs"]
mod writers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use writers::{describe, end, judge, work};
use zk_client::hosts::Chance;
use zk_client::testkit::{Direction, FaultProxy, TestEnsemble, TestServer};

const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// How many answers come between two moves of the adversary, if any come.
const ANSWERS: u64 = 40;
/// How long it waits for them. All doors are never closed for longer than three moves.
const PATIENCE: Duration = Duration::from_millis(400);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// One move: a door is closed, opened, its connections cut, stalled or lost.
async fn play(doors: &[FaultProxy], open: &mut [bool], chance: &mut Chance) {
    let at = chance.below(doors.len());
    let door = &doors[at];
    match chance.below(6) {
        0 | 1 => door.cut(),
        2 | 3 if open[at] => {
            door.refuse().await;
            door.cut();
            open[at] = false;
        }
        2 | 3 => {
            door.accept().await;
            open[at] = true;
        }
        4 => door.lose(),
        _ => {
            let direction = [Direction::ToServer, Direction::ToClient][chance.below(2)];
            door.stall(direction);
            door.cut();
            door.resume(direction);
        }
    }
    if open.iter().all(|open| !open) {
        let at = chance.below(doors.len());
        doors[at].accept().await;
        open[at] = true;
    }
}

/// Plays for as long as it is told, opens all doors, and waits until the client goes on; returns the number of moves.
async fn storm(doors: &[FaultProxy], seed: u64, answered: &mut watch::Receiver<u64>) -> u64 {
    let mut chance = Chance::seeded(seed);
    let end = Instant::now() + Duration::from_secs(setting("ZK_FAILOVER_SECONDS", 12));
    let mut open = vec![true; doors.len()];
    let mut moves = 0;
    while Instant::now() < end {
        play(doors, &mut open, &mut chance).await;
        moves += 1;
        let goal = *answered.borrow() + ANSWERS;
        let progress = answered.wait_for(|count| *count >= goal);
        // None may come while a lost connection is not noticed yet; the next move comes all the same.
        let _came = tokio::time::timeout(PATIENCE, progress).await;
    }
    for (door, open) in doors.iter().zip(&open) {
        if !open {
            door.accept().await;
        }
    }
    let goal = *answered.borrow() + ANSWERS;
    let healed = tokio::time::timeout(
        4 * SESSION_TIMEOUT,
        answered.wait_for(|count| *count >= goal),
    );
    healed
        .await
        .expect("with all doors open it goes on")
        .unwrap();
    moves
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_keeps_its_one_session_while_servers_come_and_go() {
    let server = TestServer::start().await.unwrap();
    let mut doors = Vec::new();
    for _ in 0..3 {
        doors.push(FaultProxy::start(server.address()).await.unwrap());
    }
    let addresses: Vec<_> = doors
        .iter()
        .map(|door| door.address().to_string())
        .collect();
    let client = describe(&addresses.join(","), SESSION_TIMEOUT).await;
    let session = client.session_id().unwrap();
    let states = client.states();

    let stop = Arc::new(AtomicBool::new(false));
    let (answers, mut answered) = watch::channel(0);
    let writers = work(&client, &stop, &answers).await;

    let seed = setting("ZK_FAILOVER_SEED", 1);
    let moves = storm(&doors, seed, &mut answered).await;
    stop.store(true, Ordering::Relaxed);

    judge(&client, writers, seed, moves).await;
    assert_eq!(client.session_id(), Some(session), "one session throughout");
    let connections: u64 = doors.iter().map(|door| door.tally().connections()).sum();
    assert!(
        connections > 3,
        "{moves} moves and {connections} connections"
    );
    end(client, states).await;
}

/// Long enough for two elections on a busy machine.
const LONG_SESSION: Duration = Duration::from_secs(10);

/// Waits for a few more answers.
async fn goes_on(answered: &mut watch::Receiver<u64>, what: &str) {
    let goal = *answered.borrow() + ANSWERS;
    let progress = answered.wait_for(|count| *count >= goal);
    let came = tokio::time::timeout(6 * LONG_SESSION, progress).await;
    came.unwrap_or_else(|_| panic!("it does not go on: {what}"))
        .unwrap();
}

/// P3, P4, P9: the leader goes as often as the others, and a member that comes back lags behind what was read elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_keeps_its_one_session_while_members_stop_and_start() {
    let mut ensemble = TestEnsemble::start(3).await.unwrap();
    let client = describe(&ensemble.connection_string(), LONG_SESSION).await;
    let session = client.session_id().unwrap();
    let states = client.states();
    let stop = Arc::new(AtomicBool::new(false));
    let (answers, mut answered) = watch::channel(0);
    let writers = work(&client, &stop, &answers).await;

    let seed = setting("ZK_FAILOVER_SEED", 1);
    let mut chance = Chance::seeded(seed);
    let end_at = Instant::now() + Duration::from_secs(setting("ZK_FAILOVER_SECONDS", 12));
    let mut moves = 0;
    while Instant::now() < end_at {
        let which = chance.below(3);
        ensemble.stop(which).await.unwrap();
        goes_on(&mut answered, "two of three are there").await;
        ensemble.restart(which).await.unwrap();
        goes_on(&mut answered, "all three are there").await;
        moves += 1;
    }
    stop.store(true, Ordering::Relaxed);
    judge(&client, writers, seed, moves).await;
    assert_eq!(client.session_id(), Some(session), "one session throughout");
    end(client, states).await;
}
