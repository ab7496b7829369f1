//! The task that keeps a cache: one lasting watch, reads of what it tells of, and everything once more after a gap.
//!
//! Nothing is published while something that was told has not been looked at, except when that would take too long:
//! an event arrives before any answer that could show its change, so that behind an answer with no event waiting, what
//! was read is the tree as it is.

use super::events::{Announcer, CacheEvent};
use super::mirror::Staged;
use super::{Phase, Scope, Shared, read};
use crate::error::may_try_again;
use crate::keeper::PAUSE;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::debug;
use zk_client::{Client, Error, EventType, State, Watch, WatchItem, Zxid};

/// For how long nothing is published at most, while changes come faster than they are looked at.
const LONGEST_HOLD: Duration = Duration::from_millis(100);
/// Between two attempts at what the servers have refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

type Waiter = oneshot::Sender<Zxid>;

/// What handles wait for.
#[derive(Debug)]
pub(super) struct Signals {
    pub(super) phase: watch::Sender<Phase>,
    /// Counts what was published.
    pub(super) changes: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct Follower {
    client: Client,
    scope: Scope,
    shared: Arc<Shared>,
    announcer: Announcer,
    signals: Signals,
    barriers: mpsc::UnboundedReceiver<Waiter>,
    /// Those at a barrier who came before the last look, and those who came after.
    passing: Vec<Waiter>,
    waiting: Vec<Waiter>,
}

/// What was told since the last look.
#[derive(Debug, Default)]
struct Told {
    /// Anything may have happened.
    gap: bool,
    /// Whether a node has to be looked at, or is known to be gone.
    paths: BTreeMap<String, bool>,
    /// The watch is over.
    lost: bool,
}

impl Told {
    fn take(&mut self, item: Option<WatchItem>, scope: &Scope) {
        match item {
            Some(WatchItem::Event(event)) => {
                let covered = scope.depth_of(&event.path).is_some();
                if covered && event.kind != EventType::ChildrenChanged {
                    let look = event.kind != EventType::Deleted;
                    self.paths.insert(event.path, look);
                }
            }
            Some(WatchItem::Gap { .. }) => self.gap = true,
            Some(WatchItem::Lost) | None => self.lost = true,
        }
    }

    fn is_empty(&self) -> bool {
        !self.gap && !self.lost && self.paths.is_empty()
    }
}

impl Follower {
    pub(super) const fn new(
        client: Client,
        scope: Scope,
        shared: Arc<Shared>,
        announcer: Announcer,
        signals: Signals,
        barriers: mpsc::UnboundedReceiver<Waiter>,
    ) -> Self {
        Self {
            client,
            scope,
            shared,
            announcer,
            signals,
            barriers,
            passing: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Follows until the client ends or nobody has a handle any more. Nothing of it is on a server but its watch,
    /// which goes with it.
    pub(super) async fn run(mut self) {
        let (phase, client) = (self.signals.phase.clone(), self.client.clone());
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            biased;
            () = phase.closed() => {}
            () = self.work() => {}
            () = age(&client, &shared) => {}
        }
        shared.is_stale();
        self.signals.phase.send_replace(Phase::Over);
    }

    async fn work(&mut self) {
        loop {
            let watching = if self.scope.depth == Some(0) {
                self.client.watch(&self.scope.root)
            } else {
                self.client.watch_recursive(&self.scope.root)
            };
            let ended = match watching.timeout(None).await {
                Ok(watch) => self.follow(watch).await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                if may_try_again(&self.client, &error) {
                    tokio::time::sleep(PAUSE).await;
                } else if self.client.state() == State::Closed {
                    return;
                } else {
                    debug!(path = self.scope.root, %error, "a cache cannot be kept");
                    self.shared.is_stale();
                    self.refuse(error);
                    tokio::time::sleep(AFTER_REFUSAL).await;
                }
            }
        }
    }

    fn refuse(&self, error: Error) {
        let refused = Phase::Refused(error.into());
        self.signals.phase.send_if_modified(|phase| {
            let unfilled = *phase != Phase::Filled;
            if unfilled {
                *phase = refused;
            }
            unfilled
        });
    }

    /// Follows one watch to its end, which is that of its session.
    async fn follow(&mut self, mut watch: Watch) -> Result<(), Error> {
        let mut told = Told {
            gap: true,
            ..Told::default()
        };
        let mut staged = Staged::default();
        let mut since = Instant::now();
        loop {
            // In this order: whoever is at the barrier came behind the events that he waits for, and what is at hand
            // covers every zxid that was seen before it was found to be all.
            while let Ok(waiter) = self.barriers.try_recv() {
                self.waiting.push(waiter);
            }
            let zxid = self.client.last_zxid();
            while let Poll::Ready(item) = at_hand(&mut watch) {
                told.take(item, &self.scope);
                if told.lost {
                    return Ok(());
                }
            }
            if told.is_empty() {
                self.publish(std::mem::take(&mut staged), zxid, true);
                if self.shared.mirror().has_room_again() {
                    told.gap = true;
                    continue;
                }
                tokio::select! {
                    item = watch.next() => told.take(item, &self.scope),
                    waiter = self.barriers.recv() => self.waiting.extend(waiter),
                }
                since = Instant::now();
            } else {
                if since.elapsed() > LONGEST_HOLD && !staged.is_empty() && !told.gap {
                    self.publish(std::mem::take(&mut staged), Zxid::ZERO, false);
                    since = Instant::now();
                }
                self.passing.append(&mut self.waiting);
                self.look(&mut told, &mut staged).await?;
            }
        }
    }

    /// Reads what was told of.
    async fn look(&self, told: &mut Told, staged: &mut Staged) -> Result<(), Error> {
        let told = std::mem::take(told);
        if told.gap {
            let limits = self.shared.mirror().limits();
            *staged = read::subtree(&self.client, &self.scope, limits).await?;
            return Ok(());
        }
        let (look, gone): (Vec<_>, Vec<_>) = told.paths.into_iter().partition(|(_, look)| *look);
        for (path, _) in gone {
            staged.gone(&path);
        }
        let paths = look.into_iter().map(|(path, _)| path);
        read::nodes(&self.client, paths, staged).await
    }

    /// Shows what was read, and lets those pass who waited for it.
    fn publish(&mut self, staged: Staged, zxid: Zxid, exact: bool) {
        let resynced = staged.all;
        let (events, zxid) = {
            let mirror = self.shared.mirror.write();
            let mut mirror = mirror.unwrap_or_else(PoisonError::into_inner);
            (mirror.publish(staged, zxid, exact), mirror.zxid())
        };
        if resynced {
            self.shared.is_live();
        }
        if resynced || !events.is_empty() {
            self.signals.changes.send_modify(|count| *count += 1);
        }
        for event in events {
            self.announcer.tell(event);
        }
        if resynced {
            self.announcer.tell(CacheEvent::Resynced {
                zxid,
                skipped: false,
            });
            self.signals.phase.send_if_modified(|phase| {
                let first = *phase != Phase::Filled;
                *phase = Phase::Filled;
                first
            });
        }
        let waiting = if exact { Some(&mut self.waiting) } else { None };
        let passing = waiting.into_iter().flat_map(|it| it.drain(..));
        for waiter in passing.chain(self.passing.drain(..)) {
            let _gone = waiter.send(zxid);
        }
    }
}

/// What the watch has told already.
fn at_hand(watch: &mut Watch) -> Poll<Option<WatchItem>> {
    pin!(watch.next()).poll(&mut Context::from_waker(Waker::noop()))
}

/// Says that the cache is behind while no server answers; that it is not any more, it says itself.
async fn age(client: &Client, shared: &Shared) {
    let mut states = client.states();
    while let Some(state) = states.next().await {
        match state {
            State::Connected { .. } => {}
            State::Suspended { .. } | State::Lost { .. } | State::Closed => shared.is_stale(),
        }
    }
    std::future::pending::<()>().await;
}
