//! What an election needs to know of the configuration, and the vote that follows from it.

use super::Candidacy;
use super::ballots::Candidate;
use crate::{Quorum, Vote};
use bytes::Bytes;
use std::time::Duration;
use zk_proto::ServerId;

/// The part of a member's configuration that the election needs. Nothing here changes at run time.
#[derive(Clone, Debug)]
pub struct ElectionSettings {
    /// This server.
    pub me: ServerId,
    /// Whether it only observes.
    pub observer: bool,
    /// Whose votes count, and how many make a leader.
    pub quorum: Quorum,
    /// The configuration as text, for the others to read.
    pub config: Bytes,
    /// How long a quorum waits for a better vote from those who have not agreed.
    pub patience: Duration,
    /// How long after the first vote it is told again; twice as long each time ...
    pub resend_first: Duration,
    /// ... but never longer than this (P32). Java's limit is a minute.
    pub resend_last: Duration,
}

impl ElectionSettings {
    /// As Apache's servers wait, but never silent for longer than a second.
    pub fn new(me: ServerId, observer: bool, quorum: Quorum, config: Bytes) -> Self {
        Self {
            me,
            observer,
            quorum,
            config,
            patience: Duration::from_millis(200),
            resend_first: Duration::from_millis(200),
            resend_last: Duration::from_secs(1),
        }
    }

    /// Whether this server's own vote counts.
    pub(super) fn votes(&self) -> bool {
        !self.observer && self.quorum.counts(self.me)
    }

    /// A voter wants to lead. An observer has nothing to say. A participant that the configuration does
    /// not name tells what it has, and for whom it is not.
    pub(super) fn initial_vote(&self, candidacy: Candidacy) -> Candidate {
        Candidate {
            leader: self.votes().then_some(self.me),
            zxid: if self.observer {
                Vote::NO_ZXID
            } else {
                candidacy.last_zxid
            },
            peer_epoch: (!self.observer).then_some(candidacy.current_epoch),
        }
    }
}
