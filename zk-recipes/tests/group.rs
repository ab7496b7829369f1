//! Groups: who joins is seen, once, in each layout; who goes is not, and whose session ends comes back.

mod common;

use common::{Attempt, client, drop_at_every_await, expire, names, proxied, server, soon, until};
use zk_recipes::{Freshness, Group, GroupLayout, Members};

const CREW: &str = "/crew";

fn ids(members: &Members) -> Vec<String> {
    let mut ids: Vec<_> = members.all().into_iter().map(|it| it.id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn members_are_seen_while_they_take_part() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    for layout in [
        GroupLayout::Curator,
        GroupLayout::Party,
        GroupLayout::ShallowParty,
    ] {
        let directory = format!("{CREW}/{layout:?}");
        let ours = Group::new(&one, &directory).layout(layout);
        let theirs = Group::new(&two, &directory).layout(layout);
        let members = theirs.members();
        let ann = ours.join("ann", "").unwrap();
        let bob = theirs.join("bob", "").unwrap();
        for member in [&ann, &bob] {
            soon("a member", member.ready()).await.unwrap();
        }
        soon("the barrier", members.barrier()).await.unwrap();
        assert_eq!(ids(&members), ["ann", "bob"], "{layout:?}");
        let session = |id: &str| {
            members
                .all()
                .into_iter()
                .find(|it| it.id == id)
                .unwrap()
                .session
        };
        assert_eq!(Some(session("ann")), one.session_id());
        assert_eq!(Some(session("bob")), two.session_id());

        let old = two.session_id();
        expire(&server, &two).await;
        until("bob in his next session", async || {
            let all = members.all();
            let bob = all.iter().find(|it| it.id == "bob");
            bob.is_some_and(|it| Some(it.session) != old)
        })
        .await;
        assert_eq!(members.all().len(), 2);

        ann.leave().await.unwrap();
        drop(bob);
        until("that both are gone", async || members.all().is_empty()).await;
        let hex = |name: &str| name.bytes().take(32).all(|it| it.is_ascii_hexdigit());
        let member = ours.join("x-y", "").unwrap();
        soon("a member", member.ready()).await.unwrap();
        soon("the barrier", members.barrier()).await.unwrap();
        let name = names(&one, &directory).await.remove(0);
        match layout {
            GroupLayout::Curator => assert_eq!(name, "x-y"),
            GroupLayout::Party => assert!(hex(&name) && name.ends_with("__party__")),
            GroupLayout::ShallowParty => assert!(hex(&name) && name.ends_with("-x-y")),
        }
        assert_eq!(ids(&members), ["x-y"]);
    }
}

#[tokio::test]
async fn members_say_things_and_lookers_on_go_on_without_servers() {
    let mut server = server().await;
    let one = client(server.address()).await;
    let group = Group::new(&one, CREW);
    let members = group.members();
    let ann = group.join("ann", "1").unwrap();
    ann.set("2").await.unwrap();
    soon("the barrier", members.barrier()).await.unwrap();
    assert_eq!(members.all()[0].data, "2");
    assert!(group.join("a/b", "").is_err());
    assert!(
        group
            .clone()
            .layout(GroupLayout::Party)
            .join("a", "data")
            .is_err()
    );
    server.stop().await.unwrap();
    until("that it is stale", async || {
        matches!(members.freshness(), Freshness::Stale { .. })
    })
    .await;
    assert_eq!(ids(&members), ["ann"]);
    server.restart().await.unwrap();
    soon("the barrier", members.barrier()).await.unwrap();
    assert_eq!(ids(&members), ["ann"]);
}

#[tokio::test]
async fn every_future_may_be_dropped_at_any_await() {
    let (server, proxy) = proxied().await;
    let witness = client(server.address()).await;
    let one = client(proxy.address()).await;
    let make = |times| -> Attempt {
        let group = Group::new(&one, CREW);
        Box::pin(async move {
            let members = group.members();
            // Another name each time: within a session the one before may still be on its way out.
            let ann = group.join(format!("ann-{times}"), "").unwrap();
            ann.ready().await.unwrap();
            members.barrier().await.unwrap();
            assert_eq!(members.all().len(), 1);
            ann.set("x").await.unwrap();
            ann.leave().await.unwrap();
        })
    };
    let look = async || common::empty(&witness, CREW).await;
    drop_at_every_await(&proxy, make, look).await;
}
