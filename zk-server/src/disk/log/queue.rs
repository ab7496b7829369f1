//! What waits for the log's thread: bounded in bytes, joined and split into batches.

use super::{LogOptions, Refused};
use crate::disk::store::LogRecord;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) fn weight(batch: &[LogRecord]) -> usize {
    batch.iter().map(|record| record.payload.len()).sum()
}

#[derive(Debug)]
pub(super) enum Command {
    Append(Vec<LogRecord>),
    Roll,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
    limit: usize,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) commands: VecDeque<Command>,
    pub(super) bytes: usize,
    pub(super) count: usize,
    closed: bool,
    dead: bool,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn append(&self, batch: Vec<LogRecord>) -> Result<(), Refused> {
        let mut waiting = self.lock();
        if waiting.dead || waiting.closed {
            return Err(Refused::Dead(batch));
        }
        let weight = weight(&batch);
        // One batch alone is always taken, or a single great one could never be.
        if waiting.bytes > 0 && waiting.bytes + weight > self.limit {
            return Err(Refused::Full(batch));
        }
        waiting.bytes += weight;
        waiting.count += batch.len();
        waiting.commands.push_back(Command::Append(batch));
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    pub(super) fn has_room(&self) -> bool {
        self.lock().bytes < self.limit / 2
    }

    pub(super) fn roll(&self) {
        self.lock().commands.push_back(Command::Roll);
        self.changed.notify_one();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn die(&self) {
        let mut waiting = self.lock();
        waiting.dead = true;
        waiting.commands.clear();
        waiting.bytes = 0;
        waiting.count = 0;
    }

    /// Waits for work and takes a batch of it. The time given is how long to wait for any.
    pub(super) fn take(&self, options: &LogOptions, patience: Option<Duration>) -> Taken {
        let mut waiting = self.lock();
        while waiting.commands.is_empty() && !waiting.closed {
            waiting = match patience {
                None => self
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let (waiting, timeout) = self
                        .changed
                        .wait_timeout(waiting, patience)
                        .unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() && waiting.commands.is_empty() && !waiting.closed {
                        return Taken::Quiet;
                    }
                    waiting
                }
            };
        }
        let mut waiting = self.linger(waiting, options);
        match waiting.commands.pop_front() {
            None => Taken::Closed,
            Some(Command::Roll) => Taken::Roll,
            Some(Command::Append(batch)) => Taken::Batch(waiting.gather(batch, options)),
        }
    }

    /// Lets others join the batch, if that is wished.
    fn linger<'a>(
        &self,
        mut waiting: MutexGuard<'a, Waiting>,
        options: &LogOptions,
    ) -> MutexGuard<'a, Waiting> {
        if options.flush_delay.is_zero() {
            return waiting;
        }
        let began = Instant::now();
        while !waiting.closed && waiting.count < options.batch_count {
            let left = options.flush_delay.saturating_sub(began.elapsed());
            let idle = if options.flush_idle.is_zero() {
                left
            } else {
                left.min(options.flush_idle)
            };
            let before = waiting.count;
            if idle.is_zero() {
                break;
            }
            let (again, timeout) = self
                .changed
                .wait_timeout(waiting, idle)
                .unwrap_or_else(PoisonError::into_inner);
            waiting = again;
            if timeout.timed_out() && waiting.count == before {
                break;
            }
        }
        waiting
    }
}

pub(super) enum Taken {
    Batch(Vec<LogRecord>),
    Roll,
    Quiet,
    Closed,
}

impl Waiting {
    /// Joins what waits behind `batch` to it, up to the limits. A longer batch is split.
    pub(super) fn gather(
        &mut self,
        mut batch: Vec<LogRecord>,
        options: &LogOptions,
    ) -> Vec<LogRecord> {
        let mut bytes = weight(&batch);
        while batch.len() < options.batch_count && bytes < options.batch_bytes {
            match self.commands.pop_front() {
                Some(Command::Append(more)) => {
                    bytes += weight(&more);
                    batch.extend(more);
                }
                Some(Command::Roll) => {
                    self.commands.push_front(Command::Roll);
                    break;
                }
                None => break,
            }
        }
        let keep = fitting(&batch, options);
        let rest = batch.split_off(keep);
        self.bytes -= weight(&batch);
        self.count -= batch.len();
        if !rest.is_empty() {
            self.commands.push_front(Command::Append(rest));
        }
        batch
    }
}

/// How many of the records go into one write: at least one.
pub(super) fn fitting(batch: &[LogRecord], options: &LogOptions) -> usize {
    let mut bytes = 0;
    let within = batch.iter().take(options.batch_count).take_while(|record| {
        bytes += record.payload.len();
        bytes <= options.batch_bytes
    });
    within.count().max(1).min(batch.len())
}
