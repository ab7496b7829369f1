//! A server of ours and a leader that the test plays, word by word: what no leader of ours would say.

use super::*;
use crate::config::peers::{Ensemble, Member, Patience, PeerAddress, Role};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zk_proto::{Epoch, ServerId, Zxid};
use zk_zab::wire::take_message;
use zk_zab::{Message, Notification, PeerState, Vote};

const DEADLINE: Duration = Duration::from_secs(20);
pub(super) const OURS: ServerId = ServerId::new(1);
pub(super) const PLAYED: ServerId = ServerId::new(2);

/// The leader that is played: its election port, which always wins, and its quorum port.
struct Leader {
    _votes: JoinHandle<()>,
    learners: TcpListener,
}

pub(super) fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

pub(super) fn ensemble(me: ServerId, ports: [[u16; 2]; 2]) -> Ensemble {
    let members = [(OURS, ports[0]), (PLAYED, ports[1])].map(|(id, [quorum, election])| {
        let address = PeerAddress {
            host: "127.0.0.1".into(),
            quorum_port: quorum,
            election_port: election,
        };
        let member = Member {
            id,
            role: Role::Participant,
            addresses: vec![address],
            client: None,
        };
        (id, member)
    });
    Ensemble {
        patience: Patience {
            init_limit: 10,
            sync_limit: 5,
            longest_notification: Duration::from_secs(1),
            ..Patience::default()
        },
        ..Ensemble::new(me, members.into())
    }
}

/// Whoever looks for a leader hears that the played one has the better history.
async fn win_every_election(polls: Polls) {
    let (port, mut hearing) = polls;
    while let Some(heard) = hearing.recv().await {
        let election::Heard::Notification { from, notification } = heard else {
            continue;
        };
        let vote = Vote {
            leader: Some(PLAYED),
            zxid: Zxid::first_of(Epoch::new(1000)),
            peer_epoch: Some(Epoch::new(1000)),
            round: notification.vote.round,
        };
        let state = PeerState::Looking;
        let config = notification.config;
        port.send(
            from,
            &Notification {
                state,
                vote,
                config,
            },
        );
    }
}

/// A server on an empty disk, and whom it will follow.
async fn start(dir: &Path, tick: u64) -> (Server, Leader) {
    let ports = [[free_port(), free_port()], [free_port(), free_port()]];
    let polls = open_polls(&ensemble(PLAYED, ports)).await.unwrap();
    let learners = TcpListener::bind(("127.0.0.1", ports[1][0])).await.unwrap();
    let leader = Leader {
        _votes: tokio::spawn(win_every_election(polls)),
        learners,
    };
    let mut config = Config::in_process(dir);
    config.sessions.tick_time = Duration::from_millis(tick);
    config.ensemble = Some(ensemble(OURS, ports));
    let server = Server::start_on(Arc::new(RealFiles), config).await.unwrap();
    (server, leader)
}

/// A connection of the learner.
struct Learner {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Leader {
    async fn accept(&self) -> Learner {
        let accepted = tokio::time::timeout(DEADLINE, self.learners.accept()).await;
        Learner {
            stream: accepted.expect("it comes").unwrap().0,
            buffer: BytesMut::new(),
        }
    }

    /// A learner that has promised an epoch: its last transaction, and the epoch of its history.
    async fn greet(&self, epoch: u32) -> (Learner, Zxid, Option<Epoch>) {
        let mut learner = self.accept().await;
        let info = learner.hear().await.unwrap();
        assert!(matches!(info, Message::FollowerInfo { .. }), "{info}");
        let epoch = Epoch::new(epoch);
        learner.say(Message::LeaderInfo { epoch }).await;
        let promise = learner.hear().await.unwrap();
        let Message::AckEpoch {
            last_zxid,
            current_epoch,
        } = promise
        else {
            panic!("{promise}");
        };
        (learner, last_zxid, current_epoch)
    }
}

impl Learner {
    async fn say(&mut self, message: Message) {
        let mut out = BytesMut::new();
        message.encode(&mut out);
        self.stream.write_all(&out).await.unwrap();
    }

    /// The next message, none at the end.
    async fn hear(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = take_message(&mut self.buffer, 1 << 20).unwrap() {
                return Some(message);
            }
            let read = self.stream.read_buf(&mut self.buffer);
            let read = tokio::time::timeout(DEADLINE, read).await;
            if read.expect("it says something").unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Everything the learner needs of epoch `epoch` behind its history.
    async fn adopt(&mut self, epoch: u32) {
        let (epoch, config) = (Epoch::new(epoch), Bytes::new());
        self.say(Message::NewLeader { epoch, config }).await;
        let zxid = Zxid::first_of(epoch);
        assert_eq!(self.hear().await, Some(Message::Ack { zxid }));
        self.say(Message::UpToDate).await;
        assert_eq!(self.hear().await, Some(Message::Ack { zxid }));
    }
}

fn zxid(epoch: u32, counter: i64) -> Zxid {
    Zxid::from_wire(Zxid::first_of(Epoch::new(epoch)).to_wire() + counter)
}

/// A tree as leaders send it: no sessions, no ACLs, and a root.
fn snapshot() -> Vec<u8> {
    let mut tree = crate::tree::Tree::new(crate::tree::Rules::default());
    let mut bytes = Vec::new();
    tree.begin_image(&mut bytes).unwrap();
    while tree.step_image(100, &mut bytes).unwrap() == crate::tree::ImageProgress::More {}
    bytes.extend_from_slice(&crate::disk::snapshot::SYNC_SIGNATURE);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_cut_its_history_begins_anew_and_asks_for_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let (server, leader) = start(dir.path(), 500).await;
    let (mut learner, last, _) = leader.greet(1).await;
    assert_eq!(last, Zxid::ZERO);
    learner.say(Message::Diff { zxid: last }).await;
    learner.adopt(1).await;
    for counter in 1..=2 {
        let record = crate::disk::testing::transaction(zxid(1, counter).to_wire(), 5);
        let (zxid, payload) = (record.zxid, record.payload);
        learner.say(Message::Proposal { zxid, payload }).await;
        assert_eq!(learner.hear().await, Some(Message::Ack { zxid }));
    }
    drop(learner);

    // No log of its ends there.
    let (mut learner, last, current) = leader.greet(2).await;
    assert_eq!((last, current), (zxid(1, 2), Some(Epoch::new(1))));
    learner.say(Message::Trunc { zxid: zxid(0, 7) }).await;
    assert_eq!(learner.hear().await, None, "it parts");

    let (mut learner, last, current) = leader.greet(3).await;
    assert_eq!(
        (last, current),
        (Zxid::NONE, Some(Epoch::new(1))),
        "what it has is not told; Apache's leaders then count no promise"
    );
    let zxid = zxid(3, 0);
    learner.say(Message::Snap { zxid }).await;
    learner.stream.write_all(&snapshot()).await.unwrap();
    learner.adopt(3).await;
    assert_eq!(server.replica.tree().last_zxid(), zxid);
    drop(learner);
    let (_learner, last, current) = leader.greet(4).await;
    assert_eq!((last, current), (zxid, Some(Epoch::new(3))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_falls_silent_in_its_snapshot_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, leader) = start(dir.path(), 100).await;
    let (mut learner, ..) = leader.greet(1).await;
    learner.say(Message::Snap { zxid: zxid(1, 0) }).await;
    let bytes = snapshot();
    learner
        .stream
        .write_all(&bytes[..bytes.len() / 2])
        .await
        .unwrap();
    let began = Instant::now();
    assert_eq!(learner.hear().await, None, "it does not wait for ever");
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(900), "{waited:?}");
    // What came of it is forgotten (O6).
    let (_learner, last, _) = leader.greet(2).await;
    assert_eq!(last, Zxid::ZERO);
}
