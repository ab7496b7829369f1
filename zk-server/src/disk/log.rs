//! The log's thread: everything waiting goes to the disk with one write and one fsync.
//!
//! The caller hands over batches and hears, through one callback, up to where they are durable (P20),
//! or once that the log has failed and will never acknowledge anything again (P22). The queue is
//! bounded in bytes and a hand-over never blocks: what does not fit comes back.

mod queue;
#[cfg(test)]
mod tests;

use super::files::{Files, is_full};
use super::store::{LogRecord, LogStore, StoreOptions};
use queue::{Queue, Taken, weight};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zk_proto::Zxid;

/// How the log is written.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The files.
    pub store: StoreOptions,
    /// The most transactions in one write (`maxBatchSize`).
    pub batch_count: usize,
    /// The most bytes in one write; a single longer transaction still goes alone.
    pub batch_bytes: usize,
    /// How long a transaction may wait for others to share its fsync (`flushDelay`).
    pub flush_delay: Duration,
    /// How long the line may be silent before what waits is written anyway
    /// (`maxWriteQueuePollTime`).
    pub flush_idle: Duration,
    /// How many bytes may wait before [`Log::append`] refuses.
    pub queue_bytes: usize,
    /// From which duration on an fsync is counted as slow and logged (`fsync.warningthresholdms`).
    pub slow_fsync: Duration,
    /// How old the durable mark may become before it gets an fsync of its own.
    pub mark_age: Duration,
}

impl LogOptions {
    /// Java's defaults.
    pub const fn new(store: StoreOptions) -> Self {
        Self {
            store,
            batch_count: 1000,
            batch_bytes: 4 << 20,
            flush_delay: Duration::ZERO,
            flush_idle: Duration::ZERO,
            queue_bytes: 64 << 20,
            slow_fsync: Duration::from_secs(1),
            mark_age: Duration::from_secs(1),
        }
    }
}

/// What the log has to say.
#[derive(Debug)]
pub enum LogEvent {
    /// A batch is durable, and so is everything before it.
    Persisted {
        /// Its last transaction.
        through: Zxid,
        /// How long the fsync took.
        took: Duration,
        /// And what was before it.
        wrote: Duration,
        /// How many transactions it was for.
        txns: usize,
        /// What they took in the log.
        bytes: u64,
    },
    /// A requested roll is done: what is appended from now on goes to a new file.
    Rolled {
        /// The last transaction of the files before.
        last: Zxid,
    },
    /// The log is dead. Said once; nothing is acknowledged after it.
    Failed(LogFailure),
    /// The thread panicked, which is the end of the log as well (P35).
    Panicked,
}

/// Why the log is dead.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the transaction log failed after {durable}: {error}{}", full_hint(*.full))]
pub struct LogFailure {
    /// The last transaction known to be durable.
    pub durable: Zxid,
    /// Which file it was, and what the system said.
    pub error: Arc<io::Error>,
    /// Whether the disk is full: then room and a restart are all it takes (P23).
    pub full: bool,
}

const fn full_hint(full: bool) -> &'static str {
    if full {
        "; free some space and restart"
    } else {
        "; check the disk before restarting"
    }
}

/// A batch that was not taken, as it was.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The disk is too slow for what comes in. Try again after the next [`LogEvent::Persisted`].
    Full(Vec<LogRecord>),
    /// The log has failed.
    Dead(Vec<LogRecord>),
}

/// How long the disk takes, since the start or the last reset.
#[derive(Debug)]
pub struct LogStats {
    fsyncs: AtomicU64,
    slow: AtomicU64,
    total_micros: AtomicU64,
    min_micros: AtomicU64,
    max_micros: AtomicU64,
    txns: AtomicU64,
    bytes: AtomicU64,
}

/// Numbers read from [`LogStats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogNumbers {
    /// How many fsyncs of the log there were.
    pub fsyncs: u64,
    /// How many took longer than the threshold.
    pub slow: u64,
    /// What they took together.
    pub total: Duration,
    /// The quickest; zero if there was none.
    pub min: Duration,
    /// The slowest.
    pub max: Duration,
    /// How many transactions were written.
    pub txns: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Default for LogStats {
    fn default() -> Self {
        Self {
            fsyncs: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            total_micros: AtomicU64::new(0),
            min_micros: AtomicU64::new(u64::MAX),
            max_micros: AtomicU64::new(0),
            txns: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }
}

impl LogStats {
    /// Reads them.
    pub fn read(&self) -> LogNumbers {
        let fsyncs = self.fsyncs.load(Ordering::Relaxed);
        let min = if fsyncs == 0 {
            0
        } else {
            self.min_micros.load(Ordering::Relaxed)
        };
        LogNumbers {
            fsyncs,
            slow: self.slow.load(Ordering::Relaxed),
            total: Duration::from_micros(self.total_micros.load(Ordering::Relaxed)),
            min: Duration::from_micros(min),
            max: Duration::from_micros(self.max_micros.load(Ordering::Relaxed)),
            txns: self.txns.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    fn note(&self, took: Duration, slow: bool, batch: &[LogRecord]) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
        self.slow.fetch_add(u64::from(slow), Ordering::Relaxed);
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
        self.min_micros.fetch_min(micros, Ordering::Relaxed);
        self.max_micros.fetch_max(micros, Ordering::Relaxed);
        self.txns.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.bytes
            .fetch_add(weight(batch) as u64, Ordering::Relaxed);
    }
}

/// The log's other end.
#[derive(Debug)]
pub struct Log {
    queue: Arc<Queue>,
    stats: Arc<LogStats>,
    thread: Option<JoinHandle<Result<(), LogFailure>>>,
}

impl Log {
    /// Starts the thread. Transactions after `last` are expected; `on_event` is called on the thread.
    pub fn start(
        files: Arc<dyn Files>,
        options: LogOptions,
        last: Zxid,
        on_event: impl FnMut(LogEvent) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(options.queue_bytes));
        let stats = Arc::new(LogStats::default());
        let writer = Writer {
            store: LogStore::new(files, options.store.clone(), last),
            options,
            queue: Arc::clone(&queue),
            stats: Arc::clone(&stats),
            marked: Instant::now(),
            on_event,
        };
        let thread = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.run())?;
        Ok(Self {
            queue,
            stats,
            thread: Some(thread),
        })
    }

    /// Hands over a batch, in zxid order, after all before it.
    pub fn append(&self, batch: Vec<LogRecord>) -> Result<(), Refused> {
        self.queue.append(batch)
    }

    /// Whether less than half of the queue is in use; a server that accepts new work only then never
    /// sees [`Refused::Full`].
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Ends the file behind what was appended so far; answered by [`LogEvent::Rolled`].
    pub fn roll(&self) {
        self.queue.roll();
    }

    /// The latencies.
    pub const fn stats(&self) -> &Arc<LogStats> {
        &self.stats
    }

    /// Writes all that was handed over, makes it durable, and ends the thread.
    pub fn close(mut self) -> Result<(), LogFailure> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), LogFailure> {
        self.queue.close();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Nothing more is written on behalf of whoever panics, and nobody waits for a disk now.
            self.queue.die();
            self.queue.close();
        } else if self.thread.is_some() {
            // Whoever wants to know of a failure calls `close`; the event told it anyway.
            if let Err(failure) = self.finish() {
                tracing::debug!(%failure, "log closed after its failure");
            }
        }
    }
}

struct Writer<F: FnMut(LogEvent)> {
    store: LogStore,
    options: LogOptions,
    queue: Arc<Queue>,
    stats: Arc<LogStats>,
    /// When the mark was last made durable.
    marked: Instant,
    on_event: F,
}

impl<F: FnMut(LogEvent)> Drop for Writer<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.queue.die();
            (self.on_event)(LogEvent::Panicked);
        }
    }
}

impl<F: FnMut(LogEvent)> Writer<F> {
    fn run(mut self) -> Result<(), LogFailure> {
        self.work().map_err(|error| {
            self.queue.die();
            let failure = LogFailure {
                durable: self.store.durable(),
                full: is_full(&error),
                error: Arc::new(error),
            };
            (self.on_event)(LogEvent::Failed(failure.clone()));
            failure
        })
    }

    fn work(&mut self) -> io::Result<()> {
        loop {
            let patience = self.store.is_mark_stale().then_some(self.options.mark_age);
            match self.queue.take(&self.options, patience) {
                Taken::Batch(batch) => self.persist(&batch)?,
                Taken::Roll => {
                    self.store.roll()?;
                    let last = self.store.durable();
                    (self.on_event)(LogEvent::Rolled { last });
                }
                // Nobody waits for the disk now, so the note may take an fsync of its own.
                Taken::Quiet => self.save_mark(),
                Taken::Closed => return self.store.roll(),
            }
        }
    }

    fn persist(&mut self, batch: &[LogRecord]) -> io::Result<()> {
        let writing = Instant::now();
        self.store.write(batch)?;
        let (began, wrote) = (Instant::now(), writing.elapsed());
        let durable = self.store.sync()?;
        let took = began.elapsed();
        let slow = took >= self.options.slow_fsync;
        self.stats.note(took, slow, batch);
        (self.on_event)(LogEvent::Persisted {
            through: durable,
            took,
            wrote,
            txns: batch.len(),
            bytes: batch.iter().map(LogRecord::len_on_disk).sum(),
        });
        if slow {
            tracing::warn!(?took, zxid = %durable, "fsync of the log is slow");
        }
        if self.store.is_over_limit() {
            self.store.roll()?;
        } else if self.marked.elapsed() >= self.options.mark_age && self.store.is_mark_stale() {
            // Nobody waits for it: what was written has been acknowledged.
            self.save_mark();
        }
        Ok(())
    }

    fn save_mark(&mut self) {
        self.store.save_mark();
        self.marked = Instant::now();
    }
}
