//! Replies: a header, then a record by operation.

use crate::jute::{DecodeError, JuteMut, Reader};
use crate::{Acl, ConnectResponse, MultiResult, OpCode, Stat, Xid, Zxid};
use bytes::{BufMut, Bytes};
use std::borrow::Cow;

/// What precedes every reply but the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The number of the request that is answered.
    pub xid: Xid,
    /// The last transaction this server has applied.
    pub zxid: Zxid,
    /// Zero, or an [`crate::ErrorCode`].
    pub err: i32,
}

impl ReplyHeader {
    /// Its length on the wire.
    pub const WIRE_LEN: usize = 16;

    /// Takes the header from the front of a frame.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            xid: Xid(reader.i32()?),
            zxid: Zxid::from_wire(reader.i64()?),
            err: reader.i32()?,
        })
    }

    /// Appends the header.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(self.xid.0);
        out.put_i64(self.zxid.to_wire());
        out.put_i32(self.err);
    }
}

/// An identity of a connection, as `whoAmI` tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientInfo {
    /// How it was proved.
    pub scheme: String,
    /// Who it is, without secrets.
    pub user: String,
}

/// The body of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing but the header.
    Empty,
    /// A path: create, sync.
    Path(String),
    /// A path and its stat: the other creates.
    PathStat(String, Stat),
    /// A stat: exists, setData, setACL.
    Stat(Stat),
    /// Data and stat: getData, reconfig.
    Data(Option<Bytes>, Stat),
    /// An ACL and a stat.
    Acl(Vec<Acl>, Stat),
    /// Names of children, or paths of ephemerals.
    Names(Vec<String>),
    /// Names of children and the stat of their parent.
    Children(Vec<String>, Stat),
    /// Results of a multi or a multiRead.
    Multi(Vec<MultiResult>),
    /// A count of descendants, or the always-zero code of addWatch.
    Number(i32),
    /// Identities.
    WhoAmI(Vec<ClientInfo>),
    /// A SASL token.
    Token(Option<Bytes>),
    /// The answer to a connect request; the only one without a header.
    Connected(ConnectResponse),
}

impl Reply {
    /// Appends the record.
    pub fn encode(&self, out: &mut impl BufMut) {
        match self {
            Self::Empty => {}
            Self::Path(path) => out.put_string(path),
            Self::PathStat(path, stat) => {
                out.put_string(path);
                stat.encode(out);
            }
            Self::Stat(stat) => stat.encode(out),
            Self::Data(data, stat) => {
                out.put_buffer(data.as_deref());
                stat.encode(out);
            }
            Self::Acl(acl, stat) => {
                out.put_vector(acl, |out, entry| entry.encode(out));
                stat.encode(out);
            }
            Self::Names(names) => out.put_strings(names),
            Self::Children(names, stat) => {
                out.put_strings(names);
                stat.encode(out);
            }
            Self::Multi(results) => MultiResult::encode_all(results, out),
            Self::Number(number) => out.put_i32(*number),
            Self::WhoAmI(infos) => out.put_vector(infos, |out, info| {
                out.put_string(&info.scheme);
                out.put_string(&info.user);
            }),
            Self::Token(token) => out.put_buffer(token.as_deref()),
            Self::Connected(response) => response.encode(out),
        }
    }

    /// Takes the body of a successful reply to `op`. Bytes after it are ignored.
    pub fn decode(op: OpCode, body: &[u8]) -> Result<Self, DecodeError> {
        let reader = &mut Reader::with_field_limit(body, body.len());
        let owned = |names: Vec<Cow<'_, str>>| names.into_iter().map(Cow::into_owned).collect();
        Ok(match op {
            OpCode::Create | OpCode::Sync => Self::Path(reader.string()?.into_owned()),
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::PathStat(reader.string()?.into_owned(), Stat::decode(reader)?)
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => Self::Stat(Stat::decode(reader)?),
            OpCode::GetData | OpCode::Reconfig => Self::Data(
                reader.buffer()?.map(Bytes::copy_from_slice),
                Stat::decode(reader)?,
            ),
            OpCode::GetAcl => Self::Acl(
                reader.vector(Acl::MIN_WIRE_LEN, Acl::decode)?,
                Stat::decode(reader)?,
            ),
            OpCode::GetChildren | OpCode::GetEphemerals => Self::Names(owned(reader.strings()?)),
            OpCode::GetChildren2 => Self::Children(owned(reader.strings()?), Stat::decode(reader)?),
            OpCode::Multi | OpCode::MultiRead => Self::Multi(MultiResult::decode_all(reader)?),
            OpCode::GetAllChildrenNumber | OpCode::AddWatch => Self::Number(reader.i32()?),
            OpCode::WhoAmI => Self::WhoAmI(reader.vector(8, |reader| {
                Ok(ClientInfo {
                    scheme: reader.string()?.into_owned(),
                    user: reader.string()?.into_owned(),
                })
            })?),
            OpCode::Sasl => Self::Token(reader.buffer()?.map(Bytes::copy_from_slice)),
            OpCode::CreateSession => Self::Connected(ConnectResponse::decode(body)?),
            OpCode::CloseSession
            | OpCode::Error
            | OpCode::Delete
            | OpCode::Ping
            | OpCode::Check
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::DeleteContainer
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::Other(_) => Self::Empty,
        })
    }
}
