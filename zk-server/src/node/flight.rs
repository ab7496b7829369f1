//! What is between its proposal and its delivery, in order: transactions, and reads that their clients
//! put between them.

use crate::net::link::Link;
use crate::replica::Submission;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use zk_proto::txn::TxnRecord;
use zk_proto::{ErrorCode, SessionId, Xid, Zxid};
use zk_zab::{LinkId, Message};

/// Who is waiting for a transaction.
pub(super) enum Answer {
    /// Nobody: the server asked itself.
    Nobody,
    /// A client, for its write.
    Write(Arc<Link>),
    /// A client, for its session, with the agreed timeout.
    Connect(Arc<Link>, Duration),
}

/// Who waits for a sync.
pub(super) enum SyncFor {
    /// A client of this server, with what it asked.
    Own(Arc<Link>, Bytes),
    /// A learner, for one of its clients.
    Learner(LinkId),
}

/// Something whose turn will come.
pub(super) enum Turn {
    /// Whoever asked wants to see everything before it, once it is sure that this server still leads.
    Sync {
        who: SyncFor,
        ticket: u64,
        confirmed: bool,
    },
    /// A leader's answer: behind all that it told of before.
    Answered(Message),
    /// A learner wants to know whether a session lives: behind all that was asked in its name.
    Validated {
        link: LinkId,
        session: SessionId,
        valid: bool,
    },
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
pub(super) struct Flight {
    queue: VecDeque<Turn>,
    txns: usize,
    /// The last transaction that was ever in it.
    last: Zxid,
}

impl Flight {
    /// Nothing is in flight behind this transaction.
    pub(super) fn ending_with(last: Zxid) -> Self {
        let (queue, txns) = (VecDeque::new(), 0);
        Self { queue, txns, last }
    }

    /// Whether no transaction is in flight.
    pub(super) const fn is_empty(&self) -> bool {
        self.txns == 0
    }

    /// The last transaction in it, or that was in it.
    pub(super) const fn last(&self) -> Zxid {
        self.last
    }

    /// Everything in it is void: the tree is another one, and stands there.
    pub(super) fn restart(&mut self, last: Zxid) {
        *self = Self::ending_with(last);
    }

    /// Nobody is answered any more; transactions stay, for they may stand yet. How many requests there were.
    pub(super) fn abandon(&mut self) -> usize {
        let mut requests = 0;
        self.queue.retain_mut(|turn| match turn {
            Turn::Txn(_, answer) => {
                requests += usize::from(matches!(answer, Answer::Write(_)));
                *answer = Answer::Nobody;
                true
            }
            Turn::Read(..)
            | Turn::Refused { .. }
            | Turn::Sync {
                who: SyncFor::Own(..),
                ..
            } => {
                requests += 1;
                false
            }
            Turn::Renew { .. } | Turn::Validated { .. } | Turn::Answered(_) | Turn::Sync { .. } => {
                false
            }
        });
        requests
    }

    /// This server still led when a sync was asked for.
    pub(super) fn confirm(&mut self, confirmed_ticket: u64) {
        for turn in &mut self.queue {
            if let Turn::Sync {
                ticket, confirmed, ..
            } = turn
                && *ticket == confirmed_ticket
            {
                *confirmed = true;
            }
        }
    }

    pub(super) fn push_txn(&mut self, record: TxnRecord, answer: Answer) {
        self.txns += 1;
        self.last = record.header.zxid;
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
        let has_come = match self.queue.front()? {
            Turn::Txn(record, _) => record.header.zxid <= through,
            Turn::Sync { confirmed, .. } => *confirmed,
            Turn::Read(..)
            | Turn::Renew { .. }
            | Turn::Refused { .. }
            | Turn::Validated { .. }
            | Turn::Answered(_) => true,
        };
        if !has_come {
            return None;
        }
        let turn = self.queue.pop_front();
        if matches!(turn, Some(Turn::Txn(..))) {
            self.txns -= 1;
        }
        turn
    }
}
