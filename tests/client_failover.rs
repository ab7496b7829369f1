//! Members as processes of their own, killed with SIGKILL and started again at random, one or two at a time, while one
//! zk-client works through them: one session throughout (P3), reads that never go back in time (P4), and writes that
//! are what their callers were told (P9).
//!
//! `ZK_FAILOVER_SECONDS=180 ZK_FAILOVER_SEED=7` plays for longer, or another game.

#[path = "support/members.rs"]
mod members;
#[path = "support/process.rs"]
mod process;
mod support;
#[path = "../zk-client/tests/support/writers.rs"]
mod writers;

use members::{DEADLINE, Id, Kind, Members};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use writers::{describe, end, judge, work};
use zk_client::hosts::Chance;

/// Longer than nobody leads on a machine that is busy; no server expires a session in a time without a leader.
const SESSION_TIMEOUT: Duration = Duration::from_secs(20);
/// Answers after which it counts as going on.
const ANSWERS: u64 = 40;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// Waits for a few more answers.
fn goes_on(runtime: &Runtime, answered: &mut watch::Receiver<u64>, members: &Members) {
    let goal = *answered.borrow() + ANSWERS;
    let came = runtime.block_on(async {
        let progress = answered.wait_for(|count| *count >= goal);
        tokio::time::timeout(DEADLINE, progress).await.is_ok()
    });
    assert!(came, "it does not go on\n{}", members.said());
}

/// Who is killed next: anybody, or, every other time, the leader; and one more, every fourth time.
fn victims(members: &Members, chance: &mut Chance) -> Vec<Id> {
    let mut others = members.ids();
    let mut victims = Vec::new();
    let leader = members.leader().filter(|_| chance.below(2) == 0);
    for _ in 0..=usize::from(chance.below(4) == 0) {
        let at = leader.and_then(|leader| others.iter().position(|id| *id == leader));
        let at = at.unwrap_or_else(|| chance.below(others.len()));
        victims.push(others.swap_remove(at));
    }
    victims
}

#[test]
fn a_client_keeps_its_one_session_while_members_are_killed() {
    let runtime = Runtime::new().expect("a runtime");
    let mut members = Members::start(&[Kind::Ours; 3], 0);
    let addresses = members.addresses();
    let servers: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    let client = runtime.block_on(describe(&servers.join(","), SESSION_TIMEOUT));
    let session = client.session_id();
    let states = client.states();
    let stop = Arc::new(AtomicBool::new(false));
    let (answers, mut answered) = watch::channel(0);
    let writers = runtime.block_on(work(&client, &stop, &answers));

    let seed = setting("ZK_FAILOVER_SEED", 1);
    let mut chance = Chance::seeded(seed);
    let until = Instant::now() + Duration::from_secs(setting("ZK_FAILOVER_SECONDS", 10));
    let mut kills = 0;
    while Instant::now() < until {
        let victims = victims(&members, &mut chance);
        for id in &victims {
            members.kill(*id);
            kills += 1;
        }
        if victims.len() == 1 {
            goes_on(&runtime, &mut answered, &members);
        } else {
            // Nobody can lead; how long that lasts is a part of the game.
            std::thread::sleep(Duration::from_millis(chance.number() % 1500));
        }
        for id in victims {
            members.launch(id);
        }
        goes_on(&runtime, &mut answered, &members);
    }
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        judge(&client, writers, seed, kills).await;
        assert_eq!(client.session_id(), session, "one session throughout");
        end(client, states).await;
    });
}
