//! What is between its proposal and its delivery, in order: transactions, and reads that their clients
//! put between them.

use crate::net::link::Link;
use crate::replica::Submission;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use zk_proto::txn::TxnRecord;
use zk_proto::{ErrorCode, SessionId, Xid, Zxid};

/// Who is waiting for a transaction.
pub(super) enum Answer {
    /// Nobody: the server asked itself.
    Nobody,
    /// A client, for its write.
    Write(Arc<Link>),
    /// A client, for its session, with the agreed timeout.
    Connect(Arc<Link>, Duration),
}

/// Something whose turn will come.
pub(super) enum Turn {
    /// A transaction, and who waits for it.
    Txn(TxnRecord, Answer),
    /// A read behind a client's own write: it sees that write and none of the client's later ones (P3).
    Read(Arc<Link>, Submission),
    /// A client that takes up its session on a new connection: behind all that was asked on the old one.
    Renew {
        link: Arc<Link>,
        session: SessionId,
        password: Vec<u8>,
        timeout: Duration,
    },
    /// A request that is answered by an error and nothing else. `read` is the xid, if it only read.
    Refused {
        link: Arc<Link>,
        read: Option<Xid>,
        code: ErrorCode,
    },
}

/// The queue of what has been proposed and does not stand yet.
#[derive(Default)]
pub(super) struct Flight {
    queue: VecDeque<Turn>,
    txns: usize,
}

impl Flight {
    /// Whether no transaction is in flight.
    pub(super) const fn is_empty(&self) -> bool {
        self.txns == 0
    }

    pub(super) fn push_txn(&mut self, record: TxnRecord, answer: Answer) {
        self.txns += 1;
        self.queue.push_back(Turn::Txn(record, answer));
    }

    /// How many transactions are in flight.
    pub(super) const fn txns(&self) -> usize {
        self.txns
    }

    /// Something that is no transaction.
    pub(super) fn push(&mut self, turn: Turn) {
        debug_assert!(!matches!(turn, Turn::Txn(..)), "transactions are counted");
        self.queue.push_back(turn);
    }

    /// The next one whose turn has come, when everything up to `through` stands.
    pub(super) fn pop_through(&mut self, through: Zxid) -> Option<Turn> {
        if let Turn::Txn(record, _) = self.queue.front()?
            && record.header.zxid > through
        {
            return None;
        }
        let turn = self.queue.pop_front();
        if matches!(turn, Some(Turn::Txn(..))) {
            self.txns -= 1;
        }
        turn
    }
}
