//! Two servers in lockstep: every step is done to both and finished on both before the next begins, so
//! that both see the same requests in the same order. A connection exists on both sides or on neither.

mod admin;
mod catch_up;
mod steps;

use crate::coverage::Coverage;
use crate::decisions::{self, Decisions};
use crate::normalise::{Lens, Seen};
use crate::script::{Ask, Hello, Pace, SLOTS, hex};
use crate::servers::Server;
use crate::wire::{Conn, Got, framed};
use std::fmt;
use std::time::Duration;
use zk_proto::{ConnectResponse, OpCode};

/// The administrator's own connection, beyond those of the script.
const ADMIN: usize = SLOTS;
/// For what comes and goes within a step.
const GUEST: usize = SLOTS + 1;
const CONNECTIONS: usize = SLOTS + 2;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long an announced end of a connection may take.
const CLOSING: Duration = Duration::from_secs(4);

/// One server, its connections, and how to read it.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) server: Server,
    lens: Lens,
    conns: [Option<Conn>; CONNECTIONS],
    /// Id and password of every session of the run, in order.
    sessions: Vec<(i64, [u8; 16])>,
}

/// What a side said: raw, and the operation it would be the answer to.
#[derive(Clone, Debug)]
struct Heard {
    raw: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Handshake,
    Answer(i32),
    Event,
    Closed,
    Silence,
    Open,
}

impl Heard {
    const fn mark(kind: Kind) -> Self {
        Self {
            raw: Vec::new(),
            kind,
        }
    }
}

/// Two servers disagree.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The kind of disagreement, the same for all like it.
    pub(crate) signature: String,
    /// What each said, decoded and raw.
    pub(crate) detail: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.signature, self.detail)
    }
}

/// Both servers.
#[derive(Debug)]
pub(crate) struct Rig {
    oracle: Side,
    subject: Side,
    /// Which session of the run each connection holds.
    holds: [Option<usize>; CONNECTIONS],
    pub(crate) coverage: Coverage,
    pub(crate) decisions: Decisions,
    /// Frames and marks that were equal.
    pub(crate) compared: usize,
    /// Differences do not end the run: zxids are brought in line again.
    lenient: bool,
}

impl Side {
    fn new(server: Server) -> Self {
        Self {
            server,
            lens: Lens::new(),
            conns: std::array::from_fn(|_| None),
            sessions: Vec::new(),
        }
    }

    /// What had to be overlooked to read it.
    pub(crate) const fn accepted(&self) -> &Decisions {
        &self.lens.accepted
    }

    fn send(&mut self, slot: usize, bytes: &[u8], pace: Pace) {
        if let Some(conn) = self.conns[slot].as_mut() {
            match pace {
                Pace::Whole => conn.send(bytes),
                Pace::Bytes => conn.send_slowly(bytes),
            }
        }
    }

    fn packet(&self, asks: &[Ask]) -> Vec<u8> {
        asks.iter()
            .flat_map(|ask| {
                let last = ask.back.map_or(0, |back| self.lens.raw_back(back) + back);
                framed(&ask.payload(last))
            })
            .collect()
    }

    fn hear(&mut self, slot: usize, patience: Duration) -> Got {
        match self.conns[slot].as_mut() {
            Some(conn) => conn.frame(patience),
            None => Got::Closed,
        }
    }

    /// All answers to `asks`, and the events between them.
    fn answers(&mut self, slot: usize, handshake: bool, asks: &[Ask]) -> Vec<Heard> {
        let mut heard = Vec::new();
        if handshake && !self.handshake(slot, &mut heard) {
            return heard;
        }
        let mut ops = asks.iter().map(|ask| ask.op);
        let mut op = ops.next();
        while let Some(current) = op {
            match self.hear(slot, PATIENCE) {
                Got::Frame(raw) if is_event(&raw) => heard.push(Heard {
                    raw,
                    kind: Kind::Event,
                }),
                Got::Frame(raw) => {
                    let last = ends_connection(current, &raw);
                    let kind = Kind::Answer(current);
                    heard.push(Heard { raw, kind });
                    if last {
                        let answered = heard.len();
                        self.rest(slot, CLOSING, &mut heard);
                        // What was asked behind a goodbye is answered with -12, with -112 or not at
                        // all: a race between the reference's own threads.
                        let too_late = |h: &Heard| h.kind == Kind::Answer(0);
                        let tail = heard.split_off(answered);
                        heard.extend(tail.into_iter().filter(|h| !too_late(h)));
                        return heard;
                    }
                    op = ops.next();
                }
                Got::Closed => {
                    heard.push(Heard::mark(Kind::Closed));
                    return heard;
                }
                Got::Silence => {
                    heard.push(Heard::mark(Kind::Silence));
                    return heard;
                }
            }
        }
        heard
    }

    /// The answer to a connect request; false if nothing can follow it.
    fn handshake(&mut self, slot: usize, heard: &mut Vec<Heard>) -> bool {
        match self.hear(slot, PATIENCE) {
            Got::Frame(raw) => {
                let response = ConnectResponse::decode(&raw);
                let kind = Kind::Handshake;
                heard.push(Heard { raw, kind });
                match response {
                    Ok(response) if response.timeout > 0 => {
                        let session = (response.session.to_wire(), response.password);
                        if !self.sessions.contains(&session) {
                            self.sessions.push(session);
                        }
                        true
                    }
                    _ => {
                        self.rest(slot, CLOSING, heard);
                        false
                    }
                }
            }
            Got::Closed => {
                heard.push(Heard::mark(Kind::Closed));
                false
            }
            Got::Silence => {
                heard.push(Heard::mark(Kind::Silence));
                false
            }
        }
    }

    /// Everything up to the end of a connection that should end.
    fn rest(&mut self, slot: usize, patience: Duration, heard: &mut Vec<Heard>) {
        loop {
            match self.hear(slot, patience) {
                Got::Frame(raw) => {
                    let kind = if is_event(&raw) {
                        Kind::Event
                    } else {
                        Kind::Answer(0)
                    };
                    heard.push(Heard { raw, kind });
                }
                Got::Closed => return heard.push(Heard::mark(Kind::Closed)),
                Got::Silence => return heard.push(Heard::mark(Kind::Open)),
            }
        }
    }

    fn read(&mut self, heard: &Heard) -> Seen {
        match heard.kind {
            Kind::Handshake => self.lens.handshake(&heard.raw),
            Kind::Answer(op) => self.lens.frame(&heard.raw, OpCode::from_wire(op)),
            Kind::Event => self.lens.frame(&heard.raw, OpCode::Other(0)),
            Kind::Closed => Seen::Closed,
            Kind::Silence => Seen::Silence,
            Kind::Open => Seen::Open,
        }
    }
}

impl Rig {
    pub(crate) fn new(oracle: Server, subject: Server, lenient: bool) -> Self {
        Self {
            oracle: Side::new(oracle),
            subject: Side::new(subject),
            holds: [None; CONNECTIONS],
            coverage: Coverage::default(),
            decisions: Decisions::default(),
            compared: 0,
            lenient,
        }
    }

    pub(crate) fn sides(&self) -> [&Side; 2] {
        [&self.oracle, &self.subject]
    }

    fn each(&mut self) -> [&mut Side; 2] {
        [&mut self.oracle, &mut self.subject]
    }

    fn is_open(&self, slot: usize) -> bool {
        self.oracle.conns[slot].is_some()
    }

    fn drop_conn(&mut self, slot: usize) {
        self.holds[slot] = None;
        for side in self.each() {
            side.conns[slot] = None;
        }
    }

    /// Requests on an open connection, and all that comes back.
    fn exchange(&mut self, slot: usize, asks: &[Ask], pace: Pace) -> Result<Vec<Seen>, Difference> {
        for side in self.each() {
            let bytes = side.packet(asks);
            side.send(slot, &bytes, pace);
        }
        let heard = self.each().map(|side| side.answers(slot, false, asks));
        self.compare(slot, asks, heard)
    }

    /// A new connection and what follows; returns what was seen.
    fn open(
        &mut self,
        slot: usize,
        hello: Hello,
        asks: &[Ask],
        pace: Pace,
    ) -> Result<Vec<Seen>, Difference> {
        let known = self.oracle.sessions.len();
        let index = hello
            .again
            .filter(|_| known > 1)
            .map(|nth| known - 1 - nth % (known - 1));
        for side in self.each() {
            side.conns[slot] = Conn::open(side.server.addr).ok();
            let session = index.and_then(|index| side.sessions.get(index).copied());
            let mut bytes = framed(&hello.payload(side.lens.last, session));
            bytes.extend(side.packet(asks));
            side.send(slot, &bytes, pace);
        }
        let heard = self.each().map(|side| side.answers(slot, true, asks));
        let seen = self.compare(slot, asks, heard)?;
        if self.is_open(slot) {
            self.holds[slot] = index.or_else(|| self.oracle.sessions.len().checked_sub(1));
        }
        Ok(seen)
    }

    /// Both sides must have said the same. Ends the connection if either side has.
    fn compare(
        &mut self,
        slot: usize,
        asks: &[Ask],
        mut heard: [Vec<Heard>; 2],
    ) -> Result<Vec<Seen>, Difference> {
        self.excuse_catch_up(slot, asks, &mut heard);
        let [a, b] = &heard;
        let mut seen = [Vec::new(), Vec::new()];
        for index in 0..a.len().max(b.len()) {
            if let (Some(x), Some(y)) = (a.get(index), b.get(index)) {
                self.settle_zxids(x, y);
            }
            if let Some(x) = a.get(index) {
                seen[0].push(self.oracle.read(x));
                self.coverage.note(x.answered(), &seen[0][index]);
            }
            if let Some(y) = b.get(index) {
                seen[1].push(self.subject.read(y));
            }
            if self.excuse_null(asks, a.get(index), seen[0].get(index), seen[1].get(index)) {
                seen[0][index] = seen[1][index].clone();
            }
        }
        self.oracle.lens.sort_ends(&mut seen[0]);
        self.subject.lens.sort_ends(&mut seen[1]);
        let over = |h: &Heard| matches!(h.kind, Kind::Closed | Kind::Silence | Kind::Open);
        if heard.iter().any(|list| list.last().is_some_and(over)) {
            self.drop_conn(slot);
        }
        let [x, y] = &seen;
        let Some(at) = (0..x.len().max(y.len())).find(|&i| x.get(i) != y.get(i)) else {
            self.compared += x.len();
            let [x, _] = seen;
            return Ok(x);
        };
        self.compared += at;
        let difference = Difference {
            signature: signature(a.get(at), x.get(at), y.get(at)),
            detail: detail(self.sides(), asks, &heard, &seen, at),
        };
        if self.lenient {
            self.realign();
        }
        Err(difference)
    }

    /// A request that could not be decoded may use up a zxid or not; so may what clients must not ask.
    fn settle_zxids(&mut self, a: &Heard, b: &Heard) {
        let (Some((x, err)), Some((y, other))) = (header(&a.raw), header(&b.raw)) else {
            return;
        };
        let same_kind = a.kind == b.kind && matches!(a.kind, Kind::Answer(_));
        let skips = |err| decisions::may_skip_zxid(a.answered(), err);
        if same_kind && (skips(err) || skips(other)) {
            self.align(x, y);
        }
    }

    /// Whether this is the subject's refusal of a request with a null where the reference goes on.
    fn excuse_null(
        &mut self,
        asks: &[Ask],
        heard: Option<&Heard>,
        oracle: Option<&Seen>,
        subject: Option<&Seen>,
    ) -> bool {
        let (
            Some(op),
            Some(Seen::Reply { zxid: theirs, .. }),
            Some(Seen::Reply {
                xid, zxid, err: -5, ..
            }),
        ) = (heard.and_then(Heard::answered), oracle, subject)
        else {
            return false;
        };
        let null = asks
            .iter()
            .filter(|ask| ask.xid == *xid && ask.op == op)
            .any(|ask| {
                let request = zk_proto::Request::decode(OpCode::from_wire(op), &ask.body);
                matches!(request, Err(zk_proto::jute::DecodeError::Null))
            });
        let excused = null && theirs == zxid && oracle != subject;
        if excused {
            self.decisions.count(decisions::Accepted::NullField);
        }
        excused
    }

    fn align(&mut self, oracle: i64, subject: i64) {
        let gap = self.subject.lens.zxid(subject) - self.oracle.lens.zxid(oracle);
        if gap == 0 {
            return;
        }
        self.decisions.count(decisions::Accepted::UndecodableZxid);
        if gap > 0 {
            self.subject.lens.add_drift(subject, gap);
        } else {
            self.oracle.lens.add_drift(oracle, -gap);
        }
    }
}

impl Heard {
    fn answered(&self) -> Option<i32> {
        match self.kind {
            Kind::Answer(op) => Some(op),
            Kind::Handshake | Kind::Event | Kind::Closed | Kind::Silence | Kind::Open => None,
        }
    }
}

fn is_event(raw: &[u8]) -> bool {
    raw.starts_with(&[0xff; 4])
}

/// Zxid and error of a reply.
fn header(raw: &[u8]) -> Option<(i64, i32)> {
    let mut reader = zk_proto::jute::Reader::new(raw);
    let header = zk_proto::ReplyHeader::decode(&mut reader).ok()?;
    Some((header.zxid.to_wire(), header.err))
}

/// Whether the server hangs up after this answer.
fn ends_connection(op: i32, raw: &[u8]) -> bool {
    let Some((_, err)) = header(raw) else {
        return true;
    };
    let op = OpCode::from_wire(op);
    match err {
        0 => op == OpCode::CloseSession,
        -115 | -124 => true,
        // Where the operation exists but a feature is off, the connection stays.
        -6 => matches!(op, OpCode::Other(_) | OpCode::Check | OpCode::Error),
        _ => false,
    }
}

/// A short name for a difference, so that a thousand of a kind count as one.
fn signature(heard: Option<&Heard>, a: Option<&Seen>, b: Option<&Seen>) -> String {
    let op = heard
        .and_then(Heard::answered)
        .map_or("-".to_owned(), |op| OpCode::from_wire(op).to_string());
    let name = |seen: Option<&Seen>| match seen {
        None => "nothing".to_owned(),
        Some(Seen::Reply { err, .. }) => format!("reply {err}"),
        Some(Seen::Event { event, .. }) => format!("event {event}"),
        Some(Seen::Session { session, .. }) => {
            format!("session {}", if session.is_some() { "yes" } else { "no" })
        }
        Some(Seen::Undecodable(_)) => "undecodable".to_owned(),
        Some(Seen::Text(_)) => "text".to_owned(),
        Some(Seen::Closed) => "closed".to_owned(),
        Some(Seen::Silence) => "silence".to_owned(),
        Some(Seen::Open) => "open".to_owned(),
    };
    let field = match (a, b) {
        (
            Some(Seen::Reply {
                zxid, err, body, ..
            }),
            Some(Seen::Reply {
                zxid: z,
                err: e,
                body: c,
                ..
            }),
        ) if err == e => match (zxid != z, body != c) {
            (true, _) => " (zxid)",
            (_, true) => " (body)",
            _ => " (xid or raw bytes)",
        },
        (
            Some(Seen::Event { zxid, path, .. }),
            Some(Seen::Event {
                zxid: z, path: p, ..
            }),
        ) => match (zxid != z, path != p) {
            (true, _) => " (zxid)",
            (_, true) => " (path)",
            _ => "",
        },
        _ => "",
    };
    format!("{op}: {} / {}{field}", name(a), name(b))
}

fn detail(
    sides: [&Side; 2],
    asks: &[Ask],
    heard: &[Vec<Heard>; 2],
    seen: &[Vec<Seen>; 2],
    at: usize,
) -> String {
    use fmt::Write;
    let mut out = String::new();
    for ask in asks {
        writeln!(out, "  asked   {ask:?}").expect("strings take everything");
    }
    for (index, side) in sides.into_iter().enumerate() {
        let name = side.server.name;
        for (n, seen) in seen[index].iter().enumerate() {
            let mark = if n == at { "=>" } else { "  " };
            writeln!(out, "{mark} {name:8} {n}: {seen:?}").expect("strings take everything");
            if n == at {
                let raw = heard[index].get(n).map_or(String::new(), |h| hex(&h.raw));
                writeln!(out, "   {name:8} raw {raw}").expect("strings take everything");
            }
        }
        if seen[index].len() <= at {
            writeln!(out, "=> {name:8} {at}: nothing").expect("strings take everything");
        }
    }
    out
}
