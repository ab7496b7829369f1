//! The connection throttle: a bucket of tokens, and a chance of dropping that grows while the bucket is
//! empty and shrinks while it is full enough (BLUE). The arithmetic is Java's `BlueThrottle`, so that
//! tuned settings keep their meaning.

use crate::config::settings::ConnectionThrottle;
use std::time::Duration;
use zk_zab::Time;

/// A throttle that is on.
#[derive(Debug)]
pub(super) struct Blue {
    config: ConnectionThrottle,
    capacity: u64,
    fill: u64,
    tokens: u64,
    filled: Time,
    adapted: Time,
    drop: f64,
    seed: u64,
}

impl Blue {
    /// `None` if the configuration has no throttle.
    pub(super) fn new(config: &ConnectionThrottle, seed: u64, now: Time) -> Option<Self> {
        let tokens = u64::from(config.tokens?);
        // With weights, what is configured counts in new sessions.
        let unit = config
            .weights
            .as_ref()
            .map_or(1, |weights| u64::from(weights.global));
        let capacity = tokens.saturating_mul(unit);
        Some(Self {
            capacity,
            fill: u64::from(config.fill_count).saturating_mul(unit),
            tokens: capacity,
            filled: now,
            adapted: now,
            drop: 0.0,
            seed: seed | 1,
            config: config.clone(),
        })
    }

    /// Whether a client may say hello now.
    pub(super) fn admits(&mut self, new_session: bool, now: Time) -> bool {
        let need = match &self.config.weights {
            None => 1,
            Some(weights) if new_session => u64::from(weights.global),
            Some(weights) => u64::from(weights.renew),
        };
        let since = now.saturating_since(self.filled);
        if since > self.config.fill_time {
            let refill = times(since, self.config.fill_time).saturating_mul(self.fill);
            self.tokens = self.tokens.saturating_add(refill).min(self.capacity);
            self.filled = now;
        }
        if self
            .config
            .freeze_time
            .is_some_and(|freeze| self.drops(freeze, now))
        {
            return false;
        }
        let enough = self.tokens >= need;
        if enough {
            self.tokens -= need;
        }
        enough
    }

    /// How many tokens are missing.
    pub(super) const fn deficit(&self) -> u64 {
        self.capacity - self.tokens
    }

    /// The chance that the next one is dropped.
    pub(super) const fn drop_chance(&self) -> f64 {
        self.drop
    }

    fn drops(&mut self, freeze: Duration, now: Time) -> bool {
        if now.saturating_since(self.adapted) > freeze {
            if self.tokens == 0 {
                self.drop = (self.drop + self.config.drop_increase).min(1.0);
            } else if self.is_full_enough() {
                self.drop = (self.drop - self.config.drop_decrease).max(0.0);
            }
            self.adapted = now;
        }
        self.draw() < self.drop
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of tokens needs no more digits"
    )]
    fn is_full_enough(&self) -> bool {
        self.deficit() as f64 <= (self.capacity as f64 * self.config.decrease_ratio).round()
    }

    /// A number in [0, 1) by xorshift: chance enough to decide who is unlucky.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    const fn draw(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn times(span: Duration, unit: Duration) -> u64 {
    let times = span.as_micros() / unit.as_micros().max(1);
    u64::try_from(times).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::settings::SessionWeights;

    fn at(millis: u64) -> Time {
        Time::since_start(Duration::from_millis(millis))
    }

    fn throttle(tokens: u32) -> ConnectionThrottle {
        ConnectionThrottle {
            tokens: Some(tokens),
            fill_time: Duration::from_millis(10),
            ..Config::default().throttling.connections
        }
    }

    fn admitted(blue: &mut Blue, new: bool, now: Time) -> usize {
        (0..1000).filter(|_| blue.admits(new, now)).count()
    }

    #[test]
    fn off_unless_there_are_tokens() {
        let config = Config::default().throttling.connections;
        assert!(Blue::new(&config, 1, at(0)).is_none());
    }

    #[test]
    fn as_many_as_there_are_tokens_and_then_as_they_are_filled_in() {
        let mut blue = Blue::new(&throttle(5), 1, at(0)).unwrap();
        assert_eq!(admitted(&mut blue, true, at(1)), 5);
        assert_eq!(blue.deficit(), 5);
        assert_eq!(
            admitted(&mut blue, true, at(10)),
            0,
            "not before the time is over"
        );
        assert_eq!(admitted(&mut blue, true, at(31)), 3);
        assert_eq!(
            admitted(&mut blue, true, at(9_000)),
            5,
            "never above the brim"
        );
    }

    #[test]
    fn weights_make_a_new_session_dearer() {
        let mut config = throttle(4);
        config.weights = Some(SessionWeights {
            global: 3,
            renew: 2,
            local: 1,
        });
        let mut blue = Blue::new(&config, 1, at(0)).unwrap();
        assert_eq!(
            admitted(&mut blue, true, at(1)),
            4,
            "tokens count new sessions"
        );
        let mut blue = Blue::new(&config, 1, at(0)).unwrap();
        assert_eq!(admitted(&mut blue, false, at(1)), 6);
    }

    #[test]
    fn the_chance_of_dropping_follows_the_bucket() {
        let mut config = throttle(1);
        config.fill_time = Duration::from_secs(1000);
        config.freeze_time = Some(Duration::from_millis(1));
        config.drop_increase = 0.25;
        config.drop_decrease = 0.5;
        let mut blue = Blue::new(&config, 7, at(0)).unwrap();
        assert!(blue.admits(true, at(1)));
        for step in 1..=6 {
            blue.admits(true, at(1 + 2 * step));
        }
        assert!((blue.drop_chance() - 1.0).abs() < 1e-9, "it ends at one");
        // The bucket is full again, and the chance shrinks with each look.
        blue.admits(true, at(2_000_000));
        assert!((blue.drop_chance() - 0.5).abs() < 1e-9);
    }
}
