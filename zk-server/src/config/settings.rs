//! The configuration as the server uses it: plain values, read once, every "off" an `Option` and
//! every span of time a `Duration`. How they were written, and where, is forgotten here.
//!
//! Fields are public so that a test can start from `Config::default()` and change one.

use super::peers::Ensemble;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything a server is told before it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where clients connect.
    pub listen: Listen,
    /// Time: ticks and session timeouts.
    pub sessions: Sessions,
    /// Logs and snapshots.
    pub storage: Storage,
    /// What one client, and all clients together, may use.
    pub limits: Limits,
    /// What is slowed down before it is refused.
    pub throttling: Throttling,
    /// Who may do what.
    pub security: Security,
    /// Which four-letter words are answered.
    pub four_letter_words: FourLetterWords,
    /// Reaping of containers and expired nodes.
    pub containers: Containers,
    /// The ensemble this server is a member of; none for a standalone.
    pub ensemble: Option<Ensemble>,
    /// The rest.
    pub misc: Misc,
}

impl Config {
    /// The directory of snapshots, and what `conf` calls `dataDir`.
    pub fn snapshot_dir(&self) -> PathBuf {
        self.storage.data_dir.join(VERSION_DIR)
    }

    /// The directory of transaction logs, and what `conf` calls `dataLogDir`.
    pub fn log_dir(&self) -> PathBuf {
        self.storage.data_log_dir.join(VERSION_DIR)
    }
}

/// The directory below `dataDir` and `dataLogDir` that holds the files of this format.
const VERSION_DIR: &str = "version-2";

/// Where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The plain client port; none means no listener.
    pub client: Option<ClientAddress>,
    /// Accept backlog; none leaves it to the system.
    pub backlog: Option<u32>,
    /// TCP keep-alive on client sockets.
    pub tcp_keep_alive: bool,
}

/// An address to bind, not yet resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress {
    /// Host name or address; none is every interface.
    pub host: Option<String>,
    /// 0 takes any free port.
    pub port: u16,
}

/// Ticks and session timeouts. All fit Java's `int` of milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// The base unit of time.
    pub tick_time: Duration,
    /// Shortest timeout granted.
    pub min_timeout: Duration,
    /// Longest timeout granted.
    pub max_timeout: Duration,
    /// Whether the end of a session is logged with the paths of its ephemerals.
    pub close_session_txn: bool,
}

/// Logs and snapshots.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// Snapshots and `myid`; the files are in [`Config::snapshot_dir`].
    pub data_dir: PathBuf,
    /// Transaction logs; the files are in [`Config::log_dir`].
    pub data_log_dir: PathBuf,
    /// Create missing directories.
    pub datadir_autocreate: bool,
    /// Start with an empty tree when there is no data.
    pub db_autocreate: bool,
    /// Snapshot after a random number of txns in (half of this, this].
    pub snap_count: u32,
    /// Snapshot likewise by bytes of log.
    pub snap_size_limit: Option<u64>,
    /// Begin a new log file at this many bytes.
    pub txn_log_size_limit: Option<u64>,
    /// Bytes by which a log file grows.
    pub prealloc: u64,
    /// Whether the log is synced to disk before a write is acknowledged.
    pub force_sync: bool,
    /// An fsync longer than this is worth a warning.
    pub fsync_warning_threshold: Duration,
    /// Wait this long for more writes to share one fsync.
    pub flush_delay: Option<Duration>,
    /// Fsync when nothing arrived for this long (only with `flush_delay`).
    pub max_write_queue_poll_time: Duration,
    /// Fsync at the latest after this many txns.
    pub max_batch_size: u32,
    /// How snapshots are compressed.
    pub compression: Compression,
    /// Accept logs without any snapshot.
    pub trust_empty: bool,
    /// Drop a damaged last record that may have been acknowledged.
    pub drop_damaged_tail: bool,
    /// Keep and compare a digest of the tree.
    pub digest_enabled: bool,
    /// Write the last zxid at the end of a snapshot.
    pub serialize_last_zxid: bool,
    /// Snapshots kept, at least 3.
    pub retain_count: u32,
    /// When the others are deleted.
    pub purge: Purge,
    /// Free bytes below which client writes are refused; none never refuses.
    pub disk_headroom: Option<u64>,
}

/// How snapshots are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// File suffix `.gz`.
    Gzip,
    /// File suffix `.snappy`.
    Snappy,
}

/// When old snapshots and logs are deleted.
///
/// ZooKeeper never does unless told so, and full disks are the consequence. Here silence means
/// [`Purge::AfterEverySnapshot`]; a written `autopurge.purgeInterval=0` is an answer, and it means
/// [`Purge::Never`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// Not by this server.
    Never,
    /// Whenever a snapshot has been written.
    AfterEverySnapshot,
    /// At start, and then this often.
    Every(Duration),
}

/// What one client, and all clients together, may use. None is unlimited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections of one client address.
    pub max_client_cnxns: Option<u32>,
    /// Connections in total.
    pub max_cnxns: Option<u32>,
    /// Requests in process at once.
    pub global_outstanding: u32,
    /// Largest packet accepted from a client, in bytes.
    pub jute_maxbuffer: u32,
    /// Slack beyond it when own logs and snapshots are read.
    pub jute_maxbuffer_extrasize: u32,
    /// A longer request is a large one.
    pub large_request_threshold: Option<u32>,
    /// Bytes of large requests in process at once.
    pub large_request_max_bytes: u32,
    /// How long a socket may live without a session.
    pub sessionless_timeout: Duration,
    /// Bytes of replies and events waiting for one client.
    pub connection_buffer: u64,
    /// Bytes held for a connection without a session.
    pub handshake_buffer: u64,
    /// Bytes of the buffers of all connections.
    pub global_buffer: u64,
    /// Watches of one connection.
    pub watches_per_connection: Option<u64>,
    /// Watches in total.
    pub watches: Option<u64>,
    /// Bytes of the paths that one connection watches.
    pub watch_bytes_per_connection: Option<u64>,
    /// Bytes of the paths that are watched, each counted once.
    pub watch_bytes: Option<u64>,
    /// New sessions in a second.
    pub new_sessions_per_second: Option<u64>,
    /// New sessions in a second from one address.
    pub new_sessions_per_ip_per_second: Option<u64>,
    /// Operations in one multi.
    pub multi_ops: Option<u64>,
    /// Failed attempts to authenticate from one address before the next ones wait.
    pub authentication_burst_per_ip: Option<u64>,
    /// Memory above which writes that grow the tree are refused.
    pub soft_memory: Option<u64>,
    /// Longest answer to a four-letter word, in bytes.
    pub four_letter_reply: u64,
}

/// What is slowed down before it is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Throttling {
    /// Requests in the pipeline.
    pub requests: RequestThrottle,
    /// New connections.
    pub connections: ConnectionThrottle,
}

/// A queue in front of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestThrottle {
    /// Requests let in at once; none is no throttle.
    pub max_requests: Option<u32>,
    /// Drop stale requests instead of letting them in.
    pub drop_stale: bool,
    /// A request of a closed connection is stale.
    pub stale_connection_check: bool,
    /// A request older than its session timeout is stale.
    pub stale_latency_check: bool,
    /// A request that waited longer is answered `THROTTLEDOP`.
    pub throttled_op_wait: Option<Duration>,
    /// How long a shutdown waits for the queue to drain.
    pub shutdown_timeout: Duration,
}

/// A token bucket for new connections, with a chance of dropping that adapts (BLUE).
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionThrottle {
    /// What the bucket holds; none is no throttle.
    pub tokens: Option<u32>,
    /// How often it is filled.
    pub fill_time: Duration,
    /// By how many tokens.
    pub fill_count: u32,
    /// How often the chance of dropping is adapted; none keeps it at zero.
    pub freeze_time: Option<Duration>,
    /// Added to the chance when the bucket is empty.
    pub drop_increase: f64,
    /// Taken from the chance when the bucket is full enough.
    pub drop_decrease: f64,
    /// How full is full enough.
    pub decrease_ratio: f64,
    /// What a connection costs, if not one token each.
    pub weights: Option<SessionWeights>,
}

/// What a connection costs. Where weights are used, `tokens` and `fill_count` count in new
/// sessions, as in Java.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionWeights {
    /// A new session.
    pub global: u32,
    /// A renewed session.
    pub renew: u32,
    /// A local session.
    pub local: u32,
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// No ACL is checked.
    pub skip_acl: bool,
    /// Hard quotas reject.
    pub enforce_quota: bool,
    /// The digest scheme is available.
    pub digest_scheme: bool,
    /// Its hash.
    pub digest_algorithm: DigestAlgorithm,
    /// `super:<base64 digest>`.
    pub super_digest: Option<Secret>,
    /// Clients must have authenticated with one of these schemes; none asks nothing.
    pub enforced_schemes: Option<BTreeSet<String>>,
}

/// The hash of the digest scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum DigestAlgorithm {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for a comparison and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// What is shown instead of a secret.
pub(super) const REDACTED: &str = "<redacted>";

/// Which four-letter words are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FourLetterWords {
    /// All that exist.
    All,
    /// These; `srvr` is always among them.
    Some(BTreeSet<String>),
}

impl FourLetterWords {
    /// Whether this word is answered.
    pub fn allows(&self, word: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(words) => words.contains(word),
        }
    }
}

/// Reaping of containers and expired nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containers {
    /// How often.
    pub check_interval: Duration,
    /// At most this many deletions in a minute.
    pub max_per_minute: u32,
    /// Delete containers that never had a child after this.
    pub max_never_used: Option<Duration>,
}

/// A look-out for moments at which the process got no processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PauseMonitor {
    /// How often it looks.
    pub interval: Duration,
    /// A longer pause is worth a line.
    pub info_above: Duration,
    /// A longer pause is worth a warning.
    pub warn_above: Duration,
}

/// The rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misc {
    /// Nodes may have a time to live.
    pub extended_types: bool,
    /// Read the time-to-live encoding of 3.5.3.
    pub emulate_353_ttl: bool,
    /// Watch for moments at which the whole process stood still.
    pub pause_monitor: Option<PauseMonitor>,
    /// Whether the members may be changed at run time. A standalone has none, and says so.
    pub reconfig_enabled: bool,
    /// This server's number, from `myid` or `ZOO_MY_ID`; a standalone does not need one.
    pub my_id: Option<i64>,
    /// The file the configuration was read from.
    pub config_file: Option<PathBuf>,
}

impl Config {
    /// The file of `dataDir` that holds the server's number.
    pub(super) fn my_id_file(data_dir: &Path) -> PathBuf {
        data_dir.join("myid")
    }
}

impl Config {
    /// A server inside of another program: any free loopback port, data in `data_dir`, short ticks.
    /// What it acknowledges is as durable as with any other configuration.
    pub fn in_process(data_dir: impl Into<PathBuf>) -> Self {
        let mut config = Self::default();
        let data_dir = data_dir.into();
        config.listen.client = Some(ClientAddress {
            host: Some("127.0.0.1".into()),
            port: 0,
        });
        config.storage.data_log_dir.clone_from(&data_dir);
        config.storage.data_dir = data_dir;
        config.storage.prealloc = 64 << 10;
        config.limits.max_client_cnxns = None;
        config
    }
}
