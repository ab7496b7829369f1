//! Transactions: what happened, unconditionally. The same bytes stand in log files and travel between
//! servers.

use crate::jute::{DecodeError, JuteMut, Reader};
use crate::{Acl, ErrorCode, OpCode, SessionId, Version, Xid, Zxid};
use bytes::{BufMut, Bytes};
use std::borrow::Cow;

/// Who caused a transaction, and when it was prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnHeader {
    /// The session, or none for what the server did by itself.
    pub session: SessionId,
    /// The client's number for the request.
    pub cxid: Xid,
    /// The transaction's place in the order.
    pub zxid: Zxid,
    /// The leader's wall clock in milliseconds.
    pub time: i64,
}

/// What kind of node a transaction creates; opcodes 1, 15, 19 and 21.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// Opcode 1.
    Create {
        /// Whether it goes with the session.
        ephemeral: bool,
    },
    /// Opcode 15.
    Create2 {
        /// Whether it goes with the session.
        ephemeral: bool,
    },
    /// Opcode 19.
    Container,
    /// Opcode 21, with the TTL in milliseconds.
    Ttl(i64),
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of the records of the same name"
)]
pub enum Txn {
    /// A session opened, with its timeout in milliseconds.
    CreateSession { timeout: i32 },
    /// A session ended; its ephemeral nodes, in the order of their deletion, unless it is an old log's.
    CloseSession { paths: Option<Vec<String>> },
    /// A refusal: it changes nothing and takes a zxid.
    Error(ErrorCode),
    /// A node was created. The sequence number is in the path.
    Create {
        creation: Creation,
        path: String,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        parent_cversion: i32,
    },
    /// A node was deleted.
    Delete { path: String },
    /// A container or an aged node was reaped.
    DeleteContainer { path: String },
    /// Data was set; the version is the new one.
    SetData {
        path: String,
        data: Option<Bytes>,
        version: Version,
    },
    /// The ensemble changed.
    Reconfig {
        path: String,
        data: Option<Bytes>,
        version: Version,
    },
    /// An ACL was set; the version is the new one.
    SetAcl {
        path: String,
        acl: Vec<Acl>,
        version: Version,
    },
    /// Inside a multi: a version was right.
    Check { path: String, version: Version },
    /// Several at once. If any is an [`Txn::Error`], nothing was applied.
    Multi(Vec<Self>),
}

/// The tree's digest after a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnDigest {
    /// How it was computed; servers compare only what is of their own version.
    pub version: i32,
    /// The sum.
    pub digest: u64,
}

impl TxnDigest {
    /// The version of this implementation and of Java 3.6 to 3.9.
    pub const VERSION: i32 = 2;

    /// Its length behind a transaction.
    const WIRE_LEN: usize = 12;
}

/// A transaction as it stands in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnRecord {
    /// Who, when and where in the order.
    pub header: TxnHeader,
    /// What.
    pub txn: Txn,
    /// The digest after it, unless the writer left it out.
    pub digest: Option<TxnDigest>,
}

impl TxnRecord {
    /// Takes a record. Data is not copied: it stays a slice of `bytes`.
    pub fn decode(bytes: &Bytes, field_limit: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::with_field_limit(bytes, field_limit);
        let (header, op) = decode_header(&mut reader)?;
        let txn = Txn::decode(op, &mut reader, bytes)?;
        let digest = match (reader.i32(), reader.i64()) {
            (Ok(version), Ok(digest)) => Some(TxnDigest {
                version,
                digest: digest.cast_unsigned(),
            }),
            _ => None,
        };
        Ok(Self {
            header,
            txn,
            digest,
        })
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut impl BufMut) {
        encode(&self.header, &self.txn, self.digest, out);
    }
}

/// Appends a record from its parts.
pub fn encode(header: &TxnHeader, txn: &Txn, digest: Option<TxnDigest>, out: &mut impl BufMut) {
    out.put_i64(header.session.to_wire());
    out.put_i32(header.cxid.0);
    out.put_i64(header.zxid.to_wire());
    out.put_i64(header.time);
    out.put_i32(txn.op().to_wire());
    txn.encode(out);
    if let Some(digest) = digest {
        out.put_i32(digest.version);
        out.put_i64(digest.digest.cast_signed());
    }
}

/// Takes only the header: enough to know a record's place.
pub fn decode_header(reader: &mut Reader<'_>) -> Result<(TxnHeader, OpCode), DecodeError> {
    let header = TxnHeader {
        session: SessionId::from_wire(reader.i64()?),
        cxid: Xid(reader.i32()?),
        zxid: Zxid::from_wire(reader.i64()?),
        time: reader.i64()?,
    };
    Ok((header, OpCode::from_wire(reader.i32()?)))
}

impl Txn {
    /// The transaction's type.
    pub const fn op(&self) -> OpCode {
        match self {
            Self::CreateSession { .. } => OpCode::CreateSession,
            Self::CloseSession { .. } => OpCode::CloseSession,
            Self::Error(_) => OpCode::Error,
            Self::Create {
                creation: Creation::Create { .. },
                ..
            } => OpCode::Create,
            Self::Create {
                creation: Creation::Create2 { .. },
                ..
            } => OpCode::Create2,
            Self::Create {
                creation: Creation::Container,
                ..
            } => OpCode::CreateContainer,
            Self::Create {
                creation: Creation::Ttl(_),
                ..
            } => OpCode::CreateTtl,
            Self::Delete { .. } => OpCode::Delete,
            Self::DeleteContainer { .. } => OpCode::DeleteContainer,
            Self::SetData { .. } => OpCode::SetData,
            Self::Reconfig { .. } => OpCode::Reconfig,
            Self::SetAcl { .. } => OpCode::SetAcl,
            Self::Check { .. } => OpCode::Check,
            Self::Multi(_) => OpCode::Multi,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other operation is one case here"
    )]
    fn decode(op: OpCode, reader: &mut Reader<'_>, source: &Bytes) -> Result<Self, DecodeError> {
        match op {
            OpCode::CreateSession => Ok(Self::CreateSession {
                timeout: reader.i32()?,
            }),
            OpCode::CloseSession => Self::decode_close_session(reader),
            OpCode::Multi => Ok(Self::Multi(reader.vector(8, |reader| {
                let op = OpCode::from_wire(reader.i32()?);
                let record = reader.buffer()?.ok_or(DecodeError::Null)?;
                // A multi has no such operations; to Java each is an invalid part.
                if matches!(op, OpCode::SetAcl | OpCode::Reconfig) {
                    return Err(DecodeError::Unknown {
                        what: "the parts of a multi",
                        value: op.to_wire(),
                    });
                }
                Self::decode_part(
                    op,
                    &mut Reader::with_field_limit(record, record.len()),
                    source,
                )
            })?)),
            // Java refuses a check on its own; we never wrote one either.
            OpCode::Check => Err(DecodeError::Unknown {
                what: "the table of transactions",
                value: 13,
            }),
            other => Self::decode_part(other, reader, source),
        }
    }

    /// Up to 3.5, and with `closeSessionTxn.enabled=false`, the list is missing: then nothing follows, or
    /// a digest. As in Java, a list that ends early counts as missing, and its pieces as nothing: read
    /// as a digest they would accuse a good tree.
    fn decode_close_session(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut list = reader.clone();
        let paths = match list.vector(4, |reader| reader.string().map(Cow::into_owned)) {
            Ok(paths) => {
                *reader = list;
                Some(paths)
            }
            Err(_) if reader.rest().len() == TxnDigest::WIRE_LEN => None,
            Err(DecodeError::Truncated { .. }) => {
                *reader = Reader::new(&[]);
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self::CloseSession { paths })
    }

    /// What may stand alone as well as inside a multi.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other operation is one case here"
    )]
    fn decode_part(
        op: OpCode,
        reader: &mut Reader<'_>,
        source: &Bytes,
    ) -> Result<Self, DecodeError> {
        Ok(match op {
            OpCode::Error => {
                Self::Error(ErrorCode::from_wire(reader.i32()?).unwrap_or(ErrorCode::Other(0)))
            }
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::decode_create(op, reader, source)?
            }
            OpCode::Delete => Self::Delete {
                path: path(reader)?,
            },
            OpCode::DeleteContainer => Self::DeleteContainer {
                path: path(reader)?,
            },
            OpCode::SetData => Self::SetData {
                path: path(reader)?,
                data: data(reader, source)?,
                version: Version(reader.i32()?),
            },
            OpCode::Reconfig => Self::Reconfig {
                path: path(reader)?,
                data: data(reader, source)?,
                version: Version(reader.i32()?),
            },
            OpCode::SetAcl => Self::SetAcl {
                path: path(reader)?,
                acl: acl(reader)?,
                version: Version(reader.i32()?),
            },
            OpCode::Check => Self::Check {
                path: path(reader)?,
                version: Version(reader.i32()?),
            },
            other => {
                return Err(DecodeError::Unknown {
                    what: "the table of transactions",
                    value: other.to_wire(),
                });
            }
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other operation is one case here"
    )]
    fn decode_create(
        op: OpCode,
        reader: &mut Reader<'_>,
        source: &Bytes,
    ) -> Result<Self, DecodeError> {
        let (path, data, acl) = (path(reader)?, data(reader, source)?, acl(reader)?);
        let mut ephemeral = false;
        if matches!(op, OpCode::Create | OpCode::Create2) {
            ephemeral = reader.bool()?;
        }
        let parent_cversion = match reader.i32() {
            Ok(version) => version,
            // Logs of 3.3 and before end here.
            Err(_) if op == OpCode::Create => -1,
            Err(error) => return Err(error),
        };
        let creation = match op {
            OpCode::CreateTtl => Creation::Ttl(reader.i64()?),
            OpCode::CreateContainer => Creation::Container,
            OpCode::Create2 => Creation::Create2 { ephemeral },
            _ => Creation::Create { ephemeral },
        };
        Ok(Self::Create {
            creation,
            path,
            data,
            acl,
            parent_cversion,
        })
    }

    fn encode(&self, out: &mut impl BufMut) {
        match self {
            Self::CreateSession { timeout } => out.put_i32(*timeout),
            Self::CloseSession { paths: None } => {}
            Self::CloseSession { paths: Some(paths) } => out.put_strings(paths),
            Self::Error(code) => out.put_i32(code.to_wire()),
            Self::Create {
                creation,
                path,
                data,
                acl,
                parent_cversion,
            } => {
                out.put_string(path);
                out.put_buffer(data.as_deref());
                put_acl(out, acl);
                if let Creation::Create { ephemeral } | Creation::Create2 { ephemeral } = creation {
                    out.put_bool(*ephemeral);
                }
                out.put_i32(*parent_cversion);
                if let Creation::Ttl(ttl) = creation {
                    out.put_i64(*ttl);
                }
            }
            Self::Delete { path } | Self::DeleteContainer { path } => out.put_string(path),
            Self::SetData {
                path,
                data,
                version,
            }
            | Self::Reconfig {
                path,
                data,
                version,
            } => {
                out.put_string(path);
                out.put_buffer(data.as_deref());
                out.put_i32(version.0);
            }
            Self::SetAcl { path, acl, version } => {
                out.put_string(path);
                put_acl(out, acl);
                out.put_i32(version.0);
            }
            Self::Check { path, version } => {
                out.put_string(path);
                out.put_i32(version.0);
            }
            Self::Multi(parts) => out.put_vector(parts, |out, part| {
                let mut record = Vec::new();
                part.encode(&mut record);
                out.put_i32(part.op().to_wire());
                out.put_buffer(Some(&record));
            }),
        }
    }
}

fn path(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    Ok(reader.string()?.into_owned())
}

fn data(reader: &mut Reader<'_>, source: &Bytes) -> Result<Option<Bytes>, DecodeError> {
    Ok(reader.buffer()?.map(|slice| source.slice_ref(slice)))
}

fn acl(reader: &mut Reader<'_>) -> Result<Vec<Acl>, DecodeError> {
    Ok(reader
        .nullable_vector(Acl::MIN_WIRE_LEN, Acl::decode)?
        .unwrap_or_default())
}

fn put_acl(out: &mut impl BufMut, acl: &[Acl]) {
    out.put_len(acl.len());
    for entry in acl {
        entry.encode(out);
    }
}
