//! The clocks of one server. Only the loop and the connections look at them; everything that decides is
//! told the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use zk_zab::Time;

/// A monotonic clock that began with the server, beside the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Monotonic: for everything that waits.
    pub(crate) fn now(&self) -> Time {
        Time::since_start(self.start.elapsed())
    }

    /// The point in tokio's time that corresponds to a point in ours.
    pub(crate) fn instant(&self, time: Time) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + time.elapsed())
    }

    /// Wall-clock milliseconds: for what a node says of itself, and for nothing else (P30).
    pub(crate) fn wall_millis(&self) -> i64 {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }
}
