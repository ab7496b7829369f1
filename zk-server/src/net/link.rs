//! The shared side of a connection: where the loop leaves what the connection's own task will send.
//!
//! Everything for one client goes through one inbox, in the order in which it became true: that order
//! is the promise that an event comes before any reply that could show its change (P10). The inbox is
//! bounded in bytes; a client that will not read is let go, not buffered for (H3).

use crate::metrics::ConnectionStats;
use crate::net::java_ip::JavaIp;
use crate::tree::{Identity, WatcherId};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;
use zk_proto::{ConnectResponse, ErrorCode, Reply, SessionId, Zxid};
use zk_zab::Time;

/// How many identities one connection may have, its address among them (H3).
pub(crate) const MAX_IDENTITIES: usize = 256;

/// What the loop has for a client.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// The answer to the oldest write that is still unanswered.
    Done {
        zxid: Zxid,
        result: Result<Reply, ErrorCode>,
    },
    /// The answer, as a whole frame, to the oldest read that was handed to the loop.
    Answer { zxid: Zxid, frame: Bytes },
    /// A whole notification frame.
    Event(Bytes),
    /// The answer to the handshake.
    Connected(ConnectResponse),
    /// Send what is there, then close.
    Close,
}

/// A connection, as everyone but its own task sees it.
#[derive(Debug)]
pub(crate) struct Link {
    id: WatcherId,
    peer: SocketAddr,
    inbox_limit: usize,
    inbox: Mutex<Inbox>,
    identities: Mutex<Arc<[Identity]>>,
    session: AtomicI64,
    timeout_millis: AtomicU64,
    heard_millis: AtomicU64,
    established: Time,
    gone: AtomicBool,
    stats: ConnectionStats,
}

/// What a look into the inbox shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mail {
    pub(crate) has_deliveries: bool,
    /// The connection has no future: what cannot be sent now is not sent.
    pub(crate) must_end: bool,
}

/// How many times the limit of unread events unread answers may have.
const ANSWERS_OVER_EVENTS: usize = 4;

#[derive(Debug, Default)]
struct Inbox {
    deliveries: Vec<Delivery>,
    /// The connection is to end, whether the client reads what is here or not.
    closed: bool,
    answer_bytes: usize,
    event_bytes: usize,
    overflowed: bool,
    waker: Option<Waker>,
}

impl Link {
    pub(crate) fn new(id: WatcherId, peer: SocketAddr, inbox_limit: usize, now: Time) -> Self {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let ip = Identity::new("ip", JavaIp(peer.ip()).to_string());
        Self {
            id,
            peer,
            inbox_limit,
            inbox: Mutex::default(),
            identities: Mutex::new(Arc::from([ip])),
            session: AtomicI64::new(SessionId::NONE.to_wire()),
            timeout_millis: AtomicU64::new(0),
            heard_millis: AtomicU64::new(now.as_millis()),
            established: now,
            gone: AtomicBool::new(false),
            stats: ConnectionStats::default(),
        }
    }

    pub(crate) const fn id(&self) -> WatcherId {
        self.id
    }

    pub(crate) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(crate) fn session(&self) -> SessionId {
        SessionId::from_wire(self.session.load(Ordering::Acquire))
    }

    /// The agreed timeout of its session; zero without one.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_millis.load(Ordering::Relaxed))
    }

    pub(crate) const fn established(&self) -> Time {
        self.established
    }

    /// Nobody reads its inbox any more.
    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(crate) const fn stats(&self) -> &ConnectionStats {
        &self.stats
    }

    /// From now on this connection speaks for a session.
    pub(crate) fn bind(&self, session: SessionId, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout_millis.store(millis, Ordering::Relaxed);
        self.session.store(session.to_wire(), Ordering::Release);
    }

    /// The client said something.
    pub(crate) fn hear(&self, now: Time) {
        self.heard_millis.store(now.as_millis(), Ordering::Relaxed);
    }

    pub(crate) fn last_heard(&self) -> Time {
        Time::since_start(Duration::from_millis(
            self.heard_millis.load(Ordering::Relaxed),
        ))
    }

    /// Who the client has proved to be.
    pub(crate) fn identities(&self) -> Arc<[Identity]> {
        Arc::clone(
            &self
                .identities
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// The client has proved to be someone else as well. False, and nothing is added, if it would then be
    /// more people than [`MAX_IDENTITIES`]: every access is judged by all of them.
    #[must_use]
    pub(crate) fn add_identities(&self, proved: Vec<Identity>) -> bool {
        let mut identities = self
            .identities
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut all = identities.to_vec();
        for identity in proved {
            if !all.contains(&identity) {
                all.push(identity);
            }
        }
        if all.len() > MAX_IDENTITIES {
            return false;
        }
        *identities = all.into();
        true
    }

    /// Leaves something for the client. The waker, if there is one, is to be woken once the caller
    /// holds no guard any more.
    #[must_use]
    pub(crate) fn push(&self, delivery: Delivery) -> Option<Waker> {
        let mut inbox = self.inbox();
        if inbox.overflowed {
            return None;
        }
        match &delivery {
            Delivery::Event(frame) => inbox.event_bytes += frame.len(),
            Delivery::Answer { frame, .. } => inbox.answer_bytes += frame.len(),
            Delivery::Close => inbox.closed = true,
            Delivery::Done { .. } | Delivery::Connected(_) => {}
        }
        // Answers were estimated before they were asked for, so they overflow only by malice.
        if inbox.event_bytes > self.inbox_limit
            || inbox.answer_bytes > self.inbox_limit.saturating_mul(ANSWERS_OVER_EVENTS)
        {
            inbox.overflowed = true;
            inbox.closed = true;
            inbox.deliveries = vec![Delivery::Close];
        } else {
            inbox.deliveries.push(delivery);
        }
        inbox.waker.take()
    }

    /// The same, for a caller that holds no guard.
    pub(crate) fn push_and_wake(&self, delivery: Delivery) {
        if let Some(waker) = self.push(delivery) {
            waker.wake();
        }
    }

    /// What is there. The waker will be woken when there is more, however much is there already.
    pub(crate) fn poll(&self, waker: &Waker) -> Mail {
        let mut inbox = self.inbox();
        match &mut inbox.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Mail {
            has_deliveries: !inbox.deliveries.is_empty(),
            must_end: inbox.closed,
        }
    }

    /// Whether the client was let go because it did not read.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.inbox().overflowed
    }

    /// Takes everything. `into` must be empty; its memory is left here for the next deliveries.
    pub(crate) fn take(&self, into: &mut Vec<Delivery>) {
        debug_assert!(
            into.is_empty(),
            "deliveries are handled before more are taken"
        );
        let mut inbox = self.inbox();
        std::mem::swap(&mut inbox.deliveries, into);
        inbox.event_bytes = 0;
        inbox.answer_bytes = 0;
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn an_address_is_an_identity_as_java_writes_it() {
        let cases = [
            ("10.0.0.7:1", "10.0.0.7"),
            ("[::ffff:10.0.0.7]:1", "10.0.0.7"),
            ("[::1]:1", "0:0:0:0:0:0:0:1"),
        ];
        for (peer, id) in cases {
            let link = Link::new(WatcherId(1), peer.parse().unwrap(), 0, Time::default());
            assert_eq!(*link.identities(), [Identity::new("ip", id)]);
        }
    }

    #[test]
    fn a_connection_has_so_many_identities_and_no_more() {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let link = Link::new(WatcherId(1), peer, 0, Time::default());
        let user = |number: usize| vec![Identity::new("digest", format!("{number}:h"))];
        for number in 1..MAX_IDENTITIES {
            assert!(link.add_identities(user(number)));
        }
        assert_eq!(link.identities().len(), MAX_IDENTITIES);
        assert!(!link.add_identities(user(0)), "one more");
        assert_eq!(link.identities().len(), MAX_IDENTITIES);
        assert!(link.add_identities(user(1)), "who is known already");
    }
}
