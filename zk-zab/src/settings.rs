//! What an operator decides about the agreement. Read once; nothing here changes at run time.

use crate::Quorum;
use bytes::Bytes;
use std::time::Duration;
use zk_proto::{ServerId, Zxid};

/// The part of a member's configuration that the agreement needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This server.
    pub me: ServerId,
    /// Whether it only observes: it neither votes nor acknowledges.
    pub observer: bool,
    /// Whose word counts.
    pub quorum: Quorum,
    /// The unit of all limits; learners are pinged twice in it.
    pub tick: Duration,
    /// How many ticks a learner may take to find its leader and its history.
    pub init_limit: u32,
    /// How many ticks a member may be silent once it serves.
    pub sync_limit: u32,
    /// The list of members as the leader tells it to its learners.
    pub config: Bytes,
    /// Its version, zero for the one in the configuration file.
    pub config_version: Zxid,
    /// How many transactions that stand are kept in memory for learners that return.
    pub window: usize,
    /// How many bytes of transactions wait in memory for one slow learner before it is cut off (P31).
    pub backlog: usize,
    /// Whether every learner gets a snapshot, whatever it has.
    pub force_snapshot: bool,
    /// The last counter of an epoch; a new one begins behind it (P33). Smaller only where that is to be seen.
    pub last_counter: u32,
    /// Whether this server, as a learner, asks for a snapshot in place of its history: it could not cut its
    /// log where a leader wanted, see [`crate::Input::TruncateFailed`]. Until it has one, its promises do
    /// not count. Its history is whole all the same, so it may lead.
    pub wants_snapshot: bool,
}

impl Settings {
    /// An ensemble of these voters with Apache's defaults, as seen by one of its members.
    pub fn new(me: ServerId, quorum: impl Into<Quorum>) -> Self {
        Self {
            me,
            observer: false,
            quorum: quorum.into(),
            tick: Duration::from_secs(2),
            init_limit: 10,
            sync_limit: 5,
            config: Bytes::new(),
            config_version: Zxid::ZERO,
            window: 500,
            backlog: 256 * 1024 * 1024,
            force_snapshot: false,
            last_counter: 0xffff_fffe,
            wants_snapshot: false,
        }
    }

    /// How long a member may be silent before it is part of the broadcast.
    pub(crate) fn init_time(&self) -> Duration {
        self.tick * self.init_limit
    }

    /// How long a member may be silent afterwards.
    pub(crate) fn sync_time(&self) -> Duration {
        self.tick * self.sync_limit
    }
}
