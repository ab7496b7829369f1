//! What leaves: answers of the tree and of the loop, printed and counted in the order of the questions.

use super::{Asked, Front, What};
use crate::net::link::Delivery;
use crate::net::reads::{Reader, put_refusal};
use crate::tree::{Identity, Tree};
use std::time::Duration;
use zk_proto::{ErrorCode, Reply, ReplyHeader, Xid, Zxid, frame};
use zk_zab::Time;

impl Front {
    pub(super) fn on_delivery(&mut self, delivery: Delivery, now: Time) {
        match delivery {
            Delivery::Event(frame) => {
                self.output.extend_from_slice(&frame);
                let here = self.replica.metrics().here();
                here.counters.watch_bytes.add(frame.len() as u64);
                here.server.packets_sent.increment();
                self.link.stats().sent(1);
            }
            Delivery::Done { zxid, result } => {
                let asked = self.take_waiting(What::Write);
                let start = self.output.len();
                self.put_result(asked.xid, zxid, &result);
                self.count_size(start, now);
                let here = self.replica.metrics().here();
                here.latencies.updatelatency.record(took(asked, now));
                self.answered(asked, zxid, now);
            }
            Delivery::Answer { zxid, frame } => {
                let asked = self.take_waiting(What::Read);
                let start = self.output.len();
                self.output.extend_from_slice(&frame);
                self.count_size(start, now);
                let here = self.replica.metrics().here();
                here.latencies.readlatency.record(took(asked, now));
                self.answered(asked, zxid, now);
            }
            Delivery::Close => self.closing = true,
            Delivery::Connected(_) => unreachable!("the handshake is over"),
        }
    }

    fn put_result(&mut self, xid: Xid, zxid: Zxid, result: &Result<Reply, ErrorCode>) {
        match result {
            Ok(reply) => frame::put_frame(&mut self.output, |out| {
                ReplyHeader { xid, zxid, err: 0 }.encode(out);
                reply.encode(out);
            }),
            Err(code) => put_refusal(&mut self.output, xid, zxid, *code),
        }
    }

    /// The request whose answer has come.
    fn take_waiting(&mut self, what: What) -> Asked {
        let waiting = self
            .waiting
            .pop_front()
            .expect("the loop answers what it was asked");
        assert_eq!(
            waiting.what, what,
            "the loop answers in the order in which it was asked"
        );
        self.waiting_bytes -= waiting.bytes;
        self.replica.ends(waiting.bytes);
        self.writes_waiting -= usize::from(what == What::Write);
        waiting.asked
    }

    pub(super) fn answer_read(
        &mut self,
        asked: Asked,
        body: &[u8],
        identities: &[Identity],
        tree: &Tree,
        now: Time,
    ) {
        let reader = Reader {
            replica: &self.replica,
            tree,
            link: &self.link,
            identities,
        };
        let start = self.output.len();
        reader.answer(asked.xid, asked.op, body, &mut self.output);
        self.count_size(start, now);
        self.tally.answered_read(asked.op, asked.xid);
    }

    /// Notes how long the reply is that begins there.
    fn count_size(&self, start: usize, now: Time) {
        let size = self.output.len().saturating_sub(start + frame::LENGTH_WORD);
        let here = self.replica.metrics().here();
        here.server.client_response_size.record(size, now.elapsed());
    }

    /// Counts an answer that is on its way.
    fn answered(&self, asked: Asked, zxid: Zxid, now: Time) {
        let here = self.replica.metrics().here();
        here.server.packets_sent.increment();
        here.server.answered(took(asked, now), 1);
        let stats = self.link.stats();
        stats.sent(1);
        stats.dequeued(asked.xid);
        stats.answered(
            asked.op,
            asked.xid,
            zxid,
            asked.since.elapsed(),
            now.elapsed(),
            1,
        );
    }
}

fn took(asked: Asked, now: Time) -> Duration {
    now.saturating_since(asked.since)
}
