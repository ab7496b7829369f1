//! What passes through a proxy, recognised: frames of either direction, and which request a reply belongs to.
//! Whatever is not a frame (TLS, four-letter words) passes as bytes.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::fmt;
use zk_proto::frame::{LENGTH_WORD, payload_len};
use zk_proto::jute::Reader;
use zk_proto::{OpCode, ReplyHeader, RequestHeader, Xid};

/// Longer frames are no frames. The first bytes of TLS and of four-letter words are above it.
const MAX_FRAME: usize = 64 << 20;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client: requests.
    ToServer,
    /// From the server: replies and events.
    ToClient,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The handshake's only frame of this direction.
    Connect,
    /// A request of this operation, or its reply.
    Op(OpCode),
    /// A watch event.
    Event,
    /// Bytes that are no frame.
    Opaque,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Op(op) => op.fmt(f),
            Self::Event => f.write_str("event"),
            Self::Opaque => f.write_str("opaque"),
        }
    }
}

/// A frame with its length word, or opaque bytes.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    pub(super) xid: Option<Xid>,
    pub(super) bytes: Bytes,
}

/// Cuts the bytes of one direction into pieces.
#[derive(Debug)]
pub(super) struct Cutter {
    direction: Direction,
    buffer: BytesMut,
    begun: bool,
    opaque: bool,
}

/// Requests without a reply yet, in their order.
pub(super) type Waiting = VecDeque<RequestHeader>;

impl Cutter {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            buffer: BytesMut::new(),
            begun: false,
            opaque: false,
        }
    }

    /// Where to read into.
    pub(super) const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole piece.
    pub(super) fn next(&mut self, waiting: &mut Waiting) -> Option<Piece> {
        if self.buffer.is_empty() {
            return None;
        }
        let len = match payload_len(&self.buffer, MAX_FRAME) {
            _ if self.opaque => return Some(self.rest()),
            Ok(Some(len)) if self.buffer.len() >= LENGTH_WORD + len => LENGTH_WORD + len,
            Ok(_) => return None,
            Err(_) => {
                self.opaque = true;
                return Some(self.rest());
            }
        };
        let bytes = self.buffer.split_to(len).freeze();
        let (kind, xid) = self.recognise(bytes.slice(LENGTH_WORD..), waiting);
        Some(Piece { kind, xid, bytes })
    }

    /// What is left when no more will come.
    pub(super) fn rest(&mut self) -> Piece {
        Piece {
            kind: Kind::Opaque,
            xid: None,
            bytes: self.buffer.split().freeze(),
        }
    }

    fn recognise(&mut self, payload: Bytes, waiting: &mut Waiting) -> (Kind, Option<Xid>) {
        if !self.begun {
            self.begun = true;
            return (Kind::Connect, None);
        }
        let mut reader = Reader::new(&payload);
        match self.direction {
            Direction::ToServer => match RequestHeader::decode(&mut reader) {
                Ok(header) => {
                    waiting.push_back(header);
                    (Kind::Op(header.op), Some(header.xid))
                }
                Err(_) => (Kind::Opaque, None),
            },
            Direction::ToClient => match ReplyHeader::decode(&mut reader) {
                Ok(header) if header.xid == Xid::NOTIFICATION => (Kind::Event, None),
                Ok(header) => {
                    // Not always the front: replies to auth and SASL overtake.
                    let at = waiting.iter().position(|asked| asked.xid == header.xid);
                    let asked = at.and_then(|at| waiting.remove(at));
                    let kind = asked.map_or(Kind::Opaque, |asked| Kind::Op(asked.op));
                    (kind, Some(header.xid))
                }
                Err(_) => (Kind::Opaque, None),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_proto::Zxid;
    use zk_proto::frame::put_frame;

    fn kinds(direction: Direction, bytes: &[u8], waiting: &mut Waiting) -> Vec<(Kind, usize)> {
        let mut cutter = Cutter::new(direction);
        let mut found = Vec::new();
        // One byte after the other: no frame may depend on how it arrives.
        for &byte in bytes {
            cutter.buffer().extend_from_slice(&[byte]);
            while let Some(piece) = cutter.next(waiting) {
                found.push((piece.kind, piece.bytes.len()));
            }
        }
        found
    }

    #[test]
    fn replies_are_recognised_by_their_requests() {
        let mut waiting = Waiting::new();
        let mut out = BytesMut::new();
        put_frame(&mut out, |payload| payload.extend_from_slice(&[0; 45]));
        for (xid, op) in [(1, OpCode::Create), (-4, OpCode::Auth), (-2, OpCode::Ping)] {
            put_frame(&mut out, |payload| {
                RequestHeader { xid: Xid(xid), op }.encode(payload);
            });
        }
        let asked = kinds(Direction::ToServer, &out, &mut waiting);
        let asked: Vec<_> = asked.iter().map(|(kind, _)| kind.to_string()).collect();
        assert_eq!(asked, ["connect", "create", "auth", "ping"]);

        let mut out = BytesMut::new();
        put_frame(&mut out, |payload| payload.extend_from_slice(&[0; 37]));
        for xid in [-4, -1, 1, -2, 77] {
            let header = ReplyHeader {
                xid: Xid(xid),
                zxid: Zxid::ZERO,
                err: 0,
            };
            put_frame(&mut out, |payload| header.encode(payload));
        }
        let told = kinds(Direction::ToClient, &out, &mut waiting);
        let told: Vec<_> = told.iter().map(|(kind, _)| kind.to_string()).collect();
        assert_eq!(
            told,
            ["connect", "auth", "event", "create", "ping", "opaque"]
        );
        assert!(waiting.is_empty());
    }

    #[test]
    fn what_is_no_frame_passes_as_bytes() {
        let found = kinds(Direction::ToServer, b"srvr\x16\x03", &mut Waiting::new());
        assert_eq!(
            found,
            [(Kind::Opaque, 4), (Kind::Opaque, 1), (Kind::Opaque, 1)]
        );
    }
}
