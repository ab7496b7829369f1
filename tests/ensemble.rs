//! Members as processes of their own, killed and frozen under load: no acknowledged write is lost (P1, P19),
//! each client's writes stand in its order without a hole (P3), every session lives (P14), and in the end all
//! members hold the same (P7, P29).
//!
//! `ENSEMBLE_ROUNDS` sets how often; a plain `cargo test` does one round.

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
use std::time::Duration;
use writers::{disturb, writers_of};

const PACE: Duration = Duration::from_millis(2);

fn rounds(default: usize) -> usize {
    let rounds = std::env::var("ENSEMBLE_ROUNDS").ok();
    rounds
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(default)
}

fn kill_and_restart(members: &mut Members, id: Id) {
    members.kill(id);
    members.wait_until_all_serve();
    std::thread::sleep(Duration::from_millis(200));
    members.launch(id);
    members.wait_until_all_serve();
}

#[test]
fn members_are_killed_and_come_back() {
    let mut members = Members::start(&[Kind::Ours; 3], 0);
    let mut writers = writers_of(&members, PACE);
    for _round in 0..rounds(1) {
        let leader = members.leader().expect("somebody leads");
        disturb(&mut members, &mut writers, |members| {
            kill_and_restart(members, leader);
        });
        let follower = members.follower().expect("somebody follows");
        disturb(&mut members, &mut writers, |members| {
            kill_and_restart(members, follower);
        });
    }
}

#[test]
fn members_stand_still_and_go_on() {
    let mut members = Members::start(&[Kind::Ours; 3], 0);
    let mut writers = writers_of(&members, PACE);
    for _round in 0..rounds(1) {
        let leader = members.leader().expect("somebody leads");
        disturb(&mut members, &mut writers, |members| {
            members.stand_still(leader);
        });
        let follower = members.follower().expect("somebody follows");
        disturb(&mut members, &mut writers, |members| {
            members.stand_still(follower);
        });
    }
}

#[test]
fn all_are_killed_at_once() {
    let mut members = Members::start(&[Kind::Ours; 3], 0);
    let mut writers = writers_of(&members, PACE);
    for _round in 0..rounds(1) {
        disturb(&mut members, &mut writers, |members| {
            for id in members.ids() {
                members.kill(id);
            }
            for id in members.ids() {
                members.launch(id);
            }
            members.wait_until_all_serve();
        });
    }
}

#[test]
fn an_observer_comes_and_goes() {
    let mut members = Members::start(&[Kind::Ours; 4], 1);
    let observer = 4;
    assert_eq!(members.mode(observer).as_deref(), Some("observer"));
    let mut writers = writers_of(&members, PACE);
    for _round in 0..rounds(1) {
        disturb(&mut members, &mut writers, |members| {
            kill_and_restart(members, observer);
        });
        let leader = members.leader().expect("somebody leads");
        disturb(&mut members, &mut writers, |members| {
            kill_and_restart(members, leader);
        });
        assert_eq!(members.mode(observer).as_deref(), Some("observer"));
    }
}

/// One line of `mntr`.
fn monitored(members: &Members, id: Id, key: &str) -> Option<String> {
    let text = members.word(id, "mntr")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("zk_{key}\t")));
    line.map(str::to_owned)
}

#[test]
fn members_say_what_they_are_and_whom_they_lead() {
    let mut members = Members::start(&[Kind::Ours; 4], 1);
    let leader = members.leader().expect("somebody leads");
    let follower = members.follower().expect("somebody follows");
    let observer = 4;
    let mut client = support::Client::connect(members.address(follower)).expect("it serves");
    client.create("/mine", b"", 1).unwrap().unwrap();
    let says = |members: &mut Members, id: Id, key: &str, value: &str| {
        members.wait_until(&format!("{id} says {key} {value}"), |members| {
            monitored(members, id, key).as_deref() == Some(value)
        });
    };
    for (key, value) in [
        ("peer_state", "leading - broadcast"),
        ("quorum_size", "3"),
        ("learners", "3"),
        ("synced_followers", "2"),
        ("synced_observers", "1"),
        ("synced_non_voting_followers", "0"),
    ] {
        says(&mut members, leader, key, value);
    }
    says(
        &mut members,
        follower,
        "peer_state",
        "following - broadcast",
    );
    says(
        &mut members,
        observer,
        "peer_state",
        "observing - broadcast",
    );
    says(
        &mut members,
        observer,
        "observer_master_id",
        &leader.to_string(),
    );
    assert_eq!(monitored(&members, follower, "synced_followers"), None);
    let srvr = members.word(leader, "srvr").expect("it answers");
    assert!(!srvr.contains("last/min/max: -1"), "{srvr}");
    let dump = members.word(follower, "dump").expect("it answers");
    let session = client.session.session.to_wire();
    let line = format!("{session:#x}\t10000ms");
    assert!(dump.contains("Global Sessions(1):"), "{dump}");
    assert!(dump.contains(&line), "{dump}");
    let dump = members.word(leader, "dump").expect("it answers");
    assert!(dump.contains(&format!("{session:#x}\n")), "{dump}");
    let other = members
        .ids()
        .into_iter()
        .find(|id| ![leader, follower, observer].contains(id));
    members.kill(other.expect("a third voter"));
    says(&mut members, leader, "synced_followers", "1");
    says(&mut members, leader, "learners", "2");
}
