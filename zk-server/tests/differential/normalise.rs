//! From bytes to what must be equal. Ids become numbers in order of appearance, zxids are told from a
//! base, times are checked against the zxid they belong to and then forgotten, and what the reference
//! leaves unordered is sorted.

use crate::decisions::{Accepted, Decisions, MARSHALLING_ERROR};
use crate::script::hex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};
use zk_proto::jute::Reader;
use zk_proto::{ConnectResponse, MultiResult, OpCode, Reply, ReplyHeader, SessionId, Stat, Zxid};

/// The end mark of a list of results.
const NO_RESULTS: [u8; 9] = [0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff];

/// A frame, or its absence, as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Reply {
        xid: i32,
        zxid: i64,
        err: i32,
        body: Reply,
        /// Bytes that decoding and encoding again did not reproduce.
        odd: Option<String>,
    },
    Event {
        zxid: i64,
        event: i32,
        state: i32,
        path: String,
    },
    Session {
        protocol: i32,
        timeout: i32,
        session: Option<usize>,
        /// Whether the password is the one that every member of an ensemble would compute.
        password: bool,
        read_only: Option<bool>,
        len: usize,
    },
    Undecodable(String),
    Text(String),
    Closed,
    Silence,
    /// A connection was still open, and idle, where it might have been closed.
    Open,
}

/// What is needed to read one server's frames.
#[derive(Debug)]
pub(crate) struct Lens {
    base: i64,
    /// Raw zxids from which on the other server is this much behind (accepted differences only).
    drift: BTreeMap<i64, i64>,
    sessions: HashMap<i64, usize>,
    /// When each transaction happened, as told by the first stat that mentioned it.
    times: BTreeMap<i64, i64>,
    started: i64,
    /// Zxids of sessions' ends: their deletions come in any order.
    ends: HashSet<i64>,
    /// The highest zxid seen, raw.
    pub(crate) last: i64,
    /// Zxids are all the same: who was faster decides them.
    pub(crate) blurred: bool,
    /// What had to be overlooked to read this server.
    pub(crate) accepted: Decisions,
}

impl Lens {
    pub(crate) fn new() -> Self {
        Self {
            base: 0,
            drift: BTreeMap::new(),
            sessions: HashMap::new(),
            times: BTreeMap::new(),
            started: now(),
            ends: HashSet::new(),
            last: 0,
            blurred: false,
            accepted: Decisions::default(),
        }
    }

    /// The zxid that this server's history is counted from.
    pub(crate) fn set_base(&mut self, base: i64) {
        self.base = base;
    }

    /// From `zxid` (raw) on, this server has used `extra` more zxids than the other.
    pub(crate) fn add_drift(&mut self, zxid: i64, extra: i64) {
        *self.drift.entry(zxid).or_insert(0) += extra;
    }

    /// Notes that this zxid (raw) ended a session.
    pub(crate) fn add_end(&mut self, zxid: i64) {
        self.ends.insert(zxid);
    }

    pub(crate) fn zxid(&self, raw: i64) -> i64 {
        // Events have none (-1) before 3.9.
        if self.blurred {
            return 0;
        }
        if raw <= 0 {
            return raw;
        }
        let drift: i64 = self.drift.range(..=raw).map(|(_, extra)| extra).sum();
        raw - self.base - drift
    }

    /// The highest zxid seen, as this server counts, for something `back` behind it in common terms.
    pub(crate) fn raw_back(&self, back: i64) -> i64 {
        let target = self.zxid(self.last) - back;
        let mut raw = self.last - back;
        while self.zxid(raw) > target {
            raw -= 1;
        }
        raw
    }

    fn session(&mut self, raw: i64) -> Option<usize> {
        let next = self.sessions.len() + 1;
        (raw != 0).then(|| *self.sessions.entry(raw).or_insert(next))
    }

    /// What the answer to a handshake says.
    pub(crate) fn handshake(&mut self, payload: &[u8]) -> Seen {
        let Ok(response) = ConnectResponse::decode(payload) else {
            return Seen::Undecodable(hex(payload));
        };
        let raw = response.session.to_wire();
        Seen::Session {
            protocol: response.protocol_version,
            timeout: response.timeout,
            session: self.session(raw),
            password: response.password == java_password(raw),
            read_only: response.read_only,
            len: payload.len(),
        }
    }

    /// What a frame says; `op` is the operation that a reply would answer.
    pub(crate) fn frame(&mut self, payload: &[u8], op: OpCode) -> Seen {
        let mut reader = Reader::new(payload);
        let Ok(header) = ReplyHeader::decode(&mut reader) else {
            return Seen::Undecodable(hex(payload));
        };
        self.last = self.last.max(header.zxid.to_wire());
        let zxid = self.zxid(header.zxid.to_wire());
        if header.xid.0 == -1 {
            return self.event(zxid, reader.rest());
        }
        let body = reader.rest();
        if op == OpCode::CloseSession && header.err == 0 {
            self.add_end(header.zxid.to_wire());
        }
        let (reply, odd) = match header.err {
            0 => self.body(op, body),
            MARSHALLING_ERROR if op == OpCode::MultiRead && body == NO_RESULTS => {
                self.accepted.count(Accepted::BodyOfRefusal);
                (Reply::Empty, None)
            }
            _ => (Reply::Empty, (!body.is_empty()).then(|| hex(body))),
        };
        Seen::Reply {
            xid: header.xid.0,
            zxid,
            err: header.err,
            body: reply,
            odd,
        }
    }

    fn event(&mut self, zxid: i64, body: &[u8]) -> Seen {
        let mut reader = Reader::new(body);
        let (Ok(event), Ok(state), Ok(path)) = (reader.i32(), reader.i32(), reader.string()) else {
            return Seen::Undecodable(hex(body));
        };
        Seen::Event {
            zxid,
            event,
            state,
            path: self.text(&path),
        }
    }

    /// Supplementary characters in the form in which the reference's bytes for them are read.
    fn text(&mut self, text: &str) -> String {
        if text.chars().all(|c| c.len_utf16() == 1) {
            return text.to_owned();
        }
        self.accepted.count(Accepted::Surrogates);
        text.chars()
            .flat_map(|c| match c.len_utf16() {
                1 => [Some(c), None],
                _ => [Some(char::REPLACEMENT_CHARACTER); 2],
            })
            .flatten()
            .collect()
    }

    fn body(&mut self, op: OpCode, body: &[u8]) -> (Reply, Option<String>) {
        let Ok(mut reply) = Reply::decode(op, body) else {
            return (Reply::Empty, Some(format!("undecodable {}", hex(body))));
        };
        let mut again = Vec::new();
        reply.encode(&mut again);
        // Stats differ between servers; texts that do not survive decoding must not. What is left of a
        // body after its fixed-size tail is text.
        let odd = (again != body && !has_surrogates(body)).then(|| {
            let text = body.len().saturating_sub(Stat::WIRE_LEN);
            hex(body.get(..text).unwrap_or(body))
        });
        self.reply(&mut reply);
        (reply, odd)
    }

    fn reply(&mut self, reply: &mut Reply) {
        match reply {
            Reply::PathStat(_, stat) | Reply::Stat(stat) | Reply::Data(_, stat) => self.stat(stat),
            Reply::Acl(acl, stat) => {
                for entry in acl.iter_mut() {
                    entry.id = self.text(&entry.id);
                }
                // What `auth` stands for is a set: its identities come in any order.
                for run in acl.chunk_by_mut(|a, b| (a.perms, &a.scheme) == (b.perms, &b.scheme)) {
                    run.sort_by(|a, b| a.id.cmp(&b.id));
                }
                self.stat(stat);
            }
            Reply::Children(names, stat) => {
                names.sort();
                self.stat(stat);
            }
            Reply::Names(names) => names.sort(),
            Reply::WhoAmI(infos) => infos.sort(),
            Reply::Multi(results) => results.iter_mut().for_each(|result| self.result(result)),
            Reply::Path(path) => *path = self.text(path),
            Reply::Empty | Reply::Number(_) | Reply::Token(_) | Reply::Connected(_) => {}
        }
    }

    fn result(&mut self, result: &mut MultiResult) {
        match result {
            MultiResult::Create2(_, stat)
            | MultiResult::SetData(stat)
            | MultiResult::GetData(_, stat) => self.stat(stat),
            MultiResult::GetChildren(names) => names.sort(),
            MultiResult::Create(_)
            | MultiResult::Delete
            | MultiResult::Check
            | MultiResult::Error(_) => {}
        }
    }

    fn stat(&mut self, stat: &mut Stat) {
        stat.ctime = self.time(stat.czxid.to_wire(), stat.ctime);
        stat.mtime = self.time(stat.mzxid.to_wire(), stat.mtime);
        for zxid in [&mut stat.czxid, &mut stat.mzxid, &mut stat.pzxid] {
            *zxid = Zxid::from_wire(self.zxid(zxid.to_wire()));
        }
        let owner = stat.ephemeral_owner.to_wire();
        if let Some(&known) = self.sessions.get(&owner) {
            let number = i64::try_from(known).expect("a small number");
            stat.ephemeral_owner = SessionId::from_wire(number);
        }
    }

    /// Zero for a time that is right: the same for every mention of its zxid, not before that of an
    /// earlier zxid, and during this run. Any other time is told as it is, and so becomes a difference.
    fn time(&mut self, zxid: i64, time: i64) -> i64 {
        if zxid == 0 {
            return time;
        }
        let known = *self.times.entry(zxid).or_insert(time);
        let before = self.times.range(..zxid).next_back();
        let after = self.times.range(zxid + 1..).next();
        let right = known == time
            && before.is_none_or(|(_, &earlier)| earlier <= time)
            && after.is_none_or(|(_, &later)| time <= later)
            && (self.started - 120_000..=now() + 2_000).contains(&time);
        if right { 0 } else { time }
    }

    /// Events of a session's end come in any order among themselves.
    pub(crate) fn sort_ends(&self, seen: &mut [Seen]) {
        let is_end = |zxid: i64| self.ends.iter().any(|&raw| self.zxid(raw) == zxid);
        let mut start = 0;
        while start < seen.len() {
            let Some(Seen::Event { zxid, .. }) = seen.get(start) else {
                start += 1;
                continue;
            };
            let zxid = *zxid;
            let same = |s: &Seen| matches!(s, Seen::Event { zxid: z, .. } if *z == zxid);
            let len = seen[start..].iter().take_while(|s| same(s)).count();
            if len > 1 && is_end(zxid) {
                seen[start..start + len].sort_by_key(|s| format!("{s:?}"));
            }
            start += len;
        }
    }
}

/// Whether half of a surrogate pair stands somewhere, in what would be its UTF-8.
fn has_surrogates(body: &[u8]) -> bool {
    body.windows(2)
        .any(|pair| matches!(pair, [0xed, 0xa0..=0xbf]))
}

/// The password of a session, by Java's linear congruential generator: every member of an ensemble
/// computes it and none stores it.
fn java_password(session: i64) -> [u8; 16] {
    const MASK: i64 = (1 << 48) - 1;
    const FACTOR: i64 = 0x5_DEEC_E66D;
    if session == 0 {
        return [0; 16];
    }
    let mut state = ((session ^ 0xB341_5C00) ^ FACTOR) & MASK;
    let mut out = [0; 16];
    for chunk in out.chunks_mut(4) {
        state = state.wrapping_mul(FACTOR).wrapping_add(0xB) & MASK;
        for (index, byte) in chunk.iter_mut().enumerate() {
            *byte = (state >> 16).to_le_bytes()[index];
        }
    }
    out
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .expect("the clock is set")
}
