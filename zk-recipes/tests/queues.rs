//! Queues: every entry out once, or at least once until somebody is done with it, whatever is lost in between.

mod common;

use common::{client, empty, expire, names, proxied, server, soon, until};
use std::collections::BTreeMap;
use std::task::Poll;
use std::time::{Duration, SystemTime};
use zk_client::testkit::{Direction, Which};
use zk_client::{Acl, Client, Outcome, Perms};
use zk_proto::OpCode;
use zk_recipes::{Error, Loss, Operation, Queue, QueueLayout};

const DIRECTORY: &str = "/below/queue";

const LAYOUTS: [QueueLayout; 6] = [
    QueueLayout::Simple,
    QueueLayout::Kazoo,
    QueueLayout::KazooLocking,
    QueueLayout::Curator,
    QueueLayout::CuratorPriority,
    QueueLayout::CuratorDelay,
];

fn locking(client: &Client) -> Queue {
    Queue::new(client, DIRECTORY, QueueLayout::KazooLocking)
}

#[tokio::test]
async fn entries_leave_in_their_order() {
    let server = server().await;
    let one = client(server.address()).await;
    for layout in LAYOUTS {
        let queue = Queue::new(&one, format!("{DIRECTORY}/{layout:?}"), layout);
        assert_eq!(queue.pop().await, Ok(None));
        for number in ["1", "2", "3"] {
            queue.push(number).await.unwrap();
        }
        let together: Vec<_> = layout_items(layout);
        queue.push_all(&["4", "5"]).await.unwrap();
        let mut left = Vec::new();
        while let Some(items) = queue.pop().await.unwrap() {
            left.push(items);
        }
        assert_eq!(left, together, "{layout:?}");
        assert!(queue.is_empty().await.unwrap());
    }
}

/// The five items as they come out: an envelope keeps the last two together.
fn layout_items(layout: QueueLayout) -> Vec<Vec<Vec<u8>>> {
    let one = |items: &[&str]| items.iter().map(|it| it.as_bytes().to_vec()).collect();
    let mut all: Vec<_> = ["1", "2", "3"].iter().map(|it| one(&[it])).collect();
    match layout {
        QueueLayout::Simple | QueueLayout::Kazoo | QueueLayout::KazooLocking => {
            all.extend([one(&["4"]), one(&["5"])]);
        }
        QueueLayout::Curator | QueueLayout::CuratorPriority | QueueLayout::CuratorDelay => {
            all.push(one(&["4", "5"]));
        }
    }
    all
}

#[tokio::test]
async fn priorities_and_times_come_before_arrival() {
    let server = server().await;
    let one = client(server.address()).await;
    let queue = Queue::new(&one, "/q/priority", QueueLayout::CuratorPriority);
    for priority in [5, -1, 0, i32::MIN, i32::MAX] {
        queue
            .push_with_priority(priority.to_string(), priority)
            .await
            .unwrap();
    }
    for priority in [i32::MIN, -1, 0, 5, i32::MAX] {
        let items = queue.pop().await.unwrap().unwrap();
        assert_eq!(items, [priority.to_string().into_bytes()]);
    }
    assert!(matches!(
        queue.push_at("", SystemTime::now()).await,
        Err(Error::Usage(_))
    ));

    let queue = Queue::new(&one, "/q/delay", QueueLayout::CuratorDelay);
    let begun = SystemTime::now();
    let soon_due = begun + Duration::from_millis(300);
    queue
        .push_at("late", begun + Duration::from_secs(3600))
        .await
        .unwrap();
    queue.push_at("soon", soon_due).await.unwrap();
    assert_eq!(queue.pop().await, Ok(None));
    let items = soon("what is due", queue.take()).await.unwrap();
    assert!(SystemTime::now() >= soon_due);
    assert_eq!(items, [b"soon"]);
    assert_eq!(queue.len().await, Ok(1));
}

#[tokio::test]
async fn who_waits_is_woken_by_an_entry() {
    let server = server().await;
    let one = client(server.address()).await;
    let queue = Queue::new(&one, DIRECTORY, QueueLayout::Simple);
    let taking = tokio::spawn({
        let queue = queue.clone();
        async move { queue.take().await }
    });
    let nothing = queue.pop().await.unwrap();
    assert!(nothing.is_none() && !taking.is_finished());
    queue.push("x").await.unwrap();
    assert_eq!(
        soon("an entry", taking).await.unwrap(),
        Ok(vec![b"x".to_vec()])
    );
    assert!(matches!(queue.claim().await, Err(Error::Usage(_))));
}

#[tokio::test]
async fn a_claimed_entry_goes_to_the_next_when_its_claimer_goes() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    locking(&one).push("first").await.unwrap();
    locking(&one).push("second").await.unwrap();
    let first = locking(&two).claim().await.unwrap();
    let second = locking(&one).claim().await.unwrap();
    assert_eq!(
        (first.items(), second.items()),
        (&[b"first".to_vec()][..], &[b"second".to_vec()][..])
    );
    assert!(locking(&one).try_claim().await.unwrap().is_none());
    assert_eq!(
        locking(&one).pop().await,
        Ok(None),
        "what is claimed is not popped"
    );

    // Given back, it is there again; so it is when it is dropped, or its session ends.
    second.requeue().await.unwrap();
    let second = locking(&one).claim().await.unwrap();
    drop(second);
    let second = soon("the second", locking(&one).claim()).await.unwrap();
    second.done().await.unwrap();
    let waiting = tokio::spawn({
        let queue = locking(&one);
        async move { queue.claim().await }
    });
    expire(&server, &two).await;
    let again = soon("the first", waiting).await.unwrap().unwrap();
    assert_eq!(again.items(), [b"first"]);
    let late = first.done().await;
    assert!(matches!(late, Err(Error::Lost(_))), "{late:?}");
    // The late one has taken nothing away from who has it now.
    assert!(again.claim().is_valid());
    again.done().await.unwrap();
    assert!(locking(&one).is_empty().await.unwrap());
    empty(&one, &format!("{DIRECTORY}/taken")).await;
}

#[tokio::test]
async fn what_nobody_can_be_done_with_is_put_aside() {
    let server = server().await;
    let one = client(server.address()).await;
    let poison = format!("{DIRECTORY}_poison");
    let queue = Queue::new(&one, DIRECTORY, QueueLayout::Curator).claims_at("/below/claims");
    queue.push("good").await.unwrap();
    let broken = format!("{DIRECTORY}/queue-");
    one.create(&broken, "no envelope")
        .sequential()
        .await
        .unwrap();
    queue.push("better").await.unwrap();
    for expected in [b"good".as_slice(), b"better"] {
        let claimed = soon("an entry", queue.claim()).await.unwrap();
        assert_eq!(claimed.items(), [expected]);
        claimed.done().await.unwrap();
    }
    assert_eq!(names(&one, &poison).await.len(), 1);

    // One that its workers always drop is delivered so often, and no more.
    let queue = queue.max_deliveries(3);
    queue.push("heavy").await.unwrap();
    for _ in 0..3 {
        drop(soon("an entry", queue.claim()).await.unwrap());
        empty(&one, "/below/claims").await;
    }
    assert!(queue.try_claim().await.unwrap().is_none());
    assert_eq!(names(&one, &poison).await.len(), 2);
    queue.push("wrong").await.unwrap();
    queue.claim().await.unwrap().reject().await.unwrap();
    assert_eq!(names(&one, &poison).await.len(), 3);
    assert!(queue.is_empty().await.unwrap());
    empty(&one, "/below/claims").await;
}

/// Curator puts two entries here.
#[tokio::test]
async fn a_push_whose_reply_is_lost_is_unknown_or_tried_again_in_safety() {
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let queue = locking(&one);
    queue.push("0").await.unwrap();
    proxy.drop_reply(Which::To(OpCode::Create));
    let Err(Error::Client(error)) = soon("its end", queue.push("1")).await else {
        panic!("nobody can know");
    };
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(queue.len().await, Ok(2));
    for after in 0..8 {
        let operation = Operation::new("till", after);
        proxy.drop_reply(Which::After(after));
        soon("its end", queue.push_once("x", &operation))
            .await
            .unwrap();
        queue.push_once("x", &operation).await.unwrap();
    }
    assert_eq!(queue.len().await, Ok(10));
}

/// W5: everything that was put is done at the end, by whomever, while connections and sessions are lost; what was
/// delivered twice was so because a claim was lost.
#[tokio::test]
async fn every_entry_is_done_whatever_is_lost() {
    const ENTRIES: usize = 60;
    const WORKERS: usize = 3;
    let (server, proxy) = proxied().await;
    let one = client(server.address()).await;
    for number in 0..ENTRIES {
        locking(&one).push(number.to_string()).await.unwrap();
    }
    let (report, mut done) = tokio::sync::mpsc::unbounded_channel();
    let mut workers = tokio::task::JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..WORKERS {
        let two = client(proxy.address()).await;
        clients.push(two.clone());
        let report = report.clone();
        workers.spawn(async move {
            loop {
                let Ok(claimed) = locking(&two).claim().await else {
                    continue;
                };
                let item = String::from_utf8(claimed.items()[0].clone()).unwrap();
                tokio::task::yield_now().await;
                let ended = claimed.done().await;
                report.send((item, ended)).unwrap();
            }
        });
    }
    for round in 0..6_usize {
        tokio::time::sleep(Duration::from_millis(20)).await;
        match round % 3 {
            0 => proxy.cut(),
            1 => proxy.drop_reply(Which::After(round as u64)),
            _ => expire(&server, &clients[round % WORKERS]).await,
        }
    }
    let mut done_with: BTreeMap<String, usize> = BTreeMap::new();
    while done_with.len() < ENTRIES || !locking(&one).is_empty().await.unwrap() {
        let (item, ended) = soon("the next", done.recv()).await.unwrap();
        let times = done_with.entry(item).or_default();
        match ended {
            Ok(()) => *times += 1,
            // It may have been done all the same, or another gets it.
            Err(Error::Lost(Loss::SessionEnded | Loss::Deleted) | Error::Client(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(done_with.values().all(|times| *times <= 1), "{done_with:?}");
    workers.shutdown().await;
    drop(clients);
    until("no claim left", async || {
        names(&one, &format!("{DIRECTORY}/taken")).await.is_empty()
    })
    .await;
}

/// An entry that somebody works on is nothing to be asked for again and again.
#[tokio::test]
async fn who_waits_behind_a_claimed_entry_asks_nothing_meanwhile() {
    let (server, proxy) = proxied().await;
    let one = client(server.address()).await;
    let two = client(proxy.address()).await;
    locking(&one).push("x").await.unwrap();
    let claimed = locking(&one).claim().await.unwrap();
    let taking = tokio::spawn({
        let queue = locking(&two);
        async move { queue.take().await }
    });
    until("that it waits", async || {
        proxy.tally().requests(OpCode::GetChildren2) + proxy.tally().requests(OpCode::GetChildren)
            >= 3
    })
    .await;
    let asked = proxy.tally().frames(Direction::ToServer);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let more = proxy.tally().frames(Direction::ToServer) - asked;
    assert!(more < 10, "{more} requests");
    claimed.requeue().await.unwrap();
    assert_eq!(
        soon("the entry", taking).await.unwrap(),
        Ok(vec![b"x".to_vec()])
    );
}

/// Whoever pops may have seen an entry free that is claimed by the time it is taken: one of the two gets it.
#[tokio::test]
async fn an_entry_is_popped_or_claimed_but_not_both() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    for times in 0..40 {
        locking(&one).push("x").await.unwrap();
        let queue = locking(&two);
        let mut popping = Box::pin(async move { queue.pop().await });
        let mut left = times;
        let popped = std::future::poll_fn(|cx| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            match popping.as_mut().poll(cx) {
                Poll::Ready(popped) => Poll::Ready(Some(popped)),
                Poll::Pending if left == 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        if let Some(popped) = popped.await {
            assert_eq!(popped, Ok(Some(vec![b"x".to_vec()])));
            assert!(times > 2, "it was interrupted before its end");
            return;
        }
        let claimed = locking(&one).try_claim().await.unwrap();
        let popped = soon("its end", popping).await.unwrap();
        assert_ne!(claimed.is_some(), popped.is_some(), "after {times} polls");
        if let Some(claimed) = claimed {
            claimed.done().await.unwrap();
        }
    }
    panic!("it never came to its end");
}

/// A claim that went to somebody else carries no write of the one that had it before.
#[tokio::test]
async fn a_lost_claim_writes_nothing_while_another_has_it() {
    let server = server().await;
    let (one, two) = (
        client(server.address()).await,
        client(server.address()).await,
    );
    one.create("/result", "").await.unwrap();
    locking(&one).push("x").await.unwrap();
    let first = locking(&two).claim().await.unwrap();
    let old = two.session_id();
    expire(&server, &two).await;
    until("its next session", async || {
        two.session_id().is_some() && two.session_id() != old
    })
    .await;
    let second = soon("the entry", locking(&one).claim()).await.unwrap();
    let late = first.claim().fenced().set("/result", "late", None).commit();
    assert!(matches!(late.await, Err(Error::Lost(_))));
    assert_eq!(one.get("/result").await.unwrap().0, "");
    assert!(matches!(first.done().await, Err(Error::Lost(_))));
    let right = second.claim().fenced().set("/result", "right", None);
    right.commit().await.unwrap();
    second.done().await.unwrap();
}

/// What was counted, though nobody heard of it, was not delivered.
#[tokio::test]
async fn a_delivery_whose_count_is_not_answered_is_one_delivery() {
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let queue = locking(&one).max_deliveries(1);
    queue.push("x").await.unwrap();
    proxy.drop_reply(Which::To(OpCode::SetData));
    let claimed = soon("the entry", queue.claim()).await.unwrap();
    assert_eq!(claimed.items(), [b"x"]);
    claimed.done().await.unwrap();
}

/// An entry that may not be read keeps nobody from the others.
#[tokio::test]
async fn an_entry_that_may_not_be_read_is_passed_over() {
    let server = server().await;
    let one = client(server.address()).await;
    let queue = locking(&one);
    queue.push("first").await.unwrap();
    queue.claim().await.unwrap().done().await.unwrap();
    let path = format!("{DIRECTORY}/entries/entry-000-");
    let secret = one.create(path, "secret").sequential();
    let acl = Acl::new(Perms::WRITE, "world", "anyone");
    secret.acl([acl]).await.unwrap();
    assert!(queue.pop().await.is_err(), "there is no other");
    queue.push("next").await.unwrap();
    queue.push("last").await.unwrap();
    assert_eq!(queue.pop().await, Ok(Some(vec![b"next".to_vec()])));
    let last = soon("the last", queue.claim()).await.unwrap();
    last.done().await.unwrap();
    assert!(soon("an answer", queue.take()).await.is_err());
    assert!(soon("an answer", queue.claim()).await.is_err());
    empty(&one, &format!("{DIRECTORY}/taken")).await;
}

/// Curator's queues and kazoo's look for the directory of claims once, and fail when it goes.
#[tokio::test]
async fn the_directory_of_claims_is_none_that_goes_when_it_is_empty() {
    let (_server, proxy) = proxied().await;
    let one = client(proxy.address()).await;
    let containers = || proxy.tally().requests(OpCode::CreateContainer);
    for layout in [QueueLayout::KazooLocking, QueueLayout::Curator] {
        let directory = format!("{DIRECTORY}/{layout:?}");
        let queue = Queue::new(&one, &directory, layout).claims_at(format!("{directory}-taken"));
        queue.push("x").await.unwrap();
        let before = containers();
        queue.claim().await.unwrap().done().await.unwrap();
        assert_eq!(containers(), before, "{layout:?}");
    }
}
