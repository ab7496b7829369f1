//! What a leader does for the clients of its learners: the same as for its own, by the same door.
//!
//! Every request of a learner becomes exactly one transaction, refusals too: the learner waits for it by
//! session and number, and one that never came would stall that session for ever.

use super::flight::SyncFor;
use super::sessions::Owner;
use super::{Answer, Node, Turn};
use crate::replica::Submission;
use crate::tree::{Asker, Identity, Internal, Stamp, Standing, prepare_refusal};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tracing::debug;
use zk_proto::txn::{Creation, Txn};
use zk_proto::{ErrorCode, OpCode, SessionId};
use zk_zab::{Forwarded, Message, Touch};
use zk_zab::{Input, LinkId, Time};

impl Node {
    /// A learner asks.
    pub(super) fn on_asked(&mut self, link: LinkId, message: Message, now: Time) {
        if let Message::Revalidate(touch) = message {
            self.on_revalidate(link, touch, now);
        } else if let Message::Request(forwarded) = message {
            self.on_forwarded(link, forwarded, now);
        } else {
            debug!(%link, %message, "a learner asks for nothing that a leader can give");
        }
    }

    /// The answer follows everything that is in flight: what the client asked elsewhere is to be seen where it
    /// is now (P3).
    fn on_revalidate(&mut self, link: LinkId, touch: Touch, now: Time) {
        let Touch { session, timeout } = touch;
        let owner = Owner::Learner(link);
        let valid = self
            .sessions
            .take_up_elsewhere(session, millis(timeout), owner, now);
        if self.flight.is_empty() {
            self.tell_validity(link, session, valid);
        } else {
            self.flight.push(Turn::Validated {
                link,
                session,
                valid,
            });
        }
    }

    pub(super) fn tell_validity(&mut self, link: LinkId, session: SessionId, valid: bool) {
        let message = Message::Revalidated { session, valid };
        self.membership().peers.send(link, message);
    }

    fn on_forwarded(&mut self, link: LinkId, forwarded: Forwarded, now: Time) {
        let Forwarded {
            session,
            cxid: xid,
            op,
            body,
            identities,
        } = forwarded;
        let owner = Owner::Learner(link);
        if op == OpCode::Sync {
            return self.begin_sync(SyncFor::Learner(link));
        }
        if op == OpCode::CreateSession {
            let timeout = body
                .first_chunk()
                .map_or(0, |word| i32::from_be_bytes(*word));
            self.sessions
                .open_elsewhere(session, millis(timeout), owner, now);
            let open = Internal::CreateSession { session, timeout };
            return self.propose_internal(open, Answer::Nobody, now);
        }
        if op == OpCode::CloseSession {
            self.sessions.closing(session);
            let close = Internal::CloseSession { session, xid };
            return self.propose_internal(close, Answer::Nobody, now);
        }
        let identities: Arc<[Identity]> = identities
            .unwrap_or_default()
            .into_iter()
            .map(|one| Identity::new(one.scheme, one.id))
            .collect();
        let submission = Submission {
            is_read: false,
            xid,
            op,
            body,
            identities,
        };
        let Some(zxid) = self.zab.next_zxid() else {
            return debug!(%link, %session, "a request comes too late: this leader is leaving");
        };
        let time = self.replica.clock().wall_millis();
        let checked = if is_write(op) {
            self.sessions.check(session, owner)
        } else {
            Err(ErrorCode::Unimplemented)
        };
        let replica = Arc::clone(&self.replica);
        let prepared = checked.and_then(|()| {
            let tree = replica.tree();
            self.prepare(&tree, session, time, &submission, now)
                .ok_or(ErrorCode::MarshallingError)
        });
        let record = prepared.unwrap_or_else(|code| {
            let asker = Asker {
                session,
                xid,
                identities: &submission.identities,
                standing: Standing::Global,
            };
            prepare_refusal(&asker, Stamp { zxid, time }, code)
        });
        self.propose(record, Answer::Nobody, now);
    }

    /// A sync is answered when a quorum has confirmed that this server still led when it came (P5), behind
    /// everything that was in flight then.
    pub(super) fn begin_sync(&mut self, who: SyncFor) {
        let ticket = self.membership().next_ticket();
        self.flight.push(Turn::Sync {
            who,
            ticket,
            confirmed: false,
        });
        self.inputs.push_back(Input::Confirm { ticket });
    }
}

/// What clients may ask a leader for, and through a learner no more than here.
const fn is_write(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Reconfig
    )
}

/// A transaction as other members may get it. Java's 3.8.0 and 3.8.1 cannot apply an opcode 15 inside of a
/// multi, and go on without the rest of it; opcode 1 has the same record, and creates the same node.
pub(super) fn for_all_members(txn: &Txn) -> Option<Txn> {
    let Txn::Multi(parts) = txn else {
        return None;
    };
    let is_create2 = |part: &Txn| {
        matches!(
            part,
            Txn::Create {
                creation: Creation::Create2 { .. },
                ..
            }
        )
    };
    if !parts.iter().any(is_create2) {
        return None;
    }
    let mut parts = parts.clone();
    for part in &mut parts {
        if let Txn::Create { creation, .. } = part
            && let Creation::Create2 { ephemeral } = *creation
        {
            *creation = Creation::Create { ephemeral };
        }
    }
    Some(Txn::Multi(parts))
}

pub(super) fn millis(timeout: i32) -> Duration {
    Duration::from_millis(u64::try_from(timeout).unwrap_or(0))
}

/// The body of a request for a session.
pub(super) fn session_body(timeout: Duration) -> Bytes {
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    Bytes::copy_from_slice(&millis.to_be_bytes())
}
