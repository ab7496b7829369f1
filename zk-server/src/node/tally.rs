//! What the loop counts of a transaction when it has been applied.

use crate::metrics::Metrics;
use crate::tree::Change;
use zk_proto::EventType;
use zk_proto::txn::Txn;

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
