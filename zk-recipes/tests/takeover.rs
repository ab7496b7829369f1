//! Taking over where it is not plain who was the primary, or whether it still is one: signs of life that nobody heard,
//! records that nobody can read, things in the way.
#![expect(clippy::unwrap_used, reason = "a test's")]

mod common;
mod replicas;

use common::{client, expire, names, server, soon, until};
use replicas::{Group, Site, has_said, site};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use zk_client::testkit::{Direction, Kind, Tally, TestServer, Which};
use zk_client::{Client, Version};
use zk_proto::OpCode;
use zk_recipes::{
    Failover, Fitness, PrimaryBackup, PrimaryRecord, Refusal, Resolver, Role, StepDown, Term,
};

const ROOT: &str = "/service";
const LONG: Duration = Duration::from_secs(3600);

async fn primary_record(one: &Client) -> PrimaryRecord {
    let resolver = Resolver::new(one, ROOT).await.unwrap();
    let record = soon("a primary", resolver.after(0)).await.unwrap();
    PrimaryRecord::clone(&record)
}

fn node(record: &PrimaryRecord) -> String {
    format!("{ROOT}/candidates/{}", record.node)
}

#[derive(Clone, Copy, Debug)]
enum Deaf {
    /// What it asks does not arrive.
    Unanswered,
    /// It has no connection.
    CutOff,
}

/// The one behind does not hear of the primary's last signs of life, and then hears of its end: it has to wait as if
/// they had been given just before that.
async fn unheard_signs_count(deaf: Deaf) {
    const DELAY: Duration = Duration::from_millis(1200);
    let server = server().await;
    let group = Group::start(&server, ROOT, 2, DELAY).await;
    group.primary().await;
    let watching = group.watch_gates();
    let [ann, bob, ..] = &group.sites[..] else {
        panic!("two members")
    };
    let one = client(server.address()).await;
    let candidate = node(&primary_record(&one).await);
    match deaf {
        Deaf::Unanswered => bob.proxy.stall(Direction::ToServer),
        Deaf::CutOff => {
            bob.proxy.refuse().await;
            bob.proxy.cut();
        }
    }
    let said = async || {
        let stat = one.exists(&*candidate).await.unwrap();
        stat.map_or(Version(0), |it| it.version)
    };
    let before = said().await;
    until("signs of life", async || said().await.0 >= before.0 + 3).await;
    // An operator takes the primary's candidature away, of which it does not hear.
    ann.proxy.stall(Direction::ToClient);
    one.delete(&*candidate).await.unwrap();
    match deaf {
        Deaf::Unanswered => bob.proxy.resume(Direction::ToServer),
        Deaf::CutOff => bob.proxy.accept().await,
    }
    until("the next", async || bob.running.gate().is_open()).await;
    assert!(!ann.running.gate().is_open(), "{deaf:?}");
    watching.abort();
    group.store.assert_nothing_wrong();
}

#[tokio::test]
async fn signs_of_life_count_though_nobody_was_answered() {
    unheard_signs_count(Deaf::Unanswered).await;
}

#[tokio::test]
async fn signs_of_life_count_though_nobody_was_connected() {
    unheard_signs_count(Deaf::CutOff).await;
}

#[tokio::test]
async fn a_record_that_nobody_can_read_is_as_good_as_an_unclean_end() {
    const DELAY: Duration = Duration::from_millis(800);
    let server = server().await;
    let group = Group::start(&server, ROOT, 2, DELAY).await;
    group.primary().await;
    let watching = group.watch_gates();
    let [ann, bob, ..] = &group.sites[..] else {
        panic!("two members")
    };
    let one = client(server.address()).await;
    let record = primary_record(&one).await;
    one.set(format!("{ROOT}/primary"), "{}").await.unwrap();
    ann.proxy.stall(Direction::ToClient);
    let begun = Instant::now();
    one.delete(node(&record)).await.unwrap();
    until("the next", async || bob.running.gate().is_open()).await;
    assert!(begun.elapsed() >= DELAY);
    assert!(!ann.running.gate().is_open());
    watching.abort();
    group.store.assert_nothing_wrong();
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_of_a_promotion_ends_no_member() {
    let server = server().await;
    let group = Group::start(&server, ROOT, 1, Duration::from_millis(60)).await;
    group.primary().await;
    let ann = &group.sites[0];
    // Alone and not eligible, it looks again and again whether somebody is.
    ann.eligible.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        let own = ann.client.session_id();
        expire(&server, &ann.client).await;
        until("its next turn", async || {
            ann.client.session_id() != own && ann.running.role() == Role::Promoting
        })
        .await;
        // It reads what the others offer, is not answered, and hears only that its session is over.
        let faults = ann.proxy.tally().faults();
        ann.proxy.refuse().await;
        ann.proxy.drop_reply(Which::To(OpCode::MultiRead));
        ann.proxy
            .until("a question", |tally| tally.faults() > faults)
            .await;
        expire(&server, &ann.client).await;
        ann.proxy.accept().await;
    }
    ann.eligible.store(true, Ordering::SeqCst);
    until("it serves", async || ann.running.gate().is_open()).await;
    group.store.assert_nothing_wrong();
}

async fn stop_first(sites: &mut Vec<Site>) {
    sites.remove(0).running.stop().await.unwrap();
}

/// A node of somebody else's among the candidates, an epoch that is none: whoever is in the way is waited out.
#[tokio::test]
async fn what_is_in_the_way_ends_no_member() {
    let server = server().await;
    let one = client(server.address()).await;
    let group = Group::start(&server, ROOT, 3, LONG).await;
    group.primary().await;
    let mut sites = group.into_sites();
    let foreign = format!("{ROOT}/candidates/n_0000000001");
    one.create(&*foreign, "").await.unwrap();
    stop_first(&mut sites).await;
    until("that nobody stands", async || {
        let standing = names(&one, &format!("{ROOT}/candidates")).await;
        standing.len() == 1 || sites.iter().all(|it| !it.running.gate().is_open())
    })
    .await;
    one.delete(&*foreign).await.unwrap();
    until("the next", async || {
        sites.iter().any(|it| it.running.gate().is_open())
    })
    .await;

    let epoch = format!("{ROOT}/epoch");
    let (count, _) = one.get(&*epoch).await.unwrap();
    one.set(&*epoch, "garbage").await.unwrap();
    let at = sites.iter().position(|it| it.running.gate().is_open());
    sites.remove(at.unwrap()).running.stop().await.unwrap();
    until("that it tries", async || {
        sites[0].running.role() != Role::Backup
    })
    .await;
    assert!(!sites[0].running.gate().is_open());
    one.set(&*epoch, &count).await.unwrap();
    until("the last", async || sites[0].running.gate().is_open()).await;
}

/// How long somebody has let better ones go first is counted anew for each primary.
#[tokio::test]
async fn who_lags_lets_better_ones_go_first_after_each_primary() {
    let server: TestServer = server().await;
    let one = client(server.address()).await;
    let group = Group::start(&server, ROOT, 3, LONG).await;
    group.primary().await;
    let store = std::sync::Arc::clone(&group.store);
    let mut sites = group.into_sites();
    sites[2].offset.store(100, Ordering::SeqCst);
    has_said(&one, ROOT, "\"offset\":100").await;
    stop_first(&mut sites).await;
    until("the better one", async || sites[1].running.gate().is_open()).await;
    until("who lags", async || {
        names(&one, &format!("{ROOT}/candidates")).await.len() == 2
    })
    .await;
    let best = site(&server, ROOT, 3, LONG, &store).await;
    best.offset.store(200, Ordering::SeqCst);
    has_said(&one, ROOT, "\"offset\":200").await;
    // Longer than the patience, which is the session timeout.
    tokio::time::sleep(Duration::from_millis(1700)).await;
    sites.remove(1).running.stop().await.unwrap();
    until("the best one", async || {
        assert!(!sites[0].running.gate().is_open(), "it lags");
        best.running.gate().is_open()
    })
    .await;
    assert_eq!(store.ends(), [StepDown::Stopped, StepDown::Stopped]);
}

/// A planned end is a clean one though its first try was lost with the connection.
#[tokio::test]
async fn a_clean_end_is_tried_again() {
    let server = server().await;
    let group = Group::start(&server, ROOT, 2, LONG).await;
    group.primary().await;
    let mut sites = group.into_sites();
    let ann = sites.remove(0);
    let ended = tokio::spawn({
        ann.proxy.stall(Direction::ToServer);
        ann.running.stop()
    });
    let multi = Kind::Op(OpCode::Multi);
    let arrived = |tally: &Tally| tally.arrived(Direction::ToServer, multi);
    let before = ann.proxy.tally().requests(OpCode::Multi);
    ann.proxy
        .until("its last word", |tally| arrived(tally) > before)
        .await;
    ann.proxy.cut();
    ann.proxy.resume(Direction::ToServer);
    soon("its end", ended).await.unwrap().unwrap();
    until("the next", async || sites[0].running.gate().is_open()).await;
}

struct Careless;

impl PrimaryBackup for Careless {
    fn fitness(&self) -> Fitness {
        Fitness {
            offset: 0,
            eligible: true,
        }
    }

    async fn promote(&self, _term: &Term) -> Result<(), Refusal> {
        panic!("a service that panics");
    }

    async fn demote(&self, _why: &StepDown) {}
    async fn follow(&self, _primary: Option<PrimaryRecord>) {}
}

#[tokio::test]
async fn a_member_whose_service_panics_has_stopped_and_says_so() {
    let server = server().await;
    let one = client(server.address()).await;
    let running = Failover::builder(&one, ROOT, "x", "at x", Careless)
        .build()
        .start();
    until("its end", async || running.role() == Role::Stopped).await;
    assert!(!running.gate().is_open());
    let ended = tokio::spawn(running.stop()).await;
    assert!(ended.is_err_and(|it| it.is_panic()));
    common::empty(&one, &format!("{ROOT}/candidates")).await;
}
