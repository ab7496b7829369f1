//! Whether this server still leads, as of now (P5): a round of pings, answered by a quorum.
//!
//! A follower answers a ping only while it follows, and promises nothing to another before it has left. If
//! a quorum answers pings that were sent after a question came, no other leader had been promised by a
//! quorum when it came; so nothing was acknowledged by anyone that is not in our history. Apache's
//! followers answer pings in order, one by one, which is all that is needed.
//!
//! There is one round at a time. Questions that come meanwhile share the next one.

use crate::LinkId;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(crate) struct Confirming {
    round: Option<Round>,
    waiting: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Round {
    tickets: Vec<u64>,
    /// How many pings each voter must have answered.
    needed: BTreeMap<LinkId, u64>,
}

impl Confirming {
    pub(crate) fn ask(&mut self, ticket: u64) {
        self.waiting.push(ticket);
    }

    /// Whether a round is to begin.
    pub(crate) const fn wants_round(&self) -> bool {
        self.round.is_none() && !self.waiting.is_empty()
    }

    pub(crate) fn begin(&mut self, needed: BTreeMap<LinkId, u64>) {
        let tickets = std::mem::take(&mut self.waiting);
        self.round = Some(Round { tickets, needed });
    }

    /// A voter that joins while a round is on can help it, once it has answered that many pings.
    pub(crate) fn join(&mut self, link: LinkId, pings: u64) -> bool {
        let Some(round) = &mut self.round else {
            return false;
        };
        round.needed.insert(link, pings);
        true
    }

    /// Whether this voter has answered what the round needs.
    pub(crate) fn is_answered(&self, link: LinkId, answered: u64) -> bool {
        let needed = self
            .round
            .as_ref()
            .and_then(|round| round.needed.get(&link));
        needed.is_some_and(|needed| answered >= *needed)
    }

    pub(crate) const fn has_round(&self) -> bool {
        self.round.is_some()
    }

    /// The round's questions, answered.
    pub(crate) fn end(&mut self) -> Vec<u64> {
        self.round
            .take()
            .map_or_else(Vec::new, |round| round.tickets)
    }
}
