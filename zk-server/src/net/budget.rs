//! The memory that all connections together hold for their clients (H3).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How much there is, and how much is taken.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
        }
    }

    /// Whether more is taken than there is.
    pub(crate) fn is_over(&self) -> bool {
        self.used.load(Relaxed) > self.limit
    }
}

/// What one connection holds of a budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    held: usize,
}

/// Differences below this are not worth a contended cache line.
const GRAIN: usize = 4 << 10;

impl Share {
    pub(crate) const fn of(budget: Arc<Budget>) -> Self {
        Self { budget, held: 0 }
    }

    /// The connection holds this much now.
    pub(crate) fn set(&mut self, bytes: usize) {
        let bytes = bytes - bytes % GRAIN;
        if bytes > self.held {
            self.budget.used.fetch_add(bytes - self.held, Relaxed);
        } else if bytes < self.held {
            self.budget.used.fetch_sub(self.held - bytes, Relaxed);
        }
        self.held = bytes;
    }

    /// Whether this connection is one of those that have to wait: all together hold too much, and it
    /// holds more than what a polite one needs.
    pub(crate) fn must_wait(&self, needed: usize) -> bool {
        self.held > needed && self.budget.is_over()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_much_waits_while_all_hold_too_much() {
        let budget = Arc::new(Budget::new(100 << 10));
        let mut shares = [(); 3].map(|()| Share::of(Arc::clone(&budget)));
        let [large, small, last] = &mut shares;
        large.set(96 << 10);
        small.set(4 << 10);
        assert!(!budget.is_over(), "at the limit");
        last.set(4 << 10);
        assert!(budget.is_over(), "above it");
        assert!(large.must_wait(64 << 10));
        assert!(!small.must_wait(64 << 10));
        last.set(10);
        assert!(!large.must_wait(64 << 10));
        drop(shares);
        assert_eq!(budget.used.load(Relaxed), 0);
    }
}
