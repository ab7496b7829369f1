//! Three servers in one process that are one ensemble: what is written through any of them is read on all.

#[path = "../../../../tests/support/mod.rs"]
mod support;

use super::*;
use crate::config::peers::{Ensemble, Member, PeerAddress, Role};
use crate::config::settings::{FourLetterWords, Secret};
use crate::replica::Rank;
use std::collections::BTreeMap;
use std::time::Duration;
use support::Client;
use tempfile::TempDir;
use zk_proto::{Epoch, Request, ServerId, Zxid};

const DEADLINE: Duration = Duration::from_secs(30);

/// Members of one ensemble, those that run and those that do not.
struct Trio {
    dirs: BTreeMap<i64, TempDir>,
    ensembles: BTreeMap<i64, Ensemble>,
    running: BTreeMap<i64, Server>,
    /// Whether members may be asked to change; then, the super user's password is "test".
    reconfig: bool,
}

/// A port nobody has, and that no connection gets by chance while its member is stopped: those come from 32768 on.
fn free_port() -> u16 {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    loop {
        let asked = ASKED.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id() as usize * 97 + asked;
        let port = u16::try_from(10_000 + place % 22_000).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn member(id: i64, role: Role) -> Member {
    Member {
        id: ServerId::new(id),
        role,
        addresses: vec![PeerAddress {
            host: "127.0.0.1".into(),
            quorum_port: free_port(),
            election_port: free_port(),
        }],
        client: None,
    }
}

impl Trio {
    async fn start(roles: &[Role]) -> Self {
        let members: BTreeMap<_, _> = (1..)
            .zip(roles)
            .map(|(id, role)| (ServerId::new(id), member(id, *role)))
            .collect();
        let ensemble = |me| Ensemble::in_process(me, members.clone());
        let mut trio = Self {
            dirs: BTreeMap::new(),
            ensembles: BTreeMap::new(),
            running: BTreeMap::new(),
            reconfig: false,
        };
        for id in members.keys() {
            trio.dirs.insert(id.number(), tempfile::tempdir().unwrap());
            trio.ensembles.insert(id.number(), ensemble(*id));
            trio.restart(id.number()).await;
        }
        trio
    }

    async fn restart(&mut self, id: i64) {
        let mut config = Config::in_process(self.dirs[&id].path());
        config.sessions.tick_time = Duration::from_millis(500);
        config.ensemble = Some(self.ensembles[&id].clone());
        config.four_letter_words = FourLetterWords::All;
        config.misc.reconfig_enabled = self.reconfig;
        config.security.super_digest = self
            .reconfig
            .then(|| Secret::new("super:D/InIHSb7yEEbrWz8b9l71RjZJU="));
        let files = Arc::new(RealFiles);
        let server = Server::start_on(files, config).await.unwrap();
        self.running.insert(id, server);
    }

    fn rank(&self, id: i64) -> Rank {
        self.running[&id].replica.rank()
    }

    /// The end of a server's history, and the digest of its tree.
    fn state(&self, id: i64) -> (Zxid, Option<u64>) {
        let tree = self.running[&id].replica.tree();
        (tree.last_zxid(), tree.digest())
    }

    async fn wait_until_equal(&self) {
        self.wait_until("all have the same tree", |trio| {
            let mut states = trio.running.keys().map(|id| trio.state(*id));
            let first = states.next().unwrap();
            states.all(|state| state == first)
        })
        .await;
    }

    /// A new disk in the place of the old one.
    fn wipe(&mut self, id: i64) {
        assert!(!self.running.contains_key(&id));
        self.dirs.insert(id, tempfile::tempdir().unwrap());
    }

    /// Stops a server and waits until its directory is free.
    async fn stop(&mut self, id: i64) {
        let server = self.running.remove(&id).unwrap();
        server.stop().await.unwrap();
    }

    async fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < DEADLINE, "in vain: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until all that run have a leader, and says who that is.
    async fn leader(&self) -> i64 {
        self.wait_until("all serve", |trio| {
            let led = trio.running.keys().any(|id| trio.leads(*id));
            led && trio.running.keys().all(|id| trio.rank(*id) != Rank::Nobody)
        })
        .await;
        *self.running.keys().find(|id| self.leads(**id)).unwrap()
    }

    fn leads(&self, id: i64) -> bool {
        matches!(self.rank(id), Rank::Leader { .. })
    }

    fn address(&self, id: i64) -> SocketAddr {
        self.running[&id].client_address().unwrap()
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

const THREE: [Role; 3] = [Role::Participant; 3];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_through_one_is_read_on_all() {
    let trio = Trio::start(&THREE).await;
    let leader = trio.leader().await;
    let follower = 1 + leader % 3;
    assert!(matches!(trio.rank(follower), Rank::Follower { .. }));
    let addresses = [1, 2, 3].map(|id| trio.address(id));
    blocking(move || {
        let mut clients = addresses.map(|address| Client::connect(address).unwrap());
        for (number, client) in clients.iter_mut().enumerate() {
            let path = format!("/by-{number}");
            let made = client.create(&path, b"here", 0).unwrap();
            assert_eq!(made, Ok(path.clone()));
            assert_eq!(client.data(&path).unwrap(), Ok(b"here".to_vec()));
            assert_eq!(client.create(&path, b"", 0).unwrap(), Err(-110));
        }
        for client in &mut clients {
            let sync = Request::Sync { path: "/".into() };
            client.call(&sync).unwrap().unwrap();
            let mut children = client.children("/").unwrap().unwrap();
            children.sort();
            assert_eq!(children, ["by-0", "by-1", "by-2", "zookeeper"]);
        }
        let ids = clients.each_ref().map(|client| client.session.session);
        assert_eq!(ids.map(|id| id.to_wire() >> 56), [1, 2, 3]);
    })
    .await;
}

/// Writes a number of nodes through a server.
async fn write(address: SocketAddr, prefix: &'static str, count: usize) {
    blocking(move || {
        let mut client = Client::connect(address).unwrap();
        for number in 0..count {
            let path = format!("/{prefix}-{number}");
            client.create(&path, b"data", 0).unwrap().unwrap();
        }
        client.call(&Request::CloseSession).unwrap().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_away_gets_what_it_missed() {
    let mut trio = Trio::start(&THREE).await;
    let leader = trio.leader().await;
    let [away, there] = [1 + leader % 3, 1 + (leader + 1) % 3];
    write(trio.address(leader), "early", 5).await;
    trio.stop(away).await;
    write(trio.address(there), "missed", 20).await;
    trio.restart(away).await;
    assert_eq!(trio.leader().await, leader, "who leads is not disturbed");
    write(trio.address(away), "late", 5).await;
    trio.wait_until_equal().await;
}

/// Whether the first log of a member is still there: who is sent a snapshot has none of its old ones left.
fn has_first_log(trio: &Trio, id: i64) -> bool {
    trio.dirs[&id]
        .path()
        .join("version-2/log.100000001")
        .exists()
}

/// However long ago it was: from memory, or from the logs behind a snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_has_just_started_tells_what_is_missed_and_no_more() {
    let mut trio = Trio::start(&THREE).await;
    for with_snapshot in [false, true] {
        let leader = trio.leader().await;
        let others = [1 + leader % 3, 1 + (leader + 1) % 3];
        let [away, there] = others;
        write(
            trio.address(leader),
            ["a", "b"][usize::from(with_snapshot)],
            5,
        )
        .await;
        trio.wait_until_equal().await;
        assert!(has_first_log(&trio, away));
        trio.stop(away).await;
        write(
            trio.address(there),
            ["c", "d"][usize::from(with_snapshot)],
            20,
        )
        .await;
        if with_snapshot {
            for id in [leader, there] {
                let (zxid, _) = trio.state(id);
                let file = format!("version-2/snapshot.{zxid:x}");
                let file = trio.dirs[&id].path().join(file);
                trio.running[&id].take_snapshot();
                trio.wait_until("the snapshot is there", |_| file.exists())
                    .await;
            }
        }
        trio.stop(there).await;
        trio.stop(leader).await;
        for id in [1, 2, 3] {
            trio.restart(id).await;
        }
        trio.leader().await;
        trio.wait_until_equal().await;
        assert!(has_first_log(&trio, away), "no snapshot was needed");
    }
}

/// A member without a leader may show what never stood, to those who only read. In a later epoch all that did is here,
/// and they must not wait for somebody who writes; Apache's leaders let them in as well.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_seen_what_never_stood_is_let_in_by_a_later_epoch() {
    let mut trio = Trio::start(&THREE).await;
    trio.leader().await;
    write(trio.address(1), "old", 3).await;
    trio.wait_until_equal().await;
    for id in [1, 2, 3] {
        trio.stop(id).await;
    }
    for id in [1, 2, 3] {
        trio.restart(id).await;
    }
    let leader = trio.leader().await;
    let (last, _) = trio.state(leader);
    let epoch = |steps| last.epoch().number() + steps;
    let seen = |steps| Zxid::first_of(Epoch::new(epoch(steps))).to_wire() + 0xff;
    let follower = 1 + leader % 3;
    for id in [leader, follower] {
        let ahead = greet(trio.address(id), Zxid::from_wire(seen(1))).await;
        assert!(ahead.is_err(), "P4: {ahead:?}");
    }
    assert_eq!(trio.state(leader).0, last, "nobody has written");
    for id in [follower, leader] {
        let let_in = greet(trio.address(id), Zxid::from_wire(seen(0))).await;
        assert!(let_in.is_ok_and(|response| response.timeout > 0), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_members_join_what_a_server_wrote_alone() {
    let mut trio = Trio::start(&THREE).await;
    trio.stop(1).await;
    trio.wipe(1);
    let config = Config::in_process(trio.dirs[&1].path());
    let alone = Server::start_on(Arc::new(RealFiles), config).await.unwrap();
    write(alone.client_address().unwrap(), "alone", 10).await;
    let state = |server: &Server| {
        let tree = server.replica.tree();
        (tree.last_zxid(), tree.digest())
    };
    let written = state(&alone);
    alone.stop().await.unwrap();
    for id in [2, 3] {
        trio.stop(id).await;
        trio.wipe(id);
    }
    for id in [1, 2] {
        trio.restart(id).await;
    }
    assert_eq!(trio.leader().await, 1);
    trio.wait_until_equal().await;
    assert_eq!(trio.state(2), written);
    trio.restart(3).await;
    write(trio.address(2), "together", 5).await;
    trio.leader().await;
    trio.wait_until_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_an_empty_disk_gets_a_snapshot() {
    let mut trio = Trio::start(&THREE).await;
    trio.leader().await;
    write(trio.address(1), "old", 50).await;
    trio.wait_until_equal().await;
    for id in [1, 2, 3] {
        trio.stop(id).await;
    }
    trio.wipe(3);
    for id in [1, 2, 3] {
        trio.restart(id).await;
    }
    // A leader that has just started keeps nothing in memory that a learner could be given one by one.
    trio.leader().await;
    write(trio.address(3), "new", 5).await;
    trio.wait_until_equal().await;
    let (zxid, digest) = trio.state(3);
    for id in [1, 2, 3] {
        trio.stop(id).await;
    }
    trio.restart(3).await;
    assert_eq!(trio.state(3), (zxid, digest), "it is durable (O6)");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_their_nodes_outlive_their_leader() {
    let mut trio = Trio::start(&THREE).await;
    let leads = trio.leader().await;
    let [stays, serves] = [1 + leads % 3, 1 + (leads + 1) % 3];
    let (first, leader) = (trio.address(stays), trio.address(leads));
    let (follower, led) = blocking(move || {
        let open = |address| {
            let mut client = Client::connect(address).unwrap();
            let path = format!("/of-{}", client.session.session);
            client.create(&path, b"", 1).unwrap().unwrap();
            client.session
        };
        (open(first), open(leader))
    })
    .await;
    trio.stop(leads).await;
    trio.leader().await;
    let (first, second) = (trio.address(stays), trio.address(serves));
    blocking(move || {
        // One stays with its server, the other has to find a new one.
        let mut stays = Client::resume(first, &follower).unwrap();
        let mut moves = Client::resume(second, &led).unwrap();
        assert_eq!(stays.session.session, follower.session);
        assert_eq!(moves.session.session, led.session);
        let paths = [&follower, &led].map(|session| format!("/of-{}", session.session));
        for path in &paths {
            assert_eq!(stays.data(path).unwrap(), Ok(Vec::new()));
        }
        stays.call(&Request::CloseSession).unwrap().unwrap();
        let sync = Request::Sync { path: "/".into() };
        moves.call(&sync).unwrap().unwrap();
        assert_eq!(moves.data(&paths[0]).unwrap(), Err(-101));
        assert_eq!(moves.data(&paths[1]).unwrap(), Ok(Vec::new()));
    })
    .await;
    trio.wait_until_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_moves_takes_its_session_with_it() {
    let trio = Trio::start(&THREE).await;
    trio.leader().await;
    let [one, two, three] = [1, 2, 3].map(|id| trio.address(id));
    blocking(move || {
        let mut before = Client::connect(one).unwrap();
        before.create("/mine", b"", 1).unwrap().unwrap();
        for address in [three, two, one] {
            let mut after = Client::resume(address, &before.session).unwrap();
            assert_eq!(after.data("/mine").unwrap(), Ok(Vec::new()), "(P3)");
            // Clients go on counting on their next connection, and servers rely on it: this one does not.
            after.data("/mine").unwrap().unwrap();
            after.create("/more", b"", 1).unwrap().unwrap();
            // The old connection is closed, not answered (P16).
            let stolen = before.create("/stolen", b"", 0);
            assert!(stolen.is_err(), "from {address}: {stolen:?}");
            let gone = Request::Delete {
                path: "/more".into(),
                version: -1,
            };
            after.call(&gone).unwrap().unwrap();
            assert_eq!(after.data("/stolen").unwrap(), Err(-101));
            before = after;
        }
        before.call(&Request::CloseSession).unwrap().unwrap();
        let ended = Client::resume(two, &before.session).unwrap();
        assert_eq!(
            ended.session.timeout, 0,
            "a closed session is gone for ever (P15)"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_s_dead_client_expires_and_its_quiet_one_does_not() {
    let trio = Trio::start(&THREE).await;
    trio.leader().await;
    let (one, three) = (trio.address(1), trio.address(3));
    blocking(move || {
        let connect = |address| {
            let none = zk_proto::SessionId::NONE;
            Client::connect_with(address, none, &[0; 16], 1000).unwrap()
        };
        let mut dead = connect(one);
        dead.create("/dead", b"", 1).unwrap().unwrap();
        let mut quiet = connect(one);
        quiet.create("/quiet", b"", 1).unwrap().unwrap();
        drop(dead);
        let mut watcher = connect(three);
        let began = Instant::now();
        while watcher.data("/dead").unwrap().is_ok() {
            assert!(began.elapsed() < DEADLINE);
            // Reads are answered by the follower alone: only its pings tell the leader of them.
            assert_eq!(quiet.data("/quiet").unwrap(), Ok(Vec::new()), "(P14)");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(began.elapsed() >= Duration::from_millis(500), "(P14)");
        assert_eq!(watcher.data("/quiet").unwrap(), Ok(Vec::new()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_serves_and_does_not_vote() {
    let roles = [Role::Participant, Role::Participant, Role::Observer];
    let mut trio = Trio::start(&roles).await;
    let leader = trio.leader().await;
    assert!(matches!(trio.rank(3), Rank::Observer { .. }));
    write(trio.address(3), "through-an-observer", 10).await;
    trio.wait_until_equal().await;
    trio.stop(3 - leader).await;
    trio.wait_until("the leader has lost its quorum", |trio| {
        trio.rank(leader) == Rank::Nobody && trio.rank(3) == Rank::Nobody
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multi_tells_the_same_on_every_member() {
    let trio = Trio::start(&THREE).await;
    trio.leader().await;
    let addresses = [1, 2].map(|id| trio.address(id));
    blocking(move || {
        for (number, address) in addresses.into_iter().enumerate() {
            let mut client = Client::connect(address).unwrap();
            let path = format!("/multi-{number}");
            let create = |op| {
                zk_proto::MultiOp::Create(zk_proto::Create {
                    op,
                    path: format!("{path}{}", op.to_wire()).into(),
                    data: Some(b"x"),
                    acl: Some(vec![zk_proto::Acl::world(zk_proto::Perms::ALL).into()]),
                    flags: 0,
                    ttl: -1,
                })
            };
            let ops = vec![
                create(zk_proto::OpCode::Create),
                create(zk_proto::OpCode::Create2),
            ];
            let answer = client.call(&Request::Multi(ops)).unwrap().unwrap();
            let zk_proto::Reply::Multi(results) = answer else {
                panic!("{answer:?}");
            };
            assert!(matches!(results[0], zk_proto::MultiResult::Create(_)));
            let zk_proto::MultiResult::Create2(_, stat) = &results[1] else {
                panic!("{results:?}");
            };
            assert_eq!(stat.data_length, 1);
        }
    })
    .await;
    trio.wait_until_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_may_leave_clients_to_the_others() {
    let mut trio = Trio::start(&THREE).await;
    for id in [1, 2, 3] {
        trio.stop(id).await;
        trio.ensembles.get_mut(&id).unwrap().leader_serves = false;
    }
    for id in [1, 2, 3] {
        trio.restart(id).await;
    }
    let leader = trio.leader().await;
    let (refuses, serves) = (trio.address(leader), trio.address(1 + leader % 3));
    blocking(move || {
        assert!(Client::connect(refuses).is_err());
        let said = support::four_letters(refuses, "srvr");
        assert!(said.contains("not currently serving"), "{said}");
        let mut client = Client::connect(serves).unwrap();
        client.create("/by-a-follower", b"", 0).unwrap().unwrap();
    })
    .await;
}

/// What a client hears that asks for other members: three texts, and the configuration it thinks it changes.
fn reconfigure(client: &mut Client, texts: [Option<&str>; 3], config_id: i64) -> i32 {
    let [joining, leaving, new_members] = texts.map(|text| text.map(Into::into));
    let request = Request::Reconfig {
        joining,
        leaving,
        new_members,
        config_id,
    };
    client.call(&request).unwrap().expect_err("nobody changes")
}

/// As 3.9.5 does, but for what nothing speaks against: there it would be done.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_other_members_hears_what_is_wrong_with_it_first() {
    const JOINER: Option<&str> = Some("server.9=10.9.8.7:1:2:observer;3");
    const STRANGERS: Option<&str> = Some("server.7=a:1:2;3,server.8=b:1:2;3,server.9=c:1:2;3");
    const NOT_ONE: Option<&str> = Some("some thing");
    let mut trio = Trio::start(&THREE).await;
    let leader = trio.leader().await;
    let address = trio.address(leader);
    let disabled = blocking(move || {
        let mut client = Client::connect(address).unwrap();
        reconfigure(&mut client, [NOT_ONE, None, None], 5)
    });
    assert_eq!(disabled.await, -123);
    for id in [1, 2, 3] {
        trio.stop(id).await;
    }
    trio.reconfig = true;
    for id in [1, 2, 3] {
        trio.restart(id).await;
    }
    let leader = trio.leader().await;
    // Through the leader, and through one that passes it on.
    let addresses = [leader, 1 + leader % 3].map(|id| trio.address(id));
    blocking(move || {
        for client in &mut addresses.map(|address| Client::connect(address).unwrap()) {
            for (texts, config_id, refusal) in [
                ([NOT_ONE, None, None], 5, -103),
                ([NOT_ONE, None, None], -1, -8),
                ([None, Some("one"), None], -1, -5),
                ([STRANGERS, None, None], -1, -13),
                ([None, None, STRANGERS], -1, -13),
                ([JOINER, None, None], -1, -102),
                ([JOINER, None, None], 0, -102),
            ] {
                assert_eq!(reconfigure(client, texts, config_id), refusal, "{texts:?}");
            }
            let proof = Request::Auth {
                kind: 0,
                scheme: Some("digest".into()),
                auth: Some(b"super:test"),
            };
            client.call(&proof).unwrap().unwrap();
            assert_eq!(reconfigure(client, [NOT_ONE, None, None], -1), -8);
            assert_eq!(reconfigure(client, [JOINER, None, None], -1), -6);
        }
    })
    .await;
    trio.wait_until_equal().await;
}

/// As 3.9.5: it says nothing of the others, its own sessions are local, and words are packets in both directions.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_reads_alone_speaks_for_itself() {
    let mut trio = Trio::start(&THREE).await;
    let leader = trio.leader().await;
    let (stays, reader) = (1 + leader % 3, 1 + (leader + 1) % 3);
    let address = trio.address(reader);
    let client = blocking(move || Client::connect(address).unwrap()).await;
    trio.stop(reader).await;
    drop(client);
    let ensemble = trio.ensembles.get_mut(&reader).unwrap();
    ensemble.read_only = true;
    ensemble.local_sessions = true;
    trio.stop(stays).await;
    trio.stop(leader).await;
    trio.restart(reader).await;
    let address = trio.address(reader);
    let said = blocking(move || {
        let began = Instant::now();
        while support::four_letters(address, "isro") != "ro" {
            assert!(began.elapsed() < DEADLINE, "it does not read alone");
            std::thread::sleep(Duration::from_millis(20));
        }
        ["conf", "mntr", "dump", "srst", "srvr", "srvr"]
            .map(|word| support::four_letters(address, word))
    });
    let [conf, mntr, dump, _, first, second] = said.await;
    assert!(conf.ends_with("peerType=0\n"), "{conf}");
    assert!(mntr.contains("zk_server_state\tread-only\n"), "{mntr}");
    assert!(!mntr.contains("zk_peer_state"), "{mntr}");
    assert!(!mntr.contains("zk_quorum_size"), "{mntr}");
    let sessions = "SessionTracker dump:\nLocal Session Sets (0)/(0):\nGlobal Sessions(1):\n";
    assert!(dump.starts_with(sessions), "{dump}");
    // The word that resets has been counted as received before, and as sent after.
    assert!(first.contains("\nReceived: 1\nSent: 1\n"), "{first}");
    assert!(second.contains("\nReceived: 2\nSent: 2\n"), "{second}");
}
