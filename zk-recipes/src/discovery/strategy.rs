//! Whom to pick: strategies over a list that does not change. Pure but for their counters.

use super::ring::Ring;
use super::roll::Member;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How a provider picks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// Any.
    Random,
    /// Always the same, as long as it is there.
    Sticky,
    /// The less busy of two that are drawn: by what was picked here and not given back, in proportion to the weights.
    PowerOfTwo,
    /// The same for the same key, on every machine; few keys move when instances come and go. In proportion to the
    /// weights. Without a key any.
    RingHash,
    /// Any, in proportion to the weights.
    Weighted,
}

/// What picks have to look at, made once for a list.
#[derive(Debug)]
pub(super) enum Aid {
    None,
    Ring(Ring),
    /// The sums of the weights up to and with each.
    Sums(Vec<u64>),
}

impl Aid {
    pub(super) fn new(strategy: Strategy, members: &[Member]) -> Self {
        match strategy {
            Strategy::RoundRobin | Strategy::Random | Strategy::Sticky | Strategy::PowerOfTwo => {
                Self::None
            }
            Strategy::RingHash => Self::Ring(Ring::new(members)),
            Strategy::Weighted => {
                let sums = members.iter().scan(0, |sum, member| {
                    *sum += u64::from(member.weight);
                    Some(*sum)
                });
                Self::Sums(sums.collect())
            }
        }
    }
}

/// What a strategy remembers from one pick to the next, whatever the list.
#[derive(Debug)]
pub(super) struct Chooser {
    pub(super) strategy: Strategy,
    turn: AtomicU64,
    chance: AtomicU64,
    last: Mutex<Option<String>>,
}

impl Chooser {
    pub(super) fn new(strategy: Strategy, seed: u64) -> Self {
        Self {
            strategy,
            turn: AtomicU64::new(seed >> 8),
            chance: AtomicU64::new(seed),
            last: Mutex::new(None),
        }
    }

    /// Any number (SplitMix64, whose state is a counter and so may be shared).
    fn number(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let state = self.chance.fetch_add(step, Ordering::Relaxed);
        mix(state.wrapping_add(step))
    }

    fn below(&self, bound: usize) -> usize {
        scale(self.number(), bound)
    }

    /// Which of them; `None` if there is none.
    pub(super) fn choose(
        &self,
        members: &[Member],
        aid: &Aid,
        key: Option<&[u8]>,
    ) -> Option<usize> {
        if members.is_empty() {
            return None;
        }
        Some(match (self.strategy, aid) {
            (Strategy::RoundRobin, _) => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                usize::try_from(turn % members.len() as u64).unwrap_or(0)
            }
            (Strategy::Sticky, _) => self.same_as_before(members),
            (Strategy::PowerOfTwo, _) => self.less_busy(members),
            (Strategy::RingHash, Aid::Ring(ring)) => {
                let hash = key.map_or_else(|| self.number(), super::ring::hash);
                ring.at(hash).unwrap_or(0)
            }
            (Strategy::Weighted, Aid::Sums(sums)) => {
                let all = sums.last().copied().unwrap_or(0);
                let drawn = (u128::from(self.number()) * u128::from(all)) >> 64;
                let at = sums.partition_point(|sum| u128::from(*sum) <= drawn);
                at.min(members.len() - 1)
            }
            (Strategy::Random | Strategy::RingHash | Strategy::Weighted, _) => {
                self.below(members.len())
            }
        })
    }

    fn same_as_before(&self, members: &[Member]) -> usize {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.as_deref().and_then(|last| {
            let by_name = |member: &Member| member.instance.name().cmp(last);
            members.binary_search_by(by_name).ok()
        });
        known.unwrap_or_else(|| {
            let drawn = self.below(members.len());
            *last = members.get(drawn).map(|it| it.instance.name().to_owned());
            drawn
        })
    }

    fn less_busy(&self, members: &[Member]) -> usize {
        let one = self.below(members.len());
        let other = (one + 1 + self.below((members.len() - 1).max(1))) % members.len();
        let (Some(first), Some(second)) = (members.get(one), members.get(other)) else {
            return one;
        };
        // busy / weight, without a division.
        let (first, second) = (
            first.busy() * u64::from(second.weight),
            second.busy() * u64::from(first.weight),
        );
        if second < first { other } else { one }
    }
}

/// Scatters a number.
pub(super) const fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below a bound, from any number.
fn scale(number: u64, bound: usize) -> usize {
    let scaled = (u128::from(number) * bound as u128) >> 64;
    usize::try_from(scaled).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::Instance;
    use super::*;

    fn members(weights: &[u32]) -> Vec<Member> {
        let made = weights.iter().enumerate().map(|(at, weight)| {
            let instance = Instance::new("svc").id(format!("{at:04}"));
            Member::new(instance.into(), *weight)
        });
        made.collect()
    }

    /// How often each is picked.
    fn counts(strategy: Strategy, weights: &[u32], picks: usize) -> Vec<usize> {
        let members = members(weights);
        let aid = Aid::new(strategy, &members);
        let chooser = Chooser::new(strategy, 4711);
        let mut counts = vec![0; weights.len()];
        for _ in 0..picks {
            counts[chooser.choose(&members, &aid, None).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn nobody_is_picked_from_nobody() {
        for strategy in [
            Strategy::RoundRobin,
            Strategy::Random,
            Strategy::Sticky,
            Strategy::PowerOfTwo,
            Strategy::RingHash,
            Strategy::Weighted,
        ] {
            let chooser = Chooser::new(strategy, 1);
            let aid = Aid::new(strategy, &[]);
            assert_eq!(chooser.choose(&[], &aid, Some(b"x")), None);
            let one = members(&[1]);
            let aid = Aid::new(strategy, &one);
            assert_eq!(chooser.choose(&one, &aid, None), Some(0));
        }
    }

    #[test]
    fn turns_are_taken_in_order_and_the_rest_is_spread() {
        assert_eq!(counts(Strategy::RoundRobin, &[1; 7], 70), [10; 7]);
        for strategy in [Strategy::Random, Strategy::RingHash, Strategy::PowerOfTwo] {
            let counts = counts(strategy, &[1; 5], 10_000);
            let even = counts.iter().all(|count| (1000..3200).contains(count));
            assert!(even, "{strategy:?} {counts:?}");
        }
    }

    #[test]
    fn weights_are_proportions() {
        for strategy in [Strategy::Weighted, Strategy::RingHash] {
            let counts = counts(strategy, &[1, 3, 6], 100_000);
            let share = |at: usize| counts[at] as f64 / 100_000.0;
            assert!((share(0) - 0.1).abs() < 0.05, "{strategy:?} {counts:?}");
            assert!((share(1) - 0.3).abs() < 0.08, "{strategy:?} {counts:?}");
            assert!((share(2) - 0.6).abs() < 0.10, "{strategy:?} {counts:?}");
        }
    }

    #[test]
    fn who_is_sticky_stays_until_the_instance_goes() {
        let mut members = members(&[1; 50]);
        let chooser = Chooser::new(Strategy::Sticky, 99);
        let first = chooser.choose(&members, &Aid::None, None).unwrap();
        let name = members[first].instance.name().to_owned();
        members.retain(|it| it.instance.name() == name || it.instance.name() > "0010");
        let then = chooser.choose(&members, &Aid::None, None).unwrap();
        assert_eq!(members[then].instance.name(), name);
        members.retain(|it| it.instance.name() != name);
        let other = chooser.choose(&members, &Aid::None, None).unwrap();
        for _ in 0..10 {
            assert_eq!(chooser.choose(&members, &Aid::None, None), Some(other));
        }
    }

    #[test]
    fn of_two_the_less_busy_is_picked() {
        let members = members(&[1, 1]);
        let chooser = Chooser::new(Strategy::PowerOfTwo, 5);
        for _ in 0..100 {
            let at = chooser.choose(&members, &Aid::None, None).unwrap();
            members[at].begin();
        }
        assert_eq!((members[0].busy(), members[1].busy()), (50, 50));
    }
}
