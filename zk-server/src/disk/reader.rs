//! A log file read from its start, piece by piece, in bounded memory.
//!
//! The rules are `record`'s; here are only the windows they are applied to, and the look behind the
//! place where the records end.

use super::files::{Files, Handle};
use super::mark::{Mark, SEAL_LEN, find_seal};
use super::record::{
    self, Defect, FRAME_LEN, HEADER_LEN, Step, Survivor, find_survivor, survivor_budget,
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
    /// Where a seal stands, and where it says that the last batch begins.
    pub seal: Option<(u64, u64)>,
    /// Whether the file is nothing but zeros, header included.
    pub blank: bool,
}

/// A log being read.
#[derive(Debug)]
pub struct LogReader {
    handle: Box<dyn Handle>,
    size: u64,
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
    /// Opens the log. `limit` is the longest transaction that is believed; the mark, if it is this
    /// log's, tells its seals.
    pub fn open(
        files: &dyn Files,
        path: &Path,
        limit: usize,
        mark: Option<Mark>,
    ) -> io::Result<Self> {
        let handle = files.open_read(path)?;
        Ok(Self {
            size: handle.size()?,
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

    /// Reads on.
    pub fn advance(&mut self) -> io::Result<Next> {
        if !self.header_seen {
            self.fill(HEADER_LEN)?;
            if let Err(defect) = record::check_header(&self.window) {
                return self.end(Some(defect)).map(Next::End);
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
        while at < self.size {
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

    /// Searches all that is left. Pieces overlap by the longest record, so none is missed.
    fn look_behind(&self) -> io::Result<Behind> {
        let from = self.position();
        let mut behind = Behind {
            blank: from == 0,
            ..Behind::default()
        };
        let left = usize::try_from(self.size.saturating_sub(from)).unwrap_or(usize::MAX);
        let mut budget = survivor_budget(left, self.limit);
        let overlap = (self.limit + FRAME_LEN).max(SEAL_LEN);
        let mut at = from;
        while at < self.size {
            let piece = read_piece(&*self.handle, at, CHUNK + overlap)?;
            if !is_zero(&piece) {
                behind.blank = false;
                self.look_at(&piece, at, at == from, &mut budget, &mut behind);
            }
            at += CHUNK as u64;
        }
        Ok(behind)
    }

    fn look_at(&self, piece: &[u8], at: u64, first: bool, budget: &mut usize, behind: &mut Behind) {
        if let (None, Some(mark)) = (behind.seal, &self.mark) {
            behind.seal = find_seal(piece, mark).map(|seal| (at + seal.at as u64, seal.begin));
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
