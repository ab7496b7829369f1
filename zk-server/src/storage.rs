//! From a configuration to an opened data directory: locked, recovered, with its log ready.
//!
//! The disk knows no tree and the tree no disk; they are introduced here.

mod clearing;
mod crew;
mod recent;
#[cfg(test)]
mod tests;
use crate::config::Config;
use crate::config::settings;
use crate::disk::dirs::{DirError, Dirs};
use crate::disk::epoch::{self, EpochError};
use crate::disk::files::{Files, Space};
use crate::disk::leave::Leave;
use crate::disk::lock::{DirLock, LockError};
use crate::disk::log::{Log, LogEvent, LogOptions};
use crate::disk::names::Compression;
use crate::disk::purge::{Looked, PurgeDirs, Retention};
use crate::disk::recovery::{self, RecoveryError, RecoveryOptions};
use crate::disk::snapshot::{
    Refusal, SnapshotEvent, SnapshotFailure, SnapshotFile, SnapshotLimits, SnapshotSink,
    SnapshotTrailer, SnapshotWriter,
};
use crate::disk::store::StoreOptions;
use crate::disk::stretch::{Shelf, Stretch};
use crate::metrics::Metrics;
use crate::replica::Event;
use crate::tree::{DigestAlgorithm, ImageProgress, Restore, Rules, Tree, Trust};
use bytes::Bytes;
use clearing::Clearing;
use crew::Crew;
pub(crate) use recent::Recent;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, info, warn};
use zk_proto::txn::TxnRecord;
use zk_proto::{Acl, Epoch, SessionId, StoredStat, Zxid};
use zk_zab::Epochs;

pub(crate) mod rejoin;

/// Why a data directory cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It is missing, or not what it should be.
    #[error(transparent)]
    Dirs(#[from] DirError),
    /// It is in use.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// What is in it cannot be trusted.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// There is nothing in it, and it must not begin empty.
    #[error(
        "{0} holds no database, and db.autocreate is false: restore the data, or set db.autocreate=true, or make an empty file named initialize in the log directory"
    )]
    Empty(PathBuf),
    /// What the member has promised cannot be trusted.
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// The snapshot that must be there before the first write cannot be written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotFailure),
    /// A thread cannot start.
    #[error("cannot start the log's thread: {0}")]
    Thread(io::Error),
}

/// What an opened directory holds.
pub(crate) struct Opened {
    pub(crate) tree: Tree,
    /// What the history ends with.
    pub(crate) recent: Recent,
    /// What a member of an ensemble has promised.
    pub(crate) epochs: Option<Epochs>,
    pub(crate) log: Log,
    pub(crate) store: Store,
}

/// What peers may say in one field.
pub(crate) const fn peer_field_limit(config: &Config) -> usize {
    field_limit(config)
}

/// The snapshots' side of a data directory, and its lock.
pub(crate) struct Store {
    files: Arc<dyn Files>,
    config: settings::Storage,
    dirs: Dirs,
    limits: SnapshotLimits,
    metrics: Arc<Metrics>,
    /// Held by the one purge at work.
    purging: Arc<Mutex<()>>,
    clearing: Clearing,
    /// Before the lock, which outlives everyone who writes.
    crew: Crew,
    /// Only held; in a mutex because the store is looked at from several threads.
    _lock: Mutex<DirLock>,
}

/// Opens, locks and recovers. Blocks for as long as that takes.
pub(crate) fn open(
    files: Arc<dyn Files>,
    config: &Config,
    metrics: Arc<Metrics>,
    door: UnboundedSender<Event>,
) -> Result<Opened, StorageError> {
    let began = Instant::now();
    let settings = &config.storage;
    let dirs = Dirs::new(
        settings.data_dir.clone(),
        Some(settings.data_log_dir.clone()),
    );
    dirs.prepare(&*files, settings.datadir_autocreate)?;
    let lock = DirLock::take(&*files, &dirs.snapshots(), &dirs.txns())?;
    let store = Store {
        files,
        config: settings.clone(),
        dirs,
        limits: SnapshotLimits {
            field: field_limit(config),
            ..SnapshotLimits::default()
        },
        metrics,
        purging: Arc::default(),
        clearing: Clearing::default(),
        crew: Crew::default(),
        _lock: Mutex::new(lock),
    };
    let (tree, recent) = store.recover(config)?;
    let epochs = store.epochs(config, tree.last_zxid())?;
    let log = store.start_log(config, tree.last_zxid(), door)?;
    store
        .metrics
        .here()
        .timings
        .dbinittime
        .record(began.elapsed());
    Ok(Opened {
        tree,
        recent,
        epochs,
        log,
        store,
    })
}

impl Store {
    fn recover(&self, config: &Config) -> Result<(Tree, Recent), StorageError> {
        let mut options = RecoveryOptions::new(self.dirs.snapshots(), self.dirs.txns());
        options.limits = self.limits;
        options.txn_limit = field_limit(config);
        options.trust_empty = self.config.trust_empty;
        options.drop_damaged_tail = self.config.drop_damaged_tail;
        let mut recovering = Recovering::new(rules(config));
        let recovered = recovery::recover(&*self.files, &options, &mut recovering)?;
        let (mut tree, recent) = recovering.finish(&recovered);
        if recovered.fresh {
            // Asked for first: the file is to be gone once it has had its effect (or none).
            let meant = self.dirs.take_initialize(&*self.files)?;
            if !meant && !self.config.db_autocreate {
                return Err(StorageError::Empty(self.dirs.snapshots()));
            }
        } else {
            self.count_recovery(&recovered);
        }
        let undefined = tree.undefined_acls();
        if undefined > 0 {
            warn!(
                nodes = undefined,
                "the snapshot does not define the ACLs of some nodes, nor does the log: only the superuser can reach them"
            );
        }
        // What a member of an ensemble removed by itself the others would still have.
        let orphans = if config.ensemble.is_none() {
            tree.kill_orphans()
        } else {
            0
        };
        if orphans > 0 {
            warn!(
                orphans,
                "ephemeral nodes of sessions that are gone were removed"
            );
        }
        if recovered.snapshot.is_none() || orphans > 0 {
            // Nobody, Java least of all, opens logs without a snapshot before them.
            self.write_snapshot_now(&mut tree)?;
        }
        if !recovered.fresh {
            info!(
                snapshot = recovered.snapshot.map(|zxid| format!("{zxid:#x}")),
                replayed = recovered.txns,
                zxid = format_args!("{:#x}", recovered.last),
                sessions = tree.session_count(),
                nodes = tree.shown_node_count(),
                "data recovered"
            );
        }
        Ok((tree, recent))
    }

    /// Looks whether the logs hold what a learner misses. Blocks.
    pub(crate) fn find_stretch(&self, after: Zxid, through: Zxid) -> io::Result<Option<Stretch>> {
        let shelf = Shelf {
            snapshots: self.dirs.snapshots(),
            logs: self.dirs.txns(),
            txn_limit: self.limits.field,
        };
        Stretch::find(&*self.files, &shelf, after, through)
    }

    /// The epochs of a member. One that has none yet is new, and has promised nothing.
    fn epochs(&self, config: &Config, last: Zxid) -> Result<Option<Epochs>, StorageError> {
        if config.ensemble.is_none() {
            return Ok(None);
        }
        let dir = self.dirs.snapshots();
        let found = epoch::Epochs::read(&*self.files, &dir)?;
        let (accepted, current) = found.check(&dir, last)?;
        // The agreement raises the current one, where the log is ahead of it, before it votes.
        let current = found.current.unwrap_or(current);
        if found.accepted.is_none() {
            self.write_epoch(epoch::ACCEPTED, accepted)?;
        }
        if found.current.is_none() {
            self.write_epoch(epoch::CURRENT, current)?;
        }
        Ok(Some(Epochs { accepted, current }))
    }

    /// Writes an epoch, durably. Blocks.
    pub(crate) fn write_epoch(&self, name: &'static str, epoch: Epoch) -> Result<(), EpochError> {
        epoch::write_epoch(&*self.files, &self.dirs.snapshots(), name, epoch)
    }

    fn count_recovery(&self, recovered: &recovery::Recovered) {
        let here = self.metrics.here();
        if recovered.snapshot.is_some() {
            here.timings
                .startup_snap_load_time
                .record(recovered.restore_time);
        }
        here.timings
            .startup_txns_load_time
            .record(recovered.replay_time);
        here.amounts.startup_txns_loaded.record(recovered.txns);
    }

    fn start_log(
        &self,
        config: &Config,
        last: Zxid,
        door: UnboundedSender<Event>,
    ) -> Result<Log, StorageError> {
        let mut store = StoreOptions::new(self.dirs.txns());
        store.preallocate = self.log_step();
        store.force_sync = self.config.force_sync;
        store.roll_above = self.config.txn_log_size_limit;
        let mut options = LogOptions::new(store);
        options.batch_count = config.storage.max_batch_size as usize;
        options.flush_delay = self.config.flush_delay.unwrap_or_default();
        options.flush_idle = self.config.max_write_queue_poll_time;
        options.slow_fsync = self.config.fsync_warning_threshold;
        let (metrics, synced) = (Arc::clone(&self.metrics), self.config.force_sync);
        let tell = move |event| {
            let event = match event {
                LogEvent::Persisted {
                    through,
                    took,
                    wrote,
                    txns,
                    bytes,
                } => {
                    count_flush(&metrics, synced.then_some(took), wrote, txns as u64);
                    Event::Persisted { through, bytes }
                }
                LogEvent::Failed(failure) => Event::LogFailed(failure),
                LogEvent::Panicked => Event::VitalPanicked("log's thread"),
                LogEvent::Rolled { .. } => return,
            };
            // A loop that has stopped has nothing to learn any more.
            drop(door.send(event));
        };
        Log::start(Arc::clone(&self.files), options, last, tell).map_err(StorageError::Thread)
    }

    /// By how much a log grows at once. A small disk must not be full of what is only reserved.
    fn log_step(&self) -> u64 {
        const PART_OF_DISK: u64 = 32;
        const SMALLEST: u64 = 64 << 10;
        let step = self.config.prealloc;
        match self.files.space(&self.dirs.txns()) {
            Ok(Space { total, .. }) => step.min((total / PART_OF_DISK).max(SMALLEST)),
            Err(error) => {
                warn!(%error, "the size of the log's disk is unknown");
                step
            }
        }
    }

    /// Whether a snapshot of about `bytes` finds room without taking it from the log (P23).
    pub(crate) fn has_room_for(&self, bytes: u64) -> io::Result<bool> {
        let space = self.files.space(&self.dirs.snapshots())?;
        let log = self.log_step().saturating_mul(2);
        Ok(space.free >= bytes.saturating_add(log))
    }

    /// Whether snapshots end with the last zxid.
    pub(crate) const fn writes_last_zxid(&self) -> bool {
        self.config.serialize_last_zxid
    }

    /// Starts a thread that writes a snapshot from the pieces it is given.
    pub(crate) fn write_snapshot(
        &self,
        zxid: Zxid,
        on_event: impl FnOnce(SnapshotEvent) + Send + 'static,
    ) -> io::Result<SnapshotWriter> {
        let file = SnapshotFile {
            dir: self.dirs.snapshots(),
            zxid,
            compression: match self.config.compression {
                settings::Compression::None => Compression::None,
                settings::Compression::Gzip => Compression::Gzip,
                settings::Compression::Snappy => Compression::Snappy,
            },
        };
        SnapshotWriter::start(Arc::clone(&self.files), file, on_event)
    }

    /// Says that a snapshot is complete. It is waited for before the directory is let go of.
    pub(crate) fn finish_snapshot(&self, writer: SnapshotWriter, trailer: SnapshotTrailer) {
        if let Some(thread) = writer.finish(trailer) {
            self.crew.keep(thread);
        }
    }

    /// Writes a snapshot of a tree that nobody else looks at yet, and waits for it.
    fn write_snapshot_now(&self, tree: &mut Tree) -> Result<(), StorageError> {
        const NODES_AT_ONCE: usize = 4096;
        let mut piece = Vec::new();
        let facts = tree
            .begin_image(&mut piece)
            .expect("no other image is being taken at start");
        let (sender, ended) = mpsc::channel();
        let writer = self
            .write_snapshot(facts.zxid, move |event| drop(sender.send(event)))
            .map_err(StorageError::Thread)?;
        loop {
            if !writer.push_waiting(Bytes::from(std::mem::take(&mut piece))) {
                break;
            }
            let progress = tree.step_image(NODES_AT_ONCE, &mut piece);
            if !matches!(progress, Ok(ImageProgress::More)) {
                writer.push_waiting(Bytes::from(piece));
                break;
            }
        }
        tree.abort_image();
        let trailer = SnapshotTrailer {
            digest: facts.digest.map(|digest| (facts.zxid, digest)),
            last_zxid: self.writes_last_zxid().then_some(facts.zxid),
        };
        self.finish_snapshot(writer, trailer);
        match ended.recv() {
            Ok(SnapshotEvent::Written(written)) => {
                let timings = &self.metrics.here().timings;
                timings.snapshottime.record(written.took);
                Ok(())
            }
            Ok(SnapshotEvent::Failed(failure)) => Err(failure.into()),
            Ok(SnapshotEvent::Aborted(_)) | Err(_) => {
                unreachable!("the snapshot was finished, and its thread says how")
            }
        }
    }

    /// Removes what no recovery needs any more, on a thread of its own.
    pub(crate) fn purge(&self) {
        if self.config.purge == settings::Purge::Never {
            return;
        }
        let files = Arc::clone(&self.files);
        let dirs = PurgeDirs {
            snapshots: self.dirs.snapshots(),
            logs: self.dirs.txns(),
        };
        let retention = Retention {
            keep: self.config.retain_count as usize,
            low_space: self.config.disk_headroom.unwrap_or(0),
        };
        let (limits, purging) = (self.limits, Arc::clone(&self.purging));
        let clearing = self.clearing.clone();
        let work = move |leave: &Leave| {
            // Two would read the same files.
            let alone = purging.lock().unwrap_or_else(PoisonError::into_inner);
            let look = || Looked::at(&*files, &dirs, retention, limits, leave);
            let purged = clearing.after_a_look(look, |looked| looked.remove(&*files, &dirs, None));
            drop(alone);
            match purged {
                Ok((plan, removed)) => {
                    let (snapshots, logs) = (plan.snapshots.len(), plan.logs.len());
                    if snapshots + logs > 0 {
                        info!(snapshots, logs, "old files removed");
                    }
                    removed.give_back(leave);
                }
                Err(_) if leave.is_asked() => {}
                Err(error) => warn!(%error, "old snapshots and logs could not be removed"),
            }
        };
        if let Err(error) = self.crew.start("purge", work) {
            error!(%error, "cannot start the purge");
        }
    }
}

fn count_flush(metrics: &Metrics, fsync: Option<Duration>, wrote: Duration, txns: u64) {
    let here = metrics.here();
    here.amounts.sync_processor_batch_size.record(txns);
    here.timings.sync_process_time.record_shared(wrote, txns);
    if let Some(took) = fsync {
        here.timings.fsynctime.record(took);
        here.latencies
            .sync_processor_queue_flush_time_ms
            .record(took);
    }
}

/// What a peer, or a restarted server, reads of a single string, buffer or transaction.
const fn field_limit(config: &Config) -> usize {
    let limits = &config.limits;
    (limits.jute_maxbuffer as usize).saturating_add(limits.jute_maxbuffer_extrasize as usize)
}

/// The rules of the tree, from what the operator wrote.
fn rules(config: &Config) -> Rules {
    use settings::DigestAlgorithm as Configured;
    let security = &config.security;
    let algorithm = match security.digest_algorithm {
        Configured::Sha1 => DigestAlgorithm::Sha1,
        Configured::Sha224 => DigestAlgorithm::Sha224,
        Configured::Sha256 => DigestAlgorithm::Sha256,
        Configured::Sha384 => DigestAlgorithm::Sha384,
        Configured::Sha512 => DigestAlgorithm::Sha512,
    };
    Rules {
        extended_types: config.misc.extended_types,
        emulate_353: config.misc.emulate_353_ttl,
        skip_acl: security.skip_acl,
        enforce_quota: security.enforce_quota,
        digest: config.storage.digest_enabled,
        close_session_txn_list: config.sessions.close_session_txn,
        max_txn_len: field_limit(config),
        digest_auth: security.digest_scheme.then_some(algorithm),
        super_digest: security
            .super_digest
            .as_ref()
            .map(|secret| secret.reveal().to_owned()),
        hash_seed: {
            use std::hash::{BuildHasher, RandomState};
            RandomState::new().hash_one(0)
        },
        ..Rules::default()
    }
}

/// A tree on its way from the files.
struct Recovering {
    rules: Rules,
    state: State,
    recent: Recent,
}

enum State {
    /// A snapshot is being poured in.
    Restoring(Box<Restore>),
    /// Transactions are being applied.
    Applying(Box<Tree>),
}

impl Recovering {
    fn new(rules: Rules) -> Self {
        let state = State::Applying(Box::new(Tree::new(rules.clone())));
        let recent = Recent::after(Zxid::ZERO);
        Self {
            rules,
            state,
            recent,
        }
    }

    fn restoring(&mut self) -> &mut Restore {
        match &mut self.state {
            State::Restoring(restore) => restore,
            State::Applying(_) => unreachable!("a snapshot begins with a reset"),
        }
    }

    fn finish(self, recovered: &recovery::Recovered) -> (Tree, Recent) {
        match self.state {
            State::Restoring(_) => unreachable!("recovery ends with a whole tree"),
            State::Applying(mut tree) => {
                tree.advance_zxid(recovered.last);
                // Recovery has compared every digest there was to compare.
                tree.set_trust(if recovered.doubtful {
                    Trust::Unknown
                } else {
                    Trust::Exact
                });
                (*tree, self.recent)
            }
        }
    }
}

impl SnapshotSink for Recovering {
    fn session(&mut self, session: SessionId, timeout: i32) -> Result<(), Refusal> {
        Ok(self.restoring().session(session, timeout)?)
    }

    fn acl(&mut self, id: i64, acl: Vec<Acl>) -> Result<(), Refusal> {
        Ok(self.restoring().acl(id, &acl)?)
    }

    fn node(
        &mut self,
        path: &str,
        data: Option<Bytes>,
        acl: i64,
        stat: StoredStat,
    ) -> Result<(), Refusal> {
        Ok(self.restoring().node(path, data.as_deref(), acl, &stat)?)
    }
}

impl recovery::Replica for Recovering {
    fn reset(&mut self) {
        self.state = State::Restoring(Box::new(Restore::new(self.rules.clone())));
    }

    fn restored(&mut self, zxid: Zxid) -> Result<(), Refusal> {
        let empty = State::Applying(Box::new(Tree::new(self.rules.clone())));
        if let State::Restoring(restore) = std::mem::replace(&mut self.state, empty) {
            self.state = State::Applying(Box::new(restore.finish(zxid)?));
        }
        self.recent = Recent::after(zxid);
        Ok(())
    }

    fn start_empty(&mut self) {
        self.state = State::Applying(Box::new(Tree::new(self.rules.clone())));
        self.recent = Recent::after(Zxid::ZERO);
    }

    /// Digests are compared by the recovery, which knows what of a snapshot can be trusted.
    fn apply(&mut self, record: &TxnRecord, payload: &Bytes) -> Result<(), Refusal> {
        self.recent.push(record.header.zxid, payload);
        if let State::Applying(tree) = &mut self.state {
            tree.set_trust(Trust::Unknown);
            tree.apply(record);
        }
        Ok(())
    }

    fn digest(&self) -> Option<u64> {
        match &self.state {
            State::Restoring(_) => None,
            State::Applying(tree) => tree.digest(),
        }
    }
}
