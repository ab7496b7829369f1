//! The bodies of multi and multiRead: operations and results between headers that end with `done`.

use crate::jute::{DecodeError, JuteMut, Reader};
use crate::{Create, CreateMode, ErrorCode, OpCode, Stat, request};
use bytes::{BufMut, Bytes};
use std::borrow::Cow;

/// One operation of a multi or a multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiOp<'a> {
    /// Creates a node.
    Create(Create<'a>),
    /// Deletes a node.
    Delete {
        /// Which.
        path: Cow<'a, str>,
        /// Its expected version, -1 for any.
        version: i32,
    },
    /// Sets a node's data.
    SetData {
        /// Whose.
        path: Cow<'a, str>,
        /// To what.
        data: Option<&'a [u8]>,
        /// The expected version, -1 for any.
        version: i32,
    },
    /// Demands a version.
    Check {
        /// Of which node.
        path: Cow<'a, str>,
        /// The version, -1 for mere existence.
        version: i32,
    },
    /// In a multiRead: reads data.
    GetData {
        /// Whose.
        path: Cow<'a, str>,
        /// Ignored by servers.
        watch: bool,
    },
    /// In a multiRead: lists children.
    GetChildren {
        /// Whose.
        path: Cow<'a, str>,
        /// Ignored by servers.
        watch: bool,
    },
}

const DONE: i32 = -1;
/// The least bytes an operation takes: its header alone.
const HEADER_LEN: usize = 9;

fn put_header(out: &mut impl BufMut, kind: i32, done: bool, err: i32) {
    out.put_i32(kind);
    out.put_bool(done);
    out.put_i32(err);
}

impl<'a> MultiOp<'a> {
    /// The operation's code.
    pub const fn op(&self) -> OpCode {
        match self {
            Self::Create(create) => create.op,
            Self::Delete { .. } => OpCode::Delete,
            Self::SetData { .. } => OpCode::SetData,
            Self::Check { .. } => OpCode::Check,
            Self::GetData { .. } => OpCode::GetData,
            Self::GetChildren { .. } => OpCode::GetChildren,
        }
    }

    /// Whether it only reads.
    pub const fn is_read(&self) -> bool {
        matches!(self, Self::GetData { .. } | Self::GetChildren { .. })
    }

    /// Takes all operations. Reads and writes do not mix (as in Java, the whole request is refused).
    pub(crate) fn decode_all(reader: &mut Reader<'a>) -> Result<Vec<Self>, DecodeError> {
        let mut ops = Vec::with_capacity((reader.rest().len() / (3 * HEADER_LEN)).min(64));
        loop {
            let kind = reader.i32()?;
            let done = reader.bool()?;
            reader.i32()?;
            if done {
                return Ok(ops);
            }
            let op = Self::decode(OpCode::from_wire(kind), reader)?;
            if ops
                .first()
                .is_some_and(|first: &Self| first.is_read() != op.is_read())
            {
                return Err(DecodeError::Unknown {
                    what: "a multi of the other kind",
                    value: kind,
                });
            }
            ops.push(op);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other operation is one case here"
    )]
    fn decode(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::decode_create(op, reader)
            }
            OpCode::Delete => Ok(Self::Delete {
                path: reader.string()?,
                version: reader.i32()?,
            }),
            OpCode::SetData => Ok(Self::SetData {
                path: reader.string()?,
                data: reader.buffer()?,
                version: reader.i32()?,
            }),
            OpCode::Check => Ok(Self::Check {
                path: reader.string()?,
                version: reader.i32()?,
            }),
            OpCode::GetData => Ok(Self::GetData {
                path: reader.string()?,
                watch: reader.bool()?,
            }),
            OpCode::GetChildren => Ok(Self::GetChildren {
                path: reader.string()?,
                watch: reader.bool()?,
            }),
            other => Err(DecodeError::Unknown {
                what: "a multi",
                value: other.to_wire(),
            }),
        }
    }

    /// Inside a multi, unlike outside, a missing ACL spoils the whole request, and so does a bad flag
    /// where there is no TTL.
    fn decode_create(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let create = Create::decode(op, reader)?;
        if op != OpCode::CreateTtl {
            let refused = match CreateMode::from_flags(create.flags) {
                None => Some("the table of create modes"),
                Some(mode) if mode.is_ttl() => Some("a create without a TTL"),
                Some(_) => None,
            };
            if let Some(what) = refused {
                return Err(DecodeError::Unknown {
                    what,
                    value: create.flags,
                });
            }
        }
        if create.acl.is_none() {
            return Err(DecodeError::Null);
        }
        Ok(Self::Create(create))
    }

    /// Appends all operations and the end mark.
    pub fn encode_all(ops: &[Self], out: &mut impl BufMut) {
        for op in ops {
            put_header(out, op.op().to_wire(), false, -1);
            op.encode(out);
        }
        put_header(out, DONE, true, -1);
    }

    fn encode(&self, out: &mut impl BufMut) {
        match self {
            Self::Create(create) => create.encode(out),
            Self::Delete { path, version } | Self::Check { path, version } => {
                request::put_path_version(out, path, *version);
            }
            Self::SetData {
                path,
                data,
                version,
            } => {
                request::put_set_data(out, path, *data, *version);
            }
            Self::GetData { path, watch } | Self::GetChildren { path, watch } => {
                request::put_path_watch(out, path, *watch);
            }
        }
    }
}

/// The result of one operation of a multi or a multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiResult {
    /// Created, by opcode 1: the path.
    Create(String),
    /// Created, by any other opcode: path and stat.
    Create2(String, Stat),
    /// Deleted.
    Delete,
    /// Set.
    SetData(Stat),
    /// The version was right.
    Check,
    /// Data and stat.
    GetData(Option<Bytes>, Stat),
    /// Names.
    GetChildren(Vec<String>),
    /// Refused, or not tried, or undone: the code, where 0 says that this one was not the cause.
    Error(i32),
}

impl MultiResult {
    fn kind(&self) -> i32 {
        match self {
            Self::Create(_) => OpCode::Create.to_wire(),
            Self::Create2(..) => OpCode::Create2.to_wire(),
            Self::Delete => OpCode::Delete.to_wire(),
            Self::SetData(_) => OpCode::SetData.to_wire(),
            Self::Check => OpCode::Check.to_wire(),
            Self::GetData(..) => OpCode::GetData.to_wire(),
            Self::GetChildren(_) => OpCode::GetChildren.to_wire(),
            Self::Error(_) => OpCode::Error.to_wire(),
        }
    }

    /// The results of a multi of `len` operations whose operation `failed` was refused.
    pub fn failure(len: usize, failed: usize, code: ErrorCode) -> Vec<Self> {
        (0..len)
            .map(|index| match index.cmp(&failed) {
                std::cmp::Ordering::Less => Self::Error(0),
                std::cmp::Ordering::Equal => Self::Error(code.to_wire()),
                std::cmp::Ordering::Greater => {
                    Self::Error(ErrorCode::RuntimeInconsistency.to_wire())
                }
            })
            .collect()
    }

    /// Appends one result behind its header.
    pub fn encode(&self, out: &mut impl BufMut) {
        let err = if let Self::Error(err) = self { *err } else { 0 };
        put_header(out, self.kind(), false, err);
        match self {
            Self::Create(path) => out.put_string(path),
            Self::Create2(path, stat) => {
                out.put_string(path);
                stat.encode(out);
            }
            Self::Delete | Self::Check => {}
            Self::SetData(stat) => stat.encode(out),
            Self::GetData(data, stat) => {
                out.put_buffer(data.as_deref());
                stat.encode(out);
            }
            Self::GetChildren(names) => out.put_strings(names),
            Self::Error(err) => out.put_i32(*err),
        }
    }

    /// Appends the header of a result whose body the caller appends itself.
    pub fn put_read_header(out: &mut impl BufMut, op: OpCode) {
        put_header(out, op.to_wire(), false, 0);
    }

    /// Appends the mark behind the last result.
    pub fn put_end(out: &mut impl BufMut) {
        put_header(out, DONE, true, -1);
    }

    /// Appends all results and the end mark.
    pub fn encode_all(results: &[Self], out: &mut impl BufMut) {
        for result in results {
            result.encode(out);
        }
        Self::put_end(out);
    }

    /// Takes all results up to the end mark.
    pub fn decode_all(reader: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let mut results = Vec::new();
        loop {
            let kind = reader.i32()?;
            let done = reader.bool()?;
            reader.i32()?;
            if done {
                return Ok(results);
            }
            results.push(Self::decode(OpCode::from_wire(kind), reader)?);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other operation is one case here"
    )]
    fn decode(op: OpCode, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match op {
            OpCode::Create => Ok(Self::Create(reader.string()?.into_owned())),
            OpCode::Create2 => Ok(Self::Create2(
                reader.string()?.into_owned(),
                Stat::decode(reader)?,
            )),
            OpCode::Delete => Ok(Self::Delete),
            OpCode::SetData => Ok(Self::SetData(Stat::decode(reader)?)),
            OpCode::Check => Ok(Self::Check),
            OpCode::GetData => Ok(Self::GetData(
                reader.buffer()?.map(Bytes::copy_from_slice),
                Stat::decode(reader)?,
            )),
            OpCode::GetChildren => Ok(Self::GetChildren(
                reader.strings()?.into_iter().map(Cow::into_owned).collect(),
            )),
            OpCode::Error => Ok(Self::Error(reader.i32()?)),
            other => Err(DecodeError::Unknown {
                what: "a multi's result",
                value: other.to_wire(),
            }),
        }
    }
}
