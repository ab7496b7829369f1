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
    /// A reply arrived to a question of which only its asker knows what is right.
    fn on_answer(&mut self, _answer: Answer<'_>, _now: Instant) {}
    /// A watch of this connection fired.
    fn on_event(&mut self, _conn: usize, _event: WatchEvent, _now: Instant) {}
    /// The connection has dealt with what arrived; may it ask more?
    fn refill(&mut self, conn: &mut Conn);
}

/// A reply as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// To which connection.
    pub(crate) conn: usize,
    /// Zero for a success.
    pub(crate) err: i32,
    /// What is behind the header.
    pub(crate) body: &'a [u8],
}

/// What a reply must be.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// A success with so many bytes behind the header.
    Success(usize),
    /// Whatever it is, its asker looks at it.
    Anything,
}

/// A request under way.
#[derive(Debug)]
struct Pending {
    xid: Xid,
    due: Due,
    since: Instant,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Conn {
    /// Its place in the pool.
    pub(crate) index: usize,
    pub(crate) stream: TcpStream,
    /// The session it asked for, if not for a new one.
    wanted: Option<SessionId>,
    session: Option<Known>,
    opened: Instant,
    last_sent: Instant,
    next_xid: i32,
    pending: VecDeque<Pending>,
    /// The part of a frame that came without its rest.
    partial: Vec<u8>,
    output: BytesMut,
}

/// A session that a client has, and wants to keep on another connection.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    session: SessionId,
    password: Vec<u8>,
}

/// Appends the frame that asks for a session: a new one, or one that is known.
fn put_connect(out: &mut BytesMut, known: Option<&Known>) {
    let (session, password) = match known {
        Some(Known { session, password }) => (*session, password.as_slice()),
        None => (SessionId::NONE, [0; PASSWORD_LEN].as_slice()),
    };
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout: SESSION_TIMEOUT,
        session,
        password: Some(Cow::Borrowed(password)),
        read_only: Some(false),
    };
    frame::put_frame(out, |payload| request.encode(payload));
}

impl Conn {
    /// Connects and asks for a session, without waiting for it.
    pub(crate) fn open(addr: SocketAddr, index: usize) -> Result<Self, Failure> {
        Self::open_as(addr, index, None)
    }

    /// The same, for a session that may be known already.
    pub(crate) fn open_as(
        addr: SocketAddr,
        index: usize,
        known: Option<Known>,
    ) -> Result<Self, Failure> {
        let opened = Instant::now();
        let stream = TcpStream::connect(addr).context("connecting")?;
        stream.set_nodelay(true).context("connecting")?;
        stream.set_nonblocking(true).context("connecting")?;
        let mut conn = Self {
            index,
            stream,
            wanted: None,
            session: None,
            opened,
            last_sent: opened,
            next_xid: 1,
            pending: VecDeque::new(),
            partial: Vec::new(),
            output: BytesMut::new(),
        };
        put_connect(&mut conn.output, known.as_ref());
        conn.wanted = known.map(|known| known.session);
        conn.flush()?;
        Ok(conn)
    }

    /// Whether the server has given it a session.
    pub(crate) const fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// The session it has.
    pub(crate) fn session(&self) -> Option<Known> {
        self.session.clone()
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
        self.put_awaited(request, Due::Success(body), since);
    }

    /// Puts a request into the output whose reply is told as it comes.
    pub(crate) fn ask_for_answer(&mut self, request: &Request<'_>, since: Instant) {
        self.put_awaited(request, Due::Anything, since);
    }

    fn put_awaited(&mut self, request: &Request<'_>, due: Due, since: Instant) {
        let xid = Xid(self.next_xid);
        self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        self.put(xid, request);
        self.pending.push_back(Pending { xid, due, since });
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
            let other = self.wanted.is_some_and(|wanted| wanted != response.session);
            if response.timeout <= 0 || other {
                return Err(Failure::NoSession { conn: self.index });
            }
            self.session = Some(Known {
                session: response.session,
                password: response.password.to_vec(),
            });
            load.on_session(self.opened, now);
            return Ok(());
        }
        let mut reader = Reader::new(payload);
        let header = ReplyHeader::decode(&mut reader)?;
        match header.xid {
            Xid::NOTIFICATION => {
                load.on_event(self.index, WatchEvent::decode(reader.rest())?, now);
            }
            Xid::PING => {}
            _ => {
                let body = reader.rest();
                let Pending { xid, due, since } = self.take_pending(header)?;
                match due {
                    Due::Success(expected) => {
                        check(xid, header, expected, body.len())?;
                        load.on_reply(since, now);
                    }
                    Due::Anything => {
                        let (conn, err) = (self.index, header.err);
                        load.on_answer(Answer { conn, err, body }, now);
                    }
                }
            }
        }
        Ok(())
    }

    /// The request that a reply answers: the oldest one, or the server has lost the order.
    fn take_pending(&mut self, header: ReplyHeader) -> Result<Pending, Failure> {
        let due = self.pending.pop_front();
        let expected = due.as_ref().map(|due| due.xid.0);
        due.filter(|due| due.xid == header.xid)
            .ok_or(Failure::Order {
                expected,
                found: header.xid.0,
            })
    }
}

/// Whether a reply is a success, and as long as it should be.
fn check(xid: Xid, header: ReplyHeader, expected: usize, found: usize) -> Result<(), Failure> {
    let xid = xid.0;
    if header.err != 0 {
        return Err(Failure::Refused {
            xid,
            err: header.err,
        });
    }
    if found != expected {
        return Err(Failure::Length {
            xid,
            expected,
            found,
        });
    }
    Ok(())
}
