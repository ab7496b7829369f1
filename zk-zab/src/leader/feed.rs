//! How far one learner has been told of the history. What it has not been told yet is not copied into a
//! queue: it is a place in the leader's own history, which keeps what is behind that place (P31).

use crate::history::History;
use crate::member::send;
use crate::{Effect, LinkId, Message};
use zk_proto::Zxid;

#[derive(Clone, Debug)]
pub(crate) struct Feed {
    link: LinkId,
    observer: bool,
    /// The last PROPOSAL or INFORM sent.
    proposed: Zxid,
    /// The last COMMIT sent.
    committed: Zxid,
    /// The last one the learner has acknowledged.
    acked: Zxid,
}

impl Feed {
    /// A learner that has everything up to `from`, and knows that it stands.
    pub(crate) const fn from(link: LinkId, observer: bool, from: Zxid) -> Self {
        Self {
            link,
            observer,
            proposed: from,
            committed: from,
            acked: from,
        }
    }

    pub(crate) const fn proposed(&self) -> Zxid {
        self.proposed
    }

    pub(crate) const fn acked(&self) -> Zxid {
        self.acked
    }

    /// What is behind this place is still needed.
    pub(crate) fn needed(&self) -> Zxid {
        self.proposed.min(self.committed)
    }

    pub(crate) fn on_ack(&mut self, zxid: Zxid) {
        self.acked = self.acked.max(zxid);
    }

    /// Whether the learner has, and has acknowledged, everything.
    pub(crate) fn is_level(&self, history: &History) -> bool {
        let has_all = self.needed() >= history.logged();
        has_all && (self.observer || self.acked >= history.logged())
    }

    /// The history before NEWLEADER: each transaction with its commit, to whomever.
    pub(crate) fn tell_history(&mut self, history: &History, through: Zxid, out: &mut Vec<Effect>) {
        for entry in history.after(self.proposed) {
            if entry.zxid > through {
                break;
            }
            let (zxid, payload) = (entry.zxid, entry.payload.clone());
            send(self.link, Message::Proposal { zxid, payload }, out);
            send(self.link, Message::Commit { zxid }, out);
        }
        self.proposed = through;
        self.committed = through;
    }

    /// What the learner has not been told yet, after UPTODATE: PROPOSALs as they come and COMMITs when
    /// they stand, or INFORMs when they stand; in order and without a hole (I15).
    pub(crate) fn tell_news(&mut self, history: &History, out: &mut Vec<Effect>) {
        let stands = history.committed();
        if self.observer {
            for entry in history.after(self.proposed) {
                if entry.zxid > stands {
                    break;
                }
                let (zxid, payload) = (entry.zxid, entry.payload.clone());
                send(self.link, Message::Inform { zxid, payload }, out);
                self.proposed = zxid;
                self.committed = zxid;
            }
            return;
        }
        for entry in history.after(self.proposed) {
            let (zxid, payload) = (entry.zxid, entry.payload.clone());
            send(self.link, Message::Proposal { zxid, payload }, out);
            self.proposed = zxid;
        }
        for entry in history.after(self.committed) {
            if entry.zxid > stands {
                break;
            }
            send(self.link, Message::Commit { zxid: entry.zxid }, out);
            self.committed = entry.zxid;
        }
    }
}
