//! What the agreement core wants done.

use bytes::Bytes;
use std::fmt;
use zk_proto::Zxid;

/// A consequence. Effects are carried out in the order in which they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this transaction to the log; answer with [`crate::Input::Persisted`] when it is durable.
    Append {
        /// Its place.
        zxid: Zxid,
        /// Its bytes.
        payload: Bytes,
    },
    /// Apply every transaction up to this one: they stand.
    Deliver {
        /// The last one.
        through: Zxid,
    },
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append { zxid, payload } => write!(f, "append {zxid} ({} bytes)", payload.len()),
            Self::Deliver { through } => write!(f, "deliver through {through}"),
        }
    }
}
