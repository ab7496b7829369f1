//! A member that has lost the others and serves reads alone (`readonlymode.enabled`): who asked for that goes on
//! reading, and writes again when the others are back; who did not waits for them and keeps its session.

#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

#[path = "support/members.rs"]
mod members;
#[path = "support/process.rs"]
mod process;
mod support;

use members::{Id, Kind, Members};
use std::time::Duration;
use zk_client::{Builder, Client, ErrorCode, OnExpiry, State};

const PATIENCE: Duration = Duration::from_secs(30);
/// Two members are an ensemble in which neither can do without the other.
const STAYS: Id = 1;
const LEAVES: Id = 2;

fn pair(lines: &str) -> Members {
    let mut members = Members::plan(&[Kind::Ours; 2], 0);
    members.add_lines(&format!("readonlymode.enabled=true\n{lines}"));
    for id in members.ids() {
        members.launch(id);
    }
    members.wait_until_all_serve();
    members
}

fn builder(members: &Members) -> Builder {
    Client::builder(members.address(STAYS).to_string())
        .session_timeout(Duration::from_secs(30))
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
    for refused in [
        client.set("/a", "never").await.map(drop),
        client.create("/b", "").await.map(drop),
        client.multi().delete("/a", None).await.map(drop),
        client.sync("/a").await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::NotReadOnly), "{refused}");
    }
    assert_eq!(client.get("/a").await.unwrap().0, "before");
}

/// The words of a member that has no leader.
fn is_said_to_read_alone(members: &Members) {
    assert_eq!(members.word(STAYS, "isro").as_deref(), Some("ro"));
    let said = members.word(STAYS, "srvr").unwrap();
    assert!(
        said.contains("\nREAD-ONLY mode; serving only read-only clients\n"),
        "{said}"
    );
    assert!(said.contains("\nMode: read-only\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_alone_is_read_until_the_others_are_back() {
    let mut members = pair("localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n");
    let careless = builder(&members)
        .allow_read_only(true)
        .on_expiry(OnExpiry::Renew);
    let (careless, strict) = tokio::join!(careless.connect(), builder(&members).connect());
    let (careless, strict) = (careless.unwrap(), strict.unwrap());
    careless.create("/a", "before").await.unwrap();
    strict.create("/mine", "").ephemeral().await.unwrap();
    let session = strict.session_id();

    members.kill(LEAVES);
    until(&careless, "a server alone", is_read_only).await;
    is_said_to_read_alone(&members);
    reads_but_does_not_write(&careless).await;
    let late = builder(&members).allow_read_only(true).connect();
    let late = late.await.unwrap();
    assert!(is_read_only(late.state()));
    reads_but_does_not_write(&late).await;
    let passing = builder(&members).allow_read_only(true).connect();
    passing.await.unwrap().close().await;
    assert!(matches!(strict.state(), State::Suspended { .. }));

    members.launch(LEAVES);
    for client in [&careless, &strict, &late] {
        until(client, "an ensemble again", is_read_write).await;
    }
    assert_eq!(members.word(STAYS, "isro").as_deref(), Some("rw"));
    assert_eq!(strict.session_id(), session, "P3: the same session");
    let mine = strict.exists("/mine").await.unwrap().unwrap();
    assert_eq!(Some(mine.ephemeral_owner), session);
    for (client, data) in [(&careless, "1"), (&strict, "2"), (&late, "3")] {
        client.set("/a", data).await.unwrap();
        assert_eq!(client.get("/a").await.unwrap().0, data);
    }
}

/// Whoever holds something by a session of the ensemble must not go on believing that, where others may have it.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_the_ensemble_is_not_continued_alone() {
    let mut members = pair("");
    let holder = builder(&members).allow_read_only(true).connect();
    let holder = holder.await.unwrap();
    holder.create("/held", "").ephemeral().await.unwrap();
    let session = holder.session_id();

    members.kill(LEAVES);
    members.wait_until("it serves reads", |members| {
        members.word(STAYS, "isro").as_deref() == Some("ro")
    });
    let reader = builder(&members).allow_read_only(true).connect();
    let reader = reader.await.unwrap();
    assert!(reader.exists("/held").await.unwrap().is_some());
    assert!(
        matches!(holder.state(), State::Suspended { .. }),
        "P18: {:?}",
        holder.state()
    );

    members.launch(LEAVES);
    until(&holder, "an ensemble again", is_read_write).await;
    assert_eq!(holder.session_id(), session, "P3");
}
