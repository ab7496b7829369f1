//! What may happen to the agreement core.

use bytes::Bytes;
use std::fmt;
use zk_proto::Zxid;

/// An event.
#[derive(Clone, Debug)]
pub enum Input {
    /// The tree has turned a request into a transaction; its payload names [`crate::Zab::next_zxid`].
    Propose {
        /// The transaction, as it will stand in every log.
        payload: Bytes,
    },
    /// The log holds every transaction up to this one, durably.
    Persisted {
        /// The last one that is durable.
        through: Zxid,
    },
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Propose { payload } => write!(f, "propose {} bytes", payload.len()),
            Self::Persisted { through } => write!(f, "persisted through {through}"),
        }
    }
}
