//! The order of one client's requests: what is answered at once, what waits, what the loop is asked.

mod answers;
mod door;
mod proof;

use crate::net::connection::Ended;
use crate::net::link::{Delivery, Link};
use crate::net::reads::put_refusal;
use crate::net::spare;
use crate::net::tally::Tally;
use crate::replica::{Replica, Submission};
use crate::tree::{Identity, Tree};
use bytes::{Buf, Bytes, BytesMut};
use door::{Door, door, expected_reply};
use proof::is_unproved;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tracing::debug;
use zk_proto::jute::{JuteMut, Reader as Jute};
use zk_proto::{ErrorCode, OpCode, ReplyHeader, Request, RequestHeader, Xid, Zxid, frame};
use zk_zab::Time;

/// Requests that have been read, replies that have not been sent.
pub(crate) struct Front {
    link: Arc<Link>,
    replica: Arc<Replica>,
    identities: Arc<[Identity]>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    writes_waiting: usize,
    submissions: Vec<Submission>,
    tally: Tally,
    output: BytesMut,
    buffer: usize,
    closing: bool,
    /// Whether the client has yet to prove who it is before anything else is done for it.
    unproved: bool,
    /// Nothing is read before: an attempt to authenticate has to wait.
    held_until: Option<Time>,
}

/// How long requests are answered under one guard.
const LONGEST_LOOK: Duration = Duration::from_millis(1);
/// What a waiting request takes besides its bytes.
const WAITING_COST: usize = 256;

/// A request that the loop has.
struct Waiting {
    asked: Asked,
    bytes: usize,
    what: What,
}

/// What is counted of a request when it has its answer.
#[derive(Clone, Copy)]
struct Asked {
    xid: Xid,
    op: OpCode,
    since: Time,
}

/// What the loop was handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Write,
    /// It reads, and an earlier write is unfinished. The loop answers it in its turn.
    Read,
}

impl Front {
    pub(crate) fn new(link: Arc<Link>, replica: Arc<Replica>) -> Self {
        let identities = link.identities();
        Self {
            unproved: is_unproved(&replica, &identities),
            held_until: None,
            identities,
            buffer: replica.connection_buffer(),
            link,
            replica,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            writes_waiting: 0,
            submissions: Vec::new(),
            tally: Tally::default(),
            output: BytesMut::new(),
            closing: false,
        }
    }

    pub(crate) const fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    pub(crate) const fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether more requests may be read: not while the client leaves its replies unread, has too much
    /// unanswered, or everyone together has too much unanswered and this client has its share.
    pub(crate) fn wants_requests(&self) -> bool {
        !self.closing
            && self.held_until.is_none()
            && self.output.len() < self.buffer
            && self.waiting_bytes < self.buffer
            && !self.is_held_by_others()
    }

    /// Whether everyone together has too much unanswered, and this client something of it.
    pub(crate) fn is_held_by_others(&self) -> bool {
        self.writes_waiting > 0 && self.replica.is_crowded(self.submissions.len())
    }

    /// A client that does not read is not buffered for here; its inbox has a limit.
    pub(crate) fn wants_deliveries(&self) -> bool {
        self.output.len() < self.buffer
    }

    /// What it keeps for the client: replies, and requests without one.
    pub(crate) fn held_bytes(&self) -> usize {
        self.output.len() + self.waiting_bytes
    }

    pub(crate) const fn held_until(&self) -> Option<Time> {
        self.held_until
    }

    /// The wait is over.
    pub(crate) const fn go_on(&mut self) {
        self.held_until = None;
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn rest(&mut self) {
        if self.output.is_empty() {
            spare::give_back(std::mem::take(&mut self.output));
        }
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
    }

    /// Handles deliveries and requests under one look at the tree, deliveries first: whatever the tree
    /// shows now, its events are in the inbox already and leave before any reply that shows it (P10).
    pub(crate) fn work(
        &mut self,
        input: &mut BytesMut,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<(), Ended> {
        let replica = Arc::clone(&self.replica);
        let now = replica.clock().now();
        if self.output.capacity() == 0 {
            self.output = spare::borrow();
        }
        {
            let tree = replica.tree();
            if self.wants_deliveries() {
                self.link.take(deliveries);
                for delivery in deliveries.drain(..) {
                    self.on_delivery(delivery, now);
                }
            }
            let read = self.on_input(input, &tree, now);
            self.tally.tell(&replica, &self.link, tree.last_zxid(), now);
            read?;
        }
        if !self.submissions.is_empty() {
            let requests = std::mem::take(&mut self.submissions);
            replica.submit(&self.link, requests, now);
        }
        Ok(())
    }

    fn on_input(&mut self, input: &mut BytesMut, tree: &Tree, now: Time) -> Result<(), Ended> {
        let max = self.replica.max_frame();
        let mut heard = false;
        while self.wants_requests() {
            let Some(len) = frame::payload_len(input, max)? else {
                break;
            };
            if input.len() < frame::LENGTH_WORD + len {
                break;
            }
            heard = true;
            self.on_frame(input, frame::LENGTH_WORD + len, tree, now)?;
            if self.replica.clock().now().saturating_since(now) > LONGEST_LOOK {
                // The rest comes under the next guard: the loop must not wait for one client's questions.
                break;
            }
        }
        if heard {
            self.link.hear(now);
        }
        Ok(())
    }

    /// One frame, which is whole at the front of the input and ends at `end`.
    fn on_frame(
        &mut self,
        input: &mut BytesMut,
        end: usize,
        tree: &Tree,
        now: Time,
    ) -> Result<(), Ended> {
        let payload = input.get(frame::LENGTH_WORD..end).unwrap_or_default();
        let header = RequestHeader::decode(&mut Jute::new(payload));
        let RequestHeader { xid, op } = header.map_err(|_| Ended::Undecodable)?;
        let asked = Asked {
            xid,
            op,
            since: now,
        };
        if !self.replica.has_room_for(payload.len()) {
            return Err(Ended::TooLarge);
        }
        if op == OpCode::Auth {
            let body = payload.get(RequestHeader::WIRE_LEN..).unwrap_or_default();
            if self.must_wait_to_authenticate(xid, body, now) {
                return Ok(());
            }
        }
        self.tally.received(end);
        if self.unproved && !matches!(op, OpCode::Auth | OpCode::Sasl) {
            debug!(peer = %self.link.peer(), "a client without one of the required schemes");
            put_refusal(
                &mut self.output,
                xid,
                Zxid::ZERO,
                ErrorCode::SessionClosedRequireAuth,
            );
            self.closing = true;
            return Ok(());
        }
        match door(op, self.replica.is_member()) {
            Door::Read if self.waiting.is_empty() => {
                let body = payload.get(RequestHeader::WIRE_LEN..).unwrap_or_default();
                let identities = Arc::clone(&self.identities);
                self.answer_read(asked, body, &identities, tree, now);
                input.advance(end);
            }
            Door::Read => {
                let body = take_body(input, end);
                let reply = expected_reply(tree, op, &body);
                self.hand_over(asked, What::Read, body, reply);
            }
            Door::Write => self.hand_over(asked, What::Write, take_body(input, end), 0),
            Door::Auth => self.authenticate(xid, &take_body(input, end), now)?,
            Door::Sasl => {
                // No SASL is configured: Java answers a token with none, and is upset by none.
                match self.replica.decode(op, &take_body(input, end)) {
                    Ok(Request::Sasl { token: Some(_) }) => {}
                    _ => return Err(Ended::Undecodable),
                }
                frame::put_frame(&mut self.output, |out| {
                    ReplyHeader {
                        xid,
                        zxid: Zxid::ZERO,
                        err: 0,
                    }
                    .encode(out);
                    out.put_buffer(None);
                });
            }
            Door::Refuse => {
                put_refusal(&mut self.output, xid, Zxid::NONE, ErrorCode::Unimplemented);
                self.closing = true;
            }
        }
        Ok(())
    }

    /// Leaves a request to the loop. It will be judged by the identities of the moment it came.
    /// What its reply will probably take is counted already: it will lie in the inbox.
    fn hand_over(&mut self, asked: Asked, what: What, body: Bytes, reply: usize) {
        self.link.stats().queued(asked.xid);
        let bytes = WAITING_COST + body.len() + reply;
        self.submissions.push(Submission {
            is_read: what == What::Read,
            xid: asked.xid,
            op: asked.op,
            body,
            identities: Arc::clone(&self.identities),
        });
        self.waiting_bytes += bytes;
        self.replica.begins(bytes);
        self.writes_waiting += usize::from(what == What::Write);
        self.waiting.push_back(Waiting { asked, bytes, what });
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        for waiting in &self.waiting {
            self.replica.ends(waiting.bytes);
        }
    }
}

/// Takes a frame off the input and leaves its header behind: the body, not copied.
fn take_body(input: &mut BytesMut, end: usize) -> Bytes {
    let mut body = input.split_to(end).freeze();
    body.advance(frame::LENGTH_WORD + RequestHeader::WIRE_LEN);
    body
}
