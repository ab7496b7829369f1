//! What happens to a member: others come and go, it is elected or not, it begins to serve and ends.

use super::membership::Service;
use super::stall::Stall;
use super::tally::Backlog;
use super::traffic::count_received;
use super::{Fatal, Node};
use crate::config::Config;
use crate::disk::log::Log;
use crate::net::link::Delivery;
use crate::net::quorum::PeerEvent;
use crate::replica::{Event, Rank};
use crate::storage::Store;
use crate::storage::rejoin::{RejoinError, Reopened};
use crate::tree::Pending;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{info, warn};
use zk_proto::{Epoch, Zxid};
use zk_zab::{Input, LinkId, Standing, Time, condense};

impl Node {
    pub(super) fn service(&self) -> Service {
        self.member
            .as_ref()
            .map_or(Service::Leads, |member| member.service)
    }

    /// Something has happened on the quorum ports.
    pub(super) async fn on_peer(&mut self, event: PeerEvent) -> Result<(), Fatal> {
        match event {
            PeerEvent::Accepted { link } => {
                let link = self.membership().peers.join(link);
                self.inputs.push_back(Input::Accepted { link });
            }
            PeerEvent::Dialled { to, link } => {
                let member = self.membership();
                let link = member.peers.join(link);
                member.dialled = Some(link);
                self.inputs.push_back(Input::Dialled { to, link });
            }
            PeerEvent::DialFailed { to } => self.inputs.push_back(Input::DialFailed { to }),
            PeerEvent::Received {
                link,
                mut messages,
                credit: _given_back,
            } => {
                let replica = Arc::clone(&self.replica);
                let ensemble = replica.config().ensemble.as_ref();
                for message in &messages {
                    if let Some(ensemble) = ensemble
                        && self.membership().note_received(link, message, ensemble)
                    {
                        self.tell_rank();
                    }
                    count_received(replica.metrics(), message);
                }
                condense(&mut messages);
                let received = |message| Input::Received { link, message };
                self.inputs.extend(messages.into_iter().map(received));
            }
            PeerEvent::SnapshotLoaded { link, zxid, tree } => {
                if !self.membership().peers.has(link) {
                    self.inputs.push_back(Input::SnapshotAbandoned { link });
                    return Ok(());
                }
                info!(%zxid, nodes = tree.node_count(), "the leader's snapshot has come");
                let replaced = self.rejoin(move |store, config, log, door| {
                    store.replace(config, log, *tree, door)
                });
                let reopened = replaced.await?;
                self.reopen(reopened);
                self.inputs
                    .push_back(Input::SnapshotReceived { link, zxid });
            }
            PeerEvent::SnapshotLost { link } => {
                self.inputs.push_back(Input::SnapshotAbandoned { link });
            }
            PeerEvent::LogSought { link, stretch } => self.on_log_sought(link, stretch),
            PeerEvent::LogSent { link } => self.inputs.push_back(Input::LogSent { link }),
            PeerEvent::LogLost { link } => self.membership().peers.cut_off(link),
            PeerEvent::Closed { link } => self.on_closed(link),
        }
        Ok(())
    }

    fn on_closed(&mut self, link: LinkId) {
        let member = self.membership();
        member.peers.close(link);
        member.roster.remove(&link);
        member.stretches.remove(&link);
        self.tell_rank();
        self.inputs.push_back(Input::Closed { link });
    }

    /// Lets a thread work on the closed log; the tree it comes back with is to be [`Self::reopen`]ed.
    pub(super) async fn rejoin(
        &mut self,
        work: impl FnOnce(&Store, &Config, Log, UnboundedSender<Event>) -> Result<Reopened, RejoinError>
        + Send
        + 'static,
    ) -> Result<Reopened, RejoinError> {
        self.give_up_snapshot();
        self.hand_over_appends(self.replica.clock().now());
        let log = self.log.take().expect("one rejoining at a time");
        let (store, replica) = (Arc::clone(&self.store), Arc::clone(&self.replica));
        let work = move || work(&store, replica.config(), log, replica.door());
        let worked = tokio::task::spawn_blocking(work).await;
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// Goes on with another tree and another log. What the old log still had to say is not heard.
    pub(super) fn reopen(&mut self, reopened: Reopened) {
        let Reopened { tree, log } = reopened;
        let last = tree.last_zxid();
        *self.replica.tree_mut() = tree;
        self.log = Some(log);
        self.stall = Stall::new(self.replica.config().storage.fsync_warning_threshold);
        self.backlog = Backlog::default();
        self.appends.clear();
        self.flight.restart(last);
        self.delivered = last;
        self.pending = Pending::new();
        self.deaf = true;
        self.replica.send(Event::LogReopened);
        self.write_config();
    }

    /// Every server shows its own configuration.
    pub(super) fn write_config(&self) {
        if let Some(ensemble) = &self.replica.config().ensemble {
            let text = ensemble.text();
            let time = self.replica.clock().wall_millis();
            let mut tree = self.replica.tree_mut();
            let _nobody_watches = tree.set_config(text.as_bytes(), Zxid::ZERO, time);
        }
    }

    /// This server has another role, or none. Whoever was served is not any more.
    pub(super) fn on_become(&mut self, standing: Standing, now: Time) {
        info!(%standing, "this server is now");
        if matches!(standing, Standing::Looking(_)) {
            let here = self.replica.metrics().here();
            here.counters.looking_count.increment();
        }
        self.stop_serving();
        let member = self.membership();
        member.leading = standing == Standing::Leading;
        member.looking_since = matches!(standing, Standing::Looking(_)).then_some(now);
        member.leader = match standing {
            Standing::Following(leader) | Standing::Observing(leader) => Some(leader),
            Standing::Looking(_) | Standing::Leading => None,
        };
        member.peers.listen(member.leading);
        member.roster.clear();
        member.stretches.clear();
        member.since = now;
        self.tell_rank();
    }

    fn stop_serving(&mut self) {
        for link in self.replica.links() {
            link.push_and_wake(Delivery::Close);
        }
        self.replica.set_opening(Zxid::ZERO);
        self.abandon_copies();
        let member = self.membership();
        member.service = Service::None;
        let requests = member.held.clear() + self.flight.abandon() + self.intake.abandon();
        self.replica.settled(requests);
        // What it was prepared upon may never stand.
        self.pending = Pending::new();
        self.sessions.rest();
    }

    /// Clients may come.
    pub(super) fn on_serve(&mut self, epoch: Epoch, now: Time) {
        let config = self.replica.config().sessions.clone();
        let leading = self.membership().leading;
        let replica = Arc::clone(&self.replica);
        let tree = replica.tree();
        if leading {
            self.sessions.lead(&tree, config.tick_time, now);
            self.membership().service = Service::Leads;
        } else if let Some(leader) = self.membership().dialled {
            self.sessions.learn(&tree, now);
            self.membership().service = Service::Learns(leader);
        } else {
            return warn!("this server serves whom nobody leads");
        }
        replica.set_opening(Zxid::first_of(epoch));
        info!(%epoch, zxid = %tree.last_zxid(), leading, "serving");
        drop(tree);
        self.tell_rank();
    }

    /// Tells connections and four-letter words what this server is.
    pub(super) fn tell_rank(&mut self) {
        let replica = Arc::clone(&self.replica);
        let Some(ensemble) = &replica.config().ensemble else {
            return;
        };
        let member = self.membership();
        let rank = match member.service {
            Service::None => Rank::Nobody,
            Service::ReadOnly => Rank::Reader {
                since: member.looking_since.unwrap_or(member.since),
            },
            Service::Leads => Rank::Leader {
                learners: member.count_learners(),
                since: member.since,
            },
            Service::Learns(_) if ensemble.is_voter() => Rank::Follower {
                since: member.since,
            },
            Service::Learns(_) => Rank::Observer {
                of: member.leader.unwrap_or(ensemble.me),
                since: member.since,
            },
        };
        replica.set_rank(rank);
    }
}
