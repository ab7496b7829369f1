//! When to take a snapshot, and the one being taken.
//!
//! The tree is frozen at one zxid and copied out in small steps between batches of writes, so that no
//! write ever waits longer than a step takes.

use super::Node;
use crate::config::settings::{Purge, Storage};
use crate::disk::snapshot::{
    Pushed, SnapshotEvent, SnapshotFailure, SnapshotTrailer, SnapshotWriter,
};
use crate::replica::Event;
use crate::tree::{ImageFacts, ImageProgress};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info, warn};
use zk_zab::Time;

/// How many nodes are copied under one guard.
const NODES_PER_STEP: usize = 400;
/// How much of the tree as it was may wait in memory for a slow disk. Beyond, the snapshot is given up.
const MOST_WAITING: usize = 64 << 20;
/// When to look again whether the disk has caught up.
const PATIENCE: Duration = Duration::from_millis(1);

/// A snapshot under way.
pub(super) struct Imaging {
    writer: SnapshotWriter,
    facts: ImageFacts,
    /// What the writer had no room for.
    held: Option<Bytes>,
    copied: bool,
    /// When to go on; `None` once it was given up and its writer is still ending.
    next_step: Option<Time>,
}

impl Imaging {
    /// When to go on.
    pub(super) const fn deadline(&self) -> Option<Time> {
        self.next_step
    }
}

impl Node {
    /// Freezes the tree and starts a writer. One at a time: the next one will be due again.
    pub(super) fn begin_snapshot(&mut self, now: Time) {
        self.trigger.reset();
        self.retry.begun();
        if self.imaging.is_some() {
            return;
        }
        if let Err(failure) = self.check_room() {
            return self.on_snapshot_failed(&failure, now);
        }
        if let Some(log) = &self.log {
            log.roll();
        }
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
                    next_step: Some(now),
                });
            }
            Err(error) => {
                self.replica.tree_mut().abort_image();
                let path = "of the tree".to_owned();
                let full = false;
                self.on_snapshot_failed(&SnapshotFailure { path, error, full }, now);
            }
        }
    }

    /// A snapshot that fills the disk takes the log's room, and the log's room is the server's life. It
    /// is not even begun: a roll alone may cost more than there is.
    fn check_room(&self) -> Result<(), SnapshotFailure> {
        /// What a node's path and data cost besides their bytes.
        const PER_NODE: u64 = 100;
        let bytes = {
            let tree = self.replica.tree();
            tree.approximate_data_size() + PER_NODE * tree.node_count() as u64
        };
        let (full, error) = match self.store.has_room_for(bytes) {
            Ok(true) => return Ok(()),
            Ok(false) => (true, io::ErrorKind::StorageFull.into()),
            Err(error) => (false, error),
        };
        let path = format!("of about {bytes} bytes");
        Err(SnapshotFailure { path, error, full })
    }

    /// Copies out a little more, as long as the disk keeps up.
    pub(super) fn continue_snapshot(&mut self, now: Time) {
        let Some(imaging) = &mut self.imaging else {
            return;
        };
        if imaging.next_step.is_none_or(|next| now < next) {
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
                imaging.next_step = Some(now + PATIENCE);
                if self.replica.tree().image_backlog() > MOST_WAITING {
                    self.give_up_snapshot();
                }
            }
            Pushed::Gone => self.abort_snapshot(),
        }
    }

    fn finish_snapshot(&mut self) {
        if let Some(Imaging { writer, facts, .. }) = self.imaging.take() {
            let trailer = SnapshotTrailer {
                digest: facts.digest.map(|digest| (facts.zxid, digest)),
                last_zxid: self.store.writes_last_zxid().then_some(facts.zxid),
            };
            self.store.finish_snapshot(writer, trailer);
        }
    }

    /// The disk is so slow that the tree as it was fills the memory. The writer may be waiting for that
    /// disk; nobody waits for the writer. Another attempt follows when it has ended.
    pub(super) fn give_up_snapshot(&mut self) {
        if self.imaging.is_none() {
            return;
        }
        self.replica.tree_mut().abort_image();
        if let Some(imaging) = &mut self.imaging {
            imaging.writer.give_up();
            imaging.held = None;
            imaging.next_step = None;
        }
    }

    /// Gives up the snapshot being taken; a later one will do.
    pub(super) fn abort_snapshot(&mut self) {
        if let Some(imaging) = self.imaging.take() {
            self.replica.tree_mut().abort_image();
            imaging.writer.abort();
        }
    }

    pub(super) fn on_snapshot_ended(&mut self, event: SnapshotEvent, now: Time) {
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
                self.retry = Retry::default();
                if self.replica.config().storage.purge == Purge::AfterEverySnapshot {
                    self.store.purge();
                }
            }
            SnapshotEvent::Failed(failure) => {
                self.abort_snapshot();
                self.on_snapshot_failed(&failure, now);
            }
            SnapshotEvent::Aborted(zxid) => {
                let given_up = |imaging: &Imaging| imaging.next_step.is_none();
                if self.imaging.as_ref().is_some_and(given_up) {
                    self.imaging = None;
                    let path = format!("of {zxid:#x}");
                    let error = io::Error::new(io::ErrorKind::TimedOut, "the disk is too slow");
                    let full = false;
                    self.on_snapshot_failed(&SnapshotFailure { path, error, full }, now);
                }
            }
        }
    }

    /// The server can do without a snapshot for a long time, but not for ever: it is tried again (P23).
    fn on_snapshot_failed(&mut self, failure: &SnapshotFailure, now: Time) {
        self.replica
            .metrics()
            .here()
            .counters
            .snapshot_error_count
            .increment();
        let again = self.retry.failed(now);
        error!(
            retry_s = again.as_secs(),
            "{failure}; serving goes on, the log keeps everything"
        );
        if failure.full {
            self.store.purge();
        }
    }
}

/// When to try again after a snapshot failed: soon, then ever less often.
#[derive(Debug, Default)]
pub(super) struct Retry {
    due: Option<Time>,
    wait: Option<Duration>,
}

impl Retry {
    const FIRST: Duration = Duration::from_secs(2);
    const LONGEST: Duration = Duration::from_secs(300);

    /// When to look again.
    pub(super) const fn deadline(&self) -> Option<Time> {
        self.due
    }

    /// Whether it is time. After a failure its own time counts, however much is logged meanwhile.
    pub(super) fn is_due(&self, now: Time, trigger: bool) -> bool {
        self.due.map_or(trigger, |due| due <= now)
    }

    /// Another attempt has begun, for whatever reason.
    const fn begun(&mut self) {
        self.due = None;
    }

    /// It failed. Says how long to wait.
    fn failed(&mut self, now: Time) -> Duration {
        let longer = |wait: Duration| (2 * wait).min(Self::LONGEST);
        let wait = self.wait.map_or(Self::FIRST, longer);
        self.wait = Some(wait);
        self.due = Some(now + wait);
        wait
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
    fn a_failed_snapshot_is_tried_again_ever_less_often() {
        let mut retry = Retry::default();
        assert_eq!(retry.deadline(), None);
        let mut now = Time::since_start(Duration::from_secs(10));
        let mut waits = Vec::new();
        for _ in 0..10 {
            waits.push(retry.failed(now).as_secs());
            assert!(!retry.is_due(now, true));
            now = retry.deadline().unwrap();
            assert!(retry.is_due(now, false));
            retry.begun();
            assert!(
                !retry.is_due(now, false),
                "an attempt under way is not begun twice"
            );
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

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
