//! Broadcast as its leader does it: propose in order, count, deliver in order (Zab, Phase 3).

use crate::{Effect, Majority, Progress};
use bytes::Bytes;
use zk_proto::{Epoch, ServerId, Zxid};

#[derive(Debug)]
pub(crate) struct Leader {
    me: ServerId,
    progress: Progress,
    /// zxid_delivered <= zxid_proposed, always.
    zxid_proposed: Zxid,
    zxid_delivered: Zxid,
}

impl Leader {
    pub(crate) fn new(me: ServerId, quorum: Majority, last: Zxid) -> Self {
        assert!(quorum.counts(me), "a leader is a voter");
        Self {
            me,
            progress: Progress::new(quorum),
            zxid_proposed: last,
            zxid_delivered: last,
        }
    }

    /// A spent counter opens the next epoch (P33). A quorum of one needs no election for it.
    pub(crate) fn next_zxid(&self) -> Zxid {
        self.zxid_proposed.next().unwrap_or_else(|| {
            let epoch = self.zxid_proposed.epoch().number().checked_add(1);
            let epoch = Epoch::new(epoch.expect("four billion epochs are not spent in a lifetime"));
            Zxid::first_of(epoch)
                .next()
                .expect("an epoch begins with a fresh counter")
        })
    }

    pub(crate) fn on_propose(&mut self, payload: Bytes, out: &mut Vec<Effect>) {
        let zxid = self.next_zxid();
        assert!(zxid > self.zxid_proposed, "zxids only grow (I16)");
        self.zxid_proposed = zxid;
        out.push(Effect::Append { zxid, payload });
    }

    /// The leader's own durability is its acknowledgement (I14).
    pub(crate) fn on_persisted(&mut self, through: Zxid, out: &mut Vec<Effect>) {
        assert!(
            through <= self.zxid_proposed,
            "nothing is durable that was never proposed"
        );
        self.progress.record(self.me, through);
        let Some(held) = self.progress.held_by_quorum() else {
            return;
        };
        if held > self.zxid_delivered {
            self.zxid_delivered = held;
            out.push(Effect::Deliver { through: held });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(voters: &[i64], last: i64) -> Leader {
        let quorum = Majority::of(voters.iter().copied().map(ServerId::new));
        Leader::new(ServerId::new(1), quorum, Zxid::from_wire(last))
    }

    #[test]
    fn nothing_is_delivered_before_it_is_durable() {
        let (mut leader, mut out) = (leader(&[1], 4), Vec::new());
        leader.on_propose(Bytes::from_static(b"a"), &mut out);
        leader.on_propose(Bytes::from_static(b"b"), &mut out);
        let zxids: Vec<_> = out.drain(..).map(|effect| effect.to_string()).collect();
        assert_eq!(zxids, ["append 0.5 (1 bytes)", "append 0.6 (1 bytes)"]);
        leader.on_persisted(Zxid::from_wire(6), &mut out);
        assert_eq!(
            out,
            [Effect::Deliver {
                through: Zxid::from_wire(6)
            }]
        );
    }

    #[test]
    fn a_leader_of_three_does_not_deliver_on_its_own_word() {
        let (mut leader, mut out) = (leader(&[1, 2, 3], 0), Vec::new());
        leader.on_propose(Bytes::new(), &mut out);
        out.clear();
        leader.on_persisted(Zxid::from_wire(1), &mut out);
        assert_eq!(out, []);
    }

    #[test]
    fn a_spent_counter_opens_the_next_epoch() {
        let mut leader = leader(&[1], 0xffff_fffd);
        leader.on_propose(Bytes::new(), &mut Vec::new());
        assert_eq!(leader.zxid_proposed, Zxid::from_wire(0xffff_fffe));
        assert_eq!(leader.next_zxid(), Zxid::from_wire(0x1_0000_0001));
    }
}
