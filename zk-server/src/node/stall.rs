//! A disk that hangs, seen while it hangs.
//!
//! An fsync that does not return fails nothing and ends nobody: what was asked waits for its answer, as long as
//! that takes, and the limits on what may wait hold. But an operator must hear of it at once, and not when, or
//! if, it returns (S75).

use std::time::Duration;
use zk_proto::Zxid;
use zk_zab::Time;

/// How long the log has had something to write without saying that any of it is durable.
#[derive(Debug)]
pub(super) struct Stall {
    threshold: Duration,
    handed_over: Zxid,
    /// Since the log last moved, while it has work.
    since: Option<Time>,
    /// After how long to tell of it.
    patience: Duration,
}

impl Stall {
    pub(super) const fn new(threshold: Duration) -> Self {
        Self {
            threshold,
            handed_over: Zxid::ZERO,
            since: None,
            patience: threshold,
        }
    }

    /// The log has been given everything up to here.
    pub(super) fn on_handed_over(&mut self, last: Zxid, now: Time) {
        self.handed_over = last;
        self.since.get_or_insert(now);
    }

    /// The log has moved. Says how long it had not, if that was told of.
    pub(super) fn on_persisted(&mut self, through: Zxid, now: Time) -> Option<Duration> {
        let told = self.patience > self.threshold;
        let lasted = now.saturating_since(self.since.unwrap_or(now));
        self.patience = self.threshold;
        self.since = (through < self.handed_over).then_some(now);
        told.then_some(lasted)
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Time> {
        Some(self.since? + self.patience)
    }

    /// How long the log has stood still, if it is time to tell: at the threshold, and at each double of that.
    /// Whether it is the first time.
    pub(super) fn due(&mut self, now: Time) -> Option<(Duration, bool)> {
        let stands = now.saturating_since(self.since?);
        if stands < self.patience {
            return None;
        }
        let first = self.patience == self.threshold;
        // A threshold of zero must not mean a loop that does nothing else.
        self.patience = (2 * stands).max(Duration::from_secs(1));
        Some((stands, first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Time {
        Time::since_start(Duration::from_millis(millis))
    }

    #[test]
    fn a_log_that_stands_still_is_told_of_at_once_and_ever_less_often() {
        let mut stall = Stall::new(Duration::from_secs(1));
        assert_eq!(stall.deadline(), None, "it has nothing to do");
        stall.on_handed_over(Zxid::from_wire(1), at(500));
        stall.on_handed_over(Zxid::from_wire(2), at(1000));
        assert_eq!(stall.deadline(), Some(at(1500)));
        assert_eq!(stall.due(at(1499)), None);
        assert_eq!(stall.due(at(1500)), Some((Duration::from_secs(1), true)));
        assert_eq!(stall.deadline(), Some(at(2500)));
        assert_eq!(stall.due(at(2500)), Some((Duration::from_secs(2), false)));
        assert_eq!(stall.deadline(), Some(at(4500)));
        let lasted = stall.on_persisted(Zxid::from_wire(1), at(3000));
        assert_eq!(lasted, Some(Duration::from_millis(2500)));
        assert_eq!(stall.deadline(), Some(at(4000)), "the rest of it waits");
        assert_eq!(stall.on_persisted(Zxid::from_wire(2), at(3500)), None);
        assert_eq!(stall.deadline(), None);
    }
}
