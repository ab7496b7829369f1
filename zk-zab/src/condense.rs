//! Of words that came together, those that the next one repeats.
//!
//! A log has no hole, so who has made a transaction durable has made durable all before it, and what a quorum
//! holds stands with all before it. An ACK or a COMMIT of the very next transaction therefore says everything
//! that the one before it said. On the wire there is one for each all the same: Apache's members count them.

use crate::Message;

/// Leaves of each unbroken run of ACKs, and of COMMITs, the last: a batch is then counted and delivered once.
/// Whatever breaks a run stays, in its place, for the agreement to judge.
pub fn condense(messages: &mut Vec<Message>) {
    messages.dedup_by(|next, before| {
        let repeats = match (&*before, &*next) {
            (Message::Ack { zxid: before }, Message::Ack { zxid: next })
            | (Message::Commit { zxid: before }, Message::Commit { zxid: next }) => {
                // The zxid that begins an epoch is no transaction: NEWLEADER and UPTODATE are answered with it.
                before.counter() > 0 && before.next() == Some(*next)
            }
            _ => false,
        };
        if repeats {
            std::mem::swap(before, next);
        }
        repeats
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_proto::Zxid;

    fn zxid(epoch: i64, counter: i64) -> Zxid {
        Zxid::from_wire(epoch << 32 | counter)
    }

    fn acks(counters: impl IntoIterator<Item = i64>) -> Vec<Message> {
        let ack = |counter| Message::Ack {
            zxid: zxid(1, counter),
        };
        counters.into_iter().map(ack).collect()
    }

    fn check(mut messages: Vec<Message>, expected: &[Message]) {
        condense(&mut messages);
        assert_eq!(messages, expected);
    }

    #[test]
    fn the_last_of_a_run_says_everything() {
        check(acks(1..=100), &acks([100]));
        let commit = |counter| Message::Commit {
            zxid: zxid(1, counter),
        };
        check(vec![commit(4), commit(5), commit(6)], &[commit(6)]);
        check(
            [acks([1, 2]), vec![commit(1), commit(2)], acks([3])].concat(),
            &[acks([2]), vec![commit(2)], acks([3])].concat(),
        );
    }

    #[test]
    fn what_is_between_two_words_keeps_its_place() {
        let between = || vec![Message::Sync];
        check(
            [acks([1, 2]), between(), acks([3, 4])].concat(),
            &[acks([2]), between(), acks([4])].concat(),
        );
    }

    #[test]
    fn a_hole_a_repetition_and_a_step_back_are_left_to_be_judged() {
        check(acks([1, 3]), &acks([1, 3]));
        check(acks([2, 2]), &acks([2, 2]));
        check(acks([2, 1]), &acks([2, 1]));
        let epochs = [zxid(1, 7), zxid(2, 1)].map(|zxid| Message::Ack { zxid });
        check(epochs.to_vec(), &epochs);
    }

    #[test]
    fn the_answer_to_newleader_is_no_transactions() {
        check(acks([0, 1, 2]), &acks([0, 2]));
    }
}
