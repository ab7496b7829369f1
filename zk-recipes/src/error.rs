//! What a recipe may fail with, and why something that was held is held no more.

use zk_client::{ErrorKind, State};

/// Why a hold (a lock, a leadership, a lease) is over before its owner gave it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The session has ended, and the node with it.
    SessionEnded,
    /// Somebody deleted the node.
    Deleted,
    /// The connection was lost, and whoever holds wanted to hear of it at once
    /// ([`OnSuspension::LetGoAtOnce`](crate::OnSuspension)).
    Suspended,
    /// Nobody confirmed the session in time: from here on the servers may have given the hold to another.
    Unconfirmed,
    /// It was given up.
    Released,
}

/// A recipe's failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call failed.
    #[error(transparent)]
    Client(#[from] zk_client::Error),
    /// The directory has a contender of another naming scheme, which would not see ours: neither would keep the
    /// other out. See [`Naming`](crate::Naming).
    #[error("{directory} has contenders of another scheme, such as {name}")]
    ForeignContenders {
        /// The directory.
        directory: String,
        /// One of them.
        name: String,
    },
    /// What was held is not held any more, for this reason. Nothing was written.
    #[error("the hold is lost: {0:?}")]
    Lost(Loss),
    /// The call makes no sense, whatever the servers' state.
    #[error("{0}")]
    Usage(&'static str),
}

/// Whether the same step may succeed later, in this session or, if the client opens new ones, in the next. It is
/// asked only where repeating is harmless: reads, deletes of a node's unique name, protected creates.
pub(crate) fn may_try_again(client: &zk_client::Client, error: &zk_client::Error) -> bool {
    let renewed = matches!(error.kind(), ErrorKind::SessionExpired { .. });
    (error.is_retryable() || renewed) && client.state() != State::Closed
}
