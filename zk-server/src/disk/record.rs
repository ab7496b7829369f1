//! A log file's bytes: its header, one framed record, and what can be wrong with either.
//!
//! ```text
//! file    "ZKLG" | version 2: i32 | dbid: i64 | record*   | zeros up to the preallocated length
//! record  adler32(payload): i64 | len: i32 | payload: len bytes | 'B'
//! payload TxnHeader | Txn | TxnDigest?              (see `zk_proto::txn`)
//! ```
//!
//! Pure: bytes in, a verdict on these bytes out. Whether a bad record is the end of a crash's last
//! write or damage is not decided here (that takes the neighbours and the durable mark, see
//! `recovery`), and neither is where bytes come from.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use simd_adler32::adler32;
use zk_proto::Zxid;
use zk_proto::jute::Reader;
use zk_proto::txn::decode_header;

/// The length of a file's header.
pub const HEADER_LEN: usize = 16;
/// What a record takes besides its payload.
pub const FRAME_LEN: usize = PREFIX_LEN + 1;
/// The first bytes of every log.
pub const MAGIC: [u8; 4] = *b"ZKLG";

/// What stands before a payload.
pub(super) const PREFIX_LEN: usize = 12;
pub(super) const END: u8 = b'B';
const VERSION: [u8; 4] = [0, 0, 0, 2];
/// A payload shorter than a transaction's header is none.
pub(super) const MIN_PAYLOAD: usize = 32;

/// The header of a new log file. Where Java writes 0 and reads whatever is there stands what ties the
/// durable mark to this very file.
pub fn file_header(nonce: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let (magic, rest) = header.split_at_mut(MAGIC.len());
    magic.copy_from_slice(&MAGIC);
    if let Some(version) = rest.first_chunk_mut::<4>() {
        *version = VERSION;
    }
    if let Some(dbid) = header.last_chunk_mut::<8>() {
        *dbid = nonce.to_be_bytes();
    }
    header
}

/// Appends one record.
pub fn encode(payload: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
    let len = i32::try_from(payload.len()).map_err(|_| TooLong(payload.len()))?;
    out.extend_from_slice(&u64::from(adler32(&payload)).to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(payload);
    out.push(END);
    Ok(())
}

/// A payload that no record can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transaction of {0} bytes does not fit in a record")]
pub struct TooLong(pub usize);

/// Why there is no record at some place of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The file has less than a header.
    #[error("the file is shorter than its header")]
    ShortHeader,
    /// It begins like no log.
    #[error("the file does not begin with ZKLG")]
    BadMagic,
    /// The file ends inside a record.
    #[error("the file ends inside a record")]
    CutOff,
    /// The length is zero, yet this is not the padding.
    #[error("the length of a record is zero")]
    ZeroLength,
    /// All is there but the last byte is not the end mark.
    #[error("a record's end mark is missing")]
    BadEnd,
    /// The payload is not what the checksum was made of.
    #[error("a record's checksum does not match")]
    BadChecksum,
    /// A length below zero.
    #[error("a record's length is negative")]
    NegativeLength,
    /// A length above what any writer was allowed.
    #[error("a record's length is above every limit")]
    HugeLength,
    /// A length above what this server was told to believe, and the record is whole.
    #[error(
        "a whole record is longer than this server reads: raise jute.maxbuffer to what its writer had"
    )]
    AboveLimit,
    /// The checksum is right and the transaction makes no sense to us.
    #[error("a record holds no transaction that this version knows")]
    Undecodable,
}

/// What stands at the front of some bytes of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A record whose checksum and end mark are right.
    Record {
        /// The transaction.
        payload: &'a [u8],
        /// What the whole record takes.
        len: usize,
    },
    /// This many bytes are needed to tell.
    More(usize),
    /// The file ends here, between records.
    Eof,
    /// Twelve zeros: the padding, if only zeros follow.
    Zeros,
    /// No record.
    Bad(Defect),
}

/// Looks at the file's first bytes, for the number that ties the mark to the file.
pub fn check_header(bytes: &[u8]) -> Result<u64, Defect> {
    match bytes.first_chunk::<HEADER_LEN>() {
        None => Err(Defect::ShortHeader),
        Some(header) if !header.starts_with(&MAGIC) => Err(Defect::BadMagic),
        // As in Java, version and dbid may be anything.
        Some(header) => {
            let nonce = header.last_chunk().copied().unwrap_or_default();
            Ok(u64::from_be_bytes(nonce))
        }
    }
}

/// Looks at the front of `window`. `last` says that the file ends with it; `limit` is the longest
/// payload that is believed.
pub fn step(window: &[u8], last: bool, limit: usize) -> Step<'_> {
    let cut_off = |needed: usize| match (last, window.is_empty()) {
        (false, _) => Step::More(needed),
        (true, true) => Step::Eof,
        (true, false) => Step::Bad(Defect::CutOff),
    };
    let Some((checksum, rest)) = window.split_first_chunk::<8>() else {
        return cut_off(PREFIX_LEN);
    };
    let Some((len, rest)) = rest.split_first_chunk::<4>() else {
        return cut_off(PREFIX_LEN);
    };
    let len = match i32::from_be_bytes(*len) {
        0 if *checksum == [0; 8] => return Step::Zeros,
        0 => return Step::Bad(Defect::ZeroLength),
        len => match usize::try_from(len) {
            Err(_) => return Step::Bad(Defect::NegativeLength),
            Ok(len) if len > limit => return Step::Bad(Defect::HugeLength),
            Ok(len) => len,
        },
    };
    let Some((payload, rest)) = rest.split_at_checked(len) else {
        return cut_off(FRAME_LEN + len);
    };
    match rest.first() {
        None => return cut_off(FRAME_LEN + len),
        Some(&END) => {}
        Some(_) => return Step::Bad(Defect::BadEnd),
    }
    if u64::from_be_bytes(*checksum) != u64::from(adler32(&payload)) {
        return Step::Bad(Defect::BadChecksum);
    }
    Step::Record {
        payload,
        len: FRAME_LEN + len,
    }
}

/// The checksum, and the payload's length, that a record's first bytes tell.
pub(super) fn prefix_of(window: &[u8]) -> Option<(u64, u64)> {
    let (checksum, rest) = window.split_first_chunk::<8>()?;
    let len = u32::from_be_bytes(*rest.first_chunk::<4>()?);
    Some((u64::from_be_bytes(*checksum), u64::from(len)))
}

/// The zxid of a payload.
pub fn zxid_of(payload: &[u8]) -> Result<Zxid, Defect> {
    decode_header(&mut Reader::new(payload))
        .map(|(header, _)| header.zxid)
        .map_err(|_| Defect::Undecodable)
}

/// Where, behind a defect, the next whole record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivor {
    /// Nothing behind it is a record.
    None,
    /// A record with a right checksum begins at this place of the window.
    At(usize),
    /// There was too much that could have been one; better to assume there is one.
    Unknown,
}

/// Looks for a record behind a defect, at every place: after a damaged length nothing else tells where
/// one begins.
///
/// A place is worth its checksum only if a sane length leads to an end mark; `budget` bounds the bytes
/// that are summed, since a client's data can look like a thousand records.
pub fn find_survivor(bytes: &[u8], limit: usize, budget: &mut usize) -> Survivor {
    let mut at = 0;
    while let Some(window) = bytes.get(at..).filter(|rest| rest.len() > FRAME_LEN) {
        let plausible = window
            .get(8..PREFIX_LEN)
            .and_then(|len| <[u8; 4]>::try_from(len).ok())
            .and_then(|len| usize::try_from(i32::from_be_bytes(len)).ok())
            .filter(|len| (MIN_PAYLOAD..=limit).contains(len))
            // An Adler-32 fills the lower half of its eight bytes only.
            .filter(|_| window.starts_with(&[0; 4]));
        let end = plausible.and_then(|len| window.get(PREFIX_LEN + len));
        if let (Some(len), Some(&END)) = (plausible, end) {
            let Some(left) = budget.checked_sub(len) else {
                return Survivor::Unknown;
            };
            *budget = left;
            if matches!(step(window, true, limit), Step::Record { .. }) {
                return Survivor::At(at);
            }
        }
        at += 1;
    }
    Survivor::None
}

/// A record found in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it begins.
    pub offset: usize,
    /// What it takes.
    pub len: usize,
    /// Its place in the order.
    pub zxid: Zxid,
}

/// A whole file, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Every record up to the first that is none.
    pub records: Vec<Found>,
    /// Where the last of them ends.
    pub end: usize,
    /// What is there instead of another record.
    pub tail: Tail,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// With its last record.
    Eof,
    /// With zeros.
    Padding,
    /// Badly.
    Bad(Defect, Survivor),
}

/// Reads a whole file that is at hand. Recovery reads longer ones piece by piece, by the same rules.
pub fn scan(bytes: &[u8], limit: usize) -> Scan {
    let (mut records, mut end) = (Vec::new(), 0);
    let tail = match check_header(bytes) {
        Err(defect) => Tail::Bad(defect, survivor_behind(bytes, limit)),
        Ok(_) => {
            end = HEADER_LEN;
            loop {
                let window = bytes.get(end..).unwrap_or_default();
                let defect = match step(window, true, limit) {
                    Step::Record { payload, len } => match zxid_of(payload) {
                        Ok(zxid) => {
                            let offset = end;
                            records.push(Found { offset, len, zxid });
                            end += len;
                            continue;
                        }
                        Err(defect) => defect,
                    },
                    Step::Eof => break Tail::Eof,
                    Step::Zeros if window.iter().all(|byte| *byte == 0) => break Tail::Padding,
                    Step::Zeros => Defect::ZeroLength,
                    Step::Bad(defect) => defect,
                    Step::More(_) => Defect::CutOff,
                };
                let behind = window.get(1..).unwrap_or_default();
                break Tail::Bad(defect, survivor_behind(behind, limit));
            }
        }
    };
    Scan { records, end, tail }
}

fn survivor_behind(bytes: &[u8], limit: usize) -> Survivor {
    let mut budget = survivor_budget(bytes.len(), limit);
    find_survivor(bytes, limit, &mut budget)
}

/// How many bytes may be summed in search of a survivor in so many: a file's worth of true records
/// thirty times over, and at least a few records of the greatest length.
pub(super) fn survivor_budget(len: usize, limit: usize) -> usize {
    len.saturating_mul(32).max(limit.saturating_mul(4))
}

#[cfg(test)]
mod tests;
