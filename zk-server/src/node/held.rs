//! What a learner's clients wait for: writes the leader has been asked for, and what their clients put
//! behind them.
//!
//! A session's requests are answered in its order (P3). A write is done when its transaction is delivered
//! here, told by session and the client's own number; a sync when the leader has answered it, which it does
//! behind every commit that was due before (P5). Syncs and revalidations are answered in the order in which
//! they were asked.

use crate::net::link::Link;
use crate::replica::Submission;
use bytes::Bytes;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use zk_proto::{ErrorCode, SessionId, Xid};

/// Something a client waits for.
pub(super) enum Wait {
    /// A write, and its body where that is needed to tell its result: a multi.
    Write {
        link: Arc<Link>,
        xid: Xid,
        multi: Option<Bytes>,
    },
    /// A new session.
    Open { link: Arc<Link>, timeout: Duration },
    /// A sync, and whether the leader has answered.
    Sync {
        link: Arc<Link>,
        body: Bytes,
        answered: bool,
    },
    /// A request that is not even asked of the leader.
    Refused { link: Arc<Link>, code: ErrorCode },
    /// A read behind one of the others.
    Read { link: Arc<Link>, read: Submission },
    /// A client that the leader knows, on a new connection, behind all that was asked on the old one.
    Renew { link: Arc<Link>, timeout: Duration },
}

/// Everything that is waited for.
#[derive(Default)]
pub(super) struct Held {
    sessions: HashMap<SessionId, VecDeque<Wait>, foldhash::fast::RandomState>,
    syncs: VecDeque<SessionId>,
    renewals: HashMap<SessionId, VecDeque<Renewal>, foldhash::fast::RandomState>,
}

/// A client that wants its session back, while the leader is asked.
#[derive(Clone)]
pub(super) struct Renewal {
    pub(super) link: Arc<Link>,
    pub(super) timeout: Duration,
    /// Whether the leader has said once that the session lives.
    pub(super) confirmed: bool,
}

impl Held {
    /// Whether a session waits for nothing.
    pub(super) fn is_idle(&self, session: SessionId) -> bool {
        !self.sessions.contains_key(&session)
    }

    /// Something more is waited for.
    pub(super) fn push(&mut self, session: SessionId, wait: Wait) {
        if matches!(wait, Wait::Sync { .. }) {
            self.syncs.push_back(session);
        }
        self.sessions.entry(session).or_default().push_back(wait);
    }

    /// A transaction of a session is delivered: who asked for it, if it was asked for here.
    pub(super) fn take(&mut self, session: SessionId, cxid: Xid, opens: bool) -> Option<Wait> {
        let is_it = |wait: &Wait| match wait {
            Wait::Write { xid, .. } => *xid == cxid && !opens,
            Wait::Open { .. } => opens,
            Wait::Sync { .. } | Wait::Refused { .. } | Wait::Read { .. } | Wait::Renew { .. } => {
                false
            }
        };
        self.take_if(session, is_it)
    }

    /// The next one whose turn has come without a transaction of its own.
    pub(super) fn take_ready(&mut self, session: SessionId) -> Option<Wait> {
        self.take_if(session, |wait| match wait {
            Wait::Refused { .. } | Wait::Read { .. } | Wait::Renew { .. } => true,
            Wait::Sync { answered, .. } => *answered,
            Wait::Write { .. } | Wait::Open { .. } => false,
        })
    }

    fn take_if(&mut self, session: SessionId, is_it: impl Fn(&Wait) -> bool) -> Option<Wait> {
        let queue = self.sessions.get_mut(&session)?;
        let wait = if queue.front().is_some_and(is_it) {
            queue.pop_front()
        } else {
            None
        };
        if queue.is_empty() {
            self.sessions.remove(&session);
        }
        wait
    }

    /// The leader has answered the oldest sync: whose it was.
    pub(super) fn on_sync(&mut self) -> Option<SessionId> {
        let session = self.syncs.pop_front()?;
        let waits = self.sessions.get_mut(&session)?;
        for wait in waits {
            if let Wait::Sync { answered, .. } = wait
                && !*answered
            {
                *answered = true;
                break;
            }
        }
        Some(session)
    }

    /// The leader has been asked whether a session lives.
    pub(super) fn push_renewal(&mut self, session: SessionId, renewal: Renewal) {
        self.renewals.entry(session).or_default().push_back(renewal);
    }

    /// The leader has answered.
    pub(super) fn take_renewal(&mut self, session: SessionId) -> Option<Renewal> {
        let waiting = self.renewals.get_mut(&session)?;
        let first = waiting.pop_front();
        if waiting.is_empty() {
            self.renewals.remove(&session);
        }
        first
    }

    /// Nobody will be answered any more. How many requests that were.
    pub(super) fn clear(&mut self) -> usize {
        let is_request = |wait: &&Wait| match wait {
            Wait::Write { .. } | Wait::Sync { .. } | Wait::Refused { .. } | Wait::Read { .. } => {
                true
            }
            Wait::Open { .. } | Wait::Renew { .. } => false,
        };
        let requests = self.sessions.values().flatten().filter(is_request).count();
        *self = Self::default();
        requests
    }
}
