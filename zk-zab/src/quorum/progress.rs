//! Which transactions a quorum holds.

use super::Quorum;
use std::collections::{BTreeMap, BTreeSet};
use zk_proto::{ServerId, Zxid};

/// How far each voter's log is durable.
#[derive(Clone, Debug)]
pub struct Progress {
    quorum: Quorum,
    durable: BTreeMap<ServerId, Zxid>,
}

impl Progress {
    /// Nobody has said anything yet.
    pub fn new(quorum: impl Into<Quorum>) -> Self {
        Self {
            quorum: quorum.into(),
            durable: BTreeMap::new(),
        }
    }

    /// A server says that its log is durable up to `through`. Servers that do not vote are not heard
    /// (S48), and nobody takes an acknowledgement back.
    pub fn record(&mut self, server: ServerId, through: Zxid) {
        let counts = self.quorum.counts(server) || crate::canary::Canary::ObserversCount.sings();
        if !counts {
            return;
        }
        let known = self.durable.entry(server).or_insert(through);
        *known = (*known).max(through);
    }

    /// What a server has said before does not count any more: it is about to lose some of it.
    pub fn forget(&mut self, server: ServerId) {
        self.durable.remove(&server);
    }

    /// The last transaction that a quorum holds, if there is one: from the best voter down, servers
    /// join in until they are a quorum; it is what the last one to join has (S38: sorted, always).
    pub fn held_by_quorum(&self) -> Option<Zxid> {
        let mut held: Vec<_> = self.durable.iter().collect();
        if !crate::canary::Canary::UnsortedProgress.sings() {
            held.sort_unstable_by_key(|(_, zxid)| std::cmp::Reverse(**zxid));
        }
        let mut joined = BTreeSet::new();
        held.into_iter().find_map(|(server, zxid)| {
            joined.insert(*server);
            self.quorum.is_met_by(&joined).then_some(*zxid)
        })
    }
}
