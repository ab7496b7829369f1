//! Elections among Apache's servers and this one's: a [`Voter`] takes part beside
//! two real Java servers and must come to the same result. No data is served here.
//!
//! Needs a Java ZooKeeper: its class path in `ZK_JAVA_CP`, otherwise Debian's. Without one the tests say
//! that they are skipped.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test tells what it skips, and fails where it stands"
)]

#[path = "../../tests/support/debian.rs"]
mod debian;

use bytes::BytesMut;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use zk_proto::{Epoch, ServerId, Zxid};
use zk_server::config::peers::{Ensemble, Member, PeerAddress, Role};
use zk_server::net::election::{self, Elected, Voter};
use zk_zab::{Candidacy, Message, PeerState, wire};

/// A Java server on a busy machine takes its time.
const SOON: Duration = Duration::from_secs(90);

/// Who listens where; every port of one server is free when the test begins.
struct Plan {
    class_path: String,
    dir: TempDir,
    /// Quorum, election and client port.
    ports: BTreeMap<i64, [u16; 3]>,
}

impl Plan {
    fn new() -> Option<Self> {
        let Some(class_path) = debian::class_path() else {
            println!("**** SKIPPED: no Java ZooKeeper: ZK_JAVA_CP or Debian's package ****");
            return None;
        };
        let mut held = Vec::new();
        let mut port = || {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = socket.local_addr().unwrap().port();
            held.push(socket);
            port
        };
        let ports = [1, 2, 3].map(|id| (id, [port(), port(), port()]));
        let ports = BTreeMap::from(ports);
        Some(Self {
            class_path,
            dir: TempDir::new().unwrap(),
            ports,
        })
    }

    fn members(&self) -> String {
        let lines = self.ports.iter().map(|(id, [quorum, election, client])| {
            format!("server.{id}=127.0.0.1:{quorum}:{election}:participant;127.0.0.1:{client}\n")
        });
        lines.collect()
    }

    fn java(&self, id: i64) -> Java {
        let dir = self.dir.path().join(id.to_string());
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("myid"), id.to_string()).unwrap();
        let cfg = dir.join("zoo.cfg");
        let text = format!(
            "tickTime=1000\ninitLimit=10\nsyncLimit=5\ndataDir={}\n{}",
            dir.display(),
            self.members()
        );
        fs::write(&cfg, text).unwrap();
        let log = File::create(dir.join("log")).unwrap();
        let child = Command::new("java")
            .args(["-Xmx128m", "-Dzookeeper.admin.enableServer=false"])
            .args([
                "-Dzookeeper.4lw.commands.whitelist=*",
                "-cp",
                &self.class_path,
            ])
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(&cfg)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Java {
            child: child.unwrap(),
            client: ([127, 0, 0, 1], self.ports[&id][2]).into(),
            log: dir.join("log"),
        }
    }

    fn ensemble(&self, me: i64) -> Ensemble {
        let members = self.ports.iter().map(|(id, [quorum, election, _])| Member {
            id: ServerId::new(*id),
            role: Role::Participant,
            addresses: vec![PeerAddress {
                host: "127.0.0.1".to_owned(),
                quorum_port: *quorum,
                election_port: *election,
            }],
            client: None,
        });
        Ensemble::new(
            ServerId::new(me),
            members.map(|member| (member.id, member)).collect(),
        )
    }

    /// Ours votes from now on.
    async fn ours(&self, me: i64, zxid: i64) -> Ours {
        let ensemble = self.ensemble(me);
        let listeners = election::bind(&ensemble, Some(3)).await.unwrap();
        let quorum = TcpListener::bind(("127.0.0.1", self.ports[&me][0])).await;
        let (voter, elected) = Voter::open(listeners, &ensemble);
        let candidacy = Candidacy {
            last_zxid: Zxid::from_wire(zxid),
            current_epoch: Epoch::new(0),
        };
        voter.look(candidacy).await;
        let quorum_ports = self.ports.iter().map(|(id, ports)| (*id, ports[0]));
        Ours {
            voter,
            candidacy,
            elected,
            quorum: quorum.unwrap(),
            quorum_ports: quorum_ports.collect(),
        }
    }
}

struct Java {
    child: Child,
    client: SocketAddr,
    log: PathBuf,
}

impl Java {
    /// What the server says of itself, once it has a role.
    async fn role(&self) -> String {
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            if let Some(role) = self.ask() {
                return role;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no role: {}", tail(&self.log));
    }

    fn ask(&self) -> Option<String> {
        let mut stream = TcpStream::connect(self.client).ok()?;
        stream.write_all(b"srvr").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let mut lines = answer.lines();
        let mode = lines.find_map(|line| line.strip_prefix("Mode: "))?;
        Some(mode.to_owned())
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// This project's part in the election; it answers those who still look.
struct Ours {
    voter: Voter,
    candidacy: Candidacy,
    elected: mpsc::Receiver<Elected>,
    quorum: TcpListener,
    /// Everyone's quorum port.
    quorum_ports: BTreeMap<i64, u16>,
}

impl Ours {
    async fn elects(&mut self) -> (PeerState, i64) {
        let elected = tokio::time::timeout(SOON, self.elected.recv()).await;
        let elected = elected.expect("a leader is elected soon").unwrap();
        (elected.role, elected.leader.number())
    }

    /// Whom it follows in the end. Votes from before may be repeated to a late comer and elect somebody
    /// who does not lead: it then looks again, as a learner does that finds nobody to connect to.
    async fn follows(&mut self) -> i64 {
        loop {
            let (role, leader) = self.elects().await;
            assert_eq!(role, PeerState::Following);
            if self.finds(leader).await {
                return leader;
            }
            self.voter.rest().await;
            self.voter.look(self.candidacy).await;
        }
    }

    /// Whether that server leads: only then its quorum port is open. Java's learners try as often.
    async fn finds(&self, leader: i64) -> bool {
        let port = self.quorum_ports[&leader];
        for _ in 0..5 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }
}

/// Who comes to the quorum port to follow.
async fn first_follower(quorum: &TcpListener) -> i64 {
    let arrival = async {
        let (mut stream, _) = quorum.accept().await.unwrap();
        let mut received = BytesMut::new();
        loop {
            let limit = wire::DEFAULT_FIELD_LIMIT;
            if let Some(message) = wire::take_message(&mut received, limit).unwrap() {
                return message;
            }
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0);
        }
    };
    match tokio::time::timeout(SOON, arrival).await {
        Ok(Message::FollowerInfo { learner, .. }) => learner.server.number(),
        other => panic!("nobody follows: {other:?}"),
    }
}

/// The one of two servers that says it leads; the other follows.
async fn leader_among(servers: &[Java; 2], ids: [i64; 2]) -> i64 {
    let roles = (servers[0].role().await, servers[1].role().await);
    match (roles.0.as_str(), roles.1.as_str()) {
        ("leader", "follower") => ids[0],
        ("follower", "leader") => ids[1],
        _ => panic!("{roles:?}"),
    }
}

async fn ours_comes_late(me: i64, java: [i64; 2]) {
    let Some(plan) = Plan::new() else { return };
    let servers = java.map(|id| plan.java(id));
    let leader = leader_among(&servers, java).await;
    let mut ours = plan.ours(me, 0).await;
    assert_eq!(ours.follows().await, leader);
}

/// Whoever of Java's two is there first may lead; all must agree who it is.
async fn ours_is_there_from_the_beginning(me: i64, java: [i64; 2]) {
    let Some(plan) = Plan::new() else { return };
    let mut ours = plan.ours(me, 0).await;
    let servers = java.map(|id| plan.java(id));
    let leader = leader_among(&servers, java).await;
    assert_eq!(ours.follows().await, leader);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_greatest_number_comes_late_and_follows() {
    ours_comes_late(3, [1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_number_comes_late_and_follows() {
    ours_comes_late(1, [2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_number_elects_with_java() {
    ours_is_there_from_the_beginning(1, [2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_between_comes_late_and_follows() {
    ours_comes_late(2, [1, 3]).await;
}

/// Ours has more history than Java's: they elect it, and come to follow it.
#[tokio::test(flavor = "multi_thread")]
async fn java_elects_who_has_most() {
    let Some(plan) = Plan::new() else { return };
    let mut ours = plan.ours(1, 5).await;
    let _servers = [2, 3].map(|id| plan.java(id));
    assert_eq!(ours.elects().await, (PeerState::Leading, 1));
    let follower = first_follower(&ours.quorum).await;
    assert!([2, 3].contains(&follower), "{follower}");
}
