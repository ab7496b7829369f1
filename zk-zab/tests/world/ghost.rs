//! What nobody in the world knows: everything that was ever proposed, delivered and promised; and what must
//! be true of it (I1 to I16, I20 of the reliability programme).

use crate::disk::{Disk, Entry};
use bytes::Bytes;
use std::collections::BTreeMap;
use zk_proto::{Epoch, Zxid};
use zk_zab::{Departure, LinkId, Message, Vote};

#[derive(Clone, Debug, Default)]
pub(crate) struct Ghost {
    /// What was ever proposed (I4, I5).
    proposed: BTreeMap<Zxid, Bytes>,
    /// What was ever delivered by anyone, in order (I6 to I9).
    pub(crate) stands: Vec<Entry>,
    /// Who opened each epoch (I1).
    leaders: BTreeMap<Epoch, usize>,
    /// To whom each server has promised an epoch, and whose history it has taken (I3).
    promised: BTreeMap<(usize, Epoch), usize>,
    adopted: BTreeMap<(usize, Epoch), usize>,
    /// Which epoch each leader has asked each learner for (O1).
    asked: BTreeMap<(usize, usize), Epoch>,
    /// A voter whose data are gone, until it has all that stands again. Never more than one at a time.
    pub(crate) wiped: Option<usize>,
}

impl Ghost {
    pub(crate) fn on_propose(&mut self, zxid: Zxid, payload: &Bytes) {
        let before = self.proposed.insert(zxid, payload.clone());
        assert_eq!(before, None, "I5: {zxid} is proposed once");
    }

    pub(crate) fn on_append(&self, server: usize, zxid: Zxid, payload: &Bytes) {
        let known = self.proposed.get(&zxid);
        assert_eq!(known, Some(payload), "I4, I5: {zxid} at server {server}");
    }

    /// A server has applied `entry` behind `index` others.
    pub(crate) fn on_deliver(&mut self, server: usize, index: usize, entry: &Entry) {
        match self.stands.get(index) {
            Some(known) => assert_eq!(known, entry, "I6, I7: {server} delivers at {index}"),
            None => {
                assert_eq!(self.stands.len(), index, "I7: {server} delivers in order");
                if let Some((last, _)) = self.stands.last() {
                    assert!(entry.0 > *last, "I8, I9: zxids grow");
                }
                self.stands.push(entry.clone());
            }
        }
    }

    /// A server serves: all it has is shown to clients. A leader that stood still may begin to when a later one
    /// has long taken over: it shows what is old, and can add nothing to it.
    pub(crate) fn on_serve(&mut self, server: usize, leads: Option<Epoch>, applied: &[Entry]) {
        for (index, entry) in applied.iter().enumerate() {
            self.on_deliver(server, index, entry);
        }
        let is_last = |epoch: Epoch| self.leaders.keys().all(|other| *other <= epoch);
        if leads.is_some_and(is_last) {
            let len = self.stands.len();
            assert_eq!(
                applied.len(),
                len,
                "I10, I11: leader {server} has all that stands"
            );
        }
    }

    pub(crate) fn on_lead(&mut self, server: usize, epoch: Epoch) {
        let leader = *self.leaders.entry(epoch).or_insert(server);
        assert_eq!(leader, server, "I1: one leader in epoch {epoch}");
    }

    pub(crate) fn on_promise(&mut self, server: usize, epoch: Epoch, leader: usize) {
        let to = *self.promised.entry((server, epoch)).or_insert(leader);
        assert_eq!(to, leader, "I3: {server} promises {epoch} once");
    }

    pub(crate) fn on_adopt(&mut self, server: usize, epoch: Epoch, leader: usize) {
        let to = *self.adopted.entry((server, epoch)).or_insert(leader);
        assert_eq!(to, leader, "I3: {server} adopts {epoch} once");
    }

    /// A message leaves a server (I14).
    pub(crate) fn on_send(&mut self, from: usize, to: usize, message: &Message, disks: [&Disk; 2]) {
        let [own, others] = disks;
        match message {
            Message::AckEpoch {
                current_epoch: Some(current),
                last_zxid,
            } => {
                assert_eq!(*current, own.epochs.current, "O1: {from}");
                let says_all = *last_zxid != Zxid::NONE;
                assert!(
                    !says_all || *last_zxid == own.last(),
                    "{from} offers what is durable"
                );
                let asked = self.asked.get(&(to, from)).copied().unwrap_or_default();
                assert!(own.epochs.accepted >= asked, "O1: {from} promises {asked}");
                self.on_promise(from, own.epochs.accepted, to);
            }
            Message::LeaderInfo { epoch } => {
                assert!(own.epochs.accepted >= *epoch, "O2: {from}");
                self.asked.insert((from, to), *epoch);
            }
            Message::NewLeader { epoch, .. } => {
                assert!(own.epochs.current >= *epoch, "O4: {from}");
                self.on_lead(from, *epoch);
            }
            Message::Ack { zxid } if zxid.counter() == 0 => {
                assert_eq!(own.epochs.current, zxid.epoch(), "O3: {from}");
                self.on_adopt(from, zxid.epoch(), to);
                let (mine, theirs) = (own.content(), others.content_to_be());
                if others.epochs.current == zxid.epoch() {
                    let common = mine.len().min(theirs.len());
                    assert_eq!(mine[..common], theirs[..common], "I12: {from} of {to}");
                    assert!(
                        mine.len() <= theirs.len(),
                        "I12: {from} is not ahead of {to}"
                    );
                }
            }
            Message::Ack { zxid } => {
                assert!(own.holds(*zxid), "I14: {from} acks {zxid}");
            }
            _ => {}
        }
    }

    /// What stands is durable at a quorum, but for what the faults took away (I13).
    pub(crate) fn check_durability<'a>(&mut self, voters: impl Iterator<Item = &'a Disk> + Clone) {
        let Some((last, _)) = self.stands.last() else {
            return;
        };
        let quorum = voters.clone().count() / 2 + 1;
        let mut holders = 0;
        for (index, disk) in voters.enumerate() {
            if disk.holds(*last) {
                holders += 1;
                self.wiped = self.wiped.filter(|wiped| *wiped != index);
            } else if self.wiped == Some(index) {
                holders += 1;
            }
        }
        assert!(
            holders >= quorum,
            "I13: {last} is durable at {holders} voters"
        );
    }

    /// A voter's data are gone, and its promises with them.
    pub(crate) fn on_wipe(&mut self, server: usize) {
        self.wiped = Some(server);
        self.promised.retain(|(who, _), _| *who != server);
        self.adopted.retain(|(who, _), _| *who != server);
    }

    /// A voter looks for a leader, and offers itself (I2, S77).
    pub(crate) fn on_vote(&self, server: usize, vote: &Vote, own: &Disk) {
        let (last, current) = (own.last(), own.epochs.current);
        let in_part = current == Epoch::default();
        assert!(
            last.epoch() <= current || in_part,
            "I2: {server} votes with {last} in {current}"
        );
        // Others may go on voting for what a wiped server had, and it with them.
        let itself = vote.leader == Some(crate::server::server_id(server));
        if itself && self.wiped != Some(server) {
            assert_eq!(
                vote.zxid, last,
                "{server} votes for what is durable (ZOOKEEPER-2845)"
            );
        }
    }
}

/// PROPOSAL, COMMIT and INFORM in order on each link (I15).
pub(crate) fn check_order(link: LinkId, pipe: (&mut i64, &mut i64), message: &Message) {
    let (proposed, committed) = pipe;
    match message {
        Message::Proposal { zxid, .. } => {
            assert!(zxid.to_wire() > *proposed, "I15: {link} PROPOSAL {zxid}");
            *proposed = zxid.to_wire();
        }
        Message::Commit { zxid } => {
            assert!(
                zxid.to_wire() > *committed,
                "I15: {link} COMMIT {zxid} once"
            );
            assert!(
                zxid.to_wire() <= *proposed,
                "I15: {link} COMMIT {zxid} after PROPOSAL"
            );
            *committed = zxid.to_wire();
        }
        Message::Inform { zxid, .. } => {
            assert!(
                zxid.to_wire() > *committed,
                "I15: {link} INFORM {zxid} once"
            );
            *proposed = zxid.to_wire();
            *committed = zxid.to_wire();
        }
        _ => {}
    }
}

/// Reasons that only a defect can give (I20).
pub(crate) fn check_reason(server: usize, because: Departure) {
    let defects = [
        Departure::OutOfPlace,
        Departure::Gap,
        Departure::Unknown,
        Departure::LogLost,
        Departure::EpochsExhausted,
    ];
    assert!(
        !defects.contains(&because),
        "I20: server {server}: {because}"
    );
}
