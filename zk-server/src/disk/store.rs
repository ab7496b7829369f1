//! The log as files: one open segment, a batch written at once, made durable at once.
//!
//! Synchronous and without a clock, so that the simulator runs exactly this; the thread and the queue
//! around it are in `log`. After any error the store is dead: what the kernel did with the batch is
//! unknown, and asking it again would only make it lie (P22).

use super::files::{Files, Handle, is_full};
use super::mark::{MARK_NAME, Mark, MarkFile, SEAL_LEN, put_seal};
use super::names::log_name;
use super::record::{self, FRAME_LEN, HEADER_LEN};
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zk_proto::Zxid;

/// One transaction for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its place in the order.
    pub zxid: Zxid,
    /// Header, transaction and digest, encoded.
    pub payload: Bytes,
}

impl LogRecord {
    /// What it takes in the log.
    pub fn len_on_disk(&self) -> u64 {
        (FRAME_LEN + self.payload.len()) as u64
    }
}

/// How the files are written.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Where the logs are: `dataLogDir/version-2`.
    pub dir: PathBuf,
    /// By how many bytes a file is extended ahead of need (`preAllocSize`); 0 for not at all.
    pub preallocate: u64,
    /// Whether a batch is fsynced (`forceSync`).
    pub force_sync: bool,
    /// Above which length a file is left for a new one (`txnLogSizeLimitInKb`).
    pub roll_above: Option<u64>,
    /// Where the nonces of the seals come from: chance in production, the seed in a simulation.
    pub nonce_seed: u64,
}

impl StoreOptions {
    /// Java's defaults.
    pub fn new(dir: PathBuf) -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self {
            dir,
            preallocate: 64 << 20,
            force_sync: true,
            roll_above: None,
            nonce_seed: RandomState::new().hash_one(0),
        }
    }
}

/// A buffer that grew beyond this for one batch is given back after it.
const BUFFER_KEPT: usize = 4 << 20;
/// Java extends a file when this little is left of it.
const HEADROOM: u64 = 4096;
/// Where the disk is nearly full, files grow in steps down to this.
const SMALLEST_STEP: u64 = 64 << 10;

/// The log's files, open for appending.
#[derive(Debug)]
pub struct LogStore {
    files: Arc<dyn Files>,
    options: StoreOptions,
    segment: Option<Segment>,
    mark: Option<MarkFile>,
    /// How often the mark could not be written.
    mark_errors: u64,
    /// The last transaction that is durable.
    durable: Zxid,
    dead: bool,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Segment {
    handle: Box<dyn Handle>,
    path: PathBuf,
    first: Zxid,
    nonce: u64,
    /// Where the next record goes.
    position: u64,
    /// The length with the padding.
    size: u64,
    last: Zxid,
    /// Whether a seal stands behind the last record.
    sealed: bool,
    /// How far the mark file knows durably.
    marked: u64,
    durable_position: u64,
}

impl LogStore {
    /// Continues after `last`, in a new file, as Java does: the old ones are never appended to.
    pub fn new(files: Arc<dyn Files>, options: StoreOptions, last: Zxid) -> Self {
        Self {
            files,
            options,
            segment: None,
            mark: None,
            mark_errors: 0,
            durable: last,
            dead: false,
            buffer: Vec::new(),
        }
    }

    /// The last durable transaction.
    pub const fn durable(&self) -> Zxid {
        self.durable
    }

    /// The name and the written length of the file in use, if there is one.
    pub fn segment(&self) -> Option<(String, u64)> {
        let segment = self.segment.as_ref()?;
        Some((log_name(segment.first), segment.position))
    }

    /// Writes a batch behind everything before it; [`LogStore::sync`] makes it durable.
    pub fn write(&mut self, batch: &[LogRecord]) -> io::Result<()> {
        let Some(first) = batch.first() else {
            return Ok(());
        };
        self.guarded(|store| {
            if store.segment.is_none() {
                store.segment = Some(store.open_segment(first.zxid)?);
            }
            store.write_batch(batch)
        })
    }

    /// Makes all that was written durable; the caller may acknowledge up to the zxid returned.
    pub fn sync(&mut self) -> io::Result<Zxid> {
        self.guarded(|store| {
            if let Some(segment) = &mut store.segment {
                if store.options.force_sync {
                    at(&segment.path, "sync", segment.handle.sync())?;
                }
                segment.durable_position = segment.position;
                store.durable = segment.last;
            }
            Ok(store.durable)
        })?;
        self.note_durable();
        Ok(self.durable)
    }

    /// Whether the file in use has outgrown its limit.
    pub fn is_over_limit(&self) -> bool {
        match (&self.segment, self.options.roll_above) {
            (Some(segment), Some(limit)) => segment.position > limit,
            _ => false,
        }
    }

    /// Ends the file in use, after making it durable; the next batch begins a new one.
    pub fn roll(&mut self) -> io::Result<()> {
        self.sync()?;
        self.guarded(|store| {
            let saved = store.save_mark();
            let Some(segment) = store.segment.take() else {
                return Ok(());
            };
            if segment.sealed && saved {
                // Left as Java leaves it: only zeros behind the last record. The mark says it all now.
                at(&segment.path, "write", segment.unseal())?;
                at(&segment.path, "sync", segment.handle.sync())?;
            }
            Ok(())
        })
    }

    /// Whether [`LogStore::save_mark`] would have something to say.
    pub fn is_mark_stale(&self) -> bool {
        let stale = |segment: &Segment| segment.marked < segment.durable_position;
        !self.dead && self.segment.as_ref().is_some_and(stale)
    }

    /// Makes what the mark says durable. Returns whether it is.
    pub fn save_mark(&mut self) -> bool {
        let (Some(segment), Some(file)) = (&mut self.segment, &mut self.mark) else {
            return false;
        };
        let mark = segment.mark(self.durable);
        let saved = file.write(&mark).and_then(|()| file.sync());
        let is_saved = saved.is_ok();
        // Tried once: it is tried again when there is more to say.
        segment.marked = segment.durable_position;
        self.count_mark_error(saved);
        is_saved
    }

    /// How often the mark could not be written. That is no reason to stop: it is only late then.
    pub const fn mark_errors(&self) -> u64 {
        self.mark_errors
    }

    /// Writes down how far the log is durable, for a start after a kill.
    ///
    /// With `forceSync=no` nothing is known to be durable, and nothing is claimed.
    fn note_durable(&mut self) {
        if let (Some(segment), Some(file)) = (&mut self.segment, &mut self.mark)
            && segment.marked < segment.durable_position
        {
            let written = file.write(&segment.mark(self.durable));
            self.count_mark_error(written);
        }
    }

    fn count_mark_error(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            if self.mark_errors == 0 {
                let file = self.options.dir.join(MARK_NAME);
                tracing::warn!(file = %file.display(), %error, "the durable mark cannot be written");
            }
            self.mark_errors += 1;
        }
    }

    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.dead {
            return Err(io::Error::other("the log failed before"));
        }
        let result = work(self);
        self.dead = result.is_err();
        result
    }

    /// Makes a file whose name, header and nonce are durable before any record of it is (O8).
    fn open_segment(&mut self, first: Zxid) -> io::Result<Segment> {
        assert!(first > self.durable, "the log only grows");
        let name = log_name(first);
        let path = self.options.dir.join(&name);
        let nonce = if self.options.force_sync {
            nonce(self.options.nonce_seed, first)
        } else {
            // What an earlier run knew says nothing about what is written from now on.
            let dir = &self.options.dir;
            at(
                dir,
                "forget the durable mark",
                Mark::forget(&*self.files, dir),
            )?;
            0
        };
        let handle = at(&path, "create", self.files.create(&path))?;
        let header = record::file_header(nonce);
        at(&path, "write", handle.write_at(0, &header))?;
        let header = HEADER_LEN as u64;
        let mut segment = Segment {
            handle,
            path,
            first,
            nonce,
            position: header,
            size: header,
            last: self.durable,
            sealed: false,
            marked: header,
            durable_position: header,
        };
        segment.make_room(&[header], self.options.preallocate)?;
        if self.options.force_sync {
            at(&segment.path, "sync", segment.handle.sync())?;
            let dir = &self.options.dir;
            at(dir, "sync the directory", self.files.sync_dir(dir))?;
            self.begin_mark(&segment.mark(self.durable))?;
        }
        tracing::debug!(file = name, "log file begun");
        Ok(segment)
    }

    fn begin_mark(&mut self, first: &Mark) -> io::Result<()> {
        let path = self.options.dir.join(MARK_NAME);
        let mark = match &mut self.mark {
            Some(mark) => mark,
            None => {
                let opened = MarkFile::open(&*self.files, &self.options.dir);
                self.mark.insert(at(&path, "open", opened)?)
            }
        };
        at(&path, "write", mark.write(first))?;
        at(&path, "sync", mark.sync())
    }

    fn write_batch(&mut self, batch: &[LogRecord]) -> io::Result<()> {
        let Some(segment) = &mut self.segment else {
            return Ok(());
        };
        self.buffer.clear();
        let mut end = segment.position;
        let mut begins = Vec::with_capacity(batch.len());
        for record in batch {
            assert!(record.zxid > segment.last, "the log only grows");
            segment.last = record.zxid;
            begins.push(end);
            record::encode(&record.payload, &mut self.buffer)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            end = segment.position + self.buffer.len() as u64;
        }
        let room = match segment.make_room(&begins, self.options.preallocate) {
            // The room found earlier may do for a while yet (P23).
            Err(error) if is_full(&error) && end <= segment.size => {
                tracing::warn!(%error, "the disk is full; the log lives on what it had reserved");
                false
            }
            other => other.map(|()| true)?,
        };
        // Where fsync means nothing there is nothing to tell, and a full disk has no room to tell it.
        let sealed = self.options.force_sync && (room || end + SEAL_LEN as u64 <= segment.size);
        if sealed {
            put_seal(
                segment.nonce,
                segment.first,
                segment.position,
                &mut self.buffer,
            );
        }
        let written = segment.handle.write_at(segment.position, &self.buffer);
        at(&segment.path, "write", written)?;
        segment.position = end;
        segment.size = segment.size.max(end);
        segment.sealed = sealed;
        self.buffer.shrink_to(BUFFER_KEPT);
        Ok(())
    }
}

impl Segment {
    fn mark(&self, durable: Zxid) -> Mark {
        Mark {
            log: self.first,
            nonce: self.nonce,
            zxid: durable,
            offset: self.durable_position,
        }
    }

    /// Takes the seal away; beyond the padding the file ends with the last record again.
    fn unseal(&self) -> io::Result<()> {
        let end = self.position + SEAL_LEN as u64;
        if end > self.size {
            self.handle.set_size(self.size)?;
        }
        let inside = usize::try_from(end.min(self.size) - self.position).unwrap_or(0);
        self.handle
            .write_at(self.position, &[0; SEAL_LEN][..inside])
    }

    /// Finds room ahead of records that begin at these places. A disk that has no room for a whole
    /// step may have it for a smaller one.
    fn make_room(&mut self, begins: &[u64], mut step: u64) -> io::Result<()> {
        loop {
            let pad = |size, begin: &u64| padded(*begin, size, step);
            let size = begins.iter().fold(self.size, pad);
            if size <= self.size {
                return Ok(());
            }
            match self.handle.reserve(self.size, size) {
                Ok(()) => {
                    self.size = size;
                    return Ok(());
                }
                Err(error) if is_full(&error) && step > SMALLEST_STEP => step /= 2,
                Err(error) => return at(&self.path, "find room", Err(error)),
            }
        }
    }
}

/// Says which file it was, and keeps the kind.
fn at<T>(path: &Path, doing: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| {
        let text = format!("{}: cannot {doing}: {error}", path.display());
        io::Error::new(error.kind(), text)
    })
}

/// The length a file has before a record is written at `position`, by Java's rule.
fn padded(position: u64, size: u64, step: u64) -> u64 {
    if step == 0 || position + HEADROOM < size {
        size
    } else if position > size {
        let target = position + step;
        target - target % step
    } else {
        size + step
    }
}

/// Any number that is not zero and that nobody outside can guess.
fn nonce(seed: u64, first: Zxid) -> u64 {
    let mut mixed = seed
        ^ first
            .to_wire()
            .cast_unsigned()
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) | 1
}
