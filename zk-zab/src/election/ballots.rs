//! Candidates, their order, and what each server has voted.

use crate::{PeerState, Quorum, Round, Vote};
use std::collections::{BTreeMap, BTreeSet};
use zk_proto::{Epoch, ServerId, Zxid};

/// Who may lead, and the history that speaks for it. The order of the fields is the order of votes:
/// the later epoch, then the later transaction, then the greater number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) peer_epoch: Option<Epoch>,
    pub(super) zxid: Zxid,
    pub(super) leader: Option<ServerId>,
}

impl Candidate {
    pub(super) const fn of(vote: &Vote) -> Self {
        Self {
            peer_epoch: vote.peer_epoch,
            zxid: vote.zxid,
            leader: vote.leader,
        }
    }

    pub(super) const fn in_round(self, round: Round) -> Vote {
        Vote {
            leader: self.leader,
            zxid: self.zxid,
            peer_epoch: self.peer_epoch,
            round,
        }
    }

    pub(super) fn may_lead(&self, quorum: &Quorum) -> bool {
        self.leader.is_some_and(|leader| quorum.may_lead(leader))
    }

    /// Whether this vote replaces the other. Who has no weight replaces nobody.
    pub(super) fn betters(&self, other: &Self, quorum: &Quorum) -> bool {
        self > other && self.may_lead(quorum)
    }
}

/// A server's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ballot {
    pub(super) state: PeerState,
    pub(super) vote: Vote,
}

/// The last word of each voter: never more than there are voters, as others are not heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Ballots(BTreeMap<ServerId, Ballot>);

impl Ballots {
    pub(super) fn cast(&mut self, voter: ServerId, state: PeerState, vote: Vote) {
        self.0.insert(voter, Ballot { state, vote });
    }

    pub(super) fn forget(&mut self, voter: ServerId) {
        self.0.remove(&voter);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Those whose ballot agrees.
    pub(super) fn who(&self, agrees: impl Fn(&Ballot) -> bool) -> BTreeSet<ServerId> {
        let agreeing = self.0.iter().filter(|(_, ballot)| agrees(ballot));
        agreeing.map(|(voter, _)| *voter).collect()
    }

    /// Whether this server itself says that it leads.
    pub(super) fn says_it_leads(&self, server: ServerId) -> bool {
        let ballot = self.0.get(&server);
        ballot.is_some_and(|ballot| ballot.state == PeerState::Leading)
    }
}
