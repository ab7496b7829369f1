//! The test kit, tested: every fault the proxy promises is made, exactly and once, between a bare connection and
//! a server in this process.
#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

use std::time::Duration;
use zk_client::testkit::{
    Direction, FaultProxy, Kind, TestServer, Which, Wire, WireError, end_session,
};
use zk_proto::{Acl, OpCode, Perms, Reply, Request, WireAcl};

fn create(path: &str) -> Request<'_> {
    Request::Create(zk_proto::Create {
        op: OpCode::Create,
        path: path.into(),
        data: Some(b"data"),
        acl: Some(vec![WireAcl::from(Acl::world(Perms::ALL))]),
        flags: 0,
        ttl: -1,
    })
}

fn get(path: &str) -> Request<'_> {
    Request::GetData {
        path: path.into(),
        watch: false,
    }
}

async fn kit() -> (TestServer, FaultProxy) {
    let server = TestServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    (server, proxy)
}

/// Whether the server holds a node, asked beside the proxy.
async fn holds(server: &TestServer, path: &str) -> bool {
    let (mut wire, _) = Wire::open(server.address()).await.unwrap();
    wire.call(&get(path)).await.is_ok()
}

fn broken(verdict: Result<Reply, WireError>) {
    assert!(matches!(verdict, Err(WireError::Io(_))), "{verdict:?}");
}

#[tokio::test]
async fn without_faults_everything_passes_and_is_counted() {
    let (_server, proxy) = kit().await;
    proxy.record();
    let (mut wire, _) = Wire::open(proxy.address()).await.unwrap();
    wire.call(&create("/a")).await.unwrap();
    wire.call(&get("/a")).await.unwrap();
    let tally = proxy.tally();
    assert_eq!(
        (tally.connections(), tally.open(), tally.faults()),
        (1, 1, 0)
    );
    assert_eq!(
        (
            tally.requests(OpCode::Create),
            tally.replies(OpCode::GetData)
        ),
        (1, 1)
    );
    let record = proxy.take_record();
    let kinds: Vec<_> = record
        .iter()
        .map(|passed| passed.kind.to_string())
        .collect();
    assert_eq!(
        kinds,
        [
            "connect", "connect", "create", "create", "getData", "getData"
        ]
    );
    let to_server: usize = record
        .iter()
        .filter(|passed| passed.direction == Direction::ToServer)
        .map(|passed| passed.bytes.len())
        .sum();
    assert_eq!(tally.bytes(Direction::ToServer), to_server as u64);
    assert!(proxy.take_record().is_empty(), "the record has ended");
    drop(wire);
    proxy
        .until("the connection to end", |tally| tally.open() == 0)
        .await;
}

#[tokio::test]
async fn a_cut_at_a_byte_is_at_that_byte_and_happens_once() {
    let (server, proxy) = kit().await;
    proxy.record();
    let (mut wire, _) = Wire::open(proxy.address()).await.unwrap();
    wire.call(&create("/a")).await.unwrap();
    let sent = proxy
        .take_record()
        .iter()
        .map(|passed| (passed.direction, passed.bytes.len()))
        .fold((0, 0), |(to, from), (direction, len)| match direction {
            Direction::ToServer => (to + len, from),
            Direction::ToClient => (to, from + len),
        });
    // Of a handshake of 49 bytes and a request, the whole but one byte passes: nothing is created.
    let one_short = sent.0 as u64 - 1;
    proxy.cut_after(Direction::ToServer, one_short);
    let (mut wire, _) = Wire::open(proxy.address()).await.unwrap();
    broken(wire.call(&create("/b")).await);
    assert_eq!(
        (proxy.tally().faults(), holds(&server, "/b").await),
        (1, false)
    );
    // Of the replies the whole but one byte passes: it is created, and the client cannot know.
    proxy.cut_after(Direction::ToClient, sent.1 as u64 - 1);
    let (mut wire, _) = Wire::open(proxy.address()).await.unwrap();
    broken(wire.call(&create("/c")).await);
    assert_eq!(
        (proxy.tally().faults(), holds(&server, "/c").await),
        (2, true)
    );
    let (mut wire, _) = Wire::open(proxy.address()).await.unwrap();
    wire.call(&create("/d")).await.unwrap();
}

#[tokio::test]
async fn one_reply_is_lost_by_its_operation_by_its_number_or_by_its_place() {
    let (server, proxy) = kit().await;
    let ways = [
        Which::To(OpCode::Create),
        Which::Xid(zk_proto::Xid(2)),
        // Behind the handshake's reply and that to the read.
        Which::After(2),
    ];
    for (which, path) in ways.into_iter().zip(["/a", "/b", "/c"]) {
        proxy.drop_reply(which);
        let (mut wire, _) = Wire::open(proxy.address()).await.unwrap();
        wire.call(&get("/")).await.unwrap();
        broken(wire.call(&create(path)).await);
        assert!(holds(&server, path).await, "the server has done it");
    }
    let tally = proxy.tally();
    assert_eq!((tally.faults(), tally.requests(OpCode::Create)), (3, 3));
    assert_eq!(tally.replies(OpCode::Create), 0);
}

#[tokio::test]
async fn a_stalled_direction_holds_back_and_lets_go_in_order() {
    let (server, proxy) = kit().await;
    let (mut wire, _) = Wire::open(proxy.address()).await.unwrap();
    proxy.stall(Direction::ToClient);
    for path in ["/a", "/b"] {
        wire.send(&create(path)).await.unwrap();
    }
    let reply = Kind::Op(OpCode::Create);
    proxy
        .until("two replies to be held", |tally| {
            tally.arrived(Direction::ToClient, reply) == 2
        })
        .await;
    assert_eq!(proxy.tally().replies(OpCode::Create), 0);
    assert!(holds(&server, "/b").await);
    proxy.resume(Direction::ToClient);
    wire.call(&get("/b")).await.unwrap();
    assert_eq!(proxy.tally().replies(OpCode::Create), 2);

    // What is held when the cut comes is lost.
    proxy.stall(Direction::ToServer);
    wire.send(&create("/c")).await.unwrap();
    proxy
        .until("a request to be held", |tally| {
            tally.arrived(Direction::ToServer, reply) == 3
        })
        .await;
    proxy.cut();
    proxy.until("the end", |tally| tally.open() == 0).await;
    proxy.resume(Direction::ToServer);
    assert!(!holds(&server, "/c").await);
}

#[tokio::test]
async fn a_lost_connection_tells_neither_side() {
    let (server, proxy) = kit().await;
    let (mut lost, _) = Wire::open(proxy.address()).await.unwrap();
    proxy.lose();
    lost.send(&create("/lost")).await.unwrap();
    let (mut good, _) = Wire::open(proxy.address()).await.unwrap();
    good.call(&create("/good")).await.unwrap();
    assert!(!holds(&server, "/lost").await);
    drop(lost);
    good.call(&get("/good")).await.unwrap();
    assert_eq!(
        proxy.tally().open(),
        2,
        "the server's side has not heard of the end"
    );
    proxy.cut();
    proxy
        .until("the end of both", |tally| tally.open() == 0)
        .await;
}

#[tokio::test]
async fn delays_keep_order() {
    let (_server, proxy) = kit().await;
    proxy.delay(Direction::ToServer, Duration::from_millis(30));
    let begin = std::time::Instant::now();
    let (mut wire, _) = Wire::open(proxy.address()).await.unwrap();
    wire.send(&create("/a")).await.unwrap();
    wire.call(&get("/a")).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_closed_door_refuses_and_opens_again_on_the_same_port() {
    let (_server, proxy) = kit().await;
    let (mut inside, _) = Wire::open(proxy.address()).await.unwrap();
    proxy.refuse().await;
    let error = Wire::open(proxy.address()).await.unwrap_err();
    assert!(
        matches!(&error, WireError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused),
        "{error}"
    );
    inside.call(&create("/a")).await.unwrap();
    proxy.accept().await;
    Wire::open(proxy.address()).await.unwrap();
}

#[tokio::test]
async fn a_server_comes_back_on_its_port_with_its_data_and_sessions() {
    let mut server = TestServer::start().await.unwrap();
    let (mut wire, session) = Wire::open(server.address()).await.unwrap();
    wire.call(&create("/kept")).await.unwrap();
    server.stop().await.unwrap();
    broken(wire.call(&get("/kept")).await);
    assert!(Wire::open(server.address()).await.is_err());
    server.restart().await.unwrap();
    let mut wire = Wire::resume(server.address(), session.session, session.password)
        .await
        .unwrap();
    wire.call(&get("/kept")).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_when_the_test_says_so() {
    let (server, proxy) = kit().await;
    let (mut wire, session) = Wire::open(proxy.address()).await.unwrap();
    let Request::Create(mut ephemeral) = create("/mine") else {
        panic!("it is a create");
    };
    ephemeral.flags = 1;
    wire.call(&Request::Create(ephemeral)).await.unwrap();
    end_session(server.address(), session.session, session.password)
        .await
        .unwrap();
    assert!(!holds(&server, "/mine").await);
    broken(wire.call(&get("/")).await);
    let again = end_session(server.address(), session.session, session.password).await;
    let text = again.unwrap_err().to_string();
    assert!(
        text.ends_with("the server does not know the session, or not with this password"),
        "{text}"
    );
}
