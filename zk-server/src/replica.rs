//! What the loop and the connections share: the tree, the watches, who is connected, and the door to
//! the loop. The loop alone writes the tree; connections look at it.

use crate::config::Config;
use crate::config::settings::Limits;
use crate::disk::log::{LogFailure, LogStats};
use crate::disk::snapshot::SnapshotEvent;
use crate::metrics::{Counter, Metrics};
use crate::net::budget::Budget;
use crate::net::four_letter::LeaderGauges;
use crate::net::gate::Gate;
use crate::net::link::Link;
use crate::net::quorum::PeerEvent;
use crate::node::LiveSessions;
use crate::room::Room;
use crate::time::Clock;
use crate::tree::{Identity, Rules, Tree, WatchRoom, WatchTable, WatcherId};
use bytes::Bytes;
use dashmap::DashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use zk_proto::jute::Reader;
use zk_proto::{DecodeError, MultiOp, OpCode, Request, ServerId, SessionId, Xid, Zxid};
use zk_zab::Time;

/// Something that happened to the loop. Closed: everything it reacts to is here.
pub(crate) enum Event {
    /// A client has said hello.
    Connect {
        link: Arc<Link>,
        session: SessionId,
        password: Vec<u8>,
        timeout: Duration,
    },
    /// A client's writes, and its reads behind them, in its order.
    Requests {
        link: Arc<Link>,
        requests: Vec<Submission>,
        /// When they were handed over.
        sent: Time,
    },
    /// A connection is gone; its session is not.
    Gone { link: Arc<Link> },
    /// The log holds everything up to here, in so many bytes more.
    Persisted { through: Zxid, bytes: u64 },
    /// What comes from now on is of a new log.
    LogReopened,
    /// Something has happened on the quorum ports.
    Peer(PeerEvent),
    /// The log cannot be written any more.
    LogFailed(LogFailure),
    /// A thread that nothing can do without has panicked (P35).
    VitalPanicked(&'static str),
    /// The snapshot's writer is done, or has given up.
    SnapshotEnded(SnapshotEvent),
    /// The disk has become nearly full.
    DiskLow,
    /// Take a snapshot now.
    TakeSnapshot,
    /// Someone wants to know what only the loop knows.
    Ask(Question),
    /// Finish what is in flight and stop.
    Stop,
}

/// A look at the loop's own state: sessions by expiry, and the log's latencies.
pub(crate) type Question = Box<dyn FnOnce(&LiveSessions, &LogStats) + Send>;

/// A request, as its connection hands it over: not yet decoded, so that it could be forwarded as it is.
#[derive(Debug)]
pub(crate) struct Submission {
    /// Whether it only reads, and came behind an unfinished write of the same client.
    pub(crate) is_read: bool,
    pub(crate) xid: Xid,
    pub(crate) op: OpCode,
    pub(crate) body: Bytes,
    pub(crate) identities: Arc<[Identity]>,
}

/// What a server is to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// No member of any ensemble.
    Alone,
    /// It has no leader: it serves nobody.
    Nobody,
    /// It has no leader, and serves reads to those who want no more.
    Reader {
        /// When it lost its leader.
        since: Time,
    },
    /// It leads.
    Leader {
        /// Those who have come to it.
        learners: LeaderGauges,
        /// When it began to.
        since: Time,
    },
    /// It follows and votes.
    Follower {
        /// When it began to.
        since: Time,
    },
    /// It follows without a vote.
    Observer {
        /// From whom it learns.
        of: ServerId,
        /// When it began to.
        since: Time,
    },
}

impl Rank {
    /// When this server took the role it has. One that is alone has always had it.
    pub(crate) fn since(self) -> Time {
        match self {
            Self::Alone | Self::Nobody => Time::default(),
            Self::Reader { since }
            | Self::Leader { since, .. }
            | Self::Follower { since }
            | Self::Observer { since, .. } => since,
        }
    }
}

/// One server's shared state.
pub(crate) struct Replica {
    rules: Rules,
    config: Config,
    clock: Clock,
    metrics: Arc<Metrics>,
    tree: RwLock<Tree>,
    watches: Mutex<WatchTable>,
    links: DashMap<WatcherId, Arc<Link>>,
    next_link: AtomicU64,
    stopped: AtomicBool,
    outstanding: AtomicUsize,
    large_bytes: AtomicU64,
    room: Room,
    gate: Gate,
    budget: Arc<Budget>,
    trace_mask: AtomicI64,
    rank: RwLock<Rank>,
    /// Where the epoch begins in which this member serves; zero while it does not.
    opening: AtomicI64,
    door: UnboundedSender<Event>,
}

impl Replica {
    pub(crate) fn new(
        config: Config,
        clock: Clock,
        metrics: Arc<Metrics>,
        tree: Tree,
        door: UnboundedSender<Event>,
    ) -> Self {
        let seed = RandomState::new().hash_one(0);
        let rank = if config.ensemble.is_some() {
            Rank::Nobody
        } else {
            Rank::Alone
        };
        Self {
            gate: Gate::new(&config, seed, clock.now()),
            budget: Arc::new(Budget::new(bytes_limit(config.limits.global_buffer))),
            large_bytes: AtomicU64::new(0),
            room: Room::default(),
            config,
            clock,
            metrics,
            rules: tree.rules().clone(),
            tree: RwLock::new(tree),
            watches: Mutex::default(),
            links: DashMap::new(),
            next_link: AtomicU64::new(1),
            stopped: AtomicBool::new(false),
            outstanding: AtomicUsize::new(0),
            trace_mask: AtomicI64::new(306),
            rank: RwLock::new(rank),
            opening: AtomicI64::new(0),
            door,
        }
    }

    pub(crate) const fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// What a client asks. Its fields may be as long as the operator's `jute.maxbuffer` lets a frame be, and
    /// not only as long as the default one would.
    pub(crate) fn decode<'a>(
        &self,
        op: OpCode,
        body: &'a [u8],
    ) -> Result<Request<'a>, DecodeError> {
        Request::decode_with(
            op,
            &mut Reader::with_field_limit(body, self.rules.max_txn_len),
        )
    }

    /// The longest frame a client may send once it has a session.
    pub(crate) const fn max_frame(&self) -> usize {
        self.config.limits.jute_maxbuffer as usize
    }

    /// The longest frame a client may send before (H3).
    pub(crate) fn greeting_limit(&self) -> usize {
        self.max_frame()
            .min(bytes_limit(self.config.limits.handshake_buffer))
    }

    /// How much of one client's requests, replies or events may wait.
    pub(crate) fn connection_buffer(&self) -> usize {
        bytes_limit(self.config.limits.connection_buffer)
    }

    pub(crate) const fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Whether a multi has more parts than it may.
    pub(crate) fn has_too_many(&self, ops: &[MultiOp<'_>]) -> bool {
        let limit = self.limits().multi_ops;
        let too_many = limit.is_some_and(|limit| ops.len() as u64 > limit);
        if too_many {
            self.metrics.here().limits.limit_multi_ops.increment();
        }
        too_many
    }

    /// What may be written before the disk is nearly full.
    pub(crate) const fn room(&self) -> &Room {
        &self.room
    }

    /// Whether a request is one of those of which only so many bytes may be in process.
    fn is_large(&self, bytes: usize) -> bool {
        let threshold = self.limits().large_request_threshold;
        threshold.is_some_and(|threshold| bytes > threshold as usize)
    }

    /// Whether a request of that length may come in beside the large ones in process.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        let max = u64::from(self.limits().large_request_max_bytes);
        !self.is_large(bytes)
            || self
                .large_bytes
                .load(Ordering::Relaxed)
                .saturating_add(bytes as u64)
                <= max
    }

    /// A request of that length is in process from now on.
    pub(crate) fn begins(&self, bytes: usize) {
        if self.is_large(bytes) {
            self.large_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// It has its answer, or nobody waits for it any more.
    pub(crate) fn ends(&self, bytes: usize) {
        if self.is_large(bytes) {
            self.large_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        }
    }

    /// What a client asks for, between what the operator allows.
    pub(crate) fn clamp_timeout(&self, asked_millis: i32) -> Duration {
        let sessions = &self.config.sessions;
        let asked = Duration::from_millis(u64::try_from(asked_millis).unwrap_or(0));
        asked.clamp(sessions.min_timeout, sessions.max_timeout)
    }

    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A look at the tree. Never held across an await.
    pub(crate) fn tree(&self) -> RwLockReadGuard<'_, Tree> {
        self.tree
            .read()
            .expect("a loop that panics under the tree's guard ends the server")
    }

    /// The loop's own guard.
    pub(crate) fn tree_mut(&self) -> RwLockWriteGuard<'_, Tree> {
        self.tree
            .write()
            .expect("a loop that panics under the tree's guard ends the server")
    }

    /// Taken only under a guard of the tree, so that no change slips between a look and a promise.
    pub(crate) fn watches(&self) -> MutexGuard<'_, WatchTable> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watches, if there is room for those of this watcher that come to them: `most`, or only so many as
    /// are counted `exactly`, when it matters.
    pub(crate) fn watches_with_room(
        &self,
        link: &Link,
        most: WatchRoom,
        exactly: impl FnOnce(&WatchTable) -> WatchRoom,
    ) -> Option<MutexGuard<'_, WatchTable>> {
        let watches = self.watches();
        if link.is_gone() {
            return None;
        }
        if self.too_many(&watches, link.id(), most).is_some()
            && let Some(limit) = self.too_many(&watches, link.id(), exactly(&watches))
        {
            limit.increment();
            return None;
        }
        Some(watches)
    }

    /// The limit that `more` watches would break, by its counter.
    fn too_many(
        &self,
        watches: &WatchTable,
        watcher: WatcherId,
        more: WatchRoom,
    ) -> Option<&Counter> {
        let limits = self.limits();
        let counts = &self.metrics.here().limits;
        let (own, all) = (watches.room_of(watcher) + more, watches.room() + more);
        [
            (
                limits.watches_per_connection,
                own.watches,
                &counts.limit_watches_per_session,
            ),
            (
                limits.watch_bytes_per_connection,
                own.bytes,
                &counts.limit_watch_bytes_per_session,
            ),
            (limits.watches, all.watches, &counts.limit_watches),
            (limits.watch_bytes, all.bytes, &counts.limit_watch_bytes),
        ]
        .into_iter()
        .find(|(limit, then, _)| limit.is_some_and(|limit| *then as u64 > limit))
        .map(|(_, _, counter)| counter)
    }

    /// The loop has ended: nobody is served any more.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn next_link_id(&self) -> WatcherId {
        WatcherId(self.next_link.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn join(&self, link: &Arc<Link>) {
        self.links.insert(link.id(), Arc::clone(link));
    }

    pub(crate) fn link(&self, id: WatcherId) -> Option<Arc<Link>> {
        self.links.get(&id).map(|link| Arc::clone(&link))
    }

    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.links.iter().map(|link| Arc::clone(&link)).collect()
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.links.len()
    }

    /// A connection is gone: its watches go with it, its session stays until it expires.
    pub(crate) fn leave(&self, link: &Arc<Link>) {
        self.links.remove(&link.id());
        {
            // Under the same lock in which a read of its own, still on its way, would leave a watch.
            let mut watches = self.watches();
            link.set_gone();
            watches.forget(link.id());
        }
        self.send(Event::Gone {
            link: Arc::clone(link),
        });
    }

    /// Hands a client's requests to the loop.
    pub(crate) fn submit(&self, link: &Arc<Link>, requests: Vec<Submission>, sent: Time) {
        self.outstanding
            .fetch_add(requests.len(), Ordering::Relaxed);
        self.send(Event::Requests {
            link: Arc::clone(link),
            requests,
            sent,
        });
    }

    /// The loop has answered, or dropped, that many requests.
    pub(crate) fn settled(&self, count: usize) {
        self.outstanding.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Whether more requests are in process, with `more` on their way, than all clients may have.
    pub(crate) fn is_crowded(&self, more: usize) -> bool {
        self.outstanding() + more > self.limits().global_outstanding as usize
    }

    /// What this server is now.
    pub(crate) fn rank(&self) -> Rank {
        *self.rank.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether clients are served here. A leader may have been told to leave them to the others.
    pub(crate) fn serves(&self) -> bool {
        match self.rank() {
            Rank::Nobody | Rank::Reader { .. } => false,
            Rank::Leader { .. } => {
                let ensemble = self.config.ensemble.as_ref();
                ensemble.is_none_or(|ensemble| ensemble.leader_serves)
            }
            Rank::Alone | Rank::Follower { .. } | Rank::Observer { .. } => true,
        }
    }

    /// Whether only reads are served here, and only to those who ask for no more.
    pub(crate) fn serves_reads_alone(&self) -> bool {
        matches!(self.rank(), Rank::Reader { .. })
    }

    pub(crate) fn set_rank(&self, rank: Rank) {
        *self.rank.write().unwrap_or_else(PoisonError::into_inner) = rank;
    }

    pub(crate) fn set_opening(&self, opening: Zxid) {
        self.opening.store(opening.to_wire(), Ordering::Relaxed);
    }

    /// Who has seen more than this is ahead of this server (P4). What was shown of earlier epochs than the one it
    /// serves in, it has, unless it never stood: members without a leader show that to those who only read, and must
    /// not lock them out until somebody writes.
    pub(crate) fn has_through(&self) -> Zxid {
        let opening = Zxid::from_wire(self.opening.load(Ordering::Relaxed));
        self.tree().last_zxid().max(opening)
    }

    /// Whether others decide with this server, or for it.
    pub(crate) const fn is_member(&self) -> bool {
        self.config.ensemble.is_some()
    }

    pub(crate) fn door(&self) -> UnboundedSender<Event> {
        self.door.clone()
    }

    /// What `gtmk` shows; nothing else depends on it.
    pub(crate) fn trace_mask(&self) -> i64 {
        self.trace_mask.load(Ordering::Relaxed)
    }

    pub(crate) fn set_trace_mask(&self, mask: i64) {
        self.trace_mask.store(mask, Ordering::Relaxed);
    }

    /// Wakes the loop. A loop that has stopped hears nothing, and nobody waits for it.
    pub(crate) fn send(&self, event: Event) {
        let _stopped = self.door.send(event);
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("connections", &self.links.len())
            .finish_non_exhaustive()
    }
}

fn bytes_limit(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
