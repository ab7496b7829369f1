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

mod agreement;
mod changing;
mod copies;
mod delivery;
mod electing;
mod flight;
mod held;
mod intake;
mod leading;
mod learning;
mod membership;
mod proposing;
mod read_only;
mod reaper;
mod roles;
mod sessions;
mod snapshots;
mod stall;
mod stretches;
mod tally;
mod traffic;

use crate::config::settings::Purge;
use crate::disk::epoch::EpochError;
use crate::disk::log::{Log, LogFailure, Refused};
use crate::disk::store::LogRecord;
use crate::net::link::{Delivery, Link};
use crate::replica::{Event, Replica, Submission};
pub use crate::storage::rejoin::RejoinError;
use crate::storage::{Recent, Store};
use crate::tree::{Internal, Pending, ReapRules, reapable};
use bytes::BytesMut;
use electing::Electing;
pub(crate) use electing::Polls;
use flight::{Answer, Flight, Turn};
use intake::Intake;
use membership::{Membership, Service};
use reaper::{Chore, Reaper};
pub(crate) use sessions::LiveSessions;
use snapshots::{Imaging, Retry, Trigger};
use stall::Stall;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tally::{Backlog, count_prepared, count_waited};
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{debug, info, warn};
use zk_proto::{DecodeError, SessionId, Xid, Zxid};
use zk_zab::{Departure, Effect, Epochs, Input, Time, Zab};

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
    /// A leader said what nobody here can read.
    #[error("transaction {zxid:#x} of the leader cannot be decoded: {error}")]
    Undecodable {
        /// The transaction.
        zxid: Zxid,
        /// Why.
        error: DecodeError,
    },
    /// An epoch cannot be written: nothing may be promised any more (P22).
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// The history could not be made what the leader wants (ZOOKEEPER-3701).
    #[error(transparent)]
    Rejoin(#[from] RejoinError),
    /// The agreement cannot go on with what is on this disk.
    #[error("this member cannot go on: {0}")]
    Halted(Departure),
    /// A vital task panicked (P35).
    #[error("the {0} stopped unexpectedly")]
    Vital(&'static str),
}

/// The loop's own state.
pub(crate) struct Node {
    replica: Arc<Replica>,
    events: UnboundedReceiver<Event>,
    zab: Zab,
    /// None only while its files are being changed under it.
    log: Option<Log>,
    /// Before the store, which has the lock: whatever drops the loop, this thread ends first.
    imaging: Option<Imaging>,
    store: Arc<Store>,
    /// What a member of an ensemble has besides.
    member: Option<Box<Membership>>,
    pending: Pending,
    flight: Flight,
    intake: Intake,
    sessions: LiveSessions,
    reaper: Reaper,
    trigger: Trigger,
    /// When to remove old files, where that has an interval of its own.
    next_purge: Option<Time>,
    retry: Retry,
    stall: Stall,
    backlog: Backlog,
    effects: Vec<Effect>,
    /// Effects that are still to be carried out, and what is to be told when they have been.
    later: VecDeque<Effect>,
    inputs: VecDeque<Input>,
    /// Everything up to here stands.
    delivered: Zxid,
    /// What the log says is of one that has been closed.
    deaf: bool,
    appends: Vec<LogRecord>,
    payload: BytesMut,
    replies: BytesMut,
    stopping: bool,
}

impl Node {
    pub(crate) fn new(
        replica: Arc<Replica>,
        events: UnboundedReceiver<Event>,
        opened: (Log, Store),
        member: Option<(Epochs, Recent, Polls)>,
    ) -> Self {
        let (log, store) = opened;
        let (now, wall) = (
            replica.clock().now(),
            replica.clock().wall_millis().unsigned_abs(),
        );
        let config = replica.config();
        let tree = replica.tree();
        let server = membership::server_id(config);
        let mut sessions = LiveSessions::new(&tree, server, wall, now);
        let (delivered, mut later) = (tree.last_zxid(), Vec::new());
        let (zab, member) = match (&config.ensemble, member) {
            (Some(ensemble), Some((epochs, recent, polls))) => {
                let settings = membership::settings(config, ensemble);
                let electing = Electing::new(polls);
                let zab = Zab::member(now, settings, epochs, delivered, recent, &mut later);
                (zab, Some(Box::new(Membership::of(&replica, electing))))
            }
            (Some(_) | None, _) => {
                sessions.lead(&tree, config.sessions.tick_time, now);
                (Zab::alone(server, delivered), None)
            }
        };
        let reaper = Reaper::new(&config.containers, now);
        let trigger = Trigger::new(&config.storage, wall);
        let stall = Stall::new(config.storage.fsync_warning_threshold);
        let next_purge = matches!(config.storage.purge, Purge::Every(_)).then_some(now);
        drop(tree);
        let intake = Intake::new(&config.throttling.requests);
        Self {
            intake,
            replica,
            events,
            zab,
            log: Some(log),
            store: Arc::new(store),
            member,
            later: later.into(),
            inputs: VecDeque::new(),
            delivered,
            deaf: false,
            pending: Pending::new(),
            flight: Flight::ending_with(delivered),
            sessions,
            reaper,
            trigger,
            imaging: None,
            next_purge,
            retry: Retry::default(),
            stall,
            backlog: Backlog::default(),
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
        self.write_config();
        self.settle(self.replica.clock().now()).await?;
        while !self.is_done() {
            self.wait(&mut events).await?;
            let now = self.replica.clock().now();
            for event in events.drain(..) {
                self.on_event(event, now).await?;
                self.settle(now).await?;
            }
            self.on_time(now);
            self.let_in(now);
            self.settle(now).await?;
            self.hand_over_appends(now);
        }
        Ok(())
    }

    /// Whether events come or the deadline does, both are looked at.
    async fn wait(&mut self, events: &mut Vec<Event>) -> Result<(), Fatal> {
        let deadline = self.replica.clock().instant(self.deadline());
        let received = self.events.recv_many(events, EVENTS_AT_ONCE);
        let Some(member) = &mut self.member else {
            let _due = tokio::time::timeout_at(deadline, received).await;
            return Ok(());
        };
        tokio::select! {
            _count = received => {}
            heard = member.electing.hear() => self.inputs.push_back(heard?),
            () = tokio::time::sleep_until(deadline) => {}
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let now = self.replica.clock().now();
        let idle = || self.flight.is_empty() && self.intake.is_done(now);
        // A member that has left its ensemble cannot bring anything to its end any more.
        let member = self.member.as_ref();
        self.stopping && member.map_or_else(idle, |member| member.resigned)
    }

    fn deadline(&self) -> Time {
        let deadlines = [
            self.sessions.deadline(),
            self.zab.deadline(),
            self.read_only_deadline(),
            self.member
                .as_ref()
                .and_then(|member| member.copies.deadline()),
            self.imaging.as_ref().and_then(Imaging::deadline),
            self.next_purge,
            self.retry.deadline(),
            self.stall.deadline(),
        ];
        deadlines
            .into_iter()
            .flatten()
            .fold(self.reaper.deadline(), Time::min)
    }

    async fn on_event(&mut self, event: Event, now: Time) -> Result<(), Fatal> {
        match event {
            Event::Connect {
                link,
                session,
                password,
                timeout,
            } => {
                self.on_connect(link, session, &password, timeout, now);
            }
            Event::Requests {
                link,
                requests,
                sent,
            } => self.on_requests(&link, requests, sent, now),
            Event::Gone { link } => self.sessions.on_gone(&link),
            Event::Persisted { through, bytes } => {
                self.replica.room().persisted(bytes);
                if !self.deaf {
                    if let Some(stood) = self.stall.on_persisted(through, now) {
                        warn!(stood_ms = stood.as_millis(), "the log moves again");
                    }
                    let here = self.replica.metrics().here();
                    self.backlog.on_persisted(here, through, now);
                    self.inputs.push_back(Input::Persisted { through });
                }
            }
            Event::LogReopened => self.deaf = false,
            Event::Peer(event) => self.on_peer(event).await?,
            Event::LogFailed(failure) => return Err(failure.into()),
            Event::VitalPanicked(what) => return Err(Fatal::Vital(what)),
            Event::TakeSnapshot => self.begin_snapshot(now),
            Event::SnapshotEnded(event) => self.on_snapshot_ended(event, now),
            Event::Ask(question) => {
                if let Some(log) = &self.log {
                    question(&self.sessions, log.stats());
                }
            }
            Event::DiskLow => {
                if self.replica.config().storage.purge != Purge::Never {
                    self.store.purge();
                }
            }
            Event::Stop => {
                self.stopping = true;
                self.intake.close(now);
                if self.member.is_some() {
                    self.inputs.push_back(Input::Resign);
                }
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
        match self.service() {
            Service::Leads => {}
            Service::Learns(leader) => {
                return self.on_connect_learning(leader, link, session, password, timeout, now);
            }
            Service::ReadOnly => {
                return self.on_connect_read_only(&link, session, password, timeout, now);
            }
            Service::None => return link.push_and_wake(Delivery::Close),
        }
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
    fn on_requests(&mut self, link: &Arc<Link>, requests: Vec<Submission>, sent: Time, now: Time) {
        if self.stopping || !self.sessions.speaks(link) {
            return self.replica.settled(requests.len());
        }
        match self.service() {
            Service::Leads => {}
            Service::Learns(leader) => return self.on_requests_learning(leader, link, requests),
            Service::ReadOnly => return self.on_requests_read_only(link, requests),
            Service::None => return self.replica.settled(requests.len()),
        }
        let replica = Arc::clone(&self.replica);
        let queued = &replica.metrics().here().counters;
        queued
            .prep_processor_request_queued
            .add(requests.len() as u64);
        let (count, began) = (requests.len() as u64, replica.clock().now());
        let here = replica.metrics().here();
        count_waited(here, count, began.saturating_since(sent), self.events.len());
        let tree = replica.tree();
        for submission in requests {
            self.take_in(&tree, link, submission, now);
        }
        drop(tree);
        let took = replica.clock().now().saturating_since(began);
        count_prepared(here, count, took);
        if self.flight.is_empty() {
            // The write that a read waited for has been delivered meanwhile.
            self.deliver_reads();
        }
    }

    /// Everything proposed since the last time goes to the log as one batch. If the disk is far behind,
    /// it waits here: connections stop reading long before much can gather.
    fn hand_over_appends(&mut self, now: Time) {
        let Some(last) = self.appends.last().map(|record| record.zxid) else {
            return;
        };
        let txns = self.appends.len() as u64;
        let Some(log) = &self.log else {
            return;
        };
        match log.append(std::mem::take(&mut self.appends)) {
            Ok(()) => {
                self.stall.on_handed_over(last, now);
                let here = self.replica.metrics().here();
                self.backlog.on_handed_over(here, last, txns, now);
            }
            Err(Refused::Full(batch)) => self.appends = batch,
            // Its event with the reason is on its way.
            Err(Refused::Dead(_)) => {}
        }
    }

    fn on_time(&mut self, now: Time) {
        self.expire_sessions(now);
        self.read_alone_if_due(now);
        // Nodes age while another server leads, and are looked for when this one does.
        while let Some(chore) = self.reaper.due(now) {
            if self.service() != Service::Leads {
                continue;
            }
            match chore {
                Chore::Look => self.look_for_reapable(now),
                Chore::Delete(path) => {
                    let rules = self.reap_rules();
                    self.propose_internal(Internal::Reap { path, rules }, Answer::Nobody, now);
                }
            }
        }
        if self.zab.deadline().is_some_and(|deadline| deadline <= now) {
            self.inputs.push_back(Input::Timeout);
        }
        // What may never stand is not made a snapshot (ZOOKEEPER-1549).
        if self.may_image() && self.retry.is_due(now, self.trigger.is_due()) {
            self.begin_snapshot(now);
        }
        self.continue_copies(now);
        self.continue_snapshot(now);
        self.purge_if_due(now);
        self.tell_of_stall(now);
    }

    fn tell_of_stall(&mut self, now: Time) {
        let Some((stands, first)) = self.stall.due(now) else {
            return;
        };
        if first {
            let counters = &self.replica.metrics().here().counters;
            counters.fsync_threshold_exceed_count.increment();
        }
        warn!(
            stands_ms = stands.as_millis(),
            waiting = self.flight.txns(),
            "the disk does not answer: an fsync of the log hangs, and no write is acknowledged meanwhile"
        );
    }

    /// When a switch fails, thousands of clients are silent at once: that is one thing that happened, and one
    /// line (S63).
    fn expire_sessions(&mut self, now: Time) {
        let expired = self.sessions.expire(now);
        if expired.is_empty() {
            return;
        }
        info!(count = expired.len(), "sessions expired");
        let replica = Arc::clone(&self.replica);
        let counters = &replica.metrics().here().counters;
        counters.stale_sessions_expired.add(expired.len() as u64);
        if self.service() == Service::ReadOnly {
            return self.forget_sessions(&expired);
        }
        for session in expired {
            debug!(%session, "a session expired");
            let close = Internal::CloseSession {
                session,
                xid: Xid::INTERNAL,
            };
            self.propose_internal(close, Answer::Nobody, now);
        }
    }

    /// Whether the tree is free to be imaged for the own disk, and everything in it stands.
    fn may_image(&self) -> bool {
        let free = |member: &Membership| {
            let led = !matches!(member.service, Service::None | Service::ReadOnly);
            led && member.copies.is_idle()
        };
        self.member.as_deref().is_none_or(free)
    }

    /// The part of a member; whoever asks for it knows that this server is one.
    fn membership(&mut self) -> &mut Membership {
        self.member
            .as_deref_mut()
            .expect("only a member of an ensemble hears from others")
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
        match self.log.take() {
            Some(log) => Ok(log.close()?),
            None => Ok(()),
        }
    }
}
