//! A member that has lost the others and serves reads alone (`readonlymode.enabled`): who asked for that goes on
//! reading, and writes again when the others are back; who did not waits for them and keeps its session.

#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

#[path = "../zk-client/tests/support/alone.rs"]
mod alone;
#[path = "support/members.rs"]
mod members;
#[path = "support/process.rs"]
mod process;
mod support;

use alone::{builder, is_read_write, until};
use members::{Id, Kind, Members};
use std::cell::RefCell;
use zk_client::State;

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
    let members = pair("localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n");
    let server = members.address(STAYS);
    let members = RefCell::new(members);
    let lose = || members.borrow_mut().kill(LEAVES);
    let alone = || is_said_to_read_alone(&members.borrow());
    let find = || members.borrow_mut().launch(LEAVES);
    alone::loses_and_finds_the_other(server, lose, alone, find).await;
    let members = members.into_inner();
    assert_eq!(members.word(STAYS, "isro").as_deref(), Some("rw"));
}

/// Whoever holds something by a session of the ensemble must not go on believing that, where others may have it.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_the_ensemble_is_not_continued_alone() {
    let mut members = pair("");
    let holder = builder(members.address(STAYS))
        .allow_read_only(true)
        .connect();
    let holder = holder.await.unwrap();
    holder.create("/held", "").ephemeral().await.unwrap();
    let session = holder.session_id();

    members.kill(LEAVES);
    members.wait_until("it serves reads", |members| {
        members.word(STAYS, "isro").as_deref() == Some("ro")
    });
    let reader = builder(members.address(STAYS))
        .allow_read_only(true)
        .connect();
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
