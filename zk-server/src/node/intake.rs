//! The way in: what waits before it is prepared, what is dropped because nobody waits for it any more, and
//! what is refused without a transaction. Everything here is off, or one comparison, by default.

use super::flight::{Answer, SyncFor};
use super::sessions::Owner;
use super::{Node, Turn};
use crate::config::settings::RequestThrottle;
use crate::net::link::{Delivery, Link};
use crate::replica::{Replica, Submission};
use crate::tree::{Asker, Stamp, Standing, Tree, prepare_refusal};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use zk_proto::{ErrorCode, MultiOp, OpCode, Request};
use zk_zab::Time;

/// Requests that came while enough others were in process (`request_throttle_max_requests`), oldest first.
/// What one client can have here is bounded by what may wait for it anyway.
pub(super) struct Intake {
    limits: RequestThrottle,
    waiting: VecDeque<Waiting>,
    closes_at: Option<Time>,
}

struct Waiting {
    link: Arc<Link>,
    submission: Submission,
    since: Time,
}

impl Intake {
    pub(super) fn new(limits: &RequestThrottle) -> Self {
        Self {
            limits: limits.clone(),
            waiting: VecDeque::new(),
            closes_at: None,
        }
    }

    /// A stop was asked for: what waits gets some time to be let in.
    pub(super) fn close(&mut self, now: Time) {
        self.closes_at = Some(now + self.limits.shutdown_timeout);
    }

    /// Whether a server that stops need not wait for it any more.
    pub(super) fn is_done(&self, now: Time) -> bool {
        self.waiting.is_empty() || self.closes_at.is_some_and(|close| close <= now)
    }

    /// Nobody is let in any more. How many waited.
    pub(super) fn abandon(&mut self) -> usize {
        std::mem::take(&mut self.waiting).len()
    }

    fn has_room(&self, in_process: usize) -> bool {
        self.limits
            .max_requests
            .is_none_or(|max| in_process < max as usize)
    }

    fn is_stale(&self, waiting: &Waiting, speaks: bool, now: Time) -> bool {
        let waited = now.saturating_since(waiting.since);
        (self.limits.stale_connection_check && !speaks)
            || (self.limits.stale_latency_check && waited > waiting.link.timeout())
    }

    /// Ends of sessions are never held against a client, however long they took.
    fn is_overdue(&self, op: OpCode, waited: Duration) -> bool {
        let patience = self.limits.throttled_op_wait;
        patience.is_some_and(|patience| waited > patience)
            && !matches!(op, OpCode::CloseSession | OpCode::Ping)
    }
}

impl Node {
    /// Takes a request, or makes it wait for others to finish.
    pub(super) fn take_in(
        &mut self,
        tree: &Tree,
        link: &Arc<Link>,
        submission: Submission,
        now: Time,
    ) {
        if self.intake.waiting.is_empty() && self.intake.has_room(self.flight.txns()) {
            return self.accept(tree, link, submission, now);
        }
        let here = self.replica.metrics().here();
        here.counters.request_throttle_wait_count.increment();
        self.intake.waiting.push_back(Waiting {
            link: Arc::clone(link),
            submission,
            since: now,
        });
    }

    /// Lets in what waits, as far as there is room now.
    pub(super) fn let_in(&mut self, now: Time) {
        if self.intake.waiting.is_empty() {
            return;
        }
        let replica = Arc::clone(&self.replica);
        let tree = replica.tree();
        while self.intake.has_room(self.flight.txns())
            && let Some(waiting) = self.intake.waiting.pop_front()
        {
            self.let_in_one(&tree, waiting, now);
        }
        drop(tree);
        if self.flight.is_empty() {
            self.deliver_reads();
        }
    }

    fn let_in_one(&mut self, tree: &Tree, waiting: Waiting, now: Time) {
        let waited = now.saturating_since(waiting.since);
        let here = self.replica.metrics().here();
        here.latencies.request_throttle_queue_time_ms.record(waited);
        let speaks = self.sessions.speaks(&waiting.link);
        let stale = self.intake.is_stale(&waiting, speaks, now);
        if stale {
            here.counters.stale_requests.increment();
        }
        // Another connection may speak for the session by now: what this one said is void (P3).
        let void = !speaks && !self.sessions.is_silent(&waiting.link);
        if void || (stale && self.intake.limits.drop_stale) {
            return self.drop_client(&waiting.link);
        }
        if self.intake.is_overdue(waiting.submission.op, waited) {
            here.counters.throttled_ops.increment();
            return self.refuse(&waiting.link, &waiting.submission, ErrorCode::ThrottledOp);
        }
        self.accept(tree, &waiting.link, waiting.submission, now);
    }

    /// One request of a client was dropped, so none that came after it may be done: it has to come again.
    fn drop_client(&mut self, link: &Arc<Link>) {
        let before = self.intake.waiting.len();
        self.intake
            .waiting
            .retain(|waiting| waiting.link.id() != link.id());
        let later = before - self.intake.waiting.len();
        let counters = &self.replica.metrics().here().counters;
        counters.stale_requests_dropped.add(1 + later as u64);
        self.replica.settled(1 + later);
        self.sessions.on_gone(link);
        link.push_and_wake(Delivery::Close);
    }

    /// A request goes its way: a read to its place, a write through preparation, or neither.
    fn accept(&mut self, tree: &Tree, link: &Arc<Link>, submission: Submission, now: Time) {
        if submission.is_read {
            return self.flight.push(Turn::Read(Arc::clone(link), submission));
        }
        if let Some(code) = lacks_room(&self.replica, tree, &submission) {
            return self.refuse(link, &submission, code);
        }
        let time = self.replica.clock().wall_millis();
        let Some(zxid) = self.zab.next_zxid() else {
            // This server has just stopped to lead: the client is about to hear of it.
            return self.replica.settled(1);
        };
        if self.member.is_some() {
            if submission.op == OpCode::Sync {
                return self.begin_sync(SyncFor::Own(Arc::clone(link), submission.body));
            }
            // Its client may have gone on with the session elsewhere (P16).
            if let Err(code) = self.sessions.check(link.session(), Owner::Here) {
                let asker = Asker {
                    session: link.session(),
                    xid: submission.xid,
                    identities: &submission.identities,
                    standing: Standing::Global,
                };
                let refusal = prepare_refusal(&asker, Stamp { zxid, time }, code);
                return self.propose(refusal, Answer::Write(Arc::clone(link)), now);
            }
        }
        match self.prepare(tree, link.session(), time, &submission, now) {
            Some(record) => self.propose(record, Answer::Write(Arc::clone(link)), now),
            None => self.refuse(link, &submission, ErrorCode::MarshallingError),
        }
    }

    /// Refuses without a transaction; the answer still takes its turn.
    fn refuse(&mut self, link: &Arc<Link>, submission: &Submission, code: ErrorCode) {
        let read = submission.is_read.then_some(submission.xid);
        self.flight.push(Turn::Refused {
            link: Arc::clone(link),
            read,
            code,
        });
    }
}

/// Whether a write is refused because there is no room for it, on the disk or in memory. What makes room,
/// and the end of a session, is not.
pub(super) fn lacks_room(
    replica: &Replica,
    tree: &Tree,
    submission: &Submission,
) -> Option<ErrorCode> {
    let disk = replica.room().is_low();
    let soft = replica.limits().soft_memory;
    let memory = soft.is_some_and(|soft| tree.approximate_memory() > soft);
    if !disk && !memory {
        return None;
    }
    // What cannot be decoded is refused elsewhere.
    let request = replica.decode(submission.op, &submission.body).ok()?;
    let limits = &replica.metrics().here().limits;
    if disk && adds(&request) {
        limits.limit_disk_space.increment();
        return Some(ErrorCode::ThrottledOp);
    }
    if memory && grows(&request, tree) {
        limits.limit_data_size.increment();
        return Some(ErrorCode::QuotaExceeded);
    }
    None
}

/// Whether a request writes anything but a deletion.
fn adds(request: &Request<'_>) -> bool {
    if let Request::Multi(ops) = request {
        return ops
            .iter()
            .any(|op| matches!(op, MultiOp::Create(_) | MultiOp::SetData { .. }));
    }
    matches!(
        request,
        Request::Create(_) | Request::SetData { .. } | Request::SetAcl { .. }
    )
}

/// Whether the tree is larger after a request: by a node, or by more data than a node had.
fn grows(request: &Request<'_>, tree: &Tree) -> bool {
    let longer = |path: &str, data: Option<&[u8]>| {
        let before = tree.get(path).and_then(|node| node.data().map(<[u8]>::len));
        data.map_or(0, <[u8]>::len) > before.unwrap_or(0)
    };
    let part_grows = |op: &MultiOp<'_>| match op {
        MultiOp::Create(_) => true,
        MultiOp::SetData { path, data, .. } => longer(path, *data),
        MultiOp::Delete { .. }
        | MultiOp::Check { .. }
        | MultiOp::GetData { .. }
        | MultiOp::GetChildren { .. } => false,
    };
    if let Request::SetData { path, data, .. } = request {
        return longer(path, *data);
    }
    if let Request::Multi(ops) = request {
        return ops.iter().any(part_grows);
    }
    matches!(request, Request::Create(_))
}
