//! The order of transactions as a start reads it: from the snapshot on, each follows the one before.
//!
//! Pure. A gap is a lost write and a step back is a foreign file; neither is served (P25). What the
//! snapshot already holds is not held to that: a follower that was given a snapshot goes on in the log
//! it had, so older parts of a file may well have gaps.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use zk_proto::Zxid;

/// Where a replay stands.
#[derive(Clone, Copy, Debug)]
pub struct History {
    snapshot: Zxid,
    last: Zxid,
}

/// What a transaction is to the replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The snapshot holds it.
    Held,
    /// It is the next one.
    Next,
    /// Others are missing before it.
    Gap,
    /// It, or a later one, was there before.
    Back,
}

impl History {
    /// Begins after a snapshot.
    pub const fn after(snapshot: Zxid) -> Self {
        Self {
            snapshot,
            last: snapshot,
        }
    }

    /// The last transaction, in the snapshot or replayed.
    pub const fn last(&self) -> Zxid {
        self.last
    }

    /// Places the next transaction found, and counts it if it is the next one.
    pub fn place(&mut self, zxid: Zxid) -> Place {
        if zxid <= self.snapshot && self.last == self.snapshot {
            return Place::Held;
        }
        if zxid <= self.last {
            return Place::Back;
        }
        if !follows(self.last, zxid) {
            return Place::Gap;
        }
        self.last = zxid;
        Place::Next
    }
}

/// Whether nothing can have been between two transactions: the next counter, or the first of a later
/// epoch. (A standalone Java server runs over into the next epoch at counter 0.)
pub fn follows(last: Zxid, next: Zxid) -> bool {
    last.to_wire().checked_add(1) == Some(next.to_wire())
        || (next.epoch() > last.epoch() && next.counter() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transaction_follows_the_one_before() {
        let z = Zxid::from_wire;
        let mut history = History::after(z(0x1_0000_0005));
        assert_eq!(history.place(z(0x1_0000_0002)), Place::Held);
        assert_eq!(history.place(z(0x1_0000_0005)), Place::Held);
        assert_eq!(history.place(z(0x1_0000_0007)), Place::Gap);
        assert_eq!(history.place(z(0x1_0000_0006)), Place::Next);
        assert_eq!(history.place(z(0x1_0000_0005)), Place::Back);
        assert_eq!(history.place(z(0x1_0000_0006)), Place::Back);
        assert_eq!(history.place(z(0x3_0000_0002)), Place::Gap);
        assert_eq!(history.place(z(0x3_0000_0001)), Place::Next);
        assert_eq!(history.last(), z(0x3_0000_0001));
    }

    #[test]
    fn a_standalone_java_server_runs_over_into_the_next_epoch() {
        assert!(follows(
            Zxid::from_wire(0xffff_ffff),
            Zxid::from_wire(0x1_0000_0000)
        ));
        assert!(!follows(
            Zxid::from_wire(0xffff_fffe),
            Zxid::from_wire(0x1_0000_0000)
        ));
    }
}
