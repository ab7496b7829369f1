//! A metric as the keys and numbers that `mntr` and the admin server print, named as Java names them.
//!
//! Durations become whole milliseconds: the least is rounded down and the greatest up, so that they
//! always enclose the mean; percentiles and sums are rounded to the nearest.

use super::{Metrics, Sample, SumView, Value, java_double};
use std::fmt;

/// A number as Java prints it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A Java long.
    Whole(u64),
    /// A Java double.
    Real(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Real(value) => f.write_str(&java_double(*value)),
        }
    }
}

const MS: u64 = 1000;

/// Shows every metric as keys without the `zk_` prefix.
pub fn for_each_key(metrics: &Metrics, show: &mut dyn FnMut(&str, Number)) {
    metrics.visit(&mut |sample| keys_of(sample, show));
}

fn keys_of(sample: Sample<'_>, show: &mut dyn FnMut(&str, Number)) {
    let name = match sample.label {
        Some(label) => format!("{label}_{}", sample.name),
        None => sample.name.to_owned(),
    };
    match sample.value {
        Value::Counter(value) => show(&name, Number::Whole(value)),
        Value::Amount(view) => summary_keys(&name, view, 1, show),
        Value::Timing(view) => summary_keys(&name, view, MS, show),
        Value::Latency(view) => {
            summary_keys(&name, view.summary, MS, show);
            let percentiles = [
                ("p50", view.p50),
                ("p95", view.p95),
                ("p99", view.p99),
                ("p999", view.p999),
            ];
            for (prefix, value) in percentiles {
                show(
                    &format!("{prefix}_{name}"),
                    Number::Whole(nearest(value, MS)),
                );
            }
        }
    }
}

fn summary_keys(name: &str, view: SumView, unit: u64, show: &mut dyn FnMut(&str, Number)) {
    show(&format!("avg_{name}"), Number::Real(view.mean(unit)));
    show(&format!("min_{name}"), Number::Whole(view.min() / unit));
    show(
        &format!("max_{name}"),
        Number::Whole(view.max().div_ceil(unit)),
    );
    show(&format!("cnt_{name}"), Number::Whole(view.count));
    show(
        &format!("sum_{name}"),
        Number::Whole(nearest(view.sum, unit)),
    );
}

fn nearest(value: u64, unit: u64) -> u64 {
    value.saturating_add(unit / 2) / unit
}
