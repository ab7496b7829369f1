//! One primary and its backups: never two open gates, never an acknowledged write of a term that is over, and somebody
//! serves again soon, whatever is done to them.

mod common;
mod replicas;

use common::{client, expire, server, soon, until};
use replicas::{Group, has_said, site};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use zk_client::testkit::Direction;
use zk_recipes::{Error, Resolver, Role, StepDown, switch_over};

const ROOT: &str = "/service";
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn the_first_is_the_primary_and_the_others_follow_it() {
    let server = server().await;
    // Nobody waits for the lock-delay after a clean end, however long it is.
    let group = Group::start(&server, ROOT, 3, LONG).await;
    let [ann, bob, cid] = group.three();
    assert_eq!(group.primary().await.0, "m0");
    until("backups", async || {
        bob.follows().as_deref() == Some("at m0") && cid.follows().as_deref() == Some("at m0")
    })
    .await;
    assert!(bob.running.gate().enter().is_none());
    assert!(matches!(ann.running.role(), Role::Primary { .. }));

    let one = client(server.address()).await;
    let resolver = Resolver::new(&one, ROOT).await.unwrap();
    let first = resolver.current().unwrap();
    assert_eq!(
        (&*first.id, &*first.address, first.clean),
        ("m0", "at m0", false)
    );
    let pass = ann.running.gate().enter().unwrap();
    assert_eq!(pass.finish(), Ok(first.epoch));

    let gate = ann.running.gate().clone();
    let store = Arc::clone(&ann.store);
    let mut sites = group.into_sites();
    sites.remove(0).running.stop().await.unwrap();
    assert!(!gate.is_open());
    assert_eq!(store.ends(), [StepDown::Stopped]);
    let second = soon("the next", resolver.after(first.epoch)).await.unwrap();
    assert_eq!(&*second.id, "m1");
    assert!(second.epoch > first.epoch && resolver.is_following());
    // Whoever is still busy following the last one follows the next.
    until("the other backup", async || {
        sites[1].follows().as_deref() == Some("at m1")
    })
    .await;
}

#[tokio::test]
async fn a_planned_switchover_goes_past_the_queue_with_a_short_pause() {
    let server = server().await;
    let group = Group::start(&server, ROOT, 4, LONG).await;
    let one = client(server.address()).await;
    let mut pauses = Vec::new();
    for to in ["m3", "m1", "m2", "m0", "m3"] {
        let (from, epoch) = group.primary().await;
        let watching = tokio::spawn(group.pause_between(&from, to));
        let record = soon("the switchover", switch_over(&one, ROOT, to))
            .await
            .unwrap();
        assert!(record.id == to && record.epoch > epoch);
        pauses.push(soon("its pause", watching).await.unwrap());
        assert_eq!(group.primary().await.0, to);
    }
    pauses.sort_unstable();
    println!("writes paused for {pauses:?}");
    // 100 ms where it is optimised; coarse where it is not, and the machine does other things.
    let limit = if cfg!(debug_assertions) { 2000 } else { 100 };
    assert!(pauses[2] < Duration::from_millis(limit), "{pauses:?}");
    // To where it is, and to nobody.
    let same = soon("nothing", switch_over(&one, ROOT, "m3"))
        .await
        .unwrap();
    assert_eq!(same.id, "m3");
    let nobody = switch_over(&one, ROOT, "m9").await;
    assert!(matches!(nobody, Err(Error::Usage(_))));
    group.store.assert_nothing_wrong();
}

#[tokio::test]
async fn a_switchover_to_somebody_who_goes_meanwhile_comes_to_an_end() {
    let server = server().await;
    let group = Group::start(&server, ROOT, 2, LONG).await;
    group.primary().await;
    let one = client(server.address()).await;
    // It hears of no wish, and the lock-delay lets nobody else be the primary either.
    group.sites[0].proxy.stall(Direction::ToClient);
    let asking = tokio::spawn(async move { switch_over(&one, ROOT, "m1").await });
    let two = client(server.address()).await;
    until("the wish", async || {
        two.exists(format!("{ROOT}/switchover"))
            .await
            .unwrap()
            .is_some()
    })
    .await;
    assert!(!asking.is_finished());
    let mut sites = group.into_sites();
    sites.remove(1).running.stop().await.unwrap();
    let asked = soon("the refusal", asking).await.unwrap();
    assert!(matches!(asked, Err(Error::Usage(_))), "{asked:?}");
}

#[tokio::test]
async fn writes_inside_come_to_their_end_before_a_planned_one() {
    let server = server().await;
    let group = Group::start(&server, ROOT, 2, LONG).await;
    group.primary().await;
    let [gate, next] = [0, 1].map(|it| group.sites[it].running.gate().clone());
    let pass = gate.enter().unwrap();
    let mut sites = group.into_sites();
    let ann = sites.remove(0);
    let stopping = tokio::spawn(ann.running.stop());
    until("nobody to be let in", async || !gate.is_open()).await;
    assert!(!stopping.is_finished() && !next.is_open() && pass.is_valid());
    pass.finish().unwrap();
    soon("its end", stopping).await.unwrap().unwrap();
    until("the next", async || next.is_open()).await;
}

#[tokio::test]
async fn after_an_unclean_end_the_lock_delay_passes_first() {
    const DELAY: Duration = Duration::from_millis(800);
    let server = server().await;
    let group = Group::start(&server, ROOT, 2, DELAY).await;
    group.primary().await;
    let one = client(server.address()).await;
    let resolver = Resolver::new(&one, ROOT).await.unwrap();
    let first = resolver.current().unwrap();
    // An operator deletes the node of a primary that is alive and well, and does not hear of it at once.
    let [ann, bob, ..] = &group.sites[..] else {
        panic!("two members")
    };
    ann.proxy.stall(Direction::ToClient);
    let begun = Instant::now();
    one.delete(format!("{ROOT}/candidates/{}", first.node))
        .await
        .unwrap();
    let second = soon("the next", resolver.after(first.epoch)).await.unwrap();
    let waited = begun.elapsed();
    assert_eq!(second.id, "m1");
    // Less by the time since the last sign of life.
    assert!(waited > DELAY / 2, "{waited:?}");
    assert!(!ann.running.gate().is_open(), "it closed by itself");
    until("the gate", async || bob.running.gate().is_open()).await;
    ann.proxy.resume(Direction::ToClient);
    until("it is a backup", async || {
        ann.running.role() == Role::Backup && ann.follows().as_deref() == Some("at m1")
    })
    .await;
    assert!(matches!(ann.store.ends()[..], [StepDown::Lost(_)]));
    group.store.assert_nothing_wrong();
}

#[tokio::test]
async fn a_candidate_that_lags_lets_a_better_one_go_first() {
    let server = server().await;
    let group = Group::start(&server, ROOT, 3, LONG).await;
    group.primary().await;
    let [_, bob, cid] = group.three();
    cid.offset.store(100, Ordering::SeqCst);
    bob.offset.store(99, Ordering::SeqCst);
    let one = client(server.address()).await;
    has_said(&one, ROOT, "\"offset\":100").await;
    has_said(&one, ROOT, "\"offset\":99").await;
    let mut sites = group.into_sites();
    sites.remove(0).running.stop().await.unwrap();
    let [bob, cid] = &sites[..] else {
        panic!("two are left")
    };
    until("the better one", async || cid.running.gate().is_open()).await;
    // One that cannot lets everybody else, and takes over as soon as it can if there is nobody.
    bob.eligible.store(false, Ordering::SeqCst);
    bob.offset.store(1000, Ordering::SeqCst);
    sites.remove(1).running.stop().await.unwrap();
    let bob = &sites[0];
    until("its turn", async || bob.running.role() == Role::Promoting).await;
    assert!(!bob.running.gate().is_open());
    bob.eligible.store(true, Ordering::SeqCst);
    until("it can", async || bob.running.gate().is_open()).await;
}

#[tokio::test]
async fn a_primary_that_is_cut_off_closes_before_the_next_opens() {
    let server = server().await;
    let group = Group::start(&server, ROOT, 3, Duration::from_millis(600)).await;
    for _ in 0..3 {
        let (id, epoch) = group.primary().await;
        let cut_off = group.site(&id);
        cut_off.proxy.stall(Direction::ToServer);
        cut_off.proxy.stall(Direction::ToClient);
        until("its gate", async || !cut_off.running.gate().is_open()).await;
        until("the next", async || {
            group.open().iter().any(|(_, it)| *it > epoch)
        })
        .await;
        cut_off.proxy.resume(Direction::ToServer);
        cut_off.proxy.resume(Direction::ToClient);
        cut_off.proxy.cut();
    }
    group.store.assert_nothing_wrong();
}

/// Failovers of every kind in a row, with writers at every member: `FAILOVERS` of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_failovers_open_one_gate_at_a_time() {
    let rounds: u32 = std::env::var("FAILOVERS")
        .map_or(200, |rounds| rounds.parse().expect("FAILOVERS is a number"));
    let server = server().await;
    let mut group = Group::start(&server, ROOT, 3, Duration::from_millis(60)).await;
    let watching = group.watch_gates();
    let writing = group.write_everywhere();
    let one = client(server.address()).await;
    let resolver = Resolver::new(&one, ROOT).await.unwrap();
    let mut last = 0;
    for round in 0..rounds {
        let record = soon("a primary", resolver.after(last)).await.unwrap();
        assert!(record.epoch > last, "epochs rise");
        last = record.epoch;
        group.acknowledged_in(record.epoch).await;
        let at = group.place(&record.id);
        match round % 5 {
            0 => expire(&server, &group.sites[at].client).await,
            1 => {
                let path = format!("{ROOT}/candidates/{}", record.node);
                one.delete(path).await.unwrap();
            }
            2 => {
                let to = format!("m{}", (at + 1) % 3);
                // It may be about to stand again; then nothing is asked for, and it goes on with this one.
                let asked = soon("a switchover", switch_over(&one, ROOT, &to)).await;
                if asked.is_err() {
                    last -= 1;
                }
            }
            3 => {
                // Killed: it says nothing more to anybody, and its session is over.
                let dead = group.sites.remove(at);
                dead.proxy.stall(Direction::ToServer);
                expire(&server, &dead.client).await;
                drop(dead);
                let next = site(&server, ROOT, at, group.delay, &group.store).await;
                group.put(at, next);
            }
            _ => {
                let ended = group.sites.remove(at);
                ended.running.stop().await.unwrap();
                let next = site(&server, ROOT, at, group.delay, &group.store).await;
                group.put(at, next);
            }
        }
    }
    let record = soon("a primary", resolver.after(last)).await;
    assert!(record.is_ok());
    writing.abort();
    watching.abort();
    let acknowledged = group.store.assert_nothing_wrong();
    println!("{rounds} failovers, {acknowledged} writes, last term {last}");
    assert!(acknowledged >= u64::from(rounds));
}
