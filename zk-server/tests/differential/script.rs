//! A run, as data: what is sent, on which connection, in which order. Steps are self-contained and name
//! sessions and zxids only symbolically, so that any subset of a script is a script as well.

use bytes::BufMut;
use std::borrow::Cow;
use zk_proto::{ConnectRequest, Request, SessionId, Zxid};

/// How many connections a run juggles.
pub(crate) const SLOTS: usize = 6;

/// One request, already encoded.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) xid: i32,
    pub(crate) op: i32,
    pub(crate) body: Vec<u8>,
    /// The body begins with a zxid that lies this far behind the last one the server has told.
    pub(crate) back: Option<i64>,
}

impl Ask {
    pub(crate) fn new(xid: i32, request: &Request<'_>) -> Self {
        let mut body = Vec::new();
        request.encode(&mut body);
        Self::raw(xid, request.op().to_wire(), body)
    }

    pub(crate) fn raw(xid: i32, op: i32, body: Vec<u8>) -> Self {
        Self {
            xid,
            op,
            body,
            back: None,
        }
    }

    pub(crate) fn payload(&self, last_zxid: i64) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.body.len());
        out.put_i32(self.xid);
        out.put_i32(self.op);
        match self.back {
            Some(back) => {
                out.put_i64(last_zxid - back);
                out.put_slice(self.body.get(8..).unwrap_or_default());
            }
            None => out.put_slice(&self.body),
        }
        out
    }
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let op = zk_proto::OpCode::from_wire(self.op);
        write!(f, "#{} {op} ", self.xid)?;
        let short = self.body.get(..200).unwrap_or(&self.body);
        match Request::decode(op, &self.body) {
            Ok(request) if self.body.len() <= 400 => write!(f, "{request:?}")?,
            Ok(_) => write!(f, "({} bytes)", self.body.len())?,
            Err(error) => write!(f, "<{error}> {}", hex(short))?,
        }
        match self.back {
            Some(back) => write!(f, " [zxid {back} back]"),
            None => Ok(()),
        }
    }
}

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// In one write.
    Whole,
    /// Byte by byte.
    Bytes,
}

/// What stands in the password field of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Password {
    Right,
    Wrong,
    Short,
    Null,
}

/// How a connection is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// `None` for a new session, else the n-th youngest session of the run.
    pub(crate) again: Option<usize>,
    pub(crate) password: Password,
    pub(crate) timeout: i32,
    pub(crate) read_only: Option<bool>,
    /// How far ahead of the server the client claims to be; zero is not at all.
    pub(crate) ahead: i64,
    pub(crate) protocol: i32,
}

impl Hello {
    pub(crate) const fn new(timeout: i32, read_only: Option<bool>) -> Self {
        Self {
            again: None,
            password: Password::Null,
            timeout,
            read_only,
            ahead: 0,
            protocol: 0,
        }
    }

    /// The payload, for a server that last told `last_zxid` and gave this session.
    pub(crate) fn payload(&self, last_zxid: i64, session: Option<(i64, [u8; 16])>) -> Vec<u8> {
        let (id, mut password) = session.unwrap_or((0, [0; 16]));
        if self.password == Password::Wrong {
            password[7] ^= 0x40;
        }
        let password = match self.password {
            Password::Right | Password::Wrong => Some(Cow::Owned(password.to_vec())),
            Password::Short => Some(Cow::Owned(vec![1, 2, 3])),
            Password::Null => None,
        };
        let last_zxid_seen = if self.ahead == 0 {
            Zxid::ZERO
        } else {
            Zxid::from_wire(last_zxid + self.ahead)
        };
        let mut out = Vec::new();
        ConnectRequest {
            protocol_version: self.protocol,
            last_zxid_seen,
            timeout: self.timeout,
            session: SessionId::from_wire(id),
            password,
            read_only: self.read_only,
        }
        .encode(&mut out);
        out
    }
}

/// One thing done to both servers, before the next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Requests in one packet on one connection; all replies are awaited.
    Send {
        slot: usize,
        asks: Vec<Ask>,
        pace: Pace,
    },
    /// Every slot its requests in one packet, all at once. Which zxids they get is not compared. Slots
    /// without requests only listen.
    Together { bursts: Vec<Vec<Ask>> },
    /// A slot gets a new connection, with requests right behind the handshake.
    Connect {
        slot: usize,
        hello: Hello,
        asks: Vec<Ask>,
        pace: Pace,
    },
    /// Bytes after which the server should close the connection.
    Raw { slot: usize, bytes: Vec<u8> },
    /// A first frame of nonsense, on a connection of its own.
    RawHello { bytes: Vec<u8> },
    /// The client goes away without a word.
    Hangup { slot: usize },
    /// A session with the shortest timeout is set up and left alone until it is gone.
    Expire {
        timeout: i32,
        asks: Vec<Ask>,
        hangup: bool,
    },
    /// A request that no client may make, on a connection of its own.
    Forbidden { ask: Ask },
    /// The server itself writes, so many times, behind the last request of this connection: the reaper.
    AwaitWrites { slot: usize, writes: i64 },
    /// A four-letter word.
    Word(&'static str),
    /// The administrator opens the root again and, if the tree has grown, deletes everything.
    Prune,
    /// The administrator compares the whole trees.
    Compare,
}

impl Step {
    /// How many requests it holds.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Send { asks, .. } => asks.len(),
            Self::Together { bursts } => bursts.iter().map(Vec::len).sum(),
            Self::Connect { asks, .. } | Self::Expire { asks, .. } => asks.len() + 1,
            Self::Raw { .. }
            | Self::RawHello { .. }
            | Self::Hangup { .. }
            | Self::Forbidden { .. }
            | Self::AwaitWrites { .. }
            | Self::Word(_)
            | Self::Prune
            | Self::Compare => 1,
        }
    }

    /// The connection it is about.
    pub(crate) fn slot(&self) -> Option<usize> {
        match self {
            Self::Send { slot, .. }
            | Self::Connect { slot, .. }
            | Self::Raw { slot, .. }
            | Self::AwaitWrites { slot, .. }
            | Self::Hangup { slot } => Some(*slot),
            Self::Together { .. }
            | Self::RawHello { .. }
            | Self::Expire { .. }
            | Self::Forbidden { .. }
            | Self::Word(_)
            | Self::Prune
            | Self::Compare => None,
        }
    }
}

pub(crate) const AUTH_XID: i32 = -4;

/// An auth packet for `user:password`.
pub(crate) fn digest_auth(credentials: &str) -> Ask {
    Ask::new(
        AUTH_XID,
        &Request::Auth {
            kind: 0,
            scheme: Some("digest".into()),
            auth: Some(credentials.as_bytes()),
        },
    )
}

/// How each slot opens when it has no connection: some prove an identity, one is older than 3.4.
pub(crate) fn home(slot: usize) -> (Hello, Vec<Ask>) {
    let timeout = 3_600_000;
    let hello = |read_only| Hello::new(timeout, read_only);
    match slot {
        0 => (hello(Some(false)), vec![digest_auth("alice:a")]),
        2 => (
            hello(Some(false)),
            vec![digest_auth("bob:b"), digest_auth("alice:a")],
        ),
        3 => (hello(Some(false)), vec![digest_auth("super:secret")]),
        4 => (hello(None), vec![]),
        5 => (hello(Some(true)), vec![]),
        _ => (hello(Some(false)), vec![]),
    }
}

/// Bytes as text, shortened in the middle.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let print =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    match (bytes.get(..160), bytes.get(bytes.len().max(40) - 40..)) {
        (Some(head), Some(tail)) if bytes.len() > 200 => {
            format!("{}…{} ({} bytes)", print(head), print(tail), bytes.len())
        }
        _ => print(bytes),
    }
}
