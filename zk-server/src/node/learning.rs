//! What a learner does for its own clients: reads are answered here, everything else is the leader's, and is
//! answered when its transaction is delivered here.

use super::held::{Renewal, Wait};
use super::intake::lacks_room;
use super::leading::session_body;
use super::membership::Service;
use super::{Answer, Node, Turn};
use crate::net::link::{Delivery, Link};
use crate::replica::Submission;
use crate::session;
use crate::tree::{Identity, Outcome, Tree, null_path_refusal};
use bytes::Bytes;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use zk_proto::txn::{Txn, TxnRecord};
use zk_proto::{
    ConnectResponse, ErrorCode, MultiOp, MultiResult, OpCode, Reply, Request, SessionId, Xid,
};
use zk_zab::{Forwarded, Message, Touch};
use zk_zab::{LinkId, Time};

impl Node {
    pub(super) fn on_connect_learning(
        &mut self,
        leader: LinkId,
        link: Arc<Link>,
        session: SessionId,
        password: &[u8],
        timeout: Duration,
        now: Time,
    ) {
        if session == SessionId::NONE {
            let session = self.sessions.allocate();
            let message = Message::Request(Forwarded {
                session,
                cxid: Xid::INTERNAL,
                op: OpCode::CreateSession,
                body: session_body(timeout),
                identities: None,
            });
            let member = self.membership();
            member.peers.send(leader, message);
            return member.held.push(session, Wait::Open { link, timeout });
        }
        self.sessions.silence(session, password, now);
        if !super::sessions::same_secret(password, &session::password(session)) {
            return link.push_and_wake(Delivery::Connected(ConnectResponse::expired(None)));
        }
        let renewal = Renewal {
            link,
            timeout,
            confirmed: false,
        };
        self.ask_whether_it_lives(leader, session, renewal);
    }

    fn ask_whether_it_lives(&mut self, leader: LinkId, session: SessionId, renewal: Renewal) {
        let timeout = i32::try_from(renewal.timeout.as_millis()).unwrap_or(i32::MAX);
        let message = Message::Revalidate(Touch { session, timeout });
        let member = self.membership();
        member.peers.send(leader, message);
        member.held.push_renewal(session, renewal);
    }

    pub(super) fn on_requests_learning(
        &mut self,
        leader: LinkId,
        link: &Arc<Link>,
        requests: Vec<Submission>,
    ) {
        let replica = Arc::clone(&self.replica);
        let mut wakers = Vec::new();
        let tree = replica.tree();
        let session = link.session();
        for submission in requests {
            if submission.is_read {
                if self.membership().held.is_idle(session) {
                    wakers.extend(self.read(&tree, link, &submission));
                } else {
                    let (link, read) = (Arc::clone(link), submission);
                    self.membership()
                        .held
                        .push(session, Wait::Read { link, read });
                }
                continue;
            }
            match self.unforwardable(&tree, &submission) {
                None => self.forward(leader, link, submission),
                Some(code) => {
                    let link = Arc::clone(link);
                    self.membership()
                        .held
                        .push(session, Wait::Refused { link, code });
                    self.answer_ready(&tree, session, &mut wakers);
                }
            }
        }
        drop(tree);
        wakers.drain(..).for_each(Waker::wake);
    }

    /// What no leader is asked: a Java leader would never answer what it cannot decode.
    fn unforwardable(&self, tree: &Tree, submission: &Submission) -> Option<ErrorCode> {
        let (op, body) = (submission.op, &submission.body);
        if self.replica.decode(op, body).is_err()
            && null_path_refusal(self.replica.rules(), op, body).is_none()
        {
            return Some(ErrorCode::MarshallingError);
        }
        lacks_room(&self.replica, tree, submission)
    }

    fn forward(&mut self, leader: LinkId, link: &Arc<Link>, submission: Submission) {
        let Submission {
            xid,
            op,
            body,
            identities,
            ..
        } = submission;
        let session = link.session();
        let link = Arc::clone(link);
        let wait = if op == OpCode::Sync {
            Wait::Sync {
                link,
                body: body.clone(),
                answered: false,
            }
        } else {
            let multi = (op == OpCode::Multi).then(|| body.clone());
            Wait::Write { link, xid, multi }
        };
        let body = if op == OpCode::CloseSession {
            Bytes::new()
        } else {
            body
        };
        let message = Message::Request(Forwarded {
            session,
            cxid: xid,
            op,
            body,
            identities: Some(identities.iter().map(to_peers).collect()),
        });
        let member = self.membership();
        member.peers.send(leader, message);
        member.held.push(session, wait);
    }

    /// A transaction has been applied: whoever asked for it here is answered, and what waited behind it.
    pub(super) fn answer_held(
        &mut self,
        tree: &Tree,
        record: &TxnRecord,
        mut outcome: Outcome,
        wakers: &mut Vec<Waker>,
    ) {
        let (session, cxid) = (record.header.session, record.header.cxid);
        let opens = matches!(record.txn, Txn::CreateSession { .. });
        let wait = self.membership().held.take(session, cxid, opens);
        let answer = match wait {
            Some(Wait::Write { link, multi, .. }) => {
                if let Some(body) = multi {
                    self.complete_multi(tree, &body, &mut outcome);
                }
                Answer::Write(link)
            }
            Some(Wait::Open { link, timeout }) => Answer::Connect(link, timeout),
            Some(_) | None => Answer::Nobody,
        };
        self.answer(record.header.zxid, outcome, answer, wakers);
        self.answer_ready(tree, session, wakers);
    }

    /// Who asked for a create2 inside of a multi wants to see its stat; the transaction does not say so.
    fn complete_multi(&self, tree: &Tree, body: &Bytes, outcome: &mut Outcome) {
        let Ok(Reply::Multi(results)) = &mut outcome.result else {
            return;
        };
        let Ok(Request::Multi(ops)) = self.replica.decode(OpCode::Multi, body) else {
            return;
        };
        for (op, result) in ops.iter().zip(results) {
            if let (MultiOp::Create(create), MultiResult::Create(path)) = (op, &*result)
                && create.op != OpCode::Create
                && let Some(node) = tree.get(path)
            {
                *result = MultiResult::Create2(path.clone(), node.stat());
            }
        }
    }

    /// Answers what is at the front of a session's queue and waits for no transaction.
    pub(super) fn answer_ready(
        &mut self,
        tree: &Tree,
        session: SessionId,
        wakers: &mut Vec<Waker>,
    ) {
        while let Some(wait) = self.membership().held.take_ready(session) {
            match wait {
                Wait::Read { link, read } => wakers.extend(self.read(tree, &link, &read)),
                Wait::Refused { link, code } => {
                    wakers.extend(self.refused(tree, &link, None, code));
                }
                Wait::Sync { link, body, .. } => {
                    wakers.extend(self.synced(tree, &link, &body));
                }
                Wait::Renew { link, timeout } => {
                    let now = self.replica.clock().now();
                    let response = self.sessions.begin(session, timeout, &link, now);
                    wakers.extend(link.push(Delivery::Connected(response)));
                }
                Wait::Write { .. } | Wait::Open { .. } => {
                    unreachable!("these wait for their transactions")
                }
            }
        }
    }

    /// The leader has answered a question.
    pub(super) fn on_answered(&mut self, message: Message, now: Time) {
        if !matches!(self.service(), Service::Learns(_)) {
            return;
        }
        if !self.flight.is_empty() {
            // What stands for the leader may still be on its way to this server's disk, and is not applied
            // before: the answer takes its turn behind it, or it would promise too much (P3, P5).
            return self.flight.push(Turn::Answered(message));
        }
        let replica = Arc::clone(&self.replica);
        let mut wakers = Vec::new();
        self.take_answer(&replica.tree(), &message, now, &mut wakers);
        wakers.drain(..).for_each(Waker::wake);
    }

    /// The leader's answer, when everything that it told of before has been applied.
    pub(super) fn take_answer(
        &mut self,
        tree: &Tree,
        message: &Message,
        now: Time,
        wakers: &mut Vec<Waker>,
    ) {
        if let Message::Revalidated { session, valid } = message {
            self.on_revalidated(*session, *valid, now);
        } else if matches!(message, Message::Sync)
            && let Some(session) = self.membership().held.on_sync()
        {
            self.answer_ready(tree, session, wakers);
        }
    }

    /// A session that lives becomes this server's with the second question: the first may have been so long on
    /// its way that the client has gone elsewhere, and must not be taken away from there (P16).
    fn on_revalidated(&mut self, session: SessionId, valid: bool, now: Time) {
        let service = self.service();
        let Some(renewal) = self.membership().held.take_renewal(session) else {
            return;
        };
        if !valid {
            let expired = ConnectResponse::expired(None);
            return renewal.link.push_and_wake(Delivery::Connected(expired));
        }
        if let Service::Learns(leader) = service
            && !renewal.confirmed
        {
            if !renewal.link.is_gone() {
                let confirmed = true;
                let renewal = Renewal {
                    confirmed,
                    ..renewal
                };
                self.ask_whether_it_lives(leader, session, renewal);
            }
            return;
        }
        let Renewal { link, timeout, .. } = renewal;
        let member = self.membership();
        if member.held.is_idle(session) {
            let response = self.sessions.begin(session, timeout, &link, now);
            link.push_and_wake(Delivery::Connected(response));
        } else {
            member.held.push(session, Wait::Renew { link, timeout });
        }
    }
}

fn to_peers(identity: &Identity) -> zk_zab::Identity {
    zk_zab::Identity {
        scheme: identity.scheme.clone(),
        id: identity.id.clone(),
    }
}
