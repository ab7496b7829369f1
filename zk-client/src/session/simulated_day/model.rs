//! The other side of the simulation: three servers that share one log and lag behind it, as small as they can be.
//!
//! A server answers reads from the prefix it has applied; a write is answered when it has applied that write. One
//! that is cut off from the leader answers pings and reads as before, and no write.

use crate::clock::Time;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use zk_proto::jute::Reader;
use zk_proto::{
    AddWatchMode, ConnectRequest, ConnectResponse, EventType, OpCode, PASSWORD_LEN, Reply,
    ReplyHeader, Request, RequestHeader, SessionId, Stat, WatchEvent, WatchLists, WatcherType, Xid,
    Zxid, frame,
};

/// Nodes that exist for ever.
pub(super) const PATHS: [&str; 6] = ["/a", "/b", "/c", "/d", "/e", "/f"];
pub(super) const SERVERS: usize = 3;
/// This one opens another session where the one asked for is over. None of Apache's does.
const FORGETFUL: usize = 0;

/// Whose change a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// The client's call of this number.
    Call(u64),
    /// Somebody else.
    Other,
}

/// The history all servers share: a transaction's place is its zxid.
#[derive(Debug, Default)]
pub(super) struct Log {
    txns: Vec<Option<(Vec<usize>, Author)>>,
    changes: [Vec<i64>; PATHS.len()],
}

impl Log {
    pub(super) fn end(&self) -> i64 {
        i64::try_from(self.txns.len()).unwrap()
    }

    /// A transaction that changes no node.
    pub(super) fn append_other(&mut self) -> i64 {
        self.txns.push(None);
        self.end()
    }

    /// A change of these nodes at once.
    pub(super) fn append(&mut self, paths: &[usize], author: Author) -> i64 {
        self.txns.push(Some((paths.to_vec(), author)));
        let zxid = self.end();
        for path in paths {
            self.changes[*path].push(zxid);
        }
        zxid
    }

    /// The last change of a node in a prefix; 0 if there is none.
    pub(super) fn last_change(&self, path: usize, through: i64) -> i64 {
        let known = &self.changes[path];
        let before = known.partition_point(|&zxid| zxid <= through);
        before.checked_sub(1).map_or(0, |at| known[at])
    }

    /// Whether a node changed after `from`, and not after `through`.
    pub(super) fn changed(&self, path: usize, from: i64, through: i64) -> bool {
        self.last_change(path, through) > from
    }

    /// Whether a call that was made behind this one has changed a node in a prefix.
    pub(super) fn changed_behind(&self, call: u64, path: usize, through: i64) -> bool {
        let known = &self.changes[path];
        let before = known.partition_point(|&zxid| zxid <= through);
        let calls = known[..before].iter().rev().filter_map(|&zxid| {
            let author = self.author(zxid)?;
            match author {
                Author::Call(id) => Some(id),
                Author::Other => None,
            }
        });
        // They were done in the order in which they were made.
        calls.take(1).any(|id| id > call)
    }

    pub(super) fn author(&self, zxid: i64) -> Option<Author> {
        let at = usize::try_from(zxid).ok()?.checked_sub(1)?;
        self.txns
            .get(at)
            .and_then(Option::as_ref)
            .map(|(_, author)| *author)
    }

    /// The client's calls that took effect, in the order in which they did.
    pub(super) fn calls(&self) -> impl Iterator<Item = u64> {
        self.txns
            .iter()
            .flatten()
            .filter_map(|(_, author)| match author {
                Author::Call(id) => Some(*id),
                Author::Other => None,
            })
    }
}

/// What a connection has armed.
#[derive(Debug, Default)]
pub(super) struct Armed {
    data: BTreeSet<String>,
    lasting: BTreeSet<String>,
}

/// A session as the leader knows it.
#[derive(Debug)]
struct Known {
    timeout: Duration,
    touched: Time,
    /// The connection that speaks for it.
    owner: u64,
}

/// All servers.
#[derive(Debug)]
pub(super) struct Ensemble {
    pub(super) log: Log,
    applied: [i64; SERVERS],
    /// Cut off from the leader until then.
    isolated_until: [Time; SERVERS],
    sessions: BTreeMap<i64, Known>,
    next_session: i64,
}

/// The server's end of one connection.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) number: u64,
    pub(super) server: usize,
    session: Option<i64>,
    armed: Armed,
    /// A request waits for the leader, and everything behind it.
    stuck: bool,
}

/// What a server does with a frame.
pub(super) enum Said {
    Frames(BytesMut),
    /// It closes the connection, behind these.
    Close(BytesMut),
}

const PASSWORD: [u8; PASSWORD_LEN] = [7; PASSWORD_LEN];

impl Door {
    pub(super) fn new(number: u64, server: usize) -> Self {
        Self {
            number,
            server,
            session: None,
            armed: Armed::default(),
            stuck: false,
        }
    }

    /// Whether its first frame has not come yet.
    pub(super) const fn is_new(&self) -> bool {
        self.session.is_none()
    }
}

impl Ensemble {
    pub(super) fn new() -> Self {
        Self {
            log: Log::default(),
            applied: [0; SERVERS],
            isolated_until: [Time::default(); SERVERS],
            sessions: BTreeMap::new(),
            next_session: 1,
        }
    }

    pub(super) fn isolate(&mut self, server: usize, until: Time) {
        self.isolated_until[server] = until;
    }

    fn is_isolated(&self, server: usize, now: Time) -> bool {
        now < self.isolated_until[server]
    }

    /// A server applies more of the log, up to `through`; events go out to the connection it serves. Says whether
    /// one transaction had several of them.
    pub(super) fn apply(
        &mut self,
        now: Time,
        server: usize,
        through: i64,
        door: Option<&mut Door>,
        out: &mut BytesMut,
    ) -> bool {
        if self.is_isolated(server, now) {
            return false;
        }
        let from = self.applied[server];
        let through = through.clamp(from, self.log.end());
        self.applied[server] = through;
        let Some(door) = door.filter(|door| door.server == server) else {
            return false;
        };
        let mut several = false;
        for zxid in from + 1..=through {
            let at = usize::try_from(zxid).unwrap() - 1;
            let Some((paths, _)) = &self.log.txns[at] else {
                continue;
            };
            let mut told = 0;
            for path in paths.iter().map(|path| PATHS[*path]) {
                let once = door.armed.data.remove(path);
                if once || door.armed.lasting.contains(path) {
                    WatchEvent::put_frame(out, Zxid::from_wire(zxid), EventType::DataChanged, path);
                    told += 1;
                }
            }
            several |= told > 1;
        }
        several
    }

    /// Sessions nobody heard of for their timeout end; their number is returned.
    pub(super) fn expire(&mut self, now: Time) -> Vec<i64> {
        let silent = |known: &Known| now.saturating_since(known.touched) > known.timeout;
        let ended: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, known)| silent(known))
            .map(|(id, _)| *id)
            .collect();
        for id in &ended {
            self.sessions.remove(id);
            self.log.append_other();
        }
        ended
    }

    /// When a session that lives would end, if nothing more were heard of it.
    pub(super) fn expires_at(&self, session: SessionId) -> Option<Time> {
        let known = self.sessions.get(&session.to_wire())?;
        Some(known.touched + known.timeout)
    }

    /// Whether a session lives.
    pub(super) fn knows(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session.to_wire())
    }

    /// The first frame of a connection.
    pub(super) fn greet(&mut self, now: Time, door: &mut Door, payload: &[u8]) -> Said {
        let request = ConnectRequest::decode(payload).unwrap();
        let behind = request.last_zxid_seen.to_wire() > self.applied[door.server];
        if behind || self.is_isolated(door.server, now) {
            return Said::Close(BytesMut::new());
        }
        let mut out = BytesMut::new();
        let mut asked = request.session.to_wire();
        let is_over = asked != 0 && !self.sessions.contains_key(&asked);
        if is_over && door.server == FORGETFUL {
            asked = 0;
        } else if is_over {
            frame::put_frame(&mut out, |payload| {
                ConnectResponse::expired(Some(false)).encode(payload);
            });
            return Said::Close(out);
        }
        let id = if asked == 0 { self.next_session } else { asked };
        if asked == 0 {
            self.next_session += 1;
            let zxid = self.log.append_other();
            self.apply(now, door.server, zxid, None, &mut out);
        }
        let timeout = Duration::from_millis(u64::try_from(request.timeout).unwrap());
        let known = Known {
            timeout,
            touched: now,
            owner: door.number,
        };
        self.sessions.insert(id, known);
        door.session = Some(id);
        frame::put_frame(&mut out, |payload| {
            ConnectResponse {
                protocol_version: 0,
                timeout: request.timeout,
                session: SessionId::from_wire(id),
                password: PASSWORD,
                read_only: Some(false),
            }
            .encode(payload);
        });
        Said::Frames(out)
    }

    /// Any later frame.
    pub(super) fn serve(&mut self, now: Time, door: &mut Door, payload: &[u8]) -> Said {
        let isolated = self.is_isolated(door.server, now);
        let known = door.session.and_then(|id| self.sessions.get_mut(&id));
        let Some(known) = known.filter(|known| known.owner == door.number) else {
            return Said::Close(BytesMut::new());
        };
        if door.stuck {
            return Said::Frames(BytesMut::new());
        }
        if !isolated {
            known.touched = now;
        }
        let mut reader = Reader::new(payload);
        let header = RequestHeader::decode(&mut reader).unwrap();
        let request = Request::decode(header.op, reader.rest()).unwrap();
        let mut out = BytesMut::new();
        let Some(reply) = self.answer(now, isolated, door, &request, &mut out) else {
            door.stuck = true;
            return Said::Frames(out);
        };
        let xid = if header.op == OpCode::Ping {
            Xid::PING
        } else {
            header.xid
        };
        let zxid = Zxid::from_wire(self.applied[door.server]);
        frame::put_frame(&mut out, |payload| {
            ReplyHeader { xid, zxid, err: 0 }.encode(payload);
            reply.encode(payload);
        });
        Said::Frames(out)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the model knows what the simulation asks"
    )]
    fn answer(
        &mut self,
        now: Time,
        isolated: bool,
        door: &mut Door,
        request: &Request<'_>,
        out: &mut BytesMut,
    ) -> Option<Reply> {
        let server = door.server;
        Some(match request {
            Request::Ping => Reply::Empty,
            Request::RemoveWatches { path, kind } => {
                let armed = &mut door.armed;
                match kind {
                    WatcherType::Data => armed.data.remove(&**path),
                    _ => armed.lasting.remove(&**path),
                };
                Reply::Empty
            }
            Request::GetData { path, watch } => {
                if *watch {
                    door.armed.data.insert(path.to_string());
                }
                let at = PATHS.iter().position(|known| known == path).unwrap();
                self.data(at, self.applied[server])
            }
            Request::AddWatch { path, mode } => {
                assert_eq!(*mode, AddWatchMode::Persistent);
                door.armed.lasting.insert(path.to_string());
                Reply::Number(0)
            }
            Request::SetWatches(lists) | Request::SetWatches2(lists) => {
                self.rearm(server, door, lists, out);
                Reply::Empty
            }
            Request::Sync { .. } | Request::SetData { .. } if isolated => return None,
            Request::Sync { path } => {
                self.apply(now, server, self.log.end(), Some(door), out);
                Reply::Path(path.to_string())
            }
            Request::SetData { path, data, .. } => {
                let at = PATHS.iter().position(|known| known == path).unwrap();
                let id: u64 = std::str::from_utf8(data.unwrap()).unwrap().parse().unwrap();
                let zxid = self.log.append(&[at], Author::Call(id));
                self.apply(now, server, zxid, Some(door), out);
                Reply::Stat(stat(zxid))
            }
            other => panic!("the model knows no {other:?}"),
        })
    }

    /// A node's data are the zxid of its last change.
    fn data(&self, path: usize, through: i64) -> Reply {
        let changed = self.log.last_change(path, through);
        Reply::Data(Some(Bytes::from(changed.to_string())), stat(changed))
    }

    fn rearm(&self, server: usize, door: &mut Door, lists: &WatchLists<'_>, out: &mut BytesMut) {
        let relative = lists.relative_zxid.to_wire();
        for path in &lists.data {
            let at = PATHS.iter().position(|known| known == path).unwrap();
            if self.log.changed(at, relative, self.applied[server]) {
                WatchEvent::put_frame(out, Zxid::NONE, EventType::DataChanged, path);
            } else {
                door.armed.data.insert(path.to_string());
            }
        }
        for path in &lists.persistent {
            door.armed.lasting.insert(path.to_string());
        }
    }
}

fn stat(mzxid: i64) -> Stat {
    Stat {
        mzxid: Zxid::from_wire(mzxid),
        ..Stat::default()
    }
}
