//! The rule of an ensemble without groups and weights.

use std::collections::BTreeSet;
use zk_proto::ServerId;

/// The voters of an ensemble, any majority of which is a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Majority {
    voters: BTreeSet<ServerId>,
}

impl Majority {
    /// An ensemble of these voters.
    pub fn of(voters: impl IntoIterator<Item = ServerId>) -> Self {
        let voters: BTreeSet<_> = voters.into_iter().collect();
        assert!(!voters.is_empty(), "an ensemble has at least one voter");
        Self { voters }
    }

    /// How many voters make a quorum.
    pub fn size(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether this server's word counts.
    pub fn counts(&self, server: ServerId) -> bool {
        self.voters.contains(&server)
    }

    /// Whether these servers are a quorum. Those that do not vote are not heard.
    pub fn is_met_by(&self, servers: &BTreeSet<ServerId>) -> bool {
        let all = crate::canary::Canary::ObserversCount.sings();
        let voices = servers.iter().filter(|server| all || self.counts(**server));
        voices.count() >= self.size()
    }

    /// Everyone whose word counts.
    pub fn voters(&self) -> &BTreeSet<ServerId> {
        &self.voters
    }
}
