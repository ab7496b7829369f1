//! What a server's disk holds, and what it has only been told. A crash keeps the first, and of the second
//! as much as had reached the platter.

use crate::rng::Rng;
use bytes::Bytes;
use std::collections::VecDeque;
use zk_proto::{Epoch, Zxid};
use zk_zab::{Epochs, Input, LinkId};

pub(crate) type Entry = (Zxid, Bytes);

/// Something the disk was told to do.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Append(Entry),
    Accept(Epoch),
    Adopt(Epoch),
    Truncate(Zxid),
    Install(LinkId, Zxid, Vec<Entry>),
}

/// A model disk: one queue, one platter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) epochs: Epochs,
    /// The snapshot, by the name it has and what is in it.
    pub(crate) snapshot: (Zxid, Vec<Entry>),
    /// The log behind it.
    pub(crate) log: Vec<Entry>,
    pub(crate) queue: VecDeque<Op>,
}

impl Disk {
    pub(crate) fn last(&self) -> Zxid {
        self.log.last().map_or(self.snapshot.0, |(zxid, _)| *zxid)
    }

    /// Everything it holds, from the first transaction on.
    pub(crate) fn content(&self) -> Vec<Entry> {
        self.snapshot.1.iter().chain(&self.log).cloned().collect()
    }

    /// Everything it would hold if the queue were done.
    pub(crate) fn content_to_be(&self) -> Vec<Entry> {
        let mut later = self.clone();
        while let Some(op) = later.queue.pop_front() {
            later.apply(op);
        }
        later.content()
    }

    /// A snapshot of everything, as Java's servers take one when they start to lead, whatever of it stands
    /// (ZOOKEEPER-1549). Nothing before it can be cut any more.
    pub(crate) fn snapshot_all(&mut self) {
        self.snapshot = (self.last(), self.content());
        self.log.clear();
    }

    pub(crate) fn holds(&self, zxid: Zxid) -> bool {
        let among = |entries: &[Entry]| {
            entries
                .binary_search_by(|(held, _)| held.cmp(&zxid))
                .is_ok()
        };
        among(&self.log) || among(&self.snapshot.1)
    }

    /// Some of what is at the front of the queue becomes durable. What the server hears of it.
    pub(crate) fn work(&mut self, rng: &mut Rng) -> Option<Input> {
        let first = self.queue.pop_front()?;
        let is_append = matches!(first, Op::Append(_));
        let mut said = self.apply(first);
        if matches!(said, Input::TruncateFailed) {
            // Nobody writes on behind a cut that could not be made.
            self.queue.clear();
        }
        // Appends that wait together are written together.
        while is_append
            && matches!(self.queue.front(), Some(Op::Append(_)))
            && !rng.permille(200)
            && let Some(op) = self.queue.pop_front()
        {
            said = self.apply(op);
        }
        Some(said)
    }

    /// Exactly one thing becomes durable.
    pub(crate) fn work_one(&mut self) -> Option<Input> {
        let op = self.queue.pop_front()?;
        Some(self.apply(op))
    }

    /// Power is lost: of the queue the first few may have made it, but nobody heard.
    pub(crate) fn crash(&mut self, rng: &mut Rng) {
        let survive = rng.index(self.queue.len() + 1);
        for op in self.queue.drain(..survive).collect::<Vec<_>>() {
            // Nobody writes on behind a cut that could not be made.
            if matches!(self.apply(op), Input::TruncateFailed) {
                break;
            }
        }
        self.queue.clear();
    }

    fn apply(&mut self, op: Op) -> Input {
        match op {
            Op::Append((zxid, payload)) => {
                assert!(zxid > self.last(), "a log only grows");
                self.log.push((zxid, payload));
                Input::Persisted { through: zxid }
            }
            Op::Accept(epoch) => {
                assert!(epoch > self.epochs.accepted, "I2");
                self.epochs.accepted = epoch;
                Input::AcceptedPersisted { epoch }
            }
            Op::Adopt(epoch) => {
                assert!(epoch > self.epochs.current, "I2");
                assert!(epoch <= self.epochs.accepted, "I2");
                self.epochs.current = epoch;
                Input::CurrentPersisted { epoch }
            }
            Op::Truncate(to) => {
                let kept = self.log.partition_point(|(zxid, _)| *zxid <= to);
                let last = self.log[..kept]
                    .last()
                    .map_or(self.snapshot.0, |(zxid, _)| *zxid);
                if last != to {
                    return Input::TruncateFailed;
                }
                self.log.truncate(kept);
                Input::Truncated { to }
            }
            Op::Install(link, zxid, content) => {
                self.snapshot = (zxid, content);
                self.log.clear();
                Input::SnapshotReceived { link, zxid }
            }
        }
    }
}
