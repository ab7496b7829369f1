//! When sessions expire.
//!
//! A session is looked at only when its bucket comes due: whoever hears from a client notes the time
//! in a place of its own, and the tracker asks there. So a touch costs nothing here, and a server with
//! ten thousand idle sessions does nothing between buckets.
//!
//! Before anyone expires there is a second look, a moment after the first: what the client said while
//! the process or the machine stood still waits in a socket until somebody had time to read it (P30).
//!
//! Invariant: a session expires only after a full timeout without a word (P14), and at most a tick and
//! a little later (P17).

use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use zk_proto::SessionId;
use zk_zab::Time;

/// How long the server listens to a silent client before the second look. A caller who comes later than
/// this stood still itself.
const LISTEN: Duration = Duration::from_millis(100);
/// How many looks there are at most, however late each of them: expiry must not depend on a server that
/// is always in time.
const MOST_LOOKS: u8 = 4;

/// Sessions in buckets of one tick, by the time at which they would expire.
#[derive(Clone, Debug)]
pub struct Tracker {
    tick: Duration,
    sessions: HashMap<SessionId, Tracked, foldhash::fast::FixedState>,
    buckets: BTreeMap<Time, BTreeSet<SessionId>>,
}

#[derive(Clone, Debug)]
struct Tracked {
    timeout: Duration,
    bucket: Time,
    /// How many looks have found the client silent for its whole timeout.
    looks: u8,
}

impl Tracked {
    /// When to look again; `None` if the session has expired.
    fn look(&mut self, heard: Time, now: Time, late: bool, tick: Duration) -> Option<Time> {
        let due = heard + self.timeout;
        if due > now {
            self.looks = 0;
            return Some(bucket_after(due, tick));
        }
        if self.looks > 0 && (!late || self.looks >= MOST_LOOKS) {
            return None;
        }
        self.looks += 1;
        Some(now + if late { tick } else { LISTEN })
    }
}

impl Tracker {
    /// No sessions yet. `tick` is how coarse expiry may be.
    pub fn new(tick: Duration) -> Self {
        assert!(!tick.is_zero(), "a tick lasts");
        Self {
            tick,
            sessions: HashMap::default(),
            buckets: BTreeMap::new(),
        }
    }

    /// A session begins, or is taken up again with another timeout, at `now`.
    pub fn open(&mut self, session: SessionId, timeout: Duration, now: Time) {
        self.close(session);
        let bucket = self.bucket_after(now + timeout);
        let tracked = Tracked {
            timeout,
            bucket,
            looks: 0,
        };
        self.sessions.insert(session, tracked);
        self.buckets.entry(bucket).or_default().insert(session);
    }

    /// A session ended.
    pub fn close(&mut self, session: SessionId) {
        if let Some(tracked) = self.sessions.remove(&session) {
            self.leave_bucket(tracked.bucket, session);
        }
    }

    /// Whether a session is alive.
    pub fn is_open(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// How many sessions are alive.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no session is alive.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The agreed timeout of a session.
    pub fn timeout(&self, session: SessionId) -> Option<Duration> {
        self.sessions.get(&session).map(|tracked| tracked.timeout)
    }

    /// Sessions by the time at which they would expire, as last known.
    pub fn buckets(&self) -> impl Iterator<Item = (Time, &BTreeSet<SessionId>)> {
        self.buckets
            .iter()
            .map(|(&time, sessions)| (time, sessions))
    }

    /// When to come back.
    pub fn deadline(&self) -> Option<Time> {
        self.buckets.first_key_value().map(|(&time, _)| time)
    }

    /// Which sessions have expired by `now`, where `last_heard` tells when a client was last heard of.
    ///
    /// The expired ones are forgotten here; ending them is up to the caller. Who has been silent for too
    /// long is looked at again after a moment; after a tick, if this look comes late, because the process
    /// or the machine stood still.
    pub fn expire(
        &mut self,
        now: Time,
        last_heard: impl Fn(SessionId) -> Option<Time>,
    ) -> Vec<SessionId> {
        let mut expired = Vec::new();
        while let Some(bucket) = self.deadline().filter(|&bucket| bucket <= now) {
            let late = now.saturating_since(bucket) > LISTEN;
            for session in self.buckets.remove(&bucket).unwrap_or_default() {
                let Some(tracked) = self.sessions.get_mut(&session) else {
                    continue;
                };
                let heard = last_heard(session).unwrap_or_default();
                let again = tracked.look(heard, now, late, self.tick);
                if let Some(again) = again {
                    tracked.bucket = again;
                    self.buckets.entry(again).or_default().insert(session);
                } else {
                    self.sessions.remove(&session);
                    expired.push(session);
                }
            }
        }
        expired
    }

    fn bucket_after(&self, time: Time) -> Time {
        bucket_after(time, self.tick)
    }

    fn leave_bucket(&mut self, bucket: Time, session: SessionId) {
        if let Some(sessions) = self.buckets.get_mut(&bucket) {
            sessions.remove(&session);
            if sessions.is_empty() {
                self.buckets.remove(&bucket);
            }
        }
    }
}

/// The end of the tick after the one in which `time` lies.
fn bucket_after(time: Time, tick: Duration) -> Time {
    let ticks = time.elapsed().as_nanos() / tick.as_nanos() + 1;
    let nanos = ticks.saturating_mul(tick.as_nanos());
    Time::since_start(Duration::from_nanos(
        u64::try_from(nanos).unwrap_or(u64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICK: Duration = Duration::from_millis(2000);

    fn at(millis: u64) -> Time {
        Time::since_start(Duration::from_millis(millis))
    }

    fn session(id: i64) -> SessionId {
        SessionId::from_wire(id)
    }

    #[test]
    fn a_silent_session_expires_after_its_timeout_and_within_a_tick() {
        let mut tracker = Tracker::new(TICK);
        tracker.open(session(1), Duration::from_millis(5000), at(100));
        assert_eq!(tracker.deadline(), Some(at(6000)));
        assert_eq!(tracker.expire(at(5999), |_| Some(at(100))), []);
        assert_eq!(tracker.expire(at(6000), |_| Some(at(100))), []);
        assert_eq!(tracker.deadline(), Some(at(6100)));
        assert_eq!(tracker.expire(at(6100), |_| Some(at(100))), [session(1)]);
        assert!(!tracker.is_open(session(1)));
        assert_eq!(tracker.deadline(), None);
    }

    #[test]
    fn a_word_from_the_client_postpones_expiry() {
        let mut tracker = Tracker::new(TICK);
        tracker.open(session(1), Duration::from_millis(4000), at(0));
        assert_eq!(tracker.expire(at(6000), |_| Some(at(5000))), []);
        assert_eq!(tracker.deadline(), Some(at(10_000)));
        assert_eq!(tracker.expire(at(10_000), |_| Some(at(5000))), []);
        // Between the looks.
        assert_eq!(tracker.expire(at(10_100), |_| Some(at(10_001))), []);
        assert_eq!(tracker.deadline(), Some(at(16_000)));
        assert_eq!(tracker.expire(at(16_000), |_| Some(at(10_001))), []);
        assert_eq!(
            tracker.expire(at(16_100), |_| Some(at(10_001))),
            [session(1)]
        );
    }

    /// However short the time by which it woke up too late, and wherever in a tick that was.
    #[test]
    fn a_server_that_stood_still_listens_before_it_expires_anyone() {
        for awake in [6000, 6001, 6099, 6100, 6101, 7900, 8000, 60_000] {
            let mut tracker = Tracker::new(TICK);
            tracker.open(session(1), Duration::from_millis(4000), at(1500));
            assert_eq!(tracker.expire(at(awake), |_| Some(at(1500))), [], "{awake}");
            let again = tracker.deadline().unwrap();
            let listens = if awake > 6100 { 2000 } else { 100 };
            assert_eq!(again, at(awake + listens));
            // Its pings were in the socket.
            let mut lives = tracker.clone();
            assert_eq!(lives.expire(again, |_| Some(at(awake + 1))), []);
            assert!(lives.is_open(session(1)));
            assert_eq!(tracker.expire(again, |_| Some(at(1500))), [session(1)]);
        }
    }

    #[test]
    fn a_server_that_is_always_late_expires_all_the_same() {
        let mut tracker = Tracker::new(TICK);
        tracker.open(session(1), Duration::from_millis(4000), at(0));
        let mut looks = 0;
        while tracker.is_open(session(1)) {
            let late = tracker.deadline().unwrap() + Duration::from_millis(500);
            tracker.expire(late, |_| Some(at(0)));
            looks += 1;
        }
        assert_eq!(looks, 5);
    }

    #[test]
    fn a_closed_session_is_forgotten() {
        let mut tracker = Tracker::new(TICK);
        tracker.open(session(1), Duration::from_millis(4000), at(0));
        tracker.close(session(1));
        assert!(tracker.is_empty());
        assert_eq!(tracker.deadline(), None);
    }

    proptest! {
        /// P14 and P17, for a loop that always comes in time.
        #[test]
        fn expiry_is_never_early_and_never_late(
            opened in 0u64..100_000, timeout in 1u64..60_000, words in proptest::collection::vec(0u64..50_000, 0..20),
        ) {
            let mut tracker = Tracker::new(TICK);
            tracker.open(session(1), Duration::from_millis(timeout), at(opened));
            let mut words: Vec<u64> = words.into_iter().map(|word| opened + word).collect();
            words.sort_unstable();
            let mut heard = opened;
            let mut words = words.into_iter().peekable();
            loop {
                let now = tracker.deadline().unwrap();
                while let Some(word) = words.next_if(|&word| word < now.as_millis()) {
                    heard = word;
                }
                if tracker.expire(now, |_| Some(at(heard))) == [session(1)] {
                    prop_assert!(now.as_millis() >= heard + timeout);
                    prop_assert!(now.as_millis() <= heard + timeout + 2000 + 100);
                    break;
                }
            }
        }
    }
}
