//! What a holder has in its hands: an owned value that may move between tasks and threads, knows its token, tells of
//! its loss, and lets go when it is dropped.

use crate::error::{Error, Loss};
use crate::fenced::Fenced;
use crate::presence::{Presence, lost, revoked};
use crate::token::Token;
use std::sync::Arc;
use zk_client::clock::Time;

/// Something that is held: a lock, one half of a read/write lock, a leadership.
///
/// # Guarantee
///
/// At most one holder (or as many as the recipe says) in the view of the servers, and in the view of the holders up to
/// [`valid_until`](Self::valid_until). A process that was paused may believe that it holds when it does not: what it
/// writes then is kept out by [`fenced`](Self::fenced), or by a resource that compares [`token`](Self::token)s (P18).
///
/// # Letting go
///
/// [`release`](Self::release) waits until the node is gone. Dropping does the same in the background, across
/// reconnects; until then nobody else is granted what was held.
#[must_use = "what is not kept is let go at once"]
#[derive(Debug)]
pub struct Guard {
    presence: Arc<Presence>,
}

impl Guard {
    pub(crate) fn new(presence: Presence) -> Self {
        Self {
            presence: Arc::new(presence),
        }
    }

    pub(crate) fn presence(&self) -> &Presence {
        &self.presence
    }

    /// The number by which a resource tells this holder from those before it: larger than any of theirs.
    pub fn token(&self) -> Token {
        self.presence.token()
    }

    /// The holder's node.
    pub fn path(&self) -> &str {
        self.presence.path()
    }

    /// Until when it is certainly held, by [`Client::clock`](zk_client::Client::clock); `None` if it is lost, or that
    /// was never certain. Moves on while it is held and the servers answer.
    pub fn valid_until(&self) -> Option<Time> {
        self.presence.valid_until()
    }

    /// Whether it is certainly held at this moment.
    pub fn is_valid(&self) -> bool {
        let now = self.presence.client().clock().now();
        self.valid_until().is_some_and(|until| now < until)
    }

    /// Waits until it is lost, and says why. Never silently acquired again.
    ///
    /// # Cancellation
    ///
    /// Safe: asked again, it answers the same.
    pub async fn lost(&self) -> Loss {
        lost(self.presence.fate()).await
    }

    /// A signal of the loss that outlives borrows, for other tasks. After a release it says [`Loss::Released`].
    pub fn loss_signal(&self) -> LossSignal {
        LossSignal {
            fate: self.presence.fate(),
        }
    }

    /// Waits until somebody asks the holder to let go (`__REVOKE__`, as Curator's `Revoker` writes it, or `unlock`).
    /// What to do about it is the holder's choice.
    ///
    /// # Cancellation
    ///
    /// Safe: asked again, it answers the same.
    pub async fn revoke_requested(&self) {
        revoked(self.presence.fate()).await;
    }

    /// Writes that take effect only while this is held.
    pub fn fenced(&self) -> Fenced<'_> {
        Fenced::new(self.presence.client(), std::iter::once(&*self.presence))
    }

    /// Another handle to the same hold, for code below that asks for the same lock: this is how a lock is re-entered,
    /// since tasks have no identity by which a lock could know them. Let go with the last handle.
    pub fn reenter(&self) -> Self {
        Self {
            presence: Arc::clone(&self.presence),
        }
    }

    /// Runs some work while this is held, then lets go. If it is lost, the work is dropped where it stands, at its
    /// next await.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the work was stopped.
    ///
    /// # Cancellation
    ///
    /// The work is dropped, then the hold let go.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> Result<T, Error> {
        let done = tokio::select! {
            biased;
            loss = self.lost() => Err(Error::Lost(loss)),
            done = work => Ok(done),
        };
        // Done is done; whether the hold was lost just behind it changes nothing.
        let _after = self.release().await;
        done
    }

    /// Lets go, and waits until that is done or the session over. With other handles left, it only gives this one up.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if it was lost before, so that the work under it may not have been alone to its end.
    ///
    /// # Cancellation
    ///
    /// It is let go in the background.
    pub async fn release(self) -> Result<(), Error> {
        match Arc::into_inner(self.presence) {
            Some(presence) => presence.release().await,
            None => Ok(()),
        }
    }
}

/// Tells of the loss of a hold, from [`Guard::loss_signal`].
#[derive(Clone, Debug)]
pub struct LossSignal {
    fate: tokio::sync::watch::Receiver<crate::presence::Fate>,
}

impl LossSignal {
    /// Why it is held no more; `None` while it is.
    pub fn loss(&self) -> Option<Loss> {
        self.fate.borrow().loss
    }

    /// Waits until it is held no more.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn lost(&self) -> Loss {
        lost(self.fate.clone()).await
    }
}
