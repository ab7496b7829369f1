//! What `cons` tells of one connection.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use zk_proto::{OpCode, Xid, Zxid};

/// The counts of one connection. Its own task counts; whoever prints `cons` looks on.
#[derive(Debug)]
pub struct ConnectionStats {
    queued: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    last_op: AtomicI32,
    last_xid: AtomicI64,
    last_zxid: AtomicI64,
    last_response_ms: AtomicU64,
    last_latency_us: AtomicU64,
    min_latency_us: AtomicU64,
    max_latency_us: AtomicU64,
    answered: AtomicU64,
    total_latency_us: AtomicU64,
}

/// No operation has this number.
const NO_OP: i32 = i32::MIN;

impl Default for ConnectionStats {
    fn default() -> Self {
        Self {
            queued: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            last_op: AtomicI32::new(NO_OP),
            last_xid: AtomicI64::new(-1),
            last_zxid: AtomicI64::new(-1),
            last_response_ms: AtomicU64::new(0),
            last_latency_us: AtomicU64::new(0),
            min_latency_us: AtomicU64::new(u64::MAX),
            max_latency_us: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            total_latency_us: AtomicU64::new(0),
        }
    }
}

impl ConnectionStats {
    /// Packets arrived.
    pub fn received(&self, packets: u64) {
        self.received.fetch_add(packets, Relaxed);
    }

    /// Packets, replies or events, were sent.
    pub fn sent(&self, packets: u64) {
        self.sent.fetch_add(packets, Relaxed);
    }

    /// A request waits for its answer. Java counts only xids above zero here, so pings do not.
    pub fn queued(&self, xid: Xid) {
        if xid.0 > 0 {
            self.queued.fetch_add(1, Relaxed);
        }
    }

    /// The request has its answer.
    pub fn dequeued(&self, xid: Xid) {
        if xid.0 > 0 {
            let less = |queued: u64| Some(queued.saturating_sub(1));
            // It always succeeds: the closure never declines.
            let _ = self.queued.fetch_update(Relaxed, Relaxed, less);
        }
    }

    /// So many operations, of which this was the last, were answered that arrived at one point of the server's
    /// time and were answered at another.
    pub fn answered(
        &self,
        op: OpCode,
        xid: Xid,
        zxid: Zxid,
        arrived: Duration,
        now: Duration,
        operations: u64,
    ) {
        let took = super::summary::micros(now.saturating_sub(arrived));
        // The xids of pings and of events say nothing about what the client does.
        if xid.0 >= 0 {
            self.last_xid.store(i64::from(xid.0), Relaxed);
        }
        self.last_zxid.store(zxid.to_wire(), Relaxed);
        self.last_op.store(op.to_wire(), Relaxed);
        self.last_response_ms
            .store(super::summary::micros(now) / 1000, Relaxed);
        self.last_latency_us.store(took, Relaxed);
        super::summary::widen(&self.min_latency_us, &self.max_latency_us, took);
        self.answered.fetch_add(operations, Relaxed);
        self.total_latency_us
            .fetch_add(took.saturating_mul(operations), Relaxed);
    }

    /// `crst`: everything but what is waiting.
    pub fn reset(&self) {
        let fresh = Self::default();
        self.received.store(0, Relaxed);
        self.sent.store(0, Relaxed);
        self.last_op.store(fresh.last_op.into_inner(), Relaxed);
        self.last_xid.store(fresh.last_xid.into_inner(), Relaxed);
        self.last_zxid.store(fresh.last_zxid.into_inner(), Relaxed);
        self.last_response_ms.store(0, Relaxed);
        self.last_latency_us.store(0, Relaxed);
        self.min_latency_us.store(u64::MAX, Relaxed);
        self.max_latency_us.store(0, Relaxed);
        self.answered.store(0, Relaxed);
        self.total_latency_us.store(0, Relaxed);
    }

    /// What it holds now.
    pub fn view(&self) -> ConnectionView {
        let op = self.last_op.load(Relaxed);
        let xid = self.last_xid.load(Relaxed);
        let min = self.min_latency_us.load(Relaxed);
        let answered = self.answered.load(Relaxed);
        let mean = self
            .total_latency_us
            .load(Relaxed)
            .checked_div(answered)
            .unwrap_or(0);
        ConnectionView {
            queued: self.queued.load(Relaxed),
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
            last_op: (op != NO_OP).then(|| OpCode::from_wire(op)),
            last_xid: u32::try_from(xid).ok(),
            last_zxid: Zxid::from_wire(self.last_zxid.load(Relaxed)),
            last_response_ms: self.last_response_ms.load(Relaxed),
            last_latency_ms: self.last_latency_us.load(Relaxed) / 1000,
            min_latency_ms: if min == u64::MAX { 0 } else { min / 1000 },
            mean_latency_ms: mean / 1000,
            max_latency_ms: self.max_latency_us.load(Relaxed) / 1000,
        }
    }
}

/// One connection's counts as `cons` prints them; latencies are whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionView {
    /// Requests waiting for their answers.
    pub queued: u64,
    /// Packets that arrived.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// The last operation answered.
    pub last_op: Option<OpCode>,
    /// The last xid answered that was not a special one.
    pub last_xid: Option<u32>,
    /// The last zxid told.
    pub last_zxid: Zxid,
    /// When the last answer left, in the server's monotonic milliseconds.
    pub last_response_ms: u64,
    /// How long the last answer took.
    pub last_latency_ms: u64,
    /// The fastest.
    pub min_latency_ms: u64,
    /// The mean, rounded down as Java's integer division does.
    pub mean_latency_ms: u64,
    /// The slowest.
    pub max_latency_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_summed_and_pings_leave_the_xid_alone() {
        let stats = ConnectionStats::default();
        let (xid, ms) = (Xid(7), Duration::from_millis);
        stats.queued(xid);
        stats.received(1);
        stats.answered(OpCode::Create, xid, Zxid::from_wire(3), ms(10), ms(19), 1);
        stats.dequeued(xid);
        stats.sent(1);
        stats.answered(OpCode::Ping, Xid(-2), Zxid::from_wire(4), ms(20), ms(20), 1);
        let view = stats.view();
        assert_eq!((view.queued, view.received, view.sent), (0, 1, 1));
        assert_eq!((view.last_op, view.last_xid), (Some(OpCode::Ping), Some(7)));
        assert_eq!(
            (
                view.min_latency_ms,
                view.mean_latency_ms,
                view.max_latency_ms
            ),
            (0, 4, 9)
        );
        assert_eq!((view.last_response_ms, view.last_latency_ms), (20, 0));
        stats.reset();
        assert_eq!(stats.view(), ConnectionStats::default().view());
    }
}
