//! How far the log is known to be durable, written down so that a later start can tell the end of a
//! crash's last write from damage (P24, P25). Java knows neither of the two forms and ignores both.
//!
//! **The mark** is the side file `.durable` beside the logs: "the records of `log` up to `offset`, the
//! last being `zxid`, were durable". It is written in place, in turns into two checksummed slots, so a
//! torn write costs only freshness. It claims less than the truth, never more: it is written after each
//! fsync of the log, so that a killed process leaves it exact; its own fsync it gets with a new log, at a
//! clean end and when it is a second old, whether the log is busy or quiet. It belongs to the file whose header holds its nonce: Java may have
//! made another of the same name.
//!
//! **The seal** follows each batch of records inside the log, where Java sees the zero length that ends
//! a file. It says where its batch began: before that, everything was durable when the batch was
//! written. The next batch overwrites it and a clean end erases it. After a crash one stands at the end,
//! and sectors that were written and came not to be may still hold older ones: the one that says most
//! counts. It costs no write of its own. The nonce lets no client forge one inside its data.
//!
//! ```text
//! .durable  slot at 0 and at 512: "ZKDM" | 1: u32 | sequence: u64 | log: i64 | nonce: u64 | zxid: i64
//!                                 | offset: u64 | adler32 of the above: u32
//! log       its header's dbid: the nonce
//! seal      nonce: u64 | 0: u32 | batch's begin: u64 | adler32(nonce, log, begin): u32
//! ```

use super::files::{Files, Handle};
use simd_adler32::adler32;
use std::io;
use std::path::Path;
use zk_proto::Zxid;

/// The side file's name.
pub const MARK_NAME: &str = ".durable";
/// What a seal takes.
pub const SEAL_LEN: usize = 24;

const SLOT_LEN: usize = 52;
const SLOTS: [u64; 2] = [0, 512];
const MAGIC: [u8; 8] = *b"ZKDM\0\0\0\x01";

/// What was durable when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which log, by the zxid in its name.
    pub log: Zxid,
    /// What this log's seals begin with, and its header ends with.
    pub nonce: u64,
    /// The last durable transaction, in this log or before it.
    pub zxid: Zxid,
    /// Where in the log its record ends.
    pub offset: u64,
}

impl Mark {
    fn encode(&self, sequence: u64) -> [u8; SLOT_LEN] {
        let mut slot = [0; SLOT_LEN];
        let fields = [
            MAGIC,
            sequence.to_be_bytes(),
            self.log.to_wire().to_be_bytes(),
            self.nonce.to_be_bytes(),
            self.zxid.to_wire().to_be_bytes(),
            self.offset.to_be_bytes(),
        ];
        let (body, sum) = slot.split_at_mut(SLOT_LEN - 4);
        for (to, field) in body.chunks_exact_mut(8).zip(fields) {
            to.copy_from_slice(&field);
        }
        sum.copy_from_slice(&adler32(&&*body).to_be_bytes());
        slot
    }

    fn decode(slot: &[u8]) -> Option<(u64, Self)> {
        let (body, sum) = slot.split_last_chunk::<4>()?;
        let mut fields = body.chunks_exact(8).map(|field| {
            let field = <[u8; 8]>::try_from(field).unwrap_or_default();
            u64::from_be_bytes(field)
        });
        if u32::from_be_bytes(*sum) != adler32(&body) || fields.next()? != u64::from_be_bytes(MAGIC)
        {
            return None;
        }
        let sequence = fields.next()?;
        let mark = Self {
            log: Zxid::from_wire(fields.next()?.cast_signed()),
            nonce: fields.next()?,
            zxid: Zxid::from_wire(fields.next()?.cast_signed()),
            offset: fields.next()?,
        };
        Some((sequence, mark))
    }

    /// Reads the mark beside the logs in `dir`. None, or none that is whole: nothing is known.
    pub fn read(files: &dyn Files, dir: &Path) -> io::Result<Option<Self>> {
        match files.open_read(&dir.join(MARK_NAME)) {
            Ok(handle) => Ok(newest(&*handle)?.map(|(_, mark)| mark)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Forgets the mark, durably. Comes before every cut of what it speaks of (S36).
    pub fn forget(files: &dyn Files, dir: &Path) -> io::Result<()> {
        match files.remove(&dir.join(MARK_NAME)) {
            Ok(()) => files.sync_dir(dir),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn newest(handle: &dyn Handle) -> io::Result<Option<(u64, Mark)>> {
    let mut newest = None;
    for at in SLOTS {
        let mut slot = [0; SLOT_LEN];
        if handle.read_at(at, &mut slot)? == SLOT_LEN {
            let found = Mark::decode(&slot);
            if found.map(|(sequence, _)| sequence) > newest.map(|(sequence, _)| sequence) {
                newest = found;
            }
        }
    }
    Ok(newest)
}

/// The side file, open for writing.
#[derive(Debug)]
pub(super) struct MarkFile {
    handle: Box<dyn Handle>,
    sequence: u64,
}

impl MarkFile {
    /// Opens the file or makes it; its name is durable when this returns.
    pub(super) fn open(files: &dyn Files, dir: &Path) -> io::Result<Self> {
        let path = dir.join(MARK_NAME);
        let handle = match files.open(&path) {
            Ok(handle) => handle,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let handle = files.create(&path)?;
                files.sync_dir(dir)?;
                handle
            }
            Err(error) => return Err(error),
        };
        let sequence = newest(&*handle)?.map_or(0, |(sequence, _)| sequence);
        Ok(Self { handle, sequence })
    }

    /// Writes the mark over the older slot.
    pub(super) fn write(&mut self, mark: &Mark) -> io::Result<()> {
        self.sequence += 1;
        let at = if self.sequence.is_multiple_of(2) {
            SLOTS[0]
        } else {
            SLOTS[1]
        };
        self.handle.write_at(at, &mark.encode(self.sequence))
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.handle.sync()
    }
}

/// Appends the seal of a batch that begins at `begin` of `log`.
pub(super) fn put_seal(nonce: u64, log: Zxid, begin: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&nonce.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&begin.to_be_bytes());
    out.extend_from_slice(&seal_sum(nonce, log, begin).to_be_bytes());
}

fn seal_sum(nonce: u64, log: Zxid, begin: u64) -> u32 {
    let mut sum = simd_adler32::Adler32::new();
    for field in [nonce, log.to_wire().cast_unsigned(), begin] {
        sum.write(&field.to_be_bytes());
    }
    sum.finish()
}

/// Reads the seal at the front of `bytes`: where its batch began.
fn seal_at(bytes: &[u8], nonce: u64, log: Zxid) -> Option<u64> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    let (zero, rest) = rest.split_first_chunk::<4>()?;
    let (begin, rest) = rest.split_first_chunk::<8>()?;
    let begin = u64::from_be_bytes(*begin);
    let sum = u32::from_be_bytes(*rest.first_chunk::<4>()?);
    let whole =
        u64::from_be_bytes(*head) == nonce && *zero == [0; 4] && sum == seal_sum(nonce, log, begin);
    whole.then_some(begin)
}

/// A seal found in a log's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Where it stands, counted from the bytes looked at.
    pub at: usize,
    /// Where the batch before it begins in the file.
    pub begin: u64,
}

/// The seals of the marked log anywhere in `bytes`.
pub fn find_seals(bytes: &[u8], mark: Mark) -> impl Iterator<Item = Seal> {
    let first = mark.nonce.to_be_bytes()[0];
    let places = bytes.iter().enumerate();
    places
        .filter(move |(_, byte)| **byte == first)
        .filter_map(move |(at, _)| {
            let begin = seal_at(bytes.get(at..)?, mark.nonce, mark.log)?;
            Some(Seal { at, begin })
        })
}

#[cfg(test)]
mod tests;
