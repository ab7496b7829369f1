//! What the agreement core wants done.

use crate::{Departure, LinkId, Message, Notification, Touch};
use bytes::Bytes;
use std::fmt;
use zk_proto::{Epoch, ServerId, Zxid};

/// A consequence. Effects are carried out in the order in which they come; those for the log (append,
/// truncate) take effect in that order too, and those for one link leave on it in that order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this transaction to the log; answer with [`crate::Input::Persisted`] when it is durable.
    Append {
        /// Its place.
        zxid: Zxid,
        /// Its bytes.
        payload: Bytes,
    },
    /// Apply every transaction up to this one: they stand, and the log holds them.
    Deliver {
        /// The last one.
        through: Zxid,
    },
    /// Apply every transaction of the log up to this one, as after a restart: nobody is served, and what
    /// is applied may be cut off again.
    Replay {
        /// The last one.
        through: Zxid,
    },
    /// Write the promise of an epoch; answer with [`crate::Input::AcceptedPersisted`].
    PersistAccepted {
        /// The epoch.
        epoch: Epoch,
    },
    /// Write the epoch of the history; answer with [`crate::Input::CurrentPersisted`].
    PersistCurrent {
        /// The epoch.
        epoch: Epoch,
    },
    /// Cut off everything behind this transaction: of the log, of what is appended and not written yet,
    /// of what waits to be delivered, of the tree, and every snapshot that may hold more. Answer with
    /// [`crate::Input::Truncated`] or [`crate::Input::TruncateFailed`].
    Truncate {
        /// The last one to keep.
        to: Zxid,
    },
    /// Write a message to a connection. The driver bounds what waits there in bytes, and closes the
    /// connection beyond (P31).
    Send {
        /// The connection.
        link: LinkId,
        /// The message.
        message: Message,
    },
    /// Connect to the quorum port of a member, its name resolved anew; answer with
    /// [`crate::Input::Dialled`] or [`crate::Input::DialFailed`].
    Dial {
        /// Whom.
        to: ServerId,
    },
    /// Close a connection once what was sent has left, but wait for nobody.
    Close {
        /// Which one.
        link: LinkId,
        /// Why.
        because: Departure,
    },
    /// Freeze the tree as it is now, and write it to a link; answer with [`crate::Input::SnapshotSent`],
    /// or [`crate::Input::Closed`].
    SendSnapshot {
        /// The link.
        link: LinkId,
        /// What the learner was told the snapshot is.
        zxid: Zxid,
    },
    /// What comes next on this link is a snapshot. How long it may stay away is the driver's to judge, who
    /// sees it come in. Always answered, also when the link closes: with
    /// [`crate::Input::SnapshotReceived`] or [`crate::Input::SnapshotAbandoned`]. It replaces the log,
    /// and what waits to be delivered.
    ReceiveSnapshot {
        /// The link.
        link: LinkId,
        /// What the leader says it is.
        zxid: Zxid,
    },
    /// Look whether the log on disk holds `after` and everything from there up to `through`, and whether
    /// reading that is cheaper than a snapshot; answer with [`crate::Input::LogSought`].
    SeekLog {
        /// For whose link.
        link: LinkId,
        /// The last transaction the learner has.
        after: Zxid,
        /// The last one memory does not hold.
        through: Zxid,
    },
    /// Write a proposal and a commit for each transaction behind `after` up to `through`, from the log on
    /// disk; answer with [`crate::Input::LogSent`], or [`crate::Input::Closed`].
    SendLog {
        /// The link.
        link: LinkId,
        /// The last transaction the learner has.
        after: Zxid,
        /// The last one to send.
        through: Zxid,
    },
    /// Tell a member's election port. What was to be told before and has not left yet is out of date.
    Notify {
        /// Whom.
        to: ServerId,
        /// What.
        notification: Notification,
    },
    /// What this server does has changed. Whoever serves clients stops; a new leader opens its quorum
    /// port, an old one closes it.
    Become(Standing),
    /// Clients may be served.
    Serve {
        /// In which epoch.
        epoch: Epoch,
    },
    /// A learner asks for something that is not the agreement's business: a request, or whether a session
    /// lives. The answer goes to its link.
    Asked {
        /// The link.
        link: LinkId,
        /// Whose it is.
        from: ServerId,
        /// The question.
        message: Message,
    },
    /// The leader has answered: a session's standing, or a sync.
    Answered {
        /// The answer.
        message: Message,
    },
    /// These sessions were heard of by a learner.
    Touched {
        /// The learner's link.
        link: LinkId,
        /// The sessions.
        touched: Vec<Touch>,
    },
    /// The leader asks whether this server is there: answer with [`Message::Pong`], and with the sessions
    /// heard of since the last time.
    Pong {
        /// The link.
        link: LinkId,
        /// What to repeat.
        zxid: Zxid,
    },
    /// When [`crate::Input::Confirm`] came, this server still led.
    Confirmed {
        /// As asked.
        ticket: u64,
    },
    /// This server has left, as [`crate::Input::Resign`] wanted.
    Resigned,
    /// Nothing more can be done here: the process must end, and say why.
    Halt(Departure),
}

/// What a server does in its ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It looks for a leader, for this reason.
    Looking(Departure),
    /// It leads, or tries to.
    Leading,
    /// It follows that leader, or tries to.
    Following(ServerId),
    /// It observes that leader, or tries to.
    Observing(ServerId),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Looking(because) => write!(f, "looking: {because}"),
            Self::Leading => f.write_str("leading"),
            Self::Following(leader) => write!(f, "following {leader}"),
            Self::Observing(leader) => write!(f, "observing {leader}"),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append { zxid, payload } => write!(f, "append {zxid} ({} bytes)", payload.len()),
            Self::Deliver { through } => write!(f, "deliver through {through}"),
            Self::Replay { through } => write!(f, "replay through {through}"),
            Self::PersistAccepted { epoch } => write!(f, "persist accepted epoch {epoch}"),
            Self::PersistCurrent { epoch } => write!(f, "persist current epoch {epoch}"),
            Self::Truncate { to } => write!(f, "truncate to {to}"),
            Self::Send { link, message } => write!(f, "{link} send {message}"),
            Self::Dial { to } => write!(f, "dial {to}"),
            Self::Close { link, because } => write!(f, "{link} close: {because}"),
            Self::SendSnapshot { link, zxid } => write!(f, "{link} send snapshot {zxid}"),
            Self::ReceiveSnapshot { link, zxid } => write!(f, "{link} receive snapshot {zxid}"),
            Self::SeekLog {
                link,
                after,
                through,
            } => write!(f, "{link} seek log {after}..{through}"),
            Self::SendLog {
                link,
                after,
                through,
            } => write!(f, "{link} send log {after}..{through}"),
            Self::Notify { to, notification } => write!(f, "tell {to}: {notification}"),
            Self::Become(standing) => write!(f, "become {standing}"),
            Self::Serve { epoch } => write!(f, "serve epoch {epoch}"),
            Self::Asked {
                link,
                from,
                message,
            } => write!(f, "{link} {from} asks {message}"),
            Self::Answered { message } => write!(f, "answered {message}"),
            Self::Touched { link, touched } => {
                write!(f, "{link} touched {} sessions", touched.len())
            }
            Self::Pong { link, zxid } => write!(f, "{link} pong {zxid}"),
            Self::Confirmed { ticket } => write!(f, "confirmed {ticket}"),
            Self::Resigned => f.write_str("resigned"),
            Self::Halt(because) => write!(f, "halt: {because}"),
        }
    }
}
