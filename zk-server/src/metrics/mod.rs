//! What the server counts about itself.
//!
//! One [`Metrics`] belongs to one server; nothing here is global, so servers can share a process. A thread
//! counts into its own shard, [`Metrics::here`], without locks, allocation or contended cache lines; the
//! shards are added up only when somebody asks. Names, kinds and meanings are in `table.rs`. What the server
//! already knows (how many nodes, sessions, watches) is not counted here but asked for when it is shown:
//! see [`crate::net::four_letter::Facts`].
//!
//! Sums over shards are not one atomic look: a reader may miss what is being counted at that moment, and
//! loses nothing that was counted before.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

mod connection;
mod counter;
mod histogram;
mod keys;
mod label;
mod learner;
mod number;
mod process;
mod server;
mod size;
mod summary;
mod table;

pub use connection::{ConnectionStats, ConnectionView};
pub use counter::Counter;
pub use histogram::{Latency, LatencyView};
pub use keys::{Number, for_each_key};
pub use label::{CAPACITY as LABEL_CAPACITY, Label, OTHER as OTHER_LABEL, printable};
pub use learner::Learners;
pub use number::java_double;
pub use process::{max_file_descriptors, open_file_descriptors};
pub use server::{ServerShard, ServerView};
pub use size::{Sizes, SizesView};
pub use summary::{Sum, SumView, Timing};
pub use table::{Amounts, Counters, Latencies, Limits, Shard, Timings};

use histogram::Tally;
use label::{LABELS, Labels};
use table::LabelledSums;

type Sums = Box<[Sum]>;

/// Everything one server counts.
#[derive(Debug)]
pub struct Metrics {
    shards: Box<[Shard]>,
    namespaces: Labels,
    quota_exceeded: Box<[Counter]>,
    /// What a leader knows of each learner.
    pub learners: Learners,
}

impl Default for Metrics {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Twice the cores: the threads that count are not only the workers, and two that count much should
        // not meet. A shard has 116 KB.
        Self::with_shards((cores * 2).next_power_of_two().clamp(4, 16))
    }
}

/// Numbers the threads of the process, so that they spread over the shards; it holds no metric.
static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: Cell<usize> = Cell::new(NEXT_THREAD.fetch_add(1, Relaxed));
}

impl Metrics {
    /// Metrics for about this many threads that count at once.
    pub fn with_shards(shards: usize) -> Self {
        Self {
            shards: (0..shards.max(1)).map(|_| Shard::default()).collect(),
            namespaces: Labels::new(),
            quota_exceeded: (0..LABELS).map(|_| Counter::default()).collect(),
            learners: Learners::new(),
        }
    }

    /// The shard of this thread: where to count.
    pub fn here(&self) -> &Shard {
        let thread = THREAD.try_with(Cell::get).unwrap_or(0);
        &self.shards[thread % self.shards.len()]
    }

    /// The label of the top-level node of a path; none for the root itself, which Java does not count either.
    pub fn namespace(&self, path: &str) -> Option<Label> {
        let top = path.strip_prefix('/')?.split('/').next()?;
        (!top.is_empty()).then(|| self.namespaces.label(top))
    }

    /// Notes a write at this path that a hard quota refused.
    pub fn over_quota(&self, path: &str) {
        let namespace = self.namespace(path);
        if let Some(counter) = namespace.and_then(|at| self.quota_exceeded.get(at.index())) {
            counter.increment();
        }
    }

    /// What `srvr` shows.
    pub fn server(&self) -> ServerView {
        ServerView::of(self.shards.iter().map(|shard| &shard.server))
    }

    /// Begins everything anew: `srst`.
    pub fn reset(&self) {
        self.shards.iter().for_each(Shard::reset);
        self.quota_exceeded.iter().for_each(Counter::reset);
        self.learners.reset();
    }

    /// Shows every metric, in the order of the table; labelled ones only if they counted anything.
    pub fn visit(&self, show: &mut dyn FnMut(Sample<'_>)) {
        for (name, help, field) in Counters::ALL {
            let value = self
                .shards
                .iter()
                .map(|shard| field(&shard.counters).value())
                .sum();
            show(Sample {
                name,
                help,
                label: None,
                value: Value::Counter(value),
            });
        }
        for (name, help, field) in Limits::ALL {
            let value = self
                .shards
                .iter()
                .map(|shard| field(&shard.limits).value())
                .sum();
            show(Sample {
                name,
                help,
                label: None,
                value: Value::Counter(value),
            });
        }
        for (name, help, field) in Amounts::ALL {
            let value = merged(self.shards.iter().map(|shard| field(&shard.amounts).view()));
            show(Sample {
                name,
                help,
                label: None,
                value: Value::Amount(value),
            });
        }
        for (name, help, field) in Timings::ALL {
            let value = merged(self.shards.iter().map(|shard| field(&shard.timings).view()));
            show(Sample {
                name,
                help,
                label: None,
                value: Value::Timing(value),
            });
        }
        for (name, help, field) in Latencies::ALL {
            let mut tally = Tally::new();
            self.shards
                .iter()
                .for_each(|shard| field(&shard.latencies).add_to(&mut tally));
            show(Sample {
                name,
                help,
                label: None,
                value: Value::Latency(tally.view()),
            });
        }
        self.visit_namespaces(show);
        self.learners.visit(show);
    }

    fn visit_namespaces(&self, show: &mut dyn FnMut(Sample<'_>)) {
        type Field = fn(&Shard) -> &LabelledSums;
        let sets: [(&'static str, &'static str, Field); 2] = [
            (
                "read_per_namespace",
                "Bytes of one read, by top-level node.",
                |shard| &shard.reads,
            ),
            (
                "write_per_namespace",
                "Bytes of one write, by top-level node.",
                |shard| &shard.writes,
            ),
        ];
        for (name, help, field) in sets {
            for index in 0..LABELS {
                let sums = self
                    .shards
                    .iter()
                    .filter_map(|shard| field(shard).at(index));
                let value = merged(sums.map(Sum::view));
                if value.count > 0 {
                    let label = self.namespaces.name(index);
                    show(Sample {
                        name,
                        help,
                        label: Some(&label),
                        value: Value::Amount(value),
                    });
                }
            }
        }
        for (index, counter) in self.quota_exceeded.iter().enumerate() {
            let value = counter.value();
            if value > 0 {
                let (name, help) = (
                    "quota_exceeded_error_per_namespace",
                    "Writes beyond a quota.",
                );
                let label = self.namespaces.name(index);
                show(Sample {
                    name,
                    help,
                    label: Some(&label),
                    value: Value::Counter(value),
                });
            }
        }
    }
}

fn merged(views: impl Iterator<Item = SumView>) -> SumView {
    let mut total = SumView::default();
    views.for_each(|view| total.merge(view));
    total
}

/// One metric at the moment it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample<'a> {
    /// Its name, without prefix.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// The top-level node or the learner it is about, fit for a key.
    pub label: Option<&'a str>,
    /// What it counted.
    pub value: Value,
}

/// The kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A counter.
    Counter(u64),
    /// A basic summary of amounts.
    Amount(SumView),
    /// A basic summary of microseconds.
    Timing(SumView),
    /// An advanced summary of microseconds.
    Latency(LatencyView),
}

#[cfg(test)]
mod tests;
