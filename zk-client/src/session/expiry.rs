//! Endings: of a connection, of a session, of the client. Each call that was on its way gets the verdict that is
//! true for it (P9).

use super::call::{Call, Flight, Sent, Slot};
use super::waiting::fail;
use super::{Effect, End, OnExpiry, Phase, Session, State};
use crate::ErrorKind;
use crate::clock::Time;
use crate::watch::Item;
use std::collections::VecDeque;
use zk_proto::{PASSWORD_LEN, SessionId};

impl<C: Slot> Session<C> {
    /// The connection is gone. Reads go again, before everything queued. Writes that were sent have an unknown
    /// end; if there was one, the writes queued behind it are not sent either, so that never a later one takes
    /// effect where an earlier one, unknown to its caller, did not.
    pub(crate) fn on_lost(&mut self, now: Time, out: &mut Vec<Effect<C>>) {
        let was = self.phase;
        if matches!(was, Phase::Over(_) | Phase::Apart) {
            return;
        }
        self.phase = Phase::Apart;
        self.urgent.clear();
        self.credentials.on_lost();
        self.flight_bytes = 0;
        let mut again = VecDeque::new();
        let mut unknown_write = false;
        let mut closed = false;
        for flight in std::mem::take(&mut self.flight) {
            match flight.sent {
                Sent::Call(call) => {
                    unknown_write |= !call.is_idempotent();
                    self.retry_or_fail(now, flight.sent_at, call, &mut again, out);
                }
                Sent::Rearm { .. } => {}
                Sent::Close => closed = true,
            }
        }
        for call in std::mem::take(&mut self.queue) {
            if unknown_write && !call.is_idempotent() {
                fail(call, ErrorKind::ConnectionLoss { sent: false }, out);
            } else if call.slot.is_some() {
                again.push_back(call);
            }
        }
        self.queue = again;
        if was == Phase::Live {
            out.push(Effect::State(State::Suspended {
                alive_until: self.alive_until,
            }));
        }
        if closed {
            // The server closes the connection behind its reply: losing it here means that it heard us, or that
            // the session ends by itself.
            self.end(End::Closed, out);
        }
    }

    fn retry_or_fail(
        &self,
        now: Time,
        sent_at: Time,
        mut call: Call<C>,
        again: &mut VecDeque<Call<C>>,
        out: &mut Vec<Effect<C>>,
    ) {
        if call.is_idempotent() && call.tries < self.settings.read_retries && call.slot.is_some() {
            call.tries += 1;
            again.push_back(call);
        } else if let Some(slot) = call.slot {
            out.push(Effect::Answer {
                slot,
                outcome: Err(ErrorKind::ConnectionLoss { sent: true }),
                frame: call.frame,
                took: Some(now.saturating_since(sent_at)),
            });
        }
    }

    /// The session is over, and everything that belonged to it.
    pub(crate) fn expire(&mut self, _now: Time, out: &mut Vec<Effect<C>>) {
        let session = self.id;
        self.fail_all(|sent| ErrorKind::SessionExpired { session, sent }, out);
        self.watches
            .drain(|id| out.push(Effect::Notify(id, Item::Lost)));
        out.push(Effect::State(State::Lost {
            generation: self.generation,
        }));
        let ends = self.settings.on_expiry == OnExpiry::End;
        if self.closing.is_some() {
            // What was asked for has come about.
            self.end(End::Closed, out);
        } else if ends {
            self.end(End::Expired, out);
        } else {
            self.phase = Phase::Apart;
            self.generation += 1;
            self.id = SessionId::NONE;
            self.password = [0; PASSWORD_LEN];
            self.established = false;
            self.alive_until = None;
            self.timeout = self.settings.timeout;
        }
    }

    /// The server does not believe that we are who we say; asking again does not help.
    pub(crate) fn refuse_identity(&mut self, out: &mut Vec<Effect<C>>) {
        self.end(End::AuthFailed, out);
        out.push(Effect::Hangup("our identity is refused"));
    }

    /// The client's end is asked for: behind everything queued, at the latest at `until`.
    pub(crate) fn close(&mut self, slot: C, until: Time, out: &mut Vec<Effect<C>>) {
        if let Phase::Over(_) = self.phase {
            out.push(closed(slot));
        } else if !self.established && self.phase == Phase::Apart {
            // There is no session to close.
            self.closing = Some((slot, until));
            self.end(End::Closed, out);
        } else if self.closing.is_none() {
            self.closing = Some((slot, until));
        } else {
            out.push(closed(slot));
        }
    }

    /// Leaves without a word to the server: the session lives on until somebody takes it up, or it expires.
    pub(crate) fn detach(&mut self, out: &mut Vec<Effect<C>>) {
        self.end(End::Detached, out);
        out.push(Effect::Hangup("the session is left to another"));
    }

    /// Nothing will happen again.
    pub(super) fn end(&mut self, end: End, out: &mut Vec<Effect<C>>) {
        if let Phase::Over(_) = self.phase {
            return;
        }
        let session = self.id;
        self.fail_all(
            |sent| match end {
                End::Closed | End::Detached => ErrorKind::Closed { sent },
                End::Expired => ErrorKind::SessionExpired { session, sent },
                End::AuthFailed => ErrorKind::AuthFailed,
            },
            out,
        );
        self.phase = Phase::Over(end);
        self.watches
            .drain(|id| out.push(Effect::Notify(id, Item::Lost)));
        if let Some((slot, _)) = self.closing.take() {
            out.push(closed(slot));
        }
        out.push(Effect::State(State::Closed));
    }

    fn fail_all(&mut self, kind: impl Fn(bool) -> ErrorKind, out: &mut Vec<Effect<C>>) {
        self.urgent.clear();
        self.flight_bytes = 0;
        self.earliest = None;
        for Flight { sent, .. } in std::mem::take(&mut self.flight) {
            if let Sent::Call(call) = sent {
                fail(call, kind(true), out);
            }
        }
        for call in std::mem::take(&mut self.queue) {
            fail(call, kind(false), out);
        }
        for slot in self.credentials.take_waiting() {
            out.push(Effect::Answer {
                slot,
                outcome: Err(kind(false)),
                frame: Vec::new(),
                took: None,
            });
        }
    }
}

/// The answer to whoever asked for the end.
fn closed<C>(slot: C) -> Effect<C> {
    Effect::Answer {
        slot,
        outcome: Ok(super::Answered::nothing()),
        frame: Vec::new(),
        took: None,
    }
}
