//! Several locks as one: all or none.

use crate::error::Error;
use crate::guard::Guard;
use crate::guards::{Guards, first_lost};
use crate::mutex::Mutex;
use std::time::Duration;

/// Several [`Mutex`]es taken together, always in the order of their paths, so that two who want the same ones do not
/// wait for each other.
///
/// | | |
/// |---|---|
/// | guarantee | all or none; no deadlock among multi-locks; each lock's own guarantees |
/// | suspension | as for [`Mutex`]; whoever waits for the next lock hears of the loss of an earlier one |
/// | session's end | the locks that were taken are lost, and [`lock`](Self::lock) fails with it |
/// | cancellation | what was taken is let go in the background |
/// | cost | that of each lock, one after the other |
/// | layout | that of each lock; contends with whoever takes any of them |
///
/// All of them are of one session: of clients that share one.
#[derive(Clone, Debug)]
pub struct MultiLock {
    locks: Vec<Mutex>,
}

impl MultiLock {
    /// These locks, in the order of their paths, each once.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if there are none, or a fenced write could not name them all, since they are seen from
    /// different roots.
    pub fn new(locks: impl IntoIterator<Item = Mutex>) -> Result<Self, Error> {
        let mut locks: Vec<_> = locks.into_iter().collect();
        locks.sort_by(|one, other| one.directory().cmp(other.directory()));
        locks.dedup_by(|one, other| one.directory() == other.directory());
        let Some(first) = locks.first() else {
            return Err(Error::Usage("a multi-lock is of at least one lock"));
        };
        let view = |lock: &Mutex| {
            (
                lock.client().root_path().to_owned(),
                lock.client().session_id(),
            )
        };
        let together = locks.iter().all(|lock| view(lock) == view(first));
        if !together {
            return Err(Error::Usage(
                "the locks of a multi-lock are of one view of one session",
            ));
        }
        Ok(Self { locks })
    }

    /// Waits for all of them.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`], and [`Error::Lost`] if one was lost while another was waited for. None is held then.
    ///
    /// # Cancellation
    ///
    /// All are let go.
    pub async fn lock(&self) -> Result<Guards, Error> {
        let mut held = Vec::with_capacity(self.locks.len());
        for lock in &self.locks {
            let next = tokio::select! {
                biased;
                loss = first_lost(&held) => return Err(Error::Lost(loss)),
                next = lock.lock() => next?,
            };
            held.push(next);
        }
        Ok(self.together(held))
    }

    /// Takes all of them if nobody has or waits for any.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`].
    ///
    /// # Cancellation
    ///
    /// All are let go.
    pub async fn try_lock(&self) -> Result<Option<Guards>, Error> {
        let mut held = Vec::with_capacity(self.locks.len());
        for lock in &self.locks {
            match lock.try_lock().await? {
                Some(next) => held.push(next),
                None => return Ok(None),
            }
        }
        Ok(Some(self.together(held)))
    }

    /// Waits for all of them, but not for longer than this altogether; `None` after that.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Cancellation
    ///
    /// All are let go.
    pub async fn lock_timeout(&self, patience: Duration) -> Result<Option<Guards>, Error> {
        let locked = tokio::time::timeout(patience, self.lock()).await;
        locked.map_or(Ok(None), |locked| locked.map(Some))
    }

    fn together(&self, held: Vec<Guard>) -> Guards {
        let client = self.locks.iter().map(Mutex::client).next();
        let client = client.or_else(|| held.iter().map(|it| it.presence().client()).next());
        match client {
            Some(client) => Guards::new(client.clone(), held),
            None => unreachable!("a multi-lock is of at least one lock"),
        }
    }
}
