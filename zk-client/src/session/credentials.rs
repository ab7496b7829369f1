//! Identities that are proved again on every connection, before anything else is asked (client protocol, 9).

use super::call::{frame_of, seal};
use std::collections::VecDeque;
use std::fmt;
use zk_proto::{Request, Xid};

/// A scheme and its secret, as the frame that carries it.
struct Credential<C> {
    frame: Vec<u8>,
    /// Who waits to hear whether it was accepted.
    waiting: Option<C>,
    /// A server has accepted it once.
    accepted: bool,
}

/// All credentials, in the order in which they were added.
pub(crate) struct Credentials<C> {
    known: Vec<Credential<C>>,
    /// Which of them the server has not judged yet; its verdicts come in order.
    unjudged: VecDeque<usize>,
}

impl<C> Default for Credentials<C> {
    fn default() -> Self {
        Self {
            known: Vec::new(),
            unjudged: VecDeque::new(),
        }
    }
}

/// What a verdict on a credential means.
pub(crate) enum Judged<C> {
    /// It stands.
    Accepted(Option<C>),
    /// It was new, and is forgotten: the caller is told.
    Refused(Option<C>),
    /// It stood before: the session cannot go on as who it was.
    Revoked,
    /// Nothing was asked.
    Unasked,
}

impl<C> Credentials<C> {
    /// Takes a credential; if `live`, its frame is to be written now.
    pub(crate) fn add(&mut self, scheme: &str, auth: &[u8], waiting: Option<C>) {
        let mut frame = frame_of(&Request::Auth {
            kind: 0,
            scheme: Some(scheme.into()),
            auth: Some(auth),
        });
        if let Some(word) = frame.get_mut(4..8) {
            word.copy_from_slice(&Xid::AUTH.0.to_be_bytes());
        }
        seal(&mut frame);
        self.known.push(Credential {
            frame,
            waiting,
            accepted: false,
        });
    }

    /// The frame of the newest one, which a live connection has to hear of.
    pub(crate) fn present_newest(&mut self, urgent: &mut VecDeque<Vec<u8>>) {
        if let Some(credential) = self.known.last() {
            urgent.push_back(credential.frame.clone());
            self.unjudged.push_back(self.known.len() - 1);
        }
    }

    /// All frames, for a new connection.
    pub(crate) fn replay(&mut self, urgent: &mut VecDeque<Vec<u8>>) {
        self.unjudged = (0..self.known.len()).collect();
        urgent.extend(self.known.iter().map(|known| known.frame.clone()));
    }

    pub(crate) fn on_verdict(&mut self, refused: bool) -> Judged<C> {
        let Some(index) = self.unjudged.pop_front() else {
            return Judged::Unasked;
        };
        let Some(credential) = self.known.get_mut(index) else {
            return Judged::Unasked;
        };
        if !refused {
            credential.accepted = true;
            return Judged::Accepted(credential.waiting.take());
        }
        if credential.accepted {
            return Judged::Revoked;
        }
        let mut refused = self.known.remove(index);
        // The connection ends now, and with it whatever else was being judged.
        self.unjudged.clear();
        Judged::Refused(refused.waiting.take())
    }

    /// Whoever still waits for a verdict.
    pub(crate) fn take_waiting(&mut self) -> impl Iterator<Item = C> + '_ {
        self.known
            .iter_mut()
            .filter_map(|known| known.waiting.take())
    }

    /// Forgets what was never accepted and whose caller is gone.
    pub(crate) fn on_lost(&mut self) {
        self.unjudged.clear();
    }
}

impl<C> fmt::Debug for Credentials<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("known", &self.known.len())
            .field("unjudged", &self.unjudged.len())
            .finish()
    }
}

impl<C> Drop for Credential<C> {
    /// Secrets do not outlive their use in memory that is handed out again.
    fn drop(&mut self) {
        self.frame.fill(0);
        std::hint::black_box(&self.frame);
    }
}
