//! What one round of a connection has counted, told once and not per request: sixteen reads in one packet
//! cost one look at the shared counters, not sixteen.

use crate::net::link::Link;
use crate::replica::Replica;
use std::time::Duration;
use zk_proto::{OpCode, Xid, Zxid};
use zk_zab::Time;

/// Requests that have come and reads that were answered at once, since they were last told.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    received: u64,
    received_bytes: u64,
    reads: u64,
    last_read: Option<(OpCode, Xid)>,
}

impl Tally {
    /// A request came.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.received += 1;
        self.received_bytes += bytes as u64;
    }

    /// A read was answered in the moment it came.
    pub(crate) fn answered_read(&mut self, op: OpCode, xid: Xid) {
        self.reads += 1;
        self.last_read = Some((op, xid));
    }

    /// Tells everything that was counted at this time, under a tree that was at this zxid.
    pub(crate) fn tell(&mut self, replica: &Replica, link: &Link, zxid: Zxid, now: Time) {
        let told = std::mem::take(self);
        if told.received == 0 {
            return;
        }
        let (here, stats) = (replica.metrics().here(), link.stats());
        here.counters.bytes_received_count.add(told.received_bytes);
        here.server.packets_received.add(told.received);
        stats.received(told.received);
        if let Some((op, xid)) = told.last_read {
            here.latencies
                .readlatency
                .record_many(Duration::ZERO, told.reads);
            here.server.answered(Duration::ZERO, told.reads);
            here.server.packets_sent.add(told.reads);
            stats.sent(told.reads);
            stats.answered(op, xid, zxid, now.elapsed(), now.elapsed(), told.reads);
        }
    }
}
