//! The semaphore and the multi-lock: limits, order, all or none.

mod common;

use common::{client, empty, expire, names, server, soon, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use zk_recipes::{Error, Limit, Loss, MultiLock, Mutex, Naming, NonBlockingLease, Semaphore};

#[tokio::test(flavor = "multi_thread")]
async fn never_more_hold_than_there_are_places() {
    let server = server().await;
    let address = server.address();
    let inside = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for task in 0..5 {
        let inside = Arc::clone(&inside);
        tasks.spawn(async move {
            let semaphore = Semaphore::new(&client(address).await, "/places", Limit::Fixed(3));
            for round in 0..8 {
                let wanted = 1 + (task + round) % 2;
                let held = semaphore.acquire(wanted).await.unwrap();
                let wanted = usize::try_from(wanted).unwrap();
                assert!(inside.fetch_add(wanted, Ordering::SeqCst) + wanted <= 3);
                tokio::task::yield_now().await;
                inside.fetch_sub(wanted, Ordering::SeqCst);
                held.release().await.unwrap();
            }
        });
    }
    while let Some(done) = soon("everybody's rounds", tasks.join_next()).await {
        done.unwrap();
    }
    let witness = client(address).await;
    empty(&witness, "/places/locks").await;
    empty(&witness, "/places/leases").await;
}

#[tokio::test]
async fn a_shared_limit_changes_while_somebody_waits() {
    let server = server().await;
    let one = client(server.address()).await;
    let semaphore = Semaphore::new(&one, "/places", Limit::Shared("/limit".to_owned()));
    let waiting = semaphore.clone();
    let waiter = tokio::spawn(async move { waiting.acquire(2).await.unwrap() });
    until("its place", async || {
        names(&one, "/places/leases").await.len() == 2
    })
    .await;
    semaphore.set_limit(1).await.unwrap();
    assert!(
        semaphore.try_acquire(1).await.unwrap().is_none(),
        "somebody waits"
    );
    assert!(!waiter.is_finished());
    semaphore.set_limit(2).await.unwrap();
    let held = soon("its turn", waiter).await.unwrap();
    assert_eq!(
        one.get("/limit").await.unwrap().0[..],
        [0, 0, 0, 2],
        "as Curator's SharedCount"
    );
    assert!(held.is_valid());
    assert_eq!(semaphore.holders().await.unwrap().len(), 2);
    let short = Duration::from_millis(30);
    assert!(semaphore.acquire_timeout(1, short).await.unwrap().is_none());
    until("nothing left of it", async || {
        names(&one, "/places/leases").await.len() == 2
    })
    .await;
    one.delete(held.each()[0].path()).await.unwrap();
    assert_eq!(soon("the loss", held.lost()).await, Loss::Deleted);
    assert_eq!(
        held.fenced().create("/x", "").commit().await,
        Err(Error::Lost(Loss::Deleted))
    );
    assert!(held.release().await.is_err());
    empty(&one, "/places/leases").await;
    assert!(matches!(semaphore.acquire(0).await, Err(Error::Usage(_))));
}

#[tokio::test]
async fn locks_are_taken_together_or_not_at_all() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let mutex = |name: &str| Mutex::new(&one, format!("/locks/{name}"));
    let all = MultiLock::new([mutex("c"), mutex("a"), mutex("b"), mutex("a")]).unwrap();
    assert!(matches!(MultiLock::new([]), Err(Error::Usage(_))));
    let b = Mutex::new(&two, "/locks/b").lock().await.unwrap();
    assert!(all.try_lock().await.unwrap().is_none());
    assert!(
        all.lock_timeout(Duration::from_millis(30))
            .await
            .unwrap()
            .is_none()
    );
    empty(&one, "/locks/a").await;
    b.release().await.unwrap();
    let held = soon("all of them", all.lock()).await.unwrap();
    let paths: Vec<_> = held
        .each()
        .iter()
        .map(|it| it.path()[..8].to_owned())
        .collect();
    assert_eq!(paths, ["/locks/a", "/locks/b", "/locks/c"]);
    held.fenced().create("/x", "").commit().await.unwrap();
    one.delete(held.each()[1].path()).await.unwrap();
    let refused = held.fenced().create("/y", "").commit().await;
    assert_eq!(refused, Err(Error::Lost(Loss::Deleted)));
    assert_eq!(
        soon("the stop", held.run(std::future::pending::<()>())).await,
        Err(Error::Lost(Loss::Deleted))
    );
    for directory in ["/locks/a", "/locks/b", "/locks/c"] {
        empty(&one, directory).await;
    }
}

#[tokio::test]
async fn whoever_waits_for_a_second_lock_hears_of_the_loss_of_the_first() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    let all = MultiLock::new([Mutex::new(&one, "/a"), Mutex::new(&one, "/b")]).unwrap();
    let b = Mutex::new(&two, "/b").lock().await.unwrap();
    let waiter = tokio::spawn(async move { all.lock().await.map(drop) });
    until("its place", async || names(&two, "/b").await.len() == 2).await;
    expire(&server, &one).await;
    let lost = soon("the loss", waiter).await.unwrap();
    assert_eq!(lost, Err(Error::Lost(Loss::SessionEnded)));
    b.release().await.unwrap();
    empty(&two, "/b").await;
}

#[tokio::test]
async fn a_lease_is_somebodys_until_its_time() {
    let server = server().await;
    let one = client(server.address()).await;
    let ann = NonBlockingLease::new(&one, "/lease", "ann");
    let bob = NonBlockingLease::new(&one, "/lease", "bob");
    assert_eq!(ann.term().await.unwrap(), None);
    let hour = Duration::from_secs(3600);
    let term = ann.try_acquire(hour).await.unwrap().unwrap();
    assert_eq!(bob.try_acquire(hour).await.unwrap(), Err(term.clone()));
    let longer = ann.try_acquire(2 * hour).await.unwrap().unwrap();
    assert!(term.end < longer.end && bob.term().await.unwrap() == Some(longer));
    // One that has ended is anybody's.
    ann.try_acquire(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(bob.try_acquire(hour).await.unwrap().unwrap().holder, "bob");
    one.set("/lease/lease_holder", "{}").await.unwrap();
    assert!(matches!(ann.try_acquire(hour).await, Err(Error::Usage(_))));
}

#[tokio::test]
async fn kazoos_layout_counts_kazoos_holders_and_agrees_on_the_limit() {
    let server = server().await;
    let one = client(server.address()).await;
    let places = |limit| {
        let builder = Semaphore::builder(&one, "/kazoo/places", Limit::Fixed(limit));
        builder.naming(Naming::Kazoo).build()
    };
    let first = places(2).acquire(1).await.unwrap();
    assert_eq!(&one.get("/kazoo/places").await.unwrap().0[..], b"2");
    // As kazoo's holders are called.
    let other = "/kazoo/places/3deaea15e4f0489db9ad2c44caba1833";
    one.create(other, "").ephemeral().await.unwrap();
    assert!(places(2).try_acquire(1).await.unwrap().is_none());
    let disagrees = places(3).acquire(1).await;
    assert!(matches!(disagrees, Err(Error::Usage(_))));
    let waiting = tokio::spawn({
        let places = places(2);
        async move { places.acquire(1).await }
    });
    until("a waiter", async || {
        !names(&one, "/kazoo/places-__lock__").await.is_empty()
    })
    .await;
    assert!(!waiting.is_finished());
    one.delete(other).await.unwrap();
    let second = soon("a place", waiting).await.unwrap().unwrap();
    first.release().await.unwrap();
    second.release().await.unwrap();
    empty(&one, "/kazoo/places").await;
    empty(&one, "/kazoo/places-__lock__").await;
}
