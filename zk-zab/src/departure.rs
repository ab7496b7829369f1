//! Why a connection is closed or a role is left: who is at fault, and of what.

use std::fmt;

/// A reason to part. None of them is an error of this server; after a failure of its own disk nothing
/// is decided here any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Departure {
    /// The server has just started.
    Started,
    /// The other side is gone.
    Closed,
    /// The other side has been silent for too long.
    Silent,
    /// Not enough learners came, or came far enough, in time.
    NoQuorumInTime,
    /// Those who elected this server have gone on to another election.
    Deserted,
    /// A voter has promised a later epoch to another, and can be led only in one later still.
    Outpromised,
    /// Too few voters are left, or are heard of (P32), or this server itself stood still (P30).
    QuorumLost,
    /// This server's own disk has not answered for as long as a silent learner may be (P31).
    OwnDiskHangs,
    /// A message that does not belong here (I20).
    OutOfPlace,
    /// A transaction that does not follow the one before it (I16).
    Gap,
    /// A word about a transaction that was never proposed (I20).
    Unknown,
    /// A leader of an epoch that this server has promised to leave behind.
    StaleEpoch,
    /// The learner has a later history than the leader.
    Ahead,
    /// The learner knows a later configuration.
    LaterConfig,
    /// The same server has come again on another connection.
    Replaced,
    /// The learner takes in less than is proposed (P31).
    TooSlow,
    /// The learner's history cannot be repaired by cutting.
    CannotTruncate,
    /// A snapshot did not arrive.
    SnapshotLost,
    /// The log on disk did not hold what it was said to hold.
    LogLost,
    /// The counter of this epoch is spent, and a new epoch must begin (P33).
    CounterSpent,
    /// There are no more epochs: they have 31 bits on the wire.
    EpochsExhausted,
    /// The server is about to stop.
    Resigned,
    /// Nobody leads here, so that nobody can be followed.
    NotLeading,
}

impl Departure {
    const fn text(self) -> &'static str {
        match self {
            Self::Started => "just started",
            Self::Closed => "the connection is gone",
            Self::Silent => "silent for too long",
            Self::NoQuorumInTime => "no quorum in time",
            Self::Deserted => "the voters elect another",
            Self::Outpromised => "a voter has promised a later epoch",
            Self::QuorumLost => "the quorum is lost",
            Self::OwnDiskHangs => "the own disk does not answer",
            Self::OutOfPlace => "a message out of place",
            Self::Gap => "a gap in the history",
            Self::Unknown => "word of an unknown transaction",
            Self::StaleEpoch => "an epoch of the past",
            Self::Ahead => "the learner is ahead of the leader",
            Self::LaterConfig => "the learner knows a later configuration",
            Self::Replaced => "the server has come again",
            Self::TooSlow => "too slow",
            Self::CannotTruncate => "the history cannot be cut there",
            Self::SnapshotLost => "the snapshot did not arrive",
            Self::LogLost => "the log could not be read",
            Self::CounterSpent => "the counter is spent",
            Self::EpochsExhausted => "no epoch is left",
            Self::Resigned => "resigned",
            Self::NotLeading => "not leading",
        }
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
