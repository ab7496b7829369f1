//! How an epoch is opened: a quorum comes, promises it, and has shown that nobody in it knows more than
//! we do (Zab, Phase 1).

use super::peer::{Peer, Stage};
use super::{Leader, Phase};
use crate::canary::Canary;
use crate::learner::Step;
use crate::member::{Member, may_have_forgotten, send};
use crate::{Departure, Effect, LAST_EPOCH, LinkId, Message, Time};
use std::collections::BTreeSet;
use zk_proto::{Epoch, ServerId, Zxid};

impl Leader {
    /// The first word on a link says who is there.
    pub(super) fn on_greeting(
        &mut self,
        link: LinkId,
        message: Message,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        let observer = matches!(message, Message::ObserverInfo { .. });
        let (Message::FollowerInfo {
            accepted_epoch,
            learner,
        }
        | Message::ObserverInfo {
            accepted_epoch,
            learner,
        }) = message
        else {
            return self.part(link, Departure::OutOfPlace, me, out);
        };
        if learner.server == me.settings.me || accepted_epoch.number() > LAST_EPOCH {
            return self.part(link, Departure::OutOfPlace, me, out);
        }
        if learner.config_version > me.settings.config_version {
            return self.part(link, Departure::LaterConfig, me, out);
        }
        let older = self
            .peers
            .iter()
            .find(|(_, peer)| peer.server == learner.server);
        if let Some((&older, _)) = older {
            self.peers.remove(&older);
            let because = Departure::Replaced;
            out.push(Effect::Close {
                link: older,
                because,
            });
        }
        let peer = Peer {
            server: learner.server,
            observer,
            heard: now,
            stage: Stage::Known,
        };
        self.deserters.remove(&learner.server);
        self.peers.insert(link, peer);
        match &mut self.phase {
            Phase::Discovery { highest, .. } => {
                *highest = accepted_epoch.max(*highest);
                self.open_epoch(me, now, out)
            }
            Phase::Promising { .. } => Ok(()),
            Phase::Gathering { epoch, .. }
            | Phase::Adopting { epoch, .. }
            | Phase::Synchronising { epoch, .. } => {
                let epoch = *epoch;
                self.ask_for_promise(link, epoch, out);
                Ok(())
            }
            Phase::Broadcast(broadcast) => {
                let epoch = broadcast.epoch();
                // It promised to another, who never led, and cannot follow us: only a later epoch takes it in
                // (P36). No voter gets there by itself; and nobody deposes us again and again by saying so.
                let votes = !observer && me.settings.quorum.counts(learner.server);
                let settled = now >= broadcast.since + me.settings.sync_time();
                if votes && settled && accepted_epoch > epoch {
                    return Err(Departure::Outpromised);
                }
                self.ask_for_promise(link, epoch, out);
                Ok(())
            }
        }
    }

    /// With a quorum of voters here the epoch after all that were ever promised begins (O2).
    pub(super) fn open_epoch(
        &mut self,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        let Phase::Discovery { highest, .. } = self.phase else {
            return Ok(());
        };
        let here = self
            .peers
            .values()
            .filter(|peer| !peer.observer || Canary::ObserversCount.sings());
        if !quorum_with(me, here.map(|peer| peer.server)) {
            return Ok(());
        }
        let number = highest.max(me.promises.accepted()).number();
        if number >= LAST_EPOCH {
            return Err(Departure::EpochsExhausted);
        }
        let epoch = Epoch::new(number + 1);
        me.promises.accept(epoch, out);
        if Canary::AskBeforeDisk.sings() {
            let links: Vec<_> = self.peers.keys().copied().collect();
            for link in links {
                self.ask_for_promise(link, epoch, out);
            }
        }
        let until = now + me.settings.init_time();
        self.phase = Phase::Promising { epoch, until };
        Ok(())
    }

    /// Our own promise is durable: others may be asked for theirs.
    pub(crate) fn on_accepted(
        &mut self,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        let Phase::Promising { epoch, .. } = self.phase else {
            return Ok(());
        };
        self.phase = Phase::Gathering {
            epoch,
            promised: BTreeSet::new(),
            until: now + me.settings.init_time(),
        };
        let links: Vec<_> = self.peers.keys().copied().collect();
        for link in links {
            self.ask_for_promise(link, epoch, out);
        }
        self.count_promises(me, now, out);
        Ok(())
    }

    fn ask_for_promise(&mut self, link: LinkId, epoch: Epoch, out: &mut Vec<Effect>) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.stage = Stage::Asked;
            send(link, Message::LeaderInfo { epoch }, out);
        }
    }

    /// A learner has promised. Who knows more than we do must not be led by us; once a quorum knows no
    /// more, nobody does that matters.
    pub(super) fn on_ack_epoch(
        &mut self,
        link: LinkId,
        last: Zxid,
        current: Option<Epoch>,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        let Some(peer) = self.peers.get_mut(&link) else {
            return Ok(());
        };
        if !matches!(peer.stage, Stage::Asked) {
            return self.part(link, Departure::OutOfPlace, me, out);
        }
        let server = peer.server;
        peer.stage = Stage::Promised { last };
        if let Phase::Gathering { promised, .. } = &mut self.phase {
            let ours = (me.promises.current(), me.history.logged());
            let ahead = current.is_some_and(|current| (current, last) > ours);
            if ahead && !Canary::LeadTheAhead.sings() {
                return self.part(link, Departure::Ahead, me, out);
            }
            // A promise made before, perhaps to another, is not counted (I3). Nor is that of a server that has
            // nothing, where there is something to have: it may have lost it, and its promises with it (P26).
            let ours = me.history.logged();
            let lost = current.is_some_and(|current| may_have_forgotten(current, last, ours));
            let lost = lost && !Canary::EmptyVoterCounts.sings();
            // Who wants a snapshot does not say where its history ends. It knows no more than we do if its epoch is
            // an earlier one; its promise is as good as any other's, and there may be nobody else (P32).
            let surely = |current: Epoch| last != Zxid::NONE || current < me.promises.current();
            if current.is_some_and(surely) && !lost {
                promised.insert(server);
            }
            self.count_promises(me, now, out);
            return Ok(());
        }
        self.synchronise(link, me, now, out);
        Ok(())
    }

    /// O4: our log is durable since before the vote; its epoch becomes so before we count ourselves.
    fn count_promises(&mut self, me: &mut Member, now: Time, out: &mut Vec<Effect>) {
        let Phase::Gathering {
            epoch, promised, ..
        } = &self.phase
        else {
            return;
        };
        if !quorum_with(me, promised.iter().copied()) {
            return;
        }
        assert!(me.history.is_settled(), "a leader's log is durable (O4)");
        let (epoch, until) = (*epoch, now + me.settings.init_time());
        me.promises.adopt(epoch, out);
        self.phase = Phase::Adopting { epoch, until };
        if Canary::LeadBeforeDisk.sings() {
            self.on_adopted(me, now, out);
        }
    }

    pub(crate) fn on_adopted(&mut self, me: &mut Member, now: Time, out: &mut Vec<Effect>) {
        let Phase::Adopting { epoch, .. } = self.phase else {
            return;
        };
        if Canary::CommitOwnTail.sings() {
            me.history.commit(me.history.logged());
            me.history.deliver(out);
        }
        self.phase = Phase::Synchronising {
            epoch,
            stands: me.history.logged(),
            until: now + me.settings.init_time(),
        };
        let promised = |(&link, peer): (&LinkId, &Peer)| {
            matches!(peer.stage, Stage::Promised { .. }).then_some(link)
        };
        let links: Vec<_> = self.peers.iter().filter_map(promised).collect();
        for link in links {
            self.synchronise(link, me, now, out);
        }
        self.count_synced(me, now, out);
    }
}

/// Whether these servers and this one are a quorum.
pub(super) fn quorum_with(me: &Member, others: impl Iterator<Item = ServerId>) -> bool {
    let servers: BTreeSet<_> = others.chain([me.settings.me]).collect();
    me.settings.quorum.is_met_by(&servers)
}
