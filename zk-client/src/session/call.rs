//! One call on its way: the frame, who waits for it, how long, and what its success means for watches.

use crate::clock::Time;
use crate::watch::{SubscriptionId, WatchKind};
use bytes::{Bytes, BytesMut};
use zk_proto::jute::Reader;
use zk_proto::{MultiOp, OpCode, ReplyHeader, Request, RequestHeader, Xid, frame};

/// Whoever waits for an answer.
pub(crate) trait Slot {
    /// Whether nobody waits any more.
    fn is_abandoned(&self) -> bool;
}

/// What a call wants watched if it succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchWish {
    pub(crate) id: SubscriptionId,
    pub(crate) kind: WatchKind,
    /// The watcher was dropped before the watch was there.
    pub(crate) dropped: bool,
}

/// A request, ready for the wire but for its number.
#[derive(Debug)]
pub(crate) struct Call<C> {
    pub(crate) op: OpCode,
    /// Length, a place for the xid, the operation, the record.
    pub(crate) frame: Vec<u8>,
    /// `None` for what the session asks on its own account, and after a timeout.
    pub(crate) slot: Option<C>,
    pub(crate) deadline: Option<Time>,
    pub(crate) watch: Option<WatchWish>,
    /// How often it was sent before.
    pub(crate) tries: u8,
}

/// Where a frame has its xid.
const XID_AT: usize = frame::LENGTH_WORD;
/// Where its record begins.
pub(crate) const RECORD_AT: usize = frame::LENGTH_WORD + RequestHeader::WIRE_LEN;

impl<C> Call<C> {
    /// A call with nothing but its request.
    pub(crate) fn new(op: OpCode, frame: Vec<u8>, slot: Option<C>) -> Self {
        Self {
            op,
            frame,
            slot,
            deadline: None,
            watch: None,
            tries: 0,
        }
    }

    /// Writes the frame under a number.
    pub(crate) fn write(&self, xid: Xid, out: &mut BytesMut) {
        let (length, rest) = self.frame.split_at(XID_AT);
        out.extend_from_slice(length);
        out.extend_from_slice(&xid.0.to_be_bytes());
        out.extend_from_slice(rest.get(4..).unwrap_or_default());
    }

    /// Whether sending it twice is the same as sending it once.
    pub(crate) const fn is_idempotent(&self) -> bool {
        is_read(self.op)
    }

    /// The path on the wire, with the chroot.
    pub(crate) fn wire_path(&self) -> Option<String> {
        wire_path(&self.frame)
    }
}

/// Whether an operation changes nothing that others can see.
pub(crate) const fn is_read(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Exists
            | OpCode::GetData
            | OpCode::GetAcl
            | OpCode::GetChildren
            | OpCode::GetChildren2
            | OpCode::Sync
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::MultiRead
            | OpCode::GetEphemerals
            | OpCode::GetAllChildrenNumber
            | OpCode::AddWatch
            | OpCode::WhoAmI
    )
}

/// The path of a request, if its operation has one: the first field of the record.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other operation begins with its path"
)]
pub(crate) fn wire_path(frame: &[u8]) -> Option<String> {
    match op_of(frame)? {
        OpCode::Multi
        | OpCode::MultiRead
        | OpCode::Reconfig
        | OpCode::Auth
        | OpCode::Sasl
        | OpCode::WhoAmI
        | OpCode::CloseSession => None,
        _ => {
            let mut reader = Reader::new(frame.get(RECORD_AT..)?);
            reader.string().ok().map(std::borrow::Cow::into_owned)
        }
    }
}

/// The path of one operation of a multi.
pub(crate) fn wire_path_in(frame: &[u8], index: usize) -> Option<String> {
    let Ok(Request::Multi(ops) | Request::MultiRead(ops)) =
        Request::decode(op_of(frame)?, frame.get(RECORD_AT..)?)
    else {
        return None;
    };
    Some(match ops.get(index)? {
        MultiOp::Create(create) => create.path.to_string(),
        MultiOp::Delete { path, .. }
        | MultiOp::SetData { path, .. }
        | MultiOp::Check { path, .. }
        | MultiOp::GetData { path, .. }
        | MultiOp::GetChildren { path, .. } => path.to_string(),
    })
}

/// What a request is about; `None` for bytes that are no request.
pub(crate) fn op_of(frame: &[u8]) -> Option<OpCode> {
    let mut reader = Reader::new(frame.get(XID_AT..)?);
    RequestHeader::decode(&mut reader)
        .ok()
        .map(|header| header.op)
}

/// A request as a frame without a number.
pub(crate) fn frame_of(request: &Request<'_>) -> Vec<u8> {
    frame_with(request.op(), |out| request.encode(out))
}

/// A frame whose record is written by `record`.
pub(crate) fn frame_with(op: OpCode, record: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&[0; XID_AT]);
    RequestHeader {
        xid: Xid::INTERNAL,
        op,
    }
    .encode(&mut out);
    record(&mut out);
    seal(&mut out);
    out
}

/// Puts the length in front.
pub(crate) fn seal(frame: &mut [u8]) {
    let len = u32::try_from(frame.len().saturating_sub(frame::LENGTH_WORD)).unwrap_or(u32::MAX);
    if let Some(word) = frame.first_chunk_mut::<{ frame::LENGTH_WORD }>() {
        *word = len.to_be_bytes();
    }
}

/// What the server said to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) header: ReplyHeader,
    pub(crate) body: Bytes,
}

/// A frame that was written and has no reply yet.
#[derive(Debug)]
pub(crate) struct Flight<C> {
    pub(crate) xid: Xid,
    pub(crate) sent_at: Time,
    pub(crate) sent: Sent<C>,
}

/// What it was about.
#[derive(Debug)]
pub(crate) enum Sent<C> {
    Call(Call<C>),
    /// A part of the watches, armed again; `last` of several.
    Rearm {
        last: bool,
    },
    Close,
}

impl<C> Sent<C> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Call(call) => call.frame.len(),
            Self::Rearm { .. } | Self::Close => 0,
        }
    }
}
