//! Counting: what makes a quorum, and what a quorum holds. Arithmetic only.
//!
//! ```text
//! Quorum = every one of its rules is met          more than one only while a change of members is pending
//!   Rule = Majority       more than half of the voters
//!        | Hierarchical   more than half of the groups, each by more than half of its weight
//! ```
//!
//! Servers that do not vote are never counted, whoever asks (S48, ZOOKEEPER-2959).

mod hierarchical;
mod majority;
mod progress;

pub use hierarchical::{Hierarchical, Misplaced};
pub use majority::Majority;
pub use progress::Progress;

use std::collections::BTreeSet;
use zk_proto::ServerId;

/// One configuration's rule.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Majority(Majority),
    Hierarchical(Hierarchical),
}

impl Rule {
    fn is_met_by(&self, servers: &BTreeSet<ServerId>) -> bool {
        match self {
            Self::Majority(majority) => majority.is_met_by(servers),
            Self::Hierarchical(hierarchical) => hierarchical.is_met_by(servers),
        }
    }

    fn voters(&self) -> &BTreeSet<ServerId> {
        match self {
            Self::Majority(majority) => majority.voters(),
            Self::Hierarchical(hierarchical) => hierarchical.voters(),
        }
    }
}

/// What it takes to agree: the rule of the configuration in force and, while a change is pending, the
/// rule of the new one as well (P34).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    in_force: Rule,
    pending: Option<Rule>,
}

impl Quorum {
    /// From now on, a change to those members is pending: both must agree.
    #[must_use]
    pub fn until_changed_to(self, next: Self) -> Self {
        Self {
            in_force: self.in_force,
            pending: Some(next.in_force),
        }
    }

    /// Whether these servers are a quorum.
    pub fn is_met_by(&self, servers: &BTreeSet<ServerId>) -> bool {
        self.rules().all(|rule| rule.is_met_by(servers))
    }

    /// Whether this server's word counts, now or after the pending change.
    pub fn counts(&self, server: ServerId) -> bool {
        self.rules().any(|rule| rule.voters().contains(&server))
    }

    /// Whether this server may lead. A voter without weight has no say and must not be elected.
    pub fn may_lead(&self, server: ServerId) -> bool {
        match &self.in_force {
            Rule::Majority(_) => true,
            Rule::Hierarchical(hierarchical) => hierarchical.weight(server) > 0,
        }
    }

    /// Everyone whose word counts, in order.
    pub fn voters(&self) -> BTreeSet<ServerId> {
        let voters = self.rules().flat_map(Rule::voters);
        voters.copied().collect()
    }

    /// Whether this server is a quorum by itself.
    pub fn is_met_by_alone(&self, server: ServerId) -> bool {
        self.is_met_by(&BTreeSet::from([server]))
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        [&self.in_force].into_iter().chain(&self.pending)
    }
}

impl From<Majority> for Quorum {
    fn from(majority: Majority) -> Self {
        Self {
            in_force: Rule::Majority(majority),
            pending: None,
        }
    }
}

impl From<Hierarchical> for Quorum {
    fn from(hierarchical: Hierarchical) -> Self {
        Self {
            in_force: Rule::Hierarchical(hierarchical),
            pending: None,
        }
    }
}

#[cfg(test)]
mod tests;
