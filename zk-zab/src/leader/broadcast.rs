//! Broadcast as its leader does it: propose in order, count, deliver in order (Zab, Phase 3).

use super::confirm::Confirming;
use super::peer::{Peer, Stage};
use super::{Leader, Phase};
use crate::canary::Canary;
use crate::learner::Step;
use crate::member::{Member, send};
use crate::{Departure, Effect, LinkId, Message, Progress, Time};
use bytes::Bytes;
use std::collections::BTreeMap;
use zk_proto::{Epoch, ServerId, Zxid};

#[derive(Clone, Debug)]
pub(super) struct Broadcast {
    epoch: Epoch,
    /// When the office began.
    pub(super) since: Time,
    progress: Progress,
    confirming: Confirming,
    /// Until then a quorum has surely been heard of recently enough; computed anew when it has passed.
    pub(super) lease: Time,
    /// Since when the own disk owes an answer.
    pub(super) disk_owing: Option<Time>,
    /// This server is about to stop, and waits for its followers no longer than that.
    pub(super) leaving: Option<Time>,
}

impl Broadcast {
    pub(super) fn new(epoch: Epoch, me: &Member, now: Time) -> Self {
        let mut progress = Progress::new(me.settings.quorum.clone());
        progress.record(me.settings.me, me.history.durable());
        Self {
            epoch,
            since: now,
            progress,
            confirming: Confirming::default(),
            lease: Time::default(),
            disk_owing: None,
            leaving: None,
        }
    }

    pub(super) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The next of this epoch, if there is one left.
    fn next_zxid(&self, me: &Member) -> Option<Zxid> {
        let logged = me.history.logged();
        let next = logged.max(Zxid::first_of(self.epoch)).next();
        next.filter(|next| {
            next.counter() <= me.settings.last_counter || Canary::EndlessCounter.sings()
        })
    }

    pub(super) fn record(&mut self, server: ServerId, through: Zxid) {
        self.progress.record(server, through);
    }

    pub(super) fn forget(&mut self, server: ServerId) {
        self.progress.forget(server);
    }
}

impl Leader {
    /// The place of the next proposal; none while this server does not lead, or is about to leave, or has
    /// spent its counter (P33).
    pub(crate) fn next_zxid(&self, me: &Member) -> Option<Zxid> {
        let Phase::Broadcast(broadcast) = &self.phase else {
            return None;
        };
        if broadcast.leaving.is_some() {
            return None;
        }
        broadcast.next_zxid(me)
    }

    /// Without an ensemble no election is needed to open the next epoch.
    pub(crate) fn renew_if_spent(&mut self, me: &Member) {
        if self.next_zxid(me).is_some() {
            return;
        }
        if let Phase::Broadcast(broadcast) = &mut self.phase {
            let number = broadcast.epoch.number().checked_add(1);
            broadcast.epoch =
                Epoch::new(number.expect("four billion epochs are not spent in a lifetime"));
        }
    }

    pub(crate) fn on_propose(
        &mut self,
        payload: Bytes,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        let zxid = self
            .next_zxid(me)
            .expect("a proposal is made where `next_zxid` named its place");
        me.history.append(zxid, payload, out);
        if let Phase::Broadcast(broadcast) = &mut self.phase {
            broadcast.disk_owing.get_or_insert(now);
            if Canary::OwnAckBeforeDurable.sings() {
                broadcast.record(me.settings.me, zxid);
            }
        }
        self.tell_all(me, now, out);
        self.cut_off_slow(me, out)
    }

    /// The leader's own durability is its acknowledgement (I14).
    pub(crate) fn on_persisted(
        &mut self,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        let Phase::Broadcast(broadcast) = &mut self.phase else {
            return Ok(());
        };
        broadcast.record(me.settings.me, me.history.durable());
        broadcast.disk_owing = (!me.history.is_settled()).then_some(now);
        self.count_acks(me, now, out)
    }

    pub(super) fn on_proposal_ack(
        &mut self,
        link: LinkId,
        zxid: Zxid,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        let (Phase::Broadcast(broadcast), Some(peer)) =
            (&mut self.phase, self.peers.get_mut(&link))
        else {
            return Ok(());
        };
        let Stage::Serving(serving) = &mut peer.stage else {
            return Ok(());
        };
        if zxid > serving.feed.proposed() || peer.observer {
            return self.part(link, Departure::Unknown, me, out);
        }
        serving.feed.on_ack(zxid);
        let owes = serving.feed.acked() < serving.feed.proposed();
        serving.owing = owes.then_some(now);
        broadcast.record(peer.server, zxid);
        self.count_acks(me, now, out)
    }

    /// What a quorum holds stands (I15): here, and for everyone else.
    fn count_acks(&mut self, me: &mut Member, now: Time, out: &mut Vec<Effect>) -> Step<()> {
        let Phase::Broadcast(broadcast) = &self.phase else {
            return Ok(());
        };
        let held = if me.is_enough {
            Some(me.history.durable())
        } else {
            broadcast.progress.held_by_quorum()
        };
        if let Some(held) = held
            && held > me.history.committed()
        {
            me.history.commit(held);
            self.tell_all(me, now, out);
        }
        me.history.deliver(out);
        self.resume_deferred(me, now, out);
        me.forget(self.needed(me));
        self.leave_when_done(me)
    }

    /// What is behind this place is needed by some learner.
    pub(super) fn needed(&self, me: &Member) -> Zxid {
        let needed = self.peers.values().filter_map(Peer::needed);
        needed.fold(me.history.delivered(), Zxid::min)
    }

    fn tell_all(&mut self, me: &Member, now: Time, out: &mut Vec<Effect>) {
        for peer in self.peers.values_mut() {
            if let Stage::Told(feed) | Stage::Synced(feed) = &mut peer.stage
                && Canary::TrafficBeforeUpToDate.sings()
            {
                feed.tell_news(&me.history, out);
            }
            if let Stage::Serving(serving) = &mut peer.stage {
                serving.feed.tell_news(&me.history, out);
                if !peer.observer && serving.feed.proposed() > serving.feed.acked() {
                    serving.owing.get_or_insert(now);
                }
            }
        }
    }

    /// A learner for which more waits in memory than may is let go, and comes again later (P31).
    fn cut_off_slow(&mut self, me: &mut Member, out: &mut Vec<Effect>) -> Step<()> {
        let held = |me: &Member| {
            let (floor, delivered) = (me.history.floor(), me.history.delivered());
            me.history.bytes_between(floor, delivered)
        };
        while held(me) > me.settings.backlog as u64 {
            let slowest = self
                .peers
                .iter()
                .filter_map(|(&link, peer)| Some((peer.needed()?, link)))
                .min()
                .filter(|(needed, _)| *needed < me.history.delivered());
            if let Some((_, link)) = slowest {
                self.part(link, Departure::TooSlow, me, out)?;
            }
            me.forget(self.needed(me));
            if slowest.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// A spent counter or a wish to stop ends the office once everything proposed stands and is told.
    pub(super) fn leave_when_done(&self, me: &Member) -> Step<()> {
        let Phase::Broadcast(broadcast) = &self.phase else {
            return Ok(());
        };
        let stands = me.history.committed() == me.history.logged();
        if broadcast.leaving.is_some() {
            let level = self.peers.values().all(|peer| peer.is_level(&me.history));
            if stands && level {
                return Err(Departure::Resigned);
            }
        }
        if stands && broadcast.next_zxid(me).is_none() {
            return Err(Departure::CounterSpent);
        }
        Ok(())
    }

    pub(crate) fn on_resign(&mut self, me: &Member, now: Time) -> Step<()> {
        let Phase::Broadcast(broadcast) = &mut self.phase else {
            return Err(Departure::Resigned);
        };
        broadcast.leaving = Some(now + me.settings.tick / 2);
        self.leave_when_done(me)
    }

    /// P5: see [`super::confirm`].
    pub(crate) fn on_confirm(&mut self, ticket: u64, me: &Member, out: &mut Vec<Effect>) {
        if me.is_enough {
            out.push(Effect::Confirmed { ticket });
        } else if let Phase::Broadcast(broadcast) = &mut self.phase {
            broadcast.confirming.ask(ticket);
            self.confirm(me, out);
        }
    }

    fn confirm(&mut self, me: &Member, out: &mut Vec<Effect>) {
        loop {
            let Phase::Broadcast(broadcast) = &mut self.phase else {
                return;
            };
            if broadcast.confirming.wants_round() {
                let mut needed = BTreeMap::new();
                let zxid = me.history.logged();
                for (&link, peer) in &mut self.peers {
                    if let Stage::Serving(serving) = &mut peer.stage
                        && !peer.observer
                    {
                        serving.pings_sent += 1;
                        needed.insert(link, serving.pings_sent);
                        send(link, Message::Ping { zxid }, out);
                    }
                }
                broadcast.confirming.begin(needed);
            }
            if !broadcast.confirming.has_round() {
                return;
            }
            let confirming = &broadcast.confirming;
            let answered = self.peers.iter().filter_map(|(&link, peer)| {
                let Stage::Serving(serving) = &peer.stage else {
                    return None;
                };
                let done = confirming.is_answered(link, serving.pings_answered);
                done.then_some(peer.server)
            });
            if !super::opening::quorum_with(me, answered) {
                return;
            }
            let tickets = broadcast.confirming.end();
            out.extend(
                tickets
                    .into_iter()
                    .map(|ticket| Effect::Confirmed { ticket }),
            );
        }
    }

    /// A learner that has just joined can help a round that is on.
    pub(super) fn join_confirmation(&mut self, link: LinkId, me: &Member, out: &mut Vec<Effect>) {
        let (Phase::Broadcast(broadcast), Some(peer)) =
            (&mut self.phase, self.peers.get_mut(&link))
        else {
            return;
        };
        if let Stage::Serving(serving) = &mut peer.stage
            && !peer.observer
            && broadcast.confirming.join(link, serving.pings_sent + 1)
        {
            serving.pings_sent += 1;
            let zxid = me.history.logged();
            send(link, Message::Ping { zxid }, out);
        }
    }

    /// Whether the answer was to a ping of ours.
    pub(super) fn on_pong(&mut self, link: LinkId, me: &Member, out: &mut Vec<Effect>) -> bool {
        let Some(peer) = self.peers.get_mut(&link) else {
            return true;
        };
        let Stage::Serving(serving) = &mut peer.stage else {
            return false;
        };
        if serving.pings_answered >= serving.pings_sent {
            return false;
        }
        serving.pings_answered += 1;
        self.confirm(me, out);
        true
    }
}
