//! The client's time: a point in it, and the clock that makes points.
//!
//! [`Time`] is an argument of everything that decides; only the driver asks a [`Clock`] for one. The clock is
//! monotonic and counts the time a machine spends suspended (`CLOCK_BOOTTIME`), because a server's does: a
//! laptop that slept for a minute, or a virtual machine that was frozen, must not believe that its session is
//! as young as before. `std::time::Instant` stands still there, and so do the timers of a runtime: whoever is
//! woken by one asks this clock what time it is before believing anything.

use std::time::Duration;

pub use zk_proto::Time;

/// Tells the time to a driver, from its own beginning on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Duration,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self {
            origin: system_time(),
        }
    }

    /// The time.
    pub fn now(&self) -> Time {
        Time::since_start(system_time().saturating_sub(self.origin))
    }

    /// How long to wait for a point in time; zero if it has passed. A wait that spans a suspend ends late, as
    /// the runtime's timers stand still meanwhile.
    pub fn until(&self, time: Time) -> Duration {
        time.saturating_since(self.now())
    }
}

/// Time since the machine started, or something else that only grows.
fn system_time() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    // Darwin's monotonic clock counts sleep; where another system's does not, there is no better one.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(CLOCK);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_agrees_with_what_the_kernel_calls_uptime() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let ours = system_time().as_secs_f64();
        assert!(
            (0.0..60.0).contains(&(ours - seconds + 0.01)),
            "{ours} {seconds}"
        );
    }

    #[test]
    fn time_starts_at_zero_and_only_grows() {
        let clock = Clock::start();
        let (first, second) = (clock.now(), clock.now());
        assert!(first <= second && second.elapsed() < Duration::from_secs(60));
        assert_eq!(clock.until(Time::default()), Duration::ZERO);
        assert!(clock.until(second + Duration::from_secs(1000)) > Duration::from_secs(900));
        assert_eq!(
            first.saturating_since(second + Duration::from_secs(1)),
            Duration::ZERO
        );
    }
}
