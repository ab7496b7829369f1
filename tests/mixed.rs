//! Members of this project and of Apache's in one ensemble, as processes: whoever leads, the others follow;
//! whoever was away gets what it missed, in both directions; a running ensemble of Apache's becomes one of
//! ours and goes back, member by member, under writers who check every answer (P1 P3 P14 P19 P29).
//!
//! Needs Java and Apache's classes: 3.9 in `ZK39_CP` (or `/opt/zk39/lib`), 3.8 in `ZK_JAVA_CP` (or Debian's).
//! Without them the tests say that they are skipped.
#![expect(
    clippy::print_stdout,
    reason = "a test tells what it skips and what it saw"
)]

#[path = "support/java.rs"]
mod java;
#[path = "support/members.rs"]
mod members;
#[path = "support/process.rs"]
mod process;
mod support;
#[path = "support/trees.rs"]
mod trees;
#[path = "support/writers.rs"]
mod writers;

use java::Release;
use members::{Id, Kind, Members};
use std::time::Duration;
use support::Client;
use trees::check_equal;
use writers::{Writer, disturb, writers_of};

const PACE: Duration = Duration::from_millis(10);

/// Down under load, long enough to miss something, and up again.
fn miss_something(members: &mut Members, id: Id) {
    members.kill(id);
    members.wait_until_all_serve();
    std::thread::sleep(Duration::from_millis(300));
    members.launch(id);
    members.wait_until_all_serve();
}

/// Its disk is lost: whoever leads gives it a snapshot.
fn lose_its_disk(members: &mut Members, id: Id) {
    members.kill(id);
    members.wait_until_all_serve();
    members.wipe(id);
    members.launch(id);
    members.wait_until_all_serve();
}

/// How many times one of this kind must lead before it is given up. The greatest number with the longest
/// history leads, so it takes a few leaders to make way.
const TURNS: usize = 8;

fn let_lead(members: &mut Members, writers: &mut [Writer], wanted: impl Fn(Kind) -> bool) -> Id {
    for _turn in 0..TURNS {
        let leader = members.leader().expect("somebody leads");
        if wanted(members.kind(leader)) {
            return leader;
        }
        disturb(members, writers, |members| miss_something(members, leader));
    }
    panic!("in vain: {}", members.said());
}

fn is_ours(kind: Kind) -> bool {
    kind == Kind::Ours
}

fn is_java(kind: Kind) -> bool {
    kind != Kind::Ours
}

/// Of each kind somebody leads, while each of the others in turn misses something (DIFF) and loses its disk
/// (SNAP).
fn live_together(release: Release, ours: &[bool], observers: usize) {
    let Some(java) = java::kind(release) else {
        return;
    };
    let kinds = ours
        .iter()
        .map(|ours| if *ours { Kind::Ours } else { java });
    let kinds: Vec<_> = kinds.collect();
    let voters = &kinds[..kinds.len() - observers];
    let mut members = Members::start(&kinds, observers);
    let mut writers = writers_of(&members, PACE);
    for wanted in [is_java, is_ours] {
        if !voters.iter().any(|kind| wanted(*kind)) {
            continue;
        }
        let leader = let_lead(&mut members, &mut writers, wanted);
        for id in members.ids().into_iter().filter(|id| *id != leader) {
            disturb(&mut members, &mut writers, |members| {
                miss_something(members, id);
            });
            disturb(&mut members, &mut writers, |members| {
                lose_its_disk(members, id);
            });
        }
        assert_eq!(members.leader(), Some(leader), "who leads is not disturbed");
    }
}

/// What only a leader's log holds is cut off when it comes back, or a snapshot takes its place: what was on
/// its way to the others is lost. Nobody writes meanwhile, because Apache's server cuts nothing once its own
/// epoch has a transaction; ours cuts nothing once it serves. Whether it was a cut.
fn is_cut(members: &mut Members, leader: Id, said: &str) -> bool {
    const DOOMED: u32 = 50;
    let before = members.says(leader, said);
    let mut client = Client::connect(members.address(leader)).expect("it serves");
    let mut others = members.ids();
    others.retain(|id| *id != leader);
    for id in &others {
        members.process(*id).pause();
    }
    for number in 0..DOOMED {
        let node = format!("/doomed-{number}");
        let create = support::create(&node, b"", 0);
        client.send(&create).expect("it is taken in");
    }
    std::thread::sleep(Duration::from_millis(300));
    for id in &others {
        members.kill(*id);
    }
    members.kill(leader);
    for id in &others {
        members.launch(*id);
    }
    members.wait_until_all_serve();
    members.launch(leader);
    members.wait_until_all_serve();
    let tree = check_equal(members);
    let doomed = tree.keys().filter(|path| path.starts_with("/doomed"));
    assert_eq!(doomed.count(), 0, "nobody else had them");
    members.says(leader, said) > before
}

fn histories_are_cut(release: Release) {
    let Some(java) = java::kind(release) else {
        return;
    };
    let mut members = Members::start(&[java, Kind::Ours, java], 0);
    let mut writers = writers_of(&members, PACE);
    let leader = let_lead(&mut members, &mut writers, is_ours);
    let cut = is_cut(&mut members, leader, "cuts this server's history");
    assert!(cut, "{}", members.said());
    disturb(&mut members, &mut writers, |_| {});
    drop(members);
    let mut members = Members::start(&[Kind::Ours, java, Kind::Ours], 0);
    let mut writers = writers_of(&members, PACE);
    let leader = let_lead(&mut members, &mut writers, is_java);
    is_cut(&mut members, leader, "Truncating log to get in sync");
    disturb(&mut members, &mut writers, |_| {});
}

/// One member after the other: stopped, and started as something else on the same data.
fn become_another(members: &mut Members, kind: Kind) {
    // Followers first, the leader last: one election instead of several.
    let leader = members.leader().expect("somebody leads");
    let mut order = members.ids();
    order.retain(|id| *id != leader);
    order.push(leader);
    for id in order {
        members.stop(id);
        members.replace(id, kind);
        members.launch(id);
        members.wait_until_all_serve();
    }
}

fn roll_there_and_back(release: Release) {
    let Some(java) = java::kind(release) else {
        return;
    };
    let mut members = Members::start(&[java; 3], 0);
    let mut writers = writers_of(&members, PACE);
    disturb(&mut members, &mut writers, |members| {
        become_another(members, Kind::Ours);
    });
    disturb(&mut members, &mut writers, |members| {
        become_another(members, java);
    });
}

/// Of each kind, the leader and who follows it stand still: long enough to be given up, and to come back.
fn stand_still_together(release: Release) {
    let Some(java) = java::kind(release) else {
        return;
    };
    let mut members = Members::start(&[java, Kind::Ours, java], 0);
    let mut writers = writers_of(&members, PACE);
    for wanted in [is_ours, is_java] {
        let leader = let_lead(&mut members, &mut writers, wanted);
        disturb(&mut members, &mut writers, |members| {
            members.stand_still(leader);
            members.wait_until_all_serve();
        });
    }
    for wanted in [is_ours, is_java] {
        let leader = members.leader().expect("somebody leads");
        let mut ids = members.ids();
        ids.retain(|id| *id != leader && wanted(members.kind(*id)));
        let Some(follower) = ids.first().copied() else {
            continue;
        };
        disturb(&mut members, &mut writers, |members| {
            members.stand_still(follower);
            members.wait_until_all_serve();
        });
    }
}

/// One member outweighs the others: alone it is a quorum, and without it there is none.
fn one_outweighs_the_others(release: Release, heavy: Id) {
    let Some(java) = java::kind(release) else {
        return;
    };
    let mut members = Members::plan(&[java, Kind::Ours, java], 0);
    members.add_lines(&format!("group.1=1:2:3\nweight.{heavy}=3\n"));
    members.launch_all();
    let mut others = members.ids();
    others.retain(|id| *id != heavy);
    for id in &others {
        members.kill(*id);
    }
    let leads = |members: &Members| members.mode(heavy).as_deref() == Some("leader");
    members.wait_until("it leads alone", |members| leads(members));
    let mut client = Client::connect(members.address(heavy)).expect("it serves");
    let made = client.create("/alone", b"", 0).expect("it serves");
    assert_eq!(made, Ok("/alone".to_owned()));
    for id in &others {
        members.launch(*id);
    }
    members.wait_until_all_serve();
    assert!(check_equal(&mut members).contains_key("/alone"));
    members.kill(heavy);
    members.wait_until("nobody serves", |members| {
        others.iter().all(|id| members.mode(*id).is_none())
    });
    members.launch(heavy);
    members.wait_until_all_serve();
    check_equal(&mut members);
}

const OURS: bool = true;
const JAVA: bool = false;

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn one_of_ours_lives_with_two_of_3_9() {
    live_together(Release::V39, &[JAVA, OURS, JAVA], 0);
}

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn two_of_ours_live_with_one_of_3_9() {
    live_together(Release::V39, &[OURS, JAVA, OURS], 0);
}

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn one_of_ours_lives_with_two_of_3_8() {
    live_together(Release::V38, &[JAVA, OURS, JAVA], 0);
}

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn two_of_ours_live_with_one_of_3_8() {
    live_together(Release::V38, &[OURS, JAVA, OURS], 0);
}

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn ours_observes_3_9() {
    live_together(Release::V39, &[JAVA, JAVA, JAVA, OURS], 1);
}

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn apache_s_3_9_observes_ours() {
    live_together(Release::V39, &[OURS, OURS, OURS, JAVA], 1);
}

#[test]
fn histories_are_cut_among_3_9() {
    histories_are_cut(Release::V39);
}

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn histories_are_cut_among_3_8() {
    histories_are_cut(Release::V38);
}

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn a_running_3_9_becomes_ours_and_goes_back() {
    roll_there_and_back(Release::V39);
}

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn a_running_3_8_becomes_ours_and_goes_back() {
    roll_there_and_back(Release::V38);
}

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn members_stand_still_among_3_9() {
    stand_still_together(Release::V39);
}

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn one_of_ours_outweighs_two_of_3_9() {
    one_outweighs_the_others(Release::V39, 2);
}

#[test]
#[ignore = "takes a minute; .ci/stages/50-mixed.sh runs it"]
fn one_of_3_9_outweighs_ours() {
    one_outweighs_the_others(Release::V39, 1);
}
