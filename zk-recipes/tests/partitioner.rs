//! Partitions: never two owners, everything owned by somebody, and nothing moves that need not.
#![expect(clippy::unwrap_used, reason = "a test's")]

mod common;

use common::{client, expire, server, soon, until};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use zk_client::Client;
use zk_recipes::{Error, Loss, Partitioner};

const DIRECTORY: &str = "/mail";
const PARTITIONS: u32 = 12;

/// Who owns which partition, by number.
type Owners = Arc<Mutex<BTreeMap<u32, String>>>;

/// Joins, and works on whatever it gets until it is over; leaves when it is told to.
fn work(one: &Client, id: &str, owners: &Owners) -> oneshot::Sender<()> {
    let mut mine = Partitioner::new(one, DIRECTORY, PARTITIONS, id)
        .unwrap()
        .join();
    let (id, owners) = (id.to_owned(), Arc::clone(owners));
    let (leave, mut left) = oneshot::channel();
    tokio::spawn(async move {
        let mut working = tokio::task::JoinSet::new();
        loop {
            let gained = tokio::select! {
                _told = &mut left => break,
                gained = mine.next() => gained.unwrap(),
            };
            let (id, owners) = (id.clone(), Arc::clone(&owners));
            let before = owners.lock().unwrap().insert(gained.number(), id);
            assert_eq!(before, None, "{} has two owners", gained.number());
            working.spawn(async move {
                let _lost = gained.over().await;
                owners.lock().unwrap().remove(&gained.number());
                drop(gained);
            });
        }
        drop(mine);
        working.join_all().await;
    });
    leave
}

async fn all_owned_by(owners: &Owners, members: &[&str]) -> BTreeMap<u32, String> {
    until("everything to be owned", async || {
        let owners = owners.lock().unwrap();
        let all = owners.len() == usize::try_from(PARTITIONS).unwrap();
        let fair = members
            .iter()
            .all(|it| owners.values().any(|owner| owner == it));
        all && fair && owners.values().all(|owner| members.contains(&&**owner))
    })
    .await;
    owners.lock().unwrap().clone()
}

#[tokio::test]
async fn partitions_follow_the_members_and_have_one_owner_each() {
    let server = server().await;
    let owners = Owners::default();
    let [ann, bob, cid] = [
        client(server.address()).await,
        client(server.address()).await,
        client(server.address()).await,
    ];
    let _ann = work(&ann, "ann", &owners);
    all_owned_by(&owners, &["ann"]).await;
    let _bob = work(&bob, "bob", &owners);
    let two = all_owned_by(&owners, &["ann", "bob"]).await;
    let third = work(&cid, "cid", &owners);
    let three = all_owned_by(&owners, &["ann", "bob", "cid"]).await;
    for (number, owner) in &three {
        assert!(owner == "cid" || owner == &two[number], "{number} moved");
    }
    third.send(()).unwrap();
    assert_eq!(all_owned_by(&owners, &["ann", "bob"]).await, two);
}

#[tokio::test]
async fn a_partition_that_is_let_go_comes_back() {
    let server = server().await;
    let one = client(server.address()).await;
    let mut mine = Partitioner::new(&one, DIRECTORY, 1, "ann").unwrap().join();
    let first = soon("the partition", mine.next()).await.unwrap();
    let token = first.lock().token();
    let wanted = tokio::time::timeout(Duration::from_millis(20), first.over()).await;
    assert!(wanted.is_err(), "it stays ours");
    first.release().await.unwrap();
    let again = soon("it again", mine.next()).await.unwrap();
    assert!(again.number() == 0 && again.lock().token() > token);
    // With the session, all is lost; in the next one the member joins again.
    expire(&server, &one).await;
    let loss = soon("the loss", again.over()).await;
    assert_eq!(loss, Some(Loss::SessionEnded));
    drop(again);
    let again = soon("it again", mine.next()).await.unwrap();
    drop(mine);
    assert_eq!(soon("its end", again.over()).await, None);
    let nameless = Partitioner::new(&one, DIRECTORY, 1, "a/b");
    assert!(matches!(nameless, Err(Error::Usage(_))));
}

/// A node that is no member's gets no partition, and a partition with a stranger in it keeps nobody from the others.
#[tokio::test]
async fn strangers_own_nothing_and_harm_one_partition_at_most() {
    let server = server().await;
    let one = client(server.address()).await;
    for path in [
        "/mail/members/somebody-elses-node-with-a-long-name-that-is-none-of-ours",
        "/mail/members/x",
    ] {
        one.create(path, "").parents().await.unwrap();
    }
    let stranger = "/mail/partitions/1/x-0000000001";
    one.create(stranger, "").parents().await.unwrap();
    let member = Partitioner::new(&one, DIRECTORY, 4, "ann").unwrap();
    let mut mine = member.join();
    let mut gained = BTreeMap::new();
    while gained.len() < 3 {
        if let Ok(next) = soon("a partition", mine.next()).await {
            gained.insert(next.number(), next);
        }
    }
    assert_eq!(gained.keys().copied().collect::<Vec<_>>(), [0, 2, 3]);
    one.delete(stranger).await.unwrap();
    while gained.len() < 4 {
        if let Ok(next) = soon("the last", mine.next()).await {
            gained.insert(next.number(), next);
        }
    }
    assert!(gained.values().all(|it| it.lock().is_valid()));
}

#[tokio::test]
async fn a_member_whose_directory_is_deleted_joins_again() {
    let server = server().await;
    let one = client(server.address()).await;
    let mut mine = Partitioner::new(&one, DIRECTORY, 1, "ann").unwrap().join();
    for _ in 0..5 {
        let own = soon("the partition", mine.next()).await.unwrap();
        // It may be quicker to join again.
        let _refused = one.delete("/mail/members").recursive().await;
        soon("its end", own.over()).await;
    }
    drop(soon("the partition", mine.next()).await.unwrap());
}
