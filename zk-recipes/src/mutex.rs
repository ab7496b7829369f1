//! A lock: one holder at a time, first come first served.

use crate::contenders::{self, Participant};
use crate::contest::{Contest, nearest};
use crate::error::Error;
use crate::guard::Guard;
use crate::keeper::REVOKE;
use crate::naming::{Mark, Naming, Rules};
use crate::presence::OnSuspension;
use std::time::Duration;
use zk_client::{Client, ErrorCode};

/// A lock in a directory of its own; shares it with Curator's `InterProcessMutex` and go-zk's `Lock`, or, by
/// [`Naming::Kazoo`], with kazoo's `Lock`.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_client::testkit::TestServer::start().await?;
/// # let client = zk_client::Client::connect(server.address().to_string()).await?;
/// use zk_recipes::Mutex;
///
/// let mutex = Mutex::new(&client, "/stock/lock");
/// let guard = mutex.lock().await?;
/// guard.fenced().create("/stock/left", "41").commit().await?; // refused if the lock is lost
/// guard.release().await?;
///
/// let sold = mutex.lock().await?.run(async { 1 }).await?; // stopped if the lock is lost
/// # assert_eq!(sold, 1);
/// # Ok(()) }
/// ```
///
/// | | |
/// |---|---|
/// | guarantee | exclusive in the servers' view, fair, tokens strictly increase; see [`Guard`] |
/// | suspension | a holder is told by [`OnSuspension`]; a waiter waits on |
/// | session's end | a holder has lost; a waiter goes to the end of the queue, in the client's next session if it opens one, else fails |
/// | cancellation | every future may be dropped at any await; its node is deleted in the background |
/// | cost, alone | 4 requests: create and list (together), get of the own node (nobody waits for it), delete; 1 watch. While held, a `sync` in every third of the session timeout |
/// | cost, waiting | 2 requests more: get of the one before, list when it has gone; 1 watch, 1 event per release; a `sync` at its turn if it has waited for long |
/// | layout | `<directory>/_c_<uuid>-lock-N` (ephemeral, sequential), data as [`MutexBuilder::id`]; the directory is a container where the server has them |
#[derive(Clone, Debug)]
pub struct Mutex {
    contest: Contest,
}

/// What a lock is to be like; from [`Mutex::builder`].
#[must_use = "a builder makes nothing until it is told"]
#[derive(Clone, Debug)]
pub struct MutexBuilder {
    contest: Contest,
}

impl MutexBuilder {
    /// Whose names are used, and so with whom it contends. Curator's unless told.
    pub const fn naming(mut self, naming: Naming) -> Self {
        self.contest.rules.naming = naming;
        self
    }

    /// What others see of a holder or waiter of this lock: text, such as a host's name. Nothing unless told.
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
    pub fn build(self) -> Mutex {
        Mutex {
            contest: self.contest,
        }
    }
}

impl Mutex {
    /// The lock of a directory, with Curator's names.
    pub fn new(client: &Client, directory: impl Into<String>) -> Self {
        Self::builder(client, directory).build()
    }

    /// Describes a lock.
    pub fn builder(client: &Client, directory: impl Into<String>) -> MutexBuilder {
        let rules = Rules {
            naming: Naming::default(),
            marks: &[Mark::Lock],
        };
        MutexBuilder {
            contest: Contest::new(client, directory.into(), rules),
        }
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.contest.client
    }

    /// The directory.
    pub fn directory(&self) -> &str {
        &self.contest.directory
    }

    /// Waits for the lock.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignContenders`], or a refusal of the servers, or the client's end. A lost connection is none.
    ///
    /// # Cancellation
    ///
    /// The place in the queue is given up.
    pub async fn lock(&self) -> Result<Guard, Error> {
        let presence = self.contest.win(Mark::Lock, nearest).await?;
        Ok(Guard::new(presence))
    }

    /// Takes the lock if nobody has it or waits for it. While there is no connection it waits for one.
    ///
    /// Costs one request (list) if it is taken; else 5 more, as [`lock`](Self::lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Cancellation
    ///
    /// As [`lock`](Self::lock).
    pub async fn try_lock(&self) -> Result<Option<Guard>, Error> {
        let presence = self.contest.win_at_once(Mark::Lock, nearest).await?;
        Ok(presence.map(Guard::new))
    }

    /// Waits for the lock, but not for longer than this; `None` after that.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Cancellation
    ///
    /// As [`lock`](Self::lock); so too at the end of the time, without waiting for anything.
    pub async fn lock_timeout(&self, patience: Duration) -> Result<Option<Guard>, Error> {
        match tokio::time::timeout(patience, self.lock()).await {
            Ok(locked) => locked.map(Some),
            Err(_late) => Ok(None),
        }
    }

    /// The holder, if there is one, and behind it who waits, in their order.
    ///
    /// Costs 2 requests (list, and a read of all at once).
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn contenders(&self) -> Result<Vec<Participant>, Error> {
        contenders::read(&self.contest).await
    }

    /// Asks one of them to let go, as Curator's `Revoker` does. Whether it does is its own choice; see
    /// [`Guard::revoke_requested`]. False if it is gone already.
    ///
    /// # Errors
    ///
    /// The servers' refusal, or a lost connection; then the wish may have arrived.
    ///
    /// # Cancellation
    ///
    /// The wish may arrive.
    pub async fn revoke(&self, contender: &Participant) -> Result<bool, Error> {
        match self.contest.client.set(contender.path(), REVOKE).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
