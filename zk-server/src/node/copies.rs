//! Snapshots for learners: the tree frozen at one moment and sent in small steps, as fast as the learner
//! takes them, while the leader goes on. The tree is never copied as a whole.
//!
//! There is one image of the tree at a time. A snapshot for the own disk gives way, and is taken later; a
//! second learner waits for the first.

use super::Node;
use crate::disk::snapshot::SYNC_SIGNATURE;
use crate::tree::ImageProgress;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;
use tracing::{info, warn};
use zk_proto::Zxid;
use zk_zab::{Input, LinkId, Time};

/// How many nodes one step visits at most.
const NODES_PER_STEP: usize = 2048;
/// How many steps are done before others get their turn.
const STEPS_AT_ONCE: usize = 4;
/// When to look again whether a learner has taken in what was sent.
const PATIENCE: Duration = Duration::from_millis(2);
/// The most that changes may add to an image whose learner is slow.
const MOST_WAITING: usize = 64 << 20;

/// The copies that are wanted, and the one under way.
#[derive(Debug, Default)]
pub(super) struct Copies {
    waiting: VecDeque<(LinkId, Zxid)>,
    active: Option<LinkId>,
    next_step: Option<Time>,
}

impl Copies {
    pub(super) fn push(&mut self, link: LinkId, zxid: Zxid) {
        self.waiting.push_back((link, zxid));
        self.next_step = Some(Time::default());
    }

    /// Whether the tree is needed for a learner.
    pub(super) fn is_idle(&self) -> bool {
        self.active.is_none() && self.waiting.is_empty()
    }

    /// When to go on.
    pub(super) const fn deadline(&self) -> Option<Time> {
        self.next_step
    }
}

impl Node {
    /// Sends a little more to the learner whose turn it is.
    pub(super) fn continue_copies(&mut self, now: Time) {
        let Some(copies) = self.member.as_ref().map(|member| &member.copies) else {
            return;
        };
        if copies.next_step.is_none_or(|next| now < next) {
            return;
        }
        for _ in 0..STEPS_AT_ONCE {
            if !self.step_copy() {
                break;
            }
        }
        let copies = &mut self.membership().copies;
        copies.next_step = (!copies.is_idle()).then_some(now + PATIENCE);
    }

    /// Whether there is more to do at once.
    fn step_copy(&mut self) -> bool {
        let member = self.membership();
        let Some(link) = member.copies.active else {
            return match member.copies.waiting.pop_front() {
                Some((link, zxid)) => self.begin_copy(link, zxid),
                None => false,
            };
        };
        match member.peers.has_room(link) {
            None => {
                self.abandon_copy();
                return true;
            }
            Some(false) => {
                if self.replica.tree().image_backlog() > MOST_WAITING {
                    warn!(%link, "a learner takes in its snapshot too slowly: cut off");
                    self.membership().peers.cut_off(link);
                    self.abandon_copy();
                }
                return false;
            }
            Some(true) => {}
        }
        let mut piece = Vec::new();
        let progress = self
            .replica
            .tree_mut()
            .step_image(NODES_PER_STEP, &mut piece);
        let more = matches!(progress, Ok(ImageProgress::More));
        if !more {
            piece.extend_from_slice(&SYNC_SIGNATURE);
        }
        let member = self.membership();
        member.peers.send_raw(link, piece.into());
        if !more {
            member.copies.active = None;
            info!(%link, "a snapshot has been sent");
            self.inputs.push_back(Input::SnapshotSent { link });
        }
        true
    }

    fn begin_copy(&mut self, link: LinkId, zxid: Zxid) -> bool {
        self.give_up_snapshot();
        let mut head = Vec::new();
        let begun = self.replica.tree_mut().begin_image(&mut head);
        let facts = begun.expect("whoever had an image has given it up");
        info!(%link, %zxid, frozen = %facts.zxid, nodes = facts.nodes, "sending a snapshot");
        self.replica
            .metrics()
            .here()
            .counters
            .snap_count
            .increment();
        let member = self.membership();
        member.peers.send_raw(link, Bytes::from(head));
        member.copies.active = Some(link);
        true
    }

    fn abandon_copy(&mut self) {
        if self.membership().copies.active.take().is_some() {
            self.replica.tree_mut().abort_image();
        }
    }

    /// Nobody is sent anything any more.
    pub(super) fn abandon_copies(&mut self) {
        self.abandon_copy();
        self.membership().copies = Copies::default();
    }
}
