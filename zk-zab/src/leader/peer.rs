//! One learner, as its leader sees it.
//!
//! ```text
//!   Known ──LEADERINFO──► Asked ──ACKEPOCH──► Promised ──► Seeking ──► Copying ──► Told ──ACK──► Synced
//!                                                │  DIFF, TRUNC: nothing to copy ───►│  NEWLEADER  │
//!                                                └──► Deferred (until we serve)                    ▼
//!                                                                                    UPTODATE: Serving
//! ```
//! From Told to Serving nothing but pings is sent: followers of Apache's 3.8 and 3.9.2 lose themselves when
//! a COMMIT comes between NEWLEADER and UPTODATE (ZOOKEEPER-4394).

use super::feed::Feed;
use crate::history::History;
use crate::{Settings, Time};
use zk_proto::{ServerId, Zxid};

#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) server: ServerId,
    pub(crate) observer: bool,
    /// When it last said something.
    pub(crate) heard: Time,
    pub(crate) stage: Stage,
}

#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// It has said who it is.
    Known,
    /// It was asked to promise the epoch.
    Asked,
    /// It has; its history ends there.
    Promised { last: Zxid },
    /// It needs a snapshot that we cannot take yet. Either its tail must go, but the quorum can do without
    /// it: then it waits until we serve, for a snapshot that outranks all it has (ZOOKEEPER-4837). Or
    /// something of `holds`, which stands and which it may hold, is not in our tree yet (I13).
    Deferred { last: Zxid, holds: Zxid },
    /// The disk is asked for what memory has forgotten.
    Seeking { after: Zxid, through: Zxid },
    /// A snapshot or a part of the log is being written to it.
    Copying(Feed),
    /// NEWLEADER was sent.
    Told(Feed),
    /// NEWLEADER is acknowledged.
    Synced(Feed),
    /// It takes part.
    Serving(Serving),
}

/// A learner that takes part.
#[derive(Clone, Debug)]
pub(crate) struct Serving {
    pub(crate) feed: Feed,
    pub(crate) pings_sent: u64,
    pub(crate) pings_answered: u64,
    /// Since when something it was sent waits for its acknowledgement.
    pub(crate) owing: Option<Time>,
}

impl Peer {
    pub(crate) const fn feed(&self) -> Option<&Feed> {
        match &self.stage {
            Stage::Copying(feed) | Stage::Told(feed) | Stage::Synced(feed) => Some(feed),
            Stage::Serving(serving) => Some(&serving.feed),
            Stage::Known
            | Stage::Asked
            | Stage::Promised { .. }
            | Stage::Deferred { .. }
            | Stage::Seeking { .. } => None,
        }
    }

    /// What is behind this place must stay in memory for it.
    pub(crate) fn needed(&self) -> Option<Zxid> {
        if let Stage::Seeking { through, .. } = &self.stage {
            return Some(*through);
        }
        self.feed().map(Feed::needed)
    }

    /// Whether nothing that it takes part in waits for it.
    pub(crate) fn is_level(&self, history: &History) -> bool {
        if let Stage::Serving(serving) = &self.stage {
            return serving.feed.is_level(history);
        }
        true
    }

    /// Whether it has begun to be one of ours, so that hearing it means something.
    pub(crate) fn is_with_us(&self) -> bool {
        self.feed().is_some()
    }

    /// When it will have been silent for too long. While it waits for us it may be.
    pub(crate) fn deadline(&self, settings: &Settings) -> Option<Time> {
        match &self.stage {
            Stage::Asked | Stage::Told(_) => Some(self.heard + settings.init_time()),
            Stage::Serving(serving) => {
                let since = serving
                    .owing
                    .map_or(self.heard, |owing| owing.min(self.heard));
                Some(since + settings.sync_time())
            }
            Stage::Known
            | Stage::Promised { .. }
            | Stage::Deferred { .. }
            | Stage::Seeking { .. }
            | Stage::Copying(_)
            | Stage::Synced(_) => None,
        }
    }
}
