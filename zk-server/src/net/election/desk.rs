//! The desk: everyone who comes is sent to the task of the peer it says it is. It decides who keeps a
//! connection and who is called back, and joins every task it has started: if one of them panics, so
//! does the port (P35).

use super::acceptor::{self, Acceptor, Doors, Guest};
use super::peer::{Arrival, Peer};
use super::{Heard, Outboxes, PortSettings};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tracing::debug;
use zk_proto::ServerId;
use zk_zab::wire::Address;

/// How many servers may be connected that the configuration does not name. Java's come like that
/// before they are made members.
const MAX_STRANGERS: usize = 16;

/// How many arrivals a peer's task may be late with.
const ARRIVALS: usize = 4;

pub(super) struct Desk {
    settings: Arc<PortSettings>,
    greeting: Bytes,
    outboxes: Arc<Outboxes>,
    heard: mpsc::Sender<Heard>,
    peers: BTreeMap<ServerId, mpsc::Sender<Arrival>>,
    tasks: JoinSet<ServerId>,
}

impl Desk {
    pub(super) fn new(
        settings: PortSettings,
        outboxes: Arc<Outboxes>,
        heard: mpsc::Sender<Heard>,
    ) -> Self {
        let mut desk = Self {
            greeting: settings.greeting(),
            settings: Arc::new(settings),
            outboxes,
            heard,
            peers: BTreeMap::new(),
            tasks: JoinSet::new(),
        };
        for id in desk.settings.peers.keys().copied().collect::<Vec<_>>() {
            desk.add_peer(id);
        }
        desk
    }

    pub(super) async fn run(mut self, listeners: Vec<TcpListener>) {
        let mut doors = Doors::open(listeners);
        let mut acceptor = Acceptor::new(self.settings.handshake);
        loop {
            tokio::select! {
                (stream, from) = doors.next() => acceptor.receive(stream, from),
                guest = acceptor.next() => self.introduce(guest),
                Some(ended) = self.tasks.join_next() => self.forget(ended),
            }
        }
    }

    fn introduce(&mut self, guest: Guest) {
        let Guest { message, link } = guest;
        let id = message.server;
        if id == self.settings.me {
            debug!(%id, "somebody comes with this server's own number");
            return;
        }
        let arrival = if id > self.settings.me {
            Arrival::Kept(link)
        } else {
            // Only who is greater keeps its connection. This one ends here, and its peer is dialled.
            drop(link);
            Arrival::CallBack(self.where_to_call(id, message.addresses))
        };
        if !self.peers.contains_key(&id) && !self.admit(id) {
            debug!(%id, "too many servers that the configuration does not name");
            return;
        }
        let Some(peer) = self.peers.get(&id) else {
            return;
        };
        if let Err(error) = peer.try_send(arrival) {
            debug!(%id, %error, "a server comes too often");
        }
    }

    fn admit(&mut self, id: ServerId) -> bool {
        let strangers = self.peers.len() - self.settings.peers.len();
        let room = strangers < MAX_STRANGERS;
        if room {
            self.add_peer(id);
        }
        room
    }

    /// The address a peer gives, unless that says nothing: then the one in the configuration.
    fn where_to_call(&self, id: ServerId, given: Vec<Address>) -> Vec<Address> {
        let mut given = given;
        given.retain(|address| !acceptor::is_wildcard(&address.host));
        if given.is_empty() {
            given = self.configured(id);
        }
        given
    }

    fn configured(&self, id: ServerId) -> Vec<Address> {
        self.settings.peers.get(&id).cloned().unwrap_or_default()
    }

    fn add_peer(&mut self, id: ServerId) {
        let (outbox, mail) = watch::channel(Bytes::new());
        let (sender, arrivals) = mpsc::channel(ARRIVALS);
        self.outboxes.lock().insert(id, outbox);
        self.peers.insert(id, sender);
        self.tasks.spawn(
            Peer {
                id,
                settings: Arc::clone(&self.settings),
                greeting: self.greeting.clone(),
                outbox: mail,
                arrivals,
                heard: self.heard.clone(),
                redialled: None,
            }
            .run(),
        );
    }

    /// A stranger's connection has ended, and with it all that is known of it.
    fn forget(&mut self, ended: Result<ServerId, JoinError>) {
        let id = ended.expect("a peer's task does not panic");
        self.peers.remove(&id);
        self.outboxes.lock().remove(&id);
    }
}
