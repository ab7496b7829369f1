//! Whatever comes on a leader's quorum port, before and after a word that makes sense: the worst that happens is
//! that this connection is closed (H1), nothing is kept for what was only announced (H2, H3), and who leads goes
//! on to lead (P37).

use super::led::{OURS, PLAYED, ensemble, free_port};
use super::*;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_proto::{Epoch, ServerId, Zxid};
use zk_zab::{LearnerInfo, Message, Touch};

const SOON: Duration = Duration::from_secs(10);

/// Two servers; which of them leads, and its quorum port.
async fn pair(dirs: [&Path; 2]) -> ([Server; 2], usize, u16) {
    let ports = [[free_port(), free_port()], [free_port(), free_port()]];
    let start = async |dir: &Path, me| {
        let mut config = Config::in_process(dir);
        config.sessions.tick_time = Duration::from_millis(500);
        config.ensemble = Some(ensemble(me, ports));
        Server::start_on(Arc::new(RealFiles), config).await.unwrap()
    };
    let servers = [start(dirs[0], OURS).await, start(dirs[1], PLAYED).await];
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < SOON, "somebody leads");
        if let Some(leader) = servers.iter().position(leads) {
            return (servers, leader, ports[leader][0]);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn leads(server: &Server) -> bool {
    matches!(server.replica.rank(), crate::replica::Rank::Leader { .. })
}

fn greeting(number: i64) -> Message {
    Message::FollowerInfo {
        accepted_epoch: Epoch::new(1),
        learner: LearnerInfo {
            server: ServerId::new(number),
            config_version: Zxid::ZERO,
        },
    }
}

fn encoded(messages: &[Message]) -> BytesMut {
    let mut out = BytesMut::new();
    messages.iter().for_each(|message| message.encode(&mut out));
    out
}

/// Says that, and waits for the end of the connection. How many bytes came back before.
async fn say(port: u16, bytes: &[u8], then_close: bool) -> usize {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // It may be closed before all of it is written.
    let _closed = stream.write_all(bytes).await;
    if then_close {
        let _closed = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
    let _reset = ended.expect("the connection ends");
    answer.len()
}

/// A number after the other, the same in every run.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    *seed >> 33
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bytes_of_a_stranger_harm_a_leader() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (servers, leader, port) = pair([dirs[0].path(), dirs[1].path()]).await;
    let number = |field: i32| field.to_be_bytes();
    let head = |kind: i32, len: i32| [&number(kind)[..], &[0; 8], &number(len)[..]].concat();

    // What is refused before any more of it has come.
    for (kind, len) in [(2, i32::MAX), (11, i32::MAX), (11, -2), (11, i32::MIN)] {
        assert_eq!(say(port, &head(kind, len), false).await, 0, "{kind} {len}");
    }
    let counts = [&head(11, 0)[..], &number(i32::MAX)].concat();
    assert_eq!(
        say(port, &counts, false).await,
        0,
        "a count is believed (H2)"
    );
    let unknown = [&head(99, -1)[..], &number(-1)].concat();
    assert_eq!(say(port, &unknown, false).await, 0);

    // A first word that is none.
    for first in [
        Message::UpToDate,
        Message::Sync,
        Message::Ping { zxid: Zxid::ZERO },
    ] {
        assert_eq!(say(port, &encoded(&[first]), false).await, 0);
    }
    // Itself, and epochs beyond all epochs.
    let me = [OURS, PLAYED][leader];
    assert_eq!(
        say(port, &encoded(&[greeting(me.number())]), false).await,
        0
    );

    // Out of place behind a valid one: the leader asks for a promise, and hears something else.
    let session = zk_proto::SessionId::from_wire(1);
    let zxid = Zxid::from_wire(5);
    let out_of_place = [
        Message::Ack { zxid },
        Message::Commit { zxid },
        Message::Pong {
            zxid,
            touched: Vec::new(),
        },
        Message::Revalidate(Touch {
            session,
            timeout: 1,
        }),
        greeting(9),
    ];
    for second in out_of_place {
        let answered = say(port, &encoded(&[greeting(9), second.clone()]), false).await;
        assert!(answered > 0, "it was asked before {second}");
    }
    let half = encoded(&[greeting(9)]);
    for len in 0..half.len() {
        say(port, &half[..len], true).await;
    }

    noise(port).await;
    assert!(leads(&servers[leader]), "(P37)");
    assert_ne!(
        servers[1 - leader].replica.rank(),
        crate::replica::Rank::Nobody
    );
}

/// Anything at all, before and behind a greeting.
async fn noise(port: u16) {
    let mut seed = 1;
    for round in 0..60 {
        let len = usize::try_from(random(&mut seed) % 3000).unwrap();
        let noise = (0..len).map(|_| random(&mut seed).to_be_bytes()[7]);
        let mut bytes = if round % 2 == 0 {
            BytesMut::new()
        } else {
            encoded(&[greeting(9)])
        };
        bytes.extend(noise);
        if round % 3 == 0 && bytes.len() > 4 {
            // A type that exists, so that more than the first word is looked at.
            let at = bytes.len() - len;
            let kind = i32::try_from(1 + random(&mut seed) % 19).unwrap();
            if len >= 4 {
                bytes[at..at + 4].copy_from_slice(&kind.to_be_bytes());
            }
        }
        say(port, &bytes, true).await;
    }
}
