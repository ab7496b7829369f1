//! What the candidate that comes first decides: whether to wait for its predecessor, to take over, or to let somebody
//! better go first. Pure.

use super::record::{Bid, Fitness, PrimaryRecord};
use std::time::Duration;

/// How long to wait until the last primary cannot believe any more that it is one. `ago` is how long its last sign of
/// life is past, for who was watching; who was not has to assume that it was a moment ago.
pub(super) fn delay(previous: &PrimaryRecord, ago: Option<Duration>) -> Duration {
    if previous.clean {
        return Duration::ZERO;
    }
    let delay = previous.lock_delay();
    delay.saturating_sub(ago.unwrap_or_default())
}

/// What to do when it is our turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Take over.
    Take,
    /// Go to the end of the queue: somebody else is to come first.
    StandBack,
    /// Nobody could take over. Look again later.
    Wait,
}

/// Decides among those who stand; `patient` as long as we have not stood back for too long already.
pub(super) fn verdict(
    own: (&str, Fitness),
    others: &[Bid],
    next: Option<&str>,
    allowed_lag: u64,
    patient: bool,
) -> Verdict {
    let (id, fitness) = own;
    let candidate = |it: &Bid| it.eligible;
    if !fitness.eligible {
        let somebody = others.iter().any(candidate);
        return if somebody {
            Verdict::StandBack
        } else {
            Verdict::Wait
        };
    }
    if next == Some(id) || !patient {
        return Verdict::Take;
    }
    let named = others.iter().any(|it| next == Some(&it.id) && it.eligible);
    let limit = fitness.offset.saturating_add(allowed_lag);
    let better = others.iter().any(|it| it.eligible && it.offset > limit);
    if named || better {
        Verdict::StandBack
    } else {
        Verdict::Take
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(clean: bool) -> PrimaryRecord {
        PrimaryRecord {
            id: "last".into(),
            address: String::new(),
            epoch: 1,
            node: String::new(),
            clean,
            lock_delay_ms: 1000,
            next: None,
        }
    }

    #[test]
    fn whoever_ended_cleanly_is_not_waited_for() {
        let millis = Duration::from_millis;
        assert_eq!(delay(&record(true), None), millis(0));
        assert_eq!(delay(&record(false), None), millis(1000));
        assert_eq!(delay(&record(false), Some(millis(400))), millis(600));
        assert_eq!(delay(&record(false), Some(millis(4000))), millis(0));
    }

    fn bid(id: &str, offset: u64, eligible: bool) -> Bid {
        Bid {
            id: id.into(),
            address: String::new(),
            offset,
            eligible,
        }
    }

    fn fitness(offset: u64) -> Fitness {
        Fitness {
            offset,
            eligible: true,
        }
    }

    #[test]
    fn who_lags_lets_the_better_one_go_first_but_not_for_ever() {
        let check = |offset, others: &[Bid], patient, expected| {
            let own = ("me", fitness(offset));
            assert_eq!(verdict(own, others, None, 10, patient), expected);
        };
        check(5, &[], true, Verdict::Take);
        check(5, &[bid("b", 15, true)], true, Verdict::Take);
        check(5, &[bid("b", 16, true)], true, Verdict::StandBack);
        check(5, &[bid("b", 16, false)], true, Verdict::Take);
        check(5, &[bid("b", 16, true)], false, Verdict::Take);
        check(16, &[bid("b", 5, true)], true, Verdict::Take);
    }

    #[test]
    fn who_cannot_lets_the_others_and_who_is_named_comes_first() {
        let cannot = Fitness::default();
        let others = [bid("b", 0, true)];
        assert_eq!(
            verdict(("me", cannot), &others, None, 0, false),
            Verdict::StandBack
        );
        let neither = [bid("b", 9, false)];
        assert_eq!(
            verdict(("me", cannot), &neither, None, 0, true),
            Verdict::Wait
        );
        assert_eq!(
            verdict(("me", fitness(5)), &others, Some("b"), 0, true),
            Verdict::StandBack
        );
        assert_eq!(
            verdict(("b", fitness(0)), &[bid("me", 5, true)], Some("b"), 0, true),
            Verdict::Take
        );
        // One that is named and gone is nobody.
        assert_eq!(
            verdict(("me", fitness(5)), &others, Some("c"), 0, true),
            Verdict::Take
        );
    }
}
