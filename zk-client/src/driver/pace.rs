//! Whether to write what is queued now, or to let others speak first. Pure.
//!
//! Many tasks that wait for answers are woken together, and the first that asks again wakes the driver, which the
//! runtime then runs before the rest of them: one write, and one system call, for each request. So who was answered is
//! given one turn of the runtime in which to ask again, and everything goes out in one write. One caller alone, who
//! asks as often as it is answered, waits for nobody.

/// Calls and answers since the last write.
#[derive(Debug, Default)]
pub(super) struct Pace {
    answered: usize,
    asked: usize,
    waited: bool,
}

impl Pace {
    pub(super) fn on_answer(&mut self) {
        self.answered += 1;
    }

    pub(super) fn on_calls(&mut self, count: usize) {
        self.asked += count;
    }

    /// Whether to come back after everybody else. True at most once between two writes.
    pub(super) fn waits(&mut self) -> bool {
        if self.asked == 0 {
            return false;
        }
        if !self.waited && self.asked < self.answered {
            self.waited = true;
            return true;
        }
        *self = Self::default();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(answered: usize) -> Pace {
        let mut pace = Pace::default();
        (0..answered).for_each(|_| pace.on_answer());
        pace
    }

    #[test]
    fn who_was_answered_is_waited_for_once() {
        let mut pace = after(64);
        assert!(!pace.waits(), "nothing is there to be written");
        pace.on_calls(1);
        assert!(pace.waits());
        pace.on_calls(30);
        assert!(!pace.waits(), "whoever has not asked by now may never");
        pace.on_calls(1);
        assert!(!pace.waits(), "the others were waited for");
    }

    #[test]
    fn one_who_asks_as_often_as_he_is_answered_waits_for_nobody() {
        let mut pace = after(1);
        pace.on_calls(1);
        assert!(!pace.waits());
        let mut pace = after(16);
        pace.on_calls(16);
        assert!(!pace.waits());
        let mut pace = after(0);
        pace.on_calls(1);
        assert!(!pace.waits(), "the first call of all");
    }
}
