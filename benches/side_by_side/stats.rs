//! Numbers about numbers: a latency histogram, medians, and ratios with their spread.

use std::time::Duration;

/// Values below this are counted exactly; above, in this many steps per power of two (< 0.8 % wide).
pub(crate) const STEPS: u64 = 1 << STEP_BITS;
const STEP_BITS: u32 = 7;
/// One exact row, then one row per remaining power of two.
pub(crate) const BUCKETS: usize = (64 - STEP_BITS as usize + 1) << STEP_BITS;

/// Counts of nanoseconds, log-linear as in `HdrHistogram`: constant relative error, no allocation
/// while recording.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    /// Nothing recorded.
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            max: 0,
        }
    }

    /// Counts one value.
    pub(crate) fn record(&mut self, value: Duration) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket_of(nanos)) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// How many values were counted.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The largest value, exactly.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The value that `parts` in `of` values do not exceed, never understated by more than a bucket.
    /// Zero if nothing was counted.
    pub(crate) fn quantile(&self, parts: u64, of: u64) -> Duration {
        let rank = u128::from(self.total) * u128::from(parts);
        let mut seen = 0_u128;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen > 0 && seen * u128::from(of) >= rank {
                return Duration::from_nanos(highest_in(bucket).min(self.max));
            }
        }
        self.max()
    }
}

/// The bucket of a value.
pub(crate) fn bucket_of(value: u64) -> usize {
    let shift = (63 - STEP_BITS).saturating_sub(value.leading_zeros());
    let row = if value < STEPS { 0 } else { u64::from(shift) };
    let bucket = (row << STEP_BITS) + (value >> row);
    usize::try_from(bucket).unwrap_or(BUCKETS - 1)
}

/// The largest value of a bucket.
pub(crate) fn highest_in(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
    if bucket < 2 * STEPS {
        return bucket;
    }
    let row = (bucket >> STEP_BITS) - 1;
    let step = bucket - (row << STEP_BITS);
    (step << row) + ((1_u64 << row) - 1)
}

/// A count as a float. Counts here are far below the 2^53 from which on a float skips numbers.
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// The middle of some values; the mean of the middle two if their number is even.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(middle.checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

/// How one system compares to another over several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    /// The median of the runs' ratios.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The greatest.
    pub(crate) max: f64,
}

impl Ratio {
    /// Divides run by run, because both systems of one run met the same weather. Runs in which either
    /// has no number, or the base is zero, say nothing.
    pub(crate) fn paired(ours: &[Option<f64>], base: &[Option<f64>]) -> Option<Self> {
        let ratios: Vec<f64> = ours
            .iter()
            .zip(base)
            .filter_map(|(ours, base)| {
                let (ours, base) = ((*ours)?, (*base)?);
                (base != 0.0).then_some(ours / base)
            })
            .collect();
        Some(Self {
            median: median(&ratios)?,
            min: ratios.iter().copied().reduce(f64::min)?,
            max: ratios.iter().copied().reduce(f64::max)?,
        })
    }
}
