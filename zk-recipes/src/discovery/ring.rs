//! A ring of hashes: the same key leads to the same instance on every machine, and few keys move when instances come
//! and go. Pure.

use super::roll::Member;
use super::strategy::mix;

/// How many points an instance of weight one has; fewer where the weights are large.
const POINTS: u64 = 64;
/// How many points a ring has at most, but for one for each instance.
const MOST: u64 = 1 << 17;

/// FNV-1a, scattered: the same everywhere and for ever.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

#[derive(Debug)]
pub(super) struct Ring {
    /// Where each point is, and whose it is.
    points: Vec<(u64, u32)>,
}

impl Ring {
    pub(super) fn new(members: &[Member]) -> Self {
        let all: u64 = members.iter().map(|it| u64::from(it.weight)).sum();
        // All weights alike count as one each.
        let lightest = members.iter().map(|it| it.weight).min().unwrap_or(1).max(1);
        let wanted = all * POINTS / u64::from(lightest);
        let most = wanted.min(MOST);
        let mut points = Vec::new();
        for (index, member) in (0..).zip(members) {
            let own = u64::from(member.weight) * most / all.max(1);
            let seed = hash(member.instance.name().as_bytes());
            let places = (0..own.max(1)).map(|point| (mix(seed ^ mix(point)), index));
            points.extend(places);
        }
        points.sort_unstable();
        Self { points }
    }

    /// Whose the next point is.
    pub(super) fn at(&self, hash: u64) -> Option<usize> {
        let next = self.points.partition_point(|(place, _)| *place < hash);
        let (_, index) = self.points.get(next).or_else(|| self.points.first())?;
        usize::try_from(*index).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Instance;
    use super::*;

    fn members(names: impl Iterator<Item = usize>) -> Vec<Member> {
        let made = names.map(|name| {
            let instance = Instance::new("svc").id(format!("instance-{name}"));
            Member::new(instance.into(), 1)
        });
        made.collect()
    }

    #[test]
    fn few_keys_move_when_an_instance_goes() {
        let (all, fewer) = (members(0..20), members((0..20).filter(|it| *it != 7)));
        let (before, after) = (Ring::new(&all), Ring::new(&fewer));
        let (mut moved, mut orphaned) = (0, 0);
        for key in 0..10_000_u32 {
            let hash = hash(&key.to_be_bytes());
            let was = all[before.at(hash).unwrap()].instance.name();
            let is = fewer[after.at(hash).unwrap()].instance.name();
            if was == "instance-7" {
                orphaned += 1;
            } else if was != is {
                moved += 1;
            }
        }
        assert_eq!(moved, 0, "only the keys of who went move");
        assert!((200..1000).contains(&orphaned), "{orphaned}");
    }

    #[test]
    fn a_hash_is_the_same_for_ever() {
        // FNV-1a of nothing and of "a" are in its authors' tables; scattered by SplitMix64's last steps.
        assert_eq!(hash(b""), mix(0xcbf2_9ce4_8422_2325));
        assert_eq!(hash(b"a"), mix(0xaf63_dc4c_8601_ec8c));
    }
}
