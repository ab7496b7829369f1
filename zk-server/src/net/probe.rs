//! What a four-letter word may know of this server: the answers to [`Facts`].

use crate::config::peers::{self, Role};
use crate::metrics::Metrics;
use crate::net::four_letter::{
    self, Conf, ConnectionFacts, Directories, Ensemble, Expiring, Facts, Gauges, LeaderGauges,
    MODE_OBSERVER, MODE_PARTICIPANT, Mode, PeerConf, Quota, Serving, Sessions, Then, Vital,
    WatchTotals, Whitelist, Word,
};
use crate::net::link::Link;
use crate::replica::{Event, Rank, Replica};
use crate::tree::{QuotaTotals, Tree};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::debug;
use zk_proto::{SessionId, Zxid};
use zk_zab::Time;

/// Java counts the paths of its table of nodes, which holds the root under both its names.
const ROOT_AGAIN: u64 = 1;

/// Which words are answered.
pub(crate) fn whitelist(replica: &Replica) -> Whitelist {
    use crate::config::settings::FourLetterWords;
    match &replica.config().four_letter_words {
        FourLetterWords::All => Whitelist::new(Some("*"), false),
        FourLetterWords::Some(words) => {
            let list: Vec<&str> = words.iter().map(String::as_str).collect();
            Whitelist::new(Some(&list.join(",")), false)
        }
    }
}

/// Answers a word and carries out what it demands.
pub(crate) async fn answer(
    replica: &Arc<Replica>,
    link: &Arc<Link>,
    word: Word,
    more: [u8; 8],
) -> String {
    debug!(%word, peer = %link.peer(), "four-letter word");
    let whitelist = whitelist(replica);
    // Only the loop knows when sessions expire, and only this word wants to know.
    let sessions = if word == Word::Dump && whitelist.allows(word) {
        sessions_by_expiry(replica).await
    } else {
        Vec::new()
    };
    let answer = four_letter::answer(word, more, &whitelist, &Probe { replica, sessions });
    match answer.then {
        Then::Nothing => {}
        Then::ResetServer => replica.metrics().reset(),
        Then::ResetConnections => replica.links().iter().for_each(|link| link.stats().reset()),
        Then::SetTraceMask(mask) => replica.set_trace_mask(mask),
    }
    if answer.cut {
        replica
            .metrics()
            .here()
            .limits
            .limit_report_size
            .increment();
    }
    answer.text
}

async fn sessions_by_expiry(replica: &Replica) -> Vec<(Time, Vec<SessionId>)> {
    let (sender, receiver) = oneshot::channel();
    replica.send(Event::Ask(Box::new(move |sessions, _| {
        // Whoever asked may be gone.
        drop(sender.send(sessions.by_expiry()));
    })));
    receiver.await.unwrap_or_default()
}

struct Probe<'a> {
    replica: &'a Replica,
    sessions: Vec<(Time, Vec<SessionId>)>,
}

impl Probe<'_> {
    /// A member that serves reads alone says nothing of the others.
    fn ensemble(&self) -> Option<Ensemble> {
        let ensemble = self.replica.config().ensemble.as_ref()?;
        let peer_state = match self.replica.rank() {
            Rank::Reader { .. } => return None,
            Rank::Alone | Rank::Nobody => "looking",
            Rank::Leader { .. } => "leading - broadcast",
            Rank::Follower { .. } => "following - broadcast",
            Rank::Observer { .. } => "observing - broadcast",
        };
        Some(Ensemble {
            peer_state: peer_state.to_owned(),
            quorum_size: ensemble.voters().count() as u64,
            observer_master: match self.replica.rank() {
                Rank::Observer { of, .. } => Some(of.number().unsigned_abs()),
                Rank::Alone
                | Rank::Nobody
                | Rank::Reader { .. }
                | Rank::Leader { .. }
                | Rank::Follower { .. } => None,
            },
        })
    }

    fn reads_alone(&self) -> bool {
        matches!(self.replica.rank(), Rank::Reader { .. })
    }

    /// A point of our time on the wall.
    fn wall(&self, time: Time) -> i64 {
        let clock = self.replica.clock();
        let (now, wall) = (clock.now(), clock.wall_millis());
        wall.saturating_add_unsigned(time.as_millis())
            .saturating_sub_unsigned(now.as_millis())
    }
}

impl Facts for Probe<'_> {
    fn serving(&self) -> Serving {
        if self.replica.serves() {
            Serving::Everyone
        } else if self.replica.serves_reads_alone() {
            Serving::ReadOnly
        } else {
            Serving::Nobody
        }
    }

    fn metrics(&self) -> &Metrics {
        self.replica.metrics()
    }

    fn vital(&self) -> Vital {
        let tree = self.replica.tree();
        Vital {
            mode: match self.replica.rank() {
                Rank::Alone | Rank::Nobody => Mode::Standalone,
                Rank::Reader { .. } => Mode::ReadOnly,
                Rank::Leader { .. } => Mode::Leader,
                Rank::Follower { .. } => Mode::Follower,
                Rank::Observer { .. } => Mode::Observer,
            },
            zxid: tree.last_zxid(),
            connections: self.replica.connection_count() as u64,
            outstanding: self.replica.outstanding() as u64,
            nodes: tree.shown_node_count(),
        }
    }

    fn gauges(&self) -> Gauges {
        let tree = self.replica.tree();
        let watches = self.replica.watches().len() as u64;
        let now = self.replica.clock().now();
        let uptime = now.saturating_since(self.replica.rank().since());
        let uptime_ms = u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX);
        Gauges {
            watches,
            ephemerals: tree.ephemeral_count() as u64,
            data_size: tree.approximate_data_size() + ROOT_AGAIN,
            global_sessions: tree.session_count() as u64,
            uptime_ms,
            connection_drop_probability: self.replica.gate().drop_chance(),
            ensemble: self.ensemble(),
            leader: match self.replica.rank() {
                Rank::Leader { learners, .. } => Some(LeaderGauges {
                    uptime_ms,
                    ..learners
                }),
                Rank::Alone
                | Rank::Nobody
                | Rank::Reader { .. }
                | Rank::Follower { .. }
                | Rank::Observer { .. } => None,
            },
            quotas: quotas(&tree),
            ..Gauges::default()
        }
    }

    fn connections(&self, show: &mut dyn FnMut(&ConnectionFacts) -> ControlFlow<()>) {
        for link in self.replica.links() {
            let session = Some(link.session()).filter(|&session| session != SessionId::NONE);
            let facts = ConnectionFacts {
                address: link.peer(),
                interest: u8::from(session.is_some()),
                session,
                established_ms: self.wall(link.established()),
                timeout_ms: i32::try_from(link.timeout().as_millis()).unwrap_or(i32::MAX),
                stats: link.stats().view(),
            };
            if show(&facts).is_break() {
                return;
            }
        }
    }

    fn conf(&self) -> Conf {
        let config = self.replica.config();
        let port = config
            .listen
            .client
            .as_ref()
            .map_or(-1, |address| i32::from(address.port));
        let millis = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let absolute = |path: &Path| {
            std::path::absolute(path)
                .unwrap_or_else(|_| path.to_owned())
                .display()
                .to_string()
        };
        Conf {
            client_port: port,
            secure_client_port: -1,
            data_dir: absolute(&config.snapshot_dir()),
            log_dir: absolute(&config.log_dir()),
            tick_time: millis(config.sessions.tick_time).unsigned_abs(),
            max_client_connections: config.limits.max_client_cnxns.unwrap_or(0),
            min_session_timeout: millis(config.sessions.min_timeout),
            max_session_timeout: millis(config.sessions.max_timeout),
            backlog: config
                .listen
                .backlog
                .map_or(-1, |backlog| i32::try_from(backlog).unwrap_or(i32::MAX)),
            server_id: config
                .ensemble
                .as_ref()
                .map_or(0, |ensemble| ensemble.me.number().unsigned_abs()),
            peer: config.ensemble.as_ref().map(|ensemble| PeerConf {
                membership: (!self.reads_alone()).then(|| ensemble.text()),
                ..peer_conf(ensemble)
            }),
        }
    }

    fn directories(&self) -> Directories {
        let config = self.replica.config();
        Directories {
            data: size_of(&config.snapshot_dir()),
            log: size_of(&config.log_dir()),
        }
    }

    fn sessions(&self) -> Sessions {
        let tracked = self.sessions.iter().map(|(time, sessions)| Expiring {
            at_ms: self.wall(*time),
            items: sessions.clone(),
        });
        let local = match self.replica.rank() {
            Rank::Follower { .. } | Rank::Observer { .. } => None,
            // Where nobody may have a session of this server alone, nobody need hear of them.
            Rank::Reader { .. } => Some(tracked.collect()).filter(|local: &Vec<_>| {
                let ensemble = self.replica.config().ensemble.as_ref();
                !local.is_empty() || ensemble.is_some_and(|it| it.local_sessions)
            }),
            Rank::Alone | Rank::Nobody | Rank::Leader { .. } => {
                let (local, global) = (None, tracked.collect());
                return Sessions::Tracked { local, global };
            }
        };
        let mut global: Vec<_> = self.replica.tree().sessions().collect();
        global.sort_unstable();
        Sessions::Learned { local, global }
    }

    fn sessions_with_ephemerals(&self) -> usize {
        self.replica.tree().ephemeral_owners().count()
    }

    fn ephemerals(&self, show: &mut dyn FnMut(SessionId, &str) -> ControlFlow<()>) {
        let tree = self.replica.tree();
        for session in tree.ephemeral_owners() {
            for path in tree.ephemerals_of(session, None) {
                if show(session, &path).is_break() {
                    return;
                }
            }
        }
    }

    /// A connection is given up when its session is; one without a session at its deadline.
    fn connection_expiry(&self) -> Vec<Expiring<(SocketAddr, SessionId)>> {
        let handshake = self.replica.limits().sessionless_timeout;
        let due = |link: &Link| {
            let patience = if link.session() == SessionId::NONE {
                handshake
            } else {
                link.timeout()
            };
            self.wall(link.last_heard() + patience)
        };
        let mut links = self.replica.links();
        links.sort_by_key(|link| due(link));
        links
            .iter()
            .map(|link| Expiring {
                at_ms: due(link),
                items: vec![(link.peer(), link.session())],
            })
            .collect()
    }

    fn watch_totals(&self) -> WatchTotals {
        let _tree = self.replica.tree();
        let watches = self.replica.watches();
        let counts = watches.counts();
        WatchTotals {
            connections: counts.watchers as u64,
            paths: counts.paths as u64,
            watches: counts.watches as u64,
        }
    }

    fn watches_by_session(&self, show: &mut dyn FnMut(SessionId, &str) -> ControlFlow<()>) {
        let _tree = self.replica.tree();
        let watches = self.replica.watches();
        for (watcher, paths) in watches.by_watcher() {
            let Some(link) = self.replica.link(watcher) else {
                continue;
            };
            for path in paths {
                if show(link.session(), path).is_break() {
                    return;
                }
            }
        }
    }

    fn watches_by_path(&self, show: &mut dyn FnMut(&str, SessionId) -> ControlFlow<()>) {
        let _tree = self.replica.tree();
        let watches = self.replica.watches();
        for (path, watchers) in watches.by_path() {
            for watcher in watchers {
                let Some(link) = self.replica.link(watcher) else {
                    continue;
                };
                if show(path, link.session()).is_break() {
                    return;
                }
            }
        }
    }

    fn digests(&self) -> Vec<(Zxid, u64)> {
        self.replica.tree().digest_history().collect()
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        four_letter::environment()
    }

    fn trace_mask(&self) -> i64 {
        self.replica.trace_mask()
    }

    fn report_limit(&self) -> usize {
        usize::try_from(self.replica.limits().four_letter_reply).unwrap_or(usize::MAX)
    }
}

fn peer_conf(ensemble: &peers::Ensemble) -> PeerConf {
    let own = ensemble.own();
    let addresses = || own.addresses.iter();
    PeerConf {
        init_limit: ensemble.patience.init_limit,
        sync_limit: ensemble.patience.sync_limit,
        election_ports: addresses().map(|address| address.election_port).collect(),
        quorum_ports: addresses().map(|address| address.quorum_port).collect(),
        peer_type: match own.role {
            Role::Participant => MODE_PARTICIPANT,
            Role::Observer => MODE_OBSERVER,
        },
        membership: None,
    }
}

fn quotas(tree: &Tree) -> Vec<Quota> {
    let totals = tree.quota_totals().into_iter();
    totals
        .map(|(namespace, QuotaTotals { limit, usage })| Quota {
            namespace,
            limit,
            usage,
        })
        .collect()
}

/// Bytes of the files in a directory, as `du` would not count them: by their length, as Java does.
fn size_of(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}
