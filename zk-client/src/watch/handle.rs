//! What callers hold: a one-shot watcher, which is consumed by its event, and a lasting one, which is a stream.
//! Dropping either takes its watch along.

use super::{Event, Inbox, Item, SubscriptionId, WatchItem};
use crate::driver::{Command, WeakCommands};
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A watcher's place in the driver; gives it up when dropped.
pub(crate) struct Subscription {
    pub(crate) id: SubscriptionId,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) commands: WeakCommands,
    /// The chroot, which events are told without.
    pub(crate) root: Arc<str>,
}

impl Subscription {
    fn event(&self, item: Item) -> WatchItem {
        match item {
            Item::Event { event, path, zxid } => WatchItem::Event(Event {
                kind: event,
                path: crate::path::strip(&self.root, &path).to_owned(),
                zxid,
            }),
            Item::Gap { since } => WatchItem::Gap { since },
            Item::Lost => WatchItem::Lost,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // A driver that is gone has no watches.
        if let Some(commands) = self.commands.upgrade() {
            let _gone = commands.send(Command::Unwatch(self.id));
        }
    }
}

/// What a one-shot watcher hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnceEvent {
    /// It fired.
    Fired(Event),
    /// The session ended before it could.
    Lost,
}

/// A watch that fires once: consumed by [`Once::changed`], removed when dropped.
///
/// It survives reconnects. What changed while there was no connection fires it then; only a node that was
/// created and deleted again in between goes unnoticed by a watch for its creation.
#[must_use = "dropping a watcher removes its watch"]
pub struct Once {
    pub(crate) subscription: Subscription,
}

impl Once {
    /// Waits for the change.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the watcher, and the server's watch with it. To wait in a `select!` loop and keep
    /// the watcher, pin this future outside of the loop.
    pub async fn changed(self) -> OnceEvent {
        loop {
            let next = std::future::poll_fn(|cx| self.subscription.inbox.poll(cx)).await;
            match next.map(|item| self.subscription.event(item)) {
                Some(WatchItem::Event(event)) => return OnceEvent::Fired(event),
                Some(WatchItem::Gap { .. }) => {}
                Some(WatchItem::Lost) | None => return OnceEvent::Lost,
            }
        }
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Once").field(&self.subscription.id).finish()
    }
}

/// A watch that lasts until it is dropped: a `Stream` of what happens, which survives reconnects and says
/// [`WatchItem::Gap`] when it cannot know.
#[must_use = "dropping a watcher removes its watch"]
pub struct Watch {
    pub(crate) subscription: Subscription,
}

impl Watch {
    /// The next item; `None` after [`WatchItem::Lost`].
    ///
    /// # Cancellation
    ///
    /// Safe: an item is taken only when it is returned.
    pub async fn next(&mut self) -> Option<WatchItem> {
        std::future::poll_fn(|cx| self.poll_item(cx)).await
    }

    fn poll_item(&self, cx: &mut Context<'_>) -> Poll<Option<WatchItem>> {
        let item = std::task::ready!(self.subscription.inbox.poll(cx));
        Poll::Ready(item.map(|item| self.subscription.event(item)))
    }
}

impl Stream for Watch {
    type Item = WatchItem;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchItem>> {
        self.poll_item(cx)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.subscription.id).finish()
    }
}
