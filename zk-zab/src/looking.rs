//! A server without a leader: first it comes to rest, then it takes part in the election.

use crate::canary::Canary;
use crate::member::Member;
use crate::{Effect, Time};
use std::time::Duration;

/// How many milliseconds an observer waits at most before it looks for a leader again. A leader that comes back would
/// otherwise have all its observers at the door at once; the voters are not kept waiting.
const OBSERVERS_PAUSE: u64 = 200;

/// A server that looks for a leader.
#[derive(Clone, Debug)]
pub(crate) enum Looking {
    /// The disk still owes answers. A vote says what is durable, and nothing may be written any more on
    /// behalf of the role that was left (ZOOKEEPER-2845, 4712).
    Settling { pause: Duration },
    /// At rest, and in no hurry.
    Pausing { until: Time },
    /// At rest: whoever is elected may be followed.
    Electing,
}

impl Looking {
    pub(crate) const fn begin() -> Self {
        let pause = Duration::ZERO;
        Self::Settling { pause }
    }

    /// Another role has ended, one of so many.
    pub(crate) fn again(me: &Member, roles: u64) -> Self {
        let pause = if me.settings.observer {
            let chance = spread(me.settings.me.number().cast_unsigned(), roles);
            Duration::from_millis(chance % (OBSERVERS_PAUSE + 1))
        } else {
            Duration::ZERO
        };
        Self::Settling { pause }
    }

    /// When to go on if nothing happens first.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        match self {
            Self::Pausing { until } => Some(*until),
            Self::Settling { .. } | Self::Electing => None,
        }
    }

    /// The disk may have answered all it owes, and the pause may be over: then, once, the election begins.
    ///
    /// A history whose last transaction is of a later epoch than it says was cut off between its
    /// transactions and its epoch (O3). A transaction proves that its leader had a quorum, so the epoch
    /// is raised before the first vote (P27). Who never had any epoch has been given a part of a history, and
    /// that alone: it may have lost the rest, and does not become somebody by starting again (P26).
    pub(crate) fn settle(&mut self, me: &mut Member, now: Time, out: &mut Vec<Effect>) -> bool {
        match self {
            Self::Electing => return false,
            Self::Pausing { until } if now < *until => return false,
            Self::Pausing { .. } => {}
            Self::Settling { pause } => {
                if !me.is_settled() && !Canary::VoteBeforeRest.sings() {
                    return false;
                }
                let held = me.history.logged().epoch();
                let late = held > me.promises.current();
                let known = !me.is_blank() || Canary::PartTakenForAll.sings();
                if late && known && !Canary::EpochNotRaised.sings() {
                    me.promises.adopt(held, out);
                    return false;
                }
                if !pause.is_zero() {
                    let until = now + *pause;
                    *self = Self::Pausing { until };
                    return false;
                }
            }
        }
        *self = Self::Electing;
        true
    }
}

/// A number that looks like chance, and is the same whenever the same is asked.
const fn spread(who: u64, when: u64) -> u64 {
    let mut mixed = who.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(when);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
