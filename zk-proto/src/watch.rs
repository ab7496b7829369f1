//! Watches on the wire: kinds, modes and events.

use crate::jute::{DecodeError, JuteMut, Reader};
use crate::{ReplyHeader, Xid, Zxid, frame};
use bytes::{BufMut, BytesMut};

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was set.
    DataChanged,
    /// A child was created or deleted.
    ChildrenChanged,
}

impl EventType {
    /// The number for the wire.
    pub const fn to_wire(self) -> i32 {
        match self {
            Self::Created => 1,
            Self::Deleted => 2,
            Self::DataChanged => 3,
            Self::ChildrenChanged => 4,
        }
    }

    /// Reads a number.
    pub const fn from_wire(number: i32) -> Result<Self, DecodeError> {
        match number {
            1 => Ok(Self::Created),
            2 => Ok(Self::Deleted),
            3 => Ok(Self::DataChanged),
            4 => Ok(Self::ChildrenChanged),
            value => Err(DecodeError::Unknown {
                what: "the table of events",
                value,
            }),
        }
    }
}

/// A server's word to a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// What happened.
    pub event: EventType,
    /// To which node.
    pub path: String,
}

impl WatchEvent {
    /// The only keeper state that servers send: connected.
    const SYNC_CONNECTED: i32 = 3;

    /// Appends a whole notification frame.
    pub fn put_frame(out: &mut BytesMut, zxid: Zxid, event: EventType, path: &str) {
        frame::put_frame(out, |payload| {
            ReplyHeader {
                xid: Xid::NOTIFICATION,
                zxid,
                err: 0,
            }
            .encode(payload);
            payload.put_i32(event.to_wire());
            payload.put_i32(Self::SYNC_CONNECTED);
            payload.put_string(path);
        });
    }

    /// Takes what follows the header of a notification.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let event = EventType::from_wire(reader.i32()?)?;
        reader.i32()?;
        Ok(Self {
            event,
            path: reader.string()?.into_owned(),
        })
    }
}

/// How long an added watch lasts and how far it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddWatchMode {
    /// Until removed, the node and its children list.
    Persistent,
    /// Until removed, the node and everything below.
    PersistentRecursive,
}

impl AddWatchMode {
    /// Reads a number.
    pub const fn from_wire(number: i32) -> Result<Self, DecodeError> {
        match number {
            0 => Ok(Self::Persistent),
            1 => Ok(Self::PersistentRecursive),
            value => Err(DecodeError::Unknown {
                what: "the table of watch modes",
                value,
            }),
        }
    }

    /// The number for the wire.
    pub const fn to_wire(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::PersistentRecursive => 1,
        }
    }
}

/// Which watches a client asks about or removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatcherType {
    /// One-shot watches on children.
    Children,
    /// One-shot watches on data and existence.
    Data,
    /// Every kind.
    Any,
    /// Persistent ones.
    Persistent,
    /// Persistent recursive ones.
    PersistentRecursive,
}

impl WatcherType {
    /// Reads a number.
    pub const fn from_wire(number: i32) -> Result<Self, DecodeError> {
        match number {
            1 => Ok(Self::Children),
            2 => Ok(Self::Data),
            3 => Ok(Self::Any),
            4 => Ok(Self::Persistent),
            5 => Ok(Self::PersistentRecursive),
            value => Err(DecodeError::Unknown {
                what: "the table of watcher types",
                value,
            }),
        }
    }

    /// The number for the wire.
    pub const fn to_wire(self) -> i32 {
        match self {
            Self::Children => 1,
            Self::Data => 2,
            Self::Any => 3,
            Self::Persistent => 4,
            Self::PersistentRecursive => 5,
        }
    }
}
