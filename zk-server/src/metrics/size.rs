//! The last, least and largest size of something sent: Java's `BufferStats`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Sizes of replies or proposals; -1 where nothing was sent yet.
#[derive(Debug)]
pub struct Sizes {
    last: AtomicI64,
    min: AtomicI64,
    max: AtomicI64,
    /// When `last` was noted, one more than the microseconds, so that shards agree on whose is the newest.
    at: AtomicU64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            last: AtomicI64::new(-1),
            min: AtomicI64::new(i64::MAX),
            max: AtomicI64::new(-1),
            at: AtomicU64::new(0),
        }
    }
}

impl Sizes {
    /// Notes a size, sent at this point of the server's monotonic time.
    pub fn record(&self, size: usize, now: Duration) {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.last.store(size, Relaxed);
        self.at
            .store(super::summary::micros(now).saturating_add(1), Relaxed);
        if size < self.min.load(Relaxed) {
            self.min.fetch_min(size, Relaxed);
        }
        if size > self.max.load(Relaxed) {
            self.max.fetch_max(size, Relaxed);
        }
    }

    pub(super) fn reset(&self) {
        let empty = Self::default();
        self.last.store(empty.last.into_inner(), Relaxed);
        self.min.store(empty.min.into_inner(), Relaxed);
        self.max.store(empty.max.into_inner(), Relaxed);
        self.at.store(empty.at.into_inner(), Relaxed);
    }

    pub(super) fn merged<'a>(shards: impl Iterator<Item = &'a Self>) -> SizesView {
        let mut view = SizesView {
            last: -1,
            min: -1,
            max: -1,
        };
        let (mut newest, mut least) = (0, i64::MAX);
        for shard in shards {
            let at = shard.at.load(Relaxed);
            if at > newest {
                newest = at;
                view.last = shard.last.load(Relaxed);
            }
            least = least.min(shard.min.load(Relaxed));
            view.max = view.max.max(shard.max.load(Relaxed));
        }
        if least != i64::MAX {
            view.min = least;
        }
        view
    }
}

/// What [`Sizes`] held; -1 before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizesView {
    /// The newest.
    pub last: i64,
    /// The least.
    pub min: i64,
    /// The largest.
    pub max: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_size_wins_whichever_shard_holds_it() {
        let shards: Vec<Sizes> = (0..4).map(|_| Sizes::default()).collect();
        assert_eq!(
            Sizes::merged(shards.iter()),
            SizesView {
                last: -1,
                min: -1,
                max: -1
            }
        );
        for (shard, (seconds, size)) in shards.iter().zip([(0, 20), (3, 30), (2, 10)]) {
            shard.record(size, Duration::from_secs(seconds));
        }
        assert_eq!(
            Sizes::merged(shards.iter()),
            SizesView {
                last: 30,
                min: 10,
                max: 30
            }
        );
        shards.iter().for_each(Sizes::reset);
        assert_eq!(
            Sizes::merged(shards.iter()),
            SizesView {
                last: -1,
                min: -1,
                max: -1
            }
        );
    }
}
