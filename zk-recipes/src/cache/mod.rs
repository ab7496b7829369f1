//! A copy of nodes in memory that follows the servers: what callers hold. [`follower`] keeps it, [`mirror`] decides
//! (pure) what of it has changed, [`read`] reads subtrees.

mod events;
mod follower;
mod left_out;
mod mirror;
mod read;

pub use events::{CacheEvent, CacheEvents};
pub use mirror::{CachedNode, Snapshot};

use crate::error::Error;
use events::Announcer;
use follower::{Follower, Signals};
use mirror::{Limits, Mirror};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};
use zk_client::{Client, Zxid};

/// What a cache covers: a node and so many generations below it; all of them, if none is named.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    root: String,
    depth: Option<usize>,
}

impl Scope {
    /// How many generations a path is below the root; `None` if it is not covered.
    fn depth_of(&self, path: &str) -> Option<usize> {
        let below = match (self.root.as_str(), path) {
            (root, path) if root == path => "",
            ("/", path) => path,
            (root, path) => path
                .strip_prefix(root)
                .filter(|rest| rest.starts_with('/'))?,
        };
        let depth = below.matches('/').count();
        self.depth.is_none_or(|most| depth <= most).then_some(depth)
    }

    pub(crate) fn child(parent: &str, name: &str) -> String {
        let slash = if parent == "/" { "" } else { "/" };
        format!("{parent}{slash}{name}")
    }
}

/// How far a cache is behind the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It has never seen them.
    Filling,
    /// A server tells it of every change.
    Live,
    /// No server has told it anything since then. What it holds is what was so before.
    Stale {
        /// Since when.
        since: Instant,
    },
}

/// Whether a cache was filled, and is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Filling,
    Refused(Error),
    Filled,
    Over,
}

/// What all handles of a cache and its follower share.
#[derive(Debug)]
struct Shared {
    mirror: RwLock<Mirror>,
    freshness: RwLock<Freshness>,
}

impl Shared {
    fn mirror(&self) -> std::sync::RwLockReadGuard<'_, Mirror> {
        self.mirror.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_live(&self) {
        let known = self.freshness.write();
        *known.unwrap_or_else(PoisonError::into_inner) = Freshness::Live;
    }

    /// Nobody tells it anything from here on.
    fn is_stale(&self) {
        let known = self.freshness.write();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        if *known == Freshness::Live {
            *known = Freshness::Stale {
                since: Instant::now(),
            };
        }
    }
}

/// A copy of a node, of a directory or of a whole tree, which is read without asking anybody.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_client::testkit::TestServer::start().await?;
/// # let client = zk_client::Client::connect(server.address().to_string()).await?;
/// use zk_recipes::Cache;
///
/// client.create("/shop/stock", "7").parents().await?;
/// let shop = Cache::tree(&client, "/shop").start();
/// shop.ready().await?;
/// assert_eq!(shop.get("/shop/stock").unwrap().data(), "7");
///
/// client.set("/shop/stock", "6").await?;
/// shop.barrier().await?; // sees everything that was written, by anybody, before
/// assert_eq!(shop.get("/shop/stock").unwrap().data(), "6");
/// # Ok(()) }
/// ```
///
/// | | |
/// |---|---|
/// | guarantee | each [`Snapshot`] is the tree as it was at one zxid, and none is older than the one before. Where changes come faster than they are read for longer than 100 ms, a snapshot says that it is not [exact](Snapshot::is_exact): each node is then right by itself |
/// | suspension | it keeps what it has and [says since when](Cache::freshness); afterwards everything is read again, the differences are told as events, and [`CacheEvent::Resynced`] behind them |
/// | session's end | the same, in the client's next session, if it opens one; else it stays as it is |
/// | cancellation | every future may be dropped at any await |
/// | cost | 1 watch, a lasting one (servers from 3.6 on). To fill it 1 read for each node and 1 for each that has children, 64 at a time; 1 read for each node that changes, none for one that goes |
/// | memory | bounded by [`max_nodes`](CacheBuilder::max_nodes) and [`max_bytes`](CacheBuilder::max_bytes): what does not fit is left out, and [said to be](Snapshot::is_complete). Events that nobody takes are bounded by [`max_events`](CacheBuilder::max_events) |
/// | layout | anybody's; Curator's `CuratorCache` and kazoo's `TreeCache` do the same |
#[derive(Clone, Debug)]
pub struct Cache {
    client: Client,
    scope: Scope,
    shared: Arc<Shared>,
    announcer: Announcer,
    barriers: mpsc::UnboundedSender<oneshot::Sender<Zxid>>,
    phase: watch::Receiver<Phase>,
    published: watch::Receiver<u64>,
}

/// What a cache is to be like; from [`Cache::node`], [`Cache::children`] and [`Cache::tree`].
#[must_use = "a builder makes nothing until it is told"]
#[derive(Clone, Debug)]
pub struct CacheBuilder {
    client: Client,
    scope: Scope,
    limits: Limits,
    events: usize,
}

impl CacheBuilder {
    /// How many nodes it holds at most; 100,000 unless told.
    pub const fn max_nodes(mut self, nodes: usize) -> Self {
        self.limits.nodes = nodes;
        self
    }

    /// How many bytes of paths and data it holds at most; 64 MiB unless told.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// How many events wait for whoever does not take them; 1,024 unless told. Who is further behind is told
    /// [`CacheEvent::Resynced`] instead.
    pub const fn max_events(mut self, events: usize) -> Self {
        self.events = if events == 0 { 1 } else { events };
        self
    }

    /// Begins to follow, in the background, until the last handle is dropped.
    pub fn start(self) -> Cache {
        let (barriers, waiting) = mpsc::unbounded_channel();
        let (sender, phase) = watch::channel(Phase::Filling);
        let shared = Arc::new(Shared {
            mirror: RwLock::new(Mirror::new(self.limits)),
            freshness: RwLock::new(Freshness::Filling),
        });
        let announcer = Announcer::new(self.events);
        let (changes, published) = watch::channel(0);
        let follower = Follower::new(
            self.client.clone(),
            self.scope.clone(),
            Arc::clone(&shared),
            announcer.clone(),
            Signals {
                phase: sender,
                changes,
            },
            waiting,
        );
        tokio::spawn(follower.run());
        Cache {
            client: self.client,
            scope: self.scope,
            shared,
            announcer,
            barriers,
            phase,
            published,
        }
    }
}

impl Cache {
    /// A node alone, which need not be there.
    pub fn node(client: &Client, path: impl Into<String>) -> CacheBuilder {
        Self::describe(client, path.into(), Some(0))
    }

    /// A node and its children.
    pub fn children(client: &Client, path: impl Into<String>) -> CacheBuilder {
        Self::describe(client, path.into(), Some(1))
    }

    /// A node and everything below it.
    pub fn tree(client: &Client, path: impl Into<String>) -> CacheBuilder {
        Self::describe(client, path.into(), None)
    }

    fn describe(client: &Client, root: String, depth: Option<usize>) -> CacheBuilder {
        CacheBuilder {
            client: client.clone(),
            scope: Scope { root, depth },
            limits: Limits {
                nodes: 100_000,
                bytes: 64 << 20,
            },
            events: 1024,
        }
    }

    /// The node it begins at.
    pub fn path(&self) -> &str {
        &self.scope.root
    }

    /// A node, if it is there. Takes no request.
    pub fn get(&self, path: &str) -> Option<Arc<CachedNode>> {
        self.shared.mirror().get(path)
    }

    /// Everything at once, as it stays whatever happens.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.mirror().snapshot()
    }

    /// How far it is behind.
    pub fn freshness(&self) -> Freshness {
        let known = self.shared.freshness.read();
        *known.unwrap_or_else(PoisonError::into_inner)
    }

    /// What changes from here on. Whoever wants to begin with what is there takes this first and then a
    /// [snapshot](Self::snapshot).
    pub fn events(&self) -> CacheEvents {
        self.announcer.listen(Arc::downgrade(&self.shared))
    }

    /// A number that grows whenever what it holds changes: for those who look at a snapshot then.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.published.clone()
    }

    /// Waits until it was filled for the first time.
    ///
    /// # Errors
    ///
    /// What the servers refuse it for, or the client's end. It is tried again all the same, and so may be this.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut phase = self.phase.clone();
        match phase.wait_for(|it| *it != Phase::Filling).await.as_deref() {
            Ok(Phase::Refused(error)) => Err(error.clone()),
            Ok(Phase::Filled) => Ok(()),
            Ok(Phase::Filling | Phase::Over) | Err(_) => Err(OVER),
        }
    }

    /// Waits until it has everything that anybody wrote before this was called. Yields a zxid up to which it has it.
    /// Costs a `sync`.
    ///
    /// # Errors
    ///
    /// The client's end. A lost connection is none: this waits for the next one.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn barrier(&self) -> Result<Zxid, Error> {
        loop {
            match self.client.sync(&self.scope.root).timeout(None).await {
                Ok(()) => break,
                Err(error) if crate::error::may_try_again(&self.client, &error) => {
                    tokio::time::sleep(crate::keeper::PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        // What the sync has waited for was told to the follower before the answer came.
        let (waiter, passed) = oneshot::channel();
        drop(self.barriers.send(waiter));
        passed.await.map_err(|_over| OVER)
    }
}

const OVER: Error = Error::Usage("the client of this cache is at its end");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_knows_what_it_covers() {
        let check = |root: &str, depth, path, expected| {
            let scope = Scope {
                root: root.to_owned(),
                depth,
            };
            assert_eq!(scope.depth_of(path), expected, "{root} {path}");
        };
        check("/a", Some(1), "/a", Some(0));
        check("/a", Some(1), "/a/b", Some(1));
        check("/a", Some(1), "/a/b/c", None);
        check("/a", None, "/a/b/c", Some(2));
        check("/a", None, "/ab", None);
        check("/", Some(1), "/", Some(0));
        check("/", Some(1), "/a", Some(1));
        check("/", Some(1), "/a/b", None);
        check("/", None, "/a/b", Some(2));
        check("/a", Some(0), "/a/b", None);
    }
}
