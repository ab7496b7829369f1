//! The packets of a quorum link.
//!
//! ```text
//! int type, long zxid, buffer data, vector<string scheme, string id> authinfo
//! ```
//!
//! A packet has no length in front: its end is found by walking its fields, before any of it is
//! decoded.

use super::WireError;
use crate::message::Message;
use bytes::BytesMut;
use zk_proto::jute::DEFAULT_MAX_BUFFER;
use zk_proto::{DecodeError, Zxid};

/// The longest buffer or string in a packet that Java accepts by default: `jute.maxbuffer` and as
/// much again of `jute.maxbuffer.extrasize`.
pub const DEFAULT_FIELD_LIMIT: usize = 2 * DEFAULT_MAX_BUFFER;

/// More identities than one client can have, wherever it is connected.
const MAX_IDENTITIES: usize = 4096;

/// Type, zxid and the length of data.
const HEAD: usize = 16;

/// The zxid of packets that speak of none.
pub(super) const NO_ZXID: Zxid = Zxid::NONE;

/// The number of each packet's type.
pub(super) mod kind {
    pub(crate) const REQUEST: i32 = 1;
    pub(crate) const PROPOSAL: i32 = 2;
    pub(crate) const ACK: i32 = 3;
    pub(crate) const COMMIT: i32 = 4;
    pub(crate) const PING: i32 = 5;
    pub(crate) const REVALIDATE: i32 = 6;
    pub(crate) const SYNC: i32 = 7;
    pub(crate) const INFORM: i32 = 8;
    pub(crate) const COMMIT_AND_ACTIVATE: i32 = 9;
    pub(crate) const NEW_LEADER: i32 = 10;
    pub(crate) const FOLLOWER_INFO: i32 = 11;
    pub(crate) const UP_TO_DATE: i32 = 12;
    pub(crate) const DIFF: i32 = 13;
    pub(crate) const TRUNC: i32 = 14;
    pub(crate) const SNAP: i32 = 15;
    pub(crate) const OBSERVER_INFO: i32 = 16;
    pub(crate) const LEADER_INFO: i32 = 17;
    pub(crate) const ACK_EPOCH: i32 = 18;
    pub(crate) const INFORM_AND_ACTIVATE: i32 = 19;
}

/// Takes the message at the front of what a quorum link has received, or `None` while it is not all
/// there. What follows stays in the buffer: behind a SNAP that is the snapshot.
pub fn take_message(buf: &mut BytesMut, field_limit: usize) -> Result<Option<Message>, WireError> {
    match packet_len(buf, field_limit)? {
        Some(len) => Message::decode(&buf.split_to(len).freeze(), field_limit).map(Some),
        None => Ok(None),
    }
}

/// The length of the packet that begins here, or `None` while its end has not arrived. A packet that
/// can only become invalid is refused as soon as that shows.
pub fn packet_len(buf: &[u8], field_limit: usize) -> Result<Option<usize>, WireError> {
    let mut cursor = Cursor {
        left: buf,
        field_limit,
    };
    match cursor.skip_packet() {
        Ok(()) => Ok(Some(buf.len() - cursor.left.len())),
        Err(Stop::NotYet) => Ok(None),
        Err(Stop::Bad(error)) => Err(error.into()),
    }
}

enum Stop {
    NotYet,
    Bad(DecodeError),
}

struct Cursor<'a> {
    left: &'a [u8],
    field_limit: usize,
}

impl Cursor<'_> {
    fn skip_packet(&mut self) -> Result<(), Stop> {
        self.skip(HEAD - 4)?;
        self.skip_buffer()?;
        let count = self.i32()?;
        // As everywhere in jute, a count below zero is a vector without elements.
        let count = usize::try_from(count).unwrap_or(0);
        if count > MAX_IDENTITIES {
            let declared = i32::try_from(count).unwrap_or(i32::MAX);
            return Err(Stop::Bad(DecodeError::Length(declared)));
        }
        // All identities together share the limit of one field.
        for _ in 0..2 * count {
            let len = self.skip_buffer()?;
            self.field_limit -= len;
        }
        Ok(())
    }

    fn skip(&mut self, len: usize) -> Result<(), Stop> {
        self.left = self.left.get(len..).ok_or(Stop::NotYet)?;
        Ok(())
    }

    fn i32(&mut self) -> Result<i32, Stop> {
        let (word, left) = self.left.split_first_chunk().ok_or(Stop::NotYet)?;
        self.left = left;
        Ok(i32::from_be_bytes(*word))
    }

    fn skip_buffer(&mut self) -> Result<usize, Stop> {
        let declared = self.i32()?;
        if declared == -1 {
            return Ok(0);
        }
        match usize::try_from(declared) {
            Ok(len) if len <= self.field_limit => self.skip(len).map(|()| len),
            _ => Err(Stop::Bad(DecodeError::Length(declared))),
        }
    }
}
