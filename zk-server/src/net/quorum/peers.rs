//! All connections to other members, as the loop holds them.

use super::dial::{Acceptor, Workshop, dial};
use super::reading::read_out;
use super::{NewLink, Outbox, PeerEvent, Report, link};
use crate::config::Config;
use crate::disk::stretch::Stretch;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::task::JoinHandle;
use tracing::warn;
use zk_proto::{ServerId, Zxid};
use zk_zab::{LinkId, Message};

/// The connections, by their numbers.
pub(crate) struct Peers {
    workshop: Workshop,
    links: BTreeMap<LinkId, link::Handle>,
    acceptor: Option<Acceptor>,
    dialling: Option<JoinHandle<()>>,
}

impl Peers {
    /// Nobody is connected yet.
    pub(crate) fn new(config: Arc<Config>, report: Report) -> Self {
        let workshop = Workshop {
            config,
            report,
            next: Arc::new(AtomicU64::new(1)),
        };
        Self {
            workshop,
            links: BTreeMap::new(),
            acceptor: None,
            dialling: None,
        }
    }

    /// Opens the quorum port, or closes it: only a leader has one.
    pub(crate) fn listen(&mut self, leading: bool) {
        if leading && self.acceptor.is_none() {
            self.acceptor = Some(Acceptor::open(&self.workshop));
        } else if !leading {
            self.acceptor = None;
        }
    }

    /// Tries to reach a leader; an attempt to reach another one is given up.
    pub(crate) fn dial(&mut self, to: ServerId) {
        let attempt = tokio::spawn(dial(self.workshop.clone(), to));
        if let Some(before) = self.dialling.replace(attempt) {
            before.abort();
        }
    }

    /// A connection has been made.
    pub(crate) fn join(&mut self, new: NewLink) -> LinkId {
        self.links.insert(new.id, new.handle);
        new.id
    }

    /// Whether a connection is still there.
    pub(crate) fn has(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// Says something. A peer that takes in too little is let go (P31), and so is one that is not there.
    pub(crate) fn send(&mut self, link: LinkId, message: Message) {
        self.put(link, |outbox| outbox.send(message));
    }

    /// Sends a piece of a snapshot.
    pub(crate) fn send_raw(&mut self, link: LinkId, bytes: Bytes) {
        self.put(link, |outbox| outbox.send_raw(bytes));
    }

    fn put(
        &mut self,
        link: LinkId,
        put: impl FnOnce(&Outbox) -> Result<(), super::outbox::Overflow>,
    ) {
        let Some(handle) = self.links.get(&link) else {
            return;
        };
        if put(handle.outbox()).is_err() {
            warn!(%link, "a member takes in less than is said to it: cut off");
            self.cut_off(link);
        }
    }

    /// Whether another piece of a snapshot may be made for a connection; `None` if it is gone.
    pub(crate) fn has_room(&self, link: LinkId) -> Option<bool> {
        Some(self.links.get(&link)?.outbox().has_room())
    }

    /// Sends a part of the log, from a thread; how that ends is told later.
    pub(crate) fn send_stretch(&mut self, link: LinkId, stretch: Stretch) {
        let Some(handle) = self.links.get(&link) else {
            return;
        };
        let (outbox, report) = (
            Arc::clone(handle.outbox()),
            Arc::clone(&self.workshop.report),
        );
        let thread = std::thread::Builder::new().name("sync-log".into());
        let started = thread.spawn(move || read_out(stretch, link, &outbox, &report));
        if let Err(error) = started {
            warn!(%link, %error, "no thread can be had for a learner");
            self.cut_off(link);
        }
    }

    /// What comes next on a connection is a snapshot. False if the connection is gone: nothing will come.
    pub(crate) fn load_snapshot(&self, link: LinkId, zxid: Zxid) -> bool {
        let handle = self.links.get(&link);
        handle.is_some_and(|handle| handle.load_snapshot(zxid))
    }

    /// A peer that takes in too little: it comes again (P31).
    pub(crate) fn cut_off(&mut self, link: LinkId) {
        if self.links.remove(&link).is_some() {
            (self.workshop.report)(PeerEvent::Closed { link });
        }
    }

    /// Ends them all.
    pub(crate) fn close_all(&mut self) {
        self.links.clear();
    }

    /// Ends a connection; what was sent before leaves, if it can soon.
    pub(crate) fn close(&mut self, link: LinkId) {
        self.links.remove(&link);
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        if let Some(dialling) = &self.dialling {
            dialling.abort();
        }
    }
}
