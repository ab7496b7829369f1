//! The texts, compared with those of a real server.

use super::*;
use crate::metrics::{ConnectionView, Metrics};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;
use zk_proto::{OpCode, SessionId, Zxid};

macro_rules! recorded {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/4lw/", $file))
    };
}

mod ensemble;
mod monitor;
mod standalone;

/// A server that is whatever its fields say.
#[derive(Debug)]
struct Server {
    serving: Serving,
    metrics: Metrics,
    vital: Vital,
    gauges: Gauges,
    connections: Vec<ConnectionFacts>,
    conf: Conf,
    directories: Directories,
    sessions: Sessions,
    ephemerals: Vec<(i64, &'static str)>,
    connection_expiry: Vec<Expiring<(SocketAddr, SessionId)>>,
    watches: Vec<(i64, &'static str)>,
    digests: Vec<(Zxid, u64)>,
    limit: usize,
    asked: Cell<usize>,
}

impl Facts for Server {
    fn serving(&self) -> Serving {
        self.serving
    }
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
    fn vital(&self) -> Vital {
        self.asked.set(self.asked.get() + 1);
        self.vital
    }
    fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }
    fn connections(&self, show: &mut dyn FnMut(&ConnectionFacts) -> ControlFlow<()>) {
        for connection in &self.connections {
            self.asked.set(self.asked.get() + 1);
            if show(connection).is_break() {
                return;
            }
        }
    }
    fn conf(&self) -> Conf {
        self.conf.clone()
    }
    fn directories(&self) -> Directories {
        self.directories
    }
    fn sessions(&self) -> Sessions {
        self.sessions.clone()
    }
    fn sessions_with_ephemerals(&self) -> usize {
        self.ephemerals
            .iter()
            .map(|(session, _)| session)
            .collect::<BTreeSet<_>>()
            .len()
    }
    fn ephemerals(&self, show: &mut dyn FnMut(SessionId, &str) -> ControlFlow<()>) {
        let _ = self
            .ephemerals
            .iter()
            .try_for_each(|(session, path)| show(SessionId::from_wire(*session), path));
    }
    fn connection_expiry(&self) -> Vec<Expiring<(SocketAddr, SessionId)>> {
        self.connection_expiry.clone()
    }
    fn watch_totals(&self) -> WatchTotals {
        let count = |n: usize| u64::try_from(n).unwrap();
        let sessions: BTreeSet<_> = self.watches.iter().map(|(session, _)| session).collect();
        let paths: BTreeSet<_> = self.watches.iter().map(|(_, path)| path).collect();
        WatchTotals {
            connections: count(sessions.len()),
            paths: count(paths.len()),
            watches: count(self.watches.len()),
        }
    }
    fn watches_by_session(&self, show: &mut dyn FnMut(SessionId, &str) -> ControlFlow<()>) {
        let _ = self
            .watches
            .iter()
            .try_for_each(|(session, path)| show(SessionId::from_wire(*session), path));
    }
    fn watches_by_path(&self, show: &mut dyn FnMut(&str, SessionId) -> ControlFlow<()>) {
        let mut watches = self.watches.clone();
        watches.sort_by_key(|(session, path)| (*path, -session));
        let _ = watches
            .iter()
            .try_for_each(|(session, path)| show(path, SessionId::from_wire(*session)));
    }
    fn digests(&self) -> Vec<(Zxid, u64)> {
        self.digests.clone()
    }
    fn environment(&self) -> Vec<(&'static str, String)> {
        environment()
    }
    fn version(&self) -> String {
        "3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC".to_owned()
    }
    fn report_limit(&self) -> usize {
        self.limit
    }
}

const S0: i64 = 0x0100_001d_457c_0000;
const S1: i64 = 0x0100_001d_457c_0001;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn expiring<T>(at_ms: i64, items: Vec<T>) -> Expiring<T> {
    Expiring { at_ms, items }
}

fn ids(ids: &[i64]) -> Vec<SessionId> {
    ids.iter().map(|id| SessionId::from_wire(*id)).collect()
}

/// A connection that only asks a word.
fn asker(port: u16) -> ConnectionFacts {
    let stats = ConnectionView {
        received: 1,
        ..crate::metrics::ConnectionStats::default().view()
    };
    ConnectionFacts {
        address: address(port),
        interest: 0,
        session: None,
        established_ms: 0,
        timeout_ms: 0,
        stats,
    }
}

/// The two clients of the recorded standalone server.
fn clients() -> [ConnectionFacts; 2] {
    let client = |port, id, established_ms, timeout_ms, stats| ConnectionFacts {
        address: address(port),
        interest: 1,
        session: Some(SessionId::from_wire(id)),
        established_ms,
        timeout_ms,
        stats,
    };
    let stats = |packets, op, xid, last_response_ms, max_latency_ms| ConnectionView {
        queued: 0,
        received: packets,
        sent: packets,
        last_op: Some(op),
        last_xid: Some(xid),
        last_zxid: Zxid::from_wire(0xd3),
        last_response_ms,
        last_latency_ms: 0,
        min_latency_ms: 0,
        mean_latency_ms: 0,
        max_latency_ms,
    };
    [
        client(
            42436,
            S0,
            1_795_262_709_394,
            10_000,
            stats(210, OpCode::Exists, 0xd1, 1_918_888, 11),
        ),
        client(
            42448,
            S1,
            1_795_262_709_422,
            30_000,
            stats(206, OpCode::GetChildren2, 0xcd, 1_918_887, 2),
        ),
    ]
}

/// Records latencies in whole milliseconds that have this least, greatest, sum and number.
fn latencies(metrics: &Metrics, min: u64, max: u64, sum: u64, count: u64) {
    let rest = spread(min, max, sum, count);
    rest.into_iter()
        .for_each(|ms| metrics.here().server.answered(Duration::from_millis(ms), 1));
}

fn spread(min: u64, max: u64, sum: u64, count: u64) -> Vec<u64> {
    let mut values = match count {
        1 => vec![max],
        _ => vec![min, max],
    };
    let mut left = sum - values.iter().sum::<u64>();
    while u64::try_from(values.len()).unwrap() < count {
        let others = count - u64::try_from(values.len()).unwrap();
        let next = (left / others).clamp(min, max);
        values.push(next);
        left -= next;
    }
    assert_eq!(left, 0, "no such summary");
    values
}

fn metrics(received: u64, sent: u64) -> Metrics {
    let metrics = Metrics::with_shards(1);
    metrics.here().server.packets_received.add(received);
    metrics.here().server.packets_sent.add(sent);
    metrics
}

/// The recorded standalone server at the moment it had got so many packets.
fn standalone(received: u64) -> Server {
    let server = Server {
        serving: Serving::Everyone,
        metrics: metrics(received, received - 1),
        vital: Vital {
            mode: Mode::Standalone,
            zxid: Zxid::from_wire(0xd3),
            connections: 3,
            outstanding: 0,
            nodes: 13,
        },
        gauges: Gauges::default(),
        connections: clients().to_vec(),
        conf: Conf {
            client_port: 24181,
            secure_client_port: -1,
            data_dir: "/var/lib/zk/version-2".to_owned(),
            log_dir: "/var/lib/zk/version-2".to_owned(),
            tick_time: 2000,
            max_client_connections: 60,
            min_session_timeout: 4000,
            max_session_timeout: 40000,
            backlog: -1,
            server_id: 0,
            peer: None,
        },
        directories: Directories {
            data: 67_109_358,
            log: 67_109_358,
        },
        sessions: Sessions::Tracked {
            local: None,
            global: vec![
                expiring(1_795_262_720_000, ids(&[S0])),
                expiring(1_795_262_740_000, ids(&[S1])),
            ],
        },
        ephemerals: vec![(S1, "/b/e"), (S0, "/a/e2"), (S0, "/a/e1")],
        connection_expiry: vec![
            expiring(
                1_795_262_720_000,
                vec![
                    (address(42436), SessionId::from_wire(S0)),
                    (address(42522), SessionId::NONE),
                ],
            ),
            expiring(
                1_795_262_740_000,
                vec![(address(42448), SessionId::from_wire(S1))],
            ),
        ],
        watches: vec![(S0, "/a"), (S0, "/b"), (S0, "/nope"), (S1, "/a")],
        digests: vec![(Zxid::from_wire(0x80), 16_189_595_701)],
        limit: 1 << 20,
        asked: Cell::new(0),
    };
    latencies(&server.metrics, 0, 11, 147, 416);
    server
}

fn ask(server: &Server, word: Word) -> String {
    let everything = Whitelist::new(Some("*"), false);
    let answer = answer(word, (-2i64).to_be_bytes(), &everything, server);
    assert!(!answer.cut);
    answer.text
}

/// A member of the recorded ensemble.
fn member(mode: Mode, id: u16, received: u64, sent: u64) -> Server {
    let membership = "server.1=127.0.0.1:24301:24401:participant\n\
        server.2=127.0.0.1:24302:24402:participant\n\
        server.3=127.0.0.1:24303:24403:participant\n\
        server.4=127.0.0.1:24304:24404:observer\nversion=0";
    let alone = standalone(1);
    Server {
        metrics: metrics(received, sent),
        vital: Vital {
            mode,
            zxid: Zxid::from_wire(0x1_0000_0024),
            connections: 2,
            outstanding: 0,
            nodes: 38,
        },
        conf: Conf {
            client_port: 24200 + i32::from(id),
            data_dir: format!("/var/lib/zk{id}/version-2"),
            log_dir: format!("/var/lib/zk{id}/version-2"),
            tick_time: 1000,
            min_session_timeout: 2000,
            max_session_timeout: 20000,
            server_id: u64::from(id),
            peer: Some(PeerConf {
                init_limit: 10,
                sync_limit: 5,
                election_ports: vec![24400 + id],
                quorum_ports: vec![24300 + id],
                peer_type: if mode == Mode::Observer {
                    MODE_OBSERVER
                } else {
                    MODE_PARTICIPANT
                },
                membership: Some(membership.to_owned()),
            }),
            ..alone.conf.clone()
        },
        directories: Directories {
            data: 67_109_538,
            log: 67_109_538,
        },
        gauges: Gauges {
            ensemble: Some(Ensemble {
                peer_state: "following - broadcast".to_owned(),
                quorum_size: 3,
                observer_master: (mode == Mode::Observer).then_some(2),
            }),
            ..Gauges::default()
        },
        ephemerals: vec![
            (0x0100_001d_5adc_0000, "/e0000000000"),
            (0x0300_001d_5cdb_0000, "/e0000000002"),
            (0x0200_001d_5ae5_0000, "/e0000000001"),
        ],
        ..alone
    }
}
