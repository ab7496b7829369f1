//! A subtree as a stream of bytes, and back.
//!
//! ```text
//!   "zk-tree\x01"                      what this is
//!   i32 length, record                 once for each node, parents first:
//!       string path                    behind the exported node: "" for itself, "/a/b" below
//!       buffer data                    -1 for null
//!       vector acl                     i32 perms, string scheme, string id
//!   i32 0, i64 count                   the end, and how many nodes there were
//! ```
//!
//! Numbers, strings, buffers and vectors are ZooKeeper's own (jute). Ephemeral nodes and
//! `/zookeeper` are left out.

use super::copy::{Copied, Writes, is_reserved, moved};
use crate::client::Client;
use crate::error::Error;
use crate::path::strip;
use bytes::{BufMut, Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zk_proto::jute::{JuteMut, Reader};
use zk_proto::{Acl, DecodeError, ErrorCode, SessionId, path};

const MAGIC: &[u8; 8] = b"zk-tree\x01";
/// No node is larger: no server would take it.
const MAX_RECORD: u32 = 64 << 20;
/// Bytes are handed to the writer in pieces of about this size.
const PIECE: usize = 64 << 10;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A node could not be read.
    #[error(transparent)]
    Read(#[from] Error),
    /// The bytes could not be written.
    #[error("the export cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Why an import failed. What was created before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A node could not be written.
    #[error(transparent)]
    Write(#[from] Error),
    /// The bytes could not be read, or ended too soon.
    #[error("the export cannot be read: {0}")]
    Read(#[from] io::Error),
    /// They are no export of ours.
    #[error("this is no exported subtree, or one of a later version")]
    NotAnExport,
    /// They are damaged.
    #[error("record {record} is damaged: {source}")]
    Damaged {
        /// Which record, counted from zero.
        record: u64,
        /// How.
        source: DecodeError,
    },
    /// A record is longer than what it holds.
    #[error("record {record} has bytes behind its end")]
    Trailing {
        /// Which record, counted from zero.
        record: u64,
    },
    /// A record names a path that is none.
    #[error("record {record} names {path:?}, which is no path")]
    Path {
        /// Which record, counted from zero.
        record: u64,
        /// What it names.
        path: String,
    },
    /// A record claims more than any server takes.
    #[error("record {record} claims {length} bytes")]
    TooLarge {
        /// Which record, counted from zero.
        record: u64,
        /// Its length, as it says.
        length: u32,
    },
    /// The end says that there were more or fewer records.
    #[error("{found} nodes were found where {promised} were exported")]
    Count {
        /// How many there are.
        found: u64,
        /// How many there should be.
        promised: i64,
    },
}

impl Client {
    /// Writes a node and all below it, with data and ACLs, as the [bytes](crate::subtree) that [`Client::import`] reads,
    /// and flushes them. Yields how many nodes there were.
    ///
    /// # Cancellation
    ///
    /// What was written is no whole export, and importing it fails at its end.
    pub async fn export(
        &self,
        path: &str,
        out: &mut (impl AsyncWrite + Unpin),
    ) -> Result<u64, ExportError> {
        let from = if path == "/" { "" } else { path };
        let mut piece = BytesMut::from(&MAGIC[..]);
        let mut count: u64 = 0;
        let mut walk = self.walk(path);
        while let Some(node) = walk.next().await? {
            if node.stat.ephemeral_owner != SessionId::NONE || is_reserved(self, &node.path) {
                continue;
            }
            let acl = match self.get_acl(&node.path).await {
                Ok((acl, _)) => acl,
                Err(error) if error.code() == Some(ErrorCode::NoNode) => continue,
                Err(error) => return Err(error.into()),
            };
            let place = match strip(from, &node.path) {
                "/" => "",
                below => below,
            };
            put_record(&mut piece, place, &node.data, &acl);
            count += 1;
            if piece.len() >= PIECE {
                out.write_all(&piece).await?;
                piece.clear();
            }
        }
        piece.put_i32(0);
        piece.put_i64(i64::try_from(count).unwrap_or(i64::MAX));
        out.write_all(&piece).await?;
        out.flush().await?;
        Ok(count)
    }

    /// Reads what [`Client::export`] wrote, and creates it at `to`. What is there already keeps its ACL and gets the
    /// data; nothing is deleted. Parents of `to` are created.
    ///
    /// # Cancellation
    ///
    /// What was created stays.
    pub async fn import(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &str,
    ) -> Result<Copied, ImportError> {
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic).await?;
        if &magic != MAGIC {
            return Err(ImportError::NotAnExport);
        }
        let mut writes = Writes::new(self);
        let mut record: u64 = 0;
        loop {
            let length = from.read_u32().await?;
            if length == 0 {
                break;
            }
            if length > MAX_RECORD {
                return Err(ImportError::TooLarge { record, length });
            }
            let (place, data, acl) = read_record(from, length, record).await?;
            if !place.is_empty() && path::validate(&place).is_err() {
                return Err(ImportError::Path {
                    record,
                    path: place,
                });
            }
            let place = if place.is_empty() { "/" } else { &place };
            writes.write(moved("/", to, place), data, acl).await?;
            record += 1;
        }
        let promised = from.read_i64().await?;
        if i64::try_from(record) != Ok(promised) {
            return Err(ImportError::Count {
                found: record,
                promised,
            });
        }
        Ok(writes.finish().await?)
    }
}

fn put_record(out: &mut BytesMut, place: &str, data: &[u8], acl: &[Acl]) {
    let begin = out.len();
    out.put_i32(0);
    out.put_string(place);
    out.put_buffer(Some(data));
    out.put_vector(acl, |out, entry| entry.encode(out));
    let length = u32::try_from(out.len() - begin - 4).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(begin..begin + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Memory grows with the bytes that come, not with the length they claim.
async fn read_record(
    from: &mut (impl AsyncRead + Unpin),
    length: u32,
    record: u64,
) -> Result<(String, Bytes, Vec<Acl>), ImportError> {
    let mut bytes = Vec::new();
    from.take(length.into()).read_to_end(&mut bytes).await?;
    if u32::try_from(bytes.len()) != Ok(length) {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let mut reader = Reader::with_field_limit(&bytes, bytes.len());
    let decoded = decode_record(&mut reader);
    let decoded = decoded.map_err(|source| ImportError::Damaged { record, source })?;
    if !reader.is_empty() {
        return Err(ImportError::Trailing { record });
    }
    Ok(decoded)
}

fn decode_record(reader: &mut Reader<'_>) -> Result<(String, Bytes, Vec<Acl>), DecodeError> {
    let place = reader.string()?.into_owned();
    let data = Bytes::copy_from_slice(reader.buffer()?.unwrap_or_default());
    let acl = reader.vector(Acl::MIN_WIRE_LEN, Acl::decode)?;
    Ok((place, data, acl))
}
