//! How often three members together ask the allocator for memory, per write, asked of any of them.
//!
//! The path of such a write is the longest there is: forwarded, proposed, logged thrice, acknowledged,
//! committed and applied thrice. What makes one of its steps dearer shows here, whatever the machine.

#[path = "counting/mod.rs"]
mod counting;
#[path = "../../tests/support/mod.rs"]
mod support;

use counting::{packet, per_request};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use support::Client;
use tempfile::TempDir;
use zk_proto::{OpCode, Request, ServerId, Stat};
use zk_server::config::peers::{Ensemble, Member, PeerAddress, Role};
use zk_server::{Config, Server};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MEMBERS: i64 = 3;
const DEADLINE: Duration = Duration::from_secs(60);

/// A port that nobody has now.
fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
    socket.local_addr().expect("it is bound").port()
}

fn member(id: ServerId) -> Member {
    Member {
        id,
        role: Role::Participant,
        addresses: vec![PeerAddress {
            host: "127.0.0.1".into(),
            quorum_port: free_port(),
            election_port: free_port(),
        }],
        client: None,
    }
}

async fn start() -> Vec<(Server, TempDir)> {
    let ids = || (1..=MEMBERS).map(ServerId::new);
    let members: BTreeMap<_, _> = ids().map(|id| (id, member(id))).collect();
    let mut servers = Vec::new();
    for me in ids() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let mut config = Config::in_process(dir.path());
        config.ensemble = Some(Ensemble::in_process(me, members.clone()));
        let server = Server::start(config).await.expect("it starts");
        servers.push((server, dir));
    }
    servers
}

/// A session, as soon as the member gives one.
fn connect(address: SocketAddr) -> Client {
    let began = Instant::now();
    loop {
        if let Ok(client) = Client::connect(address) {
            return client;
        }
        assert!(began.elapsed() < DEADLINE, "{address} does not serve");
        std::thread::yield_now();
    }
}

#[test]
fn a_write_through_an_ensemble_takes_few_allocations() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let servers = runtime.block_on(start());
    let kilobyte = [7; 1024];
    let write = Request::SetData {
        path: "/node".into(),
        data: Some(&kilobyte),
        version: -1,
    };
    let writes = packet(&write, OpCode::SetData);
    let mut clients: Vec<_> = servers
        .iter()
        .map(|(server, _)| connect(server.client_address().unwrap()))
        .collect();
    clients[0].create("/node", &kilobyte, 0).unwrap().unwrap();
    let mut found: Vec<f64> = clients
        .iter_mut()
        .map(|client| per_request(COUNTING, client, &writes, Stat::WIRE_LEN))
        .collect();
    found.sort_by(f64::total_cmp);
    // Asked of the leader: its own part, and what the two others take to log and apply it.
    assert!(found[0] < 14.5, "{found:?} allocations per write");
    // Asked of another: the request, and who asks, go to the leader first.
    assert!(found[2] < 24.0, "{found:?} allocations per write");
    for (server, _dir) in servers {
        runtime.block_on(server.stop()).unwrap();
    }
}
