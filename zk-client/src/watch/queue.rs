//! What a watcher has not looked at yet: a bounded queue between the driver, which never waits, and a watcher,
//! which may be slow. What does not fit becomes one gap.

use super::Item;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use zk_proto::Zxid;

#[derive(Debug)]
struct Inner {
    items: VecDeque<Item>,
    waker: Option<Waker>,
    /// Everything up to here was taken.
    taken: Zxid,
    ended: bool,
}

/// One watcher's queue.
#[derive(Debug)]
pub(crate) struct Inbox {
    inner: Mutex<Inner>,
    limit: usize,
}

impl Inbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                items: VecDeque::new(),
                waker: None,
                taken: Zxid::ZERO,
                ended: false,
            }),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item. Gaps in a row are one gap, and a queue that is full becomes one.
    pub(crate) fn push(&self, item: Item) {
        let mut inner = self.lock();
        if inner.ended {
            return;
        }
        let repeated = matches!(item, Item::Gap { .. })
            && matches!(inner.items.back(), Some(Item::Gap { .. }));
        if item == Item::Lost {
            inner.ended = true;
            inner.items.push_back(item);
        } else if inner.items.len() >= self.limit {
            let since = match inner.items.front() {
                Some(Item::Gap { since }) => *since,
                Some(Item::Event { .. } | Item::Lost) | None => inner.taken,
            };
            inner.items.clear();
            inner.items.push_back(Item::Gap { since });
        } else if !repeated {
            inner.items.push_back(item);
        }
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the oldest item; `None` behind the last. Nothing is lost if the result is not awaited to its end.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let mut inner = self.lock();
        let Some(item) = inner.items.pop_front() else {
            if inner.ended {
                return Poll::Ready(None);
            }
            inner.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        match &item {
            Item::Event { zxid, .. } => {
                if let Some(zxid) = zxid {
                    inner.taken = inner.taken.max(*zxid);
                }
            }
            Item::Gap { since } => inner.taken = inner.taken.max(*since),
            Item::Lost => {}
        }
        Poll::Ready(Some(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_proto::EventType;

    fn event(zxid: i64) -> Item {
        Item::Event {
            event: EventType::DataChanged,
            path: "/a".into(),
            zxid: Some(Zxid::from_wire(zxid)),
        }
    }

    fn take(inbox: &Inbox) -> Poll<Option<Item>> {
        inbox.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_watcher_that_does_not_keep_up_finds_one_gap() {
        let inbox = Inbox::new(3);
        inbox.push(event(1));
        assert_eq!(take(&inbox), Poll::Ready(Some(event(1))));
        (2..=9).for_each(|zxid| inbox.push(event(zxid)));
        let since = Zxid::from_wire(1);
        assert_eq!(take(&inbox), Poll::Ready(Some(Item::Gap { since })));
        inbox.push(event(10));
        while let Poll::Ready(Some(item)) = take(&inbox) {
            assert_ne!(item, Item::Gap { since: Zxid::ZERO });
        }
        assert_eq!(take(&inbox), Poll::Pending);
    }

    #[test]
    fn nothing_follows_the_end() {
        let inbox = Inbox::new(3);
        inbox.push(Item::Lost);
        inbox.push(event(1));
        assert_eq!(take(&inbox), Poll::Ready(Some(Item::Lost)));
        assert_eq!(take(&inbox), Poll::Ready(None));
    }
}
