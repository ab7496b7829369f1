//! Names that only running tells (top-level nodes, learners), numbered once and bounded for ever.
//!
//! A hot path turns its name into a [`Label`] without a lock and counts under the number. Whatever a client
//! creates, there are never more than [`CAPACITY`] names: the rest is counted under `_other`.

use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many names are told apart.
pub const CAPACITY: usize = 64;
/// The name of everything beyond.
pub const OTHER: &str = "_other";
/// Twice the capacity, so that probing always meets an empty slot soon.
const SLOTS: usize = 128;
const LONGEST: usize = 128;

/// The number of a name; one per slot, the last for `_other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

/// How many different labels there can be.
pub(super) const LABELS: usize = SLOTS + 1;

impl Label {
    pub(super) const REST: Self = Self(SLOTS);

    pub(super) fn index(self) -> usize {
        self.0
    }
}

/// An insert-only table of names.
#[derive(Debug)]
pub(super) struct Labels {
    slots: Box<[OnceLock<Box<str>>]>,
    taken: AtomicUsize,
    hasher: foldhash::fast::FixedState,
}

impl Labels {
    pub(super) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| OnceLock::new()).collect(),
            taken: AtomicUsize::new(0),
            hasher: foldhash::fast::FixedState::default(),
        }
    }

    /// The number of this name, a new one if there is room.
    pub(super) fn label(&self, name: &str) -> Label {
        if name.len() > LONGEST {
            return Label::REST;
        }
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name.as_bytes());
        let start = usize::try_from(hasher.finish() % 128).unwrap_or(0);
        for step in 0..SLOTS {
            let index = (start + step) % SLOTS;
            let Some(slot) = self.slots.get(index) else {
                break;
            };
            match slot.get() {
                Some(held) if **held == *name => return Label(index),
                Some(_) => {}
                None => {
                    if !self.reserve() {
                        return Label::REST;
                    }
                    if slot.set(name.into()).is_ok() {
                        return Label(index);
                    }
                    // Another thread was faster with this slot: it may have brought the same name.
                    self.taken.fetch_sub(1, Relaxed);
                    if slot.get().is_some_and(|held| **held == *name) {
                        return Label(index);
                    }
                }
            }
        }
        Label::REST
    }

    fn reserve(&self) -> bool {
        self.taken
            .fetch_update(Relaxed, Relaxed, |taken| {
                (taken < CAPACITY).then_some(taken + 1)
            })
            .is_ok()
    }

    /// The name as it may appear in a key: without anything that would end the key or the line.
    pub(super) fn name(&self, index: usize) -> String {
        match self.slots.get(index).and_then(OnceLock::get) {
            None => OTHER.to_owned(),
            Some(name) => printable(name),
        }
    }
}

/// Node names may hold blanks and line ends; a key of `mntr` may not.
pub fn printable(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_whitespace() || c.is_control() {
                '_'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_capacity_are_one() {
        let labels = Labels::new();
        for n in 0..CAPACITY {
            assert_ne!(labels.label(&format!("name{n}")), Label::REST);
        }
        assert_eq!(labels.label("late"), Label::REST);
        let first = labels.label("name0");
        assert_eq!(labels.name(first.index()), "name0");
        assert_eq!(labels.name(Label::REST.index()), OTHER);
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        assert_eq!(printable("a\nzk_x\t9 \r"), "a_zk_x_9__");
        assert_eq!(Labels::new().label(&"x".repeat(LONGEST + 1)), Label::REST);
    }

    #[test]
    fn threads_agree_on_the_numbers() {
        let labels = Labels::new();
        // A few less than fit: a lost race holds its reservation for a moment.
        let names: Vec<String> = (0..CAPACITY - 4).map(|n| format!("/{n}")).collect();
        let all: Vec<Vec<Label>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| names.iter().map(|n| labels.label(n)).collect()))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .collect()
        });
        assert!(all.iter().flatten().all(|label| *label != Label::REST));
        assert!(all.iter().all(|labels| *labels == all[0]));
    }
}
