//! The rule of an ensemble with groups and weights: data centres that each must agree with
//! themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use zk_proto::ServerId;

/// What a voter weighs if nobody says otherwise.
const DEFAULT_WEIGHT: u64 = 1;

/// Voters in groups. A quorum has more than half of the weight in more than half of the groups; groups
/// that weigh nothing do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchical {
    voters: BTreeSet<ServerId>,
    groups: Vec<BTreeSet<ServerId>>,
    weights: BTreeMap<ServerId, u64>,
}

/// A voter that is in no group, or in more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced(pub ServerId);

impl Hierarchical {
    /// An ensemble of these voters. A voter without a weight weighs one. Members of groups that do not
    /// vote weigh what is said of them, otherwise nothing: their weight counts against a majority of
    /// the group, as in Java, although they never speak.
    pub fn new(
        voters: impl IntoIterator<Item = ServerId>,
        groups: impl IntoIterator<Item = BTreeSet<ServerId>>,
        mut weights: BTreeMap<ServerId, u64>,
    ) -> Result<Self, Misplaced> {
        let voters: BTreeSet<_> = voters.into_iter().collect();
        let groups: Vec<_> = groups.into_iter().collect();
        for voter in &voters {
            let of_voter = groups.iter().filter(|group| group.contains(voter));
            if of_voter.count() != 1 {
                return Err(Misplaced(*voter));
            }
            weights.entry(*voter).or_insert(DEFAULT_WEIGHT);
        }
        Ok(Self {
            voters,
            groups,
            weights,
        })
    }

    /// What this server weighs.
    pub fn weight(&self, server: ServerId) -> u64 {
        self.weights.get(&server).copied().unwrap_or(0)
    }

    /// Everyone whose word counts.
    pub fn voters(&self) -> &BTreeSet<ServerId> {
        &self.voters
    }

    /// Whether these servers are a quorum. Those that do not vote are not heard.
    pub fn is_met_by(&self, servers: &BTreeSet<ServerId>) -> bool {
        let (mut weighty, mut agreed) = (0, 0);
        for group in &self.groups {
            let whole = self.weigh(group.iter());
            if whole == 0 {
                continue;
            }
            weighty += 1;
            let voices = group.intersection(servers);
            let heard = self.weigh(voices.filter(|server| self.voters.contains(server)));
            if heard > whole / 2 {
                agreed += 1;
            }
        }
        agreed > weighty / 2
    }

    fn weigh<'a>(&self, servers: impl Iterator<Item = &'a ServerId>) -> u128 {
        servers.map(|server| u128::from(self.weight(*server))).sum()
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {} must be in exactly one group", self.0)
    }
}

impl Error for Misplaced {}
