//! A server without a leader: first it comes to rest, then it takes part in the election.

use crate::Effect;
use crate::member::Member;

/// A server that looks for a leader.
#[derive(Clone, Debug)]
pub(crate) enum Looking {
    /// The disk still owes answers. A vote says what is durable, and nothing may be written any more on
    /// behalf of the role that was left (ZOOKEEPER-2845, 4712).
    Settling,
    /// At rest: whoever is elected may be followed.
    Electing,
}

impl Looking {
    pub(crate) const fn begin() -> Self {
        Self::Settling
    }

    /// The disk may have answered all it owes: then, once, the election begins.
    ///
    /// A history whose last transaction is of a later epoch than it says was cut off between its
    /// transactions and its epoch (O3). A transaction proves that its leader had a quorum, so the epoch
    /// is raised before the first vote (P27).
    pub(crate) fn settle(&mut self, me: &mut Member, out: &mut Vec<Effect>) -> bool {
        if matches!(self, Self::Electing) || !me.is_settled() {
            return false;
        }
        let held = me.history.logged().epoch();
        if held > me.promises.current() {
            me.promises.adopt(held, out);
            return false;
        }
        *self = Self::Electing;
        true
    }
}
