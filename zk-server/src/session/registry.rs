//! The sessions of the whole ensemble, as its leader keeps them: which server each is connected to, when
//! it was last heard of through any server, and which are about to end. A server that runs alone is the
//! leader of itself.
//!
//! A learner tells which of its sessions it has heard of; for the leader's own clients whoever asks for
//! the expired says it himself. The table that survives, which session there is at all, is the tree's.
//!
//! Invariants: a new leader gives every session a full timeout (P14); a session that is being closed is
//! never taken up again (P15); one server speaks for a session at a time (P16).

use super::Tracker;
use hashbrown::HashMap;
use std::time::Duration;
use zk_proto::{ErrorCode, SessionId};
use zk_zab::Time;

/// The sessions of an ensemble. `O` says through whom a session speaks: this server, or a learner's
/// connection.
#[derive(Debug)]
pub struct Registry<O> {
    tracker: Tracker,
    known: HashMap<SessionId, Known<O>, foldhash::fast::FixedState>,
}

#[derive(Debug)]
struct Known<O> {
    /// Nobody has asked anything in its name since this leader began.
    owner: Option<O>,
    /// Who has asked for it meanwhile, and has not shown yet that its client is still there.
    claim: Option<O>,
    heard: Time,
}

impl<O: Copy + Eq> Registry<O> {
    /// A leader begins: every session of its tree has a full timeout from now.
    pub fn new(
        tick: Duration,
        sessions: impl IntoIterator<Item = (SessionId, Duration)>,
        now: Time,
    ) -> Self {
        let mut registry = Self {
            tracker: Tracker::new(tick),
            known: HashMap::default(),
        };
        for (session, timeout) in sessions {
            registry.insert(session, timeout, None, now);
        }
        registry
    }

    fn insert(&mut self, session: SessionId, timeout: Duration, owner: Option<O>, now: Time) {
        self.tracker.open(session, timeout, now);
        let known = Known {
            owner,
            claim: None,
            heard: now,
        };
        self.known.insert(session, known);
    }

    /// A session is being opened through `owner`. Its time runs from here, not from the moment it stands.
    pub fn open(&mut self, session: SessionId, timeout: Duration, owner: O, now: Time) {
        self.insert(session, timeout, Some(owner), now);
    }

    /// A client wants to go on with its session through `owner`. Whether it may.
    ///
    /// The question may have been long on its way, and the client may have gone on elsewhere meanwhile (S62). So
    /// from one owner to another a session moves only when the new one asks again, or does something in its name:
    /// both come after our first answer, and only from a server whose client is there.
    pub fn take_up(&mut self, session: SessionId, timeout: Duration, owner: O, now: Time) -> bool {
        if !self.tracker.is_open(session) {
            return false;
        }
        if let Some(known) = self.known.get_mut(&session)
            && known.owner.is_some_and(|other| other != owner)
            && known.claim != Some(owner)
        {
            known.claim = Some(owner);
            self.touch(session, timeout, now);
        } else {
            self.insert(session, timeout, Some(owner), now);
        }
        true
    }

    /// A learner has heard of a session.
    pub fn touch(&mut self, session: SessionId, timeout: Duration, now: Time) {
        let Some(known) = self.known.get_mut(&session) else {
            return;
        };
        known.heard = known.heard.max(now);
        if self
            .tracker
            .timeout(session)
            .is_some_and(|old| old != timeout)
        {
            self.tracker.open(session, timeout, now);
        }
    }

    /// Whether a request may be done in a session's name. Who asks first owns it.
    pub fn check(&mut self, session: SessionId, owner: O) -> Result<(), ErrorCode> {
        if !self.tracker.is_open(session) {
            return Err(ErrorCode::SessionExpired);
        }
        let known = self.known.get_mut(&session);
        let known = known.ok_or(ErrorCode::SessionExpired)?;
        if known.claim == Some(owner) {
            known.owner = known.claim.take();
        }
        if *known.owner.get_or_insert(owner) == owner {
            Ok(())
        } else {
            Err(ErrorCode::SessionMoved)
        }
    }

    /// The session is being closed: nobody may take it up again, and it cannot expire any more.
    pub fn close(&mut self, session: SessionId) {
        self.tracker.close(session);
        self.known.remove(&session);
    }

    /// Whether a session is alive and not being closed.
    pub fn is_open(&self, session: SessionId) -> bool {
        self.tracker.is_open(session)
    }

    /// Live sessions by the time at which they would expire, as last known.
    pub const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Which sessions have said nothing for too long, through whatever server. They are closing from now
    /// on. `own` tells when this server's own clients were last heard.
    pub fn expire(&mut self, now: Time, own: impl Fn(SessionId) -> Option<Time>) -> Vec<SessionId> {
        let known = &self.known;
        let expired = self.tracker.expire(now, |session| {
            let elsewhere = known.get(&session).map(|known| known.heard);
            elsewhere.max(own(session))
        });
        for session in &expired {
            self.known.remove(session);
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICK: Duration = Duration::from_millis(2000);
    const TIMEOUT: Duration = Duration::from_millis(4000);
    const S: SessionId = SessionId::from_wire(0x0100_0000_0000_0001);

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Owner {
        Here,
        Learner(u64),
    }

    fn at(millis: u64) -> Time {
        Time::since_start(Duration::from_millis(millis))
    }

    fn led(now: u64) -> Registry<Owner> {
        Registry::new(TICK, [(S, TIMEOUT)], at(now))
    }

    /// When a session expires of which nobody hears any more, looking whenever it is due.
    fn expires(registry: &mut Registry<Owner>) -> u64 {
        loop {
            let now = registry.tracker().deadline().unwrap();
            if registry.expire(now, |_| None) == [S] {
                return now.as_millis();
            }
        }
    }

    #[test]
    fn a_new_leader_gives_every_session_a_full_timeout() {
        let expired = expires(&mut led(60_000));
        assert!((64_000..=66_200).contains(&expired), "{expired} (P14)");
    }

    #[test]
    fn a_session_lives_as_long_as_any_server_hears_of_it() {
        let mut registry = led(0);
        for millis in (1000..20_000).step_by(1000) {
            registry.touch(S, TIMEOUT, at(millis));
            assert_eq!(registry.expire(at(millis), |_| None), []);
        }
        assert_eq!(registry.expire(at(24_100), |_| Some(at(23_000))), []);
        let expired = expires(&mut registry);
        assert!((27_000..=29_200).contains(&expired), "{expired}");
    }

    #[test]
    fn who_speaks_first_owns_a_session_until_its_client_moves() {
        let mut registry = led(0);
        let (old, new) = (Owner::Learner(1), Owner::Learner(2));
        assert_eq!(registry.check(S, old), Ok(()));
        assert_eq!(registry.check(S, Owner::Here), Err(ErrorCode::SessionMoved));
        assert!(registry.take_up(S, TIMEOUT, new, at(10)));
        assert!(registry.take_up(S, TIMEOUT, new, at(11)));
        assert_eq!(
            registry.check(S, old),
            Err(ErrorCode::SessionMoved),
            "(P16)"
        );
        assert_eq!(registry.check(S, new), Ok(()));
    }

    #[test]
    fn a_question_that_was_long_on_its_way_does_not_move_a_session() {
        let mut registry = led(0);
        let (stale, new) = (Owner::Learner(1), Owner::Learner(2));
        registry.open(S, TIMEOUT, stale, at(0));
        // Its client asks at the old server again, gives up, and goes to the new one.
        assert!(registry.take_up(S, TIMEOUT, new, at(10)));
        assert!(registry.take_up(S, TIMEOUT, new, at(11)), "asked again");
        assert!(registry.take_up(S, TIMEOUT, stale, at(12)), "it lives");
        assert_eq!(registry.check(S, new), Ok(()), "(P16, S62)");
        // The old server finds its client gone, and asks no more.
        registry.touch(S, TIMEOUT, at(20));
        assert_eq!(registry.check(S, new), Ok(()));
    }

    #[test]
    fn whoever_claims_a_session_has_it_with_the_first_word() {
        let mut registry = led(0);
        let (old, java) = (Owner::Here, Owner::Learner(2));
        registry.open(S, TIMEOUT, old, at(0));
        assert!(registry.take_up(S, TIMEOUT, java, at(10)));
        assert_eq!(registry.check(S, java), Ok(()), "it asks only once");
        assert_eq!(registry.check(S, old), Err(ErrorCode::SessionMoved));
    }

    #[test]
    fn a_learner_that_comes_again_is_another_owner() {
        let mut registry = led(0);
        registry.open(S, TIMEOUT, Owner::Learner(7), at(0));
        assert_eq!(
            registry.check(S, Owner::Learner(8)),
            Err(ErrorCode::SessionMoved)
        );
    }

    #[test]
    fn a_session_that_is_being_closed_is_never_taken_up() {
        let mut registry = led(0);
        registry.close(S);
        assert!(!registry.take_up(S, TIMEOUT, Owner::Here, at(1)), "(P15)");
        registry.touch(S, TIMEOUT, at(1));
        assert_eq!(
            registry.check(S, Owner::Here),
            Err(ErrorCode::SessionExpired)
        );
        assert_eq!(registry.tracker().deadline(), None);
    }

    #[test]
    fn a_client_that_comes_again_may_bring_another_timeout() {
        let mut registry = led(0);
        registry.touch(S, Duration::from_secs(30), at(1000));
        let expired = expires(&mut registry);
        assert!((31_000..=33_200).contains(&expired), "{expired}");
    }

    #[test]
    fn fifty_thousand_expire_together_and_the_living_live() {
        let ids = |range: std::ops::Range<i64>| range.map(SessionId::from_wire);
        let dead = ids(1..50_001).map(|session| (session, TIMEOUT));
        let alive = ids(50_001..51_001).map(|session| (session, TIMEOUT));
        let mut registry: Registry<Owner> = Registry::new(TICK, dead.chain(alive), at(0));
        let mut expired = 0;
        while expired < 50_000 {
            let now = registry.tracker().deadline().unwrap();
            assert!(now.as_millis() <= 4000 + 2 * 2000, "(P17)");
            for session in ids(50_001..51_001) {
                registry.touch(session, TIMEOUT, now);
            }
            let gone = registry.expire(now, |_| None);
            assert!(gone.iter().all(|session| session.to_wire() <= 50_000));
            expired += gone.len();
        }
    }

    proptest! {
        /// P14: whoever hears of a session, and wherever.
        #[test]
        fn nobody_expires_within_a_timeout_of_any_word(
            mut words in proptest::collection::vec((0u64..30_000, any::<bool>()), 0..30),
        ) {
            words.sort_unstable();
            let mut registry = led(0);
            let (mut own, mut last) = (None, 0);
            let mut words = words.into_iter().peekable();
            loop {
                let now = registry.tracker().deadline().unwrap();
                while let Some((word, here)) = words.next_if(|(word, _)| *word <= now.as_millis()) {
                    if here {
                        own = Some(at(word));
                    } else {
                        registry.touch(S, TIMEOUT, at(word));
                    }
                    last = word;
                }
                if registry.expire(now, |_| own) == [S] {
                    let silent = now.as_millis() - last;
                    prop_assert!((4000..=4000 + 2 * 2000).contains(&silent), "{silent}");
                    break;
                }
            }
        }
    }
}
