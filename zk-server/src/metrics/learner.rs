//! What a leader measures of each of its learners, by server id. Not sharded: the leader's loop alone counts.

use super::histogram::Tally;
use super::label::{LABELS, Labels};
use super::{Latency, Sample, Sum, Value};
use std::sync::OnceLock;
use std::time::Duration;

/// Summaries by learner.
#[derive(Debug)]
pub struct Learners {
    labels: Labels,
    queue_size: Box<[Sum]>,
    /// Made for the learners that exist, as each holds a histogram.
    queue_time: Box<[OnceLock<Latency>]>,
    ack_latency: Box<[OnceLock<Latency>]>,
}

impl Learners {
    pub(super) fn new() -> Self {
        Self {
            labels: Labels::new(),
            queue_size: (0..LABELS).map(|_| Sum::default()).collect(),
            queue_time: (0..LABELS).map(|_| OnceLock::new()).collect(),
            ack_latency: (0..LABELS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Notes how many packets waited for a learner: `learner_handler_qp_size`.
    pub fn queue_size(&self, server: u64, packets: u64) {
        if let Some(sum) = self.queue_size.get(self.index(server)) {
            sum.record(packets);
        }
    }

    /// Notes how long a packet waited for a learner: `learner_handler_qp_time_ms`.
    pub fn queue_time(&self, server: u64, took: Duration) {
        if let Some(slot) = self.queue_time.get(self.index(server)) {
            slot.get_or_init(Latency::default).record(took);
        }
    }

    /// Notes how long a learner took to acknowledge a proposal: `ack_latency`.
    pub fn ack_latency(&self, server: u64, took: Duration) {
        if let Some(slot) = self.ack_latency.get(self.index(server)) {
            slot.get_or_init(Latency::default).record(took);
        }
    }

    fn index(&self, server: u64) -> usize {
        self.labels.label(&server.to_string()).index()
    }

    pub(super) fn reset(&self) {
        self.queue_size.iter().for_each(Sum::reset);
        let latencies = self.queue_time.iter().chain(&self.ack_latency);
        latencies.filter_map(OnceLock::get).for_each(Latency::reset);
    }

    pub(super) fn visit(&self, show: &mut dyn FnMut(Sample<'_>)) {
        for (index, sum) in self.queue_size.iter().enumerate() {
            let view = sum.view();
            if view.count > 0 {
                let label = self.labels.name(index);
                let (name, help) = ("learner_handler_qp_size", "Packets waiting for a learner.");
                show(Sample {
                    name,
                    help,
                    label: Some(&label),
                    value: Value::Amount(view),
                });
            }
        }
        let sets = [
            (
                "learner_handler_qp_time_ms",
                "A packet waiting for a learner.",
                &self.queue_time,
            ),
            (
                "ack_latency",
                "From the proposal to the acknowledgement of a learner.",
                &self.ack_latency,
            ),
        ];
        for (name, help, slots) in sets {
            for (index, latency) in slots.iter().enumerate() {
                let Some(latency) = latency.get() else {
                    continue;
                };
                let mut tally = Tally::new();
                latency.add_to(&mut tally);
                let label = self.labels.name(index);
                show(Sample {
                    name,
                    help,
                    label: Some(&label),
                    value: Value::Latency(tally.view()),
                });
            }
        }
    }
}
