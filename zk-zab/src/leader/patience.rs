//! How long a leader waits: for a quorum to come, for each learner, for its own disk; and when it gives up
//! its office because it hears of too few (P30, P31, P32).

use super::opening::quorum_with;
use super::peer::{Peer, Stage};
use super::{Leader, Phase};
use crate::canary::Canary;
use crate::learner::Step;
use crate::member::{Member, send};
use crate::{Departure, Effect, LinkId, Message, Time};
use std::cmp::Reverse;
use zk_proto::ServerId;

impl Leader {
    pub(crate) fn deadline(&self, me: &Member) -> Option<Time> {
        let strangers = self
            .strangers
            .values()
            .map(|since| *since + me.settings.init_time());
        let peers = self
            .peers
            .values()
            .filter_map(|peer| peer.deadline(&me.settings));
        let pings = (!self.peers.is_empty()).then_some(self.next_ping);
        strangers
            .chain(peers)
            .chain(pings)
            .chain(self.own_deadline(me))
            .min()
    }

    fn own_deadline(&self, me: &Member) -> Option<Time> {
        match &self.phase {
            Phase::Discovery { until, .. }
            | Phase::Promising { until, .. }
            | Phase::Gathering { until, .. }
            | Phase::Adopting { until, .. }
            | Phase::Synchronising { until, .. } => Some(*until),
            Phase::Broadcast(_) if me.is_enough => None,
            Phase::Broadcast(broadcast) => {
                let disk = broadcast
                    .disk_owing
                    .map(|since| since + me.settings.sync_time());
                let times = [Some(broadcast.lease), disk, broadcast.leaving];
                times.into_iter().flatten().min()
            }
        }
    }

    /// The first thing of every step: does this server still lead? It may have stood still for long, and
    /// what comes in now may be old (P30).
    pub(crate) fn check_lease(&mut self, me: &Member, now: Time) -> Step<()> {
        let Phase::Broadcast(broadcast) = &mut self.phase else {
            return Ok(());
        };
        if Canary::LeaseIgnored.sings() {
            broadcast.lease = now + me.settings.sync_time();
        }
        if now < broadcast.lease || me.is_enough {
            return Ok(());
        }
        let mut heard: Vec<_> = self.peers.values().filter(|peer| is_voice(peer)).collect();
        heard.sort_by_key(|peer| Reverse(peer.heard));
        for count in 1..=heard.len() {
            if quorum_with(me, heard[..count].iter().map(|peer| peer.server)) {
                broadcast.lease = heard[count - 1].heard + me.settings.sync_time();
                break;
            }
        }
        if now >= broadcast.lease {
            return Err(Departure::QuorumLost);
        }
        Ok(())
    }

    /// A voter looks for another leader. A server that is about to lead does not wait for those who will not
    /// come, if it needs them (ZOOKEEPER-3109).
    pub(crate) fn on_deserter(&mut self, from: ServerId, me: &Member) -> Step<()> {
        if self.serves() {
            return Ok(());
        }
        self.deserters.insert(from);
        let voters = me.settings.quorum.voters();
        if quorum_with(me, voters.difference(&self.deserters).copied()) {
            return Ok(());
        }
        Err(Departure::Deserted)
    }

    /// Whether the voters on our links are enough to lead at all. What is closed does not come back to a
    /// leader without a quorum: it finds another one sooner if this one ends.
    pub(super) fn stands_with_enough(&self, me: &Member) -> Step<()> {
        if !self.serves() || quorum_with(me, self.voices()) {
            return Ok(());
        }
        Err(Departure::QuorumLost)
    }

    fn voices(&self) -> impl Iterator<Item = ServerId> {
        let voices = self.peers.values().filter(|peer| is_voice(peer));
        voices.map(|peer| peer.server)
    }

    /// A learner is gone.
    pub(super) fn on_fewer(
        &mut self,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        self.stands_with_enough(me)?;
        self.resume_deferred(me, now, out);
        self.leave_when_done(me)
    }

    pub(crate) fn on_time(
        &mut self,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        self.check_phase(me, now)?;
        let init = me.settings.init_time();
        let strangers = self.strangers.iter();
        let late: Vec<LinkId> = strangers
            .filter_map(|(&link, since)| (now >= *since + init).then_some(link))
            .chain(self.peers.iter().filter_map(|(&link, peer)| {
                let late = peer
                    .deadline(&me.settings)
                    .is_some_and(|until| now >= until);
                late.then_some(link)
            }))
            .collect();
        for link in late {
            self.part(link, Departure::Silent, me, out)?;
            self.resume_deferred(me, now, out);
        }
        if now >= self.next_ping {
            self.ping_all(me, now, out);
        }
        Ok(())
    }

    fn check_phase(&self, me: &Member, now: Time) -> Step<()> {
        match &self.phase {
            Phase::Discovery { until, .. }
            | Phase::Promising { until, .. }
            | Phase::Gathering { until, .. }
            | Phase::Adopting { until, .. }
            | Phase::Synchronising { until, .. }
                if now >= *until =>
            {
                Err(Departure::NoQuorumInTime)
            }
            Phase::Broadcast(broadcast) if !me.is_enough => {
                if broadcast.leaving.is_some_and(|until| now >= until) {
                    return Err(Departure::Resigned);
                }
                let sync = me.settings.sync_time();
                let hangs = broadcast
                    .disk_owing
                    .is_some_and(|since| now >= since + sync);
                if hangs {
                    return Err(Departure::OwnDiskHangs);
                }
                Ok(())
            }
            Phase::Discovery { .. }
            | Phase::Promising { .. }
            | Phase::Gathering { .. }
            | Phase::Adopting { .. }
            | Phase::Synchronising { .. }
            | Phase::Broadcast(_) => Ok(()),
        }
    }

    /// Twice a tick, whoever waits for nothing else. Before UPTODATE nobody answers.
    fn ping_all(&mut self, me: &Member, now: Time, out: &mut Vec<Effect>) {
        let zxid = me.history.logged();
        for (&link, peer) in &mut self.peers {
            match &mut peer.stage {
                Stage::Told(_) | Stage::Synced(_) => {}
                Stage::Serving(serving) => serving.pings_sent += 1,
                Stage::Known
                | Stage::Asked
                | Stage::Promised { .. }
                | Stage::Deferred { .. }
                | Stage::Seeking { .. }
                | Stage::Copying(_) => continue,
            }
            send(link, Message::Ping { zxid }, out);
        }
        self.next_ping = now + me.settings.tick / 2;
    }
}

/// A learner whose presence counts, if it is a voter.
fn is_voice(peer: &Peer) -> bool {
    !peer.observer && peer.is_with_us()
}
