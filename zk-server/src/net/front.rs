//! The order of one client's requests: what is answered at once, what waits, what the loop is asked.

use crate::net::connection::Ended;
use crate::net::gate::Attempt;
use crate::net::link::{Delivery, Link};
use crate::net::reads::{Reader, put_refusal};
use crate::net::spare;
use crate::net::tally::Tally;
use crate::replica::{Replica, Submission};
use crate::tree::{Identity, Tree, authenticate, is_guess};
use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tracing::debug;
use zk_proto::jute::{JuteMut, Reader as Jute};
use zk_proto::{
    ErrorCode, MultiOp, OpCode, Reply, ReplyHeader, Request, RequestHeader, Xid, Zxid, frame,
};
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
/// What a child's name takes in a list, roughly.
const NAME_COST: usize = 24;

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

/// By which door a request goes.
enum Door {
    Read,
    Write,
    Auth,
    Sasl,
    Refuse,
}

/// Every operation has its door. What only servers ask of themselves, and what nobody knows, is refused.
const fn door(op: OpCode) -> Door {
    match op {
        OpCode::Exists
        | OpCode::GetData
        | OpCode::GetAcl
        | OpCode::GetChildren
        | OpCode::GetChildren2
        | OpCode::Sync
        | OpCode::Ping
        | OpCode::CheckWatches
        | OpCode::RemoveWatches
        | OpCode::MultiRead
        | OpCode::SetWatches
        | OpCode::SetWatches2
        | OpCode::GetEphemerals
        | OpCode::GetAllChildrenNumber
        | OpCode::AddWatch
        | OpCode::WhoAmI => Door::Read,
        OpCode::Create
        | OpCode::Create2
        | OpCode::CreateContainer
        | OpCode::CreateTtl
        | OpCode::Delete
        | OpCode::SetData
        | OpCode::SetAcl
        | OpCode::Multi
        | OpCode::Reconfig
        | OpCode::CloseSession => Door::Write,
        OpCode::Auth => Door::Auth,
        OpCode::Sasl => Door::Sasl,
        OpCode::CreateSession
        | OpCode::DeleteContainer
        | OpCode::Check
        | OpCode::Error
        | OpCode::Other(_) => Door::Refuse,
    }
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
            replica.submit(&self.link, requests);
        }
        Ok(())
    }

    fn on_delivery(&mut self, delivery: Delivery, now: Time) {
        match delivery {
            Delivery::Event(frame) => {
                self.output.extend_from_slice(&frame);
                let here = self.replica.metrics().here();
                here.counters.watch_bytes.add(frame.len() as u64);
                here.server.packets_sent.increment();
                self.link.stats().sent(1);
            }
            Delivery::Done { zxid, result } => {
                let asked = self.take_waiting(What::Write);
                let start = self.output.len();
                self.put_result(asked.xid, zxid, &result);
                self.count_size(start, now);
                let here = self.replica.metrics().here();
                here.latencies.updatelatency.record(took(asked, now));
                self.answered(asked, zxid, now);
            }
            Delivery::Answer { zxid, frame } => {
                let asked = self.take_waiting(What::Read);
                let start = self.output.len();
                self.output.extend_from_slice(&frame);
                self.count_size(start, now);
                let here = self.replica.metrics().here();
                here.latencies.readlatency.record(took(asked, now));
                self.answered(asked, zxid, now);
            }
            Delivery::Close => self.closing = true,
            Delivery::Connected(_) => unreachable!("the handshake is over"),
        }
    }

    fn put_result(&mut self, xid: Xid, zxid: Zxid, result: &Result<Reply, ErrorCode>) {
        match result {
            Ok(reply) => frame::put_frame(&mut self.output, |out| {
                ReplyHeader { xid, zxid, err: 0 }.encode(out);
                reply.encode(out);
            }),
            Err(code) => put_refusal(&mut self.output, xid, zxid, *code),
        }
    }

    /// The request whose answer has come.
    fn take_waiting(&mut self, what: What) -> Asked {
        let waiting = self
            .waiting
            .pop_front()
            .expect("the loop answers what it was asked");
        assert_eq!(
            waiting.what, what,
            "the loop answers in the order in which it was asked"
        );
        self.waiting_bytes -= waiting.bytes;
        self.replica.ends(waiting.bytes);
        self.writes_waiting -= usize::from(what == What::Write);
        waiting.asked
    }

    fn answer_read(
        &mut self,
        asked: Asked,
        body: &[u8],
        identities: &[Identity],
        tree: &Tree,
        now: Time,
    ) {
        let reader = Reader {
            replica: &self.replica,
            tree,
            link: &self.link,
            identities,
        };
        let start = self.output.len();
        reader.answer(asked.xid, asked.op, body, &mut self.output);
        self.count_size(start, now);
        self.tally.answered_read(asked.op, asked.xid);
    }

    /// Notes how long the reply is that begins there.
    fn count_size(&self, start: usize, now: Time) {
        let size = self.output.len().saturating_sub(start + frame::LENGTH_WORD);
        let here = self.replica.metrics().here();
        here.server.client_response_size.record(size, now.elapsed());
    }

    /// Counts an answer that is on its way.
    fn answered(&self, asked: Asked, zxid: Zxid, now: Time) {
        let here = self.replica.metrics().here();
        here.server.packets_sent.increment();
        here.server.answered(took(asked, now), 1);
        let stats = self.link.stats();
        stats.sent(1);
        stats.dequeued(asked.xid);
        stats.answered(
            asked.op,
            asked.xid,
            zxid,
            asked.since.elapsed(),
            now.elapsed(),
            1,
        );
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
        match door(op) {
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

    /// Whether an attempt that may be a guess comes too soon after others of its address. It stays in
    /// the input until its time has come; right or wrong, it waits as long.
    fn must_wait_to_authenticate(&mut self, xid: Xid, body: &[u8], now: Time) -> bool {
        let Ok(Request::Auth { scheme, auth, .. }) = self.replica.decode(OpCode::Auth, body) else {
            return false;
        };
        if !is_guess(
            self.replica.rules(),
            scheme.as_deref().unwrap_or_default(),
            auth,
        ) {
            return false;
        }
        let limits = &self.replica.metrics().here().limits;
        match self.replica.gate().attempt(self.link.peer().ip(), now) {
            Attempt::Now => false,
            Attempt::Later(wait) => {
                limits.limit_authentication_rate.increment();
                self.held_until = Some(now + wait);
                true
            }
            Attempt::Refused => {
                limits.limit_authentication_rate.increment();
                self.put_auth_reply(xid, Some(ErrorCode::AuthFailed));
                self.closing = true;
                true
            }
        }
    }

    /// Identities belong to the connection; those who fail to prove one are shown out.
    fn authenticate(&mut self, xid: Xid, body: &[u8], now: Time) -> Result<(), Ended> {
        let Ok(Request::Auth { scheme, auth, .. }) = self.replica.decode(OpCode::Auth, body) else {
            return Err(Ended::Undecodable);
        };
        let (scheme, rules) = (scheme.as_deref().unwrap_or_default(), self.replica.rules());
        let proved = authenticate(rules, scheme, auth);
        let superuser = Identity::superuser();
        if is_guess(rules, scheme, auth)
            && !proved
                .as_ref()
                .is_ok_and(|proved| proved.contains(&superuser))
        {
            let ip = self.link.peer().ip();
            self.replica.gate().attempt_failed(ip, now);
        }
        let refused = if proved.is_ok_and(|proved| self.link.add_identities(proved)) {
            self.identities = self.link.identities();
            self.unproved = is_unproved(&self.replica, &self.identities);
            None
        } else {
            self.replica.metrics().here().server.auth_failed.increment();
            self.closing = true;
            Some(ErrorCode::AuthFailed)
        };
        self.put_auth_reply(xid, refused);
        Ok(())
    }

    fn put_auth_reply(&mut self, xid: Xid, refused: Option<ErrorCode>) {
        frame::put_frame(&mut self.output, |out| {
            ReplyHeader {
                xid,
                zxid: Zxid::ZERO,
                err: refused.map_or(0, ErrorCode::to_wire),
            }
            .encode(out);
        });
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        for waiting in &self.waiting {
            self.replica.ends(waiting.bytes);
        }
    }
}

/// Whether schemes are enforced and none of these identities is of one of them.
fn is_unproved(replica: &Replica, identities: &[Identity]) -> bool {
    let enforced = replica.config().security.enforced_schemes.as_ref();
    enforced.is_some_and(|schemes| {
        !identities
            .iter()
            .any(|identity| schemes.contains(&identity.scheme))
    })
}

/// What the reply to a read will take, as far as the tree can tell beforehand.
fn expected_reply(tree: &Tree, op: OpCode, body: &[u8]) -> usize {
    let data = |path: &str| {
        tree.get(path)
            .map_or(0, |node| node.data().map_or(0, <[u8]>::len))
    };
    let names = |path: &str| {
        tree.get(path)
            .map_or(0, |node| node.child_count() * NAME_COST)
    };
    match Request::decode(op, body) {
        Ok(Request::GetData { path, .. }) => data(&path),
        Ok(Request::GetChildren { path, .. } | Request::GetChildren2 { path, .. }) => names(&path),
        Ok(Request::MultiRead(ops)) => ops
            .iter()
            .map(|op| match op {
                MultiOp::GetData { path, .. } => data(path),
                MultiOp::GetChildren { path, .. } => names(path),
                MultiOp::Create(_)
                | MultiOp::Delete { .. }
                | MultiOp::SetData { .. }
                | MultiOp::Check { .. } => 0,
            })
            .fold(0, usize::saturating_add),
        Ok(_) | Err(_) => 0,
    }
}

/// Takes a frame off the input and leaves its header behind: the body, not copied.
fn take_body(input: &mut BytesMut, end: usize) -> Bytes {
    let mut body = input.split_to(end).freeze();
    body.advance(frame::LENGTH_WORD + RequestHeader::WIRE_LEN);
    body
}

fn took(asked: Asked, now: Time) -> Duration {
    now.saturating_since(asked.since)
}
