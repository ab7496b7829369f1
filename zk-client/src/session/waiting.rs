//! What waits, and for how long: calls for their turn and their answer, a connection for the next sign of life,
//! a session for any server.

use super::call::{Call, Sent, Slot};
use super::{Effect, End, Phase, Session};
use crate::ErrorKind;
use crate::clock::Time;
use crate::watch::SubscriptionId;
use zk_proto::{OpCode, Request, RequestHeader, Xid, frame};

impl<C: Slot> Session<C> {
    /// A call takes its place in the order, which is the order of the calls.
    pub(crate) fn call(&mut self, call: Call<C>, out: &mut Vec<Effect<C>>) {
        if let Some(kind) = self.refusal() {
            fail(call, kind, out);
            return;
        }
        if let Some(deadline) = call.deadline {
            self.expect(deadline);
        }
        self.queue.push_back(call);
    }

    /// Why nothing is taken any more, if so.
    pub(crate) fn refusal(&self) -> Option<ErrorKind> {
        match self.phase {
            Phase::Over(End::Expired) => Some(ErrorKind::SessionExpired {
                session: self.id,
                sent: false,
            }),
            Phase::Over(End::AuthFailed) => Some(ErrorKind::AuthFailed),
            Phase::Over(End::Closed | End::Detached) => Some(ErrorKind::Closed { sent: false }),
            Phase::Apart | Phase::Greeting { .. } | Phase::Proving | Phase::Live => self
                .closing
                .is_some()
                .then_some(ErrorKind::Closed { sent: false }),
        }
    }

    fn expect(&mut self, deadline: Time) {
        self.earliest = Some(
            self.earliest
                .map_or(deadline, |earliest| earliest.min(deadline)),
        );
    }

    /// A credential, for this connection and every later one.
    pub(crate) fn add_auth(
        &mut self,
        scheme: &str,
        auth: &[u8],
        slot: Option<C>,
        out: &mut Vec<Effect<C>>,
    ) {
        if let Some(kind) = self.refusal() {
            let call = Call::new(OpCode::Auth, Vec::new(), slot);
            fail(call, kind, out);
            return;
        }
        self.credentials.add(scheme, auth, slot);
        if self.phase == Phase::Live {
            self.credentials.present_newest(&mut self.urgent);
        }
    }

    /// A watcher went away. Its watch goes as well, unless others share it.
    pub(crate) fn unwatch(&mut self, id: SubscriptionId) {
        let Some(removal) = self.watches.remove(id) else {
            // Perhaps its registration is on the way.
            let queued = self.queue.iter_mut();
            let flying = self.flight.iter_mut().filter_map(|it| match &mut it.sent {
                Sent::Call(call) => Some(call),
                Sent::Rearm { .. } | Sent::Close => None,
            });
            let mut wishes = queued.chain(flying).filter_map(|it| it.watch.as_mut());
            if let Some(wish) = wishes.find(|wish| wish.id == id) {
                wish.dropped = true;
            }
            return;
        };
        // Without a connection the server has no watch of ours; it will not be armed again.
        if let Some((path, kind)) = removal
            && self.phase == Phase::Live
            && !self.watches_stay
            && !self.is_registering(&path)
        {
            let request = Request::RemoveWatches {
                path: (&*path).into(),
                kind,
            };
            let frame = super::call::frame_of(&request);
            self.queue
                .push_back(Call::new(OpCode::RemoveWatches, frame, None));
        }
    }

    /// Whether a watch on this path is on its way: a removal behind it would take it along, unnoticed (P12). The
    /// server may as well keep the old one, whose event nobody hears.
    fn is_registering(&self, path: &str) -> bool {
        let flying = self.flight.iter().filter_map(|it| match &it.sent {
            Sent::Call(call) => Some(call),
            Sent::Rearm { .. } | Sent::Close => None,
        });
        let mut calls = self.queue.iter().chain(flying);
        calls.any(|call| {
            call.watch.is_some_and(|wish| !wish.dropped)
                && call.wire_path().as_deref() == Some(path)
        })
    }

    /// When to come back with [`Self::on_time`] if nothing happens first.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let connection = match self.phase {
            Phase::Live => {
                let quiet = (self.wrote_at + self.ping_interval())
                    .min(self.heard_at + self.silence_limit());
                Some(self.proof_due().map_or(quiet, |due| due.min(quiet)))
            }
            Phase::Greeting { sent_at, .. } => Some(sent_at + self.settings.connect_timeout),
            Phase::Proving => Some(self.heard_at + self.silence_limit()),
            Phase::Apart | Phase::Over(_) => None,
        };
        let closing = self.closing.as_ref().map(|(_, until)| *until);
        [connection, self.earliest, closing, self.given_up_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the own clock declares the session over; only without a server.
    fn given_up_at(&self) -> Option<Time> {
        let hopeless = self.phase != Phase::Live && self.established;
        let over = matches!(self.phase, Phase::Over(_));
        let after = self.settings.give_up_after?;
        (hopeless && !over).then(|| self.contact + after)
    }

    /// Time has passed.
    pub(crate) fn on_time(&mut self, now: Time, out: &mut Vec<Effect<C>>) {
        if self.earliest.is_some_and(|earliest| earliest <= now) {
            self.time_out_calls(now, out);
        }
        if self.phase == Phase::Live {
            if now >= self.heard_at + self.silence_limit() {
                out.push(Effect::Hangup("the server is silent"));
            } else if self.proof_due().is_some_and(|due| due <= now) {
                self.ask_leader(now);
            } else if now >= self.wrote_at + self.ping_interval() {
                self.ping(now);
            }
        }
        if let Phase::Greeting { sent_at, .. } = self.phase
            && now >= sent_at + self.settings.connect_timeout
        {
            out.push(Effect::Hangup("the server does not greet"));
        }
        if self.phase == Phase::Proving && now >= self.heard_at + self.silence_limit() {
            out.push(Effect::Hangup("the server does not judge our identity"));
        }
        if self.given_up_at().is_some_and(|at| at <= now) {
            self.expire(now, out);
            out.push(Effect::Hangup("no server for too long"));
        }
        if self
            .closing
            .as_ref()
            .is_some_and(|(_, until)| *until <= now)
        {
            self.end(End::Closed, out);
            out.push(Effect::Hangup("nobody hears that the session is closed"));
        }
    }

    /// When the leader should be asked for a sign of life. A read-only server knows none.
    fn proof_due(&self) -> Option<Time> {
        let wanted = self.settings.prove_alive && !self.read_only && self.closing.is_none();
        wanted.then(|| self.asked_leader_at + self.ping_interval())
    }

    /// A sync: the leader answers it, and nothing is written for it.
    fn ask_leader(&mut self, now: Time) {
        let frame = super::call::frame_of(&Request::Sync { path: "/".into() });
        self.queue.push_back(Call::new(OpCode::Sync, frame, None));
        self.asked_leader_at = now;
    }

    fn ping(&mut self, now: Time) {
        let mut frame = Vec::with_capacity(frame::LENGTH_WORD + RequestHeader::WIRE_LEN);
        frame.extend_from_slice(&[0, 0, 0, 8]);
        RequestHeader {
            xid: Xid::PING,
            op: OpCode::Ping,
        }
        .encode(&mut frame);
        self.urgent.push_back(frame);
        self.wrote_at = now;
    }

    /// Tells the calls whose time is up. What was sent keeps its place until its reply comes.
    fn time_out_calls(&mut self, now: Time, out: &mut Vec<Effect<C>>) {
        let is_due = |deadline: Option<Time>| deadline.is_some_and(|deadline| deadline <= now);
        let mut earliest: Option<Time> = None;
        let mut keep = |deadline: Option<Time>| {
            if let Some(deadline) = deadline {
                earliest = Some(earliest.map_or(deadline, |known| known.min(deadline)));
            }
        };
        let mut kept = std::collections::VecDeque::with_capacity(self.queue.len());
        for call in self.queue.drain(..) {
            if is_due(call.deadline) {
                fail(call, ErrorKind::Timeout { sent: false }, out);
            } else {
                keep(call.deadline);
                kept.push_back(call);
            }
        }
        self.queue = kept;
        for flight in &mut self.flight {
            let Sent::Call(call) = &mut flight.sent else {
                continue;
            };
            if !is_due(call.deadline) {
                keep(call.deadline);
                continue;
            }
            call.deadline = None;
            if let Some(slot) = call.slot.take() {
                out.push(Effect::Answer {
                    slot,
                    outcome: Err(ErrorKind::Timeout { sent: true }),
                    frame: call.frame.clone(),
                    took: Some(now.saturating_since(flight.sent_at)),
                });
            }
        }
        self.earliest = earliest;
    }
}

/// Ends a call without an answer from the server.
pub(super) fn fail<C>(call: Call<C>, kind: ErrorKind, out: &mut Vec<Effect<C>>) {
    if let Some(slot) = call.slot {
        out.push(Effect::Answer {
            slot,
            outcome: Err(kind),
            frame: call.frame,
            took: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{OnExpiry, Settings};
    use bytes::{Buf, Bytes, BytesMut};
    use std::time::Duration;
    use zk_proto::{ConnectResponse, ReplyHeader, SessionId, Zxid};

    const TIMEOUT: Duration = Duration::from_secs(6);

    #[derive(Debug)]
    struct Nobody;

    impl Slot for Nobody {
        fn is_abandoned(&self) -> bool {
            false
        }
    }

    fn live(prove_alive: bool) -> Session<Nobody> {
        let settings = Settings {
            timeout: TIMEOUT,
            connect_timeout: TIMEOUT,
            read_only: false,
            max_in_flight: 8,
            max_in_flight_bytes: 1 << 16,
            read_retries: 1,
            on_expiry: OnExpiry::End,
            prove_alive,
            give_up_after: None,
        };
        let mut session = Session::new(settings, None, Time::default());
        session.greet(Time::default());
        let mut payload = BytesMut::new();
        ConnectResponse {
            protocol_version: 0,
            timeout: 6000,
            session: SessionId::from_wire(7),
            password: [1; 16],
            read_only: Some(false),
        }
        .encode(&mut payload);
        let mut out = Vec::new();
        assert_eq!(
            session.on_greeting(Time::default(), &payload, &mut out),
            Ok(true)
        );
        session.begin(Time::default(), &mut out);
        session
    }

    /// Asks for a read each second for as long, and is answered everything within a tenth of one; returns how often
    /// the session was not certain to be alive, and how many requests went to the leader.
    fn read_on(session: &mut Session<Nobody>, seconds: u64) -> (usize, usize) {
        let (mut uncertain, mut syncs) = (0, 0);
        for tenth in 1..seconds * 10 {
            let now = Time::since_start(Duration::from_millis(100 * tenth));
            let mut out = Vec::new();
            if tenth % 10 == 0 {
                let read = Request::Exists {
                    path: "/".into(),
                    watch: false,
                };
                let frame = super::super::call::frame_of(&read);
                session.call(Call::new(OpCode::Exists, frame, Some(Nobody)), &mut out);
            }
            session.on_time(now, &mut out);
            let mut bytes = BytesMut::new();
            session.fill(now, &mut bytes);
            while let Ok(Some(len)) = frame::payload_len(&bytes, 1 << 16) {
                bytes.advance(frame::LENGTH_WORD);
                let asked = bytes.split_to(len);
                let header =
                    RequestHeader::decode(&mut zk_proto::jute::Reader::new(&asked)).unwrap();
                syncs += usize::from(header.op == OpCode::Sync);
                let mut reply = BytesMut::new();
                ReplyHeader {
                    xid: header.xid,
                    zxid: Zxid::from_wire(1),
                    err: 0,
                }
                .encode(&mut reply);
                let answer: Bytes = reply.freeze();
                session.on_frame(now, &answer, &mut out).unwrap();
            }
            uncertain += usize::from(session.alive_until().is_none_or(|until| until <= now));
        }
        (uncertain, syncs)
    }

    /// P12: one watcher goes while another of the same node is on its way.
    #[test]
    fn a_watch_on_its_way_is_not_removed_with_an_older_one() {
        let read = Request::GetData {
            path: "/a".into(),
            watch: true,
        };
        let ask = |session: &mut Session<Nobody>, id| {
            let frame = super::super::call::frame_of(&read);
            let mut call = Call::new(OpCode::GetData, frame, Some(Nobody));
            call.watch = Some(crate::session::WatchWish {
                id: SubscriptionId(id),
                kind: crate::watch::WatchKind::Data,
                dropped: false,
            });
            session.call(call, &mut Vec::new());
        };
        let mut session = live(false);
        session
            .watches
            .add(SubscriptionId(1), crate::watch::WatchKind::Data, "/a");
        ask(&mut session, 2);
        session.unwatch(SubscriptionId(1));
        assert_eq!(session.queue.len(), 1, "nothing is removed");
        session.queue.clear();
        session
            .watches
            .add(SubscriptionId(2), crate::watch::WatchKind::Data, "/a");
        session.unwatch(SubscriptionId(2));
        assert_eq!(
            session.queue.pop_front().map(|it| it.op),
            Some(OpCode::RemoveWatches)
        );
    }

    /// P18: what only a follower has answered proves nothing, so that who reads and needs the deadline has it proved.
    #[test]
    fn reads_keep_the_deadline_only_where_the_leader_is_asked() {
        let (uncertain, syncs) = read_on(&mut live(false), 60);
        assert_eq!(syncs, 0);
        assert!(uncertain > 500, "{uncertain} of 600");
        let (uncertain, syncs) = read_on(&mut live(true), 60);
        assert_eq!(uncertain, 0);
        assert!(
            (25..=31).contains(&syncs),
            "one in each third of the timeout: {syncs}"
        );
    }
}
