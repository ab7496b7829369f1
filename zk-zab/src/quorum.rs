//! Counting: which transactions a quorum holds. Arithmetic only.

use std::collections::BTreeMap;
use zk_proto::{ServerId, Zxid};

/// The voters of an ensemble, any majority of which is a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Majority {
    voters: Vec<ServerId>,
}

impl Majority {
    /// An ensemble of these voters.
    pub fn of(voters: impl IntoIterator<Item = ServerId>) -> Self {
        let mut voters: Vec<_> = voters.into_iter().collect();
        voters.sort_unstable();
        voters.dedup();
        assert!(!voters.is_empty(), "an ensemble has at least one voter");
        Self { voters }
    }

    /// How many voters make a quorum.
    pub fn size(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether this server's word counts.
    pub fn counts(&self, server: ServerId) -> bool {
        self.voters.binary_search(&server).is_ok()
    }
}

/// How far each voter's log is durable.
#[derive(Clone, Debug)]
pub struct Progress {
    quorum: Majority,
    durable: BTreeMap<ServerId, Zxid>,
}

impl Progress {
    /// Nobody has said anything yet.
    pub fn new(quorum: Majority) -> Self {
        Self {
            quorum,
            durable: BTreeMap::new(),
        }
    }

    /// A server says that its log is durable up to `through`. Servers that do not vote are not heard
    /// (S48), and nobody takes an acknowledgement back.
    pub fn record(&mut self, server: ServerId, through: Zxid) {
        if !self.quorum.counts(server) {
            return;
        }
        let known = self.durable.entry(server).or_insert(through);
        *known = (*known).max(through);
    }

    /// The last transaction that a quorum holds, if there is one: sorted from the best voter down, it
    /// is what the voter at the quorum's size has (S38: sorted, always).
    pub fn held_by_quorum(&self) -> Option<Zxid> {
        let mut held: Vec<_> = self.durable.values().copied().collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        held.get(self.quorum.size() - 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(voters: &[i64], acks: &[(i64, i64)], expected: Option<i64>) {
        let mut progress = Progress::new(Majority::of(voters.iter().copied().map(ServerId::new)));
        for &(server, zxid) in acks {
            progress.record(ServerId::new(server), Zxid::from_wire(zxid));
        }
        assert_eq!(
            progress.held_by_quorum(),
            expected.map(Zxid::from_wire),
            "{voters:?} {acks:?}"
        );
    }

    #[test]
    fn a_quorum_of_one_is_the_server_itself() {
        check(&[1], &[], None);
        check(&[1], &[(1, 7)], Some(7));
    }

    #[test]
    fn a_majority_holds_what_its_slowest_member_holds() {
        check(&[1, 2, 3], &[(1, 9)], None);
        check(&[1, 2, 3], &[(1, 9), (3, 4)], Some(4));
        check(&[1, 2, 3], &[(1, 9), (3, 4), (2, 8)], Some(8));
        check(&[1, 2, 3, 4], &[(1, 9), (2, 9)], None);
    }

    #[test]
    fn observers_and_regressions_do_not_count() {
        check(&[1, 2, 3], &[(1, 9), (7, 9)], None);
        check(&[1], &[(1, 9), (1, 3)], Some(9));
    }
}
