//! The two epochs of a member, as its disk holds them, and their order of persistence (O1 to O4).
//!
//! ```text
//!   learner   LEADERINFO ─► accepted durable ─► ACKEPOCH;   history durable ─► current durable ─► ACK
//!   leader    quorum of FOLLOWERINFO ─► accepted durable ─► LEADERINFO
//!             quorum of ACKEPOCH, own history durable ─► current durable ─► counts itself
//! ```
//! What is in memory changes only when the disk has answered, so nothing can be said too early (S28).

use crate::Effect;
use zk_proto::Epoch;

/// The epochs a member has promised and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epochs {
    /// The highest epoch promised: no older leader is followed any more.
    pub accepted: Epoch,
    /// The epoch of the history: who led when it was last synchronised.
    pub current: Epoch,
}

/// The epochs, and what is on its way to the disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Promises {
    durable: Epochs,
    accepting: Option<Epoch>,
    adopting: Option<Epoch>,
}

impl Promises {
    pub(crate) const fn new(durable: Epochs) -> Self {
        Self {
            durable,
            accepting: None,
            adopting: None,
        }
    }

    pub(crate) const fn accepted(&self) -> Epoch {
        self.durable.accepted
    }

    pub(crate) const fn current(&self) -> Epoch {
        self.durable.current
    }

    /// Whether nothing is on its way to the disk.
    pub(crate) const fn is_settled(&self) -> bool {
        self.accepting.is_none() && self.adopting.is_none()
    }

    pub(crate) fn accept(&mut self, epoch: Epoch, out: &mut Vec<Effect>) {
        assert!(epoch > self.durable.accepted, "a promise only grows (I2)");
        assert!(self.is_settled(), "one promise at a time");
        self.accepting = Some(epoch);
        out.push(Effect::PersistAccepted { epoch });
    }

    pub(crate) fn adopt(&mut self, epoch: Epoch, out: &mut Vec<Effect>) {
        assert!(epoch > self.durable.current, "a history only grows (I2)");
        assert!(epoch <= self.durable.accepted, "promised before held (I2)");
        assert!(self.is_settled(), "one promise at a time");
        self.adopting = Some(epoch);
        out.push(Effect::PersistCurrent { epoch });
    }

    pub(crate) fn on_accepted(&mut self, epoch: Epoch) {
        assert_eq!(
            self.accepting,
            Some(epoch),
            "the disk answers what was asked"
        );
        self.accepting = None;
        self.durable.accepted = epoch;
    }

    pub(crate) fn on_adopted(&mut self, epoch: Epoch) {
        assert_eq!(
            self.adopting,
            Some(epoch),
            "the disk answers what was asked"
        );
        self.adopting = None;
        self.durable.current = epoch;
    }
}
