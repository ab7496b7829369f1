//! A connection that lives: requests out in the order of their calls, replies and events in, each matched with
//! what it answers.

use super::call::{Answered, Call, Flight, Sent, Slot};
use super::credentials::Judged;
use super::{Effect, End, Misbehaved, Phase, Session};
use crate::ErrorKind;
use crate::clock::Time;
use crate::watch::{Item, WatchKind};
use bytes::{Bytes, BytesMut};
use zk_proto::jute::Reader;
use zk_proto::{ErrorCode, OpCode, ReplyHeader, Request, WatchEvent, Xid, Zxid};

/// More than this is not prepared for one write.
const WRITE_AHEAD: usize = 256 << 10;

impl<C: Slot> Session<C> {
    /// Appends what may be written now. Stops at the window, so that a server that answers slowly is not buried.
    pub(crate) fn fill(&mut self, now: Time, out: &mut BytesMut) {
        if self.phase != Phase::Live {
            return;
        }
        let before = out.len();
        while let Some(frame) = self.urgent.pop_front() {
            out.extend_from_slice(&frame);
        }
        while out.len() < WRITE_AHEAD {
            let Some(call) = self.queue.front() else {
                self.fill_close(now, out);
                break;
            };
            let full = self.flight.len() >= self.settings.max_in_flight
                || self.flight_bytes + call.frame.len() > self.settings.max_in_flight_bytes;
            if full && !self.flight.is_empty() {
                break;
            }
            let Some(call) = self.queue.pop_front() else {
                break;
            };
            // Nobody waits and nothing was sent: it never happened.
            if call.slot.as_ref().is_some_and(Slot::is_abandoned) {
                continue;
            }
            if is_for_the_leader(call.op) {
                self.asked_leader_at = now;
            }
            let xid = self.number();
            call.write(xid, out);
            self.fly(now, xid, Sent::Call(call));
        }
        if out.len() > before {
            self.wrote_at = now;
        }
    }

    fn fill_close(&mut self, now: Time, out: &mut BytesMut) {
        let is_close = |flight: &Flight<C>| matches!(flight.sent, Sent::Close);
        if self.closing.is_none() || self.flight.iter().any(is_close) {
            return;
        }
        let xid = self.number();
        let frame = super::call::frame_of(&Request::CloseSession);
        Call::<C>::new(OpCode::CloseSession, frame, None).write(xid, out);
        self.fly(now, xid, Sent::Close);
    }

    pub(super) fn fly(&mut self, now: Time, xid: Xid, sent: Sent<C>) {
        self.flight_bytes += sent.len();
        self.flight.push_back(Flight {
            xid,
            sent_at: now,
            sent,
        });
    }

    /// The next request's number; after the last comes the first again.
    fn number(&mut self) -> Xid {
        let xid = Xid(self.next_xid);
        self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        xid
    }

    /// One frame from the server.
    pub(crate) fn on_frame(
        &mut self,
        now: Time,
        frame: &Bytes,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), Misbehaved> {
        self.heard_at = now;
        let header = ReplyHeader::decode(&mut Reader::new(frame))?;
        let body = frame.slice(ReplyHeader::WIRE_LEN..);
        match header.xid {
            Xid::NOTIFICATION => {
                let event = WatchEvent::decode(&body)?;
                // Before 3.9, and for what was missed, no zxid is told.
                let zxid = (header.zxid > Zxid::ZERO).then_some(header.zxid);
                self.seen = self.seen.max(header.zxid);
                self.watches.on_event(&event, zxid, |id, item| {
                    out.push(Effect::Notify(id, item));
                });
                Ok(())
            }
            Xid::PING => {
                // A follower answers pings by itself: they prove the connection, not the session.
                Ok(())
            }
            Xid::AUTH => {
                self.on_verdict(header.err, out);
                Ok(())
            }
            _ => self.on_reply(now, header, body, out),
        }
    }

    fn on_verdict(&mut self, err: i32, out: &mut Vec<Effect<C>>) {
        let answer = |slot, outcome| Effect::Answer {
            slot,
            outcome,
            frame: Vec::new(),
            took: None,
        };
        match self.credentials.on_verdict(err != 0) {
            Judged::Accepted(Some(slot)) => out.push(answer(slot, Ok(Answered::nothing()))),
            Judged::Refused(Some(slot)) => out.push(answer(slot, Err(ErrorKind::AuthFailed))),
            Judged::Revoked => {
                self.end(End::AuthFailed, out);
                out.push(Effect::Hangup("a credential that stood is refused"));
            }
            Judged::Accepted(None) | Judged::Refused(None) | Judged::Unasked => {}
        }
    }

    fn on_reply(
        &mut self,
        now: Time,
        header: ReplyHeader,
        body: Bytes,
        out: &mut Vec<Effect<C>>,
    ) -> Result<(), Misbehaved> {
        let expected = self.flight.front().map(|flight| flight.xid);
        if expected != Some(header.xid) {
            return Err(Misbehaved::OutOfOrder {
                found: header.xid,
                expected,
            });
        }
        let Some(flight) = self.flight.pop_front() else {
            return Ok(());
        };
        self.flight_bytes -= flight.sent.len();
        self.contact = self.contact.max(flight.sent_at);
        self.last_reply = self.last_reply.max(header.zxid);
        self.seen = self.seen.max(header.zxid);
        match flight.sent {
            Sent::Call(call) => self.on_answer(now, flight.sent_at, call, header, body, out),
            Sent::Rearm { last: true } => self.on_rearmed(header.zxid, out),
            Sent::Rearm { last: false } => {}
            Sent::Close => {
                self.end(End::Closed, out);
                out.push(Effect::Hangup("the session is closed"));
            }
        }
        Ok(())
    }

    fn on_answer(
        &mut self,
        now: Time,
        sent_at: Time,
        call: Call<C>,
        header: ReplyHeader,
        body: Bytes,
        out: &mut Vec<Effect<C>>,
    ) {
        if proves_the_leader(call.op, &header) {
            self.prove_alive(sent_at);
        }
        let code = ErrorCode::from_wire(header.err);
        if let Some(wish) = call.watch
            && wish.kind.is_armed_by(code)
            && let Some(path) = call.wire_path()
        {
            // A watch for its creation on a node that is there is a watch on its data.
            let kind = match (wish.kind, code) {
                (WatchKind::Exist, None) => WatchKind::Data,
                (kind, _) => kind,
            };
            self.watches.add(wish.id, kind, &path);
            if call.tries > 0 && !kind.is_once() && header.zxid > self.resumed {
                // It was armed before, on a connection that may have been told things we were not.
                let since = self.resumed;
                out.push(Effect::Notify(wish.id, Item::Gap { since }));
            }
            if wish.dropped {
                self.unwatch(wish.id);
            }
        }
        if code == Some(ErrorCode::SessionExpired) {
            // The server knows the end before we do; it closes the connection behind this.
            out.push(Effect::Hangup("the server says that the session is over"));
        }
        if code == Some(ErrorCode::Unimplemented) {
            self.on_unknown(call.op, out);
        }
        let Some(slot) = call.slot else {
            return;
        };
        out.push(Effect::Answer {
            slot,
            outcome: match code {
                None => Ok(Answered { header, body }),
                Some(code) => Err(ErrorKind::Server(code)),
            },
            frame: call.frame,
            took: Some(now.saturating_since(sent_at)),
        });
    }
}

impl<C: Slot> Session<C> {
    /// An old server does not know the operation, says so, and closes the connection: what would be written from here
    /// on would be lost, so that it waits for the next.
    fn on_unknown(&mut self, op: OpCode, out: &mut Vec<Effect<C>>) {
        // These are refused in the same words by servers that know them and were told not to allow them.
        if matches!(op, OpCode::CreateTtl | OpCode::Reconfig) {
            return;
        }
        if op == OpCode::RemoveWatches {
            self.watches_stay = true;
        }
        out.push(Effect::Leave(
            "the server does not know an operation, and hangs up",
        ));
    }
}

impl Answered {
    /// The answer to what has none.
    pub(crate) fn nothing() -> Self {
        Self {
            header: ReplyHeader {
                xid: Xid::AUTH,
                zxid: Zxid::ZERO,
                err: 0,
            },
            body: Bytes::new(),
        }
    }
}

/// Whether only the leader can have made this reply. Reads and pings are answered by whoever we are connected
/// to, who may be cut off; so are refusals that no transaction stands for (their zxid is zero or less).
fn proves_the_leader(op: OpCode, header: &ReplyHeader) -> bool {
    let refused_here = matches!(
        ErrorCode::from_wire(header.err),
        Some(
            ErrorCode::ThrottledOp
                | ErrorCode::NotReadOnly
                | ErrorCode::MarshallingError
                | ErrorCode::Unimplemented
                | ErrorCode::AuthFailed
                | ErrorCode::SessionClosedRequireAuth
                | ErrorCode::SessionExpired
        )
    );
    is_for_the_leader(op) && header.zxid > Zxid::ZERO && !refused_here
}

/// Whether the leader takes part in every answer.
const fn is_for_the_leader(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Sync
            | OpCode::Multi
            | OpCode::Reconfig
    )
}
