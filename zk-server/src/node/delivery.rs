//! Delivery: what stands is applied, and whoever waited hears of it.

use super::flight::{Answer, SyncFor, Turn};
use super::membership::Service;
use super::tally::{count_fired, count_writes};
use super::{Fatal, Node};
use crate::net::link::{Delivery, Link};
use crate::net::reads::{Reader, put_refusal};
use crate::replica::{Replica, Submission};
use crate::tree::{Change, Outcome, Tree, permits};
use bytes::BytesMut;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use zk_proto::txn::TxnRecord;
use zk_proto::{ErrorCode, OpCode, Perms, Reply, Request, SessionId, WatchEvent, Xid, Zxid};
use zk_zab::Message;

/// How many transactions are applied under one guard, so that readers are never kept long.
const APPLY_AT_ONCE: usize = 256;
/// After how many it is looked whether that has taken long.
const APPLY_BETWEEN_LOOKS: usize = 16;
/// And for how long.
const LONGEST_GUARD: Duration = Duration::from_millis(1);

impl Node {
    /// Applies everything up to `through`. Whatever a connection can see of a change, its inbox holds
    /// the event first: both are done under the guard (P10). Connections are woken when it is gone.
    pub(super) fn deliver(&mut self, through: Zxid) -> Result<(), Fatal> {
        self.delivered = self.delivered.max(through);
        let replica = Arc::clone(&self.replica);
        let mut wakers = Vec::new();
        loop {
            let mut tree = replica.tree_mut();
            let (mut applied, began) = (0, replica.clock().now());
            let wall = replica.clock().wall_millis();
            let mut more = true;
            while more && applied < APPLY_AT_ONCE {
                let Some(turn) = self.flight.pop_through(through) else {
                    more = false;
                    break;
                };
                match turn {
                    Turn::Txn(record, answer) => {
                        self.apply(&mut tree, &record, answer, &mut wakers)?;
                        let since = u64::try_from(wall - record.header.time).unwrap_or(0);
                        let latencies = &replica.metrics().here().latencies;
                        latencies
                            .propagation_latency
                            .record(Duration::from_millis(since));
                    }
                    other @ (Turn::Sync { .. }
                    | Turn::Answered(_)
                    | Turn::Validated { .. }
                    | Turn::Read(..)
                    | Turn::Renew { .. }
                    | Turn::Refused { .. }) => self.deliver_other(&tree, other, &mut wakers),
                }
                applied += 1;
                if applied % APPLY_BETWEEN_LOOKS == 0
                    && replica.clock().now().saturating_since(began) > LONGEST_GUARD
                {
                    break;
                }
            }
            drop(tree);
            wakers.drain(..).for_each(Waker::wake);
            if !more {
                return Ok(());
            }
        }
    }

    /// Answers the reads at the front of the queue, when no transaction is before them any more.
    pub(super) fn deliver_reads(&mut self) {
        let replica = Arc::clone(&self.replica);
        let mut wakers = Vec::new();
        let tree = replica.tree();
        while let Some(turn) = self.flight.pop_through(tree.last_zxid()) {
            self.deliver_other(&tree, turn, &mut wakers);
        }
        drop(tree);
        wakers.drain(..).for_each(Waker::wake);
    }

    /// Something between the transactions.
    fn deliver_other(&mut self, tree: &Tree, turn: Turn, wakers: &mut Vec<Waker>) {
        match turn {
            Turn::Read(link, read) => wakers.extend(self.read(tree, &link, &read)),
            Turn::Refused { link, read, code } => {
                wakers.extend(self.refused(tree, &link, read, code));
            }
            Turn::Renew {
                link,
                session,
                password,
                timeout,
            } => self.take_up(&link, session, &password, timeout),
            Turn::Sync { who, .. } => match who {
                SyncFor::Own(link, body) => wakers.extend(self.synced(tree, &link, &body)),
                SyncFor::Learner(link) => self.membership().peers.send(link, Message::Sync),
            },
            Turn::Validated {
                link,
                session,
                valid,
            } => self.tell_validity(link, session, valid),
            Turn::Answered(message) => {
                let now = self.replica.clock().now();
                self.take_answer(tree, &message, now, wakers);
            }
            Turn::Txn(..) => unreachable!("transactions are applied, or have left the flight"),
        }
    }

    /// A sync has come to its end: its answer repeats the path.
    pub(super) fn synced(&mut self, tree: &Tree, link: &Link, body: &[u8]) -> Option<Waker> {
        let result = match self.replica.decode(OpCode::Sync, body) {
            Ok(Request::Sync { path }) => Ok(Reply::Path(path.into_owned())),
            Ok(_) | Err(_) => Err(ErrorCode::MarshallingError),
        };
        self.replica.settled(1);
        let zxid = tree.last_zxid();
        link.push(Delivery::Done { zxid, result })
    }

    /// A client's session on a new connection, now that everything asked on the old one stands (P3).
    pub(super) fn take_up(
        &mut self,
        link: &Arc<Link>,
        session: SessionId,
        password: &[u8],
        timeout: Duration,
    ) {
        let now = self.replica.clock().now();
        let response = self.sessions.take_up(session, password, timeout, link, now);
        link.push_and_wake(Delivery::Connected(response));
    }

    /// A read whose client has gone is not looked at: its watch would never be taken back.
    pub(super) fn read(&mut self, tree: &Tree, link: &Link, read: &Submission) -> Option<Waker> {
        self.replica.settled(1);
        if link.is_gone() {
            self.replica
                .metrics()
                .here()
                .counters
                .stale_replies
                .increment();
            return None;
        }
        let reader = Reader {
            replica: &self.replica,
            tree,
            link,
            identities: &read.identities,
        };
        reader.answer(read.xid, read.op, &read.body, &mut self.replies);
        let frame = self.replies.split().freeze();
        link.push(Delivery::Answer {
            zxid: tree.last_zxid(),
            frame,
        })
    }

    pub(super) fn refused(
        &mut self,
        tree: &Tree,
        link: &Link,
        read: Option<Xid>,
        code: ErrorCode,
    ) -> Option<Waker> {
        self.replica.settled(1);
        let zxid = tree.last_zxid();
        let Some(xid) = read else {
            let result = Err(code);
            return link.push(Delivery::Done { zxid, result });
        };
        put_refusal(&mut self.replies, xid, zxid, code);
        let frame = self.replies.split().freeze();
        link.push(Delivery::Answer { zxid, frame })
    }

    fn apply(
        &mut self,
        tree: &mut Tree,
        record: &TxnRecord,
        answer: Answer,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), Fatal> {
        let zxid = record.header.zxid;
        let applied = tree.apply(record);
        if !applied.digest_ok {
            self.replica
                .metrics()
                .here()
                .counters
                .digest_mismatches_count
                .increment();
            return Err(Fatal::Digest { zxid });
        }
        self.pending.forget_up_to(zxid);
        let here = self.replica.metrics().here();
        if self.member.is_some() {
            here.counters.request_commit_queued.increment();
            if self.service() == Service::Leads {
                here.counters.commit_count.increment();
            }
        }
        if applied.outcome.result.is_ok() {
            here.counters.outstanding_changes_removed.increment();
            count_writes(self.replica.metrics(), &record.txn);
        }
        fire(&self.replica, tree, zxid, &applied.changes, wakers);
        if matches!(self.service(), Service::Learns(_)) {
            self.answer_held(tree, record, applied.outcome, wakers);
        } else {
            self.answer(zxid, applied.outcome, answer, wakers);
        }
        Ok(())
    }

    pub(super) fn answer(
        &mut self,
        zxid: Zxid,
        outcome: Outcome,
        answer: Answer,
        wakers: &mut Vec<Waker>,
    ) {
        match answer {
            Answer::Nobody => {}
            Answer::Write(link) => {
                self.replica.settled(1);
                if link.is_gone() {
                    let here = self.replica.metrics().here();
                    here.counters.stale_replies.increment();
                }
                let result = outcome.result;
                wakers.extend(link.push(if result == Err(ErrorCode::SessionMoved) {
                    // Its client is elsewhere by now (P16); this is the end of the old connection.
                    Delivery::Close
                } else {
                    Delivery::Done { zxid, result }
                }));
            }
            Answer::Connect(link, timeout) => {
                let now = self.replica.clock().now();
                let (session, _) = outcome.opened.expect("this transaction opens a session");
                let response = self.sessions.begin(session, timeout, &link, now);
                wakers.extend(link.push(Delivery::Connected(response)));
            }
        }
        if let Some(session) = outcome.closed
            && let Some(link) = self.sessions.end(session)
        {
            wakers.extend(link.push(Delivery::Close));
        }
    }
}

/// Tells the watchers of what changed, as far as they may know (P13).
fn fire(replica: &Replica, tree: &Tree, zxid: Zxid, changes: &[Change], wakers: &mut Vec<Waker>) {
    if changes.is_empty() {
        return;
    }
    let mut watches = replica.watches();
    for change in changes {
        // One frame serves all who hear of the same event.
        let mut frame = None;
        let mut fired = 0;
        watches.fire(change, |watcher, event, path| {
            fired += 1;
            let Some(link) = replica.link(watcher) else {
                return;
            };
            if !permits(tree.rules(), &change.acl, &link.identities(), Perms::READ) {
                return;
            }
            let frame = frame.get_or_insert_with(|| {
                let mut frame = BytesMut::new();
                WatchEvent::put_frame(&mut frame, zxid, event, path);
                frame.freeze()
            });
            wakers.extend(link.push(Delivery::Event(frame.clone())));
        });
        count_fired(replica.metrics(), change, fired);
    }
}
