//! Serving reads while there is no leader (`readonlymode.enabled`): to clients who ask for no more, from what this
//! member had when it lost the others.
//!
//! Their sessions are known here alone, and end with the search for a leader. What they read may be old, and the last
//! of it may never stand: whoever has seen that is let in by the ensemble's next epoch all the same.

use super::Node;
use super::membership::Service;
use crate::net::link::{Delivery, Link};
use crate::replica::Submission;
use std::sync::Arc;
use std::time::Duration;
use tracing::info;
use zk_proto::{ConnectResponse, ErrorCode, OpCode, Reply, SessionId};
use zk_zab::Time;

/// A leader is usually found sooner.
const SHORTEST_SEARCH: Duration = Duration::from_secs(2);

impl Node {
    /// When this member begins to serve reads, if nothing else happens.
    pub(super) fn read_only_deadline(&self) -> Option<Time> {
        let member = self.member.as_deref()?;
        let config = self.replica.config();
        let wanted = config.ensemble.as_ref().is_some_and(|it| it.read_only);
        if !wanted || member.service != Service::None || self.stopping {
            return None;
        }
        let patience = SHORTEST_SEARCH.max(config.sessions.tick_time);
        member.looking_since.map(|since| since + patience)
    }

    pub(super) fn read_alone_if_due(&mut self, now: Time) {
        if self.read_only_deadline().is_none_or(|due| now < due) {
            return;
        }
        let replica = Arc::clone(&self.replica);
        let tree = replica.tree();
        let tick = replica.config().sessions.tick_time;
        self.sessions.stand_alone(&tree, tick, now);
        self.membership().service = Service::ReadOnly;
        info!(zxid = %tree.last_zxid(), "no leader: serving reads to those who want no more");
        drop(tree);
        self.tell_rank();
    }

    /// A session of the ensemble can go on only there.
    pub(super) fn on_connect_read_only(
        &mut self,
        link: &Arc<Link>,
        session: SessionId,
        password: &[u8],
        timeout: Duration,
        now: Time,
    ) {
        let response = if session == SessionId::NONE {
            let session = self.sessions.allocate();
            self.sessions.begin(session, timeout, link, now)
        } else if self.is_of_the_ensemble(session) {
            return link.push_and_wake(Delivery::Close);
        } else {
            let sessions = &mut self.sessions;
            sessions.take_up(session, password, timeout, link, now)
        };
        link.push_and_wake(Delivery::Connected(ConnectResponse {
            read_only: Some(true),
            ..response
        }));
    }

    /// Whether only the ensemble can say what becomes of a session: its holder is not to believe that what it holds
    /// by it is its own while others may have it already. Where local sessions are allowed, one that holds nothing is
    /// over for this server, and its client begins another.
    fn is_of_the_ensemble(&self, session: SessionId) -> bool {
        let tree = self.replica.tree();
        let ensemble = self.replica.config().ensemble.as_ref();
        let may_be_local = ensemble.is_some_and(|ensemble| ensemble.local_sessions);
        let holds = || tree.ephemerals_of(session, None).next().is_some();
        tree.session(session).is_some() && (!may_be_local || holds())
    }

    /// Reads are answered, a session may end, and nothing else is done.
    pub(super) fn on_requests_read_only(&mut self, link: &Arc<Link>, requests: Vec<Submission>) {
        let replica = Arc::clone(&self.replica);
        let tree = replica.tree();
        let mut wakers = Vec::new();
        for submission in requests {
            if submission.is_read {
                wakers.extend(self.read(&tree, link, &submission));
            } else if submission.op == OpCode::CloseSession {
                replica.settled(1);
                self.sessions.end(link.session());
                let (zxid, result) = (tree.last_zxid(), Ok(Reply::Empty));
                wakers.extend(link.push(Delivery::Done { zxid, result }));
                wakers.extend(link.push(Delivery::Close));
            } else {
                wakers.extend(self.refused(&tree, link, None, ErrorCode::NotReadOnly));
            }
        }
        drop(tree);
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    /// Whoever is known here alone is forgotten here.
    pub(super) fn forget_sessions(&mut self, expired: &[SessionId]) {
        for session in expired {
            if let Some(link) = self.sessions.end(*session) {
                link.push_and_wake(Delivery::Close);
            }
        }
    }
}
