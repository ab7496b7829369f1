//! Room on the disk. What is free above the headroom is there to be spent by whoever writes; it is counted anew
//! every second, and as soon as half of it is spent. So nobody, however fast, gets below the headroom between
//! two looks, and a nearly full disk is met by a refusal and a purge long before it is met by the log.
//!
//! Here is the account; who looks at the disk, and what is refused, is decided elsewhere.

use crate::disk::files::Space;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// How much is written at least between two looks.
const STEP: u64 = 64 << 10;

/// The account. Bytes are counted from the start on.
#[derive(Debug)]
pub(crate) struct Room {
    low: AtomicBool,
    /// What the log was given.
    written: AtomicU64,
    /// What of that it has made durable, and thereby taken from the disk.
    durable: AtomicU64,
    /// How much may be written in all.
    enough: AtomicU64,
    /// When to look again.
    half: AtomicU64,
    look: Notify,
}

impl Default for Room {
    /// Without an end, until somebody looks.
    fn default() -> Self {
        Self {
            low: AtomicBool::new(false),
            written: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            enough: AtomicU64::new(u64::MAX),
            half: AtomicU64::new(u64::MAX),
            look: Notify::new(),
        }
    }
}

impl Room {
    /// Whether only what makes room may be written.
    pub(crate) fn is_low(&self) -> bool {
        let spent = || self.written.load(Ordering::Relaxed) > self.enough.load(Ordering::Relaxed);
        self.low.load(Ordering::Relaxed) || spent()
    }

    /// So much is about to be written.
    pub(crate) fn spend(&self, bytes: u64) {
        let written = self.written.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if written >= self.half.load(Ordering::Relaxed) {
            self.half.store(u64::MAX, Ordering::Relaxed);
            self.look.notify_one();
        }
    }

    /// So much of it is on the disk.
    pub(crate) fn persisted(&self, bytes: u64) {
        self.durable.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What is on the disk. To be asked before the disk is: what comes later may not show in its answer.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Relaxed)
    }

    /// What a look at the disk found, beside what was durable before it. Returns whether the room is low now,
    /// and whether it was.
    pub(crate) fn found(&self, space: Space, wanted: u64, durable: u64) -> (bool, bool) {
        let left = space.free.saturating_sub(wanted);
        let (enough, written) = (durable + left, self.written.load(Ordering::Relaxed));
        self.enough.store(enough, Ordering::Relaxed);
        let half = written + (enough.saturating_sub(written) / 2).max(STEP);
        self.half.store(half, Ordering::Relaxed);
        let low = space.free < wanted;
        (low, self.low.swap(low, Ordering::Relaxed))
    }

    /// Ends when it is time to look again.
    pub(crate) async fn half_spent(&self) {
        self.look.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    const fn space(free: u64) -> Space {
        Space {
            free,
            total: 100 * MIB,
        }
    }

    #[test]
    fn what_is_above_the_headroom_can_be_spent_and_no_more() {
        let room = Room::default();
        room.spend(1000 * MIB);
        assert!(!room.is_low(), "nobody has looked");
        room.persisted(1000 * MIB);
        let durable = room.durable();
        assert_eq!(
            room.found(space(10 * MIB), 8 * MIB, durable),
            (false, false)
        );
        room.spend(2 * MIB);
        assert!(!room.is_low());
        room.spend(1);
        assert!(room.is_low(), "though nobody has looked again");
        // It was less on the disk than was feared: room had been reserved before.
        room.persisted(2 * MIB + 1);
        let durable = room.durable();
        assert_eq!(room.found(space(9 * MIB), 8 * MIB, durable), (false, false));
        assert!(!room.is_low());
        assert_eq!(room.found(space(7 * MIB), 8 * MIB, durable), (true, false));
        assert!(room.is_low());
        assert_eq!(room.found(space(8 * MIB), 8 * MIB, durable), (false, true));
    }

    #[test]
    fn what_waits_for_the_log_counts_as_written() {
        let room = Room::default();
        room.spend(3 * MIB);
        let durable = room.durable();
        room.found(space(10 * MIB), 8 * MIB, durable);
        assert!(room.is_low(), "three are on their way where two fit");
        room.persisted(3 * MIB);
        room.found(space(10 * MIB), 8 * MIB, room.durable());
        assert!(!room.is_low());
    }

    #[tokio::test]
    async fn a_look_is_due_when_half_is_spent() {
        let room = Room::default();
        room.found(space(10 * MIB), 8 * MIB, 0);
        let due = || async {
            tokio::select! { biased; () = room.half_spent() => true, () = std::future::ready(()) => false }
        };
        room.spend(MIB - 1);
        assert!(!due().await);
        room.spend(1);
        assert!(due().await);
        room.spend(MIB);
        assert!(!due().await, "once is enough");
    }
}
