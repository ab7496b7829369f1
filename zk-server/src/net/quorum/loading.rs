//! A leader's snapshot on its way from a connection into a tree, on a thread of its own.
//!
//! The thread asks for the next bytes when it has used those before, so that nothing piles up between
//! network and tree, and gives back what is behind the snapshot.

use super::{PeerEvent, Report};
use crate::config::Config;
use crate::storage::rejoin::load_sync;
use bytes::{Buf, Bytes};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;
use zk_proto::Zxid;
use zk_zab::LinkId;

/// What the thread says to the connection.
pub(super) enum Loaded {
    /// More is needed.
    More(oneshot::Sender<Bytes>),
    /// The snapshot is in; this was behind it.
    Done(Bytes),
}

/// The bytes of a connection, for a thread that waits for them.
pub(super) struct Feed {
    hunger: mpsc::Sender<Loaded>,
    plate: Bytes,
}

impl Feed {
    pub(super) fn new() -> (Self, mpsc::Receiver<Loaded>) {
        let (hunger, hungry) = mpsc::channel(1);
        let plate = Bytes::new();
        (Self { hunger, plate }, hungry)
    }

    fn refill(&mut self) -> Option<Bytes> {
        let (plate, served) = oneshot::channel();
        self.hunger.blocking_send(Loaded::More(plate)).ok()?;
        served.blocking_recv().ok()
    }
}

impl Read for Feed {
    /// The end of the connection is the end of the snapshot, wherever that is.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.plate.is_empty() {
            self.plate = self.refill().ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        let len = into.len().min(self.plate.len());
        self.plate.copy_to_slice(&mut into[..len]);
        Ok(len)
    }
}

/// The thread. It always says how it ended, before the connection goes on.
pub(super) fn load(mut feed: Feed, link: LinkId, zxid: Zxid, config: &Config, report: &Report) {
    let loading = AssertUnwindSafe(|| load_sync(&mut feed, config, zxid));
    match catch_unwind(loading) {
        Ok(Ok(tree)) => report(PeerEvent::SnapshotLoaded {
            link,
            zxid,
            tree: Box::new(tree),
        }),
        Ok(Err(error)) => {
            warn!(%link, %error, "the leader's snapshot cannot be used");
            return report(PeerEvent::SnapshotLost { link });
        }
        Err(_) => {
            warn!(%link, "the thread that loads a snapshot panicked");
            return report(PeerEvent::SnapshotLost { link });
        }
    }
    let rest = std::mem::take(&mut feed.plate);
    // A connection that has ended meanwhile has said so.
    let _gone = feed.hunger.blocking_send(Loaded::Done(rest));
}
