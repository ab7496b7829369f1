//! What a cache tells of its changes, and to whom: each listener at its own pace, the cache at its own.

use super::Shared;
use super::mirror::CachedNode;
use std::sync::{Arc, Weak};
use tokio::sync::broadcast::{self, error::RecvError};
use zk_client::Zxid;

/// A change of what a cache holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheEvent {
    /// A node is there that was not.
    Created {
        /// The node.
        node: Arc<CachedNode>,
    },
    /// A node has other data.
    Changed {
        /// What it was.
        before: Arc<CachedNode>,
        /// What it is.
        node: Arc<CachedNode>,
    },
    /// A node is there no more.
    Deleted {
        /// What it was.
        before: Arc<CachedNode>,
    },
    /// Everything was read again, for the first time or after a gap in which anything may have happened; or, if
    /// something was `skipped`, this listener was too slow.
    Resynced {
        /// Everything up to here is in the cache.
        zxid: Zxid,
        /// Events were left out: look at a [snapshot](crate::Cache::snapshot). If not, all that is different was told
        /// as events before this.
        skipped: bool,
    },
}

/// The cache's side.
#[derive(Clone, Debug)]
pub(super) struct Announcer {
    sender: broadcast::Sender<CacheEvent>,
}

impl Announcer {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            sender: broadcast::Sender::new(limit),
        }
    }

    pub(super) fn tell(&self, event: CacheEvent) {
        // Nobody listening is as good as anybody.
        let _listeners = self.sender.send(event);
    }

    pub(super) fn listen(&self, cache: Weak<Shared>) -> CacheEvents {
        CacheEvents {
            events: self.sender.subscribe(),
            cache,
        }
    }
}

/// The changes of a cache, from [`Cache::events`](crate::Cache::events). However slow its owner is, the cache does not
/// wait for it.
#[derive(Debug)]
pub struct CacheEvents {
    events: broadcast::Receiver<CacheEvent>,
    cache: Weak<Shared>,
}

impl CacheEvents {
    /// The next change; `None` when the cache was dropped.
    ///
    /// # Cancellation
    ///
    /// Safe: an event is taken only when it is returned.
    pub async fn next(&mut self) -> Option<CacheEvent> {
        match self.events.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(_)) => {
                // What is still queued leads up to a snapshot that is newer already.
                self.events = self.events.resubscribe();
                let zxid = self.cache.upgrade()?.mirror().zxid();
                Some(CacheEvent::Resynced {
                    zxid,
                    skipped: true,
                })
            }
        }
    }
}
