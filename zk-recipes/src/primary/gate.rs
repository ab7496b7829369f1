//! The door that a service's writes go through: open only while its member is certainly the primary. Looking at it
//! neither waits nor locks, and nobody has to be told for it to close: it closes when its time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;
use zk_client::clock::{Clock, Time};

/// Whether this member may write; from [`Failover::gate`](crate::Failover::gate). Clones are the same gate.
///
/// A write asks for a [`Pass`], takes effect, and finishes the pass before it is acknowledged: what was begun before
/// the gate closed and would end after it is so never acknowledged. Stores that can compare the
/// [`epoch`](Pass::epoch) should do that as well: a process may be paused between any two steps.
#[derive(Clone, Debug)]
pub struct Gate {
    door: Arc<Door>,
}

#[derive(Debug)]
struct Door {
    clock: Clock,
    /// Nanoseconds by the clock; zero while it is shut.
    until: AtomicU64,
    epoch: AtomicU64,
    /// Whether new writes are let in. Those inside may come to their end when no more are.
    admits: AtomicBool,
    inside: AtomicUsize,
    emptied: Notify,
}

/// The gate was shut before the write came to its end. It may have taken effect, and must not be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this member is not certainly the primary any more")]
pub struct Shut;

impl Gate {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            door: Arc::new(Door {
                clock,
                until: AtomicU64::new(0),
                epoch: AtomicU64::new(0),
                admits: AtomicBool::new(false),
                inside: AtomicUsize::new(0),
                emptied: Notify::new(),
            }),
        }
    }

    /// Whether writes are let in at this moment.
    pub fn is_open(&self) -> bool {
        self.door.admits.load(Ordering::SeqCst) && self.door.is_in_time()
    }

    /// The term of office, while it lasts.
    pub fn epoch(&self) -> Option<u64> {
        self.is_open()
            .then(|| self.door.epoch.load(Ordering::SeqCst))
    }

    /// Lets a write in; `None` while the gate is closed.
    pub fn enter(&self) -> Option<Pass> {
        // First counted, then looked: whoever closes the gate and finds nobody inside is right.
        self.door.inside.fetch_add(1, Ordering::SeqCst);
        let pass = Pass {
            door: Arc::clone(&self.door),
            epoch: self.door.epoch.load(Ordering::SeqCst),
        };
        self.is_open().then_some(pass)
    }

    /// Opens for a term, up to a point in time.
    pub(super) fn open(&self, epoch: u64, until: Time) {
        self.shut();
        self.door.epoch.store(epoch, Ordering::SeqCst);
        self.extend(until);
        self.door.admits.store(true, Ordering::SeqCst);
    }

    /// The time is over later.
    pub(super) fn extend(&self, until: Time) {
        let nanos = nanos(until);
        self.door.until.fetch_max(nanos, Ordering::SeqCst);
    }

    /// Closes for everybody, those inside too.
    pub(super) fn shut(&self) {
        self.door.admits.store(false, Ordering::SeqCst);
        self.door.until.store(0, Ordering::SeqCst);
    }

    /// Lets nobody in any more, and waits until those inside have come to their end.
    pub(super) async fn drain(&self) {
        self.door.admits.store(false, Ordering::SeqCst);
        loop {
            let emptied = self.door.emptied.notified();
            if self.door.inside.load(Ordering::SeqCst) == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl Door {
    fn is_in_time(&self) -> bool {
        let until = self.until.load(Ordering::SeqCst);
        until > 0 && nanos(self.clock.now()) < until
    }
}

fn nanos(time: Time) -> u64 {
    u64::try_from(time.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A write that was let in. Dropping it without an end means that it is not acknowledged.
#[must_use = "the gate waits for those inside"]
#[derive(Debug)]
pub struct Pass {
    door: Arc<Door>,
    epoch: u64,
}

impl Pass {
    /// The term in which the write takes place: for stores that refuse writes of earlier terms.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the write would be acknowledged at this moment.
    pub fn is_valid(&self) -> bool {
        // In this order: the other way round, the time might be that of the next term already.
        let in_time = self.door.is_in_time();
        in_time && self.door.epoch.load(Ordering::SeqCst) == self.epoch
    }

    /// Asks whether the write may be acknowledged: to be called when it has taken effect.
    ///
    /// # Errors
    ///
    /// [`Shut`] if it may not.
    pub fn finish(self) -> Result<u64, Shut> {
        if self.is_valid() {
            Ok(self.epoch)
        } else {
            Err(Shut)
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.door.inside.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.door.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn gate() -> (Gate, Clock) {
        let clock = Clock::start();
        (Gate::new(clock), clock)
    }

    const LONG: Duration = Duration::from_secs(1000);

    #[test]
    fn a_gate_closes_when_its_time_is_over_without_being_told() {
        let (gate, clock) = gate();
        assert!(!gate.is_open() && gate.enter().is_none());
        gate.open(1, clock.now() + Duration::from_millis(20));
        let pass = gate.enter().unwrap();
        assert_eq!((gate.epoch(), pass.epoch()), (Some(1), 1));
        while gate.is_open() {
            std::thread::yield_now();
        }
        assert_eq!(pass.finish(), Err(Shut));
        gate.extend(clock.now() + LONG);
        assert!(gate.is_open(), "it was only late");
        gate.shut();
        assert!(gate.epoch().is_none());
    }

    #[test]
    fn a_pass_of_an_earlier_term_is_of_no_use_in_the_next() {
        let (gate, clock) = gate();
        gate.open(1, clock.now() + LONG);
        let (early, fine) = (gate.enter().unwrap(), gate.enter().unwrap());
        assert_eq!(fine.finish(), Ok(1));
        gate.open(2, clock.now() + LONG);
        assert_eq!(early.finish(), Err(Shut));
        assert_eq!(gate.enter().unwrap().finish(), Ok(2));
    }

    #[tokio::test]
    async fn those_inside_end_while_nobody_is_let_in() {
        let (gate, clock) = gate();
        gate.open(3, clock.now() + LONG);
        let pass = gate.enter().unwrap();
        let mut draining = Box::pin(gate.drain());
        let now = tokio::time::timeout(Duration::ZERO, draining.as_mut()).await;
        assert!(now.is_err() && gate.enter().is_none());
        assert_eq!(pass.finish(), Ok(3));
        draining.await;
    }
}
