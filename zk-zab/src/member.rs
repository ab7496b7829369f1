//! What a server is, whatever its role: its settings, its promises, its history.

use crate::epochs::{Epochs, Promises};
use crate::history::{History, follows};
use crate::{Departure, Effect, LinkId, Message, Settings};
use bytes::Bytes;
use zk_proto::{Epoch, Zxid};

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) settings: Settings,
    pub(crate) promises: Promises,
    pub(crate) history: History,
    /// Whether this server is a quorum by itself.
    pub(crate) is_enough: bool,
}

impl Member {
    pub(crate) fn new(settings: Settings, epochs: Epochs, last: Zxid) -> Self {
        let is_enough = settings.quorum.is_met_by_alone(settings.me);
        Self {
            is_enough,
            settings,
            promises: Promises::new(epochs),
            history: History::ending_with(last),
        }
    }

    /// Whether memory and disk agree, so that a vote may say what this server has (ZOOKEEPER-2845).
    pub(crate) fn is_settled(&self) -> bool {
        self.history.is_settled() && self.promises.is_settled()
    }

    /// Whether this server [has nothing yet](is_blank).
    pub(crate) fn is_blank(&self) -> bool {
        is_blank(self.promises.current(), self.history.logged())
    }

    /// Whether this server [may have forgotten](may_have_forgotten) what it has promised.
    pub(crate) fn may_have_forgotten(&self, leaders_last: Zxid) -> bool {
        let (current, last) = (self.promises.current(), self.history.logged());
        may_have_forgotten(current, last, leaders_last)
    }

    /// A transaction from a leader: the next one, or one this server has already (Zab spec issue 2).
    pub(crate) fn take(
        &mut self,
        zxid: Zxid,
        payload: Bytes,
        out: &mut Vec<Effect>,
    ) -> Result<(), Departure> {
        let logged = self.history.logged();
        if zxid <= logged {
            return Ok(());
        }
        if zxid.epoch() > self.promises.accepted() || !follows(logged, zxid) {
            return Err(Departure::Gap);
        }
        self.history.append(zxid, payload, out);
        Ok(())
    }

    /// Delivers what can be, and forgets what nobody needs.
    pub(crate) fn deliver(&mut self, out: &mut Vec<Effect>) {
        self.history.deliver(out);
        self.forget(self.history.delivered());
    }

    /// Forgets what stands and lies before `needed`, beyond what is kept for learners that return.
    pub(crate) fn forget(&mut self, needed: Zxid) {
        let (window, backlog) = (self.settings.window, self.settings.backlog as u64);
        self.history.trim(window, backlog, needed);
    }
}

/// Whether a server with this epoch and history is new, or has lost what it had (P26). One that was given a part of a
/// history and never the end of it is as it was before: only an acknowledged NEWLEADER makes it somebody. What
/// epoch 0 wrote is a standalone server's, which was nobody's learner.
pub(crate) fn is_blank(current: Epoch, last: Zxid) -> bool {
    let in_part = last.epoch() > Epoch::default();
    current == Epoch::default() && (last == Zxid::ZERO || in_part)
}

/// Whether the promise of such a server counts nothing beside a leader whose history ends there: it may have had a
/// part in an epoch, and have lost it and its promises (P26). Where nobody knows of any epoch an ensemble begins; what
/// a standalone server wrote, others may join.
pub(crate) fn may_have_forgotten(current: Epoch, last: Zxid, leaders_last: Zxid) -> bool {
    let begins = last.max(leaders_last).epoch() == Epoch::default();
    is_blank(current, last) && !begins
}

/// Says something on a link.
pub(crate) fn send(link: LinkId, message: Message, out: &mut Vec<Effect>) {
    out.push(Effect::Send { link, message });
}
