//! Through the fault proxy: every call ends in the right verdict, watches fire or say their gap, a session stays
//! one session until it is truly over.

mod common;

use common::PATIENCE;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake};
use std::time::Duration;
use zk_client::clock::Time;
use zk_client::testkit::{Direction, FaultProxy, TestServer, Which, end_session};
use zk_client::{
    Builder, Client, ErrorKind, EventType, OnExpiry, OnceEvent, Outcome, SessionTicket, State,
    WatchItem,
};
use zk_proto::OpCode;

#[expect(clippy::unwrap_used, reason = "a test's")]
async fn behind_a_proxy() -> (TestServer, FaultProxy) {
    let server = TestServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    (server, proxy)
}

fn builder(proxy: &FaultProxy) -> Builder {
    Client::builder(proxy.address().to_string())
        .session_timeout(Duration::from_secs(2))
        .connect_timeout(Duration::from_secs(1))
        .request_timeout(PATIENCE)
}

#[expect(clippy::unwrap_used, reason = "a test's")]
async fn direct(server: &TestServer) -> Client {
    Client::connect(server.address().to_string()).await.unwrap()
}

fn password(ticket: &SessionTicket) -> [u8; 16] {
    *ticket.password()
}

#[tokio::test]
async fn a_session_survives_its_connections() {
    let (_server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy).connect().await.unwrap();
    let session = client.session_id();
    client.create("/e", "").ephemeral().await.unwrap();
    let mut states = client.states();
    assert!(matches!(
        states.next().await,
        Some(State::Connected { generation: 0, .. })
    ));
    for _ in 0..5 {
        proxy.cut();
        // A read waits for the next connection.
        assert!(client.exists("/e").await.unwrap().is_some());
        let suspended = states.next().await;
        assert!(
            matches!(
                suspended,
                Some(State::Suspended {
                    alive_until: Some(_)
                })
            ),
            "{suspended:?}"
        );
        let connected = states.next().await;
        assert!(
            matches!(connected, Some(State::Connected { session: id, .. }) if Some(id) == session),
            "{connected:?}"
        );
    }
    client.close().await;
    assert_eq!(states.next().await, Some(State::Closed));
    assert_eq!(states.next().await, None);
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_has_an_unknown_end_and_those_behind_it_none() {
    let (server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy)
        .max_in_flight(1, 1 << 20)
        .connect()
        .await
        .unwrap();
    client.create("/a", "").await.unwrap();
    proxy.drop_reply(Which::To(OpCode::SetData));
    let first = client.set("/a", "first").send();
    let second = client.set("/a", "second").send();
    let read = client.get("/a").send();
    let error = first.await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(error.is_retryable());
    assert_eq!(
        (error.path(), error.operation()),
        (Some("/a"), OpCode::SetData)
    );
    let error = second.await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::ConnectionLoss { sent: false });
    let (data, _) = read.await.unwrap();
    assert_eq!(
        &data[..],
        b"first",
        "P9: what was unknown had been done, the rest had not"
    );
    assert_eq!(
        proxy.tally().requests(OpCode::SetData),
        1,
        "nothing was sent twice"
    );
    client.close().await;
    drop(server);
}

#[tokio::test]
async fn a_protected_create_whose_reply_is_lost_leaves_one_node() {
    let (server, proxy) = behind_a_proxy().await;
    let other = direct(&server).await;
    let client = builder(&proxy).connect().await.unwrap();
    client.create("/locks", "").await.unwrap();
    for with_stat in [true, false, true, false, true] {
        let create = client
            .create("/locks/n-", "")
            .protected()
            .sequential()
            .ephemeral();
        let path = if with_stat {
            proxy.drop_reply(Which::To(OpCode::Create2));
            let (path, stat) = create.with_stat().await.unwrap();
            assert_eq!(Some(stat.ephemeral_owner), client.session_id());
            path
        } else {
            proxy.drop_reply(Which::To(OpCode::Create));
            create.await.unwrap()
        };
        let names = other.children("/locks").await.unwrap();
        assert_eq!(names, [path.strip_prefix("/locks/").unwrap()]);
        client.delete(path).await.unwrap();
    }
    assert_eq!(proxy.tally().faults(), 5);
    client.close().await;
    other.close().await;
}

#[tokio::test]
async fn a_protected_create_is_one_request_when_nothing_goes_wrong() {
    let (_server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy).connect().await.unwrap();
    let path = client.create("/a-", "").protected().await.unwrap();
    let create = client.create("/b-", "data").protected().ephemeral();
    let (_, stat) = create.with_stat().await.unwrap();
    assert_eq!(stat.data_length, 4);
    let tally = proxy.tally();
    let asked = [OpCode::Create, OpCode::Create2, OpCode::Exists].map(|op| tally.requests(op));
    assert_eq!(asked, [1, 1, 0], "the stat is in the reply");
    assert!(client.exists(path).await.unwrap().is_some());
    client.close().await;
}

#[tokio::test]
async fn watches_tell_what_was_missed_or_that_something_may_have_been() {
    let (server, proxy) = behind_a_proxy().await;
    let other = direct(&server).await;
    let client = builder(&proxy).connect().await.unwrap();
    for path in ["/data", "/kids", "/same"] {
        client.create(path, "").await.unwrap();
    }
    let (_, data) = client.get("/data").watch().await.unwrap();
    let (_, kids) = client.children("/kids").watch().await.unwrap();
    let (_, born) = client.exists("/born").watch().await.unwrap();
    let (_, same) = client.get("/same").watch().await.unwrap();
    let mut lasting = client.watch("/data").await.unwrap();
    let mut recursive = client.watch_recursive("/").await.unwrap();
    let since = client.last_zxid();
    proxy.refuse().await;
    proxy.cut();
    other.set("/data", "new").await.unwrap();
    other.create("/kids/kid", "").await.unwrap();
    other.create("/born", "").await.unwrap();
    proxy.accept().await;
    for (watcher, kind) in [
        (data, EventType::DataChanged),
        (kids, EventType::ChildrenChanged),
        (born, EventType::Created),
    ] {
        let heard = tokio::time::timeout(PATIENCE, watcher.changed())
            .await
            .unwrap();
        assert!(
            matches!(&heard, OnceEvent::Fired(event) if event.kind == kind),
            "{heard:?}"
        );
    }
    // The catch-up of the one-shot watch on the same node reaches the lasting one as well.
    loop {
        match lasting.next().await {
            Some(WatchItem::Event(_)) => {}
            Some(WatchItem::Gap { since: told }) => break assert_eq!(told, since),
            other => panic!("{other:?}"),
        }
    }
    let events = async {
        while !matches!(recursive.next().await, Some(WatchItem::Gap { .. })) {}
        other.set("/same", "1").await.unwrap();
        recursive.next().await
    };
    let after = tokio::time::timeout(PATIENCE, events).await.unwrap();
    assert!(
        matches!(&after, Some(WatchItem::Event(event)) if event.path == "/same"),
        "complete again: {after:?}"
    );
    assert!(
        matches!(same.changed().await, OnceEvent::Fired(_)),
        "P12: it was armed again"
    );
    client.close().await;
    other.close().await;
}

#[tokio::test]
async fn without_a_change_there_is_no_gap() {
    let (_server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy).connect().await.unwrap();
    client.create("/a", "").await.unwrap();
    let mut watch = client.watch("/a").await.unwrap();
    client.sync("/").await.unwrap();
    proxy.cut();
    client.exists("/a").await.unwrap();
    client.set("/a", "after").await.unwrap();
    let item = watch.next().await;
    assert!(matches!(&item, Some(WatchItem::Event(_))), "{item:?}");
    client.close().await;
}

#[tokio::test]
async fn many_watches_are_armed_again_in_parts() {
    let (server, proxy) = behind_a_proxy().await;
    let other = direct(&server).await;
    let client = builder(&proxy).connect().await.unwrap();
    let name = |i: usize| format!("/{i:0>200}");
    let mut watchers = Vec::new();
    for i in 0..2_000 {
        watchers.push(client.exists(name(i)).watch());
    }
    let mut armed = Vec::new();
    for watcher in watchers {
        armed.push(watcher.await.unwrap().1);
    }
    proxy.record();
    proxy.cut();
    client.exists("/").await.unwrap();
    let record = proxy.take_record();
    let sizes: Vec<_> = record
        .iter()
        .filter(|it| it.direction == Direction::ToServer)
        .map(|it| it.bytes.len())
        .collect();
    assert!(
        sizes.iter().all(|len| *len <= (128 << 10) + 100),
        "{sizes:?}"
    );
    assert!(proxy.tally().requests(OpCode::SetWatches) >= 4);
    for i in [0, 999, 1_999] {
        other.create(name(i), "").await.unwrap();
    }
    for watcher in [
        armed.pop().unwrap(),
        armed.swap_remove(999),
        armed.swap_remove(0),
    ] {
        assert!(matches!(watcher.changed().await, OnceEvent::Fired(_)));
    }
    client.close().await;
    other.close().await;
}

#[tokio::test]
async fn identities_are_proved_again_before_all_else() {
    let (_server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy)
        .auth("digest", "ann:secret")
        .connect()
        .await
        .unwrap();
    let mine = vec![zk_client::Acl::new(zk_client::Perms::ALL, "auth", "")];
    client.create("/mine", "").acl(mine).await.unwrap();
    proxy.cut();
    client.get("/mine").await.unwrap();
    let error = client.add_auth("nonsense", "x").await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::AuthFailed);
    client.get("/mine").await.unwrap();
    client.close().await;
}

#[tokio::test]
async fn an_expired_session_is_told_and_the_client_ends() {
    let (server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy).connect().await.unwrap();
    let (_, watcher) = client.exists("/a").watch().await.unwrap();
    let mut states = client.states();
    let ticket = client.ticket().unwrap();
    end_session(server.address(), ticket.id(), password(&ticket))
        .await
        .unwrap();
    let mut seen = Vec::new();
    while let Some(state) = states.next().await {
        seen.push(state);
    }
    assert!(seen.contains(&State::Lost { generation: 0 }), "{seen:?}");
    assert_eq!(seen.last(), Some(&State::Closed));
    assert_eq!(watcher.changed().await, OnceEvent::Lost);
    let error = client.get("/a").await.unwrap_err();
    let session = ticket.id();
    assert_eq!(
        error.kind(),
        &ErrorKind::SessionExpired {
            session,
            sent: false
        }
    );
    assert_eq!(client.ticket(), None);
}

#[tokio::test]
async fn an_expired_session_is_followed_by_another_if_the_policy_says_so() {
    let (server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy)
        .on_expiry(OnExpiry::Renew)
        .connect()
        .await
        .unwrap();
    let ticket = client.ticket().unwrap();
    let mut watch = client.watch("/a").await.unwrap();
    let mut states = client.states();
    end_session(server.address(), ticket.id(), password(&ticket))
        .await
        .unwrap();
    assert_eq!(watch.next().await, Some(WatchItem::Lost));
    loop {
        if let Some(State::Connected {
            generation: 1,
            session,
            ..
        }) = states.next().await
        {
            assert_ne!(session, ticket.id());
            break;
        }
    }
    client.create("/e", "").ephemeral().await.unwrap();
    client.close().await;
}

#[tokio::test]
async fn a_session_is_resumed_with_its_ticket_and_never_another() {
    let (server, proxy) = behind_a_proxy().await;
    let first = builder(&proxy).connect().await.unwrap();
    let session = first.session_id();
    first.create("/e", "").ephemeral().await.unwrap();
    let ticket = first.detach().await.unwrap();
    let ticket = SessionTicket::from_bytes(&ticket.to_bytes()).unwrap();
    let second = builder(&proxy)
        .resume(ticket.clone())
        .connect()
        .await
        .unwrap();
    assert_eq!(second.session_id(), session);
    let stat = second.exists("/e").await.unwrap().unwrap();
    assert_eq!(Some(stat.ephemeral_owner), session);
    second.close().await;
    let other = direct(&server).await;
    assert_eq!(other.exists("/e").await.unwrap(), None);
    other.close().await;
    let over = builder(&proxy).resume(ticket).connect().await;
    assert_eq!(over.unwrap_err(), zk_client::ConnectError::NoSession);
}

#[tokio::test]
async fn a_call_ends_with_its_time_and_says_whether_it_was_sent() {
    let (_server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy).connect().await.unwrap();
    client.create("/a", "").await.unwrap();
    proxy.stall(Direction::ToServer);
    let short = Duration::from_millis(50);
    let error = client.set("/a", "1").timeout(short).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Timeout { sent: true });
    assert_eq!(error.path(), Some("/a"));
    proxy.refuse().await;
    proxy.cut();
    let mut states = client.states();
    while !matches!(states.next().await, Some(State::Suspended { .. })) {}
    let error = client.set("/a", "2").timeout(short).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Timeout { sent: false });
    proxy.resume(Direction::ToServer);
    proxy.accept().await;
    client.get("/a").await.unwrap();
    assert_eq!(client.pending(), 0, "no slot is left");
    client.close().await;
}

#[tokio::test]
async fn a_server_that_is_silent_is_left_within_the_timeout() {
    let (_server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy).connect().await.unwrap();
    let session = client.session_id();
    let began = std::time::Instant::now();
    proxy.lose();
    let mut states = client.states();
    while !matches!(states.next().await, Some(State::Suspended { .. })) {}
    assert!(
        began.elapsed() < client.session_timeout(),
        "P18: suspended before anyone is told"
    );
    client.exists("/").await.unwrap();
    assert_eq!(client.session_id(), session);
    client.close().await;
}

#[tokio::test]
async fn the_deadline_moves_with_what_the_leader_acknowledged_alone() {
    let (_server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy).connect().await.unwrap();
    let at_first = client.alive_until().unwrap();
    client.exists("/").await.unwrap();
    assert_eq!(
        client.alive_until().unwrap(),
        at_first,
        "a read proves nothing"
    );
    let before = client.clock().now();
    client.sync("/").await.unwrap();
    let until = client.alive_until().unwrap();
    assert!(until > at_first);
    let margin = client.session_timeout() / 3;
    assert!(until >= before + (client.session_timeout() - margin));
    assert!(until <= client.clock().now() + (client.session_timeout() - margin));
    client.close().await;
}

/// What a client says of itself in the moment in which a call is answered.
struct AtTheAnswer {
    client: Client,
    seen: Mutex<Option<(Option<Time>, usize)>>,
}

impl Wake for AtTheAnswer {
    #[expect(clippy::unwrap_used, reason = "a test's")]
    fn wake(self: Arc<Self>) {
        let seen = (self.client.alive_until(), self.client.pending());
        *self.seen.lock().unwrap() = Some(seen);
    }
}

#[tokio::test]
async fn whoever_sees_an_answer_sees_the_deadline_it_moved_and_the_room_it_left() {
    let (_server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy).connect().await.unwrap();
    let at_first = client.alive_until();
    let answer = Arc::new(AtTheAnswer {
        client: client.clone(),
        seen: Mutex::new(None),
    });
    let mut sync = client.sync("/").send();
    let waker = Arc::clone(&answer).into();
    let polled = Pin::new(&mut sync).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending(), "nothing was written yet");
    client.exists("/").await.unwrap();
    let (until, pending) = answer.seen.lock().unwrap().unwrap();
    assert!(until > at_first, "{until:?} is not behind {at_first:?}");
    assert_eq!(pending, 1, "the other call alone");
    sync.await.unwrap();
    client.close().await;
}

#[tokio::test]
async fn a_client_that_gives_up_says_so_by_its_own_clock() {
    let (_server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy)
        .give_up_after(Duration::from_millis(300))
        .connect()
        .await
        .unwrap();
    let read = client.get("/never").send();
    read.await.unwrap_err();
    proxy.refuse().await;
    proxy.cut();
    let error = client.get("/a").timeout(None).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::SessionExpired { .. }),
        "{error:?}"
    );
    assert_eq!(client.state(), State::Closed);
}

#[tokio::test]
async fn too_many_calls_are_refused_and_room_is_told() {
    let (_server, proxy) = behind_a_proxy().await;
    let client = builder(&proxy)
        .max_pending(100, 1 << 20)
        .connect()
        .await
        .unwrap();
    proxy.stall(Direction::ToServer);
    let calls: Vec<_> = (0..150).map(|_| client.exists("/").send()).collect();
    let mut refused = BTreeSet::new();
    proxy.resume(Direction::ToServer);
    for (i, call) in calls.into_iter().enumerate() {
        if let Err(error) = call.await {
            assert_eq!(error.kind(), &ErrorKind::Overloaded);
            refused.insert(i);
        }
    }
    assert_eq!(
        refused,
        (100..150).collect(),
        "the first hundred have their places"
    );
    client.room().await;
    client.exists("/").await.unwrap();
    client.close().await;
}

#[tokio::test]
async fn the_last_handle_takes_the_session_along() {
    let (server, proxy) = behind_a_proxy().await;
    let other = direct(&server).await;
    let client = builder(&proxy).connect().await.unwrap();
    client.create("/e", "").ephemeral().await.unwrap();
    let (_, gone) = other.exists("/e").watch().await.unwrap();
    drop(client);
    let heard = tokio::time::timeout(Duration::from_secs(1), gone.changed()).await;
    assert!(
        matches!(heard, Ok(OnceEvent::Fired(_))),
        "without waiting for the timeout"
    );
    other.close().await;
}
