//! What the loop counts of what members tell each other.

use crate::metrics::Metrics;
use zk_zab::Message;

/// A word of another member has come.
pub(super) fn count_received(metrics: &Metrics, message: &Message) {
    let counters = &metrics.here().counters;
    if matches!(message, Message::Proposal { .. }) {
        counters.learner_proposal_received_count.increment();
    } else if matches!(message, Message::Commit { .. } | Message::Inform { .. }) {
        counters.learner_commit_received_count.increment();
    }
}

/// One goes to another member. How a learner is brought up to date is counted, except by snapshots, which go
/// another way.
pub(super) fn count_sent(metrics: &Metrics, message: &Message) {
    if matches!(message, Message::Diff { .. }) {
        metrics.here().counters.diff_count.increment();
    }
}
