//! From a request to a proposal: what it becomes, and its place in the order.

use super::leading::for_all_members;
use super::{Answer, Node};
use crate::config::change::Change;
use crate::disk::store::LogRecord;
use crate::replica::Submission;
use crate::tree::{
    Asker, Internal, Stamp, Standing, Tree, null_path_refusal, prepare, prepare_internal,
    prepare_refusal,
};
use bytes::Bytes;
use tracing::debug;
use zk_proto::txn::{self, Txn, TxnRecord};
use zk_proto::{ErrorCode, OpCode, Request, SessionId, Zxid};
use zk_zab::{Effect, Input, Time};

impl Node {
    /// What a write becomes; nothing when it cannot be decoded. A multi leaves its error in the order
    /// all the same, as in 3.9.
    pub(super) fn prepare(
        &mut self,
        tree: &Tree,
        session: SessionId,
        time: i64,
        submission: &Submission,
        now: Time,
    ) -> Option<TxnRecord> {
        let Submission {
            xid,
            op,
            body,
            identities,
            ..
        } = submission;
        let stamp = Stamp {
            zxid: self.zab.next_zxid()?,
            time,
        };
        let asker = Asker {
            session,
            xid: *xid,
            identities,
            standing: Standing::Global,
        };
        Some(match self.replica.decode(*op, body) {
            Err(_) if *op == OpCode::Multi => {
                prepare_refusal(&asker, stamp, ErrorCode::MarshallingError)
            }
            Err(_) => {
                let code = null_path_refusal(self.replica.rules(), *op, body)?;
                prepare_refusal(&asker, stamp, code)
            }
            Ok(Request::Reconfig {
                joining,
                leaving,
                new_members,
                config_id,
            }) => {
                let change = Change {
                    joining: joining.as_deref(),
                    leaving: leaving.as_deref(),
                    new_members: new_members.as_deref(),
                };
                let code = self.refusal_of_change(tree, &asker, &change, config_id);
                prepare_refusal(&asker, stamp, code)
            }
            Ok(Request::CloseSession) => {
                self.sessions.closing(session);
                let close = Internal::CloseSession { session, xid: *xid };
                let record = prepare_internal(tree, &mut self.pending, stamp, close);
                let took = self.replica.clock().now().saturating_since(now);
                let latencies = &self.replica.metrics().here().latencies;
                latencies.close_session_prep_time.record(took);
                record
            }
            Ok(Request::Multi(ops)) if self.replica.has_too_many(&ops) => {
                prepare_refusal(&asker, stamp, ErrorCode::BadArguments)
            }
            Ok(request) => {
                let record = prepare(tree, &mut self.pending, &asker, stamp, &request, body);
                if let Some(path) = self.pending.take_over_quota() {
                    self.replica.metrics().over_quota(&path);
                }
                if record.txn == Txn::Error(ErrorCode::MarshallingError) {
                    let limits = &self.replica.metrics().here().limits;
                    limits.limit_transaction_size.increment();
                }
                record
            }
        })
    }

    /// What the server does by itself: sessions that begin or expire, nodes that have aged.
    pub(super) fn propose_internal(&mut self, what: Internal, answer: Answer, now: Time) {
        let time = self.replica.clock().wall_millis();
        let Some(zxid) = self.zab.next_zxid() else {
            return debug!("this server has just stopped to lead");
        };
        let stamp = Stamp { zxid, time };
        let record = {
            let tree = self.replica.tree();
            prepare_internal(&tree, &mut self.pending, stamp, what)
        };
        self.propose(record, answer, now);
    }

    pub(super) fn propose(&mut self, record: TxnRecord, answer: Answer, now: Time) {
        let counters = &self.replica.metrics().here().counters;
        counters.sync_processor_request_queued.increment();
        if !matches!(record.txn, Txn::Error(_)) {
            counters.outstanding_changes_queued.increment();
        }
        if self.member.is_some()
            && let Some(txn) = for_all_members(&record.txn)
        {
            txn::encode(&record.header, &txn, record.digest, &mut self.payload);
        } else {
            record.encode(&mut self.payload);
        }
        let payload: Bytes = self.payload.split().freeze();
        let here = self.replica.metrics().here();
        if self.member.is_some() {
            here.counters.proposal_count.increment();
            here.server
                .proposal_size
                .record(payload.len(), now.elapsed());
        }
        let mut proposed = Some((record, answer));
        self.zab
            .step(now, Input::Propose { payload }, &mut self.effects);
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            // The caller may look at the tree: what is not for the log waits until nobody does.
            if let Effect::Append { zxid, payload } = effect {
                if let Some((record, answer)) = proposed.take() {
                    self.flight.push_txn(record, answer);
                }
                self.stage(zxid, payload);
            } else {
                self.later.push_back(effect);
            }
        }
        self.effects = effects;
        // A leader that stood still may learn by this very proposal that it leads no more (P30). It was never
        // appended, so it must not be in flight: a later leader's word would put it in the tree.
        if let Some((_, Answer::Write(_))) = proposed {
            self.replica.settled(1);
        }
    }

    /// A transaction on its way to the log.
    pub(super) fn stage(&mut self, zxid: Zxid, payload: Bytes) {
        self.trigger.count(payload.len());
        let record = LogRecord { zxid, payload };
        self.replica.room().spend(record.len_on_disk());
        self.appends.push(record);
    }
}
