//! How a learner gets our history (Zab, Phase 2). Which way is decided in [`crate::sync`].
//!
//! On the wire: DIFF, TRUNC or SNAP; what the learner misses of what stands, each PROPOSAL with its
//! COMMIT; NEWLEADER. Where it was left is noted in its [`Feed`], in the same step: nothing proposed later
//! can slip between (Zab spec issue 1). It is told of that after UPTODATE, and never twice.

use super::broadcast::Broadcast;
use super::feed::Feed;
use super::opening::quorum_with;
use super::peer::{Peer, Serving, Stage};
use super::{Leader, Phase};
use crate::canary::Canary;
use crate::learner::Step;
use crate::member::{Member, send};
use crate::sync::{Plan, plan};
use crate::{Departure, Effect, LinkId, Message, Time};
use zk_proto::Zxid;

impl Leader {
    /// What counts as committed for those who come now.
    fn stands(&self, me: &Member) -> Option<Zxid> {
        match &self.phase {
            Phase::Synchronising { stands, .. } => Some(*stands),
            Phase::Broadcast(_) => Some(me.history.committed()),
            Phase::Discovery { .. }
            | Phase::Promising { .. }
            | Phase::Gathering { .. }
            | Phase::Adopting { .. } => None,
        }
    }

    /// Begins to bring a learner up to date, if the time has come.
    pub(super) fn synchronise(
        &mut self,
        link: LinkId,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let (Some(stands), Some(peer)) = (self.stands(me), self.peers.get(&link)) else {
            return;
        };
        let (last, holds) = match peer.stage {
            Stage::Promised { last } => (last, stands),
            Stage::Deferred { last, holds } => (last, holds),
            Stage::Known
            | Stage::Asked
            | Stage::Seeking { .. }
            | Stage::Copying(_)
            | Stage::Told(_)
            | Stage::Synced(_)
            | Stage::Serving(_) => return,
        };
        if let Phase::Broadcast(broadcast) = &mut self.phase {
            // What it held beyond what stands may be about to go.
            if !Canary::StaleProgress.sings() {
                broadcast.forget(peer.server);
            }
        }
        let plan = plan(&me.history, stands, last, me.settings.force_snapshot);
        let observer = peer.observer;
        match plan {
            Plan::Diff { after } => {
                send(link, Message::Diff { zxid: stands }, out);
                let feed = Feed::from(link, observer, after);
                self.tell(link, feed, me, now, out);
            }
            Plan::Trunc { .. } | Plan::Snap if self.serves() => {
                if me.history.delivered() < holds {
                    self.set_stage(link, Stage::Deferred { last, holds });
                } else {
                    self.copy_tree(link, me, out);
                }
            }
            Plan::Trunc { .. } if self.can_do_without(link, me) => {
                self.set_stage(link, Stage::Deferred { last, holds });
            }
            Plan::Trunc { to } => {
                send(link, Message::Trunc { zxid: to }, out);
                let feed = Feed::from(link, observer, to);
                self.tell(link, feed, me, now, out);
            }
            Plan::Snap => {
                me.history.replay(out);
                self.copy_tree(link, me, out);
            }
            Plan::Seek { after, through } => {
                self.set_stage(link, Stage::Seeking { after, through });
                out.push(Effect::SeekLog {
                    link,
                    after,
                    through,
                });
            }
        }
    }

    fn set_stage(&mut self, link: LinkId, stage: Stage) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.stage = stage;
        }
    }

    /// Whether the voters that are synchronised or about to be are enough without this one.
    fn can_do_without(&self, link: LinkId, me: &Member) -> bool {
        let others = self.peers.iter().filter(|(other, peer)| {
            let comes = peer.is_with_us() || matches!(peer.stage, Stage::Seeking { .. });
            **other != link && !peer.observer && comes
        });
        quorum_with(me, others.map(|(_, peer)| peer.server))
    }

    /// The tree as it is now. While we serve it is told as the opening of our epoch at least, which
    /// outranks every file the learner may have (ZOOKEEPER-4837).
    fn copy_tree(&mut self, link: LinkId, me: &Member, out: &mut Vec<Effect>) {
        let has = me.history.delivered();
        let zxid = if let Phase::Broadcast(broadcast) = &self.phase {
            has.max(Zxid::first_of(broadcast.epoch()))
        } else {
            has
        };
        send(link, Message::Snap { zxid }, out);
        out.push(Effect::SendSnapshot { link, zxid });
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.stage = Stage::Copying(Feed::from(link, peer.observer, has));
        }
    }

    pub(super) fn on_log_sought(
        &mut self,
        link: LinkId,
        found: bool,
        me: &Member,
        out: &mut Vec<Effect>,
    ) {
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        let Stage::Seeking { after, through } = peer.stage else {
            return;
        };
        if !found {
            // It has nothing that our tree has not.
            return self.copy_tree(link, me, out);
        }
        peer.stage = Stage::Copying(Feed::from(link, peer.observer, through));
        send(link, Message::Diff { zxid: through }, out);
        out.push(Effect::SendLog {
            link,
            after,
            through,
        });
    }

    /// A snapshot or a part of the log has been written: what stands since then follows.
    pub(super) fn on_copied(
        &mut self,
        link: LinkId,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let Some(peer) = self.peers.get(&link) else {
            return;
        };
        if let Stage::Copying(feed) = &peer.stage {
            let feed = feed.clone();
            self.tell(link, feed, me, now, out);
        }
    }

    /// The rest of the history, and that it is all (ZOOKEEPER-3104).
    fn tell(
        &mut self,
        link: LinkId,
        mut feed: Feed,
        me: &Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let (Some(stands), Some(epoch)) = (self.stands(me), self.epoch()) else {
            return;
        };
        let config = me.settings.config.clone();
        if Canary::NewLeaderAhead.sings() {
            let config = config.clone();
            send(link, Message::NewLeader { epoch, config }, out);
        }
        feed.tell_history(&me.history, stands, out);
        if !Canary::NewLeaderAhead.sings() {
            send(link, Message::NewLeader { epoch, config }, out);
        }
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.heard = now;
            peer.stage = Stage::Told(feed);
        }
    }

    /// A learner has our history durably (O3).
    pub(super) fn on_newleader_ack(
        &mut self,
        link: LinkId,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        let Some(peer) = self.peers.get_mut(&link) else {
            return Ok(());
        };
        let Stage::Told(feed) = &mut peer.stage else {
            return self.part(link, Departure::OutOfPlace, me, out);
        };
        feed.on_ack(feed.proposed());
        peer.stage = Stage::Synced(feed.clone());
        if let Phase::Synchronising { .. } = &self.phase {
            self.count_synced(me, now, out);
            return Ok(());
        }
        self.admit(link, me, now, out);
        Ok(())
    }

    /// With a quorum behind our history it stands, and everything in it does (Zab, Phase 3 begins). Who has
    /// acknowledged it and is gone by now is not counted: such a leader would serve alone (P32).
    pub(super) fn count_synced(&mut self, me: &mut Member, now: Time, out: &mut Vec<Effect>) {
        let Phase::Synchronising { epoch, stands, .. } = &self.phase else {
            return;
        };
        let synced = self.peers.values().filter(|peer| {
            let counts = !peer.observer || Canary::ObserversCount.sings();
            counts && matches!(peer.stage, Stage::Synced(_))
        });
        let enough = quorum_with(me, synced.map(|peer| peer.server));
        if !enough && !Canary::ServeBeforeQuorum.sings() {
            return;
        }
        let (epoch, stands) = (*epoch, *stands);
        me.history.commit(stands);
        me.history.deliver(out);
        self.phase = Phase::Broadcast(Box::new(Broadcast::new(epoch, me, now)));
        out.push(Effect::Serve { epoch });
        self.next_ping = now;
        let links: Vec<_> = self.peers.keys().copied().collect();
        for link in links {
            self.admit(link, me, now, out);
            self.synchronise(link, me, now, out);
        }
        me.forget(self.needed(me));
    }

    /// UPTODATE, and all that happened since the learner's history was fixed.
    fn admit(&mut self, link: LinkId, me: &mut Member, now: Time, out: &mut Vec<Effect>) {
        let Phase::Broadcast(broadcast) = &mut self.phase else {
            return;
        };
        let Some(Peer {
            server,
            observer,
            stage,
            heard,
            ..
        }) = self.peers.get_mut(&link)
        else {
            return;
        };
        let Stage::Synced(feed) = stage else {
            return;
        };
        let mut feed = feed.clone();
        if Canary::ProposalsLostInSync.sings() {
            feed = Feed::from(link, *observer, me.history.logged());
        }
        *heard = now;
        send(link, Message::UpToDate, out);
        if !*observer || Canary::ObserversCount.sings() {
            broadcast.record(*server, feed.acked());
        }
        feed.tell_news(&me.history, out);
        let owing = (!*observer && feed.proposed() > feed.acked()).then_some(now);
        *stage = Stage::Serving(Serving {
            feed,
            pings_sent: 0,
            pings_answered: 0,
            owing,
        });
        self.join_confirmation(link, me, out);
    }

    /// With fewer learners one that could be done without may be needed.
    pub(super) fn resume_deferred(&mut self, me: &mut Member, now: Time, out: &mut Vec<Effect>) {
        let deferred = |(&link, peer): (&LinkId, &Peer)| {
            matches!(peer.stage, Stage::Deferred { .. }).then_some(link)
        };
        let links: Vec<_> = self.peers.iter().filter_map(deferred).collect();
        for link in links {
            self.synchronise(link, me, now, out);
        }
    }
}
