//! Who the client proves to be: when an attempt is judged, and what becomes of it.

use super::Front;
use crate::net::connection::Ended;
use crate::net::gate::Attempt;
use crate::replica::Replica;
use crate::tree::{Identity, authenticate, is_guess};
use zk_proto::{ErrorCode, OpCode, ReplyHeader, Request, Xid, Zxid, frame};
use zk_zab::Time;

impl Front {
    /// Whether an attempt that may be a guess comes too soon after others of its address. It stays in
    /// the input until its time has come; right or wrong, it waits as long.
    pub(super) fn must_wait_to_authenticate(&mut self, xid: Xid, body: &[u8], now: Time) -> bool {
        let Ok(Request::Auth { scheme, auth, .. }) = self.replica.decode(OpCode::Auth, body) else {
            return false;
        };
        if !is_guess(
            self.replica.rules(),
            scheme.as_deref().unwrap_or_default(),
            auth,
        ) {
            return false;
        }
        let limits = &self.replica.metrics().here().limits;
        match self.replica.gate().attempt(self.link.peer().ip(), now) {
            Attempt::Now => false,
            Attempt::Later(wait) => {
                limits.limit_authentication_rate.increment();
                self.held_until = Some(now + wait);
                true
            }
            Attempt::Refused => {
                limits.limit_authentication_rate.increment();
                self.put_auth_reply(xid, Some(ErrorCode::AuthFailed));
                self.closing = true;
                true
            }
        }
    }

    /// Identities belong to the connection; those who fail to prove one are shown out.
    pub(super) fn authenticate(&mut self, xid: Xid, body: &[u8], now: Time) -> Result<(), Ended> {
        let Ok(Request::Auth { scheme, auth, .. }) = self.replica.decode(OpCode::Auth, body) else {
            return Err(Ended::Undecodable);
        };
        let (scheme, rules) = (scheme.as_deref().unwrap_or_default(), self.replica.rules());
        let proved = authenticate(rules, scheme, auth);
        let superuser = Identity::superuser();
        if is_guess(rules, scheme, auth)
            && !proved
                .as_ref()
                .is_ok_and(|proved| proved.contains(&superuser))
        {
            let ip = self.link.peer().ip();
            self.replica.gate().attempt_failed(ip, now);
        }
        let refused = if proved.is_ok_and(|proved| self.link.add_identities(proved)) {
            self.identities = self.link.identities();
            self.unproved = is_unproved(&self.replica, &self.identities);
            None
        } else {
            self.replica.metrics().here().server.auth_failed.increment();
            self.closing = true;
            Some(ErrorCode::AuthFailed)
        };
        self.put_auth_reply(xid, refused);
        Ok(())
    }

    fn put_auth_reply(&mut self, xid: Xid, refused: Option<ErrorCode>) {
        frame::put_frame(&mut self.output, |out| {
            ReplyHeader {
                xid,
                zxid: Zxid::ZERO,
                err: refused.map_or(0, ErrorCode::to_wire),
            }
            .encode(out);
        });
    }
}

/// Whether schemes are enforced and none of these identities is of one of them.
pub(super) fn is_unproved(replica: &Replica, identities: &[Identity]) -> bool {
    let enforced = replica.config().security.enforced_schemes.as_ref();
    enforced.is_some_and(|schemes| {
        !identities
            .iter()
            .any(|identity| schemes.contains(&identity.scheme))
    })
}
