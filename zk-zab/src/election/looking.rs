//! One round after the other, until there is a leader.

use super::ElectionSettings;
use super::ballots::{Ballots, Candidate};
use crate::{Notification, PeerState, Quorum, Round, Time, Vote};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;
use zk_proto::{ServerId, Zxid};

/// A server without a leader.
#[derive(Clone, Debug)]
pub(super) struct Looking {
    /// What it began with, and begins every later round with.
    initial: Candidate,
    /// The best it knows of in this round; never worse than `initial`.
    proposal: Candidate,
    /// The votes of this round.
    heard: Ballots,
    /// The words of those who have a leader, whatever their round.
    established: Ballots,
    decision: Decision,
    resend_at: Time,
    silence: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Decision {
    Open,
    /// A quorum agrees. Unless somebody betters its vote until then, it stands.
    StandsAt(Time),
}

impl Looking {
    pub(super) fn new(now: Time, initial: Candidate, settings: &ElectionSettings) -> Self {
        Self {
            initial,
            proposal: initial,
            heard: Ballots::default(),
            established: Ballots::default(),
            decision: Decision::Open,
            resend_at: now + settings.resend_first,
            silence: settings.resend_first,
        }
    }

    pub(super) const fn proposal(&self) -> Candidate {
        self.proposal
    }

    pub(super) fn deadline(&self) -> Time {
        match self.decision {
            Decision::Open => self.resend_at,
            Decision::StandsAt(time) => time.min(self.resend_at),
        }
    }

    pub(super) fn is_decided(&self, now: Time) -> bool {
        matches!(self.decision, Decision::StandsAt(time) if time <= now)
    }

    /// Whether it is time to speak again. The next silence is longer.
    pub(super) fn is_silent_too_long(&mut self, now: Time, settings: &ElectionSettings) -> bool {
        if now < self.resend_at {
            return false;
        }
        self.silence = (self.silence * 2).min(settings.resend_last);
        self.resend_at = now + self.silence;
        true
    }

    /// Whether the sender should hear of this server's vote: it is behind in rounds, or its vote is
    /// worse, so that it cannot have heard.
    pub(super) fn knows_better_than(&self, said: &Notification, round: Round) -> bool {
        let behind = match said.vote.round.cmp(&round) {
            Ordering::Less => true,
            Ordering::Equal => Candidate::of(&said.vote) < self.proposal,
            Ordering::Greater => false,
        };
        said.state == PeerState::Looking && behind
    }

    /// A voter that looks as well. Whether this server's own vote has changed.
    pub(super) fn take(
        &mut self,
        from: ServerId,
        vote: &Vote,
        round: &mut Round,
        quorum: &Quorum,
    ) -> bool {
        // Whatever leader it once had, it has none now.
        self.established.forget(from);
        if self.has_nothing() || vote.zxid == Zxid::NONE {
            return false;
        }
        let candidate = Candidate::of(vote);
        let changed = match vote.round.cmp(round) {
            Ordering::Less => return false,
            Ordering::Greater => {
                *round = vote.round;
                self.heard.clear();
                self.propose(if candidate.betters(&self.initial, quorum) {
                    candidate
                } else {
                    self.initial
                });
                true
            }
            Ordering::Equal if candidate.betters(&self.proposal, quorum) => {
                self.propose(candidate);
                true
            }
            Ordering::Equal => false,
        };
        self.heard.cast(from, PeerState::Looking, *vote);
        changed
    }

    fn propose(&mut self, candidate: Candidate) {
        assert!(
            self.initial.leader.is_none() || candidate >= self.initial,
            "nobody votes for less than it has"
        );
        self.proposal = candidate;
        self.decision = Decision::Open;
    }

    /// Whether the votes of this round have decided it.
    pub(super) fn weigh(
        &mut self,
        now: Time,
        round: Round,
        settings: &ElectionSettings,
        gone: &BTreeSet<ServerId>,
    ) -> bool {
        let proposed = self.proposal.in_round(round);
        let mut agreeing = self.heard.who(|ballot| ballot.vote == proposed);
        if settings.votes() && !self.has_nothing() {
            agreeing.insert(settings.me);
        }
        let quorum = &settings.quorum;
        if !self.proposal.may_lead(quorum) || !quorum.is_met_by(&agreeing) {
            self.decision = Decision::Open;
            return false;
        }
        let voters = quorum.voters();
        let mut open = voters.difference(&agreeing);
        if open.all(|voter| gone.contains(voter)) {
            return true;
        }
        if matches!(self.decision, Decision::Open) {
            self.decision = Decision::StandsAt(now + settings.patience);
        }
        false
    }

    /// A voter that has a leader. Whether this server has the same leader from now on.
    pub(super) fn join(
        &mut self,
        from: ServerId,
        said: &Notification,
        round: Round,
        settings: &ElectionSettings,
    ) -> bool {
        let vote = said.vote;
        let Some(leader) = vote.leader else {
            return false;
        };
        self.established.cast(from, said.state, vote);
        if vote.round == round {
            self.heard.cast(from, said.state, vote);
        }
        if leader == settings.me {
            return self.leads_itself(&vote, round, settings);
        }
        self.has_elected(&vote, leader, round, settings) || self.is_led_by(&vote, leader, settings)
    }

    /// In this very round: those who have a leader need to agree in nothing but who it is, those who
    /// look in everything.
    fn has_elected(
        &self,
        vote: &Vote,
        leader: ServerId,
        round: Round,
        settings: &ElectionSettings,
    ) -> bool {
        let mut agreeing = self.heard.who(|ballot| match ballot.state {
            PeerState::Looking => ballot.vote == *vote,
            PeerState::Following | PeerState::Leading | PeerState::Observing => {
                ballot.vote.leader == vote.leader
            }
        });
        if settings.votes() && self.proposal.in_round(round) == *vote {
            agreeing.insert(settings.me);
        }
        vote.round == round
            && settings.quorum.is_met_by(&agreeing)
            && self.heard.says_it_leads(leader)
    }

    /// In any round: the leader and its epoch are the same for all of them (ZOOKEEPER-1732, 1805).
    fn is_led_by(&self, vote: &Vote, leader: ServerId, settings: &ElectionSettings) -> bool {
        let agreeing = self.established.who(|ballot| {
            ballot.vote.leader == vote.leader && ballot.vote.peer_epoch == vote.peer_epoch
        });
        settings.quorum.is_met_by(&agreeing) && self.established.says_it_leads(leader)
    }

    /// Others say that this server leads, and were faster to say so than it was. Only its own vote of
    /// this round can make that true: what they say may be about an earlier life of this server.
    fn leads_itself(&self, vote: &Vote, round: Round, settings: &ElectionSettings) -> bool {
        let mine = self.proposal.in_round(round);
        let mut agreeing = self.heard.who(|ballot| ballot.vote == mine);
        agreeing.insert(settings.me);
        *vote == mine && settings.votes() && settings.quorum.is_met_by(&agreeing)
    }

    /// A server whose data is missing has no say, and hears nothing but of leaders there are (P26).
    fn has_nothing(&self) -> bool {
        self.initial.zxid == Zxid::NONE
    }
}
