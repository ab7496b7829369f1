//! The agreement: which transactions stand, and in which order.
//!
//! This crate knows ids and opaque bytes. It knows no runtime, clock, socket, file or tree: time
//! comes in as an argument, durability as an event, and what has to be done goes out as data.
//!
//! ```text
//!            Input                                Effect
//!   Propose(payload) ──►┌──────────────────┐──► Append(zxid, payload)   to the log
//!   Persisted(zxid)  ──►│  Zab (a leader)  │
//!                       └──────────────────┘──► Deliver(through zxid)   to the tree
//! ```
//!
//! Today an ensemble is a quorum of one: the leader is its only voter, and its own `Persisted` is
//! the only acknowledgement there is. Everything around it is already shaped for more voters: a
//! transaction is delivered when the quorum holds it, never because this server wrote it.
//!
//! The contract of [`Zab::step`]: one input in, then drain every effect, then the next input.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod effect;
mod input;
mod leader;
mod quorum;
mod time;

pub use effect::Effect;
pub use input::Input;
pub use quorum::{Majority, Progress};
pub use time::Time;

use leader::Leader;
use zk_proto::{ServerId, Zxid};

/// The agreement core of one server.
#[derive(Debug)]
pub struct Zab {
    leader: Leader,
}

impl Zab {
    /// An ensemble of one, whose log ends with `last`: everything up to it stands.
    pub fn alone(me: ServerId, last: Zxid) -> Self {
        Self {
            leader: Leader::new(me, Majority::of([me]), last),
        }
    }

    /// The place the next proposal will take. Its author needs to know it beforehand, because the
    /// zxid is part of what a transaction says.
    pub fn next_zxid(&self) -> Zxid {
        self.leader.next_zxid()
    }

    /// One event in, its consequences out. Never blocks, never fails, never looks at a clock.
    pub fn step(&mut self, _now: Time, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Propose { payload } => self.leader.on_propose(payload, out),
            Input::Persisted { through } => self.leader.on_persisted(through, out),
        }
    }

    /// When to come back if nothing happens first. A quorum of one never waits for anyone.
    pub fn deadline(&self) -> Option<Time> {
        None
    }
}
