//! What `srvr` tells of the whole server: Java's `ServerStats`.

use super::{Counter, SizesView, SumView, Timing, size::Sizes};
use std::time::Duration;

/// The part of one shard.
#[derive(Debug, Default)]
pub struct ServerShard {
    /// Packets that clients sent, four-letter words included.
    pub packets_received: Counter,
    /// Packets sent to clients, events included.
    pub packets_sent: Counter,
    /// Attempts to authenticate that failed.
    pub auth_failed: Counter,
    /// Sizes of replies.
    pub client_response_size: Sizes,
    /// Sizes of proposals; only a leader makes any.
    pub proposal_size: Sizes,
    pub(super) latency: Timing,
}

impl ServerShard {
    /// Notes requests that were answered after the same time, local reads and writes alike.
    pub fn answered(&self, took: Duration, requests: u64) {
        self.latency.record_many(took, requests);
    }

    pub(super) fn reset(&self) {
        self.packets_received.reset();
        self.packets_sent.reset();
        self.auth_failed.reset();
        self.client_response_size.reset();
        self.proposal_size.reset();
        self.latency.reset();
    }
}

/// What all shards hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// Packets that clients sent.
    pub packets_received: u64,
    /// Packets sent to clients.
    pub packets_sent: u64,
    /// Attempts to authenticate that failed.
    pub auth_failed: u64,
    /// Sizes of replies.
    pub client_response_size: SizesView,
    /// Sizes of proposals.
    pub proposal_size: SizesView,
    /// From arrival to reply, in microseconds.
    pub latency: SumView,
}

impl ServerView {
    pub(super) fn of<'a>(shards: impl Iterator<Item = &'a ServerShard> + Clone) -> Self {
        let mut latency = SumView::default();
        for shard in shards.clone() {
            latency.merge(shard.latency.view());
        }
        Self {
            packets_received: shards
                .clone()
                .map(|shard| shard.packets_received.value())
                .sum(),
            packets_sent: shards.clone().map(|shard| shard.packets_sent.value()).sum(),
            auth_failed: shards.clone().map(|shard| shard.auth_failed.value()).sum(),
            client_response_size: Sizes::merged(
                shards.clone().map(|shard| &shard.client_response_size),
            ),
            proposal_size: Sizes::merged(shards.map(|shard| &shard.proposal_size)),
            latency,
        }
    }
}
