//! What a session decides, without a socket and without a clock: which frame comes next, what a reply answers,
//! when to ping, when a connection is dead, what a lost one does to the calls that were on it, what is armed
//! again, and when the session is over.
//!
//! ```text
//!            greet          accepted         begin
//!   Apart ──────────► Greeting ───────► Proving ─────► Live ──── closeSession answered ──► Over
//!     ▲                  │ refused           │           │
//!     └──────────────────┴──── on_lost ──────┴───────────┘        expired ──► Over, or Apart again
//! ```
//!
//! The driver brings facts (`greet`, `on_frame`, `on_lost`, `on_time`), drains the effects after each, asks
//! `fill` for bytes to write and `deadline` for when to come back. Absent: sockets, tasks, choosing a server.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod call;
mod credentials;
mod expiry;
mod live;
mod rearm;
#[cfg(test)]
mod simulated_day;
mod state;
mod waiting;

#[cfg(test)]
pub(crate) use call::frame_of;
pub(crate) use call::{
    Answered, Call, Flight, RECORD_AT, Slot, WatchWish, op_of, seal, wire_path, wire_path_in,
};
pub(crate) use credentials::Credentials;
pub use state::{SessionTicket, State};

use crate::ErrorKind;
use crate::clock::Time;
use crate::watch::{Item, SubscriptionId, Table};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;
use zk_proto::frame;
use zk_proto::{ConnectRequest, ConnectResponse, DecodeError, PASSWORD_LEN, SessionId, Xid, Zxid};

/// What happens when the server, or the own clock, says that the session is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExpiry {
    /// The client ends: every later call fails with the session's end.
    #[default]
    End,
    /// A new session is opened, with the next generation number. Nothing of the old one carries over but the
    /// credentials: its ephemeral nodes are gone and its watches have said `Lost`.
    Renew,
}

/// What the session was told to be like.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The session timeout to ask for.
    pub(crate) timeout: Duration,
    /// How long a server may take to greet.
    pub(crate) connect_timeout: Duration,
    /// Whether a read-only server would do.
    pub(crate) read_only: bool,
    /// How many requests may wait for their replies.
    pub(crate) max_in_flight: usize,
    /// How many bytes these may have.
    pub(crate) max_in_flight_bytes: usize,
    /// How often a read is sent again after a lost connection.
    pub(crate) read_retries: u8,
    /// What to do at the end of a session.
    pub(crate) on_expiry: OnExpiry,
    /// Whether to ask the leader for a sign of life when nobody else does.
    pub(crate) prove_alive: bool,
    /// How long without any server until the session is given up by the own clock.
    pub(crate) give_up_after: Option<Duration>,
}

/// What the peer did that no server does; the connection must close.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misbehaved {
    /// Bytes that are no reply.
    #[error("a frame cannot be read: {0}")]
    Undecodable(#[from] DecodeError),
    /// A reply to something that was not asked, or not yet.
    #[error("a reply to request {found} where {expected:?} was expected")]
    OutOfOrder {
        /// The number in the reply.
        found: Xid,
        /// The oldest unanswered one.
        expected: Option<Xid>,
    },
}

/// What must be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect<C> {
    /// A call is over.
    Answer {
        /// Whose.
        slot: C,
        /// How it ended.
        outcome: Result<Answered, ErrorKind>,
        /// The request as it was, for whoever wants to name its path.
        frame: Vec<u8>,
        /// How long it was in flight, if it was.
        took: Option<Duration>,
    },
    /// A watch has something to say.
    Notify(SubscriptionId, Item),
    /// The session's state changed.
    State(State),
    /// The connection is of no use any more.
    Hangup(&'static str),
    /// Nor is it of any use after this, for which the server is not to blame.
    Leave(&'static str),
}

/// The connection's part in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is none.
    Apart,
    /// The first frame was sent.
    Greeting { asked: SessionId, sent_at: Time },
    /// The server took us; identities are being proved.
    Proving,
    /// Requests and replies.
    Live,
    /// Nothing will happen again.
    Over(End),
}

/// Why a session ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Detached,
    Expired,
    AuthFailed,
}

/// One session, or with [`OnExpiry::Renew`] a line of them.
#[derive(Debug)]
pub(crate) struct Session<C> {
    settings: Settings,
    phase: Phase,
    id: SessionId,
    password: [u8; PASSWORD_LEN],
    /// What was agreed on; before that, what will be asked for.
    timeout: Duration,
    generation: u64,
    /// The highest zxid of any reply or event: no server that is behind it is taken, now or in a later session (P4).
    seen: Zxid,
    /// The highest zxid of any reply. Watches are armed again relative to this one: of a transaction with several
    /// events only some may have come.
    last_reply: Zxid,
    /// The same when this connection began: what happened later may have been missed.
    resumed: Zxid,
    /// Whether a read-write server ever knew this session: one opened by a read-only server is known to it alone.
    established: bool,
    read_only: bool,
    /// The leader knew us when it answered a request sent then; until then plus the timeout, less a margin,
    /// nobody else can have been told that we are gone.
    alive_until: Option<Time>,
    /// When the last request was sent that any server answered.
    contact: Time,
    heard_at: Time,
    wrote_at: Time,
    /// When something was sent last that only the leader can answer.
    asked_leader_at: Time,
    next_xid: i32,
    queue: VecDeque<Call<C>>,
    flight: VecDeque<Flight<C>>,
    flight_bytes: usize,
    /// Frames that go before everything queued.
    urgent: VecDeque<Vec<u8>>,
    credentials: Credentials<C>,
    watches: Table,
    /// Servers before 3.5 keep a watch until it fires. Once one has said so, none is asked again to remove one.
    watches_stay: bool,
    /// No call times out before this.
    earliest: Option<Time>,
    /// The call that asked for the session's end, and when it stops waiting.
    closing: Option<(C, Time)>,
}

impl<C: Slot> Session<C> {
    pub(crate) fn new(settings: Settings, ticket: Option<SessionTicket>, now: Time) -> Self {
        let timeout = settings.timeout;
        Self {
            settings,
            phase: Phase::Apart,
            id: ticket.as_ref().map_or(SessionId::NONE, |it| it.id),
            password: ticket.as_ref().map_or([0; PASSWORD_LEN], |it| it.password),
            timeout,
            generation: 0,
            seen: ticket.as_ref().map_or(Zxid::ZERO, |it| it.last_zxid),
            last_reply: ticket.as_ref().map_or(Zxid::ZERO, |it| it.last_zxid),
            resumed: ticket.as_ref().map_or(Zxid::ZERO, |it| it.last_zxid),
            established: ticket.is_some(),
            read_only: false,
            alive_until: None,
            contact: now,
            heard_at: now,
            wrote_at: now,
            asked_leader_at: now,
            next_xid: 1,
            queue: VecDeque::new(),
            flight: VecDeque::new(),
            flight_bytes: 0,
            urgent: VecDeque::new(),
            credentials: Credentials::default(),
            watches: Table::default(),
            watches_stay: false,
            earliest: None,
            closing: None,
        }
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) const fn id(&self) -> SessionId {
        self.id
    }

    pub(crate) const fn last_zxid(&self) -> Zxid {
        self.seen
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) const fn alive_until(&self) -> Option<Time> {
        self.alive_until
    }

    /// Whether the server is cut off from its ensemble.
    pub(crate) const fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether there is nothing left to say on this connection.
    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Apart | Phase::Over(_))
    }

    /// What another process needs to take the session up.
    pub(crate) const fn ticket(&self) -> SessionTicket {
        SessionTicket {
            id: self.id,
            password: self.password,
            last_zxid: self.seen,
        }
    }

    /// How many calls have no answer yet: in the queue, on the wire.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.queue.len(), self.flight.len())
    }

    /// How many watches are held.
    pub(crate) fn watch_count(&self) -> usize {
        self.watches.len()
    }

    /// The first frame of a connection.
    pub(crate) fn greet(&mut self, now: Time) -> Vec<u8> {
        debug_assert_eq!(self.phase, Phase::Apart, "one connection at a time");
        let asked = if self.established {
            self.id
        } else {
            SessionId::NONE
        };
        self.phase = Phase::Greeting {
            asked,
            sent_at: now,
        };
        self.heard_at = now;
        self.wrote_at = now;
        let password = if asked == SessionId::NONE {
            [0; PASSWORD_LEN]
        } else {
            self.password
        };
        let mut out = bytes::BytesMut::new();
        frame::put_frame(&mut out, |payload| {
            ConnectRequest {
                protocol_version: 0,
                last_zxid_seen: self.seen,
                timeout: i32::try_from(self.settings.timeout.as_millis()).unwrap_or(i32::MAX),
                session: asked,
                password: Some(Cow::Borrowed(&password)),
                read_only: Some(self.settings.read_only),
            }
            .encode(payload);
        });
        out.to_vec()
    }

    /// The server's first frame. `Ok(true)` says that it took us: prove who we are, then [`Self::begin`].
    pub(crate) fn on_greeting(
        &mut self,
        now: Time,
        payload: &[u8],
        out: &mut Vec<Effect<C>>,
    ) -> Result<bool, Misbehaved> {
        let Phase::Greeting { asked, sent_at } = self.phase else {
            return Ok(false);
        };
        let response = ConnectResponse::decode(payload)?;
        let timeout = u64::try_from(response.timeout).unwrap_or(0);
        // Another session than the one asked for is not ours to take: ours is gone (P3).
        let other = asked != SessionId::NONE && response.session != asked;
        if timeout == 0 || other {
            self.expire(now, out);
            out.push(Effect::Hangup("the session is over"));
            return Ok(false);
        }
        self.heard_at = now;
        self.contact = sent_at;
        self.id = response.session;
        self.password = response.password;
        self.timeout = Duration::from_millis(timeout);
        let read_only = response.read_only.unwrap_or(false);
        self.read_only = read_only;
        self.established |= !read_only;
        if !read_only {
            // Opened by a committed transaction, or taken up with the leader's word.
            self.prove_alive(sent_at);
        }
        self.phase = Phase::Proving;
        self.next_xid = 1;
        Ok(true)
    }

    /// Identities are proved: credentials, then watches, then what is queued may be written.
    pub(crate) fn begin(&mut self, now: Time, out: &mut Vec<Effect<C>>) {
        debug_assert_eq!(self.phase, Phase::Proving, "a server took us");
        self.phase = Phase::Live;
        self.heard_at = now;
        self.resumed = self.last_reply;
        self.asked_leader_at = now;
        self.credentials.replay(&mut self.urgent);
        self.rearm(now);
        out.push(Effect::State(State::Connected {
            session: self.id,
            generation: self.generation,
            read_only: self.read_only,
        }));
    }

    /// A request sent at `sent_at` was answered by the leader, or with its knowledge.
    pub(crate) fn prove_alive(&mut self, sent_at: Time) {
        let certain = sent_at + (self.timeout - self.timeout / 3);
        self.alive_until = Some(self.alive_until.map_or(certain, |known| known.max(certain)));
    }

    /// Nothing has arrived for this long: the connection is dead.
    fn silence_limit(&self) -> Duration {
        self.timeout * 2 / 3
    }

    fn ping_interval(&self) -> Duration {
        self.timeout / 3
    }
}
