//! Parts of the history for learners that miss more than memory remembers: sought in the logs, and sent from there.
//!
//! Both are done on threads, as fast as the learner takes it, and neither holds more than a few pieces in memory.

use super::Node;
use crate::disk::stretch::Stretch;
use crate::net::quorum::PeerEvent;
use crate::replica::Event;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::{info, warn};
use zk_proto::Zxid;
use zk_zab::{Input, LinkId};

/// What was found, until it is asked for.
pub(super) type Stretches = BTreeMap<LinkId, Stretch>;

impl Node {
    /// Looks whether the logs hold what a learner misses.
    pub(super) fn seek_log(&self, link: LinkId, after: Zxid, through: Zxid) {
        let (store, replica) = (Arc::clone(&self.store), Arc::clone(&self.replica));
        tokio::task::spawn_blocking(move || {
            let found = store.find_stretch(after, through);
            let stretch = found.unwrap_or_else(|error| {
                warn!(%link, %error, "the logs cannot be read for a learner: it gets a snapshot");
                None
            });
            let stretch = stretch.map(Box::new);
            replica.send(Event::Peer(PeerEvent::LogSought { link, stretch }));
        });
    }

    /// The logs have been looked at.
    pub(super) fn on_log_sought(&mut self, link: LinkId, stretch: Option<Box<Stretch>>) {
        let found = stretch.is_some();
        let member = self.membership();
        if let Some(stretch) = stretch
            && member.peers.has(link)
        {
            member.stretches.insert(link, *stretch);
        }
        self.inputs.push_back(Input::LogSought { link, found });
    }

    /// Sends what was found.
    pub(super) fn send_log(&mut self, link: LinkId) {
        let member = self.membership();
        let Some(stretch) = member.stretches.remove(&link) else {
            return member.peers.cut_off(link);
        };
        info!(%link, "sending a part of the log");
        member.peers.send_stretch(link, stretch);
    }
}
