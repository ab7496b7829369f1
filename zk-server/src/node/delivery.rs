//! Delivery: what stands is applied, and whoever waited hears of it.

use super::flight::Answer;
use super::{Fatal, Node};
use crate::net::link::Delivery;
use crate::replica::Replica;
use crate::tree::{Change, Outcome, Tree, permits};
use bytes::BytesMut;
use std::sync::Arc;
use std::task::Waker;
use zk_proto::txn::TxnRecord;
use zk_proto::{Perms, WatchEvent, Zxid};

/// How many transactions are applied under one guard, so that readers are never kept long.
const APPLY_AT_ONCE: usize = 256;

impl Node {
    /// Applies everything up to `through`. Whatever a connection can see of a change, its inbox holds
    /// the event first: both are done under the guard (P10). Connections are woken when it is gone.
    pub(super) fn deliver(&mut self, through: Zxid) -> Result<(), Fatal> {
        let replica = Arc::clone(&self.replica);
        let mut wakers = Vec::new();
        loop {
            let mut tree = replica.tree_mut();
            let mut applied = 0;
            while applied < APPLY_AT_ONCE
                && let Some((record, answer)) = self.flight.pop_through(through)
            {
                self.apply(&mut tree, &record, answer, &mut wakers)?;
                applied += 1;
            }
            drop(tree);
            wakers.drain(..).for_each(Waker::wake);
            if applied < APPLY_AT_ONCE {
                return Ok(());
            }
        }
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
        fire(&self.replica, tree, zxid, &applied.changes, wakers);
        self.answer(zxid, applied.outcome, answer, wakers);
        Ok(())
    }

    fn answer(&mut self, zxid: Zxid, outcome: Outcome, answer: Answer, wakers: &mut Vec<Waker>) {
        match answer {
            Answer::Nobody => {}
            Answer::Write(link) => {
                self.replica.settled(1);
                wakers.extend(link.push(Delivery::Done {
                    zxid,
                    result: outcome.result,
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
        watches.fire(change, |watcher, event, path| {
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
    }
}
