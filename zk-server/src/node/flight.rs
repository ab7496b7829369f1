//! Transactions between their proposal and their delivery, in order.

use crate::net::link::Link;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use zk_proto::Zxid;
use zk_proto::txn::TxnRecord;

/// Who is waiting for a transaction.
pub(super) enum Answer {
    /// Nobody: the server asked itself.
    Nobody,
    /// A client, for its write.
    Write(Arc<Link>),
    /// A client, for its session, with the agreed timeout.
    Connect(Arc<Link>, Duration),
}

/// The queue of what has been proposed and does not stand yet.
#[derive(Default)]
pub(super) struct Flight {
    queue: VecDeque<(TxnRecord, Answer)>,
}

impl Flight {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn push(&mut self, record: TxnRecord, answer: Answer) {
        debug_assert!(
            self.queue
                .back()
                .is_none_or(|(last, _)| last.header.zxid < record.header.zxid),
            "proposals are in order"
        );
        self.queue.push_back((record, answer));
    }

    /// The next one, if it is among those up to `through`.
    pub(super) fn pop_through(&mut self, through: Zxid) -> Option<(TxnRecord, Answer)> {
        let (next, _) = self.queue.front()?;
        if next.header.zxid > through {
            return None;
        }
        self.queue.pop_front()
    }
}
