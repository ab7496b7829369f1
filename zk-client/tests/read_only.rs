//! A member of Apache's ensemble that has lost the others and serves reads alone: who asked for that goes on reading,
//! and writes again when the others are back; who did not waits for them and keeps its session.
//!
//! Such a server knows no sessions but its own, local ones, and none at all unless `localSessionsEnabled`: one that an
//! ensemble opened is either over for it (a local one) or turned away without a word (one that was upgraded).
#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

#[path = "support/apache.rs"]
#[expect(dead_code, reason = "what the tests of security need")]
mod apache;

use apache::{Apache, Running};
use std::net::SocketAddr;
use std::time::Duration;
use zk_client::{Builder, Client, ErrorCode, OnExpiry, Outcome, State};

/// An election, with all of Java's pauses, and a JVM that starts meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two members are an ensemble in which neither can do without the other.
struct Pair<'a> {
    apache: &'a Apache,
    lines: String,
}

impl<'a> Pair<'a> {
    fn new(apache: &'a Apache) -> Self {
        let mut lines = "initLimit=20\nsyncLimit=10\nmaxSessionTimeout=60000\n\
                         localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n"
            .to_owned();
        for id in 1..=2 {
            let (quorum, election) = apache::two_free_addresses();
            let ports = format!("127.0.0.1:{}:{}", quorum.port(), election.port());
            lines += &format!("server.{id}={ports}\n");
        }
        Self { apache, lines }
    }

    fn member(&self, id: u32) -> Running {
        let files = [
            ("data/myid", format!("{id}\n")),
            ("jaas.conf", String::new()),
        ];
        self.apache.launch(&self.lines, &files)
    }
}

fn builder(server: SocketAddr) -> Builder {
    Client::builder(server.to_string())
        .session_timeout(Duration::from_secs(40))
        .connect_timeout(Duration::from_secs(2))
        .opening_timeout(PATIENCE)
        .request_timeout(PATIENCE)
}

async fn until(client: &Client, what: &str, holds: impl Fn(State) -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds(client.state()) {
        let state = client.state();
        assert!(tokio::time::Instant::now() < deadline, "{what}: {state:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_read_only(state: State) -> bool {
    matches!(state, State::Connected { read_only, .. } if read_only)
}

fn is_read_write(state: State) -> bool {
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
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::NotReadOnly), "{refused}");
        assert_eq!(refused.outcome(), Outcome::NotApplied, "{refused}");
        assert!(refused.is_retryable(), "{refused}");
    }
}

async fn loses_and_finds_the_others(apache: &Apache) {
    let pair = Pair::new(apache);
    let (one, other) = (pair.member(1), pair.member(2));
    let careless = builder(one.plain)
        .allow_read_only(true)
        .on_expiry(OnExpiry::Renew);
    let (careless, strict) = tokio::join!(careless.connect(), builder(one.plain).connect());
    let (careless, strict) = (careless.unwrap(), strict.unwrap());
    until(&careless, "an ensemble", is_read_write).await;
    careless.create("/a", "before").await.unwrap();
    // The ephemeral node makes its session one of the ensemble's.
    strict.create("/mine", "").ephemeral().await.unwrap();
    let session = strict.session_id();

    drop(other);
    until(&careless, "a server alone", is_read_only).await;
    reads_but_does_not_write(&careless).await;
    let late = builder(one.plain).allow_read_only(true).connect();
    let late = late.await.unwrap();
    assert!(is_read_only(late.state()));
    reads_but_does_not_write(&late).await;
    assert!(matches!(strict.state(), State::Suspended { .. }));

    let _other = pair.member(2);
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

#[tokio::test]
async fn apaches_servers_are_read_while_they_are_alone() {
    for apache in apache::versions("read-only servers") {
        loses_and_finds_the_others(&apache).await;
        println!("{}: read-only", apache.name);
    }
}
