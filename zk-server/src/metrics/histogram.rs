//! Durations with percentiles: what Java calls an advanced summary.
//!
//! A log-linear histogram: every power of two of microseconds is cut into 16 equal buckets, so that a
//! percentile is wrong by 1/32 at most, over a range from 1 us to 12 days, in 4.7 KB. Java samples a
//! reservoir of whole milliseconds instead, in which a healthy server shows only zeros.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::summary::{SumView, micros, widen};

const SUB_BITS: u32 = 4;
const SUBS: u64 = 1 << SUB_BITS;
/// Values of this many bits and more share the last bucket.
const TOP_BITS: u32 = 40;
const BUCKETS: usize = ((TOP_BITS - SUB_BITS + 1) * (1 << SUB_BITS)) as usize;

/// An advanced summary of durations.
#[derive(Debug)]
pub struct Latency {
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Latency {
    /// Notes how long something took.
    pub fn record(&self, took: Duration) {
        self.record_many(took, 1);
    }

    /// Notes how long each of so many things took.
    pub fn record_many(&self, took: Duration, times: u64) {
        let value = micros(took);
        self.sum.fetch_add(value.saturating_mul(times), Relaxed);
        widen(&self.min, &self.max, value);
        // The count is the sum of the buckets: one atomic less on the hot path.
        if let Some(bucket) = self.buckets.get(bucket_of(value)) {
            bucket.fetch_add(times, Relaxed);
        }
    }

    pub(super) fn add_to(&self, total: &mut Tally) {
        let mut count = 0;
        for (into, bucket) in total.buckets.iter_mut().zip(&self.buckets) {
            let held = bucket.load(Relaxed);
            count += held;
            *into += held;
        }
        let (sum, min, max) = (
            self.sum.load(Relaxed),
            self.min.load(Relaxed),
            self.max.load(Relaxed),
        );
        total.summary.merge(SumView::of(count, sum, min, max));
    }

    pub(super) fn reset(&self) {
        self.sum.store(0, Relaxed);
        self.min.store(u64::MAX, Relaxed);
        self.max.store(0, Relaxed);
        for bucket in &self.buckets {
            bucket.store(0, Relaxed);
        }
    }
}

/// The histograms of all shards, added up.
#[derive(Debug)]
pub(super) struct Tally {
    summary: SumView,
    buckets: Box<[u64]>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            summary: SumView::default(),
            buckets: vec![0; BUCKETS].into_boxed_slice(),
        }
    }

    pub(super) fn view(&self) -> LatencyView {
        LatencyView {
            summary: self.summary,
            p50: self.percentile(500),
            p95: self.percentile(950),
            p99: self.percentile(990),
            p999: self.percentile(999),
        }
    }

    /// The nearest-rank percentile, in microseconds, as the middle of the bucket that holds it.
    fn percentile(&self, per_mille: u64) -> u64 {
        let rank = u128::from(self.summary.count) * u128::from(per_mille);
        let rank = rank.div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, held) in self.buckets.iter().enumerate() {
            seen += u128::from(*held);
            if seen >= rank {
                let bounds = (self.summary.min(), self.summary.max());
                // A reader that raced the very first record may see a bucket before its bounds.
                return middle_of(index).min(bounds.1).max(bounds.0);
            }
        }
        0
    }
}

/// What an advanced summary held when it was looked at, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyView {
    /// Count, sum and bounds.
    pub summary: SumView,
    /// The median.
    pub p50: u64,
    /// The 95th percentile.
    pub p95: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p999: u64,
}

fn bucket_of(value: u64) -> usize {
    let value = value.min((1 << TOP_BITS) - 1);
    let index = match (value >> SUB_BITS).checked_ilog2() {
        None => value,
        Some(shift) => u64::from(shift + 1) * SUBS + ((value >> shift) & (SUBS - 1)),
    };
    usize::try_from(index).unwrap_or(BUCKETS - 1)
}

fn middle_of(index: usize) -> u64 {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    match (index / SUBS).checked_sub(1) {
        None => index,
        Some(shift) => {
            let low = (SUBS + index % SUBS) << shift;
            low + ((1 << shift) >> 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn view(values: impl IntoIterator<Item = u64>) -> LatencyView {
        let latency = Latency::default();
        for value in values {
            latency.record(Duration::from_micros(value));
        }
        let mut tally = Tally::new();
        latency.add_to(&mut tally);
        tally.view()
    }

    #[test]
    fn an_empty_histogram_is_all_zero() {
        let empty = view([]);
        assert_eq!(
            (
                empty.p50,
                empty.p999,
                empty.summary.min(),
                empty.summary.max()
            ),
            (0, 0, 0, 0)
        );
    }

    #[test]
    fn percentiles_of_a_ramp_are_where_they_belong() {
        let ramp = view(1..=100_000);
        let near =
            |got: u64, want: u64| assert!(got.abs_diff(want) * 32 <= want, "{got} for {want}");
        near(ramp.p50, 50_000);
        near(ramp.p95, 95_000);
        near(ramp.p99, 99_000);
        near(ramp.p999, 99_900);
        assert_eq!(
            ramp.summary,
            SumView::of(100_000, 5_000_050_000, 1, 100_000)
        );
    }

    #[test]
    fn buckets_are_contiguous_and_the_last_takes_everything() {
        assert_eq!(bucket_of((1 << TOP_BITS) - 1), BUCKETS - 1);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        for index in 0..BUCKETS {
            assert_eq!(bucket_of(middle_of(index)), index);
        }
    }

    proptest! {
        #[test]
        fn a_bucket_is_within_one_part_in_32_of_its_values(value in 0u64..(1 << TOP_BITS)) {
            let middle = middle_of(bucket_of(value));
            prop_assert!(middle.abs_diff(value) * 32 <= value, "{} became {}", value, middle);
        }

        #[test]
        fn buckets_keep_the_order_of_values(a in 0u64..(1 << 41), b in 0u64..(1 << 41)) {
            prop_assert!((a <= b) == (bucket_of(a) <= bucket_of(b)) || bucket_of(a) == bucket_of(b));
        }

        #[test]
        fn percentiles_agree_with_a_sorted_list(mut values in prop::collection::vec(0u64..1 << 30, 1..300)) {
            let seen = view(values.iter().copied());
            values.sort_unstable();
            for (got, per_mille) in [(seen.p50, 500), (seen.p95, 950), (seen.p99, 990), (seen.p999, 999)] {
                let want = values[(values.len() * per_mille).div_ceil(1000) - 1];
                prop_assert!(got.abs_diff(want) * 32 <= want.max(32), "{} for {}", got, want);
            }
        }
    }
}
