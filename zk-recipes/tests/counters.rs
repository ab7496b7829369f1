//! Counters: no change is lost or counted twice, whichever reply is; ids that nobody else gets.

mod common;

use common::{client, empty, proxied, server, soon};
use std::collections::BTreeSet;
use std::time::Duration;
use zk_client::Outcome;
use zk_client::testkit::Which;
use zk_proto::OpCode;
use zk_recipes::{Change, Counter, Encoding, Error, Ids, Mutex, Operation};

const PATH: &str = "/below/counter";

#[tokio::test]
async fn a_counter_counts_in_the_encoding_of_others() {
    let server = server().await;
    let one = client(server.address()).await;
    for (encoding, bytes) in [
        (Encoding::Long, &[0, 0, 0, 0, 0, 0, 1, 2][..]),
        (Encoding::Int, &[0, 0, 1, 2]),
        (Encoding::Text, b"258"),
    ] {
        let path = format!("{PATH}/{encoding:?}");
        let counter = Counter::new(&one, &path, encoding);
        assert_eq!(counter.get().await, Ok(0));
        let change = counter.add(259).await.unwrap();
        assert_eq!((change.before, change.after), (0, 259));
        assert_eq!(counter.add(-1).await.unwrap().after, 258);
        assert_eq!(one.get(&path).await.unwrap().0, bytes);
        assert_eq!(counter.compare_and_set(257, 1).await, Ok(false));
        assert_eq!(counter.compare_and_set(258, 1).await, Ok(true));
        assert_eq!(counter.set(i64::from(i32::MAX)).await.unwrap().before, 1);
        assert_eq!(counter.add(1).await.is_err(), encoding == Encoding::Int);
        one.set(&path, "no number").await.unwrap();
        assert!(matches!(counter.get().await, Err(Error::Usage(_))));
        assert!(matches!(counter.add(1).await, Err(Error::Usage(_))));
    }
}

#[tokio::test]
async fn no_change_is_lost_among_many_writers() {
    const WRITERS: i64 = 8;
    const EACH: i64 = 25;
    let server = server().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let one = client(server.address()).await;
        writers.spawn(async move {
            let mut counter = Counter::new(&one, PATH, Encoding::Long);
            if writer % 2 == 0 {
                counter = counter.promote_to(Mutex::new(&one, "/below/lock"));
            }
            for _ in 0..EACH {
                counter.add(1).await.unwrap();
            }
        });
    }
    let one = client(server.address()).await;
    let counter = Counter::new(&one, PATH, Encoding::Long);
    let mut changes = counter.changes();
    let mut seen = -1;
    while seen < WRITERS * EACH {
        let next = soon("the next number", changes.next()).await.unwrap();
        assert!(next > seen);
        seen = next;
    }
    while let Some(done) = soon("all writers", writers.join_next()).await {
        done.unwrap();
    }
    assert_eq!(counter.get().await, Ok(WRITERS * EACH));
    let nothing = tokio::time::timeout(Duration::from_millis(30), changes.next()).await;
    assert!(nothing.is_err());
    empty(&one, "/below/lock").await;
}

/// Curator and kazoo count twice here.
#[tokio::test]
async fn a_change_whose_reply_is_lost_is_unknown_and_counted_once() {
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let counter = Counter::new(&one, PATH, Encoding::Int);
    counter.add(1).await.unwrap();
    proxy.drop_reply(Which::To(OpCode::SetData));
    let Err(Error::Client(error)) = soon("its end", counter.add(1)).await else {
        panic!("nobody can know");
    };
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(counter.get().await, Ok(2));
    // A request that never arrived is sent again, and known to be counted once.
    proxy.cut();
    assert_eq!(counter.add(1).await.unwrap().after, 3);
}

#[tokio::test]
async fn an_operation_counts_once_whichever_reply_is_lost() {
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let counter = Counter::new(&one, PATH, Encoding::Long);
    let mut expected = 0;
    for after in 0..16 {
        let operation = Operation::new("till", after);
        proxy.drop_reply(Which::After(after));
        let change = soon("its end", counter.add_once(5, &operation)).await;
        expected += 5;
        let once = Change {
            before: expected - 5,
            after: expected,
        };
        assert_eq!(change, Ok(once));
        assert_eq!(counter.add_once(5, &operation).await, Ok(once), "again");
        // Somebody else counts in between, with a name of his own.
        let other = Operation::new("other", after);
        expected = counter.add_once(1, &other).await.unwrap().after;
        assert_eq!(counter.add_once(5, &operation).await, Ok(once), "later");
    }
    let forgotten = counter.add_once(5, &Operation::new("till", 3)).await;
    assert!(matches!(forgotten, Err(Error::Usage(_))));
    let nameless = counter.add_once(5, &Operation::new("a/b", 3)).await;
    assert!(matches!(nameless, Err(Error::Usage(_))));
    assert_eq!(counter.get().await, Ok(expected));
}

#[tokio::test]
async fn no_id_is_handed_out_twice() {
    const EACH: usize = 100;
    let (server, proxy) = proxied().await;
    let mut takers = tokio::task::JoinSet::new();
    for taker in 0..4_u64 {
        let one = client(proxy.address()).await;
        let ids = Ids::new(&one, PATH, 7).unwrap();
        for ids in [ids.clone(), ids] {
            takers.spawn(async move {
                let mut taken = Vec::new();
                while taken.len() < EACH {
                    taken.push(ids.next().await.unwrap());
                }
                assert!(taken.is_sorted());
                (taker, taken)
            });
        }
    }
    for after in 0..5 {
        proxy.drop_reply(Which::After(after * 3));
        tokio::task::yield_now().await;
        proxy.cut();
    }
    let mut all = BTreeSet::new();
    while let Some(done) = soon("all ids", takers.join_next()).await {
        let (_, taken) = done.unwrap();
        all.extend(taken);
    }
    assert_eq!(all.len(), 8 * EACH);
    let one = client(server.address()).await;
    let next = Counter::new(&one, PATH, Encoding::Long)
        .get()
        .await
        .unwrap();
    assert!(all.iter().all(|id| *id < next));
    assert!(Ids::new(&one, PATH, 0).is_err());
}
