//! A server that leads, or tries to.
//!
//! ```text
//!   Discovery ──quorum of FOLLOWERINFO──► Promising ──durable──► Gathering ──quorum of ACKEPOCH──┐
//!                                        accepted epoch          LEADERINFO                      ▼
//!   Broadcast ◄──quorum of ACK(NEWLEADER)── Synchronising ◄──durable── Adopting (current epoch)
//!    UPTODATE                                DIFF, TRUNC, SNAP, NEWLEADER
//! ```
//! Each learner goes its own way meanwhile ([`peer`]); the leader's phase says how far they may go.
//! Here: the phases, and who is told of an event. How an epoch is opened is in [`opening`], how a learner
//! gets its history in [`synchronising`], proposals and commits are in [`broadcast`], patience is in
//! [`patience`].

mod broadcast;
mod confirm;
mod feed;
mod opening;
mod patience;
mod peer;
mod synchronising;

use crate::canary::Canary;
use crate::learner::Step;
use crate::member::Member;
use crate::{Departure, Effect, Input, LinkId, Message, Time, refuse};
use broadcast::Broadcast;
use peer::{Peer, Stage};
use std::collections::{BTreeMap, BTreeSet};
use zk_proto::{Epoch, ServerId, Zxid};

#[derive(Clone, Debug)]
pub(crate) struct Leader {
    phase: Phase,
    /// Connections that have not said who they are, and since when.
    strangers: BTreeMap<LinkId, Time>,
    peers: BTreeMap<LinkId, Peer>,
    /// Voters that have gone on to another election.
    deserters: BTreeSet<ServerId>,
    next_ping: Time,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Waiting for a quorum to come. `highest` is the highest epoch anyone has promised.
    Discovery { highest: Epoch, until: Time },
    /// The new epoch is on its way to the disk.
    Promising { epoch: Epoch, until: Time },
    /// Waiting for a quorum to promise it.
    Gathering {
        epoch: Epoch,
        promised: BTreeSet<ServerId>,
        until: Time,
    },
    /// The epoch of the history is on its way to the disk.
    Adopting { epoch: Epoch, until: Time },
    /// Waiting for a quorum to have our history, which ends with `stands`.
    Synchronising {
        epoch: Epoch,
        stands: Zxid,
        until: Time,
    },
    /// In office.
    Broadcast(Box<Broadcast>),
}

impl Leader {
    /// The election is won; now a quorum must come.
    pub(crate) fn begin(me: &mut Member, now: Time, out: &mut Vec<Effect>) -> Step<Self> {
        let highest = me.promises.accepted();
        let until = now + me.settings.init_time();
        let mut leader = Self {
            phase: Phase::Discovery { highest, until },
            strangers: BTreeMap::new(),
            peers: BTreeMap::new(),
            deserters: BTreeSet::new(),
            next_ping: now,
        };
        leader.open_epoch(me, now, out)?;
        Ok(leader)
    }

    /// In office at once, with nobody to ask and no epoch to open: a server that is no member of an
    /// ensemble.
    pub(crate) fn alone(me: &Member) -> Self {
        let epoch = me.history.logged().epoch();
        Self {
            phase: Phase::Broadcast(Box::new(Broadcast::new(epoch, me, Time::default()))),
            strangers: BTreeMap::new(),
            peers: BTreeMap::new(),
            deserters: BTreeSet::new(),
            next_ping: Time::default(),
        }
    }

    /// The epoch this leader opens or has opened.
    pub(crate) const fn epoch(&self) -> Option<Epoch> {
        match &self.phase {
            Phase::Discovery { .. } => None,
            Phase::Promising { epoch, .. }
            | Phase::Gathering { epoch, .. }
            | Phase::Adopting { epoch, .. }
            | Phase::Synchronising { epoch, .. } => Some(*epoch),
            Phase::Broadcast(broadcast) => Some(broadcast.epoch()),
        }
    }

    pub(crate) const fn serves(&self) -> bool {
        matches!(self.phase, Phase::Broadcast(_))
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = LinkId> {
        self.strangers.keys().chain(self.peers.keys()).copied()
    }

    /// A connection has come, gone, or may be written to again.
    pub(crate) fn on_link(
        &mut self,
        input: Input,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        if let Input::Received { link, message } = input {
            return self.on_message(link, message, me, now, out);
        }
        if let Input::Accepted { link } = input {
            self.strangers.insert(link, now);
        }
        if let Input::Closed { link } = input {
            return self.on_closed(link, me, now, out);
        }
        if let Input::SnapshotSent { link } | Input::LogSent { link } = input {
            self.on_copied(link, me, now, out);
        }
        if let Input::LogSought { link, found } = input {
            self.on_log_sought(link, found, me, out);
        }
        if let Input::Dialled { link, .. } = input {
            refuse(link, out);
        }
        Ok(())
    }

    /// A word from a learner. A word out of place costs that learner its link (I20), and may cost us our
    /// quorum; nothing else does.
    fn on_message(
        &mut self,
        link: LinkId,
        message: Message,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        if self.strangers.remove(&link).is_some() {
            return self.on_greeting(link, message, me, now, out);
        }
        let Some(peer) = self.peers.get_mut(&link) else {
            return Ok(());
        };
        peer.heard = now;
        match message {
            Message::AckEpoch {
                last_zxid,
                current_epoch,
            } => self.on_ack_epoch(link, last_zxid, current_epoch, me, now, out),
            Message::Ack { zxid } => self.on_ack(link, zxid, me, now, out),
            Message::Pong { touched, .. } => {
                let answered = self.on_pong(link, me, out);
                if answered && !touched.is_empty() {
                    out.push(Effect::Touched { link, touched });
                }
                if answered {
                    return Ok(());
                }
                self.part(link, Departure::OutOfPlace, me, out)
            }
            Message::Request(_) | Message::Revalidate(_)
                if matches!(peer.stage, Stage::Serving(_)) =>
            {
                let from = peer.server;
                out.push(Effect::Asked {
                    link,
                    from,
                    message,
                });
                Ok(())
            }
            Message::Request(_)
            | Message::Revalidate(_)
            | Message::FollowerInfo { .. }
            | Message::ObserverInfo { .. }
            | Message::LeaderInfo { .. }
            | Message::Diff { .. }
            | Message::Trunc { .. }
            | Message::Snap { .. }
            | Message::NewLeader { .. }
            | Message::UpToDate
            | Message::Proposal { .. }
            | Message::Commit { .. }
            | Message::Inform { .. }
            | Message::Ping { .. }
            | Message::Revalidated { .. }
            | Message::Sync
            | Message::CommitAndActivate { .. }
            | Message::InformAndActivate { .. } => self.part(link, Departure::OutOfPlace, me, out),
        }
    }

    /// An ACK: of NEWLEADER where that is what is waited for, told by its zxid (ZOOKEEPER-4685), of a
    /// transaction otherwise.
    fn on_ack(
        &mut self,
        link: LinkId,
        zxid: Zxid,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        let newleader = self.epoch().map(Zxid::first_of);
        let Some(peer) = self.peers.get_mut(&link) else {
            return Ok(());
        };
        match &mut peer.stage {
            Stage::Told(_) if Some(zxid) == newleader || Canary::AnyAckIsNewLeaders.sings() => {
                self.on_newleader_ack(link, me, now, out)
            }
            Stage::Told(feed) | Stage::Synced(feed) if zxid <= feed.proposed() => {
                feed.on_ack(zxid);
                Ok(())
            }
            // The second answer to UPTODATE acknowledges nothing.
            Stage::Serving(_) if zxid.counter() == 0 => Ok(()),
            Stage::Serving(_) => self.on_proposal_ack(link, zxid, me, now, out),
            Stage::Known
            | Stage::Asked
            | Stage::Promised { .. }
            | Stage::Deferred { .. }
            | Stage::Seeking { .. }
            | Stage::Copying(_)
            | Stage::Told(_)
            | Stage::Synced(_) => self.part(link, Departure::OutOfPlace, me, out),
        }
    }

    fn on_closed(
        &mut self,
        link: LinkId,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        self.strangers.remove(&link);
        if self.peers.remove(&link).is_none() {
            return Ok(());
        }
        self.on_fewer(me, now, out)
    }

    /// Lets go of a learner.
    fn part(
        &mut self,
        link: LinkId,
        because: Departure,
        me: &mut Member,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        self.strangers.remove(&link);
        self.peers.remove(&link);
        out.push(Effect::Close { link, because });
        self.stands_with_enough(me)
    }
}
