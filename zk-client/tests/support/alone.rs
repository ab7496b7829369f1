//! One of two members loses the other and serves reads alone: who asked for that goes on reading, and writes again when
//! the other is back; who did not waits for it and keeps its session.

use std::net::SocketAddr;
use std::time::Duration;
use zk_client::{Builder, Client, ErrorCode, OnExpiry, Outcome, State};

/// An election, with all of Java's pauses, and a JVM that starts meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn builder(server: SocketAddr) -> Builder {
    Client::builder(server.to_string())
        .session_timeout(Duration::from_secs(40))
        .connect_timeout(Duration::from_secs(2))
        .opening_timeout(PATIENCE)
        .request_timeout(PATIENCE)
}

pub(crate) async fn until(client: &Client, what: &str, holds: impl Fn(State) -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds(client.state()) {
        let state = client.state();
        assert!(tokio::time::Instant::now() < deadline, "{what}: {state:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn is_read_only(state: State) -> bool {
    matches!(state, State::Connected { read_only, .. } if read_only)
}

pub(crate) fn is_read_write(state: State) -> bool {
    matches!(state, State::Connected { read_only, .. } if !read_only)
}

async fn reads_but_does_not_write(client: &Client) {
    assert_eq!(client.get("/a").await.unwrap().0, "before");
    let mut names = client.children("/").await.unwrap();
    names.sort();
    assert_eq!(names, ["a", "mine", "zookeeper"]);
    for refused in [
        client.set("/a", "never").await.map(drop),
        client.create("/b", "").await.map(drop),
        client.multi().delete("/a", None).await.map(drop),
        client.sync("/a").await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::NotReadOnly), "{refused}");
        assert_eq!(refused.outcome(), Outcome::NotApplied, "{refused}");
        assert!(refused.is_retryable(), "{refused}");
    }
    assert_eq!(client.get("/a").await.unwrap().0, "before");
}

/// The story; `lose` and `find` are about the other member, `alone` is what else is to be seen meanwhile. Sessions are
/// local until they hold something.
pub(crate) async fn loses_and_finds_the_other(
    server: SocketAddr,
    lose: impl FnOnce(),
    alone: impl FnOnce(),
    find: impl FnOnce(),
) {
    let careless = builder(server)
        .allow_read_only(true)
        .on_expiry(OnExpiry::Renew);
    let (careless, strict) = tokio::join!(careless.connect(), builder(server).connect());
    let (careless, strict) = (careless.unwrap(), strict.unwrap());
    until(&careless, "an ensemble", is_read_write).await;
    careless.create("/a", "before").await.unwrap();
    // The ephemeral node makes its session one of the ensemble's.
    strict.create("/mine", "").ephemeral().await.unwrap();
    let session = strict.session_id();

    lose();
    until(&careless, "a server alone", is_read_only).await;
    alone();
    reads_but_does_not_write(&careless).await;
    let late = builder(server).allow_read_only(true).connect();
    let late = late.await.unwrap();
    assert!(is_read_only(late.state()));
    reads_but_does_not_write(&late).await;
    let passing = builder(server).allow_read_only(true).connect();
    passing.await.unwrap().close().await;
    assert!(matches!(strict.state(), State::Suspended { .. }));

    find();
    for client in [&careless, &strict, &late] {
        until(client, "an ensemble again", is_read_write).await;
    }
    assert_eq!(strict.session_id(), session, "P3: the same session");
    let mine = strict.exists("/mine").await.unwrap().unwrap();
    assert_eq!(Some(mine.ephemeral_owner), session);
    for (client, data) in [(&careless, "1"), (&strict, "2"), (&late, "3")] {
        client.set("/a", data).await.unwrap();
        assert_eq!(client.get("/a").await.unwrap().0, data);
    }
    for client in [careless, strict, late] {
        client.close().await;
    }
}
