//! A guard against mass removal: when most instances of a service vanish at once, the directory is more likely to be
//! wrong than the services to be down, and those that vanished are kept for a while. Pure: it is told the time.

use super::Instance;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When instances that vanished are kept; see [`ProviderBuilder::floor`](crate::ProviderBuilder::floor).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// Which part of those that were there lately has to be left, from 0 to 1; else all of them are kept.
    pub part: f64,
    /// How many have to vanish for that to count as many.
    pub least: usize,
    /// What "lately" is, and how long they are kept at most.
    pub hold: Duration,
}

impl Default for Floor {
    /// A half is to be left when three or more vanish; they are kept for a minute.
    fn default() -> Self {
        Self {
            part: 0.5,
            least: 3,
            hold: Duration::from_secs(60),
        }
    }
}

/// Instances that have vanished lately.
#[derive(Debug, Default)]
pub(super) struct Vanished {
    pub(super) known: BTreeMap<String, (Arc<Instance>, Instant)>,
}

impl Vanished {
    pub(super) fn add(&mut self, instance: Arc<Instance>, now: Instant) {
        let name = instance.name().to_owned();
        self.known.insert(name, (instance, now));
    }

    /// It is there again, or was unregistered with a farewell.
    pub(super) fn forget(&mut self, name: &str) {
        self.known.remove(name);
    }

    /// Those who are kept although they vanished, given how many are there, and when that is to be looked at again.
    pub(super) fn kept(
        &mut self,
        floor: Floor,
        there: usize,
        now: Instant,
    ) -> (Vec<Arc<Instance>>, Option<Instant>) {
        self.known.retain(|_, (_, since)| now < *since + floor.hold);
        let lately = there + self.known.len();
        #[expect(clippy::cast_precision_loss, reason = "instances are few")]
        let enough = there as f64 >= lately as f64 * floor.part;
        if enough || self.known.len() < floor.least.max(1) {
            return (Vec::new(), None);
        }
        let first = self.known.values().map(|(_, since)| *since + floor.hold);
        let kept = self.known.values().map(|(kept, _)| Arc::clone(kept));
        (kept.collect(), first.min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vanished(count: usize, now: Instant) -> Vanished {
        let mut vanished = Vanished::default();
        for at in 0..count {
            vanished.add(Instance::new("svc").id(at.to_string()).into(), now);
        }
        vanished
    }

    #[test]
    fn those_who_vanish_together_are_kept_and_a_few_are_not() {
        let (floor, now) = (Floor::default(), Instant::now());
        let check = |gone, there, kept| {
            let mut vanished = vanished(gone, now);
            let (those, again) = vanished.kept(floor, there, now);
            assert_eq!(those.len(), kept, "{gone} gone, {there} there");
            assert_eq!(again.is_some(), kept > 0);
        };
        check(0, 0, 0);
        check(4, 6, 0);
        check(5, 5, 0);
        check(6, 4, 6);
        check(2, 0, 0);
        check(3, 0, 3);
        check(10, 0, 10);
    }

    #[test]
    fn they_are_kept_until_they_come_back_or_their_time_is_over() {
        let (floor, now) = (Floor::default(), Instant::now());
        let mut vanished = vanished(10, now);
        assert_eq!(vanished.kept(floor, 0, now).1, Some(now + floor.hold));
        (0..5).for_each(|name| vanished.forget(&name.to_string()));
        assert_eq!(vanished.kept(floor, 5, now).0.len(), 0);
        assert_eq!(vanished.kept(floor, 4, now).0.len(), 5);
        assert_eq!(vanished.kept(floor, 4, now + floor.hold).0.len(), 0);
        assert_eq!(vanished.known.len(), 0);
    }
}
