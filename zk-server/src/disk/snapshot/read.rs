//! Reading a snapshot: every field bounded, every seal checked, whatever the file claims.

use super::packing::{magic, unpack};
use super::stream::Stream;
use super::{HEADER_LEN, MAGIC, SEAL_LEN, SLASH};
use crate::disk::files::{Files, Handle};
use crate::disk::names::{Compression, FileName};
use bytes::Bytes;
use std::io::{self, Read};
use std::path::Path;
use zk_proto::jute::{DEFAULT_MAX_BUFFER, Reader};
use zk_proto::txn::TxnDigest;
use zk_proto::{Acl, SessionId, StoredStat, Zxid};

/// Why a sink refuses what a snapshot says.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// What a snapshot is poured into.
///
/// Nothing that was poured counts before the reader returns without an error.
pub trait SnapshotSink {
    /// A session and its timeout in milliseconds.
    fn session(&mut self, session: SessionId, timeout: i32) -> Result<(), Refusal>;
    /// An access control list and the number nodes know it by.
    fn acl(&mut self, id: i64, acl: Vec<Acl>) -> Result<(), Refusal>;
    /// A node; the root's path is empty. Parents come first, or it is to be refused.
    fn node(
        &mut self,
        path: &str,
        data: Option<Bytes>,
        acl: i64,
        stat: StoredStat,
    ) -> Result<(), Refusal>;
}

/// How much a snapshot may ask of us.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotLimits {
    /// The longest string or buffer.
    pub field: usize,
    /// The most bytes in all, unpacked.
    pub total: u64,
}

impl Default for SnapshotLimits {
    fn default() -> Self {
        Self {
            field: 2 * DEFAULT_MAX_BUFFER,
            total: 64 << 30,
        }
    }
}

/// A packed file may grow by this much anyway, and by the factor that its packing can reach at all:
/// equal bytes are a legitimate tree. What is allowed in total bounds the rest.
const BOMB: u64 = 256 << 20;
const GZIP_FACTOR: u64 = 1100;
const SNAPPY_FACTOR: u64 = 32;
/// The sections behind the first seal take less than this, future ones included.
const MAX_SECTIONS: usize = 64 << 10;

/// The digest section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeDigest {
    /// After which transaction the tree has this digest.
    pub zxid: Zxid,
    /// The digest and how it was computed.
    pub digest: TxnDigest,
}

/// What stands behind the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotEnd {
    /// The digest section.
    pub digest: Option<TreeDigest>,
    /// The last transaction processed when it was finished.
    pub last_zxid: Option<Zxid>,
    /// Its length, unpacked.
    pub bytes: u64,
    /// How many nodes it has.
    pub nodes: u64,
    /// The latest transaction that any of its nodes names.
    pub newest: Zxid,
}

impl SnapshotEnd {
    /// Up to which transaction a snapshot of this name may hold changes. Java's are written while the tree
    /// changes: what stands behind the nodes tells when that ended. Without it nobody knows.
    pub fn reach(&self, name: Zxid) -> Option<Zxid> {
        let stamp = self.digest.map(|digest| digest.zxid);
        let told = stamp.max(self.last_zxid).filter(|told| *told >= name)?;
        Some(told.max(self.newest))
    }
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk failed.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is not what its writer wrote.
    #[error("{damage} at byte {at}")]
    Damaged {
        /// Where, counted in unpacked bytes.
        at: u64,
        /// What.
        damage: Damage,
    },
    /// Well written, but no tree.
    #[error("its content before byte {at} is refused: {reason}")]
    Refused {
        /// Where, counted in unpacked bytes.
        at: u64,
        /// What the sink said.
        reason: Refusal,
    },
}

/// What is wrong with a snapshot's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// No ZKSN.
    #[error("no snapshot begins like this")]
    Magic,
    /// It ends too early.
    #[error("the file ends too early")]
    CutOff,
    /// It cannot be unpacked.
    #[error("the compressed data is damaged")]
    Packing,
    /// A length or count that cannot be.
    #[error("an unreasonable length")]
    Length,
    /// Null where text is required.
    #[error("a required field is null")]
    Null,
    /// A seal does not fit.
    #[error("a checksum that does not match")]
    Seal,
    /// There are more bytes than any snapshot has.
    #[error("more data than is allowed")]
    TooMuch,
    /// A peer's snapshot does not end as one.
    #[error("another signature than a peer's snapshot has")]
    Signature,
    /// There is something behind the end.
    #[error("unknown data behind the end")]
    Trailing,
}

/// Java's first look at a candidate, without unpacking it.
pub fn looks_whole(files: &dyn Files, path: &Path, compression: Compression) -> io::Result<bool> {
    let handle = files.open_read(path)?;
    let size = handle.size()?;
    if compression == Compression::None {
        let mut end = [0; SLASH.len()];
        let Some(at) = size.checked_sub(SLASH.len() as u64).filter(|_| size >= 10) else {
            return Ok(false);
        };
        return Ok(handle.read_at(at, &mut end)? == end.len() && end == SLASH);
    }
    let expected = magic(compression);
    let mut begin = vec![0; expected.len()];
    Ok(handle.read_at(0, &mut begin)? == begin.len() && begin == expected)
}

/// Reads the snapshot at `path` into `sink`.
pub fn read_snapshot(
    files: &dyn Files,
    path: &Path,
    limits: SnapshotLimits,
    sink: &mut dyn SnapshotSink,
) -> Result<SnapshotEnd, SnapshotError> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(FileName::parse);
    let compression = match name {
        Some(FileName::Snapshot(_, compression)) => compression,
        Some(FileName::Log(_) | FileName::Tmp) | None => Compression::None,
    };
    let handle = files.open_read(path)?;
    let total = match compression {
        Compression::None => limits.total,
        Compression::Gzip => limits.total.min(grown(&*handle, GZIP_FACTOR)?),
        Compression::Snappy => limits.total.min(grown(&*handle, SNAPPY_FACTOR)?),
    };
    let stream = Stream::new(unpack(handle, compression), limits.field, total);
    read_stream(stream, sink)
}

fn grown(handle: &dyn Handle, factor: u64) -> io::Result<u64> {
    Ok(handle.size()?.saturating_mul(factor).saturating_add(BOMB))
}

fn read_stream<R: Read>(
    mut stream: Stream<R>,
    sink: &mut dyn SnapshotSink,
) -> Result<SnapshotEnd, SnapshotError> {
    // The version and the dbid may be anything, as in Java.
    if !stream.array::<HEADER_LEN>()?.starts_with(&MAGIC) {
        return Err(stream.damaged(Damage::Magic));
    }
    let (nodes, newest) = read_middle(&mut stream, sink)?;
    let expected = stream.sum();
    if stream.i64()? != expected || stream.array::<{ SLASH.len() }>()? != SLASH {
        return Err(stream.damaged(Damage::Seal));
    }
    let sections = read_sections(&mut stream)?;
    Ok(SnapshotEnd {
        bytes: stream.at(),
        nodes,
        newest,
        ..sections
    })
}

/// Sessions, ACLs and nodes up to the "/" behind them: what a file and a peer's snapshot have in common.
/// Returns how many nodes there are, and the latest zxid found in them.
pub(super) fn read_middle<R: Read>(
    stream: &mut Stream<R>,
    sink: &mut dyn SnapshotSink,
) -> Result<(u64, Zxid), SnapshotError> {
    for _ in 0..stream.count()? {
        let (session, timeout) = (SessionId::from_wire(stream.i64()?), stream.i32()?);
        accepted(stream, sink.session(session, timeout))?;
    }
    for _ in 0..stream.count()? {
        let id = stream.i64()?;
        let acl = read_acl(stream)?;
        accepted(stream, sink.acl(id, acl))?;
    }
    let (mut nodes, mut newest) = (0, Zxid::ZERO);
    loop {
        let path = stream.string()?;
        if path == "/" {
            return Ok((nodes, newest));
        }
        let data = stream.buffer()?.map(Bytes::copy_from_slice);
        let acl = stream.i64()?;
        let stat = stream.array::<{ StoredStat::WIRE_LEN }>()?;
        let stat = StoredStat::decode(&mut Reader::new(&stat))
            .map_err(|_| stream.damaged(Damage::CutOff))?;
        accepted(stream, sink.node(&path, data, acl, stat))?;
        newest = newest.max(stat.czxid).max(stat.mzxid).max(stat.pzxid);
        nodes += 1;
    }
}

fn accepted<R: Read>(stream: &Stream<R>, answer: Result<(), Refusal>) -> Result<(), SnapshotError> {
    let at = stream.at();
    answer.map_err(|reason| SnapshotError::Refused { at, reason })
}

fn read_acl<R: Read>(stream: &mut Stream<R>) -> Result<Vec<Acl>, SnapshotError> {
    let (mut acl, begin) = (Vec::new(), stream.at());
    for _ in 0..stream.count()? {
        // It came in one request once. An entry takes more memory than it takes bytes, and packed ones nearly none.
        if stream.at() - begin > stream.field_limit() as u64 {
            return Err(stream.damaged(Damage::Length));
        }
        let perms = zk_proto::Perms(stream.i32()?);
        acl.push(Acl {
            perms,
            scheme: stream.string()?,
            id: stream.string()?,
        });
    }
    Ok(acl)
}

/// The sections are optional and do not say what they are: which are there follows from the length, and
/// every one ends with a seal over everything before it.
fn read_sections<R: Read>(stream: &mut Stream<R>) -> Result<SnapshotEnd, SnapshotError> {
    let sections = stream.rest(MAX_SECTIONS)?;
    let mut left = sections.as_slice();
    let mut end = SnapshotEnd::default();
    // With its digest switched off and the last zxid not, a 3.9 writes only the latter.
    if left.len() != LAST_ZXID_LEN + SEAL_LEN && !left.is_empty() {
        let mut reader = Reader::new(left);
        end.digest =
            Some(digest_section(&mut reader).ok_or_else(|| stream.damaged(Damage::CutOff))?);
        left = take_sealed(stream, left, left.len() - reader.rest().len())?;
    }
    if !left.is_empty() {
        let zxid = left.first_chunk::<LAST_ZXID_LEN>();
        let zxid = *zxid.ok_or_else(|| stream.damaged(Damage::CutOff))?;
        end.last_zxid = Some(Zxid::from_wire(i64::from_be_bytes(zxid)));
        left = take_sealed(stream, left, LAST_ZXID_LEN)?;
    }
    // What a later version adds is nothing to us if it is whole.
    if let Some(body) = left.len().checked_sub(SEAL_LEN) {
        left = take_sealed(stream, left, body)?;
    }
    if !left.is_empty() {
        return Err(stream.damaged(Damage::Trailing));
    }
    Ok(end)
}

const LAST_ZXID_LEN: usize = 8;

fn digest_section(reader: &mut Reader<'_>) -> Option<TreeDigest> {
    let zxid = Zxid::from_wire(reader.i64().ok()?);
    let version = reader.i32().ok()?;
    let digest = if version < TxnDigest::VERSION {
        u64::from_str_radix(&reader.string().ok()?, 16).ok()?
    } else {
        reader.i64().ok()?.cast_unsigned()
    };
    let digest = TxnDigest { version, digest };
    Some(TreeDigest { zxid, digest })
}

/// Takes a section of `len` bytes and the seal behind it.
fn take_sealed<'a, R: Read>(
    stream: &mut Stream<R>,
    bytes: &'a [u8],
    len: usize,
) -> Result<&'a [u8], SnapshotError> {
    let (section, rest) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
    let Some((seal, rest)) = rest.split_first_chunk::<SEAL_LEN>() else {
        return Err(stream.damaged(Damage::CutOff));
    };
    stream.add(section);
    let mut expected = stream.sum().to_be_bytes().to_vec();
    expected.extend_from_slice(&SLASH);
    if *seal != *expected {
        return Err(stream.damaged(Damage::Seal));
    }
    stream.add(seal);
    Ok(rest)
}
