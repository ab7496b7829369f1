//! Who may be picked: from what the directory holds, what it held, who is down, and what the caller wishes. Pure: it
//! is told the time.

use super::Instance;
use super::floor::{Floor, Vanished};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One who may be picked.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) instance: Arc<Instance>,
    pub(super) weight: u32,
    busy: Arc<AtomicU64>,
}

impl Member {
    #[cfg(test)]
    pub(super) fn new(instance: Arc<Instance>, weight: u32) -> Self {
        Self {
            instance,
            weight,
            busy: Arc::default(),
        }
    }

    /// How often it was picked and not given back.
    pub(super) fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    /// Counts a pick until what is returned is given to [`Self::end`].
    pub(super) fn begin(&self) -> Arc<AtomicU64> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&self.busy)
    }

    pub(super) fn end(busy: &AtomicU64) {
        busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A node of a service that is no instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poisoned {
    /// The node's name.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// When an instance counts as down, by what callers have met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownPolicy {
    /// So many failures ...
    pub failures: u32,
    /// ... within so long make it count as down, for as long.
    pub period: Duration,
}

impl Default for DownPolicy {
    /// Two failures in thirty seconds, as with Curator.
    fn default() -> Self {
        Self {
            failures: 2,
            period: Duration::from_secs(30),
        }
    }
}

type Judge<T> = Arc<dyn Fn(&Instance) -> T + Send + Sync>;

/// What a caller wishes.
#[derive(Clone)]
pub(super) struct Wishes {
    pub(super) filter: Option<Judge<bool>>,
    pub(super) weigh: Option<Judge<u32>>,
    /// Whom to prefer, and how many of them have to be there for that.
    pub(super) near: Option<(Judge<bool>, usize)>,
    pub(super) down: DownPolicy,
    pub(super) floor: Option<Floor>,
}

impl fmt::Debug for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wishes")
            .field("down", &self.down)
            .field("floor", &self.floor)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Entry {
    instance: Arc<Instance>,
    busy: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Failures {
    since: Instant,
    count: u32,
    down: bool,
}

/// Everything that is known of a service.
#[derive(Debug)]
pub(super) struct Roll {
    wishes: Wishes,
    there: BTreeMap<String, Entry>,
    vanished: Vanished,
    failures: BTreeMap<String, Failures>,
    poisoned: BTreeMap<String, String>,
}

impl Roll {
    pub(super) const fn new(wishes: Wishes) -> Self {
        Self {
            wishes,
            there: BTreeMap::new(),
            vanished: Vanished {
                known: BTreeMap::new(),
            },
            failures: BTreeMap::new(),
            poisoned: BTreeMap::new(),
        }
    }

    /// A node was read. One that is no instance is set aside; what it was before, if it was one, still counts.
    pub(super) fn read(&mut self, name: &str, read: Result<Instance, serde_json::Error>) {
        match read {
            Ok(instance) => {
                self.poisoned.remove(name);
                self.vanished.forget(name);
                let instance = Arc::new(instance);
                let known = self.there.get_mut(name);
                match known {
                    Some(entry) => entry.instance = instance,
                    None => {
                        let busy = Arc::default();
                        let entry = Entry { instance, busy };
                        self.there.insert(name.to_owned(), entry);
                    }
                }
            }
            Err(error) => {
                self.poisoned.insert(name.to_owned(), error.to_string());
            }
        }
    }

    /// A node is there no more. Who had said farewell is not waited for.
    pub(super) fn gone(&mut self, name: &str, now: Instant) {
        self.poisoned.remove(name);
        self.failures.remove(name);
        if let Some(entry) = self.there.remove(name)
            && entry.instance.is_enabled()
            && self.wishes.floor.is_some()
        {
            self.vanished.add(entry.instance, now);
        }
    }

    /// Names of all nodes that are known.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.there.keys().chain(self.poisoned.keys())
    }

    pub(super) fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.there.values().map(|entry| &entry.instance)
    }

    pub(super) fn poisoned(&self) -> Vec<Poisoned> {
        let all = self.poisoned.iter().map(|(name, why)| Poisoned {
            name: name.clone(),
            why: why.clone(),
        });
        all.collect()
    }

    /// A caller met a failure. `true` if the instance counts as down from now on.
    pub(super) fn failed(&mut self, name: &str, now: Instant) -> bool {
        let policy = self.wishes.down;
        let known = self.failures.entry(name.to_owned()).or_insert(Failures {
            since: now,
            count: 0,
            down: false,
        });
        if now >= known.since + policy.period {
            *known = Failures {
                since: now,
                count: 0,
                down: false,
            };
        }
        known.count += 1;
        let newly = !known.down && known.count >= policy.failures;
        if newly {
            known.down = true;
            known.since = now;
        }
        newly
    }

    /// Who may be picked now, by name, and when that may change by itself.
    pub(super) fn call(&mut self, now: Instant) -> (Vec<Member>, Option<Instant>) {
        let mut again = Vec::new();
        let period = self.wishes.down.period;
        self.failures.retain(|_, it| now < it.since + period);
        let down = self.failures.values().filter(|it| it.down);
        again.extend(down.map(|it| it.since + period));

        let mut members: Vec<_> = self.there.values().map(|it| self.member(it)).collect();
        if let Some(floor) = self.wishes.floor {
            let there = self.there.len();
            let (kept, until) = self.vanished.kept(floor, there, now);
            again.extend(until);
            let kept = kept.into_iter().map(|instance| Entry {
                instance,
                busy: Arc::default(),
            });
            members.extend(kept.map(|it| self.member(&it)));
            members.sort_by(|a, b| a.instance.name().cmp(b.instance.name()));
        }
        members.retain(|it| it.weight > 0 && it.instance.is_enabled() && self.passes(it));
        let is_down = |it: &Member| {
            let failures = self.failures.get(it.instance.name());
            failures.is_some_and(|it| it.down)
        };
        // If all are down, none is: whoever has to pick is better off with one that may have come back.
        prefer(&mut members, 1, |it| !is_down(it));
        if let Some((near, least)) = &self.wishes.near {
            prefer(&mut members, *least, |it| near(&it.instance));
        }
        (members, again.into_iter().min())
    }

    fn member(&self, entry: &Entry) -> Member {
        let weigh = self.wishes.weigh.as_ref();
        Member {
            weight: weigh.map_or(1, |weigh| weigh(&entry.instance)),
            instance: Arc::clone(&entry.instance),
            busy: Arc::clone(&entry.busy),
        }
    }

    fn passes(&self, member: &Member) -> bool {
        let filter = self.wishes.filter.as_ref();
        filter.is_none_or(|filter| filter(&member.instance))
    }
}

/// Keeps the preferred alone, if there are enough of them.
fn prefer(members: &mut Vec<Member>, least: usize, preferred: impl Fn(&Member) -> bool) {
    let count = members.iter().filter(|it| preferred(it)).count();
    if count >= least.max(1) {
        members.retain(preferred);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes() -> Wishes {
        Wishes {
            filter: None,
            weigh: None,
            near: None,
            down: DownPolicy::default(),
            floor: None,
        }
    }

    fn roll(wishes: Wishes, names: &[&str]) -> Roll {
        let mut roll = Roll::new(wishes);
        for name in names {
            roll.read(name, Ok(Instance::new("svc").id(*name)));
        }
        roll
    }

    fn called(roll: &mut Roll, now: Instant) -> Vec<String> {
        let (members, _) = roll.call(now);
        members
            .iter()
            .map(|it| it.instance.name().to_owned())
            .collect()
    }

    fn rubbish() -> Result<Instance, serde_json::Error> {
        Instance::decode("svc", "x", b"rubbish")
    }

    #[test]
    fn a_poisoned_node_harms_nobody_else_and_keeps_what_it_was() {
        let now = Instant::now();
        let mut roll = roll(wishes(), &["a", "b"]);
        roll.read("c", rubbish());
        roll.read("b", rubbish());
        assert_eq!(called(&mut roll, now), ["a", "b"]);
        let poisoned = roll.poisoned();
        assert_eq!(poisoned.len(), 2);
        assert!(poisoned.iter().all(|it| it.why.contains("expected value")));
        roll.gone("c", now);
        roll.read("b", Ok(Instance::new("svc").id("b")));
        assert_eq!(roll.poisoned(), []);
    }

    #[test]
    fn who_fails_is_down_for_a_while_unless_all_are() {
        let now = Instant::now();
        let period = DownPolicy::default().period;
        let mut roll = roll(wishes(), &["a", "b"]);
        assert!(!roll.failed("a", now));
        assert_eq!(called(&mut roll, now), ["a", "b"]);
        assert!(roll.failed("a", now));
        assert_eq!(called(&mut roll, now), ["b"]);
        assert_eq!(roll.call(now).1, Some(now + period));
        assert!(!roll.failed("b", now) && roll.failed("b", now));
        assert_eq!(called(&mut roll, now), ["a", "b"], "all are down");
        assert_eq!(called(&mut roll, now + period), ["a", "b"]);
        assert!(!roll.failed("a", now + period), "counted anew");
    }

    #[test]
    fn filters_weights_and_nearness_narrow_the_choice() {
        let now = Instant::now();
        let only = |names: &'static [&'static str]| -> Judge<bool> {
            Arc::new(move |it: &Instance| names.contains(&it.name()))
        };
        let mut filtered = wishes();
        filtered.filter = Some(only(&["a", "b", "c"]));
        filtered.near = Some((only(&["b", "c"]), 2));
        let weigh = |it: &Instance| if it.name() == "c" { 0 } else { 5 };
        assert_eq!(
            called(&mut roll(filtered.clone(), &["a", "b", "c", "d"]), now),
            ["b", "c"]
        );
        filtered.weigh = Some(Arc::new(weigh));
        let mut roll = roll(filtered, &["a", "b", "c", "d"]);
        assert_eq!(called(&mut roll, now), ["a", "b"], "too few are near");
        roll.read("b", Ok(Instance::new("svc").id("b").enabled(false)));
        assert_eq!(called(&mut roll, now), ["a"]);
    }

    #[test]
    fn who_vanishes_with_many_is_kept_and_who_said_farewell_is_not() {
        let now = Instant::now();
        let mut floored = wishes();
        floored.floor = Some(Floor::default());
        let mut roll = roll(floored, &["a", "b", "c", "d", "e"]);
        roll.read("e", Ok(Instance::new("svc").id("e").enabled(false)));
        for name in ["b", "c", "d", "e"] {
            roll.gone(name, now);
        }
        assert_eq!(called(&mut roll, now), ["a", "b", "c", "d"]);
        roll.read("b", Ok(Instance::new("svc").id("b")));
        assert_eq!(called(&mut roll, now), ["a", "b"], "a half is there again");
    }

    #[test]
    fn without_a_floor_nobody_who_has_gone_is_remembered() {
        let mut roll = roll(wishes(), &["a", "b"]);
        roll.gone("a", Instant::now());
        assert!(roll.vanished.known.is_empty());
    }
}
