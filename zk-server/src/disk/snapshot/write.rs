//! Writing a snapshot, on a thread of its own: beside the name, then durable, then under the name (O7).
//!
//! The tree is frozen and encoded elsewhere, piece by piece; the pieces come through a short queue that
//! says when it is full, so neither side runs ahead of the other. A snapshot that cannot be written is
//! given up and leaves nothing behind; the server goes on without it (P23).

use super::packing::Packer;
use super::{SLASH, header};
use crate::disk::files::{Files, is_full};
use crate::disk::names::{Compression, snapshot_name};
use bytes::Bytes;
use simd_adler32::Adler32;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zk_proto::Zxid;
use zk_proto::txn::TxnDigest;

/// Which file is to be written.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    /// `dataDir/version-2`.
    pub dir: PathBuf,
    /// The transaction it is named for: the last one in it.
    pub zxid: Zxid,
    /// How it is packed.
    pub compression: Compression,
}

/// What goes behind the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotTrailer {
    /// The tree's digest after a transaction.
    pub digest: Option<(Zxid, u64)>,
    /// The last transaction processed. Written only behind a digest: a Java server takes the one for
    /// the other where it expects both.
    pub last_zxid: Option<Zxid>,
}

/// How it ended.
#[derive(Debug)]
pub enum SnapshotEvent {
    /// It is durable under its name: what it makes superfluous may be purged.
    Written(SnapshotWritten),
    /// It was given up; nothing is left of it.
    Failed(SnapshotFailure),
    /// It was given up by the caller.
    Aborted(Zxid),
}

/// A finished snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotWritten {
    /// The transaction it is named for.
    pub zxid: Zxid,
    /// Its name.
    pub name: String,
    /// Its length on disk.
    pub bytes: u64,
    /// From the first piece to the last fsync.
    pub took: Duration,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
#[error("snapshot {path} could not be written: {error}")]
pub struct SnapshotFailure {
    /// Where it should be.
    pub path: String,
    /// What the system said.
    pub error: io::Error,
    /// Whether the disk is full.
    pub full: bool,
}

/// What became of a piece.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It will be written.
    Taken,
    /// The disk is behind; here it is back, for later.
    Full(Bytes),
    /// The snapshot has failed; its event tells why.
    Gone,
}

/// How many pieces may wait for the disk.
const QUEUE: usize = 8;
/// And how many bytes. One piece may always wait, however large it is.
const QUEUE_BYTES: usize = 4 << 20;

/// A snapshot on its way to the disk. Dropped before it is finished, it is given up.
#[derive(Debug)]
pub struct SnapshotWriter {
    pieces: Option<SyncSender<Piece>>,
    waiting: Arc<Waiting>,
    thread: Option<JoinHandle<()>>,
}

/// What was handed over and is not written yet.
#[derive(Debug, Default)]
struct Waiting {
    pieces: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    fn add(&self, bytes: usize) {
        self.pieces.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.pieces.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// One side only adds and the other only removes, so whoever adds sees never too little.
    fn has_room_for(&self, bytes: usize) -> bool {
        let pieces = self.pieces.load(Ordering::Relaxed);
        let waiting = self.bytes.load(Ordering::Relaxed);
        pieces == 0 || (pieces < QUEUE && waiting.saturating_add(bytes) <= QUEUE_BYTES)
    }
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    End(SnapshotTrailer),
}

impl SnapshotWriter {
    /// Starts the thread, which calls `on_event` once, at the end.
    pub fn start(
        files: Arc<dyn Files>,
        file: SnapshotFile,
        on_event: impl FnOnce(SnapshotEvent) + Send + 'static,
    ) -> io::Result<Self> {
        // The end has a place of its own: whoever tells it does not wait.
        let (sender, pieces) = sync_channel(QUEUE + 1);
        let waiting = Arc::new(Waiting::default());
        let pieces = Pieces {
            queue: pieces,
            waiting: Arc::clone(&waiting),
        };
        let work = move || {
            // A snapshot is never worth the server: what breaks while writing one is told as a failure.
            let written = AssertUnwindSafe(|| run(&*files, &file, &pieces));
            on_event(catch_unwind(written).unwrap_or_else(|_| panicked(&*files, &file)));
        };
        let thread = std::thread::Builder::new()
            .name("snapshot".into())
            .spawn(work)?;
        Ok(Self {
            pieces: Some(sender),
            waiting,
            thread: Some(thread),
        })
    }

    /// Hands over the next piece: sessions, ACLs and nodes with the closing "/", cut anywhere.
    pub fn push(&self, piece: Bytes) -> Pushed {
        let Some(pieces) = &self.pieces else {
            return Pushed::Gone;
        };
        let bytes = piece.len();
        if !self.waiting.has_room_for(bytes) {
            return Pushed::Full(piece);
        }
        self.waiting.add(bytes);
        match pieces.try_send(Piece::Bytes(piece)) {
            Ok(()) => Pushed::Taken,
            Err(TrySendError::Full(Piece::Bytes(piece))) => {
                self.waiting.remove(bytes);
                Pushed::Full(piece)
            }
            Err(TrySendError::Full(Piece::End(_)) | TrySendError::Disconnected(_)) => Pushed::Gone,
        }
    }

    /// Hands over the next piece and waits until there is room for it. False if the snapshot has failed.
    pub fn push_waiting(&self, piece: Bytes) -> bool {
        self.waiting.add(piece.len());
        let send = |pieces: &SyncSender<Piece>| pieces.send(Piece::Bytes(piece)).is_ok();
        self.pieces.as_ref().is_some_and(send)
    }

    /// Says that this was all. Does not wait for the disk, except behind [`SnapshotWriter::push_waiting`]:
    /// the thread ends by itself, and says so. Who lets go of the directory waits for it.
    #[must_use]
    pub fn finish(mut self, trailer: SnapshotTrailer) -> Option<JoinHandle<()>> {
        if let Some(pieces) = self.pieces.take() {
            // If the thread is gone it has told why.
            drop(pieces.send(Piece::End(trailer)));
        }
        self.thread.take()
    }

    /// Gives it up and does not wait until nothing is left of it: the event tells.
    pub fn give_up(&mut self) {
        self.pieces = None;
    }

    /// Gives it up; returns when nothing is left of it.
    pub fn abort(self) {
        drop(self);
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        self.pieces = None;
        if std::thread::panicking() {
            return; // Nobody waits for a disk now.
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the snapshot's thread panicked");
        }
    }
}

/// The thread's end of the queue.
struct Pieces {
    queue: Receiver<Piece>,
    waiting: Arc<Waiting>,
}

fn run(files: &dyn Files, file: &SnapshotFile, pieces: &Pieces) -> SnapshotEvent {
    let began = Instant::now();
    let name = snapshot_name(file.zxid, file.compression);
    let path = file.dir.join(&name);
    let tmp = file.dir.join(format!("{name}.tmp"));
    let written = files.create(&tmp).and_then(|handle| {
        let mut body = Body {
            packer: Packer::new(handle, file.compression)?,
            sum: Adler32::new(),
        };
        let Some(trailer) = body.take_pieces(pieces)? else {
            return Ok(None);
        };
        body.put_trailer(trailer)?;
        let bytes = body.packer.finish()?;
        files.rename(&tmp, &path)?;
        files.sync_dir(&file.dir)?;
        Ok(Some(bytes))
    });
    if !matches!(written, Ok(Some(_))) {
        discard(files, &tmp);
    }
    match written {
        Ok(Some(bytes)) => SnapshotEvent::Written(SnapshotWritten {
            zxid: file.zxid,
            name,
            bytes,
            took: began.elapsed(),
        }),
        Ok(None) => SnapshotEvent::Aborted(file.zxid),
        Err(error) => SnapshotEvent::Failed(SnapshotFailure {
            path: path.display().to_string(),
            full: is_full(&error),
            error,
        }),
    }
}

/// Removes what was begun. If even this fails, the next start does.
fn discard(files: &dyn Files, tmp: &Path) {
    if let Err(error) = files.remove(tmp) {
        tracing::debug!(%error, path = %tmp.display(), "half a snapshot stays for now");
    }
}

fn panicked(files: &dyn Files, file: &SnapshotFile) -> SnapshotEvent {
    let name = snapshot_name(file.zxid, file.compression);
    discard(files, &file.dir.join(format!("{name}.tmp")));
    SnapshotEvent::Failed(SnapshotFailure {
        path: file.dir.join(name).display().to_string(),
        error: io::Error::other("its thread panicked"),
        full: false,
    })
}

struct Body {
    packer: Packer,
    sum: Adler32,
}

impl Body {
    /// Writes header and pieces up to the end; nothing if the caller gave up.
    fn take_pieces(&mut self, pieces: &Pieces) -> io::Result<Option<SnapshotTrailer>> {
        self.put(&header())?;
        loop {
            match pieces.queue.recv() {
                Ok(Piece::Bytes(piece)) => {
                    self.put(&piece)?;
                    pieces.waiting.remove(piece.len());
                }
                Ok(Piece::End(trailer)) => return Ok(Some(trailer)),
                Err(_) => return Ok(None),
            }
        }
    }

    fn put_trailer(&mut self, trailer: SnapshotTrailer) -> io::Result<()> {
        self.put_seal()?;
        let Some((zxid, digest)) = trailer.digest else {
            return Ok(());
        };
        self.put(&zxid.to_wire().to_be_bytes())?;
        self.put(&TxnDigest::VERSION.to_be_bytes())?;
        self.put(&digest.to_be_bytes())?;
        self.put_seal()?;
        let Some(zxid) = trailer.last_zxid else {
            return Ok(());
        };
        self.put(&zxid.to_wire().to_be_bytes())?;
        self.put_seal()
    }

    fn put_seal(&mut self) -> io::Result<()> {
        self.put(&u64::from(self.sum.finish()).to_be_bytes())?;
        self.put(&SLASH)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.write(bytes);
        self.packer.write(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_in_pieces_and_bytes() {
        let waiting = Waiting::default();
        assert!(waiting.has_room_for(usize::MAX), "one piece always may");
        for _ in 0..4 {
            assert!(waiting.has_room_for(QUEUE_BYTES / 4));
            waiting.add(QUEUE_BYTES / 4);
        }
        assert!(!waiting.has_room_for(1));
        waiting.remove(QUEUE_BYTES / 4);
        assert!(waiting.has_room_for(QUEUE_BYTES / 4));
        assert!(!waiting.has_room_for(QUEUE_BYTES / 4 + 1));
        for _ in 3..QUEUE {
            assert!(waiting.has_room_for(0));
            waiting.add(0);
        }
        assert!(!waiting.has_room_for(0));
    }
}
