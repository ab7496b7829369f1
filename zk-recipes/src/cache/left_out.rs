//! Nodes that have no room in a cache: which they are, and how much room the smallest of them wants. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

/// How many are remembered by name. Of the others it is only known how much room the smallest wants.
const BY_NAME: usize = 1024;

/// Nodes that were left out.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    sizes: BTreeMap<Arc<str>, usize>,
    others: Option<usize>,
}

impl LeftOut {
    pub(super) fn add(&mut self, path: &Arc<str>, size: usize) {
        if self.sizes.len() < BY_NAME || self.sizes.contains_key(path) {
            self.sizes.insert(Arc::clone(path), size);
        } else {
            let least = self.others.map_or(size, |others| others.min(size));
            self.others = Some(least);
        }
    }

    pub(super) fn merge(&mut self, more: Self) {
        for (path, size) in &more.sizes {
            self.add(path, *size);
        }
        let others = self.others.into_iter().chain(more.others);
        self.others = others.min();
    }

    /// It has gone, or has room.
    pub(super) fn remove(&mut self, path: &str) {
        self.sizes.remove(path);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sizes.is_empty() && self.others.is_none()
    }

    /// How much room the smallest wants; `None` if there is none.
    pub(super) fn smallest(&self) -> Option<usize> {
        self.sizes.values().copied().chain(self.others).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_the_smallest_is_known_and_of_few_each() {
        let mut left_out = LeftOut::default();
        assert!(left_out.is_empty() && left_out.smallest().is_none());
        let path = |number: usize| Arc::<str>::from(format!("/{number}"));
        for number in 0..BY_NAME + 10 {
            left_out.add(&path(number), 5000 - number);
        }
        assert_eq!(left_out.sizes.len(), BY_NAME);
        assert_eq!(left_out.smallest(), Some(5000 - BY_NAME - 9));
        let mut few = LeftOut::default();
        few.add(&path(1), 7);
        few.add(&path(1), 9);
        few.add(&path(2), 8);
        assert_eq!(few.smallest(), Some(8));
        few.remove("/2");
        few.remove("/1");
        assert!(few.is_empty());
    }
}
