//! The sessions of a running server: which connection speaks for each, and when it was last heard.

use crate::net::link::{Delivery, Link};
use crate::session::{self, Registry, SessionIds, Touches};
use crate::tree::Tree;
use hashbrown::HashMap;
use std::sync::Arc;
use std::time::Duration;
use zk_proto::{ConnectResponse, ErrorCode, ServerId, SessionId};
use zk_zab::{LinkId, Time, Touch};

/// Through whom a session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// This server.
    Here,
    /// The learner at the other end.
    Learner(LinkId),
}

/// The table of live sessions: those connected here, and, where this server leads or is alone, all of them.
pub(crate) struct LiveSessions {
    ids: SessionIds,
    /// Every session of the tree that is not being closed, or those that are known here alone; none while another
    /// server leads.
    registry: Option<Registry<Owner>>,
    touches: Touches,
    voices: HashMap<SessionId, Voice, foldhash::fast::RandomState>,
}

/// Who speaks for a session.
enum Voice {
    /// A connection.
    Link(Arc<Link>),
    /// Nobody, since then.
    Silent { last_heard: Time },
}

impl Voice {
    fn last_heard(&self) -> Time {
        match self {
            Self::Link(link) => link.last_heard(),
            Self::Silent { last_heard } => *last_heard,
        }
    }
}

impl LiveSessions {
    /// The ids this server gives; nobody is served yet.
    pub(super) fn new(tree: &Tree, server: ServerId, wall_millis: u64, now: Time) -> Self {
        Self {
            ids: new_ids(tree, server, wall_millis),
            registry: None,
            touches: Touches::new(now),
            voices: HashMap::default(),
        }
    }

    /// Takes over the sessions of a tree: each gets a full timeout from now (P14).
    pub(super) fn lead(&mut self, tree: &Tree, tick: Duration, now: Time) {
        self.rest();
        self.skip_past(tree);
        let sessions = tree.sessions().map(|(session, timeout)| {
            let timeout = u64::try_from(timeout).unwrap_or(0);
            (session, Duration::from_millis(timeout))
        });
        self.registry = Some(Registry::new(tick, sessions, now));
        for (session, _) in tree.sessions() {
            self.voices
                .insert(session, Voice::Silent { last_heard: now });
        }
    }

    /// Another server decides when sessions end.
    pub(super) fn learn(&mut self, tree: &Tree, now: Time) {
        self.rest();
        self.skip_past(tree);
        self.touches = Touches::new(now);
    }

    /// Nobody decides with this server: only those who come now have sessions, and only here.
    pub(super) fn stand_alone(&mut self, tree: &Tree, tick: Duration, now: Time) {
        self.rest();
        self.skip_past(tree);
        self.registry = Some(Registry::new(tick, [], now));
    }

    /// Nobody is served any more.
    pub(super) fn rest(&mut self) {
        self.registry = None;
        self.voices.clear();
    }

    fn skip_past(&mut self, tree: &Tree) {
        for (session, _) in tree.sessions() {
            self.ids.skip_past(session);
        }
    }

    pub(super) fn allocate(&mut self) -> SessionId {
        self.ids.allocate()
    }

    /// When the next session may have expired.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.registry.as_ref()?.tracker().deadline()
    }

    /// Live sessions by the time at which each would expire.
    pub(crate) fn by_expiry(&self) -> Vec<(Time, Vec<SessionId>)> {
        let registry = self.registry.iter();
        let sorted = registry.flat_map(|registry| registry.tracker().buckets());
        sorted
            .map(|(time, sessions)| (time, sessions.iter().copied().collect()))
            .collect()
    }

    /// A session stands; its client is told.
    pub(super) fn begin(
        &mut self,
        session: SessionId,
        timeout: Duration,
        link: &Arc<Link>,
        now: Time,
    ) -> ConnectResponse {
        link.bind(session, timeout);
        if let Some(registry) = &mut self.registry {
            registry.open(session, timeout, Owner::Here, now);
        }
        self.voices.insert(session, Voice::Link(Arc::clone(link)));
        ConnectResponse {
            protocol_version: 0,
            timeout: as_millis(timeout),
            session,
            password: session::password(session),
            read_only: None,
        }
    }

    /// A client wants its session back on a new connection.
    ///
    /// Whoever held it on this server is shown out first, before the password is looked at: that is
    /// what Java does, and clients rely on the old connection being gone.
    pub(super) fn take_up(
        &mut self,
        session: SessionId,
        password: &[u8],
        timeout: Duration,
        link: &Arc<Link>,
        now: Time,
    ) -> ConnectResponse {
        self.silence(session, password, now);
        let lives = self.registry.as_ref();
        let lives = lives.is_some_and(|registry| registry.is_open(session));
        if !lives || !same_secret(password, &session::password(session)) {
            return ConnectResponse::expired(None);
        }
        self.begin(session, timeout, link, now)
    }

    /// Closes the connection that speaks for a session. Only who knows the password has thereby said a word
    /// for it: others would keep it alive as long as they like (P17).
    pub(super) fn silence(&mut self, session: SessionId, password: &[u8], now: Time) {
        if let Some(voice) = self.voices.get_mut(&session) {
            let known = same_secret(password, &session::password(session));
            let last_heard = if known { now } else { voice.last_heard() };
            if let Voice::Link(link) = std::mem::replace(voice, Voice::Silent { last_heard }) {
                link.push_and_wake(Delivery::Close);
            }
        }
    }

    /// Whether this connection still speaks for its session. One that was replaced does not, or its
    /// late requests would be applied after newer ones (P3).
    pub(super) fn speaks(&self, link: &Link) -> bool {
        match self.voices.get(&link.session()) {
            Some(Voice::Link(current)) => current.id() == link.id(),
            Some(Voice::Silent { .. }) | None => false,
        }
    }

    /// Whether nobody speaks for a connection's session: the connection was the last one that did.
    pub(super) fn is_silent(&self, link: &Link) -> bool {
        matches!(self.voices.get(&link.session()), Some(Voice::Silent { .. }))
    }

    /// A connection is gone; its session may come back until it expires.
    pub(super) fn on_gone(&mut self, link: &Link) {
        if !self.speaks(link) {
            return;
        }
        let (session, last_heard) = (link.session(), link.last_heard());
        if self.registry.is_some() {
            self.voices.insert(session, Voice::Silent { last_heard });
        } else {
            self.voices.remove(&session);
            self.touches
                .gone(session, as_millis(link.timeout()), last_heard);
        }
    }

    /// Of whom the leader is to be told: the sessions heard of since it was told last.
    pub(super) fn tell(&mut self, now: Time) -> Vec<Touch> {
        let here = self
            .voices
            .iter()
            .filter_map(|(session, voice)| match voice {
                Voice::Link(link) => Some((*session, as_millis(link.timeout()), link.last_heard())),
                Voice::Silent { .. } => None,
            });
        let touched = self.touches.tell(here, now).into_iter();
        let touch = |(session, timeout)| Touch { session, timeout };
        touched.map(touch).collect()
    }

    /// Whether a request may be done in a session's name.
    pub(super) fn check(&mut self, session: SessionId, owner: Owner) -> Result<(), ErrorCode> {
        match &mut self.registry {
            Some(registry) => registry.check(session, owner),
            None => Err(ErrorCode::SessionExpired),
        }
    }

    /// A learner's client opens a session.
    pub(super) fn open_elsewhere(
        &mut self,
        session: SessionId,
        timeout: Duration,
        owner: Owner,
        now: Time,
    ) {
        if let Some(registry) = &mut self.registry {
            registry.open(session, timeout, owner, now);
        }
    }

    /// A learner's client goes on with a session. Whether it may.
    pub(super) fn take_up_elsewhere(
        &mut self,
        session: SessionId,
        timeout: Duration,
        owner: Owner,
        now: Time,
    ) -> bool {
        let registry = self.registry.as_mut();
        registry.is_some_and(|registry| registry.take_up(session, timeout, owner, now))
    }

    /// A learner has heard of a session.
    pub(super) fn touch(&mut self, session: SessionId, timeout: Duration, now: Time) {
        if let Some(registry) = &mut self.registry {
            registry.touch(session, timeout, now);
        }
    }

    /// The session is being closed: nobody may take it up again, and it cannot expire any more.
    pub(super) fn closing(&mut self, session: SessionId) {
        if let Some(registry) = &mut self.registry {
            registry.close(session);
        }
    }

    /// The session has ended. Returns the connection that spoke for it.
    pub(super) fn end(&mut self, session: SessionId) -> Option<Arc<Link>> {
        self.closing(session);
        match self.voices.remove(&session) {
            Some(Voice::Link(link)) => Some(link),
            Some(Voice::Silent { .. }) | None => None,
        }
    }

    /// Which sessions have said nothing for too long.
    pub(super) fn expire(&mut self, now: Time) -> Vec<SessionId> {
        let Some(registry) = &mut self.registry else {
            return Vec::new();
        };
        let voices = &self.voices;
        registry.expire(now, |session| voices.get(&session).map(Voice::last_heard))
    }
}

/// Ids that no session ever had, as far as the tree can tell: a wall clock that was set back must not
/// bring ids of closed sessions back, whose holders are to be told that they expired (P15).
fn new_ids(tree: &Tree, server: ServerId, wall_millis: u64) -> SessionIds {
    let newest = u64::try_from(tree.newest_time()).unwrap_or(0);
    let mut ids = if newest < wall_millis {
        SessionIds::starting_at(wall_millis, server)
    } else {
        SessionIds::starting_behind(newest, tree.last_zxid(), server)
    };
    tree.newest_sessions().for_each(|used| ids.skip_past(used));
    ids
}

fn as_millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

/// Compares in a time that does not tell where the first difference is.
pub(super) fn same_secret(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Restore, Rules, WatcherId};
    use std::net::{Ipv4Addr, SocketAddr};
    use zk_proto::txn::{Txn, TxnHeader, TxnRecord};
    use zk_proto::{StoredStat, Xid, Zxid};

    const TIMEOUT: Duration = Duration::from_secs(4);

    fn record(session: SessionId, zxid: i64, time: i64, txn: Txn) -> TxnRecord {
        let header = TxnHeader {
            session,
            cxid: Xid::INTERNAL,
            zxid: Zxid::from_wire(zxid),
            time,
        };
        let digest = None;
        TxnRecord {
            header,
            txn,
            digest,
        }
    }

    /// Sessions come and go while the clock is set back before each start.
    #[test]
    fn a_clock_set_back_brings_no_id_back() {
        let mut tree = Tree::new(Rules::default());
        let mut given = std::collections::BTreeSet::new();
        let mut zxid = 0;
        for wall in [5_000_000, 4_000_000, 4_000_000, 1, 6_000_000, 5_999_999] {
            let tick = Duration::from_secs(2);
            let mut sessions = alone(&tree, tick, wall);
            for _ in 0..3 {
                let session = sessions.allocate();
                assert!(given.insert(session), "{session} again at {wall}");
                let time = i64::try_from(wall).unwrap();
                let open = Txn::CreateSession { timeout: 4000 };
                let close = Txn::CloseSession { paths: None };
                for txn in [open, close] {
                    zxid += 1;
                    let _applied = tree.apply(&record(session, zxid, time, txn));
                }
            }
            // As after a snapshot: of closed sessions nothing is left but the time.
            tree = forgetful(&tree);
        }
    }

    fn alone(tree: &Tree, tick: Duration, wall: u64) -> LiveSessions {
        let mut sessions = LiveSessions::new(tree, ServerId::new(1), wall, at(0));
        sessions.lead(tree, tick, at(0));
        sessions
    }

    fn forgetful(tree: &Tree) -> Tree {
        let mut restore = Restore::new(Rules::default());
        let stat = StoredStat {
            mtime: tree.newest_time(),
            ..StoredStat::default()
        };
        restore.node("", None, -1, &stat).unwrap();
        restore.finish(tree.last_zxid()).unwrap()
    }

    fn at(millis: u64) -> Time {
        Time::since_start(Duration::from_millis(millis))
    }

    fn link(id: u64) -> Arc<Link> {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Arc::new(Link::new(WatcherId(id), peer, 1 << 20, at(0)))
    }

    #[test]
    fn strangers_at_the_door_do_not_keep_a_session_alive() {
        let tree = Tree::new(Rules::default());
        let mut sessions = alone(&tree, Duration::from_secs(2), 0);
        let session = sessions.allocate();
        sessions.begin(session, TIMEOUT, &link(1), at(0));
        let mut expired = Vec::new();
        for millis in (100..20_000).step_by(100) {
            let stranger = link(millis);
            let answer = sessions.take_up(session, b"wrong", TIMEOUT, &stranger, at(millis));
            assert_eq!(answer.session, SessionId::NONE);
            expired.extend(sessions.expire(at(millis)));
            if !expired.is_empty() {
                assert!((4000..=6200).contains(&millis), "at {millis}");
                break;
            }
        }
        assert_eq!(expired, [session]);
    }
}
