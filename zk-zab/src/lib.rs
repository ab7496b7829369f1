//! The agreement: which transactions stand, and in which order. Zab, as Apache ZooKeeper speaks it.
//!
//! This crate knows ids and opaque bytes. It knows no runtime, clock, socket, file or tree: time
//! comes in as an argument, durability as an event, and what has to be done goes out as data.
//!
//! ```text
//!                 Elected (me)    ┌─────────┐ discovery, synchronisation, broadcast
//!               ┌────────────────►│ leading │──────────────┐
//!   start  ┌────┴────┐            └─────────┘              │ any reason to part: silence, a lost
//!  ───────►│ looking │            ┌─────────┐              │ quorum, a word out of place
//!          └────┬────┘◄─┐         │following│              │
//!               └───────┼────────►│observing│──────────────┤
//!                Elected│(other)  └─────────┘              │
//!                       └──────────────────────────────────┘
//! ```
//!
//! A role is a value that owns what it knows; leaving it leaves nothing behind. What outlives every role is
//! the member's history and its promises. A transaction is delivered when a quorum holds it, never because
//! this server wrote it; an acknowledgement exists only after the disk has said that it is true.
//!
//! The contract of [`Zab::step`]: one input in, then drain every effect, then the next input. After every
//! step look at [`Zab::deadline`], and come back with [`Input::Timeout`] then if nothing happens first.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

#[cfg(feature = "canaries")]
pub mod canary;
#[cfg(not(feature = "canaries"))]
mod canary;
mod check;
mod condense;
mod departure;
mod effect;
mod election;
mod epochs;
mod follower;
mod history;
mod input;
mod leader;
mod learner;
mod link;
mod looking;
mod member;
mod message;
mod news;
mod notification;
mod observer;
mod quorum;
mod settings;
mod sync;
pub mod wire;

pub use condense::condense;
pub use departure::Departure;
pub use effect::{Effect, Standing};
pub use election::{Candidacy, Election, ElectionEffect, ElectionSettings};
pub use epochs::Epochs;
pub use input::Input;
pub use link::LinkId;
pub use message::{Forwarded, Identity, LearnerInfo, Message, Touch};
pub use notification::{Notification, PeerState, Round, Vote};
pub use quorum::{Hierarchical, Majority, Misplaced, Progress, Quorum};
pub use settings::Settings;
pub use zk_proto::Time;

use bytes::Bytes;
use canary::Canary;
use leader::Leader;
use learner::{Learner, Step};
use looking::Looking;
use member::Member;
use zk_proto::{ServerId, Zxid};

/// Epochs have 31 bits on the wire.
pub const LAST_EPOCH: u32 = i32::MAX as u32;

/// The agreement core of one server.
#[derive(Clone, Debug)]
pub struct Zab {
    me: Member,
    role: Role,
    /// A server that is no member of any ensemble elects nobody: it leads for ever, and opens epochs by
    /// itself.
    election: Option<Election>,
    /// How many roles have ended.
    roles: u64,
}

#[derive(Clone, Debug)]
enum Role {
    Looking(Looking),
    Leading(Box<Leader>),
    Learning(Learner),
    /// It has resigned, and does nothing any more.
    Retired,
}

impl Role {
    fn serves(&self) -> bool {
        match self {
            Self::Leading(leader) => leader.serves(),
            Self::Learning(learner) => learner.serves(),
            Self::Looking(_) | Self::Retired => false,
        }
    }
}

impl Zab {
    /// A server that is no member of an ensemble, whose log ends with `last`: everything up to it stands.
    pub fn alone(me: ServerId, last: Zxid) -> Self {
        let mut settings = Settings::new(me, Majority::of([me]));
        settings.window = 0;
        let me = Member::new(settings, Epochs::default(), last);
        let mut leader = Box::new(Leader::alone(&me));
        leader.renew_if_spent(&me);
        Self {
            me,
            role: Role::Leading(leader),
            election: None,
            roles: 0,
        }
    }

    /// A member of an ensemble, as its disk knows it: its epochs, and the end of its log. `recent` is what
    /// the log ends with, as far as it is to be kept at hand for learners; of its first one only the place is
    /// looked at, which may be that of a snapshot.
    pub fn member(
        now: Time,
        settings: Settings,
        epochs: Epochs,
        last: Zxid,
        recent: impl IntoIterator<Item = (Zxid, Bytes)>,
        out: &mut Vec<Effect>,
    ) -> Self {
        let election = ElectionSettings::new(
            settings.me,
            settings.observer,
            settings.quorum.clone(),
            settings.config.clone(),
        );
        let mut me = Member::new(settings, epochs, last);
        me.history.remember(recent);
        out.push(Effect::Become(Standing::Looking(Departure::Started)));
        let mut zab = Self {
            me,
            role: Role::Looking(Looking::begin()),
            election: Some(Election::new(election)),
            roles: 0,
        };
        zab.settle(now, out);
        zab
    }

    /// The place the next proposal will take. Its author needs to know it beforehand, because the zxid is
    /// part of what a transaction says. `None` while nothing can be proposed here.
    pub fn next_zxid(&self) -> Option<Zxid> {
        match &self.role {
            Role::Leading(leader) => leader.next_zxid(&self.me),
            Role::Looking(_) | Role::Learning(_) | Role::Retired => None,
        }
    }

    /// One event in, its consequences out. Never blocks, never fails, never looks at a clock.
    pub fn step(&mut self, now: Time, input: Input, out: &mut Vec<Effect>) {
        let served = self.serves();
        if let Err(because) = self.on_input(now, input, out) {
            self.become_looking(because, out);
        }
        self.settle(now, out);
        if let Some(election) = &mut self.election
            && !served
            && self.role.serves()
        {
            election.on_epoch_established(self.me.promises.current());
        }
        if cfg!(debug_assertions) {
            self.check();
        }
    }

    /// When to come back if nothing happens first. A quorum of one never waits for anyone.
    pub fn deadline(&self) -> Option<Time> {
        match &self.role {
            Role::Looking(looking) => {
                let election = self.election.as_ref().and_then(Election::deadline);
                looking.deadline().or(election)
            }
            Role::Retired => None,
            Role::Leading(leader) => leader.deadline(&self.me),
            Role::Learning(learner) => Some(learner.deadline()),
        }
    }

    /// Whether clients may be served here.
    pub fn serves(&self) -> bool {
        self.role.serves()
    }

    /// A voter that looks for a leader in a later round than the one in which this server was elected does
    /// not come any more (ZOOKEEPER-3109).
    fn note_deserter(&mut self, from: ServerId, said: &Notification) -> Step<()> {
        let vote = self.election.as_ref().and_then(Election::vote);
        let later = vote.is_some_and(|vote| said.vote.round > vote.round);
        match &mut self.role {
            Role::Leading(leader) if said.state == PeerState::Looking && later => {
                leader.on_deserter(from, &self.me)
            }
            Role::Leading(_) | Role::Looking(_) | Role::Learning(_) | Role::Retired => Ok(()),
        }
    }

    /// A role has ended, or a disk has answered: once all is at rest, the election begins.
    fn settle(&mut self, now: Time, out: &mut Vec<Effect>) {
        let Role::Looking(looking) = &mut self.role else {
            return;
        };
        if looking.settle(&mut self.me, now, out) {
            let candidacy = Candidacy {
                last_zxid: if Canary::VoteForApplied.sings() {
                    self.me.history.delivered()
                } else {
                    self.me.history.logged()
                },
                current_epoch: self.me.promises.current(),
            };
            let begun = self.elect(now, out, |election, said| {
                election.start(now, candidacy, said);
            });
            if let Err(because) = begun {
                self.become_looking(because, out);
            }
        }
    }

    /// The election takes a step, and may end.
    fn elect(
        &mut self,
        now: Time,
        out: &mut Vec<Effect>,
        step: impl FnOnce(&mut Election, &mut Vec<ElectionEffect>),
    ) -> Step<()> {
        let Some(election) = &mut self.election else {
            return Ok(());
        };
        let mut said = Vec::new();
        step(election, &mut said);
        for effect in said {
            match effect {
                ElectionEffect::Send { to, notification } => {
                    out.push(Effect::Notify { to, notification });
                }
                ElectionEffect::Elected { leader, .. } => self.on_elected(leader, now, out)?,
            }
        }
        Ok(())
    }

    fn on_input(&mut self, now: Time, input: Input, out: &mut Vec<Effect>) -> Step<()> {
        // What the disk says is true in every role, and is noted before any role may end.
        let disk = self.note_disk(&input);
        if let Role::Leading(leader) = &mut self.role {
            leader.check_lease(&self.me, now)?;
        }
        if disk {
            return self.on_disk(now, &input, out);
        }
        match input {
            Input::Timeout => self.on_timeout(now, out),
            Input::Propose { payload } => self.on_propose(payload, now, out),
            Input::Confirm { ticket } => {
                if let Role::Leading(leader) = &mut self.role {
                    leader.on_confirm(ticket, &self.me, out);
                }
                Ok(())
            }
            Input::Resign => self.on_resign(now),
            Input::Elected { leader } => self.elect(now, out, |election, said| {
                election.on_appointed(leader, said);
            }),
            Input::Notified { from, notification } => {
                self.elect(now, out, |election, said| {
                    election.on_notification(now, from, &notification, said);
                })?;
                self.note_deserter(from, &notification)
            }
            Input::Refused { by } => self.elect(now, out, |election, said| {
                election.on_refused(now, by, said);
            }),
            Input::TruncateFailed => {
                out.push(Effect::Halt(Departure::CannotTruncate));
                Ok(())
            }
            Input::Accepted { .. }
            | Input::Dialled { .. }
            | Input::DialFailed { .. }
            | Input::Received { .. }
            | Input::Closed { .. }
            | Input::SnapshotSent { .. }
            | Input::LogSought { .. }
            | Input::LogSent { .. } => self.on_link(input, now, out),
            Input::Persisted { .. }
            | Input::AcceptedPersisted { .. }
            | Input::CurrentPersisted { .. }
            | Input::Truncated { .. }
            | Input::SnapshotReceived { .. }
            | Input::SnapshotAbandoned { .. } => unreachable!("the disk's words are noted above"),
        }
    }

    /// Takes note of what the disk says. Whether it said something.
    fn note_disk(&mut self, input: &Input) -> bool {
        let Member {
            history, promises, ..
        } = &mut self.me;
        match *input {
            Input::Persisted { through } => history.on_persisted(through),
            Input::AcceptedPersisted { epoch } => promises.on_accepted(epoch),
            Input::CurrentPersisted { epoch } => promises.on_adopted(epoch),
            Input::Truncated { to } => history.on_truncated(to),
            Input::SnapshotReceived { zxid, .. } => history.on_snapshot_received(zxid),
            Input::SnapshotAbandoned { .. } => history.on_snapshot_abandoned(),
            Input::Timeout
            | Input::Propose { .. }
            | Input::TruncateFailed
            | Input::Accepted { .. }
            | Input::Dialled { .. }
            | Input::DialFailed { .. }
            | Input::Received { .. }
            | Input::Closed { .. }
            | Input::SnapshotSent { .. }
            | Input::LogSought { .. }
            | Input::LogSent { .. }
            | Input::Confirm { .. }
            | Input::Resign
            | Input::Notified { .. }
            | Input::Refused { .. }
            | Input::Elected { .. } => return false,
        }
        true
    }

    /// What waited for the disk goes on.
    fn on_disk(&mut self, now: Time, input: &Input, out: &mut Vec<Effect>) -> Step<()> {
        let me = &mut self.me;
        let accepted = matches!(input, Input::AcceptedPersisted { .. });
        let adopted = matches!(input, Input::CurrentPersisted { .. });
        if let Role::Leading(leader) = &mut self.role {
            if accepted {
                return leader.on_accepted(me, now, out);
            }
            if adopted {
                leader.on_adopted(me, now, out);
                return Ok(());
            }
            return leader.on_persisted(me, now, out);
        }
        self.learn(|learner, me| {
            if accepted {
                return Ok(learner.on_accepted(me, now, out));
            }
            if let Input::SnapshotReceived { link, .. } = *input {
                return learner.on_snapshot(link, true, me, now);
            }
            if let Input::SnapshotAbandoned { link } = *input {
                return learner.on_snapshot(link, false, me, now);
            }
            Ok(learner.on_disk(me, now, out))
        })
    }

    /// A step of the learner's role, which consumes the role as it was.
    fn learn(&mut self, step: impl FnOnce(Learner, &mut Member) -> Step<Learner>) -> Step<()> {
        let Role::Learning(learner) = &self.role else {
            return Ok(());
        };
        let learner = step(learner.clone(), &mut self.me)?;
        self.role = Role::Learning(learner);
        Ok(())
    }

    fn on_timeout(&mut self, now: Time, out: &mut Vec<Effect>) -> Step<()> {
        match &mut self.role {
            Role::Leading(leader) => leader.on_time(&mut self.me, now, out),
            Role::Learning(_) => self.learn(|learner, _| learner.on_time(now, out)),
            Role::Looking(_) => self.elect(now, out, |election, said| {
                election.on_timeout(now, said);
            }),
            Role::Retired => Ok(()),
        }
    }

    fn on_propose(&mut self, payload: Bytes, now: Time, out: &mut Vec<Effect>) -> Step<()> {
        let Role::Leading(leader) = &mut self.role else {
            unreachable!("only a leader names the place of a proposal");
        };
        leader.on_propose(payload, &mut self.me, now, out)?;
        if self.election.is_none() {
            leader.renew_if_spent(&self.me);
        }
        Ok(())
    }

    fn on_elected(&mut self, leader: ServerId, now: Time, out: &mut Vec<Effect>) -> Step<()> {
        let Role::Looking(Looking::Electing) = &self.role else {
            return Ok(());
        };
        if leader == self.me.settings.me {
            out.push(Effect::Become(Standing::Leading));
            let leader = Leader::begin(&mut self.me, now, out)?;
            self.role = Role::Leading(Box::new(leader));
            return Ok(());
        }
        let standing = if self.me.settings.observer {
            Standing::Observing(leader)
        } else {
            Standing::Following(leader)
        };
        out.push(Effect::Become(standing));
        let vote = self.election.as_ref().and_then(Election::vote);
        let last = vote.map_or(Zxid::ZERO, |vote| vote.zxid);
        let learner = Learner::begin(leader, last, &self.me, now, out);
        self.role = Role::Learning(learner);
        Ok(())
    }

    /// A connection has come, gone, or said something. What comes on one that is not ours any more is old.
    fn on_link(&mut self, input: Input, now: Time, out: &mut Vec<Effect>) -> Step<()> {
        match &mut self.role {
            Role::Leading(leader) => return leader.on_link(input, &mut self.me, now, out),
            Role::Learning(learner) => {
                let own = learner.link();
                return self.learn(|learner, me| learner.on_link(own, input, me, now, out));
            }
            Role::Looking(_) | Role::Retired => {}
        }
        if let Input::Accepted { link } | Input::Dialled { link, .. } = input {
            refuse(link, out);
        }
        Ok(())
    }

    fn on_resign(&mut self, now: Time) -> Step<()> {
        match &mut self.role {
            Role::Leading(leader) => leader.on_resign(&self.me, now),
            Role::Learning(_) => Err(Departure::Resigned),
            Role::Looking(_) => Err(Departure::Resigned),
            Role::Retired => Ok(()),
        }
    }

    /// Ends a role: its links are closed, and nothing of it is left.
    fn become_looking(&mut self, because: Departure, out: &mut Vec<Effect>) {
        match &self.role {
            Role::Leading(leader) => {
                out.extend(leader.links().map(|link| Effect::Close { link, because }));
            }
            Role::Learning(learner) => {
                out.extend(learner.link().map(|link| Effect::Close { link, because }));
            }
            Role::Looking(_) | Role::Retired => {}
        }
        if let Some(election) = &mut self.election {
            election.rest();
        }
        if because == Departure::Resigned {
            self.role = Role::Retired;
            out.push(Effect::Resigned);
            return;
        }
        if because == Departure::EpochsExhausted {
            out.push(Effect::Halt(because));
        }
        out.push(Effect::Become(Standing::Looking(because)));
        self.roles += 1;
        self.role = Role::Looking(Looking::again(&self.me, self.roles));
    }
}

/// Nobody leads here, or the call comes too late.
pub(crate) fn refuse(link: LinkId, out: &mut Vec<Effect>) {
    let because = Departure::NotLeading;
    out.push(Effect::Close { link, because });
}
