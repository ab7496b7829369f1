//! Watches as values: what a watcher hears, the table of who waits for what (pure), and the handles callers hold.

mod handle;
mod queue;
mod table;

pub(crate) use handle::Subscription;
pub use handle::{Once, OnceEvent, Watch};
pub(crate) use queue::Inbox;
pub(crate) use table::Table;

use std::sync::Arc;
use zk_proto::{ErrorCode, EventType, Zxid};

/// One watcher, of many on the same node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SubscriptionId(pub(crate) u64);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum WatchKind {
    /// Once: the data of a node that is there.
    Data,
    /// Once: the creation of a node.
    Exist,
    /// Once: the list of children.
    Child,
    /// Until dropped: a node and the list of its children.
    Persistent,
    /// Until dropped: a node and everything below it.
    Recursive,
}

impl WatchKind {
    /// Whether the watch is there after a reply: client protocol, 12.
    pub(crate) const fn is_armed_by(self, refused: Option<ErrorCode>) -> bool {
        match (self, refused) {
            (_, None) => true,
            (Self::Exist, Some(ErrorCode::NoNode)) => true,
            (_, Some(_)) => false,
        }
    }

    /// Whether it fires once and is gone.
    pub(crate) const fn is_once(self) -> bool {
        matches!(self, Self::Data | Self::Exist | Self::Child)
    }
}

/// What a watcher hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Event {
        event: EventType,
        path: Arc<str>,
        zxid: Option<Zxid>,
    },
    Gap {
        since: Zxid,
    },
    Lost,
}

/// A change of a node, as its watcher hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventType,
    /// To which node, as this client sees paths.
    pub path: String,
    /// The transaction that did it. Servers tell it from 3.9 on, and not for what a one-shot watch missed while
    /// there was no connection.
    pub zxid: Option<Zxid>,
}

/// What a lasting watch yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchItem {
    /// Something happened.
    Event(Event),
    /// Anything may have happened since this zxid: the connection was lost meanwhile, or the watcher did not
    /// keep up. Look at the nodes again; what comes after this is complete again.
    Gap {
        /// Everything up to here was told.
        since: Zxid,
    },
    /// The session is over and the watch with it; the stream ends here.
    Lost,
}
