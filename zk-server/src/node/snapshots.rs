//! When to take a snapshot, and the one being taken.
//!
//! The tree is frozen at one zxid and copied out in small steps between batches of writes, so that no
//! write ever waits longer than a step takes.

use super::Node;
use crate::config::settings::{Purge, Storage};
use crate::disk::snapshot::{Pushed, SnapshotEvent, SnapshotTrailer, SnapshotWriter};
use crate::replica::Event;
use crate::tree::{ImageFacts, ImageProgress};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info, warn};
use zk_zab::Time;

/// How many nodes are copied under one guard.
const NODES_PER_STEP: usize = 400;
/// When to look again whether the disk has caught up.
const PATIENCE: Duration = Duration::from_millis(1);

/// A snapshot under way.
pub(super) struct Imaging {
    writer: SnapshotWriter,
    facts: ImageFacts,
    /// What the writer had no room for.
    held: Option<Bytes>,
    copied: bool,
    next_step: Time,
}

impl Imaging {
    /// When to go on.
    pub(super) const fn deadline(&self) -> Time {
        self.next_step
    }
}

impl Node {
    /// Freezes the tree and starts a writer. One at a time: the next one will be due again.
    pub(super) fn begin_snapshot(&mut self, now: Time) {
        self.trigger.reset();
        if self.imaging.is_some() {
            return;
        }
        self.log.roll();
        let mut head = Vec::new();
        let begun = self.replica.tree_mut().begin_image(&mut head);
        let facts = match begun {
            Ok(facts) => facts,
            Err(error) => return warn!(%error, "no snapshot is taken"),
        };
        let replica = Arc::clone(&self.replica);
        let started = self.store.write_snapshot(facts.zxid, move |event| {
            replica.send(Event::SnapshotEnded(event));
        });
        match started {
            Ok(writer) => {
                let held = Some(Bytes::from(head));
                self.imaging = Some(Imaging {
                    writer,
                    facts,
                    held,
                    copied: false,
                    next_step: now,
                });
            }
            Err(error) => {
                self.replica.tree_mut().abort_image();
                error!(%error, "no snapshot is taken: its thread cannot start");
            }
        }
    }

    /// Copies out a little more, as long as the disk keeps up.
    pub(super) fn continue_snapshot(&mut self, now: Time) {
        let Some(imaging) = &mut self.imaging else {
            return;
        };
        if now < imaging.next_step {
            return;
        }
        let piece = match imaging.held.take() {
            Some(piece) => piece,
            None if imaging.copied => return self.finish_snapshot(),
            None => {
                let mut piece = Vec::new();
                let progress = self
                    .replica
                    .tree_mut()
                    .step_image(NODES_PER_STEP, &mut piece);
                imaging.copied = !matches!(progress, Ok(ImageProgress::More));
                Bytes::from(piece)
            }
        };
        match imaging.writer.push(piece) {
            Pushed::Taken => {}
            Pushed::Full(piece) => {
                imaging.held = Some(piece);
                imaging.next_step = now + PATIENCE;
            }
            Pushed::Gone => self.abort_snapshot(),
        }
    }

    fn finish_snapshot(&mut self) {
        if let Some(Imaging { writer, facts, .. }) = self.imaging.take() {
            writer.finish(SnapshotTrailer {
                digest: facts.digest.map(|digest| (facts.zxid, digest)),
                last_zxid: self.store.writes_last_zxid().then_some(facts.zxid),
            });
        }
    }

    /// Gives up the snapshot being taken; a later one will do.
    pub(super) fn abort_snapshot(&mut self) {
        if let Some(imaging) = self.imaging.take() {
            self.replica.tree_mut().abort_image();
            imaging.writer.abort();
        }
    }

    pub(super) fn on_snapshot_ended(&mut self, event: SnapshotEvent) {
        match event {
            SnapshotEvent::Written(written) => {
                info!(
                    zxid = format_args!("{:#x}", written.zxid),
                    bytes = written.bytes,
                    took_ms = written.took.as_millis(),
                    "snapshot written"
                );
                let timings = &self.replica.metrics().here().timings;
                timings.snapshottime.record(written.took);
                if self.replica.config().storage.purge == Purge::AfterEverySnapshot {
                    self.store.purge();
                }
            }
            SnapshotEvent::Failed(failure) => {
                self.abort_snapshot();
                self.replica
                    .metrics()
                    .here()
                    .counters
                    .snapshot_error_count
                    .increment();
                error!("{failure}; serving goes on, the log keeps everything");
            }
            SnapshotEvent::Aborted(_) => {}
        }
    }
}

/// Counts what has been logged since the last snapshot began.
#[derive(Debug)]
pub(super) struct Trigger {
    snap_count: u64,
    snap_bytes: Option<u64>,
    txns: u64,
    bytes: u64,
    txns_due: u64,
    bytes_due: u64,
    seed: u64,
}

impl Trigger {
    /// As Java: after a random number of transactions in (half, whole], so that the members of an
    /// ensemble do not all write snapshots at the same moment.
    pub(super) fn new(config: &Storage, seed: u64) -> Self {
        let mut trigger = Self {
            snap_count: u64::from(config.snap_count),
            snap_bytes: config.snap_size_limit,
            txns: 0,
            bytes: 0,
            txns_due: 0,
            bytes_due: 0,
            seed: seed | 1,
        };
        trigger.reset();
        trigger
    }

    /// A transaction of that many bytes goes to the log.
    pub(super) fn count(&mut self, bytes: usize) {
        self.txns += 1;
        self.bytes += bytes as u64;
    }

    /// Whether enough has been logged.
    pub(super) fn is_due(&self) -> bool {
        self.txns > self.txns_due || (self.snap_bytes.is_some() && self.bytes > self.bytes_due)
    }

    /// A snapshot has begun.
    pub(super) fn reset(&mut self) {
        (self.txns, self.bytes) = (0, 0);
        self.txns_due = half_and_random_half(self.snap_count, self.draw());
        self.bytes_due = half_and_random_half(self.snap_bytes.unwrap_or(0), self.draw());
    }

    /// Xorshift: no more randomness is needed here than to be different on each server.
    fn draw(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }
}

fn half_and_random_half(whole: u64, draw: u64) -> u64 {
    let half = whole / 2;
    half + draw % half.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_snapshot_is_due_between_half_and_all_of_its_count() {
        let mut config = Config::default().storage;
        config.snap_count = 100;
        for seed in 1..200 {
            let mut trigger = Trigger::new(&config, seed);
            let mut logged = 0;
            while !trigger.is_due() {
                trigger.count(10);
                logged += 1;
            }
            assert!((51..=100).contains(&logged), "{logged} with seed {seed}");
            trigger.reset();
            assert!(!trigger.is_due());
        }
    }
}
