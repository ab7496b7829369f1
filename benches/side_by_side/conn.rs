//! One connection to a server: requests out, replies in, each reply checked. It neither waits nor
//! decides what to ask next.

use crate::error::{Context, Failure};
use bytes::{Buf, BytesMut};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;
use zk_proto::jute::Reader;
use zk_proto::{
    ConnectRequest, ConnectResponse, PASSWORD_LEN, ReplyHeader, Request, RequestHeader, SessionId,
    WatchEvent, Xid, Zxid, frame,
};

/// Long enough that no session expires between two pings, and what `tickTime=2000` permits at most.
const SESSION_TIMEOUT: i32 = 40_000;
/// Room for what one read brings, and so for the largest reply.
pub(crate) const SCRATCH: usize = 256 * 1024;

/// Someone who is told what arrives and says what to send.
pub(crate) trait Load {
    /// A reply arrived and was right.
    fn on_reply(&mut self, since: Instant, now: Instant);
    /// A session was opened.
    fn on_session(&mut self, _since: Instant, _now: Instant) {}
    /// A watch fired.
    fn on_event(&mut self, _event: WatchEvent, _now: Instant) {}
    /// The connection has dealt with what arrived; may it ask more?
    fn refill(&mut self, conn: &mut Conn);
}

/// A request under way.
#[derive(Debug)]
struct Pending {
    xid: Xid,
    body: usize,
    since: Instant,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Conn {
    /// Its place in the pool.
    pub(crate) index: usize,
    pub(crate) stream: TcpStream,
    session: Option<SessionId>,
    opened: Instant,
    last_sent: Instant,
    next_xid: i32,
    pending: VecDeque<Pending>,
    /// The part of a frame that came without its rest.
    partial: Vec<u8>,
    output: BytesMut,
}

/// Appends the frame that asks for a new session.
fn put_connect(out: &mut BytesMut) {
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout: SESSION_TIMEOUT,
        session: SessionId::NONE,
        password: Some(Cow::Borrowed(&[0; PASSWORD_LEN])),
        read_only: Some(false),
    };
    frame::put_frame(out, |payload| request.encode(payload));
}

impl Conn {
    /// Connects and asks for a session, without waiting for it.
    pub(crate) fn open(addr: SocketAddr, index: usize) -> Result<Self, Failure> {
        let opened = Instant::now();
        let stream = TcpStream::connect(addr).context("connecting")?;
        stream.set_nodelay(true).context("connecting")?;
        stream.set_nonblocking(true).context("connecting")?;
        let mut conn = Self {
            index,
            stream,
            session: None,
            opened,
            last_sent: opened,
            next_xid: 1,
            pending: VecDeque::new(),
            partial: Vec::new(),
            output: BytesMut::new(),
        };
        put_connect(&mut conn.output);
        conn.flush()?;
        Ok(conn)
    }

    /// How many requests are unanswered.
    pub(crate) fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Whether it has sent nothing since `then`.
    pub(crate) fn is_silent_since(&self, then: Instant) -> bool {
        self.last_sent < then
    }

    /// Puts a request into the output. Its reply must be a success with `body` bytes behind the
    /// header, and counts as asked for at `since`.
    pub(crate) fn ask(&mut self, request: &Request<'_>, body: usize, since: Instant) {
        let xid = Xid(self.next_xid);
        self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        self.put(xid, request);
        self.pending.push_back(Pending { xid, body, since });
    }

    /// Keeps the session alive.
    pub(crate) fn ping(&mut self) -> Result<(), Failure> {
        self.put(Xid::PING, &Request::Ping);
        self.flush()
    }

    fn put(&mut self, xid: Xid, request: &Request<'_>) {
        let op = request.op();
        frame::put_frame(&mut self.output, |payload| {
            RequestHeader { xid, op }.encode(payload);
            request.encode(payload);
        });
    }

    /// Writes as much as the socket takes; the rest waits until it takes more.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.last_sent = Instant::now();
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return Err(self.closed()),
                Ok(written) => self.output.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("writing"),
            }
        }
        Ok(())
    }

    /// Reads what has arrived, through `scratch`, and hands it on. A read that does not fill the
    /// buffer has emptied the socket, so that a batch of replies costs one system call.
    pub(crate) fn read(&mut self, scratch: &mut [u8], load: &mut impl Load) -> Result<(), Failure> {
        loop {
            let kept = self.partial.len();
            scratch[..kept].copy_from_slice(&self.partial);
            let found = match self.stream.read(&mut scratch[kept..]) {
                Ok(0) => return Err(self.closed()),
                Ok(found) => found,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("reading"),
            };
            let arrived = &scratch[..kept + found];
            let used = self.take_frames(arrived, Instant::now(), load)?;
            self.partial.clear();
            self.partial.extend_from_slice(&arrived[used..]);
            if kept + found < scratch.len() {
                return Ok(());
            }
        }
    }

    fn closed(&self) -> Failure {
        Failure::Closed {
            conn: self.index,
            pending: self.pending.len(),
        }
    }

    /// Takes whole frames and says how many bytes they were.
    fn take_frames(
        &mut self,
        arrived: &[u8],
        now: Instant,
        load: &mut impl Load,
    ) -> Result<usize, Failure> {
        let mut used = 0;
        while let Some(len) = frame::payload_len(&arrived[used..], SCRATCH - frame::LENGTH_WORD)? {
            let begin = used + frame::LENGTH_WORD;
            let Some(payload) = arrived.get(begin..begin + len) else {
                break;
            };
            used = begin + len;
            self.take_frame(payload, now, load)?;
        }
        Ok(used)
    }

    fn take_frame(
        &mut self,
        payload: &[u8],
        now: Instant,
        load: &mut impl Load,
    ) -> Result<(), Failure> {
        if self.session.is_none() {
            let response = ConnectResponse::decode(payload)?;
            if response.timeout <= 0 {
                return Err(Failure::NoSession { conn: self.index });
            }
            self.session = Some(response.session);
            load.on_session(self.opened, now);
            return Ok(());
        }
        let mut reader = Reader::new(payload);
        let header = ReplyHeader::decode(&mut reader)?;
        match header.xid {
            Xid::NOTIFICATION => load.on_event(WatchEvent::decode(reader.rest())?, now),
            Xid::PING => {}
            _ => load.on_reply(self.check(header, reader.rest().len())?, now),
        }
        Ok(())
    }

    /// Whether a reply is the one that was due, a success, and as long as it should be; and since when
    /// it was waited for.
    fn check(&mut self, header: ReplyHeader, found: usize) -> Result<Instant, Failure> {
        let due = self.pending.pop_front();
        let expected = due.as_ref().map(|due| due.xid.0);
        let Some(Pending { xid, body, since }) = due.filter(|due| due.xid == header.xid) else {
            return Err(Failure::Order {
                expected,
                found: header.xid.0,
            });
        };
        let xid = xid.0;
        if header.err != 0 {
            return Err(Failure::Refused {
                xid,
                err: header.err,
            });
        }
        if found != body {
            return Err(Failure::Length {
                xid,
                expected: body,
                found,
            });
        }
        Ok(since)
    }
}
