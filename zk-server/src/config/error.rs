//! What can be wrong with a configuration, and what is merely worth saying.
//!
//! The cause texts are ZooKeeper's own wherever it has one, because people paste them into search
//! engines; what is allowed, and where the value came from, is added around them. Values of secret
//! keys never get in here.

use std::fmt;
use std::path::PathBuf;

use super::exit::ExitCode;
use super::peers::Role;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody wrote it.
    Default,
    /// A line of a file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        name: String,
    },
    /// A positional argument (`zk-server start PORT DATADIR ...`).
    Argument {
        /// What the argument is called in the usage text.
        name: &'static str,
    },
    /// `-Dkey=value` or `--set key=value`.
    Flag {
        /// The flag as it was written, up to and without the `=`.
        text: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment { name } => write!(f, "environment {name}"),
            Self::Argument { name } => write!(f, "argument {name}"),
            Self::Flag { text } => write!(f, "flag {text}"),
        }
    }
}

/// One reason not to start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{fault}", self.place())]
pub struct ConfigError {
    /// Where the offending value was written.
    pub origin: Origin,
    /// The key, as this server calls it; none when a whole file is at fault.
    pub key: Option<String>,
    /// What is wrong, with what was found and what is allowed.
    pub fault: Fault,
}

impl ConfigError {
    fn place(&self) -> String {
        let origin = match &self.origin {
            Origin::Default => String::new(),
            written @ (Origin::File { .. }
            | Origin::Environment { .. }
            | Origin::Argument { .. }
            | Origin::Flag { .. }) => format!("{written}: "),
        };
        let key = self
            .key
            .as_ref()
            .map_or_else(String::new, |key| format!("{key}: "));
        origin + &key
    }

    /// The exit code that Java gives this fault.
    pub fn exit_code(&self) -> ExitCode {
        if matches!(self.fault, Fault::DataDirMissing(_)) {
            ExitCode::DataDirectory
        } else if matches!(self.fault, Fault::NotInPeerList(_)) {
            ExitCode::Unexpected
        } else {
            ExitCode::BadInvocation
        }
    }

    /// One code for many faults: a wrong configuration outranks a missing directory, and both
    /// outrank the rest.
    pub fn exit_code_of(errors: &[Self]) -> ExitCode {
        let codes = || errors.iter().map(Self::exit_code);
        [ExitCode::BadInvocation, ExitCode::DataDirectory]
            .into_iter()
            .find(|wanted| codes().any(|code| code == *wanted))
            .unwrap_or(ExitCode::Unexpected)
    }
}

/// The kinds of fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each variant's message says what it is, and its fields are named there"
)]
pub enum Fault {
    #[error("{} file is missing", .0.display())]
    FileMissing(PathBuf),
    #[error("Error processing {}: {reason}", path.display())]
    FileUnreadable { path: PathBuf, reason: String },
    #[error("Malformed \\uxxxx encoding: four hexadecimal digits must follow \\u")]
    MalformedEscape,
    #[error("{0} is not set")]
    NotSet(&'static str),
    #[error("For input string: \"{found}\" (allowed: {allowed})")]
    NotANumber { found: String, allowed: String },
    #[error("{found} is out of range (allowed: {allowed})")]
    OutOfRange { found: String, allowed: String },
    #[error("port out of range:{found} (allowed: {allowed})")]
    PortOutOfRange { found: String, allowed: String },
    #[error("Invalid option {found} for {key}. Choose 'true' or 'false.'")]
    NotABoolean { found: String, key: String },
    #[error("{found:?} is not known (allowed: {allowed})")]
    NotAChoice { found: String, allowed: String },
    #[error("{found}: invalid IPv6 address (allowed: {allowed})")]
    NotAnAddress { found: String, allowed: String },
    #[error("the value is empty (allowed: {allowed})")]
    Empty { allowed: String },
    #[error("minSessionTimeout must not be larger than maxSessionTimeout ({min} ms > {max} ms)")]
    MinAboveMax { min: i64, max: i64 },
    #[error("Invalid electionAlg value. Only 3 is supported. (found {0})")]
    ElectionAlgorithm(i64),
    #[error("Unrecognised peertype: {0} (allowed: participant, observer)")]
    PeerType(String),
    #[error("{dependent} is set but {needed} is not set")]
    Dangling {
        dependent: &'static str,
        needed: &'static str,
    },
    #[error("{switch} is disabled, so cannot enable {key}")]
    SwitchedOff {
        switch: &'static str,
        key: &'static str,
    },
    #[error("metrics provider class was not found: {0}")]
    MetricsClass(String),
    #[error("not supported yet: {0}")]
    NotYet(String),
    #[error("enforce.auth.schemes must name at least one scheme when enforce.auth.enabled is true")]
    NoSchemes,
    #[error("this ensemble key has no number: write {0}.N")]
    NoNumber(&'static str),
    #[error("word {0} of the value is not of the form key=value")]
    NotAnAssignment(usize),
    #[error(
        "{0} does not have the form server_config or server_config;client_config where \
         server_config is host:port:port or host:port:port:type (several joined by '|') and \
         client_config is port or host:port"
    )]
    ServerLine(String),
    #[error(
        "Client and election port must be different! Please update the configuration file on \
         server.{0}"
    )]
    EqualPorts(i64),
    #[error(
        "Multiple address feature is disabled, but multiple addresses were specified for sid {0}"
    )]
    ManyAddresses(i64),
    #[error("{address} is an address of server.{other} as well")]
    SameAddress { address: String, other: i64 },
    #[error("the addresses of server.{0} have different types; give all the same one")]
    MixedRoles(i64),
    #[error(
        "client address for this server (id = {id}) in static config file is {fixed} is different \
         from client address found in its server line: {line}"
    )]
    ClientAddressDiffers {
        id: i64,
        fixed: String,
        line: String,
    },
    #[error("standaloneEnabled = false then number of participants should be >0")]
    NoParticipants,
    #[error("Observers w/o participants is an invalid configuration")]
    ObserversOnly,
    #[error("Observers w/o quorum is an invalid configuration")]
    ObserversWithoutQuorum,
    #[error("myid file is missing ({} must hold this server's number)", .0.display())]
    MyIdMissing(PathBuf),
    #[error("serverid {0} is not a number")]
    MyIdNotANumber(String),
    #[error("My id {0} not in the peer list")]
    NotInPeerList(i64),
    #[error("parameter: {0} must be in a separate dynamic config file")]
    MustBeDynamic(String),
    #[error("Unrecognised parameter: {key} (line {line} of {})", path.display())]
    NotDynamic {
        key: String,
        path: PathBuf,
        line: usize,
    },
    #[error("dynamic file shouldn't have version inside ({})", .0.display())]
    DynamicVersion(PathBuf),
    #[error("Server {0} is not in a group")]
    NotInGroup(i64),
    #[error("Server {0} is in multiple groups")]
    InManyGroups(i64),
    #[error(
        "Missing data directory {} (datadir.autocreate is false; create it, or allow creation)",
        .0.display()
    )]
    DataDirMissing(PathBuf),
}

/// Something to say once at start; the server runs nevertheless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{caution}", self.place())]
pub struct Warning {
    /// Where the value was written.
    pub origin: Origin,
    /// What to know.
    pub caution: Caution,
}

impl Warning {
    fn place(&self) -> String {
        if self.origin == Origin::Default {
            String::new()
        } else {
            format!("{}: ", self.origin)
        }
    }
}

/// The kinds of warning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each variant's message says what it is, and its fields are named there"
)]
pub enum Caution {
    #[error("unknown key {key:?} has no effect{}", did_you_mean(*.suggestion))]
    UnknownKey {
        key: String,
        suggestion: Option<&'static str>,
    },
    #[error("unknown variable has no effect{}", did_you_mean(*.suggestion))]
    UnknownVariable { suggestion: Option<&'static str> },
    #[error("{key} is written twice; this one counts, {earlier} does not")]
    Duplicate { key: String, earlier: Origin },
    #[error("{key}: {found:?} is not {allowed}; using {used}, as ZooKeeper does")]
    Replaced {
        key: String,
        found: String,
        allowed: String,
        used: String,
    },
    #[error("{key}: {found} is not {allowed}; using {used}")]
    Clamped {
        key: String,
        found: i64,
        allowed: String,
        used: i64,
    },
    #[error("Invalid autopurge.snapRetainCount: {0}. Defaulting to 3")]
    RetainCount(i64),
    #[error("{key}: relative path {found}; start it with ./ or / to say which directory is meant")]
    RelativePath { key: String, found: String },
    #[error("only one server specified (ignoring): running standalone")]
    OnlyOneServer,
    #[error(
        "the only server line is server.{line}, but this server's id is {id}; the line is ignored"
    )]
    OtherServer { line: i64, id: i64 },
    #[error(
        "Peer type from servers list ({own}) doesn't match peerType ({said}). Defaulting to servers list."
    )]
    PeerTypeDiffers { own: Role, said: Role },
    #[error(
        "this release has no admin HTTP server, so nothing reads {0} (write \
         admin.enableServer=false to silence this)"
    )]
    NoAdminServer(String),
    #[error("no clientPort: no client will be able to connect")]
    NoListener,
    #[error("ZOO_MY_ID={variable} is ignored: the myid file says {file}")]
    MyIdDiffers { variable: String, file: i64 },
    #[error("skipACL=yes: every client may do everything")]
    SkipAcl,
    #[error("forceSync=no: a power failure can lose acknowledged writes")]
    NoForceSync,
    #[error(
        "snapshot.trust.empty=true: a lost snapshot will go unnoticed; remove it after the upgrade"
    )]
    TrustEmpty,
    #[error(
        "log.dropDamagedTail=true: a damaged last record is dropped, even if it was acknowledged; remove it after this start"
    )]
    DropDamagedTail,
    #[error("a super user is configured: whoever knows its password bypasses every ACL")]
    SuperUser,
    #[error("the value is not of the form super:<base64 digest>; nobody can authenticate with it")]
    SuperDigestForm,
    #[error("txnLogSizeLimitInKb is below twice preAllocSize; logs will roll very often")]
    SmallLog,
}

fn did_you_mean(suggestion: Option<&'static str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
