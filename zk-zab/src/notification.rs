//! What servers say to each other while they elect a leader: a vote, and the state of who casts it.
//! Their bytes are in [`crate::wire`].

use bytes::Bytes;
use std::fmt;
use zk_proto::{Epoch, ServerId, Zxid};

/// What a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// It has no leader and looks for one.
    Looking,
    /// It follows a leader.
    Following,
    /// It leads.
    Leading,
    /// It observes a leader.
    Observing,
}

/// A round of the election: Java's `electionEpoch`, counted by each server for itself and caught up
/// with others. It has nothing to do with a leader's epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round(u64);

impl Round {
    /// Before the first round.
    pub const ZERO: Self = Self(0);
    /// Above this nobody counts: a server in whom one bad number had pushed the round to the end of
    /// its range could never begin another.
    pub const MAX: Self = Self(1 << 56);

    /// A round by its number, or `None` above [`Round::MAX`].
    pub const fn new(number: u64) -> Option<Self> {
        if number > Self::MAX.0 {
            None
        } else {
            Some(Self(number))
        }
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The round after this one. At the end of the range it stays: others no longer hear of higher
    /// ones, and there is none to be outrun by.
    pub const fn next(self) -> Self {
        if self.0 < Self::MAX.0 {
            Self(self.0 + 1)
        } else {
            self
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whom a server wants to lead, and why: the history that candidate has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The candidate; `None` from who may not stand and has heard of nobody yet.
    pub leader: Option<ServerId>,
    /// The candidate's last transaction when the vote was first cast.
    pub zxid: Zxid,
    /// The epoch of the candidate's history; `None` as for the candidate.
    pub peer_epoch: Option<Epoch>,
    /// The round in which the vote was cast.
    pub round: Round,
}

impl Vote {
    /// What Java writes for the zxid of a vote for nobody.
    pub const NO_ZXID: Zxid = Zxid::from_wire(i64::MIN);
}

impl fmt::Display for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leader {
            Some(leader) => write!(f, "for={leader}")?,
            None => f.write_str("for=nobody")?,
        }
        match self.zxid {
            Self::NO_ZXID => {}
            zxid => write!(f, " zxid={zxid}")?,
        }
        if let Some(epoch) = self.peer_epoch {
            write!(f, " epoch={epoch}")?;
        }
        write!(f, " round={}", self.round)
    }
}

/// A vote as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What the sender is doing.
    pub state: PeerState,
    /// Its vote. Once it has a leader, `round` is the one that vote was cast in.
    pub vote: Vote,
    /// The sender's committed configuration, as text; empty from servers before 3.5.
    pub config: Bytes,
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Looking => "LOOKING",
            Self::Following => "FOLLOWING",
            Self::Leading => "LEADING",
            Self::Observing => "OBSERVING",
        })
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.state, self.vote)
    }
}
