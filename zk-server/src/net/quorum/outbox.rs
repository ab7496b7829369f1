//! What waits to be written to a peer: messages, and pieces of a snapshot between them, in order.

use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use zk_zab::Message;

/// What a message takes besides its payload.
const MESSAGE_COST: usize = 64;
/// How much of a snapshot waits at most; the tree is not copied ahead of the socket.
const SNAPSHOT_ROOM: usize = 2 << 20;
/// How much is encoded for one write.
const WRITE_AT_ONCE: usize = 256 << 10;

#[derive(Debug)]
enum Item {
    Message(Message),
    Raw(Bytes),
}

impl Item {
    fn cost(&self) -> usize {
        match self {
            Self::Message(message) => MESSAGE_COST + payload_len(message),
            Self::Raw(bytes) => bytes.len(),
        }
    }
}

/// The bytes of a message that are not bounded by its kind.
fn payload_len(message: &Message) -> usize {
    match message {
        Message::Proposal { payload, .. }
        | Message::Inform { payload, .. }
        | Message::InformAndActivate { payload, .. } => payload.len(),
        Message::NewLeader { config, .. } => config.len(),
        Message::Request(forwarded) => {
            let identities = forwarded.identities.iter().flatten();
            let identities = identities.map(|one| one.scheme.len() + one.id.len());
            forwarded.body.len() + identities.sum::<usize>()
        }
        Message::Pong { touched, .. } => 12 * touched.len(),
        Message::FollowerInfo { .. }
        | Message::ObserverInfo { .. }
        | Message::LeaderInfo { .. }
        | Message::AckEpoch { .. }
        | Message::Diff { .. }
        | Message::Trunc { .. }
        | Message::Snap { .. }
        | Message::UpToDate
        | Message::Ack { .. }
        | Message::Commit { .. }
        | Message::Ping { .. }
        | Message::Revalidate(_)
        | Message::Revalidated { .. }
        | Message::Sync
        | Message::CommitAndActivate { .. } => 0,
    }
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Item>,
    bytes: usize,
    /// Nothing comes any more; what is here still leaves.
    finished: bool,
}

/// The queue between the loop, which never waits, and a connection's writer.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
    limit: usize,
}

/// The peer has taken in too little of what was said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            changed: Notify::new(),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a message.
    pub(crate) fn send(&self, message: Message) -> Result<(), Overflow> {
        self.put(Item::Message(message))
    }

    /// Leaves a piece of a snapshot.
    pub(crate) fn send_raw(&self, bytes: Bytes) -> Result<(), Overflow> {
        self.put(Item::Raw(bytes))
    }

    fn put(&self, item: Item) -> Result<(), Overflow> {
        let mut waiting = self.lock();
        // One item alone is always taken, however large.
        if waiting.bytes > 0 && waiting.bytes + item.cost() > self.limit {
            return Err(Overflow);
        }
        waiting.bytes += item.cost();
        let is_first = waiting.items.is_empty();
        waiting.items.push_back(item);
        drop(waiting);
        // The writer waits only when there is nothing, so only what ends that is worth a word.
        if is_first {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Whether another piece of a snapshot may be made.
    pub(crate) fn has_room(&self) -> bool {
        self.lock().bytes < SNAPSHOT_ROOM
    }

    /// This was all.
    pub(super) fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_one();
    }

    pub(super) fn is_finished(&self) -> bool {
        self.lock().finished
    }

    /// Waits for something to write and encodes it. False when there is and will be nothing more.
    pub(super) async fn fill(&self, out: &mut BytesMut) -> bool {
        loop {
            if self.take(out) {
                return true;
            }
            if self.lock().finished {
                return self.take(out);
            }
            self.changed.notified().await;
        }
    }

    fn take(&self, out: &mut BytesMut) -> bool {
        // Encoding may take a while: the loop does not wait for it.
        for item in self.pop_for_one_write() {
            match item {
                Item::Message(message) => message.encode(out),
                Item::Raw(bytes) => out.put_slice(&bytes),
            }
        }
        !out.is_empty()
    }

    fn pop_for_one_write(&self) -> Vec<Item> {
        let mut waiting = self.lock();
        let mut bytes = 0;
        let fits = |item: &&Item| {
            let begins_within = bytes < WRITE_AT_ONCE;
            bytes += item.cost();
            begins_within
        };
        let count = waiting.items.iter().take_while(fits).count();
        let items: Vec<_> = waiting.items.drain(..count).collect();
        waiting.bytes -= items.iter().map(Item::cost).sum::<usize>();
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_proto::Zxid;

    fn proposal(len: usize) -> Message {
        Message::Proposal {
            zxid: Zxid::from_wire(1),
            payload: vec![0; len].into(),
        }
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let outbox = Outbox::new(1000);
        assert_eq!(outbox.send(proposal(5000)), Ok(()), "one alone always fits");
        assert_eq!(outbox.send(Message::UpToDate), Err(Overflow), "(P31)");
        let mut out = BytesMut::new();
        assert!(outbox.take(&mut out));
        assert_eq!(outbox.send(proposal(500)), Ok(()));
        assert_eq!(outbox.send(proposal(500)), Err(Overflow));
        assert_eq!(outbox.send(proposal(300)), Ok(()));
    }

    #[tokio::test]
    async fn everything_leaves_in_order_before_the_end() {
        let outbox = Outbox::new(1 << 20);
        let mut expected = BytesMut::new();
        Message::UpToDate.encode(&mut expected);
        expected.put_slice(b"snapshot");
        Message::Sync.encode(&mut expected);
        outbox.send(Message::UpToDate).unwrap();
        outbox.send_raw(Bytes::from_static(b"snapshot")).unwrap();
        outbox.send(Message::Sync).unwrap();
        outbox.finish();
        let mut out = BytesMut::new();
        assert!(outbox.fill(&mut out).await);
        assert_eq!(out, expected);
        assert!(!outbox.fill(&mut BytesMut::new()).await);
    }
}
