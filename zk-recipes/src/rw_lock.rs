//! A lock for many readers or one writer, first come first served.

use crate::contenders::{self, Participant};
use crate::contest::{Contest, nearest, nearest_writer};
use crate::error::Error;
use crate::guard::Guard;
use crate::naming::{Mark, Naming, Rules};
use crate::presence::OnSuspension;
use std::ops::Deref;
use std::time::Duration;
use zk_client::Client;

/// A lock for many readers or one writer; shares a directory with Curator's `InterProcessReadWriteLock`, or, by
/// [`Naming::Kazoo`], with kazoo's `ReadLock` and `WriteLock`.
///
/// | | |
/// |---|---|
/// | guarantee | a writer is alone, readers are without writers, in the servers' view; fair: nobody overtakes, and a reader behind a waiting writer waits; tokens as [`Guard`] says |
/// | suspension, session's end, cancellation | as for [`Mutex`](crate::Mutex) |
/// | cost | as for [`Mutex`](crate::Mutex). A writer waits for the nearest before it, a reader for the nearest *writer* before it: a writer's release wakes the readers behind it up to the next writer, each once; a reader's wakes at most one |
/// | layout | `<directory>/_c_<uuid>-__READ__N` and `-__WRIT__N` (ephemeral, sequential); what is downgraded has its writer's number |
///
/// There is no way from reading to writing: two who tried would wait for each other.
#[derive(Clone, Debug)]
pub struct RwLock {
    contest: Contest,
}

/// What a lock is to be like; from [`RwLock::builder`].
#[must_use = "a builder makes nothing until it is told"]
#[derive(Clone, Debug)]
pub struct RwLockBuilder {
    contest: Contest,
}

impl RwLockBuilder {
    /// Whose names are used, and so with whom it contends. Curator's unless told.
    pub const fn naming(mut self, naming: Naming) -> Self {
        self.contest.rules.naming = naming;
        self
    }

    /// What others see of a holder or waiter of this lock. Nothing unless told.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.contest.data = id.into().into_bytes();
        self
    }

    /// When the lock counts as lost while no server answers.
    pub const fn on_suspension(mut self, policy: OnSuspension) -> Self {
        self.contest.policy = policy;
        self
    }

    /// The lock. Nothing is asked of the servers yet.
    pub fn build(self) -> RwLock {
        RwLock {
            contest: self.contest,
        }
    }
}

impl RwLock {
    /// The lock of a directory, with Curator's names.
    pub fn new(client: &Client, directory: impl Into<String>) -> Self {
        Self::builder(client, directory).build()
    }

    /// Describes a lock.
    pub fn builder(client: &Client, directory: impl Into<String>) -> RwLockBuilder {
        let rules = Rules {
            naming: Naming::default(),
            marks: &[Mark::Read, Mark::Write],
        };
        RwLockBuilder {
            contest: Contest::new(client, directory.into(), rules),
        }
    }

    /// Waits until every writer that came before is gone.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`](crate::Mutex::lock).
    ///
    /// # Cancellation
    ///
    /// The place in the queue is given up.
    pub async fn read(&self) -> Result<Guard, Error> {
        let presence = self.contest.win(Mark::Read, nearest_writer).await?;
        Ok(Guard::new(presence))
    }

    /// Waits until everybody who came before is gone.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`](crate::Mutex::lock).
    ///
    /// # Cancellation
    ///
    /// The place in the queue is given up.
    pub async fn write(&self) -> Result<WriteGuard, Error> {
        let presence = self.contest.win(Mark::Write, nearest).await?;
        Ok(self.write_guard(Guard::new(presence)))
    }

    /// Reads if no writer is there.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`](crate::Mutex::lock).
    ///
    /// # Cancellation
    ///
    /// As [`read`](Self::read).
    pub async fn try_read(&self) -> Result<Option<Guard>, Error> {
        let won = self.contest.win_at_once(Mark::Read, nearest_writer).await?;
        Ok(won.map(Guard::new))
    }

    /// Writes if nobody else is there.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`](crate::Mutex::lock).
    ///
    /// # Cancellation
    ///
    /// As [`write`](Self::write).
    pub async fn try_write(&self) -> Result<Option<WriteGuard>, Error> {
        let won = self.contest.win_at_once(Mark::Write, nearest).await?;
        Ok(won.map(|presence| self.write_guard(Guard::new(presence))))
    }

    /// As [`read`](Self::read), but not for longer than this; `None` after that.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancellation
    ///
    /// As [`read`](Self::read).
    pub async fn read_timeout(&self, patience: Duration) -> Result<Option<Guard>, Error> {
        let read = tokio::time::timeout(patience, self.read()).await;
        read.map_or(Ok(None), |read| read.map(Some))
    }

    /// As [`write`](Self::write), but not for longer than this; `None` after that.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancellation
    ///
    /// As [`write`](Self::write).
    pub async fn write_timeout(&self, patience: Duration) -> Result<Option<WriteGuard>, Error> {
        let written = tokio::time::timeout(patience, self.write()).await;
        written.map_or(Ok(None), |written| written.map(Some))
    }

    /// Who holds and waits, in the order they came.
    ///
    /// # Errors
    ///
    /// As [`Mutex::contenders`](crate::Mutex::contenders).
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn contenders(&self) -> Result<Vec<Participant>, Error> {
        contenders::read(&self.contest).await
    }

    fn write_guard(&self, guard: Guard) -> WriteGuard {
        WriteGuard {
            guard,
            contest: self.contest.clone(),
        }
    }
}

/// A writer's [`Guard`], which may become a reader's.
#[must_use = "what is not kept is let go at once"]
#[derive(Debug)]
pub struct WriteGuard {
    guard: Guard,
    contest: Contest,
}

impl WriteGuard {
    /// Goes on as a reader, without letting a writer in between. Readers that wait behind come in. The token is a new
    /// one. Costs 2 requests (create, delete) and the reader's own watch.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`](crate::Mutex::lock), and [`Error::Lost`]. Then nothing is held any more.
    ///
    /// # Cancellation
    ///
    /// Both are let go.
    pub async fn downgrade(self) -> Result<Guard, Error> {
        let writer = self.guard.presence();
        let number = writer.name().rsplit("__").next().unwrap_or_default();
        let mark = Mark::Read.text(self.contest.rules.naming);
        // The writer's own number, so that whoever came behind the writer comes behind the reader too.
        let reader = self.contest.stand(&format!("{mark}{number}")).await?;
        let together = writer.is_of_this_session();
        reader.hold();
        let reader = Guard::new(reader);
        self.guard.release().await?;
        if together {
            Ok(reader)
        } else {
            Err(Error::Lost(crate::Loss::SessionEnded))
        }
    }

    /// The guard alone, for whoever does not care how it is held.
    pub fn into_guard(self) -> Guard {
        self.guard
    }

    /// As [`Guard::run`].
    ///
    /// # Errors
    ///
    /// As [`Guard::run`].
    ///
    /// # Cancellation
    ///
    /// As [`Guard::run`].
    pub async fn run<T>(self, work: impl Future<Output = T>) -> Result<T, Error> {
        self.guard.run(work).await
    }

    /// As [`Guard::release`].
    ///
    /// # Errors
    ///
    /// As [`Guard::release`].
    ///
    /// # Cancellation
    ///
    /// As [`Guard::release`].
    pub async fn release(self) -> Result<(), Error> {
        self.guard.release().await
    }
}

impl Deref for WriteGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}
