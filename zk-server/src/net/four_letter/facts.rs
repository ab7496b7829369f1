//! What the words ask a server. The server answers from what it has; the words only print.

use crate::metrics::{ConnectionView, Metrics};
use crate::tree::QuotaAmount;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use zk_proto::{SessionId, Zxid};

/// Where the words look. Each is asked only by the words that show it; the expensive ones are walks that the
/// word ends with `Break` when it has enough. None should hold up the writes.
pub trait Facts {
    /// For whom this server is there now. Asked first, by nearly all.
    fn serving(&self) -> Serving;
    /// What it counted.
    fn metrics(&self) -> &Metrics;
    /// `srvr`, `stat` and `mntr`.
    fn vital(&self) -> Vital;
    /// `mntr`.
    fn gauges(&self) -> Gauges;
    /// `stat` and `cons`: every connection, the asking one included.
    fn connections(&self, show: &mut dyn FnMut(&ConnectionFacts) -> ControlFlow<()>);
    /// `conf`.
    fn conf(&self) -> Conf;
    /// `dirs` and `conf`.
    fn directories(&self) -> Directories;
    /// `dump`: the sessions by the time they expire.
    fn sessions(&self) -> Sessions;
    /// `dump`: how many sessions own ephemeral nodes.
    fn sessions_with_ephemerals(&self) -> usize;
    /// `dump`: session and path of every ephemeral node, those of a session in a row.
    fn ephemerals(&self, show: &mut dyn FnMut(SessionId, &str) -> ControlFlow<()>);
    /// `dump`: the connections by the time they are given up.
    fn connection_expiry(&self) -> Vec<Expiring<(SocketAddr, SessionId)>>;
    /// `wchs`: data and exist watches; Java leaves child watches out here.
    fn watch_totals(&self) -> WatchTotals;
    /// `wchc`: the same watches, those of a session in a row.
    fn watches_by_session(&self, show: &mut dyn FnMut(SessionId, &str) -> ControlFlow<()>);
    /// `wchp`: the same watches, those of a path in a row.
    fn watches_by_path(&self, show: &mut dyn FnMut(&str, SessionId) -> ControlFlow<()>);
    /// `hash`: digests of the tree, one per 128 transactions, the oldest first.
    fn digests(&self) -> Vec<(Zxid, u64)>;
    /// `envi`: usually [`super::environment`].
    fn environment(&self) -> Vec<(&'static str, String)>;
    /// `gtmk`: 306 (Java's default) until `stmk` sets another.
    fn trace_mask(&self) -> i64 {
        306
    }
    /// The name and build of this server: usually [`super::version`].
    fn version(&self) -> String {
        super::version()
    }
    /// How many bytes an answer may have.
    fn report_limit(&self) -> usize {
        16 << 20
    }
}

/// For whom a server is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// It has no leader and does not serve reads alone.
    Nobody,
    /// It has no leader and serves reads.
    ReadOnly,
    /// It serves.
    Everyone,
}

/// What a server is, as `Mode:` and `zk_server_state` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Alone.
    Standalone,
    /// Leads.
    Leader,
    /// Follows and votes.
    Follower,
    /// Follows without a vote.
    Observer,
    /// Serves reads without a leader.
    ReadOnly,
}

impl Mode {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::ReadOnly => "read-only",
        }
    }
}

/// The least one should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vital {
    /// What the server is.
    pub mode: Mode,
    /// The last transaction it applied.
    pub zxid: Zxid,
    /// Connections, the asking one included.
    pub connections: u64,
    /// Requests that wait for something.
    pub outstanding: u64,
    /// Nodes of the tree.
    pub nodes: u64,
}

/// What `mntr` shows beside the metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    /// Watches of every kind.
    pub watches: u64,
    /// Ephemeral nodes.
    pub ephemerals: u64,
    /// Bytes of paths and data.
    pub data_size: u64,
    /// Sessions the ensemble knows.
    pub global_sessions: u64,
    /// Sessions only this server knows.
    pub local_sessions: u64,
    /// Milliseconds since this server began to serve.
    pub uptime_ms: u64,
    /// How likely the connection throttle drops the next one.
    pub connection_drop_probability: f64,
    /// TLS handshakes under way.
    pub outstanding_tls_handshakes: u64,
    /// Connections without client certificate from this host.
    pub non_mtls_local_connections: u64,
    /// Connections without client certificate from elsewhere.
    pub non_mtls_remote_connections: u64,
    /// Only in an ensemble.
    pub ensemble: Option<Ensemble>,
    /// Only on a leader.
    pub leader: Option<LeaderGauges>,
    /// Only on an observer master: its observers.
    pub observers_of_master: Option<u64>,
    /// Quotas by top-level node.
    pub quotas: Vec<Quota>,
}

/// What a member knows of its ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensemble {
    /// Like `leading - broadcast`.
    pub peer_state: String,
    /// How many members vote.
    pub quorum_size: u64,
    /// Only on an observer: whom it learns from.
    pub observer_master: Option<u64>,
}

/// What a leader knows of its learners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaderGauges {
    /// Learners connected, synchronised or not.
    pub learners: u64,
    /// Voting followers that are up to date.
    pub synced_followers: u64,
    /// Followers without a vote that are up to date.
    pub synced_non_voting_followers: u64,
    /// Observers that are up to date.
    pub synced_observers: u64,
    /// Syncs asked for and not yet done.
    pub pending_syncs: u64,
    /// Milliseconds of leading.
    pub uptime_ms: u64,
}

/// The quotas of one top-level node together. A limit of -1 is none, and Java adds and shows it like any
/// other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The top-level node, without slash.
    pub namespace: String,
    /// What is allowed; none if only usage is kept.
    pub limit: Option<QuotaAmount>,
    /// What is there; none if nobody keeps count.
    pub usage: Option<QuotaAmount>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// Its other end.
    pub address: SocketAddr,
    /// What the server waits for on it, as Java's selector keys say: 1 to read, 4 to write, 0 for a word.
    pub interest: u8,
    /// Its session, if it has one.
    pub session: Option<SessionId>,
    /// When it was accepted, in milliseconds since 1970.
    pub established_ms: i64,
    /// The agreed timeout of its session.
    pub timeout_ms: i32,
    /// What it counted.
    pub stats: ConnectionView,
}

/// Bytes on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directories {
    /// Of the snapshots' directory.
    pub data: u64,
    /// Of the log's directory.
    pub log: u64,
}

/// The settings that `conf` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conf {
    /// The plain port, -1 for none.
    pub client_port: i32,
    /// The TLS port, -1 for none.
    pub secure_client_port: i32,
    /// The snapshots' directory, with `version-2`.
    pub data_dir: String,
    /// The log's directory, with `version-2`.
    pub log_dir: String,
    /// Milliseconds.
    pub tick_time: u32,
    /// Connections per address, 0 for any number.
    pub max_client_connections: u32,
    /// Milliseconds.
    pub min_session_timeout: i32,
    /// Milliseconds.
    pub max_session_timeout: i32,
    /// -1 for the system's own.
    pub backlog: i32,
    /// 0 when alone.
    pub server_id: u64,
    /// Only in an ensemble.
    pub peer: Option<PeerConf>,
}

/// The settings of a member of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConf {
    /// Ticks.
    pub init_limit: u32,
    /// Ticks.
    pub sync_limit: u32,
    /// One per address.
    pub election_ports: Vec<u16>,
    /// One per address.
    pub quorum_ports: Vec<u16>,
    /// [`MODE_PARTICIPANT`] or [`MODE_OBSERVER`].
    pub peer_type: u8,
    /// The configuration in force with its version, without a line end; none while serving reads alone.
    pub membership: Option<String>,
}

/// A member that may vote.
pub const MODE_PARTICIPANT: u8 = 0;
/// A member that never votes.
pub const MODE_OBSERVER: u8 = 1;

/// Sessions as the tracker of this server's role keeps them. `local` only where local sessions are enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// A standalone or leading server expires the sessions itself.
    Tracked {
        /// Of this server alone.
        local: Option<Vec<Expiring<SessionId>>>,
        /// Of the ensemble.
        global: Vec<Expiring<SessionId>>,
    },
    /// A learner knows ids and timeouts in milliseconds, by id.
    Learned {
        /// Of this server alone.
        local: Option<Vec<Expiring<SessionId>>>,
        /// Of the ensemble.
        global: Vec<(SessionId, i32)>,
    },
}

/// What expires together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring<T> {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What. Java shows a bucket that has become empty as well.
    pub items: Vec<T>,
}

/// How many watches there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchTotals {
    /// Connections that watch something.
    pub connections: u64,
    /// Paths that are watched.
    pub paths: u64,
    /// Pairs of both.
    pub watches: u64,
}
