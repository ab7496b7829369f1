use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use zk_proto::Zxid;

fn servers(ids: &[i64]) -> BTreeSet<ServerId> {
    ids.iter().copied().map(ServerId::new).collect()
}

fn majority(voters: &[i64]) -> Quorum {
    Majority::of(servers(voters)).into()
}

fn hierarchical(groups: &[&[i64]], weights: &[(i64, u64)]) -> Quorum {
    let voters = groups.concat();
    let groups = groups.iter().map(|group| servers(group));
    let weights = weights
        .iter()
        .map(|(id, weight)| (ServerId::new(*id), *weight));
    let made = Hierarchical::new(servers(&voters), groups, weights.collect());
    made.unwrap().into()
}

fn check(quorum: &Quorum, acks: &[(i64, i64)], expected: Option<i64>) {
    let mut progress = Progress::new(quorum.clone());
    for &(server, zxid) in acks {
        progress.record(ServerId::new(server), Zxid::from_wire(zxid));
    }
    let held = progress.held_by_quorum().map(Zxid::to_wire);
    assert_eq!(held, expected, "{quorum:?} {acks:?}");
}

#[test]
fn a_quorum_of_one_is_the_server_itself() {
    check(&majority(&[1]), &[], None);
    check(&majority(&[1]), &[(1, 7)], Some(7));
    assert!(majority(&[1]).is_met_by_alone(ServerId::new(1)));
    assert!(!majority(&[1, 2]).is_met_by_alone(ServerId::new(1)));
}

#[test]
fn a_majority_holds_what_its_slowest_member_holds() {
    check(&majority(&[1, 2, 3]), &[(1, 9)], None);
    check(&majority(&[1, 2, 3]), &[(1, 9), (3, 4)], Some(4));
    check(&majority(&[1, 2, 3]), &[(1, 9), (3, 4), (2, 8)], Some(8));
    check(&majority(&[1, 2, 3, 4]), &[(1, 9), (2, 9)], None);
}

#[test]
fn observers_and_regressions_do_not_count() {
    check(&majority(&[1, 2, 3]), &[(1, 9), (7, 9)], None);
    check(&majority(&[1]), &[(1, 9), (1, 3)], Some(9));
}

#[test]
fn most_groups_must_agree_each_with_most_of_its_weight() {
    let three = hierarchical(&[&[1, 2, 3], &[4, 5, 6], &[7, 8, 9]], &[]);
    assert!(three.is_met_by(&servers(&[1, 2, 4, 5])));
    assert!(!three.is_met_by(&servers(&[1, 2, 3, 4, 7])));
    assert!(!three.is_met_by(&servers(&[1, 2, 3])));
    check(&three, &[(1, 9), (2, 8), (4, 7), (5, 3), (7, 9)], Some(3));
}

#[test]
fn a_heavy_server_can_decide_for_its_group() {
    let one = hierarchical(&[&[1, 2, 3]], &[(2, 3)]);
    assert!(one.is_met_by(&servers(&[2])));
    assert!(!one.is_met_by(&servers(&[1, 3])));
}

#[test]
fn who_weighs_nothing_neither_decides_nor_leads() {
    let light = hierarchical(&[&[1, 2, 3], &[4]], &[(4, 0), (3, 0)]);
    assert!(!light.may_lead(ServerId::new(4)));
    assert!(light.may_lead(ServerId::new(1)));
    assert!(!light.may_lead(ServerId::new(77)), "a stranger");
    assert!(!light.is_met_by(&servers(&[1, 3, 4])));
    assert!(
        light.is_met_by(&servers(&[1, 2])),
        "a group without weight is no group"
    );
    assert!(majority(&[1, 2, 3]).may_lead(ServerId::new(77)));
}

#[test]
fn a_voter_is_in_exactly_one_group() {
    let new = |groups: &[&[i64]]| {
        let groups = groups.iter().map(|group| servers(group));
        Hierarchical::new(servers(&[1, 2]), groups, BTreeMap::new())
    };
    assert_eq!(new(&[&[1]]), Err(Misplaced(ServerId::new(2))));
    assert_eq!(new(&[&[1, 2], &[2]]), Err(Misplaced(ServerId::new(2))));
    assert!(new(&[&[2], &[1]]).is_ok());
}

/// P34: from the proposal of a change to its commit, nothing stands without both.
#[test]
fn while_a_change_is_pending_both_must_agree() {
    let joint = majority(&[1, 2, 3]).until_changed_to(majority(&[3, 4, 5]));
    assert!(!joint.is_met_by(&servers(&[1, 2])));
    assert!(!joint.is_met_by(&servers(&[1, 4, 5])));
    assert!(joint.is_met_by(&servers(&[1, 3, 4])));
    assert!(joint.counts(ServerId::new(1)) && joint.counts(ServerId::new(5)));
    assert_eq!(joint.voters(), servers(&[1, 2, 3, 4, 5]));
    check(&joint, &[(1, 9), (2, 8), (3, 5), (4, 4)], Some(4));
}

/// All subsets of servers 0..count.
fn subsets(count: i64) -> impl Iterator<Item = BTreeSet<ServerId>> {
    (0..1_u32 << count).map(move |bits| {
        let chosen = (0..count).filter(|id| bits & (1 << id) != 0);
        chosen.map(ServerId::new).collect()
    })
}

prop_compose! {
    fn quorums()(
        groups_of in prop::collection::vec(0..3_usize, 1..7),
        weights in prop::collection::vec(0..4_u64, 7),
        plain in any::<bool>(),
    ) -> Quorum {
        let ids = 0..i64::try_from(groups_of.len()).unwrap();
        let voters: Vec<_> = ids.map(ServerId::new).collect();
        if plain {
            return Majority::of(voters).into();
        }
        let groups = (0..3).map(|group| {
            let members = voters.iter().zip(&groups_of).filter(|(_, of)| **of == group);
            members.map(|(voter, _)| *voter).collect()
        });
        let weights = voters.iter().copied().zip(weights).collect();
        Hierarchical::new(voters.clone(), groups, weights).unwrap().into()
    }
}

proptest! {
    /// I13, I15: whatever two quorums agree on, somebody heard both.
    #[test]
    fn two_quorums_always_share_a_voter(quorum in quorums()) {
        let met: Vec<_> = subsets(7).filter(|set| quorum.is_met_by(set)).collect();
        for one in &met {
            for other in &met {
                prop_assert!(one.intersection(other).any(|server| quorum.counts(*server)));
            }
        }
    }

    #[test]
    fn more_servers_never_make_less_of_a_quorum(quorum in quorums(), extra in 0..7_i64) {
        for mut set in subsets(7).filter(|set| quorum.is_met_by(set)) {
            set.insert(ServerId::new(extra));
            prop_assert!(quorum.is_met_by(&set));
        }
    }

    /// Against the definition: the greatest zxid such that those who have it are a quorum.
    #[test]
    fn what_is_held_is_the_greatest_that_a_quorum_has(
        quorum in quorums(),
        next in quorums(),
        pending in any::<bool>(),
        acks in prop::collection::vec((0..8_i64, 0..20_i64), 0..12),
    ) {
        let quorum = if pending { quorum.until_changed_to(next) } else { quorum };
        let mut best = BTreeMap::new();
        let mut progress = Progress::new(quorum.clone());
        for (server, zxid) in acks {
            progress.record(ServerId::new(server), Zxid::from_wire(zxid));
            let known = best.entry(ServerId::new(server)).or_insert(zxid);
            *known = (*known).max(zxid);
        }
        let expected = (0..20).rev().find(|zxid| {
            let have = best.iter().filter(|(_, held)| *held >= zxid);
            quorum.is_met_by(&have.map(|(server, _)| *server).collect())
        });
        prop_assert_eq!(progress.held_by_quorum().map(Zxid::to_wire), expected);
    }
}
