//! The arithmetic, tested.

use crate::stats::*;
use std::time::Duration;

#[test]
fn a_bucket_holds_its_values_and_is_narrow() {
    for value in
        (0..2000).chain((11..63).flat_map(|bit| [(1 << bit) - 1, 1 << bit, 3 << (bit - 1)]))
    {
        let highest = highest_in(bucket_of(value));
        assert!(highest >= value, "{value} is above its bucket's {highest}");
        assert!(
            highest - value <= value / STEPS,
            "{value} is too far from its bucket's {highest}"
        );
        assert_eq!(bucket_of(highest), bucket_of(value));
    }
    assert!(bucket_of(u64::MAX) < BUCKETS);
    assert_eq!(highest_in(bucket_of(u64::MAX)), u64::MAX);
}

#[test]
fn buckets_are_ordered_without_gaps() {
    for bucket in 0..BUCKETS - 1 {
        assert_eq!(bucket_of(highest_in(bucket) + 1), bucket + 1);
    }
}

#[test]
fn quantiles_are_those_of_the_sorted_list() {
    let mut histogram = Histogram::new();
    for value in 1..=100 {
        histogram.record(Duration::from_nanos(value));
    }
    let nanos = |parts, of| histogram.quantile(parts, of).as_nanos();
    assert_eq!(histogram.count(), 100);
    assert_eq!(
        (nanos(50, 100), nanos(99, 100), nanos(999, 1000)),
        (50, 99, 100)
    );
    assert_eq!((nanos(1, 1), nanos(0, 1)), (100, 1));
    assert_eq!(histogram.max(), Duration::from_nanos(100));
}

#[test]
fn no_quantile_exceeds_the_exact_maximum() {
    let mut histogram = Histogram::new();
    histogram.record(Duration::from_nanos(1_000_001));
    assert_eq!(histogram.quantile(1, 2), Duration::from_nanos(1_000_001));
    assert_eq!(Histogram::new().quantile(1, 2), Duration::ZERO);
}

#[test]
fn a_median_is_the_middle() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0]), Some(3.0));
    assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
}

#[test]
fn ratios_pair_the_runs() {
    let ours = [Some(10.0), Some(30.0), None, Some(8.0)];
    let java = [Some(10.0), Some(10.0), Some(1.0), Some(4.0)];
    assert_eq!(
        Ratio::paired(&ours, &java),
        Some(Ratio {
            median: 2.0,
            min: 1.0,
            max: 3.0
        })
    );
    assert_eq!(Ratio::paired(&[Some(1.0)], &[Some(0.0)]), None);
    assert_eq!(Ratio::paired(&[None], &[Some(1.0)]), None);
}
