//! Several holds as one: the permits of a semaphore, the locks of a multi-lock.

use crate::error::{Error, Loss};
use crate::fenced::Fenced;
use crate::guard::Guard;
use crate::token::Token;
use std::pin::Pin;
use std::task::Poll;
use zk_client::Client;
use zk_client::clock::Time;

/// Holds that were taken together and are let go together; lost with the first of them.
#[must_use = "what is not kept is let go at once"]
#[derive(Debug)]
pub struct Guards {
    client: Client,
    guards: Vec<Guard>,
}

impl Guards {
    pub(crate) const fn new(client: Client, guards: Vec<Guard>) -> Self {
        Self { client, guards }
    }

    /// Each by itself, in the order they were taken.
    pub fn each(&self) -> &[Guard] {
        &self.guards
    }

    /// The largest of their tokens. Of several locks, a resource rather compares the token of the one that guards it.
    pub fn token(&self) -> Option<Token> {
        self.guards.iter().map(Guard::token).max()
    }

    /// Until when all are certainly held.
    pub fn valid_until(&self) -> Option<Time> {
        let each = self.guards.iter().map(Guard::valid_until);
        each.min().flatten()
    }

    /// Whether all are certainly held at this moment.
    pub fn is_valid(&self) -> bool {
        self.guards.iter().all(Guard::is_valid)
    }

    /// Waits until any of them is lost.
    ///
    /// # Cancellation
    ///
    /// Safe: asked again, it answers the same.
    pub async fn lost(&self) -> Loss {
        first_lost(&self.guards).await
    }

    /// Writes that take effect only while all of them are held.
    pub fn fenced(&self) -> Fenced<'_> {
        let holders = self.guards.iter().map(Guard::presence);
        Fenced::new(&self.client, holders)
    }

    /// Runs some work while all are held; as [`Guard::run`].
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the work was stopped.
    ///
    /// # Cancellation
    ///
    /// The work is dropped, then the holds let go.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> Result<T, Error> {
        let done = tokio::select! {
            biased;
            loss = self.lost() => Err(Error::Lost(loss)),
            done = work => Ok(done),
        };
        let _after = self.release().await;
        done
    }

    /// Lets go of all, the last first.
    ///
    /// # Errors
    ///
    /// The first failure, as [`Guard::release`] tells it; the others are let go all the same.
    ///
    /// # Cancellation
    ///
    /// They are let go in the background.
    pub async fn release(self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for guard in self.guards.into_iter().rev() {
            outcome = outcome.and(guard.release().await);
        }
        outcome
    }
}

/// Waits until any of some guards is lost; for ever if there are none.
pub(crate) async fn first_lost(guards: &[Guard]) -> Loss {
    let mut losses: Vec<Pin<Box<_>>> = guards.iter().map(|guard| Box::pin(guard.lost())).collect();
    std::future::poll_fn(|cx| {
        let lost = losses
            .iter_mut()
            .find_map(|loss| match loss.as_mut().poll(cx) {
                Poll::Ready(loss) => Some(loss),
                Poll::Pending => None,
            });
        lost.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
