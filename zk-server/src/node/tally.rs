//! What the loop counts of requests that are prepared, and of transactions that are written and applied.
//! Once per packet or batch, not per request.

use crate::metrics::{Metrics, Shard};
use crate::tree::Change;
use std::collections::VecDeque;
use std::time::Duration;
use zk_proto::EventType;
use zk_proto::Zxid;
use zk_proto::txn::Txn;
use zk_zab::Time;

/// Requests of one packet have waited for the loop, with so many packets behind them.
pub(super) fn count_waited(here: &Shard, requests: u64, waited: Duration, behind: usize) {
    here.amounts.prep_processor_queue_size.record(behind as u64);
    here.latencies
        .prep_processor_queue_time_ms
        .record_many(waited, requests);
}

/// They have been prepared, all together in this time.
pub(super) fn count_prepared(here: &Shard, requests: u64, took: Duration) {
    here.timings.prep_process_time.record_shared(took, requests);
}

/// What the log was handed and has not said to be durable, batch by batch.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    batches: VecDeque<Batch>,
    txns: u64,
}

#[derive(Debug)]
struct Batch {
    last: Zxid,
    txns: u64,
    since: Time,
}

impl Backlog {
    /// A batch goes to the log.
    pub(super) fn on_handed_over(&mut self, here: &Shard, last: Zxid, txns: u64, now: Time) {
        self.txns += txns;
        here.amounts.sync_processor_queue_size.record(self.txns);
        let since = now;
        self.batches.push_back(Batch { last, txns, since });
    }

    /// Everything up to here is durable.
    pub(super) fn on_persisted(&mut self, here: &Shard, through: Zxid, now: Time) {
        while self
            .batches
            .front()
            .is_some_and(|batch| batch.last <= through)
            && let Some(batch) = self.batches.pop_front()
        {
            self.txns -= batch.txns;
            here.latencies
                .sync_processor_queue_and_flush_time_ms
                .record_many(now.saturating_since(batch.since), batch.txns);
        }
    }
}

/// Bytes written under each top-level node.
pub(super) fn count_writes(metrics: &Metrics, txn: &Txn) {
    match txn {
        Txn::Create { path, data, .. }
        | Txn::SetData { path, data, .. }
        | Txn::Reconfig { path, data, .. } => {
            count_write(metrics, path, data.as_ref().map_or(0, bytes::Bytes::len));
        }
        Txn::Delete { path } | Txn::DeleteContainer { path } | Txn::SetAcl { path, .. } => {
            count_write(metrics, path, 0);
        }
        // A multi with a refusal in it did nothing.
        Txn::Multi(parts) if !parts.iter().any(|part| matches!(part, Txn::Error(_))) => {
            parts.iter().for_each(|part| count_writes(metrics, part));
        }
        Txn::Multi(_)
        | Txn::Check { .. }
        | Txn::Error(_)
        | Txn::CreateSession { .. }
        | Txn::CloseSession { .. } => {}
    }
}

fn count_write(metrics: &Metrics, path: &str, bytes: usize) {
    if let Some(namespace) = metrics.namespace(path) {
        let bytes = (path.len() + bytes) as u64;
        metrics.here().write_per_namespace(namespace, bytes);
    }
}

/// How many watches one change fired, if any.
pub(super) fn count_fired(metrics: &Metrics, change: &Change<'_>, watchers: u64) {
    if watchers == 0 {
        return;
    }
    let amounts = &metrics.here().amounts;
    match change.event {
        EventType::Created => amounts.node_created_watch_count.record(watchers),
        EventType::Deleted => amounts.node_deleted_watch_count.record(watchers),
        EventType::DataChanged => amounts.node_changed_watch_count.record(watchers),
        EventType::ChildrenChanged => amounts.node_children_watch_count.record(watchers),
    }
}
