//! Chance from a number: every shuffle and every jitter is repeated by its seed.

/// A small generator of numbers (SplitMix64): good enough to spread load, of no use for secrets.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence that belongs to a seed.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        let scaled = (u128::from(self.number()) * bound as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }

    /// Puts a slice in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_sequence() {
        // The first outputs of SplitMix64 for seed 0, as its author's own program prints them.
        let mut chance = Chance::seeded(0);
        assert_eq!(chance.number(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(chance.number(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut chance = Chance::seeded(7);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[chance.below(5)] += 1;
        }
        assert!(seen.iter().all(|&count| count > 120), "{seen:?}");
    }

    #[test]
    fn a_shuffle_loses_nobody() {
        let mut chance = Chance::seeded(3);
        let mut items: Vec<_> = (0..100).collect();
        chance.shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
