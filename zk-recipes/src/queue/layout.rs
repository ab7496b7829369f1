//! How entries are called, and what their names say: whose turn comes when. Pure.

use crate::error::Error;
use crate::naming::Sequence;
use std::cmp::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// With whom a queue is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueLayout {
    /// Curator's `SimpleDistributedQueue`, and the queue of ZooKeeper's own recipes: `qn-N`.
    Simple,
    /// kazoo's `Queue`: `entry-PPP-N`, with priorities from 0, which comes first, to 999.
    Kazoo,
    /// kazoo's `LockingQueue`: the same in `entries`; who has claimed what in `taken`.
    KazooLocking,
    /// Curator's `DistributedQueue`: `queue-N`, items in an envelope.
    Curator,
    /// Curator's `DistributedPriorityQueue`: the priority in the name; the lowest comes first.
    CuratorPriority,
    /// Curator's `DistributedDelayQueue`: the time at which it is due in the name.
    CuratorDelay,
}

/// Where an entry stands: first by priority or time, then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// A priority, milliseconds since 1970, or nothing.
    pub(super) rank: i64,
    sequence: Sequence,
}

impl Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = self.rank.cmp(&other.rank);
        rank.then_with(|| self.sequence.cmp(other.sequence))
    }
}

/// A node that is an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) place: Place,
}

/// What somebody wants for a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Anywhere,
    Priority(i32),
    At(SystemTime),
}

/// kazoo's, for whoever does not care.
const USUAL: i32 = 100;

impl QueueLayout {
    pub(super) const fn has_envelope(self) -> bool {
        match self {
            Self::Curator | Self::CuratorPriority | Self::CuratorDelay => true,
            Self::Simple | Self::Kazoo | Self::KazooLocking => false,
        }
    }

    /// What stands before the number of a new entry.
    pub(super) fn prefix(self, wish: Wish) -> Result<String, Error> {
        match (self, wish) {
            (Self::Simple, Wish::Anywhere) => Ok("qn-".to_owned()),
            (Self::Curator, Wish::Anywhere) => Ok("queue-".to_owned()),
            (Self::Kazoo | Self::KazooLocking, Wish::Anywhere) => Ok(format!("entry-{USUAL}-")),
            (Self::Kazoo | Self::KazooLocking, Wish::Priority(priority @ 0..=999)) => {
                Ok(format!("entry-{priority:03}-"))
            }
            (Self::CuratorPriority, Wish::Anywhere) => self.prefix(Wish::Priority(0)),
            (Self::CuratorPriority, Wish::Priority(priority)) => {
                let sign = if priority < 0 { '0' } else { '1' };
                Ok(format!("queue-{sign}{priority:08X}"))
            }
            // Due since ever.
            (Self::CuratorDelay, Wish::Anywhere) => Ok(format!("queue-|{:08X}|", 0)),
            (Self::CuratorDelay, Wish::At(time)) => Ok(format!("queue-|{:08X}|", millis(time))),
            (Self::Kazoo | Self::KazooLocking, Wish::Priority(_)) => {
                Err(Error::Usage("priorities of kazoo's queues are 0 to 999"))
            }
            (Self::Simple | Self::Curator | Self::CuratorDelay, Wish::Priority(_)) => {
                Err(Error::Usage("this queue has no priorities"))
            }
            (_, Wish::At(_)) => Err(Error::Usage("this queue does not know of times")),
        }
    }

    /// The entries among a directory's children, in their order. Other children are nobody's business.
    pub(super) fn sort(self, names: Vec<String>) -> Vec<Named> {
        let named = names.into_iter().filter_map(|name| {
            let place = self.parse(&name)?;
            Some(Named { name, place })
        });
        let mut named: Vec<_> = named.collect();
        named.sort_by(|one, other| one.place.cmp(&other.place));
        named
    }

    /// How long an entry is not yet due; `None` once it is.
    pub(super) fn not_yet(self, place: Place, now: SystemTime) -> Option<Duration> {
        if self != Self::CuratorDelay {
            return None;
        }
        let left = place.rank.checked_sub(millis(now))?;
        let left = u64::try_from(left).ok().filter(|left| *left > 0)?;
        Some(Duration::from_millis(left))
    }

    fn parse(self, name: &str) -> Option<Place> {
        let (rank, number) = match self {
            Self::Simple => (0, name.strip_prefix("qn-")?),
            Self::Curator => (0, name.strip_prefix("queue-")?),
            Self::Kazoo | Self::KazooLocking => {
                let (priority, number) = name.strip_prefix("entry-")?.split_once('-')?;
                (priority.parse().ok()?, number)
            }
            Self::CuratorPriority => {
                let rest = name.strip_prefix("queue-")?;
                let (sign, hex, number) = (rest.get(..1)?, rest.get(1..9)?, rest.get(9..)?);
                let priority = u32::from_str_radix(hex, 16).ok()?.cast_signed();
                let true_sign = (priority >= 0) == (sign == "1");
                (i64::from(priority), true_sign.then_some(number)?)
            }
            Self::CuratorDelay => {
                let (hex, number) = name.strip_prefix("queue-|")?.split_once('|')?;
                (i64::from_str_radix(hex, 16).ok()?, number)
            }
        };
        let sequence = Sequence::parse(number)?;
        Some(Place { rank, sequence })
    }
}

/// Milliseconds since 1970.
fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(layout: QueueLayout, wish: Wish) -> String {
        layout.prefix(wish).unwrap() + "0000000007"
    }

    #[test]
    fn entries_are_called_as_the_others_call_them() {
        use QueueLayout::{Curator, CuratorDelay, CuratorPriority, Kazoo, KazooLocking, Simple};
        let time = UNIX_EPOCH + Duration::from_millis(0x18B_CFE5_6800);
        for (layout, wish, expected, rank) in [
            (Simple, Wish::Anywhere, "qn-0000000007", 0),
            (Kazoo, Wish::Anywhere, "entry-100-0000000007", 100),
            (Kazoo, Wish::Priority(7), "entry-007-0000000007", 7),
            (KazooLocking, Wish::Priority(0), "entry-000-0000000007", 0),
            (Curator, Wish::Anywhere, "queue-0000000007", 0),
            (
                CuratorPriority,
                Wish::Priority(10),
                "queue-10000000A0000000007",
                10,
            ),
            (
                CuratorPriority,
                Wish::Priority(-10),
                "queue-0FFFFFFF60000000007",
                -10,
            ),
            (
                CuratorDelay,
                Wish::At(time),
                "queue-|18BCFE56800|0000000007",
                0x18B_CFE5_6800,
            ),
        ] {
            let name = name(layout, wish);
            assert_eq!(name, expected);
            assert_eq!(layout.parse(&name).unwrap().rank, rank);
        }
        assert!(Kazoo.prefix(Wish::Priority(1000)).is_err());
        assert!(Simple.prefix(Wish::Priority(1)).is_err());
        assert!(Curator.prefix(Wish::At(time)).is_err());
    }

    #[test]
    fn the_lowest_comes_first_then_who_came_first() {
        let names = [
            "queue-10000000A0000000001",
            "queue-0FFFFFFF60000000004",
            "queue-1000000000000000003",
            "queue-1000000000000000002",
            "queue-100000000",
            "queue-|00|0000000001",
            "lock",
        ];
        let sorted = QueueLayout::CuratorPriority.sort(names.map(str::to_owned).to_vec());
        let sorted: Vec<_> = sorted.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(sorted, [names[1], names[3], names[2], names[0]]);
    }

    #[test]
    fn an_entry_is_due_at_its_time() {
        let layout = QueueLayout::CuratorDelay;
        let place = layout.parse("queue-|000003E8|0000000001").unwrap();
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(
            layout.not_yet(place, at(999)),
            Some(Duration::from_millis(1))
        );
        assert_eq!(layout.not_yet(place, at(1000)), None);
        assert_eq!(layout.not_yet(place, at(5000)), None);
        assert_eq!(QueueLayout::Simple.not_yet(place, at(0)), None);
    }
}
