//! What a member of an ensemble has besides what every server has: connections to the others, what its own
//! clients wait for, and whom it serves.

use super::copies::Copies;
use super::electing::Electing;
use super::held::Held;
use super::stretches::Stretches;
use crate::config::Config;
use crate::config::peers::{Ensemble, Role};
use crate::net::four_letter::LeaderGauges;
use crate::net::quorum::{Peers, Report};
use crate::replica::{Event, Replica};
use std::collections::BTreeMap;
use std::sync::Arc;
use zk_proto::ServerId;
use zk_zab::Message;
use zk_zab::{LinkId, Settings, Time};

/// For whom a server decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// It has no leader: nobody is served.
    None,
    /// It has no leader, and answers those who only want to read.
    ReadOnly,
    /// For everyone. A server that is alone always does.
    Leads,
    /// The leader does, at the other end of this connection.
    Learns(LinkId),
}

/// A member's own state.
pub(super) struct Membership {
    pub(super) peers: Peers,
    pub(super) electing: Electing,
    pub(super) copies: Copies,
    pub(super) stretches: Stretches,
    pub(super) held: Held,
    pub(super) service: Service,
    /// Whether this server leads, or tries to.
    pub(super) leading: bool,
    /// Since when a leader is being looked for.
    pub(super) looking_since: Option<Time>,
    /// Whom a learner learns from.
    pub(super) leader: Option<ServerId>,
    /// The connection dialled last: a learner's leader is there.
    pub(super) dialled: Option<LinkId>,
    /// Who has come to this leader, for the four-letter words.
    pub(super) roster: BTreeMap<LinkId, Learner>,
    /// When this role began.
    pub(super) since: Time,
    /// It has left its ensemble.
    pub(super) resigned: bool,
    next_ticket: u64,
}

/// A learner, as the four-letter words count it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Learner {
    pub(super) server: ServerId,
    pub(super) kind: Kind,
    pub(super) is_synced: bool,
}

/// What a learner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Follower,
    /// One that is not among the voters.
    NonVoter,
    Observer,
}

impl Membership {
    pub(super) fn of(replica: &Arc<Replica>, electing: Electing) -> Self {
        let config = Arc::new(replica.config().clone());
        let report: Report = {
            let replica = Arc::clone(replica);
            Arc::new(move |event| replica.send(Event::Peer(event)))
        };
        Self {
            peers: Peers::new(config, report),
            electing,
            copies: Copies::default(),
            stretches: Stretches::new(),
            held: Held::default(),
            service: Service::None,
            leading: false,
            looking_since: None,
            leader: None,
            dialled: None,
            roster: BTreeMap::new(),
            since: Time::default(),
            resigned: false,
            next_ticket: 0,
        }
    }

    pub(super) const fn next_ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Notes who a learner says it is. Whether it said so.
    pub(super) fn note_received(
        &mut self,
        link: LinkId,
        message: &Message,
        ensemble: &Ensemble,
    ) -> bool {
        let (server, kind) = if let Message::FollowerInfo { learner, .. } = message {
            let votes = ensemble.voters().any(|voter| voter == learner.server);
            let kind = if votes {
                Kind::Follower
            } else {
                Kind::NonVoter
            };
            (learner.server, kind)
        } else if let Message::ObserverInfo { learner, .. } = message {
            (learner.server, Kind::Observer)
        } else {
            return false;
        };
        let learner = Learner {
            server,
            kind,
            is_synced: false,
        };
        self.roster.insert(link, learner);
        true
    }

    /// Who is up to date, whatever it is.
    pub(super) fn synced(&self) -> impl Iterator<Item = ServerId> {
        let learners = self.roster.values();
        let synced = learners.filter(|learner| learner.is_synced);
        synced.map(|learner| learner.server)
    }

    pub(super) fn count_learners(&self) -> LeaderGauges {
        let synced = |kind| {
            let learners = self.roster.values();
            let synced = learners.filter(|learner| learner.is_synced && learner.kind == kind);
            synced.count() as u64
        };
        LeaderGauges {
            learners: self.roster.len() as u64,
            synced_followers: synced(Kind::Follower),
            synced_non_voting_followers: synced(Kind::NonVoter),
            synced_observers: synced(Kind::Observer),
            pending_syncs: 0,
            uptime_ms: 0,
        }
    }

    /// Notes that a learner is up to date. Whether it is so from now on.
    pub(super) fn note_sent(&mut self, link: LinkId, message: &Message) -> bool {
        if matches!(message, Message::UpToDate)
            && let Some(learner) = self.roster.get_mut(&link)
        {
            learner.is_synced = true;
            return true;
        }
        false
    }
}

/// What the agreement needs to know of a configuration.
pub(super) fn settings(config: &Config, ensemble: &Ensemble) -> Settings {
    let mut settings = Settings::new(ensemble.me, ensemble.quorum());
    settings.observer = ensemble.own().role == Role::Observer;
    settings.tick = config.sessions.tick_time;
    settings.init_limit = ensemble.patience.init_limit;
    settings.sync_limit = ensemble.patience.sync_limit;
    settings.config = ensemble.text().into();
    settings
}

/// The number a server's sessions begin with.
pub(super) fn server_id(config: &Config) -> ServerId {
    let ensemble = config.ensemble.as_ref();
    ensemble.map_or(ServerId::new(1), |ensemble| ensemble.me)
}
