//! What may happen to the agreement core.

use crate::{LinkId, Message, Notification};
use bytes::Bytes;
use std::fmt;
use zk_proto::{Epoch, ServerId, Zxid};

/// An event.
#[derive(Clone, Debug)]
pub enum Input {
    /// Nothing happened until the deadline.
    Timeout,
    /// The tree has turned a request into a transaction; its payload names [`crate::Zab::next_zxid`].
    Propose {
        /// The transaction, as it will stand in every log.
        payload: Bytes,
    },
    /// The log holds every transaction up to this one, durably. After [`Input::Truncated`] or
    /// [`Input::SnapshotReceived`] this never speaks of what was in the log before.
    Persisted {
        /// The last one that is durable.
        through: Zxid,
    },
    /// The promise of an epoch is durable.
    AcceptedPersisted {
        /// The epoch.
        epoch: Epoch,
    },
    /// The epoch of the history is durable.
    CurrentPersisted {
        /// The epoch.
        epoch: Epoch,
    },
    /// The log ends with exactly this transaction, durably; so does the tree, and no newer snapshot is
    /// left (O5).
    Truncated {
        /// The last one kept.
        to: Zxid,
    },
    /// The log cannot be cut there: it has no such transaction, or there is no snapshot from before. The
    /// server must begin anew from what is on its disk, with [`crate::Settings::wants_snapshot`].
    TruncateFailed,
    /// Somebody has dialled the quorum port.
    Accepted {
        /// The connection.
        link: LinkId,
    },
    /// [`crate::Effect::Dial`] succeeded.
    Dialled {
        /// Who was dialled.
        to: ServerId,
        /// The connection.
        link: LinkId,
    },
    /// It did not.
    DialFailed {
        /// Who was dialled.
        to: ServerId,
    },
    /// A message has come.
    Received {
        /// On which connection.
        link: LinkId,
        /// The message.
        message: Message,
    },
    /// A connection is gone, or has sent nonsense.
    Closed {
        /// Which one.
        link: LinkId,
    },
    /// A snapshot has been written to a link; what is sent now comes behind it.
    SnapshotSent {
        /// The link.
        link: LinkId,
    },
    /// A snapshot has come in, is durable, and is the tree (O6). Nothing that came behind it on the link
    /// is told before.
    SnapshotReceived {
        /// The link.
        link: LinkId,
        /// What [`crate::Effect::ReceiveSnapshot`] named.
        zxid: Zxid,
    },
    /// It has not: tree, log and snapshots are what they were.
    SnapshotAbandoned {
        /// The link.
        link: LinkId,
    },
    /// The log on disk has been looked at for a learner.
    LogSought {
        /// The learner's link.
        link: LinkId,
        /// Whether it holds exactly what was asked for, and reading it is cheaper than a snapshot.
        found: bool,
    },
    /// What the log holds has been written to a link; what is sent now comes behind it.
    LogSent {
        /// The link.
        link: LinkId,
    },
    /// Somebody must know that this server still leads (P5).
    Confirm {
        /// Given back in [`crate::Effect::Confirmed`].
        ticket: u64,
    },
    /// The server is about to stop: hand over what is in flight, then leave.
    Resign,
    /// A word of the election has come.
    Notified {
        /// From whom.
        from: ServerId,
        /// The word.
        notification: Notification,
    },
    /// Nobody listens at a member's election port.
    Refused {
        /// Whose.
        by: ServerId,
    },
    /// An election was held by other means: this is whom to follow, right or wrong. A wrong leader costs
    /// time, never data, which simulations prove by naming the wrong one.
    Elected {
        /// Who shall lead.
        leader: ServerId,
    },
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Propose { payload } => write!(f, "propose {} bytes", payload.len()),
            Self::Persisted { through } => write!(f, "persisted through {through}"),
            Self::AcceptedPersisted { epoch } => write!(f, "accepted epoch {epoch} persisted"),
            Self::CurrentPersisted { epoch } => write!(f, "current epoch {epoch} persisted"),
            Self::Truncated { to } => write!(f, "truncated to {to}"),
            Self::TruncateFailed => f.write_str("truncate failed"),
            Self::Accepted { link } => write!(f, "{link} accepted"),
            Self::Dialled { to, link } => write!(f, "{link} dialled to {to}"),
            Self::DialFailed { to } => write!(f, "dialling {to} failed"),
            Self::Received { link, message } => write!(f, "{link} received {message}"),
            Self::Closed { link } => write!(f, "{link} closed"),
            Self::SnapshotSent { link } => write!(f, "{link} snapshot sent"),
            Self::SnapshotReceived { link, zxid } => write!(f, "{link} snapshot {zxid} received"),
            Self::SnapshotAbandoned { link } => write!(f, "{link} snapshot abandoned"),
            Self::LogSought { link, found } => {
                let word = if *found { "found" } else { "not found" };
                write!(f, "{link} log {word}")
            }
            Self::LogSent { link } => write!(f, "{link} log sent"),
            Self::Confirm { ticket } => write!(f, "confirm {ticket}"),
            Self::Resign => f.write_str("resign"),
            Self::Notified { from, notification } => write!(f, "{from} says {notification}"),
            Self::Refused { by } => write!(f, "{by} refuses"),
            Self::Elected { leader } => write!(f, "elected {leader}"),
        }
    }
}
