//! One connection to another member: a task that reads, a task that writes, and a handle for the loop.

use super::loading::{Feed, Loaded, load};
use super::{NewLink, Outbox, PeerEvent, Report};
use crate::config::Config;
use bytes::BytesMut;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tracing::debug;
use zk_proto::Zxid;
use zk_zab::wire::{WireError, take_message};
use zk_zab::{LinkId, Message};

/// How much one read asks for.
const APPETITE: usize = 64 << 10;
/// How much of what a peer said may wait for the loop, in KiB.
const CREDIT_KIB: usize = 16 << 10;
/// How much may wait for a peer (P31).
const OUTBOX_LIMIT: usize = 128 << 20;
/// How long last words may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the loop holds of a connection. Dropped, it is the end of the connection: what was sent still leaves,
/// if it leaves soon.
pub(crate) struct Handle {
    outbox: Arc<Outbox>,
    orders: mpsc::Sender<Zxid>,
    reader: JoinHandle<()>,
    seat: Option<Seat>,
}

/// A place among the connections that were accepted.
pub(super) struct Seat(Arc<AtomicUsize>);

impl Seat {
    pub(super) fn take(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A part of what may wait for the loop, given back when it is dropped.
pub(crate) struct Credit {
    _permit: OwnedSemaphorePermit,
}

/// Why a connection ended; worth a line at debug level.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the peer closed it")]
    ByPeer,
    #[error("{0}")]
    Nonsense(#[from] WireError),
    #[error("the loop has no use for it any more")]
    ByLoop,
    #[error("the snapshot cannot be used")]
    Snapshot,
    #[error("a leader that began a snapshot has been silent for too long")]
    Silent,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Handle {
    pub(super) const fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Says that what follows is a snapshot and is to be loaded.
    /// False if the connection has ended.
    pub(super) fn load_snapshot(&self, zxid: Zxid) -> bool {
        self.orders.try_send(zxid).is_ok()
    }

    /// Takes the connection out of a count when it ends.
    pub(super) fn count_in(&mut self, seat: Seat) {
        self.seat = Some(seat);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.outbox.finish();
        self.reader.abort();
    }
}

/// Starts both tasks of a connection.
pub(super) fn begin(
    stream: TcpStream,
    id: LinkId,
    config: &Arc<Config>,
    report: &Report,
) -> NewLink {
    let _best_effort = stream.set_nodelay(true);
    let (from, to) = stream.into_split();
    let outbox = Arc::new(Outbox::new(OUTBOX_LIMIT));
    tokio::spawn(write(to, Arc::clone(&outbox)));
    let (orders, received) = mpsc::channel(1);
    let reader = Reader {
        id,
        from,
        buffer: BytesMut::new(),
        credit: Arc::new(Semaphore::new(CREDIT_KIB)),
        orders: received,
        config: Arc::clone(config),
        report: Arc::clone(report),
    };
    let handle = Handle {
        outbox,
        orders,
        reader: tokio::spawn(reader.run()),
        seat: None,
    };
    NewLink { id, handle }
}

/// Writes until there is nothing more to write, or nobody takes it. That it has failed the reader hears too.
async fn write(mut to: OwnedWriteHalf, outbox: Arc<Outbox>) {
    let mut out = BytesMut::new();
    while outbox.fill(&mut out).await {
        let written = if outbox.is_finished() {
            let last = tokio::time::timeout(LAST_WORDS, to.write_all(&out)).await;
            last.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        } else {
            to.write_all(&out).await
        };
        if let Err(error) = written {
            return debug!(%error, "a peer's connection cannot be written to");
        }
        out.clear();
    }
    let _best_effort = to.shutdown().await;
}

struct Reader {
    id: LinkId,
    from: OwnedReadHalf,
    buffer: BytesMut,
    credit: Arc<Semaphore>,
    orders: mpsc::Receiver<Zxid>,
    config: Arc<Config>,
    report: Report,
}

impl Reader {
    async fn run(mut self) {
        let link = self.id;
        let Err(ended) = self.read().await;
        debug!(%link, reason = %ended, "a peer's connection ended");
        (self.report)(PeerEvent::Closed { link });
    }

    async fn read(&mut self) -> Result<std::convert::Infallible, Ended> {
        loop {
            self.buffer.reserve(APPETITE);
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Err(Ended::ByPeer);
            }
            while self.take_messages().await? {
                self.take_snapshot().await?;
            }
        }
    }

    /// Tells what has come, up to a SNAP; whether there was one.
    async fn take_messages(&mut self) -> Result<bool, Ended> {
        let limit = crate::storage::peer_field_limit(&self.config);
        let before = self.buffer.len();
        let mut messages = Vec::new();
        let mut snap = false;
        let mut wrong = None;
        while !snap {
            match take_message(&mut self.buffer, limit) {
                Ok(Some(message)) => {
                    snap = matches!(message, Message::Snap { .. });
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => {
                    wrong = Some(error);
                    break;
                }
            }
        }
        if !messages.is_empty() {
            self.tell(messages, before - self.buffer.len()).await?;
        }
        match wrong {
            Some(error) => Err(error.into()),
            None => Ok(snap),
        }
    }

    /// Waits until the loop has caught up, so that no more than the credit ever waits for it.
    async fn tell(&self, messages: Vec<Message>, bytes: usize) -> Result<(), Ended> {
        let kib = (bytes / 1024 + 1).min(CREDIT_KIB);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.credit).acquire_many_owned(kib).await;
        let credit = Credit {
            _permit: permit.map_err(|_| Ended::ByLoop)?,
        };
        (self.report)(PeerEvent::Received {
            link: self.id,
            messages,
            credit,
        });
        Ok(())
    }

    /// Feeds what follows to a thread that makes a tree of it, and goes on behind it. A snapshot may take any
    /// time, but not a leader between two pieces of it: the agreement relies on that.
    async fn take_snapshot(&mut self) -> Result<(), Ended> {
        let ensemble = self.config.ensemble.as_ref();
        let ticks = ensemble.map_or(1, |ensemble| ensemble.patience.init_limit);
        let patience = self.config.sessions.tick_time * ticks;
        let zxid = self.orders.recv().await.ok_or(Ended::ByLoop)?;
        let (feed, mut hungry) = Feed::new();
        let (link, report) = (self.id, Arc::clone(&self.report));
        let config = Arc::clone(&self.config);
        std::thread::Builder::new()
            .name("sync".into())
            .spawn(move || load(feed, link, zxid, &config, &report))?;
        loop {
            match hungry.recv().await.ok_or(Ended::Snapshot)? {
                Loaded::More(plate) => {
                    if self.buffer.is_empty() {
                        self.buffer.reserve(APPETITE);
                        let read = self.from.read_buf(&mut self.buffer);
                        let read = tokio::time::timeout(patience, read).await;
                        if read.map_err(|_| Ended::Silent)?? == 0 {
                            return Err(Ended::ByPeer);
                        }
                    }
                    // A thread that has given up has said so.
                    let _gone = plate.send(self.buffer.split().freeze());
                }
                Loaded::Done(rest) => {
                    let mut buffer = BytesMut::from(&rest[..]);
                    buffer.extend_from_slice(&self.buffer);
                    self.buffer = buffer;
                    return Ok(());
                }
            }
        }
    }
}
