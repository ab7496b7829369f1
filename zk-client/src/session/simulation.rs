//! Hours of a session's life in virtual time, with random faults, from one seed: a model of an ensemble whose
//! servers lag, a network that delays, stalls and cuts, a client that reads, writes and watches. Checked after
//! every reply and event: order (P3), never back in time (P4), honest outcomes (P9), events before data (P10),
//! each once and complete (P11), armed again (P12), and that a deadline said to be certain is one.

use super::call::{Slot, WatchWish, frame_of};
use super::{Call, Effect, OnExpiry, Phase, Session, Settings, State};
use crate::clock::Time;
use crate::hosts::Chance;
use crate::watch::{Item, SubscriptionId, WatchKind};
use crate::{ErrorKind, Outcome};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use zk_proto::jute::Reader;
use zk_proto::{
    AddWatchMode, ConnectRequest, ConnectResponse, EventType, OpCode, PASSWORD_LEN, ReplyHeader,
    Request, RequestHeader, SessionId, Stat, Version, WatchEvent, Xid, Zxid, frame,
};

const NODES: usize = 6;
const SERVERS: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(9);
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
struct Ticket(u64);

impl Slot for Ticket {
    fn is_abandoned(&self) -> bool {
        false
    }
}

fn path(node: usize) -> String {
    format!("/n{node}")
}

fn node_of(path: &str) -> usize {
    path.trim_start_matches("/n").parse().unwrap()
}

/// One change: which node, by which of our writes (0: somebody else's).
#[derive(Clone, Copy)]
struct Change {
    node: usize,
    write: u64,
}

/// The ensemble: one history, servers that have applied some of it, and the session as the leader knows it.
struct Ensemble {
    history: Vec<Change>,
    /// How often each of our writes was done.
    done: BTreeMap<u64, usize>,
    applied: [usize; SERVERS],
    session: i64,
    touched: Time,
    /// Bumped by each handshake: what an older connection still sends is refused.
    owner: u64,
}

impl Ensemble {
    fn mzxid(&self, node: usize, upto: usize) -> usize {
        (0..upto)
            .rev()
            .find(|at| self.history[*at].node == node)
            .map_or(0, |at| at + 1)
    }

    fn is_alive(&self, now: Time) -> bool {
        self.session != 0 && now < self.touched + TIMEOUT
    }
}

/// A connection, and what its server keeps for it.
struct Connection {
    server: usize,
    owner: u64,
    to_server: VecDeque<(Time, Bytes)>,
    to_client: VecDeque<(Time, Bytes)>,
    data: BTreeSet<usize>,
    lasting: BTreeSet<usize>,
    greeted: bool,
    stalled_until: Time,
    dead_at: Option<Time>,
}

/// What was asked in one call.
#[derive(Clone, Copy, Debug)]
struct Asked {
    op: OpCode,
    node: usize,
    deadline: Time,
    watch: Option<u64>,
}

struct World {
    now: Time,
    chance: Chance,
    ensemble: Ensemble,
    session: Session<Ticket>,
    connection: Option<Connection>,
    connect_at: Time,
    work_at: Time,
    fault_at: Time,
    others_at: Time,
    asked: BTreeMap<u64, Asked>,
    next: u64,
    /// One-shot watches: node, and the mzxid that was shown when it was set.
    once: BTreeMap<u64, (usize, usize)>,
    fired: BTreeSet<u64>,
    /// The lasting watch of each node: up to where it has told everything.
    lasting: BTreeMap<u64, (usize, usize)>,
    shown: i64,
    /// Writes that were said not to be applied.
    refused: BTreeSet<u64>,
    verdicts: BTreeMap<&'static str, u64>,
    trace: u64,
}

fn settings() -> Settings {
    Settings {
        timeout: TIMEOUT,
        connect_timeout: Duration::from_secs(2),
        read_only: false,
        max_in_flight: 16,
        max_in_flight_bytes: 1 << 20,
        read_retries: 3,
        on_expiry: OnExpiry::Renew,
        give_up_after: None,
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Time::default();
        Self {
            now,
            chance: Chance::seeded(seed),
            ensemble: Ensemble {
                history: (0..NODES).map(|node| Change { node, write: 0 }).collect(),
                done: BTreeMap::new(),
                applied: [NODES; SERVERS],
                session: 0,
                touched: now,
                owner: 0,
            },
            session: Session::new(settings(), None, now),
            connection: None,
            connect_at: now,
            work_at: now,
            fault_at: now + Duration::from_secs(20),
            others_at: now,
            asked: BTreeMap::new(),
            next: 1,
            once: BTreeMap::new(),
            fired: BTreeSet::new(),
            lasting: BTreeMap::new(),
            shown: 0,
            refused: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            trace: 0xcbf2_9ce4_8422_2325,
        }
    }

    fn millis(&mut self, below: usize) -> Duration {
        Duration::from_millis(self.chance.below(below) as u64)
    }

    fn note(&mut self, what: &str) {
        for byte in what.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    /// Until when nothing happens.
    fn next_time(&self) -> Time {
        let mut times = vec![self.work_at, self.fault_at, self.others_at];
        times.extend(self.session.deadline());
        match &self.connection {
            None => times.push(self.connect_at),
            Some(it) => {
                let held = |at: Time| at.max(it.stalled_until);
                times.extend(it.to_server.front().map(|(at, _)| held(*at)));
                times.extend(it.to_client.front().map(|(at, _)| held(*at)));
                times.extend(it.dead_at);
            }
        }
        times.into_iter().min().unwrap()
    }

    fn run(&mut self, until: Time) {
        while self.now < until {
            self.now = self.now.max(self.next_time());
            self.step();
            self.check_deadlines();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        if self.others_at <= now {
            self.others_write();
            self.others_at = now + Duration::from_millis(50) + self.millis(3_000);
        }
        if self.work_at <= now {
            for _ in 0..=self.chance.below(4) {
                self.work();
            }
            self.work_at = now + Duration::from_millis(1) + self.millis(2_000);
        }
        if self.fault_at <= now {
            self.fault();
            self.fault_at = now + Duration::from_secs(1) + self.millis(60_000);
        }
        if self.connection.is_none() && self.connect_at <= now {
            self.connect();
        }
        self.deliver_to_server();
        self.deliver_to_client();
        if self
            .connection
            .as_ref()
            .is_some_and(|it| it.dead_at.is_some_and(|at| at <= now))
        {
            self.lose();
        }
        if self.session.deadline().is_some_and(|at| at <= now) {
            self.drive(|session, out| session.on_time(now, out));
        }
        self.write();
    }

    /// Somebody else changes a node; some servers hear of it.
    fn others_write(&mut self) {
        let node = self.chance.below(NODES);
        self.ensemble.history.push(Change { node, write: 0 });
        for server in 0..SERVERS {
            if self.chance.below(3) > 0 {
                let head = self.ensemble.history.len();
                let lag = self.chance.below(3);
                self.catch_up(server, head.saturating_sub(lag));
            }
        }
    }

    /// A server applies history, and tells the watches of our connection.
    fn catch_up(&mut self, server: usize, upto: usize) {
        let from = self.ensemble.applied[server];
        for at in from..upto.max(from) {
            self.ensemble.applied[server] = at + 1;
            let node = self.ensemble.history[at].node;
            let now = self.now;
            let Some(it) = self.connection.as_mut().filter(|it| it.server == server) else {
                continue;
            };
            if it.data.remove(&node) | it.lasting.contains(&node) {
                let mut out = BytesMut::new();
                let zxid = Zxid::from_wire(at as i64 + 1);
                WatchEvent::put_frame(&mut out, zxid, EventType::DataChanged, &path(node));
                let payload = out.freeze().slice(frame::LENGTH_WORD..);
                it.to_client.push_back((now, payload));
            }
        }
    }

    fn fault(&mut self) {
        let stall = Duration::from_millis(500) + self.millis(12_000);
        let kind = self.chance.below(4);
        if let Some(it) = &mut self.connection {
            match kind {
                0 => it.dead_at = Some(self.now),
                1 => it.dead_at = Some(self.now + stall / 50),
                2 => it.stalled_until = self.now + stall,
                // Everything in flight to the client is lost with the connection.
                _ => {
                    it.to_client.clear();
                    it.dead_at = Some(self.now);
                }
            }
        }
        if self.chance.below(4) == 0 {
            self.connect_at = self.now + stall;
        }
    }

    fn connect(&mut self) {
        if self.session.phase() != Phase::Apart {
            return;
        }
        let greeting = self.session.greet(self.now);
        let server = self.chance.below(SERVERS);
        self.connection = Some(Connection {
            server,
            owner: 0,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            data: BTreeSet::new(),
            lasting: BTreeSet::new(),
            greeted: false,
            stalled_until: Time::default(),
            dead_at: None,
        });
        self.send(Bytes::from(greeting));
    }

    fn send(&mut self, bytes: Bytes) {
        let at = self.now + self.millis(20);
        if let Some(it) = &mut self.connection {
            let at = it.to_server.back().map_or(at, |(last, _)| at.max(*last));
            it.to_server.push_back((at, bytes));
        }
    }

    fn lose(&mut self) {
        // What has reached the server before is done there, though nobody hears of it.
        if self.chance.below(2) == 0 {
            while self.take_to_server(true) {}
        }
        self.connection = None;
        let wait = self.millis(1_000);
        self.connect_at = self.connect_at.max(self.now + wait);
        let now = self.now;
        self.drive(|session, out| session.on_lost(now, out));
    }

    fn write(&mut self) {
        if self.connection.is_none() {
            return;
        }
        let mut out = BytesMut::new();
        self.session.fill(self.now, &mut out);
        if !out.is_empty() {
            self.send(out.freeze());
        }
    }

    fn deliver_to_server(&mut self) {
        while self.take_to_server(false) {}
    }

    fn take_to_server(&mut self, hurry: bool) -> bool {
        let now = self.now;
        let Some(it) = &mut self.connection else {
            return false;
        };
        let due = it
            .to_server
            .front()
            .is_some_and(|(at, _)| hurry || (*at <= now && it.stalled_until <= now));
        if !due {
            return false;
        }
        let (_, mut bytes) = it.to_server.pop_front().unwrap();
        while let Ok(Some(len)) = frame::payload_len(&bytes, 1 << 24) {
            let payload = bytes.slice(frame::LENGTH_WORD..frame::LENGTH_WORD + len);
            bytes = bytes.slice(frame::LENGTH_WORD + len..);
            self.serve(&payload);
        }
        true
    }

    fn reply(&mut self, xid: Xid, err: i32, body: &[u8]) {
        let delay = self.millis(20);
        let Some(it) = &mut self.connection else {
            return;
        };
        let mut out = BytesMut::new();
        let zxid = Zxid::from_wire(self.ensemble.applied[it.server] as i64);
        ReplyHeader { xid, zxid, err }.encode(&mut out);
        out.extend_from_slice(body);
        let at = it
            .to_client
            .back()
            .map_or(self.now + delay, |(last, _)| (*last).max(self.now + delay));
        it.to_client.push_back((at, out.freeze()));
    }

    /// What a server does with a frame.
    fn serve(&mut self, payload: &Bytes) {
        let now = self.now;
        let Some(it) = &self.connection else { return };
        let server = it.server;
        if !it.greeted {
            self.handshake(payload, server);
            return;
        }
        if it.owner != self.ensemble.owner || !self.ensemble.is_alive(now) {
            // Moved, or over: the server closes without a word.
            self.connection.as_mut().unwrap().dead_at = Some(now);
            return;
        }
        let mut reader = Reader::new(payload);
        let header = RequestHeader::decode(&mut reader).unwrap();
        let request = Request::decode(header.op, reader.rest()).unwrap();
        match request {
            Request::Ping => self.reply(Xid::PING, 0, &[]),
            Request::Sync { .. } => {
                self.ensemble.touched = now;
                let head = self.ensemble.history.len();
                self.catch_up(server, head);
                self.reply(header.xid, 0, &[0, 0, 0, 1, b'/']);
            }
            Request::SetData { path, data, .. } => {
                let write = u64::from_be_bytes(data.unwrap().try_into().unwrap());
                let node = node_of(&path);
                self.ensemble.touched = now;
                self.ensemble.history.push(Change { node, write });
                *self.ensemble.done.entry(write).or_default() += 1;
                assert!(
                    !self.refused.contains(&write),
                    "P9: it was said not to be applied"
                );
                let head = self.ensemble.history.len();
                self.catch_up(server, head);
                self.reply_with_stat(header.xid, node, None);
            }
            Request::GetData { path, watch } => {
                let node = node_of(&path);
                if watch {
                    self.connection.as_mut().unwrap().data.insert(node);
                }
                self.reply_with_stat(header.xid, node, Some(&[]));
            }
            Request::AddWatch { path, .. } => {
                let it = self.connection.as_mut().unwrap();
                it.lasting.insert(node_of(&path));
                self.reply(header.xid, 0, &[0; 4]);
            }
            Request::SetWatches(lists) | Request::SetWatches2(lists) => {
                self.set_watches(server, &lists);
                self.reply(Xid::SET_WATCHES, 0, &[]);
            }
            other => panic!("not asked here: {other:?}"),
        }
    }

    fn set_watches(&mut self, server: usize, lists: &zk_proto::WatchLists<'_>) {
        let applied = self.ensemble.applied[server];
        for path in &lists.data {
            let node = node_of(path);
            let mzxid = self.ensemble.mzxid(node, applied) as i64;
            let now = self.now;
            let it = self.connection.as_mut().unwrap();
            if mzxid > lists.relative_zxid.to_wire() {
                let mut out = BytesMut::new();
                WatchEvent::put_frame(&mut out, Zxid::NONE, EventType::DataChanged, path);
                let at = it.to_client.back().map_or(now, |(last, _)| *last);
                let payload = out.freeze().slice(frame::LENGTH_WORD..);
                it.to_client.push_back((at, payload));
            } else {
                it.data.insert(node);
            }
        }
        let it = self.connection.as_mut().unwrap();
        it.lasting
            .extend(lists.persistent.iter().map(|path| node_of(path)));
    }

    fn reply_with_stat(&mut self, xid: Xid, node: usize, data: Option<&[u8]>) {
        let server = self.connection.as_ref().unwrap().server;
        let mzxid = self.ensemble.mzxid(node, self.ensemble.applied[server]) as i64;
        let mut body = Vec::new();
        if data.is_some() {
            body.extend_from_slice(&[0xff; 4]);
        }
        Stat {
            mzxid: Zxid::from_wire(mzxid),
            version: Version(0),
            ..Stat::default()
        }
        .encode(&mut body);
        self.reply(xid, 0, &body);
    }

    fn handshake(&mut self, payload: &Bytes, server: usize) {
        let now = self.now;
        let request = ConnectRequest::decode(payload).unwrap();
        assert!(
            request.last_zxid_seen.to_wire() >= self.shown,
            "P4: the client says what it has seen"
        );
        if request.last_zxid_seen.to_wire() > self.ensemble.applied[server] as i64 {
            self.connection.as_mut().unwrap().dead_at = Some(now);
            return;
        }
        let asked = request.session.to_wire();
        let fresh = asked == 0;
        let over = !fresh && (asked != self.ensemble.session || !self.ensemble.is_alive(now));
        let mut response = ConnectResponse::expired(Some(false));
        if over {
            self.ensemble.session = 0;
        } else {
            if fresh {
                self.ensemble.session = 1_000 + i64::try_from(self.ensemble.owner).unwrap();
            }
            self.ensemble.touched = now;
            self.ensemble.owner += 1;
            response.session = SessionId::from_wire(self.ensemble.session);
            response.timeout = i32::try_from(TIMEOUT.as_millis()).unwrap();
            response.password = [7; PASSWORD_LEN];
        }
        let mut out = BytesMut::new();
        response.encode(&mut out);
        let delay = self.millis(20);
        let it = self.connection.as_mut().unwrap();
        it.greeted = true;
        it.owner = self.ensemble.owner;
        it.to_client.push_back((now + delay, out.freeze()));
    }

    fn deliver_to_client(&mut self) {
        loop {
            let now = self.now;
            let Some(it) = &mut self.connection else {
                return;
            };
            let due = it
                .to_client
                .front()
                .is_some_and(|(at, _)| *at <= now && it.stalled_until <= now);
            if !due {
                return;
            }
            let (_, payload) = it.to_client.pop_front().unwrap();
            if let Phase::Greeting { .. } = self.session.phase() {
                let mut out = Vec::new();
                let taken = self.session.on_greeting(now, &payload, &mut out).unwrap();
                self.settle(out);
                if taken {
                    self.drive(|session, out| session.begin(now, out));
                }
            } else {
                self.drive(|session, out| session.on_frame(now, &payload, out).unwrap());
            }
        }
    }

    /// Some calls.
    fn work(&mut self) {
        let id = self.next;
        self.next += 1;
        let node = self.chance.below(NODES);
        let path = path(node);
        let data = id.to_be_bytes();
        let mut watch = None;
        let request = match self.chance.below(10) {
            0..4 => Request::SetData {
                path: path.as_str().into(),
                data: Some(&data),
                version: -1,
            },
            4..8 => {
                if self.chance.below(2) == 0 && self.once.len() < 50 {
                    watch = Some((id, WatchKind::Data));
                }
                Request::GetData {
                    path: path.as_str().into(),
                    watch: watch.is_some(),
                }
            }
            8 if self.lasting.len() < 3 => {
                watch = Some((id, WatchKind::Persistent));
                Request::AddWatch {
                    path: path.as_str().into(),
                    mode: AddWatchMode::Persistent,
                }
            }
            _ => Request::Sync { path: "/".into() },
        };
        let deadline = self.now + PATIENCE;
        let mut call = Call::new(request.op(), frame_of(&request), Some(Ticket(id)));
        call.deadline = Some(deadline);
        call.watch = watch.map(|(id, kind)| WatchWish {
            id: SubscriptionId(id),
            kind,
            dropped: false,
        });
        let asked = Asked {
            op: request.op(),
            node,
            deadline,
            watch: watch.map(|(id, _)| id),
        };
        self.asked.insert(id, asked);
        self.drive(|session, out| session.call(call, out));
    }

    fn drive(&mut self, step: impl FnOnce(&mut Session<Ticket>, &mut Vec<Effect<Ticket>>)) {
        let mut out = Vec::new();
        step(&mut self.session, &mut out);
        self.settle(out);
    }

    fn settle(&mut self, effects: Vec<Effect<Ticket>>) {
        for effect in effects {
            self.note(&format!("{} {effect:?}", self.now));
            match effect {
                Effect::Answer { slot, outcome, .. } => self.on_answer(slot.0, outcome),
                Effect::Notify(id, item) => self.on_item(id.0, &item),
                Effect::State(state) => self.on_state(state),
                Effect::Hangup(_) => {
                    if let Some(it) = &mut self.connection {
                        it.dead_at = Some(self.now);
                    }
                }
            }
        }
        if let Some(until) = self.session.alive_until()
            && until > self.now
        {
            assert!(
                self.ensemble.is_alive(self.now),
                "certainly alive, but the leader has expired it"
            );
        }
    }

    fn on_state(&mut self, state: State) {
        if let State::Lost { .. } = state {
            assert!(!self.ensemble.is_alive(self.now), "lost is lost");
            *self.verdicts.entry("lost").or_default() += 1;
        }
    }

    fn on_answer(&mut self, id: u64, outcome: Result<super::Answered, ErrorKind>) {
        let asked = self.asked.remove(&id).expect("a call ends once");
        let applied = self.ensemble.done.get(&id).copied().unwrap_or(0);
        assert!(applied <= 1, "P9: nothing is written twice");
        let answered = match outcome {
            Ok(answered) => answered,
            Err(kind) => {
                if kind.outcome() == Outcome::NotApplied {
                    assert_eq!(applied, 0, "P9: {kind:?}, and yet it was applied");
                    self.refused.insert(id);
                    *self.verdicts.entry("not applied").or_default() += 1;
                } else {
                    *self.verdicts.entry("unknown").or_default() += 1;
                }
                return;
            }
        };
        *self.verdicts.entry("done").or_default() += 1;
        let zxid = answered.header.zxid.to_wire();
        assert!(
            zxid >= self.shown,
            "P4: back in time from {} to {zxid}",
            self.shown
        );
        self.shown = zxid;
        match asked.op {
            OpCode::SetData => assert_eq!(applied, 1, "P9: done is done"),
            OpCode::GetData => {
                let mut reader = Reader::new(&answered.body);
                reader.buffer().unwrap();
                let mzxid = Stat::decode(&mut reader).unwrap().mzxid.to_wire();
                let mzxid = usize::try_from(mzxid).unwrap();
                self.on_read(asked.node, mzxid);
                if let Some(watch) = asked.watch
                    && !self.fired.contains(&watch)
                {
                    self.once.insert(watch, (asked.node, mzxid));
                }
            }
            OpCode::AddWatch => {
                let upto = usize::try_from(zxid).unwrap();
                self.lasting
                    .insert(asked.watch.unwrap(), (asked.node, upto));
            }
            _ => {}
        }
    }

    fn on_read(&mut self, node: usize, mzxid: usize) {
        for (id, (watched, seen)) in &self.once {
            assert!(
                *watched != node || mzxid <= *seen,
                "P10, P12: watch {id} on {node} at {seen} has not fired, but {mzxid} is shown"
            );
        }
        for (id, (watched, told)) in &self.lasting {
            assert!(
                *watched != node || mzxid <= *told,
                "P11: lasting watch {id} on {node} has told up to {told}, but {mzxid} is shown"
            );
        }
    }

    fn on_item(&mut self, id: u64, item: &Item) {
        match item {
            Item::Lost => {
                self.once.remove(&id);
                self.lasting.remove(&id);
            }
            Item::Gap { .. } => {
                let upto = usize::try_from(self.session.last_reply.to_wire()).unwrap();
                if let Some((_, told)) = self.lasting.get_mut(&id) {
                    *told = (*told).max(upto);
                }
                *self.verdicts.entry("gap").or_default() += 1;
            }
            Item::Event { zxid, .. } => {
                self.shown = self.shown.max(zxid.map_or(0, Zxid::to_wire));
                if let Some((node, told)) = self.lasting.get_mut(&id) {
                    if let Some(zxid) = zxid {
                        let zxid = usize::try_from(zxid.to_wire()).unwrap();
                        assert!(zxid > *told, "P11: in order, and each once");
                        assert_eq!(
                            self.ensemble.history[zxid - 1].node,
                            *node,
                            "P11: it happened"
                        );
                        *told = (*told).max(zxid);
                    }
                    return;
                }
                assert!(self.fired.insert(id), "P11: watch {id} fires once");
                self.once.remove(&id);
                *self.verdicts.entry("fired").or_default() += 1;
            }
        }
    }

    fn check_deadlines(&self) {
        for (id, asked) in &self.asked {
            assert!(
                asked.deadline >= self.now,
                "call {id} ({asked:?}) hangs past its time"
            );
        }
    }

    /// P3: our writes stand in the order in which they were called.
    fn check_order(&self) {
        let ours = self.ensemble.history.iter().map(|it| it.write);
        let ours: Vec<_> = ours.filter(|write| *write > 0).collect();
        assert!(ours.is_sorted(), "P3");
    }
}

fn live(seed: u64, hours: u64) -> World {
    let mut world = World::new(seed);
    world.run(Time::since_start(Duration::from_secs(hours * 3600)));
    world.check_order();
    world
}

#[test]
fn a_day_of_a_session_keeps_its_promises() {
    let world = live(4711, 24);
    for verdict in ["done", "not applied", "unknown", "fired", "gap", "lost"] {
        let count = world.verdicts.get(verdict).copied().unwrap_or(0);
        assert!(count > 20, "{verdict}: {count} of {:?}", world.verdicts);
    }
}

#[test]
fn a_life_is_repeated_bit_for_bit_by_its_seed() {
    for seed in 0..4 {
        let (first, second) = (live(seed, 1), live(seed, 1));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.verdicts, second.verdicts);
    }
    assert_ne!(live(1, 1).trace, live(2, 1).trace);
}
