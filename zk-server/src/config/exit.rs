//! The numbers a server leaves behind when it ends; scripts and supervisors written for ZooKeeper
//! test them.

/// Why the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitCode {
    /// All done.
    Done,
    /// Something nobody planned for.
    Unexpected,
    /// The command line or the configuration is wrong.
    BadInvocation,
    /// The data directory is missing or cannot be used.
    DataDirectory,
    /// The admin server could not start.
    AdminServer,
    /// A snapshot could not be written.
    SnapshotIo,
    /// A commit arrived that does not follow the last one.
    CommitMismatch,
    /// A peer's packet, or the truncation it asked for, made no sense.
    QuorumPacket,
    /// The election port could not be bound.
    ElectionPort,
    /// What is in the data directory is damaged, and starting would mean to guess (P25). Java has no
    /// number for it; a supervisor must not restart a server that ended with this one.
    CorruptData,
}

impl ExitCode {
    /// The number for the operating system.
    pub fn value(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unexpected => 1,
            Self::BadInvocation => 2,
            Self::DataDirectory => 3,
            Self::AdminServer => 4,
            Self::SnapshotIo => 10,
            Self::CommitMismatch => 12,
            Self::QuorumPacket => 13,
            Self::ElectionPort => 14,
            Self::CorruptData => 20,
        }
    }

    /// The one line Java prints on standard error; tools look for it.
    pub fn headline(self) -> Option<&'static str> {
        match self {
            Self::BadInvocation => Some("Invalid config, exiting abnormally"),
            Self::DataDirectory => Some("Unable to access datadir, exiting abnormally"),
            Self::AdminServer => Some("Unable to start AdminServer, exiting abnormally"),
            Self::Done
            | Self::Unexpected
            | Self::SnapshotIo
            | Self::CommitMismatch
            | Self::QuorumPacket
            | Self::ElectionPort
            | Self::CorruptData => None,
        }
    }
}
