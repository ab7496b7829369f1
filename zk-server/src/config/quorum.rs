//! What it takes to agree, as a list of members says it.

use super::peers::Ensemble;
use std::collections::BTreeMap;
use zk_zab::{Hierarchical, Majority, Quorum};

impl Ensemble {
    /// A majority of the voters, or of groups of them where there are any groups or weights.
    pub fn quorum(&self) -> Quorum {
        if self.groups.is_empty() {
            return Majority::of(self.voters()).into();
        }
        let groups = self.groups.values().cloned();
        let weights: BTreeMap<_, _> = self.weights.clone();
        let made = Hierarchical::new(self.voters(), groups, weights);
        made.expect("a configuration whose groups are wrong is refused")
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::peers::{Member, PeerAddress, Role};
    use super::*;
    use std::collections::BTreeSet;
    use zk_proto::ServerId;

    fn servers(ids: &[i64]) -> BTreeSet<ServerId> {
        ids.iter().copied().map(ServerId::new).collect()
    }

    fn ensemble(voters: &[i64], observers: &[i64], groups: &[&[i64]]) -> Ensemble {
        let voters = voters.iter().map(|id| (id, Role::Participant));
        let members = voters.chain(observers.iter().map(|id| (id, Role::Observer)));
        let members = members.map(|(id, role)| Member {
            id: ServerId::new(*id),
            role,
            addresses: vec![PeerAddress {
                host: "zk".to_owned(),
                quorum_port: 2888,
                election_port: 3888,
            }],
            client: None,
        });
        Ensemble {
            groups: (1..).zip(groups.iter().map(|ids| servers(ids))).collect(),
            ..Ensemble::new(
                ServerId::new(1),
                members.map(|member| (member.id, member)).collect(),
            )
        }
    }

    #[test]
    fn without_groups_a_majority_of_voters_agrees() {
        let quorum = ensemble(&[1, 2, 3], &[4, 5], &[]).quorum();
        assert!(quorum.is_met_by(&servers(&[1, 3])));
        assert!(!quorum.is_met_by(&servers(&[1, 4, 5])));
    }

    #[test]
    fn with_groups_most_of_them_must_agree() {
        let quorum = ensemble(&[1, 2, 3, 4, 5], &[], &[&[1], &[2], &[3, 4, 5]]).quorum();
        assert!(quorum.is_met_by(&servers(&[1, 2])));
        assert!(!quorum.is_met_by(&servers(&[3, 4, 5])));
    }
}
