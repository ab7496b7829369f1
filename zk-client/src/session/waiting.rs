//! What waits, and for how long: calls for their turn and their answer, a connection for the next sign of life,
//! a session for any server.

use super::call::{Call, Sent, Slot};
use super::{Effect, End, Phase, Session};
use crate::ErrorKind;
use crate::clock::Time;
use crate::watch::SubscriptionId;
use zk_proto::{OpCode, Request, RequestHeader, Xid, frame};

impl<C: Slot> Session<C> {
    /// A call takes its place in the order, which is the order of the calls.
    pub(crate) fn call(&mut self, call: Call<C>, out: &mut Vec<Effect<C>>) {
        if let Some(kind) = self.refusal() {
            fail(call, kind, out);
            return;
        }
        if let Some(deadline) = call.deadline {
            self.expect(deadline);
        }
        self.queue.push_back(call);
    }

    /// Why nothing is taken any more, if so.
    pub(crate) fn refusal(&self) -> Option<ErrorKind> {
        match self.phase {
            Phase::Over(End::Expired) => Some(ErrorKind::SessionExpired {
                session: self.id,
                sent: false,
            }),
            Phase::Over(End::AuthFailed) => Some(ErrorKind::AuthFailed),
            Phase::Over(End::Closed | End::Detached) => Some(ErrorKind::Closed { sent: false }),
            Phase::Apart | Phase::Greeting { .. } | Phase::Proving | Phase::Live => self
                .closing
                .is_some()
                .then_some(ErrorKind::Closed { sent: false }),
        }
    }

    fn expect(&mut self, deadline: Time) {
        self.earliest = Some(
            self.earliest
                .map_or(deadline, |earliest| earliest.min(deadline)),
        );
    }

    /// A credential, for this connection and every later one.
    pub(crate) fn add_auth(
        &mut self,
        scheme: &str,
        auth: &[u8],
        slot: Option<C>,
        out: &mut Vec<Effect<C>>,
    ) {
        if let Some(kind) = self.refusal() {
            let call = Call::new(OpCode::Auth, Vec::new(), slot);
            fail(call, kind, out);
            return;
        }
        self.credentials.add(scheme, auth, slot);
        if self.phase == Phase::Live {
            self.credentials.present_newest(&mut self.urgent);
        }
    }

    /// A watcher went away. Its watch goes as well, unless others share it.
    pub(crate) fn unwatch(&mut self, id: SubscriptionId) {
        let Some(removal) = self.watches.remove(id) else {
            // Perhaps its registration is on the way.
            let queued = self.queue.iter_mut();
            let flying = self.flight.iter_mut().filter_map(|it| match &mut it.sent {
                Sent::Call(call) => Some(call),
                Sent::Rearm { .. } | Sent::Close => None,
            });
            let mut wishes = queued.chain(flying).filter_map(|it| it.watch.as_mut());
            if let Some(wish) = wishes.find(|wish| wish.id == id) {
                wish.dropped = true;
            }
            return;
        };
        // Without a connection the server has no watch of ours; it will not be armed again.
        if let Some((path, kind)) = removal
            && self.phase == Phase::Live
        {
            let request = Request::RemoveWatches {
                path: (&*path).into(),
                kind,
            };
            let frame = super::call::frame_of(&request);
            self.queue
                .push_back(Call::new(OpCode::RemoveWatches, frame, None));
        }
    }

    /// When to come back with [`Self::on_time`] if nothing happens first.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let connection = match self.phase {
            Phase::Live => Some(
                (self.wrote_at + self.ping_interval()).min(self.heard_at + self.silence_limit()),
            ),
            Phase::Greeting { sent_at, .. } => Some(sent_at + self.settings.connect_timeout),
            Phase::Proving => Some(self.heard_at + self.silence_limit()),
            Phase::Apart | Phase::Over(_) => None,
        };
        let closing = self.closing.as_ref().map(|(_, until)| *until);
        [connection, self.earliest, closing, self.given_up_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the own clock declares the session over; only without a server.
    fn given_up_at(&self) -> Option<Time> {
        let hopeless = self.phase != Phase::Live && self.established;
        let over = matches!(self.phase, Phase::Over(_));
        let after = self.settings.give_up_after?;
        (hopeless && !over).then(|| self.contact + after)
    }

    /// Time has passed.
    pub(crate) fn on_time(&mut self, now: Time, out: &mut Vec<Effect<C>>) {
        if self.earliest.is_some_and(|earliest| earliest <= now) {
            self.time_out_calls(now, out);
        }
        if self.phase == Phase::Live {
            if now >= self.heard_at + self.silence_limit() {
                out.push(Effect::Hangup("the server is silent"));
            } else if now >= self.wrote_at + self.ping_interval() {
                self.ping(now);
            }
        }
        if let Phase::Greeting { sent_at, .. } = self.phase
            && now >= sent_at + self.settings.connect_timeout
        {
            out.push(Effect::Hangup("the server does not greet"));
        }
        if self.phase == Phase::Proving && now >= self.heard_at + self.silence_limit() {
            out.push(Effect::Hangup("the server does not judge our identity"));
        }
        if self.given_up_at().is_some_and(|at| at <= now) {
            self.expire(now, out);
            out.push(Effect::Hangup("no server for too long"));
        }
        if self
            .closing
            .as_ref()
            .is_some_and(|(_, until)| *until <= now)
        {
            self.end(End::Closed, out);
            out.push(Effect::Hangup("nobody hears that the session is closed"));
        }
    }

    fn ping(&mut self, now: Time) {
        let mut frame = Vec::with_capacity(frame::LENGTH_WORD + RequestHeader::WIRE_LEN);
        frame.extend_from_slice(&[0, 0, 0, 8]);
        RequestHeader {
            xid: Xid::PING,
            op: OpCode::Ping,
        }
        .encode(&mut frame);
        self.urgent.push_back(frame);
        self.wrote_at = now;
    }

    /// Tells the calls whose time is up. What was sent keeps its place until its reply comes.
    fn time_out_calls(&mut self, now: Time, out: &mut Vec<Effect<C>>) {
        let is_due = |deadline: Option<Time>| deadline.is_some_and(|deadline| deadline <= now);
        let mut earliest: Option<Time> = None;
        let mut keep = |deadline: Option<Time>| {
            if let Some(deadline) = deadline {
                earliest = Some(earliest.map_or(deadline, |known| known.min(deadline)));
            }
        };
        let mut kept = std::collections::VecDeque::with_capacity(self.queue.len());
        for call in self.queue.drain(..) {
            if is_due(call.deadline) {
                fail(call, ErrorKind::Timeout { sent: false }, out);
            } else {
                keep(call.deadline);
                kept.push_back(call);
            }
        }
        self.queue = kept;
        for flight in &mut self.flight {
            let Sent::Call(call) = &mut flight.sent else {
                continue;
            };
            if !is_due(call.deadline) {
                keep(call.deadline);
                continue;
            }
            call.deadline = None;
            if let Some(slot) = call.slot.take() {
                out.push(Effect::Answer {
                    slot,
                    outcome: Err(ErrorKind::Timeout { sent: true }),
                    frame: call.frame.clone(),
                    took: Some(now.saturating_since(flight.sent_at)),
                });
            }
        }
        self.earliest = earliest;
    }
}

/// Ends a call without an answer from the server.
pub(super) fn fail<C>(call: Call<C>, kind: ErrorKind, out: &mut Vec<Effect<C>>) {
    if let Some(slot) = call.slot {
        out.push(Effect::Answer {
            slot,
            outcome: Err(kind),
            frame: call.frame,
            took: None,
        });
    }
}
