//! Scenes: a text file per behaviour, in `testdata/election`. What happens stands below the line; to
//! write it anew: `UPDATE_EXPECT=1 cargo test -p zk-zab scenes`, then read the difference.
//!
//! | command | meaning |
//! |---|---|
//! | `voters 1 2 3`, `observers 4` | the members |
//! | `groups 1,2,3 4,5`, `weights 3=0` | instead of `voters`: a hierarchical quorum |
//! | `boot 1 zxid=1.5 epoch=1` | a process starts, with that history (0.0 and 0 if not said) |
//! | `look 1` | it looks for a leader |
//! | `rest 1` | its role has ended, and it cannot vote yet |
//! | `crash 1` | it is gone, with all it has not delivered |
//! | `deliver` | everything under way arrives, and what follows from it |
//! | `deliver 1 2` | one message from 1 to 2 arrives |
//! | `lose 1 2` | everything under way from 1 to 2 is lost |
//! | `hear 1 2 LOOKING for=2 zxid=0.0 epoch=0 round=1` | 1 hears that from 2, who may be no server here |
//! | `refused 1 3` | 1 learns that nobody listens at 3's election port |
//! | `established 1 5` | 1 has a leader that was accepted in epoch 5 |
//! | `wait 200` | so many milliseconds pass |

use super::ensemble::{Ensemble, Event};
use crate::{Candidacy, Hierarchical, Majority, Notification, PeerState, Quorum, Round, Vote};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use zk_proto::{Epoch, ServerId, Zxid};

#[test]
fn every_scene_plays_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/election");
    let mut scenes: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    scenes.sort();
    assert!(scenes.len() >= 15, "the scenes are here");
    for scene in scenes {
        let text = std::fs::read_to_string(&scene).unwrap();
        let script = text.split("---\n").next().unwrap();
        assert!(
            script.starts_with("# "),
            "{}: begins with a sentence",
            scene.display()
        );
        let played = format!("{script}---\n{}", play(script));
        expect_test::expect_file![&scene].assert_eq(&played);
    }
}

fn play(script: &str) -> String {
    let mut story = String::new();
    let mut ensemble = None;
    let mut groups = Vec::new();
    for line in script
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let words: Vec<_> = line.split_whitespace().collect();
        match (words[0], &words[1..]) {
            ("voters", ids) => {
                let majority = Majority::of(ids.iter().map(|id| server(id)));
                ensemble = Some(Ensemble::new(majority.into()));
            }
            ("groups", of) => groups = of.iter().map(|group| group_of(group)).collect(),
            ("weights", weights) => {
                ensemble = Some(Ensemble::new(hierarchical(&groups, weights)));
            }
            (command, arguments) => {
                let ensemble = ensemble.as_mut().expect("a scene begins with its members");
                writeln!(story, "> {line}").unwrap();
                perform(ensemble, command, arguments);
                tell(ensemble, &mut story);
            }
        }
    }
    story
}

fn perform(ensemble: &mut Ensemble, command: &str, arguments: &[&str]) {
    match (command, arguments) {
        ("observers", ids) => ensemble.observers = ids.iter().map(|id| server(id)).collect(),
        ("boot", [id, history @ ..]) => {
            ensemble.histories.insert(server(id), candidacy(history));
            ensemble.boot(server(id));
        }
        ("look", [id]) => ensemble.start(server(id)),
        ("rest", [id]) => ensemble.with(server(id), |election, _, _| election.rest()),
        ("crash", [id]) => {
            let id = server(id);
            ensemble.crash(id);
            ensemble
                .flights
                .retain(|flight| flight.from != id && flight.to != id);
        }
        ("deliver", []) => ensemble.deliver_all(),
        ("deliver", [from, to]) => {
            let arrived = ensemble.deliver_next(server(from), server(to));
            assert!(arrived, "nothing is under way from {from} to {to}");
        }
        ("lose", [from, to]) => {
            let (from, to) = (server(from), server(to));
            ensemble
                .flights
                .retain(|flight| (flight.from, flight.to) != (from, to));
        }
        ("hear", [to, from, said @ ..]) => {
            ensemble.hear(server(to), server(from), &notification(said));
        }
        ("refused", [id, by]) => ensemble.with(server(id), |election, now, out| {
            election.on_refused(now, server(by), out);
        }),
        ("established", [id, epoch]) => ensemble.with(server(id), |election, _, _| {
            election.on_epoch_established(Epoch::new(number(epoch)));
        }),
        ("wait", [millis]) => ensemble.pass(Duration::from_millis(number(millis))),
        _ => panic!("no command: {command} {arguments:?}"),
    }
}

fn tell(ensemble: &mut Ensemble, story: &mut String) {
    for event in ensemble.events.drain(..) {
        match event {
            Event::Sent(flight) => {
                writeln!(story, "{}→{} {}", flight.from, flight.to, flight.said).unwrap();
            }
            Event::Elected {
                server,
                role,
                leader,
            } => writeln!(story, "{server}   {role}, the leader is {leader}").unwrap(),
        }
    }
}

fn number<T: std::str::FromStr<Err = std::num::ParseIntError>>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn server(text: &str) -> ServerId {
    ServerId::new(number(text))
}

fn group_of(text: &str) -> BTreeSet<ServerId> {
    text.split(',').map(server).collect()
}

fn hierarchical(groups: &[BTreeSet<ServerId>], weights: &[&str]) -> Quorum {
    let weights: BTreeMap<_, _> = weights
        .iter()
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(id, weight)| (server(id), number(weight)))
        .collect();
    let voters = groups.iter().flatten().copied();
    let made = Hierarchical::new(voters, groups.iter().cloned(), weights);
    made.unwrap().into()
}

fn zxid(text: &str) -> Zxid {
    if text == "none" {
        return Zxid::NONE;
    }
    let (epoch, counter) = text.split_once('.').unwrap();
    Zxid::from_wire(number::<i64>(epoch) << 32 | number::<i64>(counter))
}

fn candidacy(words: &[&str]) -> Candidacy {
    let mut candidacy = Candidacy {
        last_zxid: Zxid::ZERO,
        current_epoch: Epoch::new(0),
    };
    for word in words {
        match word.split_once('=').unwrap() {
            ("zxid", value) => candidacy.last_zxid = zxid(value),
            ("epoch", value) => candidacy.current_epoch = Epoch::new(number(value)),
            _ => panic!("no part of a history: {word}"),
        }
    }
    candidacy
}

/// Reads what a notification prints.
fn notification(words: &[&str]) -> Notification {
    let state = match words[0] {
        "LOOKING" => PeerState::Looking,
        "FOLLOWING" => PeerState::Following,
        "LEADING" => PeerState::Leading,
        "OBSERVING" => PeerState::Observing,
        other => panic!("no state: {other}"),
    };
    let mut vote = Vote {
        leader: None,
        zxid: Vote::NO_ZXID,
        peer_epoch: None,
        round: Round::ZERO,
    };
    for word in &words[1..] {
        match word.split_once('=').unwrap() {
            ("for", "nobody") => {}
            ("for", id) => vote.leader = Some(server(id)),
            ("zxid", value) => vote.zxid = zxid(value),
            ("epoch", value) => vote.peer_epoch = Some(Epoch::new(number(value))),
            ("round", value) => vote.round = Round::new(number(value)).unwrap(),
            _ => panic!("no part of a vote: {word}"),
        }
    }
    Notification {
        state,
        vote,
        config: Bytes::from_static(b"version=0"),
    }
}
