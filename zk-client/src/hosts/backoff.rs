//! How long to leave a server alone that has just failed: longer each time, and never the same for two clients.
//!
//! The growth is the `backoff` crate's, which is no longer maintained (RUSTSEC-2025-0012), as is `instant` below
//! it (RUSTSEC-2024-0384). That is bearable for arithmetic that needs no maintenance, so long as nobody else
//! knows the crate: this file is all there is to replace. Its own jitter and its own look at the clock are not
//! used, since both would make a decision that cannot be repeated.

use super::Chance;
use ::backoff::ExponentialBackoff;
use ::backoff::backoff::Backoff as _;
use std::time::Duration;

/// How waiting times grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The longest wait after a first failure.
    pub first: Duration,
    /// The longest wait after any failure.
    pub longest: Duration,
    /// How much longer each is than the one before.
    pub factor: f64,
}

impl Default for Policy {
    /// A tenth of a second, twice as long after each failure, ten seconds at most.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(10),
            factor: 2.0,
        }
    }
}

/// The waiting times of one server.
#[derive(Debug)]
pub struct Backoff {
    growth: ExponentialBackoff,
}

impl Backoff {
    /// Before the first failure.
    pub fn new(policy: &Policy) -> Self {
        let mut growth = ExponentialBackoff {
            initial_interval: policy.first,
            max_interval: policy.longest,
            multiplier: policy.factor.max(1.0),
            randomization_factor: 0.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        growth.reset();
        Self { growth }
    }

    /// After a failure: between half of what it has grown to and all of it.
    pub fn after_failure(&mut self, chance: &mut Chance) -> Duration {
        let whole = self.growth.current_interval.min(self.growth.max_interval);
        let _grown = self.growth.next_backoff();
        let half = whole / 2;
        let spread = usize::try_from(half.as_micros()).unwrap_or(usize::MAX - 1);
        let extra = chance.below(spread + 1);
        half + Duration::from_micros(u64::try_from(extra).unwrap_or(0))
    }

    /// After success, or after long enough of it.
    pub fn forget(&mut self) {
        self.growth.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(seed: u64, count: usize) -> Vec<Duration> {
        let mut chance = Chance::seeded(seed);
        let mut backoff = Backoff::new(&Policy::default());
        (0..count)
            .map(|_| backoff.after_failure(&mut chance))
            .collect()
    }

    #[test]
    fn each_wait_lies_in_the_upper_half_of_what_it_may_be() {
        let mut longest = Duration::from_millis(100);
        for wait in waits(1, 20) {
            assert!(
                wait >= longest / 2 && wait <= longest,
                "{wait:?} {longest:?}"
            );
            longest = (longest * 2).min(Duration::from_secs(10));
        }
    }

    #[test]
    fn two_clients_do_not_come_back_together_but_a_seed_repeats_itself() {
        assert_eq!(waits(1, 20), waits(1, 20));
        assert_ne!(waits(1, 20), waits(2, 20));
    }

    #[test]
    fn success_starts_over() {
        let mut chance = Chance::seeded(1);
        let mut backoff = Backoff::new(&Policy::default());
        for _ in 0..10 {
            backoff.after_failure(&mut chance);
        }
        backoff.forget();
        assert!(backoff.after_failure(&mut chance) <= Duration::from_millis(100));
    }

    #[test]
    fn a_shrinking_policy_does_not_shrink() {
        let mut chance = Chance::seeded(1);
        let mut backoff = Backoff::new(&Policy {
            factor: 0.1,
            ..Policy::default()
        });
        for _ in 0..5 {
            assert!(backoff.after_failure(&mut chance) >= Duration::from_millis(50));
        }
    }
}
