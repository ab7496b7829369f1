//! Of which sessions a learner tells its leader, whenever it is asked whether it is there.
//!
//! Connections note by themselves when they last heard their client; here is only what they cannot tell
//! any more: words of connections that have gone since.

use std::collections::BTreeMap;
use zk_proto::SessionId;
use zk_zab::Time;

/// What was heard of since the leader was last told.
#[derive(Debug, Default)]
pub struct Touches {
    /// When it was told; what was heard in the same moment is told again.
    told: Time,
    left: BTreeMap<SessionId, i32>,
}

impl Touches {
    /// A learner begins to serve: the leader has heard nothing of it.
    pub fn new(now: Time) -> Self {
        let left = BTreeMap::new();
        Self { told: now, left }
    }

    /// A connection is gone; its client was last heard then.
    pub fn gone(&mut self, session: SessionId, timeout: i32, heard: Time) {
        if heard >= self.told {
            self.left.insert(session, timeout);
        }
    }

    /// What to tell now, given the sessions with connections, their timeouts and when they were heard.
    pub fn tell(
        &mut self,
        here: impl IntoIterator<Item = (SessionId, i32, Time)>,
        now: Time,
    ) -> Vec<(SessionId, i32)> {
        let mut touched = std::mem::take(&mut self.left);
        for (session, timeout, heard) in here {
            if heard >= self.told {
                touched.insert(session, timeout);
            }
        }
        self.told = now;
        touched.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(millis: u64) -> Time {
        Time::since_start(Duration::from_millis(millis))
    }

    #[test]
    fn a_word_is_told_once_and_never_lost() {
        let [quiet, busy, gone] = [1, 2, 3].map(SessionId::from_wire);
        let mut touches = Touches::new(at(100));
        touches.gone(gone, 4000, at(150));
        let here = [(quiet, 4000, at(50)), (busy, 6000, at(200))];
        assert_eq!(touches.tell(here, at(300)), [(busy, 6000), (gone, 4000)]);
        assert_eq!(touches.tell(here, at(400)), []);
        // In the very moment in which the leader was told: better twice than never.
        assert_eq!(
            touches.tell([(busy, 6000, at(400))], at(500)),
            [(busy, 6000)]
        );
    }

    #[test]
    fn a_connection_that_was_silent_leaves_no_word() {
        let mut touches = Touches::new(at(100));
        touches.gone(SessionId::from_wire(1), 4000, at(99));
        assert_eq!(touches.tell([], at(200)), []);
    }
}
