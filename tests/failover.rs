//! How long nobody's write is acknowledged when the leader goes: killed, or stopped as planned. The longest
//! silence around that moment is measured, over writers on all members that look for another server by
//! themselves.
//!
//! `FAILOVER_ROUNDS` sets how often; the limits asserted are those of a busy machine and an unoptimised build.

#![expect(clippy::print_stdout, reason = "what was measured is told")]

#[path = "support/members.rs"]
mod members;
#[path = "support/process.rs"]
mod process;
mod support;
#[path = "support/trees.rs"]
mod trees;
#[path = "support/writers.rs"]
mod writers;

use members::{Id, Kind, Members};
use std::time::{Duration, Instant};
use writers::{Writer, write_during, writers_of};

const PACE: Duration = Duration::from_millis(1);

/// The longest time between two answers, whoever got them, that ended after this moment.
fn longest_silence(writers: &[Writer], since: Instant) -> Duration {
    let mut answers: Vec<_> = writers.iter().flat_map(|writer| &writer.answers).collect();
    answers.sort();
    let pairs = answers.windows(2).filter(|pair| *pair[1] > since);
    let silences = pairs.map(|pair| *pair[1] - *pair[0]);
    silences.max().expect("somebody wrote on")
}

/// Measures round by round; returns the silences, the shortest first.
fn measure(what: &str, mut goes: impl FnMut(&mut Members, Id)) -> Vec<Duration> {
    let rounds = std::env::var("FAILOVER_ROUNDS").ok();
    let rounds: usize = rounds.and_then(|text| text.parse().ok()).unwrap_or(5);
    let mut members = Members::start(&[Kind::Ours; 3], 0);
    let mut writers = writers_of(&members, PACE);
    let mut silences = Vec::new();
    for _round in 0..rounds {
        let leader = members.leader().expect("somebody leads");
        let mut since = Instant::now();
        write_during(&mut writers, || {
            since = Instant::now();
            goes(&mut members, leader);
            members.wait_until_all_serve();
        });
        silences.push(longest_silence(&writers, since));
        members.launch(leader);
        members.wait_until_all_serve();
    }
    silences.sort();
    let (median, worst) = (silences[rounds / 2], silences[rounds - 1]);
    println!("{what}: median {median:?}, worst {worst:?} of {rounds}: {silences:?}");
    silences
}

#[test]
fn a_killed_leader_is_soon_replaced() {
    let silences = measure("killed", Members::kill);
    let median = silences[silences.len() / 2];
    assert!(median < Duration::from_millis(1500), "{silences:?}");
}

#[test]
fn a_leader_that_stops_as_planned_costs_a_blink() {
    let silences = measure("stopped", Members::stop);
    let median = silences[silences.len() / 2];
    assert!(median < Duration::from_millis(1000), "{silences:?}");
}
