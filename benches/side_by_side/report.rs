//! The numbers, collected over the runs and shown: a table for people, JSON for everything else.

use crate::args::{Settings, System};
use crate::catalog::Scenario;
use crate::stats::{Histogram, Ratio, median};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// What is measured, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    /// Operations, events or sessions per second.
    Rate,
    /// Half of all answers came within.
    P50,
    /// 99 % came within.
    P99,
    /// 99.9 % came within.
    P999,
    /// All came within.
    Max,
    /// 99 % came within, while no snapshot was taken.
    QuietP99,
    /// And 99.9 %.
    QuietP999,
    /// The longest silence while answers were due.
    Stall,
    /// The longest time without an acknowledgement around the death of a leader; the median of several.
    Gap,
    /// The longest of them.
    LongestGap,
    /// The server's CPU time per operation.
    ServerCpu,
    /// The driver's own, which it takes from the same machine.
    DriverCpu,
    /// CPU while nothing is asked.
    IdleCpu,
    /// Resident memory at the end.
    Resident,
    /// Resident memory at most.
    Peak,
    /// Memory per session.
    PerSession,
    /// From the start of the process to the first session.
    Start,
    /// The same with the nodes, to the first read.
    Restart,
    /// Resident memory after that.
    RestartResident,
    /// The size of the binary, or of the jars without the JVM.
    Installed,
}

impl Metric {
    /// Its name in the JSON, its name in the table, and whether more is better.
    const fn words(self) -> (&'static str, &'static str, bool) {
        match self {
            Self::Rate => ("per_second", "per second", true),
            Self::P50 => ("p50_us", "p50 µs", false),
            Self::P99 => ("p99_us", "p99 µs", false),
            Self::P999 => ("p999_us", "p99.9 µs", false),
            Self::Max => ("max_us", "max µs", false),
            Self::QuietP99 => ("quiet_p99_us", "quiet p99 µs", false),
            Self::QuietP999 => ("quiet_p999_us", "quiet p99.9 µs", false),
            Self::Stall => ("stall_ms", "longest stall ms", false),
            Self::Gap => ("gap_ms", "gap in writes ms", false),
            Self::LongestGap => ("longest_gap_ms", "longest gap ms", false),
            Self::ServerCpu => ("server_cpu_us_per_op", "server CPU µs/op", false),
            Self::DriverCpu => ("driver_cpu_us_per_op", "driver CPU µs/op", false),
            Self::IdleCpu => ("idle_cpu_percent", "idle CPU %", false),
            Self::Resident => ("rss_mb", "RSS MB", false),
            Self::Peak => ("peak_rss_mb", "peak RSS MB", false),
            Self::PerSession => ("bytes_per_session", "bytes per session", false),
            Self::Start => ("start_ms", "start ms", false),
            Self::Restart => ("restart_ms", "restart ms", false),
            Self::RestartResident => ("restart_rss_mb", "RSS MB after restart", false),
            Self::Installed => ("installed_mb", "binary or jars MB", false),
        }
    }
}

/// What one measurement found.
pub(crate) type Measures = BTreeMap<Metric, f64>;

/// Notes the quantiles of a histogram.
pub(crate) fn put_latency(measures: &mut Measures, latency: &Histogram) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    measures.insert(Metric::P50, micros(latency.quantile(50, 100)));
    measures.insert(Metric::P99, micros(latency.quantile(99, 100)));
    measures.insert(Metric::P999, micros(latency.quantile(999, 1000)));
    measures.insert(Metric::Max, micros(latency.max()));
}

/// All runs of one scenario, by system; a run that failed has its reason.
pub(crate) type Runs = BTreeMap<System, Vec<Result<Measures, String>>>;

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    scenarios: Vec<(Scenario, Runs)>,
    /// What the reader must know before quoting a number.
    pub(crate) warnings: Vec<String>,
}

impl Report {
    /// Adds one measurement.
    pub(crate) fn add(
        &mut self,
        scenario: Scenario,
        system: System,
        found: Result<Measures, String>,
    ) {
        let index = self
            .scenarios
            .iter()
            .position(|(known, _)| *known == scenario);
        let index = index.unwrap_or_else(|| {
            self.scenarios.push((scenario, Runs::new()));
            self.scenarios.len() - 1
        });
        if let Some((_, runs)) = self.scenarios.get_mut(index) {
            runs.entry(system).or_default().push(found);
        }
    }

    /// Whether any measurement failed.
    pub(crate) fn has_failures(&self) -> bool {
        let mut runs = self
            .scenarios
            .iter()
            .flat_map(|(_, runs)| runs.values().flatten());
        runs.any(Result::is_err)
    }

    /// How ours compares to Java's in this metric, scenario by scenario.
    pub(crate) fn ratios(&self, metric: Metric) -> Vec<(&'static str, Option<Ratio>)> {
        let of = |(scenario, runs): &(Scenario, Runs)| (scenario.name, ratio_of(runs, metric));
        self.scenarios.iter().map(of).collect()
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        for (scenario, runs) in &self.scenarios {
            table_of(&mut out, scenario, runs);
        }
        for warning in &self.warnings {
            line(&mut out, format_args!("!! {warning}"));
        }
        out
    }

    /// Everything, with every run.
    pub(crate) fn json(&self, settings: &Settings) -> Value {
        let scenarios: Map<String, Value> = self
            .scenarios
            .iter()
            .map(|(scenario, runs)| (scenario.name.to_owned(), json_of(scenario, runs)))
            .collect();
        json!({
            "settings": {
                "seconds": settings.seconds.as_secs_f64(),
                "warm": settings.warm.as_secs_f64(),
                "runs": settings.runs,
                "scale_percent": settings.scale,
                "short": settings.short,
            },
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "warnings": self.warnings,
            "scenarios": scenarios,
        })
    }
}

/// The values of a metric, run by run.
fn values(runs: &Runs, system: System, metric: Metric) -> Vec<Option<f64>> {
    let value = |run: &Result<Measures, String>| run.as_ref().ok()?.get(&metric).copied();
    runs.get(&system)
        .map_or_else(Vec::new, |runs| runs.iter().map(value).collect())
}

fn median_of(runs: &Runs, system: System, metric: Metric) -> Option<f64> {
    let values: Vec<f64> = values(runs, system, metric).into_iter().flatten().collect();
    median(&values)
}

fn ratio_of(runs: &Runs, metric: Metric) -> Option<Ratio> {
    let of = |system| values(runs, system, metric);
    Ratio::paired(&of(System::Ours), &of(System::Java))
}

fn metrics(runs: &Runs) -> Vec<Metric> {
    let measured = runs.values().flatten().filter_map(|run| run.as_ref().ok());
    let mut metrics: Vec<_> = measured
        .flat_map(|measures| measures.keys().copied())
        .collect();
    metrics.sort_unstable();
    metrics.dedup();
    metrics
}

fn failures(runs: &Runs) -> Vec<(System, &str)> {
    let mut failures = Vec::new();
    for (system, runs) in runs {
        let reasons = runs.iter().filter_map(|run| run.as_ref().err());
        failures.extend(reasons.map(|reason| (*system, reason.as_str())));
    }
    failures
}

fn table_of(out: &mut String, scenario: &Scenario, runs: &Runs) {
    line(out, format_args!("{}: {}", scenario.name, scenario.title));
    let mut head = format!("  {:<24}", "");
    for system in runs.keys() {
        head += &format!("{:>13}", system.name());
    }
    line(out, format_args!("{head}{:>28}", "ours/java (min–max)"));
    for metric in metrics(runs) {
        let (_, label, more_is_better) = metric.words();
        let arrow = if more_is_better { '↑' } else { '↓' };
        let mut row = format!("  {:<24}", format!("{label} {arrow}"));
        for system in runs.keys() {
            let value = median_of(runs, *system, metric);
            row += &format!("{:>13}", value.map_or_else(|| "-".to_owned(), readable));
        }
        if let Some(Ratio { median, min, max }) = ratio_of(runs, metric) {
            row += &format!("{:>28}", format!("{median:.2} ({min:.2}–{max:.2})"));
        }
        line(out, format_args!("{row}"));
    }
    for (system, reason) in failures(runs) {
        line(out, format_args!("  !! {system}: {reason}"));
    }
    line(out, format_args!(""));
}

fn json_of(scenario: &Scenario, runs: &Runs) -> Value {
    let mut systems = Map::new();
    for system in runs.keys() {
        let mut metrics_json = Map::new();
        for metric in metrics(runs) {
            let values = values(runs, *system, metric);
            if values.iter().any(Option::is_some) {
                let median = median_of(runs, *system, metric);
                let entry = json!({ "median": median, "runs": values });
                metrics_json.insert(metric.words().0.to_owned(), entry);
            }
        }
        systems.insert(system.name().to_owned(), Value::Object(metrics_json));
    }
    let ratios: Map<String, Value> = metrics(runs)
        .into_iter()
        .filter_map(|metric| {
            let Ratio { median, min, max } = ratio_of(runs, metric)?;
            let entry = json!({ "median": median, "min": min, "max": max });
            Some((metric.words().0.to_owned(), entry))
        })
        .collect();
    let failures: Vec<Value> = failures(runs)
        .into_iter()
        .map(|(system, reason)| json!({ "system": system.name(), "reason": reason }))
        .collect();
    json!({
        "title": scenario.title,
        "systems": systems,
        "ours_to_java": ratios,
        "failures": failures,
    })
}

/// Three digits that matter, more if they stand before the point.
fn readable(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes everything");
}
