//! The one loop: event, step, effects. The only place where the rooms meet; it decides nothing itself.
//!
//! ```text
//!  connections ──Requests──► prepare ──► zab ──Append──► log thread
//!                                          ▲                 │ fsync
//!  connections ◄──Done, Event── apply ◄── Deliver ◄──Persisted┘
//! ```
//!
//! Everything waiting is prepared under one look at the tree, written with one fsync, and applied
//! under one guard: the cost of a lock, a wake-up and a flush is shared by all who wait.

mod delivery;
mod flight;
mod intake;
mod reaper;
mod sessions;
mod snapshots;
mod tally;

use crate::config::settings::Purge;
use crate::disk::log::{Log, LogFailure, Refused};
use crate::disk::store::LogRecord;
use crate::net::link::{Delivery, Link};
use crate::replica::{Event, Replica, Submission};
use crate::storage::Store;
use crate::tree::{
    Asker, Internal, Pending, ReapRules, Stamp, Standing, Tree, prepare, prepare_internal,
    prepare_refusal, reapable,
};
use bytes::{Bytes, BytesMut};
use flight::{Answer, Flight, Turn};
use intake::Intake;
use reaper::{Chore, Reaper};
pub(crate) use sessions::LiveSessions;
use snapshots::{Imaging, Retry, Trigger};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::info;
use zk_proto::txn::{Txn, TxnRecord};
use zk_proto::{ErrorCode, OpCode, Request, ServerId, SessionId, Xid, Zxid};
use zk_zab::{Effect, Input, Time, Zab};

/// How many events are handled before what they caused is carried out.
const EVENTS_AT_ONCE: usize = 256;
/// Transactions on their way to the log share allocations of this size.
const PAYLOAD_BLOCK: usize = 64 * 1024;

/// Why the loop had to stop. The process must not outlive it.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The log cannot be written: nothing may be acknowledged any more (P22).
    #[error(transparent)]
    Log(#[from] LogFailure),
    /// The tree is not what the log says it is (P29).
    #[error(
        "transaction {zxid:#x} left the tree with another digest than its log entry has; what is in memory cannot be trusted. Restart: the tree is then rebuilt from disk"
    )]
    Digest {
        /// The transaction.
        zxid: Zxid,
    },
    /// A vital task panicked (P35).
    #[error("the {0} stopped unexpectedly")]
    Vital(&'static str),
}

/// The loop's own state.
pub(crate) struct Node {
    replica: Arc<Replica>,
    events: UnboundedReceiver<Event>,
    zab: Zab,
    log: Log,
    store: Store,
    pending: Pending,
    flight: Flight,
    intake: Intake,
    sessions: LiveSessions,
    reaper: Reaper,
    trigger: Trigger,
    imaging: Option<Imaging>,
    /// When to remove old files, where that has an interval of its own.
    next_purge: Option<Time>,
    retry: Retry,
    effects: Vec<Effect>,
    appends: Vec<LogRecord>,
    payload: BytesMut,
    replies: BytesMut,
    stopping: bool,
}

impl Node {
    pub(crate) fn new(
        replica: Arc<Replica>,
        events: UnboundedReceiver<Event>,
        log: Log,
        store: Store,
    ) -> Self {
        let (now, wall) = (
            replica.clock().now(),
            replica.clock().wall_millis().unsigned_abs(),
        );
        let config = replica.config();
        let tree = replica.tree();
        let sessions = LiveSessions::of(&tree, config.sessions.tick_time, wall, now);
        let zab = Zab::alone(ServerId::new(1), tree.last_zxid());
        let reaper = Reaper::new(&config.containers, now);
        let trigger = Trigger::new(&config.storage, wall);
        let next_purge = matches!(config.storage.purge, Purge::Every(_)).then_some(now);
        drop(tree);
        let intake = Intake::new(&config.throttling.requests);
        Self {
            intake,
            replica,
            events,
            zab,
            log,
            store,
            pending: Pending::new(),
            flight: Flight::default(),
            sessions,
            reaper,
            trigger,
            imaging: None,
            next_purge,
            retry: Retry::default(),
            effects: Vec::new(),
            appends: Vec::new(),
            // A buffer that was split goes on with blocks of the size of its first.
            payload: BytesMut::with_capacity(PAYLOAD_BLOCK),
            replies: BytesMut::new(),
            stopping: false,
        }
    }

    /// Runs until it is told to stop or cannot go on. Either way nobody is left waiting for an answer.
    /// Closing files may take as long as the disk likes: that is not done here, and after a failure
    /// nobody waits for it.
    pub(crate) async fn run(mut self) -> Result<(), Fatal> {
        let ended = self.serve().await;
        self.replica.stop();
        for link in self.replica.links() {
            link.push_and_wake(Delivery::Close);
        }
        let closing = tokio::task::spawn_blocking(move || self.close());
        ended?;
        closing.await.unwrap_or(Err(Fatal::Vital("log's thread")))
    }

    async fn serve(&mut self) -> Result<(), Fatal> {
        let mut events = Vec::with_capacity(EVENTS_AT_ONCE);
        while !self.is_done() {
            let deadline = self.replica.clock().instant(self.deadline());
            let received = self.events.recv_many(&mut events, EVENTS_AT_ONCE);
            // Whether events came or the deadline did, both are looked at.
            let _due = tokio::time::timeout_at(deadline, received).await;
            let now = self.replica.clock().now();
            for event in events.drain(..) {
                self.on_event(event, now)?;
            }
            self.on_time(now);
            self.let_in(now);
            self.hand_over_appends();
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let now = self.replica.clock().now();
        self.stopping && self.flight.is_empty() && self.intake.is_done(now)
    }

    fn deadline(&self) -> Time {
        let deadlines = [
            self.sessions.deadline(),
            self.zab.deadline(),
            self.imaging.as_ref().and_then(Imaging::deadline),
            self.next_purge,
            self.retry.deadline(),
        ];
        deadlines
            .into_iter()
            .flatten()
            .fold(self.reaper.deadline(), Time::min)
    }

    fn on_event(&mut self, event: Event, now: Time) -> Result<(), Fatal> {
        match event {
            Event::Connect {
                link,
                session,
                password,
                timeout,
            } => {
                self.on_connect(link, session, &password, timeout, now);
            }
            Event::Requests { link, requests } => self.on_requests(&link, requests, now),
            Event::Gone { link } => self.sessions.on_gone(&link),
            Event::Persisted { through } => self.on_persisted(through, now)?,
            Event::LogFailed(failure) => return Err(failure.into()),
            Event::VitalPanicked(what) => return Err(Fatal::Vital(what)),
            Event::TakeSnapshot => self.begin_snapshot(now),
            Event::SnapshotEnded(event) => self.on_snapshot_ended(event, now),
            Event::Ask(question) => question(&self.sessions, self.log.stats()),
            Event::DiskLow => {
                if self.replica.config().storage.purge != Purge::Never {
                    self.store.purge();
                }
            }
            Event::Stop => {
                self.stopping = true;
                self.intake.close(now);
            }
        }
        Ok(())
    }

    fn on_connect(
        &mut self,
        link: Arc<Link>,
        session: SessionId,
        password: &[u8],
        timeout: Duration,
        now: Time,
    ) {
        if session == SessionId::NONE {
            let session = self.sessions.allocate();
            let timeout_millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
            let open = Internal::CreateSession {
                session,
                timeout: timeout_millis,
            };
            self.propose_internal(open, Answer::Connect(link, timeout), now);
        } else if self.flight.is_empty() {
            self.take_up(&link, session, password, timeout);
        } else {
            // What was asked on the old connection must be seen on the new one. Nothing more is heard there.
            self.sessions.silence(session, password, now);
            let password = password.to_vec();
            self.flight.push(Turn::Renew {
                link,
                session,
                password,
                timeout,
            });
        }
    }

    /// A client's requests. Those of a connection that no longer speaks for its session are dropped, and
    /// those that come after the stop: what is in flight must end some time.
    fn on_requests(&mut self, link: &Arc<Link>, requests: Vec<Submission>, now: Time) {
        if self.stopping || !self.sessions.speaks(link) {
            return self.replica.settled(requests.len());
        }
        let replica = Arc::clone(&self.replica);
        let queued = &replica.metrics().here().counters;
        queued
            .prep_processor_request_queued
            .add(requests.len() as u64);
        let tree = replica.tree();
        for submission in requests {
            self.take_in(&tree, link, submission, now);
        }
        drop(tree);
        if self.flight.is_empty() {
            // The write that a read waited for has been delivered meanwhile.
            self.deliver_reads();
        }
    }

    /// What a write becomes; nothing when it cannot be decoded. A multi leaves its error in the order
    /// all the same, as in 3.9.
    fn prepare(
        &mut self,
        tree: &Tree,
        session: SessionId,
        time: i64,
        submission: &Submission,
        now: Time,
    ) -> Option<TxnRecord> {
        let Submission {
            xid,
            op,
            body,
            identities,
            ..
        } = submission;
        let stamp = Stamp {
            zxid: self.zab.next_zxid(),
            time,
        };
        let asker = Asker {
            session,
            xid: *xid,
            identities,
            standing: Standing::Global,
        };
        Some(match self.replica.decode(*op, body) {
            Err(_) if *op == OpCode::Multi => {
                prepare_refusal(&asker, stamp, ErrorCode::MarshallingError)
            }
            Err(_) => return None,
            // A standalone has no members to change, whether that is allowed or not.
            Ok(Request::Reconfig { .. }) => {
                let code = if self.replica.config().misc.reconfig_enabled {
                    ErrorCode::Unimplemented
                } else {
                    ErrorCode::ReconfigDisabled
                };
                prepare_refusal(&asker, stamp, code)
            }
            Ok(Request::CloseSession) => {
                self.sessions.closing(session);
                let close = Internal::CloseSession { session, xid: *xid };
                let record = prepare_internal(tree, &mut self.pending, stamp, close);
                let took = self.replica.clock().now().saturating_since(now);
                let latencies = &self.replica.metrics().here().latencies;
                latencies.close_session_prep_time.record(took);
                record
            }
            Ok(Request::Multi(ops)) if self.replica.has_too_many(&ops) => {
                prepare_refusal(&asker, stamp, ErrorCode::BadArguments)
            }
            Ok(request) => {
                let record = prepare(tree, &mut self.pending, &asker, stamp, &request, body);
                if record.txn == Txn::Error(ErrorCode::MarshallingError) {
                    let limits = &self.replica.metrics().here().limits;
                    limits.limit_transaction_size.increment();
                }
                record
            }
        })
    }

    /// What the server does by itself: sessions that begin or expire, nodes that have aged.
    fn propose_internal(&mut self, what: Internal, answer: Answer, now: Time) {
        let time = self.replica.clock().wall_millis();
        let stamp = Stamp {
            zxid: self.zab.next_zxid(),
            time,
        };
        let record = {
            let tree = self.replica.tree();
            prepare_internal(&tree, &mut self.pending, stamp, what)
        };
        self.propose(record, answer, now);
    }

    fn propose(&mut self, record: TxnRecord, answer: Answer, now: Time) {
        let counters = &self.replica.metrics().here().counters;
        counters.sync_processor_request_queued.increment();
        if !matches!(record.txn, Txn::Error(_)) {
            counters.outstanding_changes_queued.increment();
        }
        record.encode(&mut self.payload);
        let payload: Bytes = self.payload.split().freeze();
        self.flight.push_txn(record, answer);
        self.zab
            .step(now, Input::Propose { payload }, &mut self.effects);
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Append { zxid, payload } => {
                    self.trigger.count(payload.len());
                    self.appends.push(LogRecord { zxid, payload });
                }
                Effect::Deliver { .. } => unreachable!("a proposal alone makes nothing stand"),
            }
        }
    }

    fn on_persisted(&mut self, through: Zxid, now: Time) -> Result<(), Fatal> {
        self.zab
            .step(now, Input::Persisted { through }, &mut self.effects);
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Deliver { through } => self.deliver(through)?,
                Effect::Append { .. } => unreachable!("durability proposes nothing"),
            }
        }
        Ok(())
    }

    /// Everything proposed since the last time goes to the log as one batch. If the disk is far behind,
    /// it waits here: connections stop reading long before much can gather.
    fn hand_over_appends(&mut self) {
        if self.appends.is_empty() {
            return;
        }
        match self.log.append(std::mem::take(&mut self.appends)) {
            Ok(()) => {}
            Err(Refused::Full(batch)) => self.appends = batch,
            // Its event with the reason is on its way.
            Err(Refused::Dead(_)) => {}
        }
    }

    fn on_time(&mut self, now: Time) {
        for session in self.sessions.expire(now) {
            info!(%session, "a session expired");
            self.replica
                .metrics()
                .here()
                .counters
                .stale_sessions_expired
                .increment();
            let close = Internal::CloseSession {
                session,
                xid: Xid::INTERNAL,
            };
            self.propose_internal(close, Answer::Nobody, now);
        }
        while let Some(chore) = self.reaper.due(now) {
            match chore {
                Chore::Look => self.look_for_reapable(now),
                Chore::Delete(path) => {
                    let rules = self.reap_rules();
                    self.propose_internal(Internal::Reap { path, rules }, Answer::Nobody, now);
                }
            }
        }
        if self.retry.is_due(now, self.trigger.is_due()) {
            self.begin_snapshot(now);
        }
        self.continue_snapshot(now);
        self.purge_if_due(now);
    }

    fn purge_if_due(&mut self, now: Time) {
        if let (Some(due), Purge::Every(interval)) =
            (self.next_purge, self.replica.config().storage.purge)
            && due <= now
        {
            self.next_purge = Some(now + interval);
            self.store.purge();
        }
    }

    fn reap_rules(&self) -> ReapRules {
        let max_never_used = self
            .replica
            .config()
            .containers
            .max_never_used
            .unwrap_or_default();
        ReapRules {
            max_never_used: i64::try_from(max_never_used.as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn look_for_reapable(&mut self, now: Time) {
        let wall = self.replica.clock().wall_millis();
        let rules = self.reap_rules();
        let tree = self.replica.tree();
        self.reaper.found(reapable(&tree, wall, rules), now);
    }

    /// Lets go of the snapshot, and makes all that was written durable.
    fn close(mut self) -> Result<(), Fatal> {
        self.abort_snapshot();
        Ok(self.log.close()?)
    }
}
