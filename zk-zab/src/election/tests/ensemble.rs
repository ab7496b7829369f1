//! Servers that elect, and the messages between them, in one thread and in one time.

use crate::{
    Candidacy, Election, ElectionEffect, ElectionSettings, Notification, PeerState, Quorum, Time,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use zk_proto::ServerId;

/// A message that has been sent and has not arrived.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) from: ServerId,
    pub(super) to: ServerId,
    pub(super) said: Notification,
}

/// What has happened, for whoever tells or checks the story.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Sent(Flight),
    Elected {
        server: ServerId,
        role: PeerState,
        leader: ServerId,
    },
}

pub(super) struct Ensemble {
    pub(super) now: Time,
    pub(super) quorum: Quorum,
    pub(super) observers: BTreeSet<ServerId>,
    pub(super) servers: BTreeMap<ServerId, Election>,
    pub(super) histories: BTreeMap<ServerId, Candidacy>,
    pub(super) flights: VecDeque<Flight>,
    pub(super) events: Vec<Event>,
}

impl Ensemble {
    pub(super) fn new(quorum: Quorum) -> Self {
        Self {
            now: Time::default(),
            quorum,
            observers: BTreeSet::new(),
            servers: BTreeMap::new(),
            histories: BTreeMap::new(),
            flights: VecDeque::new(),
            events: Vec::new(),
        }
    }

    /// A process begins. It knows nothing of rounds.
    pub(super) fn boot(&mut self, server: ServerId) {
        let observer = self.observers.contains(&server);
        let config = Bytes::from_static(b"version=0");
        let settings = ElectionSettings::new(server, observer, self.quorum.clone(), config);
        self.servers.insert(server, Election::new(settings));
    }

    pub(super) fn crash(&mut self, server: ServerId) {
        self.servers.remove(&server);
    }

    /// The server begins to look for a leader.
    pub(super) fn start(&mut self, server: ServerId) {
        let history = self.histories[&server];
        self.with(server, |election, now, out| {
            election.start(now, history, out);
        });
    }

    pub(super) fn hear(&mut self, to: ServerId, from: ServerId, said: &Notification) {
        self.with(to, |election, now, out| {
            election.on_notification(now, from, said, out);
        });
    }

    /// Does something with a server that runs, and notes what comes of it.
    pub(super) fn with(
        &mut self,
        server: ServerId,
        act: impl FnOnce(&mut Election, Time, &mut Vec<ElectionEffect>),
    ) {
        let Some(election) = self.servers.get_mut(&server) else {
            return;
        };
        let mut out = Vec::new();
        act(election, self.now, &mut out);
        for effect in out {
            self.carry_out(server, effect);
        }
    }

    fn carry_out(&mut self, from: ServerId, effect: ElectionEffect) {
        match effect {
            ElectionEffect::Send { to, notification } => {
                let said = notification;
                let flight = Flight { from, to, said };
                self.flights.push_back(flight.clone());
                self.events.push(Event::Sent(flight));
            }
            ElectionEffect::Elected { role, leader } => {
                let server = from;
                self.events.push(Event::Elected {
                    server,
                    role,
                    leader,
                });
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.servers.values().filter_map(Election::deadline).min()
    }

    /// Lets time pass up to `until`; whoever waits for a moment on the way gets it.
    pub(super) fn pass_until(&mut self, until: Time) {
        while let Some(deadline) = self.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            self.wake();
        }
        self.now = until;
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.pass_until(self.now + time);
    }

    fn wake(&mut self) {
        let servers: Vec<_> = self.servers.keys().copied().collect();
        for server in servers {
            let due = self.servers[&server].deadline();
            if due.is_some_and(|due| due <= self.now) {
                self.with(server, Election::on_timeout);
            }
        }
    }

    /// Delivers everything, and what comes of it, in the order in which it was sent.
    pub(super) fn deliver_all(&mut self) {
        while let Some(flight) = self.flights.pop_front() {
            self.hear(flight.to, flight.from, &flight.said);
        }
    }

    /// Delivers the oldest message of one link.
    pub(super) fn deliver_next(&mut self, from: ServerId, to: ServerId) -> bool {
        let mut flights = self.flights.iter();
        let at = flights.position(|flight| flight.from == from && flight.to == to);
        let Some(flight) = at.and_then(|at| self.flights.remove(at)) else {
            return false;
        };
        self.hear(to, from, &flight.said);
        true
    }
}
