//! Requests: a header, then a record by operation. Everything borrows from the frame it came in.

use crate::jute::{DecodeError, JuteMut, Reader};
use crate::{AddWatchMode, MultiOp, OpCode, WatcherType, WireAcl, Xid, Zxid};
use bytes::BufMut;
use std::borrow::Cow;

/// What precedes every request but the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The client's number for it.
    pub xid: Xid,
    /// What it is about.
    pub op: OpCode,
}

impl RequestHeader {
    /// Its length on the wire.
    pub const WIRE_LEN: usize = 8;

    /// Takes the header from the front of a frame.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            xid: Xid(reader.i32()?),
            op: OpCode::from_wire(reader.i32()?),
        })
    }

    /// Appends the header.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(self.xid.0);
        out.put_i32(self.op.to_wire());
    }
}

/// A create of any kind, exactly as asked for: flags, ACL and TTL have not been judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create<'a> {
    /// Create, `Create2`, `CreateContainer` or `CreateTtl`.
    pub op: OpCode,
    /// The path, to which a sequential create appends its number.
    pub path: Cow<'a, str>,
    /// The data, if any.
    pub data: Option<&'a [u8]>,
    /// The ACL, if one was sent.
    pub acl: Option<Vec<WireAcl<'a>>>,
    /// The create mode.
    pub flags: i32,
    /// The TTL in milliseconds; -1 where the operation has no such field.
    pub ttl: i64,
}

impl<'a> Create<'a> {
    pub(crate) fn decode(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            op,
            path: reader.string()?,
            data: reader.buffer()?,
            acl: reader.nullable_vector(crate::Acl::MIN_WIRE_LEN, WireAcl::decode)?,
            flags: reader.i32()?,
            ttl: if op == OpCode::CreateTtl {
                reader.i64()?
            } else {
                -1
            },
        })
    }

    pub(crate) fn encode(&self, out: &mut impl BufMut) {
        out.put_string(&self.path);
        out.put_buffer(self.data);
        put_acl(out, self.acl.as_deref());
        out.put_i32(self.flags);
        if self.op == OpCode::CreateTtl {
            out.put_i64(self.ttl);
        }
    }
}

/// The watches a client had before it lost its connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchLists<'a> {
    /// The last zxid the client saw: what changed later must be told.
    pub relative_zxid: Zxid,
    /// Paths with a watch on data.
    pub data: Vec<Cow<'a, str>>,
    /// Paths with a watch for their creation.
    pub exist: Vec<Cow<'a, str>>,
    /// Paths with a watch on children.
    pub child: Vec<Cow<'a, str>>,
    /// Paths with a persistent watch.
    pub persistent: Vec<Cow<'a, str>>,
    /// Paths with a persistent recursive watch.
    pub recursive: Vec<Cow<'a, str>>,
}

/// Everything a client may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of the records of the same name"
)]
pub enum Request<'a> {
    /// Opcodes 1, 15, 19 and 21.
    Create(Create<'a>),
    /// Opcode 2.
    Delete { path: Cow<'a, str>, version: i32 },
    /// Opcode 3.
    Exists { path: Cow<'a, str>, watch: bool },
    /// Opcode 4.
    GetData { path: Cow<'a, str>, watch: bool },
    /// Opcode 5.
    SetData {
        path: Cow<'a, str>,
        data: Option<&'a [u8]>,
        version: i32,
    },
    /// Opcode 6.
    GetAcl { path: Cow<'a, str> },
    /// Opcode 7.
    SetAcl {
        path: Cow<'a, str>,
        acl: Option<Vec<WireAcl<'a>>>,
        version: i32,
    },
    /// Opcode 8.
    GetChildren { path: Cow<'a, str>, watch: bool },
    /// Opcode 9.
    Sync { path: Cow<'a, str> },
    /// Opcode 11.
    Ping,
    /// Opcode 12.
    GetChildren2 { path: Cow<'a, str>, watch: bool },
    /// Opcode 13, which only a multi may carry.
    Check { path: Cow<'a, str>, version: i32 },
    /// Opcode 14.
    Multi(Vec<MultiOp<'a>>),
    /// Opcode 16.
    Reconfig {
        joining: Option<Cow<'a, str>>,
        leaving: Option<Cow<'a, str>>,
        new_members: Option<Cow<'a, str>>,
        config_id: i64,
    },
    /// Opcode 17.
    CheckWatches {
        path: Cow<'a, str>,
        kind: WatcherType,
    },
    /// Opcode 18.
    RemoveWatches {
        path: Cow<'a, str>,
        kind: WatcherType,
    },
    /// Opcode 22.
    MultiRead(Vec<MultiOp<'a>>),
    /// Opcode 100.
    Auth {
        kind: i32,
        scheme: Option<Cow<'a, str>>,
        auth: Option<&'a [u8]>,
    },
    /// Opcode 101.
    SetWatches(WatchLists<'a>),
    /// Opcode 102.
    Sasl { token: Option<&'a [u8]> },
    /// Opcode 103.
    GetEphemerals { prefix: Option<Cow<'a, str>> },
    /// Opcode 104.
    GetAllChildrenNumber { path: Cow<'a, str> },
    /// Opcode 105.
    SetWatches2(WatchLists<'a>),
    /// Opcode 106.
    AddWatch {
        path: Cow<'a, str>,
        mode: AddWatchMode,
    },
    /// Opcode 107.
    WhoAmI,
    /// Opcode -11.
    CloseSession,
}

impl<'a> Request<'a> {
    /// The operation's code.
    pub const fn op(&self) -> OpCode {
        match self {
            Self::Create(create) => create.op,
            Self::Delete { .. } => OpCode::Delete,
            Self::Exists { .. } => OpCode::Exists,
            Self::GetData { .. } => OpCode::GetData,
            Self::SetData { .. } => OpCode::SetData,
            Self::GetAcl { .. } => OpCode::GetAcl,
            Self::SetAcl { .. } => OpCode::SetAcl,
            Self::GetChildren { .. } => OpCode::GetChildren,
            Self::Sync { .. } => OpCode::Sync,
            Self::Ping => OpCode::Ping,
            Self::GetChildren2 { .. } => OpCode::GetChildren2,
            Self::Check { .. } => OpCode::Check,
            Self::Multi(_) => OpCode::Multi,
            Self::Reconfig { .. } => OpCode::Reconfig,
            Self::CheckWatches { .. } => OpCode::CheckWatches,
            Self::RemoveWatches { .. } => OpCode::RemoveWatches,
            Self::MultiRead(_) => OpCode::MultiRead,
            Self::Auth { .. } => OpCode::Auth,
            Self::SetWatches(_) => OpCode::SetWatches,
            Self::Sasl { .. } => OpCode::Sasl,
            Self::GetEphemerals { .. } => OpCode::GetEphemerals,
            Self::GetAllChildrenNumber { .. } => OpCode::GetAllChildrenNumber,
            Self::SetWatches2(_) => OpCode::SetWatches2,
            Self::AddWatch { .. } => OpCode::AddWatch,
            Self::WhoAmI => OpCode::WhoAmI,
            Self::CloseSession => OpCode::CloseSession,
        }
    }

    /// Takes the record behind a header. As in Java, bytes after the record are ignored.
    ///
    /// Operations that no client may ask for (`deleteContainer`, `createSession`) and unknown ones are refused.
    pub fn decode(op: OpCode, body: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_with(op, &mut Reader::new(body))
    }

    /// The same, with a reader whose field limit the caller chose.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other operation is one case here"
    )]
    pub fn decode_with(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::Create(Create::decode(op, reader)?)
            }
            OpCode::Delete => Self::Delete {
                path: reader.string()?,
                version: reader.i32()?,
            },
            OpCode::Exists => Self::Exists {
                path: reader.string()?,
                watch: reader.bool()?,
            },
            OpCode::GetData => Self::GetData {
                path: reader.string()?,
                watch: reader.bool()?,
            },
            OpCode::SetData => Self::SetData {
                path: reader.string()?,
                data: reader.buffer()?,
                version: reader.i32()?,
            },
            OpCode::GetAcl => Self::GetAcl {
                path: reader.string()?,
            },
            OpCode::SetAcl => Self::SetAcl {
                path: reader.string()?,
                acl: reader.nullable_vector(crate::Acl::MIN_WIRE_LEN, WireAcl::decode)?,
                version: reader.i32()?,
            },
            OpCode::GetChildren => Self::GetChildren {
                path: reader.string()?,
                watch: reader.bool()?,
            },
            OpCode::Sync => Self::Sync {
                path: reader.string()?,
            },
            OpCode::Ping => Self::Ping,
            OpCode::GetChildren2 => Self::GetChildren2 {
                path: reader.string()?,
                watch: reader.bool()?,
            },
            OpCode::Check => Self::Check {
                path: reader.string()?,
                version: reader.i32()?,
            },
            OpCode::Multi => Self::Multi(MultiOp::decode_all(reader)?),
            OpCode::MultiRead => Self::MultiRead(MultiOp::decode_all(reader)?),
            other => return Self::decode_rare(other, reader),
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other operation is one case here"
    )]
    fn decode_rare(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match op {
            OpCode::Reconfig => Self::Reconfig {
                joining: reader.nullable_string()?,
                leaving: reader.nullable_string()?,
                new_members: reader.nullable_string()?,
                config_id: reader.i64()?,
            },
            OpCode::CheckWatches => Self::CheckWatches {
                path: reader.string()?,
                kind: WatcherType::from_wire(reader.i32()?)?,
            },
            OpCode::RemoveWatches => Self::RemoveWatches {
                path: reader.string()?,
                kind: WatcherType::from_wire(reader.i32()?)?,
            },
            OpCode::Auth => Self::Auth {
                kind: reader.i32()?,
                scheme: reader.nullable_string()?,
                auth: reader.buffer()?,
            },
            OpCode::SetWatches => Self::SetWatches(WatchLists::decode(reader, false)?),
            OpCode::SetWatches2 => Self::SetWatches2(WatchLists::decode(reader, true)?),
            OpCode::Sasl => Self::Sasl {
                token: reader.buffer()?,
            },
            OpCode::GetEphemerals => Self::GetEphemerals {
                prefix: reader.nullable_string()?,
            },
            OpCode::GetAllChildrenNumber => Self::GetAllChildrenNumber {
                path: reader.string()?,
            },
            OpCode::AddWatch => Self::AddWatch {
                path: reader.string()?,
                mode: AddWatchMode::from_wire(reader.i32()?)?,
            },
            OpCode::WhoAmI => Self::WhoAmI,
            OpCode::CloseSession => Self::CloseSession,
            other => {
                return Err(DecodeError::Unknown {
                    what: "the table of requests",
                    value: other.to_wire(),
                });
            }
        })
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut impl BufMut) {
        match self {
            Self::Create(create) => create.encode(out),
            Self::Delete { path, version } | Self::Check { path, version } => {
                put_path_version(out, path, *version);
            }
            Self::Exists { path, watch }
            | Self::GetData { path, watch }
            | Self::GetChildren { path, watch }
            | Self::GetChildren2 { path, watch } => put_path_watch(out, path, *watch),
            Self::SetData {
                path,
                data,
                version,
            } => put_set_data(out, path, *data, *version),
            Self::GetAcl { path } | Self::Sync { path } | Self::GetAllChildrenNumber { path } => {
                out.put_string(path);
            }
            Self::SetAcl { path, acl, version } => {
                out.put_string(path);
                put_acl(out, acl.as_deref());
                out.put_i32(*version);
            }
            Self::Ping | Self::WhoAmI | Self::CloseSession => {}
            Self::Multi(ops) | Self::MultiRead(ops) => MultiOp::encode_all(ops, out),
            Self::Reconfig {
                joining,
                leaving,
                new_members,
                config_id,
            } => {
                for list in [joining, leaving, new_members] {
                    out.put_buffer(list.as_ref().map(|text| text.as_bytes()));
                }
                out.put_i64(*config_id);
            }
            Self::CheckWatches { path, kind } | Self::RemoveWatches { path, kind } => {
                put_path_version(out, path, kind.to_wire());
            }
            Self::Auth { kind, scheme, auth } => {
                out.put_i32(*kind);
                out.put_buffer(scheme.as_ref().map(|text| text.as_bytes()));
                out.put_buffer(*auth);
            }
            Self::SetWatches(lists) => lists.encode(out, false),
            Self::SetWatches2(lists) => lists.encode(out, true),
            Self::Sasl { token } => out.put_buffer(*token),
            Self::GetEphemerals { prefix } => {
                out.put_buffer(prefix.as_ref().map(|text| text.as_bytes()));
            }
            Self::AddWatch { path, mode } => put_path_version(out, path, mode.to_wire()),
        }
    }
}

impl<'a> WatchLists<'a> {
    fn decode(reader: &mut Reader<'a>, with_persistent: bool) -> Result<Self, DecodeError> {
        let mut lists = Self {
            relative_zxid: Zxid::from_wire(reader.i64()?),
            data: reader.strings()?,
            exist: reader.strings()?,
            child: reader.strings()?,
            ..Self::default()
        };
        if with_persistent {
            lists.persistent = reader.strings()?;
            lists.recursive = reader.strings()?;
        }
        Ok(lists)
    }

    fn encode(&self, out: &mut impl BufMut, with_persistent: bool) {
        out.put_i64(self.relative_zxid.to_wire());
        for list in [&self.data, &self.exist, &self.child] {
            out.put_strings(list);
        }
        if with_persistent {
            out.put_strings(&self.persistent);
            out.put_strings(&self.recursive);
        }
    }
}

pub(crate) fn put_path_version(out: &mut impl BufMut, path: &str, version: i32) {
    out.put_string(path);
    out.put_i32(version);
}

pub(crate) fn put_path_watch(out: &mut impl BufMut, path: &str, watch: bool) {
    out.put_string(path);
    out.put_bool(watch);
}

pub(crate) fn put_set_data(out: &mut impl BufMut, path: &str, data: Option<&[u8]>, version: i32) {
    out.put_string(path);
    out.put_buffer(data);
    out.put_i32(version);
}

fn put_acl(out: &mut impl BufMut, acl: Option<&[WireAcl<'_>]>) {
    match acl {
        None => out.put_i32(-1),
        Some(entries) => out.put_vector(entries, |out, entry| entry.encode(out)),
    }
}
