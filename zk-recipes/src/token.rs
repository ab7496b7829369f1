//! Fencing tokens: numbers by which a resource refuses those who held before (P18).

use std::fmt;
use zk_client::Zxid;

/// The transaction that created the holder's node. Whoever gets a lock later has a larger one, across failovers,
/// ended sessions and directories that were reaped and made anew; sequence numbers start again there.
///
/// The token protects what compares it: a resource remembers the largest it has seen and refuses smaller ones. Tokens
/// of two different locks say nothing about each other, and an ensemble that is rebuilt from an older backup
/// repeats some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Zxid);

impl Token {
    pub(crate) const fn new(czxid: Zxid) -> Self {
        Self(czxid)
    }

    /// The number, for a resource that compares it.
    pub const fn number(self) -> i64 {
        self.0.to_wire()
    }

    /// The transaction.
    pub const fn zxid(self) -> Zxid {
        self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
