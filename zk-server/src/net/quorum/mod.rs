//! The connections to the other members on the quorum ports: a learner's to its leader, a leader's to all
//! its learners. Bytes become messages here and messages bytes; what they mean is the agreement's business.
//!
//! ```text
//!            dial, accept                      one task each
//!   Peers ────────────────► reader ──Received──► the loop ──send──► outbox ──► writer ──► socket
//!                             │ behind a SNAP
//!                             └──► loading thread ──SnapshotLoaded──► the loop
//! ```
//!
//! The reader never waits for the writer (ZOOKEEPER-4074), nobody waits for a close (ZOOKEEPER-3774), and
//! what waits on either way is bounded in bytes: a peer that takes in less than is said to it is cut off and
//! comes again (P31). Every connection has a number of its own, never used twice, so that a late word on an
//! old one cannot be taken for news.

mod dial;
mod link;
mod loading;
mod outbox;
mod peers;
mod reading;

pub(crate) use peers::Peers;

use outbox::Outbox;

use crate::disk::stretch::Stretch;
use crate::tree::Tree;
use std::sync::Arc;
use zk_proto::{ServerId, Zxid};
use zk_zab::{LinkId, Message};

/// What happens on the quorum ports, as the loop hears of it.
pub(crate) enum PeerEvent {
    /// Somebody has dialled this server, which leads.
    Accepted { link: NewLink },
    /// This server has reached its leader.
    Dialled { to: ServerId, link: NewLink },
    /// It has not.
    DialFailed { to: ServerId },
    /// Messages have come, in this order. The credit is given back when they have been handled.
    Received {
        link: LinkId,
        messages: Vec<Message>,
        credit: link::Credit,
    },
    /// A leader's snapshot is in memory.
    SnapshotLoaded {
        link: LinkId,
        zxid: Zxid,
        tree: Box<Tree>,
    },
    /// It never will be.
    SnapshotLost { link: LinkId },
    /// The logs have been looked at for a learner: what it misses, if they hold it.
    LogSought {
        link: LinkId,
        stretch: Option<Box<Stretch>>,
    },
    /// All of that waits to be written to it.
    LogSent { link: LinkId },
    /// It could not be read: the learner must come again.
    LogLost { link: LinkId },
    /// A connection has ended.
    Closed { link: LinkId },
}

/// A connection that has just been made.
pub(crate) struct NewLink {
    pub(crate) id: LinkId,
    pub(crate) handle: link::Handle,
}

/// Where the tasks leave what they have to say.
pub(crate) type Report = Arc<dyn Fn(PeerEvent) + Send + Sync>;
