//! A log file read from its start, piece by piece, in bounded memory.
//!
//! The rules are `record`'s; here are only the windows they are applied to, and the look behind the
//! place where the records end.

use super::files::{Files, Handle};
use super::mark::{Mark, SEAL_LEN, find_seals};
use super::record::{
    self, Defect, FRAME_LEN, HEADER_LEN, PREFIX_LEN, Step, Survivor, find_survivor, survivor_budget,
};
use bytes::Bytes;
use std::io;
use std::path::Path;
use zk_proto::Zxid;

/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// A record and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it begins.
    pub offset: u64,
    /// Its place in the order.
    pub zxid: Zxid,
    /// The transaction, in memory of its own.
    pub payload: Bytes,
}

/// What comes next in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A record.
    Entry(LogEntry),
    /// No more of them.
    End(LogEnd),
}

/// Where and how the records end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// Where the last one ends.
    pub at: u64,
    /// How long the file is.
    pub size: u64,
    /// What is there instead of another.
    pub defect: Option<Defect>,
    /// What is behind that.
    pub behind: Behind,
}

/// What is behind a defect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// Where a record with a right checksum stands.
    pub survivor: Option<u64>,
    /// Whether there was too much that looks like one to be sure that there is none.
    pub unsure: bool,
    /// Whether a seal stands right there.
    pub seal_here: bool,
    /// Where the last batch begins, by all the seals there are.
    pub sealed_from: Option<u64>,
    /// Whether there is more than zeros, and a seal right there.
    pub dirty: bool,
    /// Whether the file is nothing but zeros, header included.
    pub blank: bool,
}

/// A log being read.
#[derive(Debug)]
pub struct LogReader {
    handle: Box<dyn Handle>,
    size: u64,
    /// Behind which nothing was ever written.
    data_end: u64,
    window: Vec<u8>,
    /// Where in the file the window begins.
    begin: u64,
    /// How much of the window is done with.
    used: usize,
    limit: usize,
    mark: Option<Mark>,
    header_seen: bool,
}

impl LogReader {
    /// Makes sure that the file stays as it is while this reads it, even if it is removed.
    pub fn keep_whole(&self) -> io::Result<()> {
        self.handle.keep_whole()
    }

    /// Opens the log. `limit` is the longest transaction that is believed; the mark, if it names this
    /// log and was made for it, tells its seals.
    pub fn open(
        files: &dyn Files,
        path: &Path,
        limit: usize,
        mark: Option<Mark>,
    ) -> io::Result<Self> {
        let handle = files.open_read(path)?;
        Ok(Self {
            size: handle.size()?,
            data_end: handle.data_end()?,
            handle,
            window: Vec::new(),
            begin: 0,
            used: 0,
            limit,
            mark,
            header_seen: false,
        })
    }

    /// The length of the file.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The mark, unless the header has shown that it was another file's of the same name.
    pub const fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// Reads on.
    pub fn advance(&mut self) -> io::Result<Next> {
        if !self.header_seen {
            self.fill(HEADER_LEN)?;
            match record::check_header(&self.window) {
                Ok(nonce) => self.mark = self.mark.filter(|mark| mark.nonce == nonce),
                Err(defect) => return self.end(Some(defect)).map(Next::End),
            }
            self.used = HEADER_LEN;
            self.header_seen = true;
        }
        let mut wanted = FRAME_LEN;
        loop {
            let last = self.fill(wanted)?;
            let offset = self.position();
            let window = self.window.get(self.used..).unwrap_or_default();
            let defect = match record::step(window, last, self.limit) {
                Step::More(needed) => {
                    wanted = needed;
                    continue;
                }
                Step::Record { payload, len } => match record::zxid_of(payload) {
                    Ok(zxid) => {
                        let payload = Bytes::copy_from_slice(payload);
                        self.used += len;
                        return Ok(Next::Entry(LogEntry {
                            offset,
                            zxid,
                            payload,
                        }));
                    }
                    Err(defect) => Some(defect),
                },
                Step::Eof => None,
                Step::Zeros if self.only_zeros_from(offset)? => None,
                Step::Zeros => Some(Defect::ZeroLength),
                Step::Bad(Defect::HugeLength) if self.is_whole()? => Some(Defect::AboveLimit),
                Step::Bad(defect) => Some(defect),
            };
            return self.end(defect).map(Next::End);
        }
    }

    /// Where the last record returned ends.
    pub const fn position(&self) -> u64 {
        self.begin + self.used as u64
    }

    /// Has at least `wanted` unused bytes in the window, if the file has; true if the file ends with it.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.window.len() - self.used < wanted {
            self.window.drain(..self.used);
            self.begin += self.used as u64;
            self.used = 0;
            let have = self.window.len();
            let more = wanted.saturating_sub(have).max(CHUNK);
            let left = self.size.saturating_sub(self.begin + have as u64);
            let more = usize::try_from(left).map_or(more, |left| left.min(more));
            let fresh = read_piece(&*self.handle, self.begin + have as u64, more)?;
            if fresh.len() < more {
                // Somebody cuts the file under our hands; what is there counts.
                self.size = self.begin + (have + fresh.len()) as u64;
            }
            self.window.extend_from_slice(&fresh);
        }
        Ok(self.begin + self.window.len() as u64 >= self.size)
    }

    fn only_zeros_from(&self, from: u64) -> io::Result<bool> {
        let mut at = from;
        while at < self.size.min(self.data_end) {
            let piece = read_piece(&*self.handle, at, CHUNK)?;
            if piece.is_empty() {
                break;
            }
            if !is_zero(&piece) {
                return Ok(false);
            }
            at += piece.len() as u64;
        }
        Ok(true)
    }

    fn end(&self, defect: Option<Defect>) -> io::Result<LogEnd> {
        let behind = match defect {
            None => Behind::default(),
            Some(_) => self.look_behind()?,
        };
        Ok(LogEnd {
            at: self.position(),
            size: self.size,
            defect,
            behind,
        })
    }

    /// Searches all that is left. What follows a seal right here is most often nothing but padding.
    fn look_behind(&self) -> io::Result<Behind> {
        let from = self.position();
        let mut behind = Behind::default();
        if let Some(mark) = self.mark {
            let here = read_piece(&*self.handle, from, SEAL_LEN)?;
            if let Some(seal) = find_seals(&here, mark).next() {
                behind.seal_here = true;
                behind.sealed_from = Some(seal.begin);
                if self.only_zeros_from(from + SEAL_LEN as u64)? {
                    return Ok(behind);
                }
            }
        }
        behind.blank = from == 0 && self.only_zeros_from(0)?;
        behind.dirty = !behind.blank;
        if behind.dirty {
            self.search(from, &mut behind)?;
        }
        Ok(behind)
    }

    /// Each byte is read once; what may be the beginning of a record or a seal is carried over.
    fn search(&self, from: u64, behind: &mut Behind) -> io::Result<()> {
        let left = usize::try_from(self.size.saturating_sub(from)).unwrap_or(usize::MAX);
        let mut budget = survivor_budget(left, self.limit);
        let overlap = (self.limit + FRAME_LEN).max(SEAL_LEN);
        let (mut window, mut base) = (Vec::new(), from);
        loop {
            let piece = read_piece(&*self.handle, base + window.len() as u64, CHUNK)?;
            if piece.is_empty() {
                return Ok(());
            }
            window.extend_from_slice(&piece);
            if !is_zero(&window) {
                self.look_at(&window, base, base == from, &mut budget, behind);
            }
            // Neither a record nor a seal begins with more zeros than a record has before its payload.
            let keep = window.len().saturating_sub(overlap);
            let zeros = window.iter().skip(keep).take_while(|byte| **byte == 0);
            let done = keep + zeros.count().saturating_sub(FRAME_LEN);
            window.drain(..done);
            base += done as u64;
        }
    }

    fn look_at(&self, piece: &[u8], at: u64, first: bool, budget: &mut usize, behind: &mut Behind) {
        if let Some(mark) = self.mark {
            let newest = find_seals(piece, mark).map(|seal| seal.begin).max();
            behind.sealed_from = behind.sealed_from.max(newest);
        }
        if behind.survivor.is_some() || behind.unsure {
            return;
        }
        // The defect itself may be a whole record that is only unknown: it does not survive itself.
        let skip = usize::from(first);
        match find_survivor(piece.get(skip..).unwrap_or_default(), self.limit, budget) {
            Survivor::None => {}
            Survivor::At(place) => behind.survivor = Some(at + (skip + place) as u64),
            Survivor::Unknown => behind.unsure = true,
        }
    }

    /// Whether the record here, too long to be believed, is in the file with a right checksum and end.
    fn is_whole(&self) -> io::Result<bool> {
        let offset = self.position();
        let window = self.window.get(self.used..).unwrap_or_default();
        let Some((checksum, len)) = record::prefix_of(window) else {
            return Ok(false);
        };
        let mut at = offset + PREFIX_LEN as u64;
        let end = at + len;
        if end >= self.size || read_piece(&*self.handle, end, 1)? != [record::END] {
            return Ok(false);
        }
        let mut sum = simd_adler32::Adler32::new();
        while at < end {
            let len = usize::try_from(end - at).map_or(CHUNK, |left| left.min(CHUNK));
            let piece = read_piece(&*self.handle, at, len)?;
            if piece.is_empty() {
                return Ok(false);
            }
            sum.write(&piece);
            at += piece.len() as u64;
        }
        Ok(checksum == u64::from(sum.finish()))
    }
}

fn read_piece(handle: &dyn Handle, at: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; len];
    let read = handle.read_at(at, &mut piece)?;
    piece.truncate(read);
    Ok(piece)
}

/// Compared block by block: the padding is most of what a start reads.
fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes
        .chunks(ZEROS.len())
        .all(|chunk| ZEROS.starts_with(chunk))
}
