//! One type per kind of number, so that a session id is never mistaken for a zxid.

use std::fmt;

/// A transaction id: the epoch of the leader that proposed it and a counter inside that epoch.
///
/// Ordered as Java orders it, as a signed 64-bit number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(i64);

impl Zxid {
    /// Before every transaction.
    pub const ZERO: Self = Self(0);
    /// What Java writes where there is no zxid to tell.
    pub const NONE: Self = Self(-1);

    /// Reads the number found on the wire or on disk.
    pub const fn from_wire(raw: i64) -> Self {
        Self(raw)
    }

    /// The number for the wire and the disk.
    pub const fn to_wire(self) -> i64 {
        self.0
    }

    /// The first zxid of an epoch; it names the epoch and no transaction.
    pub const fn first_of(epoch: Epoch) -> Self {
        Self((epoch.0 as i64) << 32)
    }

    /// The epoch in the upper half.
    #[expect(clippy::cast_sign_loss, reason = "the upper 32 bits")]
    pub const fn epoch(self) -> Epoch {
        Epoch((self.0 >> 32) as u32)
    }

    /// The counter in the lower half.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the lower 32 bits"
    )]
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The next zxid of the same epoch, or `None` when the counter is spent and a new epoch must begin (P33).
    pub const fn next(self) -> Option<Self> {
        if self.counter() >= 0xffff_fffe {
            None
        } else {
            Some(Self(self.0 + 1))
        }
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch().0, self.counter())
    }
}

impl fmt::LowerHex for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

/// A leader's term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u32);

impl Epoch {
    /// An epoch by its number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A member of an ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(i64);

impl ServerId {
    /// A server by the number in its `myid` file.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A client session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(i64);

impl SessionId {
    /// The id of no session: a client that asks for a new one, or a transaction made by the server.
    pub const NONE: Self = Self(0);

    /// Reads the number found on the wire or on disk.
    pub const fn from_wire(raw: i64) -> Self {
        Self(raw)
    }

    /// The number for the wire and the disk.
    pub const fn to_wire(self) -> i64 {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A client's number for a request, echoed in its reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(pub i32);

impl Xid {
    /// Marks a watch event.
    pub const NOTIFICATION: Self = Self(-1);
    /// Marks a ping and its reply.
    pub const PING: Self = Self(-2);
    /// Marks an auth packet and its reply.
    pub const AUTH: Self = Self(-4);
    /// Marks the re-registration of watches after a reconnect.
    pub const SET_WATCHES: Self = Self(-8);
    /// Marks what the server asks of itself.
    pub const INTERNAL: Self = Self(0);
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The version of a node's data, children or ACL. Arithmetic wraps, as Java's does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub i32);

impl Version {
    /// Reads an expected version: the wire's `-1` asks for any.
    pub const fn expected(raw: i32) -> Option<Self> {
        if raw == -1 { None } else { Some(Self(raw)) }
    }

    /// The version after this one.
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zxid_is_its_epoch_and_counter() {
        let zxid = Zxid::from_wire(0x5_0000_0011);
        assert_eq!((zxid.epoch(), zxid.counter()), (Epoch::new(5), 17));
        assert_eq!(zxid.to_string(), "5.17");
        assert_eq!(
            Zxid::first_of(Epoch::new(5)).next(),
            Some(Zxid::from_wire(0x5_0000_0001))
        );
    }

    #[test]
    fn a_spent_counter_has_no_successor() {
        assert_eq!(
            Zxid::from_wire(0x1_ffff_fffd).next(),
            Some(Zxid::from_wire(0x1_ffff_fffe))
        );
        assert_eq!(Zxid::from_wire(0x1_ffff_fffe).next(), None);
        assert_eq!(Zxid::from_wire(0x1_ffff_ffff).next(), None);
    }
}
