//! How many, how much, the least and the most: what Java calls a basic summary.
//!
//! [`Sum`] keeps plain amounts. [`Timing`] keeps durations in microseconds and is shown in milliseconds.
//! Percentiles are in [`super::Latency`].

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Count, sum, minimum and maximum of recorded amounts.
#[derive(Debug)]
pub struct Sum {
    count: AtomicU64,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        }
    }
}

impl Sum {
    /// Notes one amount.
    pub fn record(&self, amount: u64) {
        self.record_many(amount, 1);
    }

    fn record_many(&self, amount: u64, times: u64) {
        self.count.fetch_add(times, Relaxed);
        self.sum.fetch_add(amount.saturating_mul(times), Relaxed);
        widen(&self.min, &self.max, amount);
    }

    pub(super) fn view(&self) -> SumView {
        SumView {
            count: self.count.load(Relaxed),
            sum: self.sum.load(Relaxed),
            min: self.min.load(Relaxed),
            max: self.max.load(Relaxed),
        }
    }

    pub(super) fn reset(&self) {
        self.count.store(0, Relaxed);
        self.sum.store(0, Relaxed);
        self.min.store(u64::MAX, Relaxed);
        self.max.store(0, Relaxed);
    }
}

/// Moves the bounds so that they hold the value. Nearly always two loads: bounds settle quickly.
pub(super) fn widen(min: &AtomicU64, max: &AtomicU64, value: u64) {
    if value < min.load(Relaxed) {
        min.fetch_min(value, Relaxed);
    }
    if value > max.load(Relaxed) {
        max.fetch_max(value, Relaxed);
    }
}

/// A basic summary of durations.
#[derive(Debug, Default)]
pub struct Timing(Sum);

impl Timing {
    /// Notes how long something took.
    pub fn record(&self, took: Duration) {
        self.record_many(took, 1);
    }

    /// Notes how long each of so many things took.
    pub fn record_many(&self, took: Duration, times: u64) {
        self.0.record_many(micros(took), times);
    }

    /// Notes how long so many things took together.
    pub fn record_shared(&self, took: Duration, times: u64) {
        self.0.record_many(micros(took) / times.max(1), times);
    }

    pub(super) fn view(&self) -> SumView {
        self.0.view()
    }

    pub(super) fn reset(&self) {
        self.0.reset();
    }
}

/// A duration as the metrics keep it.
pub(super) fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// What a summary held when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumView {
    /// How many amounts were recorded.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    min: u64,
    max: u64,
}

impl Default for SumView {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0,
            min: u64::MAX,
            max: 0,
        }
    }
}

impl SumView {
    pub(super) fn of(count: u64, sum: u64, min: u64, max: u64) -> Self {
        Self {
            count,
            sum,
            min,
            max,
        }
    }

    /// The smallest amount, 0 if there was none.
    pub fn min(&self) -> u64 {
        if self.min == u64::MAX { 0 } else { self.min }
    }

    /// The largest amount.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean with four decimals, rounded half up as Java's `BigDecimal` does, in units of `unit` amounts.
    pub fn mean(&self, unit: u64) -> f64 {
        let (count, unit) = (u128::from(self.count), u128::from(unit.max(1)));
        if count == 0 {
            return 0.0;
        }
        let divisor = count * unit * 2;
        let ten_thousandths = (u128::from(self.sum) * 20_000 + count * unit) / divisor;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a mean of that size has no decimals worth keeping"
        )]
        let scaled = ten_thousandths as f64;
        scaled / 10_000.0
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}
