//! Fast leader election: who shall lead, agreed upon by votes that only ever grow.
//!
//! ```text
//!             start: next round, vote for oneself, tell all voters
//!               │
//!   ┌───────────▼──────────────────────────────────────────────────────────────────────┐
//!   │ LOOKING    a better vote, or a later round: take it over, tell all voters        │
//!   │            silence: tell all voters again, after 200 ms, 400 ms, 800 ms, 1 s ... │
//!   └───┬───────────────────────────────────────────────┬──────────────────────────────┘
//!       │ a quorum casts my vote, and                   │ a quorum has a leader already,
//!       │ nobody can better it, or nobody               │ and the leader says so itself
//!       │ does for 200 ms                               │
//!   ┌───▼───────────────────────────────────────────────▼──────┐
//!   │ settled: FOLLOWING, LEADING, OBSERVING.                  │
//!   │          Who still looks is told of the leader           │──► start again, when the role ends
//!   └──────────────────────────────────────────────────────────┘
//! ```
//!
//! The rules are those of Apache's `FastLeaderElection`, so that its servers and these elect together
//! (`docs/PROTOCOL.md`). Four things differ, and none shows on the wire but as one message more or
//! less: silence is never longer than a second (P32); a vote worse than one's own is answered, as its
//! sender may have missed it; nobody waits for a better vote when all have spoken, or are gone since the
//! last leader; who looks for a leader is no longer counted among those that have one.
//!
//! An election is no proof of anything: a leader must still find a quorum that accepts its epoch and
//! has no more than it has. What is elected wrongly costs time, never data.
//!
//! Members and weights are fixed here: configurations in notifications are not looked at.

mod ballots;
mod looking;
mod settings;

pub use settings::ElectionSettings;

use crate::{Notification, PeerState, Round, Time, Vote};
use looking::Looking;
use std::collections::BTreeSet;
use std::fmt;
use zk_proto::{Epoch, ServerId, Zxid};

/// What an election wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectionEffect {
    /// Tell a server. What was to be told before and has not left yet is out of date.
    Send {
        /// Whom.
        to: ServerId,
        /// What.
        notification: Notification,
    },
    /// There is a leader. The role begins.
    Elected {
        /// What this server is from now on; never [`PeerState::Looking`].
        role: PeerState,
        /// The leader.
        leader: ServerId,
    },
}

/// What a server has to offer as a leader: its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidacy {
    /// The last transaction that is durable, [`Zxid::NONE`] if data is missing (P26).
    pub last_zxid: Zxid,
    /// The epoch of that history.
    pub current_epoch: Epoch,
}

/// One server's part in the election.
#[derive(Clone, Debug)]
pub struct Election {
    settings: ElectionSettings,
    round: Round,
    phase: Phase,
    /// Voters whose election port refuses connections: nobody is there to vote.
    gone: BTreeSet<ServerId>,
    /// Whether there has been a leader. Before that all may be starting, and who refuses now may be
    /// about to listen.
    veteran: bool,
}

#[derive(Clone, Debug)]
enum Phase {
    /// No role and no vote: between the end of a role and the next round.
    Resting,
    Looking(Looking),
    Settled {
        role: PeerState,
        vote: Vote,
    },
}

impl Election {
    /// A server that has just started, and says nothing until its first round.
    pub fn new(settings: ElectionSettings) -> Self {
        Self {
            settings,
            round: Round::ZERO,
            phase: Phase::Resting,
            gone: BTreeSet::new(),
            veteran: false,
        }
    }

    /// What this server says it is doing.
    pub fn state(&self) -> PeerState {
        match &self.phase {
            Phase::Resting | Phase::Looking(_) => PeerState::Looking,
            Phase::Settled { role, .. } => *role,
        }
    }

    /// The vote it would answer with, if it has any.
    pub fn vote(&self) -> Option<Vote> {
        match &self.phase {
            Phase::Resting => None,
            Phase::Looking(looking) => Some(looking.proposal().in_round(self.round)),
            Phase::Settled { vote, .. } => Some(*vote),
        }
    }

    /// When to call [`Election::on_timeout`] if nothing happens first.
    pub fn deadline(&self) -> Option<Time> {
        match &self.phase {
            Phase::Looking(looking) => Some(looking.deadline()),
            Phase::Resting | Phase::Settled { .. } => None,
        }
    }

    /// The role has ended, and the server cannot vote yet: it is silent.
    pub fn rest(&mut self) {
        self.phase = Phase::Resting;
    }

    /// The next round begins. What this server offers must be durable (ZOOKEEPER-2845).
    pub fn start(&mut self, now: Time, candidacy: Candidacy, out: &mut Vec<ElectionEffect>) {
        self.round = self.round.next();
        let initial = self.settings.initial_vote(candidacy);
        let looking = Looking::new(now, initial, &self.settings);
        self.phase = Phase::Looking(looking);
        self.tell_all(out);
        self.weigh(now, out);
    }

    /// The leader has been accepted in a new epoch: late comers are told so. Nothing else of the vote
    /// changes until the next election.
    pub fn on_epoch_established(&mut self, epoch: Epoch) {
        if let Phase::Settled { vote, .. } = &mut self.phase {
            vote.peer_epoch = Some(epoch);
        }
    }

    /// Nobody listens at this server's election port.
    pub fn on_refused(&mut self, now: Time, by: ServerId, out: &mut Vec<ElectionEffect>) {
        if self.veteran {
            self.gone.insert(by);
            self.weigh(now, out);
        }
    }

    /// The election is decided by other means, right or wrong.
    pub fn on_appointed(&mut self, leader: ServerId, out: &mut Vec<ElectionEffect>) {
        let Phase::Looking(looking) = &self.phase else {
            return;
        };
        let mut vote = looking.proposal().in_round(self.round);
        vote.leader = Some(leader);
        self.settle(vote, out);
    }

    /// A server tells its vote.
    pub fn on_notification(
        &mut self,
        now: Time,
        from: ServerId,
        said: &Notification,
        out: &mut Vec<ElectionEffect>,
    ) {
        if from == self.settings.me {
            return;
        }
        self.gone.remove(&from);
        if !self.settings.quorum.counts(from) {
            self.answer_non_voter(from, said, out);
            return;
        }
        match &mut self.phase {
            Phase::Resting => {}
            Phase::Settled { .. } if said.state == PeerState::Looking => self.answer(from, out),
            Phase::Settled { .. } => {}
            Phase::Looking(looking) => {
                if looking.knows_better_than(said, self.round) {
                    self.answer(from, out);
                }
                self.on_vote(now, from, said, out);
            }
        }
    }

    /// The deadline has come.
    pub fn on_timeout(&mut self, now: Time, out: &mut Vec<ElectionEffect>) {
        let Phase::Looking(looking) = &mut self.phase else {
            return;
        };
        if looking.is_decided(now) {
            let vote = looking.proposal().in_round(self.round);
            self.settle(vote, out);
        } else if looking.is_silent_too_long(now, &self.settings) {
            self.tell_all(out);
        }
    }

    /// A voter's vote, while this server looks for a leader.
    fn on_vote(
        &mut self,
        now: Time,
        from: ServerId,
        said: &Notification,
        out: &mut Vec<ElectionEffect>,
    ) {
        let quorum = &self.settings.quorum;
        if !said.vote.leader.is_some_and(|leader| quorum.counts(leader)) {
            return;
        }
        let Phase::Looking(looking) = &mut self.phase else {
            return;
        };
        match said.state {
            PeerState::Observing => {}
            PeerState::Looking => {
                if looking.take(from, &said.vote, &mut self.round, quorum) {
                    self.tell_all(out);
                }
                self.weigh(now, out);
            }
            PeerState::Following | PeerState::Leading => {
                let round = self.round;
                if looking.join(from, said, round, &self.settings) {
                    self.round = said.vote.round;
                    self.settle(said.vote, out);
                }
            }
        }
    }

    /// Whether the votes of this round decide it, now or after a while.
    fn weigh(&mut self, now: Time, out: &mut Vec<ElectionEffect>) {
        let Phase::Looking(looking) = &mut self.phase else {
            return;
        };
        if looking.weigh(now, self.round, &self.settings, &self.gone) {
            let vote = looking.proposal().in_round(self.round);
            self.settle(vote, out);
        }
    }

    fn settle(&mut self, vote: Vote, out: &mut Vec<ElectionEffect>) {
        let leader = vote.leader.expect("nobody is elected without a name");
        let settings = &self.settings;
        assert!(settings.quorum.counts(leader), "only voters lead");
        let role = match () {
            () if leader == settings.me => PeerState::Leading,
            () if settings.observer => PeerState::Observing,
            () => PeerState::Following,
        };
        self.phase = Phase::Settled { role, vote };
        self.veteran = true;
        out.push(ElectionEffect::Elected { role, leader });
    }

    fn tell_all(&self, out: &mut Vec<ElectionEffect>) {
        for voter in self.settings.quorum.voters() {
            if voter != self.settings.me {
                self.answer(voter, out);
            }
        }
    }

    /// Who does not vote is told of the round this server has got to, whatever it voted in.
    fn answer_non_voter(&self, to: ServerId, said: &Notification, out: &mut Vec<ElectionEffect>) {
        // Answering answers as well would never end between servers of different configurations.
        if said.state != PeerState::Looking {
            return;
        }
        if let Some(vote) = self.vote() {
            let round = self.round;
            self.send(to, Vote { round, ..vote }, out);
        }
    }

    fn answer(&self, to: ServerId, out: &mut Vec<ElectionEffect>) {
        if let Some(vote) = self.vote() {
            self.send(to, vote, out);
        }
    }

    fn send(&self, to: ServerId, vote: Vote, out: &mut Vec<ElectionEffect>) {
        let notification = Notification {
            state: self.state(),
            vote,
            config: self.settings.config.clone(),
        };
        out.push(ElectionEffect::Send { to, notification });
    }
}

impl fmt::Display for ElectionEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { to, notification } => write!(f, "tell {to}: {notification}"),
            Self::Elected { role, leader } => write!(f, "elected {leader}: {role}"),
        }
    }
}

#[cfg(test)]
mod tests;
