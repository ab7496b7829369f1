//! Why bytes from a peer are not what they should be. The link they came on must close.

use std::error::Error;
use std::fmt;
use zk_proto::{DecodeError, Zxid};

/// What is wrong with a peer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// They end too early, or declare an unreasonable length.
    Malformed(DecodeError),
    /// A packet of no known type.
    UnknownType(i32),
    /// A field has a value that its meaning excludes.
    Field {
        /// Which one.
        what: &'static str,
        /// Its value.
        found: i64,
    },
    /// A transaction's header names another place than the packet around it.
    Misplaced {
        /// As the packet says.
        packet: Zxid,
        /// As the transaction says.
        header: Zxid,
    },
    /// A field that is there in every packet of this type is missing.
    Missing(&'static str),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::UnknownType(number) => write!(f, "a packet of the unknown type {number}"),
            Self::Field { what, found } => write!(f, "{what} cannot be {found}"),
            Self::Misplaced { packet, header } => {
                write!(f, "a packet for {packet} carries the transaction {header}")
            }
            Self::Missing(what) => write!(f, "{what} is missing"),
        }
    }
}

impl Error for WireError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::UnknownType(_)
            | Self::Field { .. }
            | Self::Misplaced { .. }
            | Self::Missing(_) => None,
        }
    }
}

impl From<DecodeError> for WireError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}
