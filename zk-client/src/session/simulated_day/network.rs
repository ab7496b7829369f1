//! Between the client and the servers: the present connection, what is on its way, and what each side makes of it.

use super::model::{Door, SERVERS, Said};
use super::work::Waiter;
use super::{Event, SESSION_TIMEOUT, World};
use crate::clock::Time;
use crate::session::{Effect, Session, State};
use crate::watch::SubscriptionId;
use bytes::{Buf, Bytes, BytesMut};
use zk_proto::{SessionId, frame};

/// The client's end of one connection, and the way between.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) number: u64,
    greeted: bool,
    /// Frames keep their order: none arrives before these.
    up_free: Time,
    down_free: Time,
    /// Both ways lead nowhere, and nobody says so.
    pub(super) lost: bool,
    /// The way to the client leads nowhere: what it asks is done, and it never hears of it.
    pub(super) deaf: bool,
}

impl World {
    pub(super) fn connect(&mut self) {
        if self.link.is_some() {
            return;
        }
        if self.now < self.closed_until {
            self.later(500, Event::Connect);
            return;
        }
        self.links += 1;
        let server = self.chance.below(SERVERS);
        self.door = Some(Door::new(self.links, server));
        self.link = Some(Link {
            number: self.links,
            greeted: false,
            up_free: self.now,
            down_free: self.now,
            lost: false,
            deaf: false,
        });
        let greeting = self.session.greet(self.now);
        self.send(&mut BytesMut::from(&greeting[..]));
    }

    /// One fact for the session, then all its consequences, then all it has to say.
    pub(super) fn step(
        &mut self,
        fact: impl FnOnce(&mut Session<Waiter>, Time, &mut Vec<Effect<Waiter>>),
    ) {
        let mut out = Vec::new();
        fact(&mut self.session, self.now, &mut out);
        self.drain(out);
        let mut bytes = BytesMut::new();
        if self.link.is_some() {
            self.session.fill(self.now, &mut bytes);
        }
        self.send(&mut bytes);
    }

    fn drain(&mut self, effects: Vec<Effect<Waiter>>) {
        let mut over = false;
        let mut given_up = Vec::new();
        for effect in effects {
            self.note(&effect);
            match effect {
                Effect::Answer { slot, outcome, .. } => {
                    let watcher = self.ledger.on_answer(&self.ensemble.log, slot.0, &outcome);
                    given_up.extend(watcher);
                }
                Effect::Notify(id, item) => self.ledger.on_notify(&self.ensemble.log, id, &item),
                Effect::State(state) => self.on_state(state),
                Effect::Hangup(_) | Effect::Leave(_) => over = true,
            }
        }
        // Whoever asked for a watch and did not get it drops the watcher.
        for id in given_up {
            self.session.unwatch(SubscriptionId(id));
        }
        if over {
            self.hang_up();
        }
        self.check_deadline();
    }

    /// P3: never silently another session; and none is given up that lives.
    fn on_state(&mut self, state: State) {
        match state {
            State::Connected {
                session,
                generation,
                ..
            } => {
                let same = self.told == SessionId::NONE || self.told == session;
                assert!(same, "P3: {session} takes the place of {}", self.told);
                assert_eq!(generation, self.lost, "P3: a session is lost in silence");
                self.told = session;
            }
            State::Lost { .. } => {
                let lives = self.ensemble.knows(self.told);
                assert!(!lives, "a session that lives is said to be lost");
                self.told = SessionId::NONE;
                self.lost += 1;
            }
            State::Suspended { .. } | State::Closed => {}
        }
    }

    /// P18: what is certain to the client ends a third of the timeout before the leader would end it. That third is
    /// for clocks that differ; an answer that was long on its way takes nothing of it.
    fn check_deadline(&self) {
        let certain = self.session.alive_until();
        let known = self.ensemble.expires_at(self.session.id());
        if let (Some(certain), Some(known)) = (certain, known) {
            assert!(
                certain + SESSION_TIMEOUT / 3 <= known,
                "P18: said alive until {certain}, ends at {known}"
            );
        }
    }

    /// The client knows that its connection is gone.
    pub(super) fn hang_up(&mut self) {
        if self.link.take().is_some() {
            let mut out = Vec::new();
            self.session.on_lost(self.now, &mut out);
            self.later(300, Event::Connect);
            self.drain(out);
        }
    }

    /// The client's bytes on their way.
    fn send(&mut self, bytes: &mut BytesMut) {
        while let Ok(Some(len)) = frame::payload_len(bytes, usize::MAX) {
            bytes.advance(frame::LENGTH_WORD);
            let payload = bytes.split_to(len).freeze();
            self.note(&payload);
            let latency = self.millis(20);
            let now = self.now;
            let Some(link) = self.link.as_mut().filter(|link| !link.lost) else {
                continue;
            };
            link.up_free = link.up_free.max(now + latency);
            let (arrival, number) = (link.up_free, link.number);
            self.at(arrival, Event::ToServer(number, payload));
        }
    }

    /// The server's bytes on their way.
    fn reply(&mut self, number: u64, mut bytes: BytesMut, close: bool) {
        while let Ok(Some(len)) = frame::payload_len(&bytes, usize::MAX) {
            bytes.advance(frame::LENGTH_WORD);
            let payload = bytes.split_to(len).freeze();
            self.deliver(number, Event::ToClient(number, payload));
        }
        if close {
            self.door = None;
            self.deliver(number, Event::Closed(number));
        }
    }

    fn deliver(&mut self, number: u64, event: Event) {
        let latency = self.millis(20);
        let now = self.now;
        let link = self.link.as_mut();
        if let Some(link) = link.filter(|link| link.number == number && !link.lost && !link.deaf) {
            link.down_free = link.down_free.max(now + latency);
            let arrival = link.down_free;
            self.at(arrival, event);
        }
    }

    pub(super) fn on_server(&mut self, number: u64, payload: &[u8]) {
        let Some(mut door) = self.door.take_if(|door| door.number == number) else {
            return;
        };
        let said = if door.is_new() {
            self.ensemble.greet(self.now, &mut door, payload)
        } else {
            self.ensemble.serve(self.now, &mut door, payload)
        };
        self.door = Some(door);
        match said {
            Said::Frames(bytes) => self.reply(number, bytes, false),
            Said::Close(bytes) => self.reply(number, bytes, true),
        }
    }

    pub(super) fn on_client(&mut self, number: u64, payload: &Bytes) {
        let Some(link) = self.link.as_mut().filter(|link| link.number == number) else {
            return;
        };
        if link.greeted {
            self.step(|session, now, out| session.on_frame(now, payload, out).unwrap());
            return;
        }
        link.greeted = true;
        self.step(|session, now, out| {
            if session.on_greeting(now, payload, out).unwrap() {
                session.begin(now, out);
            }
        });
    }

    pub(super) fn apply(&mut self, server: usize, through: i64) {
        let mut out = BytesMut::new();
        let several = self
            .ensemble
            .apply(self.now, server, through, self.door.as_mut(), &mut out);
        if several && !self.evening && self.chance.below(4) == 0 {
            // The connection ends while they are on their way: some may have been told, some not.
            self.later(20, Event::Cut);
        }
        if let Some(number) = self.door.as_ref().map(|door| door.number) {
            self.reply(number, out, false);
        }
    }
}
