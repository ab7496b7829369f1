//! A number of places: at most so many holders at a time, first come first served.

use crate::contenders::{self, Participant};
use crate::contest::{Contest, nearest};
use crate::error::{Error, may_try_again};
use crate::guard::Guard;
use crate::guards::Guards;
use crate::keeper::PAUSE;
use crate::naming::{Mark, Naming, Rules};
use crate::patience::{found, repeat};
use crate::presence::{OnSuspension, Presence};
use std::time::Duration;
use zk_client::{Client, ErrorCode, Once};

/// How many places there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many; everybody who uses the semaphore has to say the same.
    Fixed(u32),
    /// As many as this node says: four bytes, big-endian, as Curator's `SharedCount` has them. It may change at any
    /// time; none while the node is missing. A smaller number takes no place away from who has one.
    Shared(String),
}

/// A semaphore; shares its directory with Curator's `InterProcessSemaphoreV2`, and, with a limit of one, with its
/// `InterProcessSemaphoreMutex`, or, by [`Naming::Kazoo`], with kazoo's `Semaphore`.
///
/// | | |
/// |---|---|
/// | guarantee | at most as many places are held as the limit says, in the servers' view; fair: who asks for many is not overtaken by who asks for few |
/// | suspension, session's end, cancellation | as for [`Mutex`](crate::Mutex), for each place and for the place in the queue |
/// | cost | a lock of the queue (4 requests and, if it waits, 2 more), and for each place 4: create and list (together), get of the own node, delete. The first in the queue waits with 1 watch on the list of places and looks once for each change; all others wait for the one before. With a shared limit, 1 request and 1 watch more |
/// | layout | `<directory>/locks/_c_<uuid>-lock-N`, `<directory>/leases/_c_<uuid>-lease-N` (ephemeral, sequential). By kazoo's names the queue is in `<directory>-__lock__`, places are right in the directory, and the directory's own data is the limit, for all to agree on |
#[derive(Clone, Debug)]
pub struct Semaphore {
    queue: Contest,
    places: Contest,
    limit: Limit,
}

/// What a semaphore is to be like; from [`Semaphore::builder`].
#[must_use = "a builder makes nothing until it is told"]
#[derive(Clone, Debug)]
pub struct SemaphoreBuilder {
    semaphore: Semaphore,
    directory: String,
}

impl SemaphoreBuilder {
    /// Whose layout is used, and so with whom it is shared. Curator's unless told.
    pub fn naming(mut self, naming: Naming) -> Self {
        let Semaphore { queue, places, .. } = &self.semaphore;
        let (data, policy) = (places.data.clone(), places.policy);
        let (queue, places) = contests(&queue.client, &self.directory, naming);
        self.semaphore.queue = queue;
        self.semaphore.places = Contest {
            data,
            policy,
            ..places
        };
        self
    }

    /// What others see of a holder. Nothing unless told.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.semaphore.places.data = id.into().into_bytes();
        self
    }

    /// When a place counts as lost while no server answers.
    pub const fn on_suspension(mut self, policy: OnSuspension) -> Self {
        self.semaphore.places.policy = policy;
        self
    }

    /// The semaphore. Nothing is asked of the servers yet.
    pub fn build(self) -> Semaphore {
        self.semaphore
    }
}

/// The queue and the places of a semaphore.
fn contests(client: &Client, directory: &str, naming: Naming) -> (Contest, Contest) {
    let (queue, places) = match naming {
        Naming::Curator => (format!("{directory}/locks"), format!("{directory}/leases")),
        Naming::Kazoo => (format!("{directory}-__lock__"), directory.to_owned()),
    };
    let contest = |path, marks| Contest::new(client, path, Rules { naming, marks });
    (
        contest(queue, &[Mark::Lock]),
        contest(places, &[Mark::Lease]),
    )
}

/// How a wait for a place ended.
enum Turn {
    Mine,
    Gone,
}

impl Semaphore {
    /// The semaphore of a directory.
    pub fn new(client: &Client, directory: impl Into<String>, limit: Limit) -> Self {
        Self::builder(client, directory, limit).build()
    }

    /// Describes a semaphore.
    pub fn builder(
        client: &Client,
        directory: impl Into<String>,
        limit: Limit,
    ) -> SemaphoreBuilder {
        let directory = directory.into();
        let (queue, places) = contests(client, &directory, Naming::Curator);
        SemaphoreBuilder {
            directory,
            semaphore: Self {
                queue,
                places,
                limit,
            },
        }
    }

    /// Waits for so many places, all or none.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`](crate::Mutex::lock); [`Error::Usage`] for none at all, for more than a fixed limit, and if
    /// a shared limit is no number.
    ///
    /// # Cancellation
    ///
    /// The places, and that in the queue, are given up.
    pub async fn acquire(&self, places: u32) -> Result<Guards, Error> {
        self.judge(places)?;
        self.agree().await?;
        loop {
            let turn = Guard::new(self.queue.win(Mark::Lock, nearest).await?);
            let mut taken = Vec::new();
            let mut there = 0;
            for _ in 0..places {
                let (place, listed) = self.places.enter(Mark::Lease).await?;
                there = listed.len();
                taken.push(place);
            }
            let turned = tokio::select! {
                biased;
                _ = turn.lost() => Turn::Gone,
                turned = self.turn(&taken, there) => turned?,
            };
            let ours = taken.iter().all(Presence::is_of_this_session);
            if matches!(turned, Turn::Mine) && ours {
                taken.iter().for_each(Presence::hold);
                // The next in the queue need not wait until this is told that it may.
                drop(turn);
                let guards = taken.into_iter().map(Guard::new).collect();
                return Ok(Guards::new(self.places.client.clone(), guards));
            }
        }
    }

    /// Takes so many places if they are free and nobody waits for any.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancellation
    ///
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(&self, places: u32) -> Result<Option<Guards>, Error> {
        self.judge(places)?;
        self.agree().await?;
        let (limit, _) = self.limit().await?;
        let wanted = usize::try_from(places).unwrap_or(usize::MAX);
        if self.places.list().await?.len().saturating_add(wanted) > limit {
            return Ok(None);
        }
        let Some(turn) = self.queue.win_at_once(Mark::Lock, nearest).await? else {
            return Ok(None);
        };
        let turn = Guard::new(turn);
        let mut taken = Vec::new();
        for _ in 0..places {
            let (place, listed) = self.places.enter(Mark::Lease).await?;
            taken.push(place);
            if listed.len() > limit {
                return Ok(None);
            }
        }
        if !turn.is_valid() || !taken.iter().all(Presence::is_of_this_session) {
            return Ok(None);
        }
        taken.iter().for_each(Presence::hold);
        let guards = taken.into_iter().map(Guard::new).collect();
        Ok(Some(Guards::new(self.places.client.clone(), guards)))
    }

    /// As [`acquire`](Self::acquire), but not for longer than this; `None` after that.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancellation
    ///
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_timeout(
        &self,
        places: u32,
        patience: Duration,
    ) -> Result<Option<Guards>, Error> {
        let acquired = tokio::time::timeout(patience, self.acquire(places)).await;
        acquired.map_or(Ok(None), |acquired| acquired.map(Some))
    }

    /// Who has a place; the last of them may still wait for it.
    ///
    /// # Errors
    ///
    /// As [`Mutex::contenders`](crate::Mutex::contenders).
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn holders(&self) -> Result<Vec<Participant>, Error> {
        contenders::read(&self.places).await
    }

    /// Sets the number of places that everybody uses.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if the limit is a fixed one; the servers' refusal, or a lost connection.
    ///
    /// # Cancellation
    ///
    /// The new limit may take effect.
    pub async fn set_limit(&self, places: u32) -> Result<(), Error> {
        let Limit::Shared(path) = &self.limit else {
            return Err(Error::Usage("a fixed limit is not to be set"));
        };
        let client = &self.places.client;
        match client.set(path, places.to_be_bytes()).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
            Err(error) => return Err(error.into()),
        }
        match client.create(path, places.to_be_bytes()).parents().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => {
                client.set(path, places.to_be_bytes()).await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn judge(&self, places: u32) -> Result<(), Error> {
        match self.limit {
            _ if places == 0 => Err(Error::Usage("no place is no hold")),
            Limit::Fixed(limit) if places > limit => {
                Err(Error::Usage("more places than there are"))
            }
            Limit::Fixed(_) | Limit::Shared(_) => Ok(()),
        }
    }

    /// Agrees on a fixed limit with whoever uses kazoo's: who comes first writes it down. Data that are no number are
    /// somebody else's business there, and here.
    async fn agree(&self) -> Result<(), Error> {
        let Limit::Fixed(limit) = &self.limit else {
            return Ok(());
        };
        if self.places.rules.naming != Naming::Kazoo {
            return Ok(());
        }
        let (client, directory) = (&self.places.client, &self.places.directory);
        let text = limit.to_string();
        let create = || client.create(directory, &text).parents().timeout(None);
        match repeat(client, create).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => {}
            Err(error) => return Err(error.into()),
        }
        let get = || client.get(directory).timeout(None);
        let known = found(repeat(client, get).await)?.map(|(data, _)| data);
        let known: Option<u32> =
            known.and_then(|data| std::str::from_utf8(&data).ok()?.parse().ok());
        match known {
            Some(known) if known != *limit => Err(Error::Usage("others have another limit")),
            Some(_) | None => Ok(()),
        }
    }

    /// Waits until no more places are taken than there are, ours among them. All children count, as Curator's
    /// semaphore counts them.
    async fn turn(&self, taken: &[Presence], mut there: usize) -> Result<Turn, Error> {
        loop {
            let (limit, limit_changed) = self.limit().await?;
            if there <= limit {
                return Ok(Turn::Mine);
            }
            let list = self.places.client.children(&self.places.directory);
            let (names, list_changed) = match list.timeout(None).watch().await {
                Ok(listed) => listed,
                Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(Turn::Gone),
                Err(error) if may_try_again(&self.places.client, &error) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if !taken
                .iter()
                .all(|place| names.iter().any(|name| name == place.name()))
            {
                return Ok(Turn::Gone);
            }
            there = names.len();
            if there > limit {
                // The end of the session fires both; the queue's guard tells of it.
                tokio::select! {
                    _ = list_changed.changed() => there = self.places.list().await?.len(),
                    () = changed(limit_changed) => {}
                }
            }
        }
    }

    /// The number of places now, and what fires when a shared one changes.
    async fn limit(&self) -> Result<(usize, Option<Once>), Error> {
        let path = match &self.limit {
            Limit::Fixed(limit) => {
                return Ok((usize::try_from(*limit).unwrap_or(usize::MAX), None));
            }
            Limit::Shared(path) => path,
        };
        let client = &self.places.client;
        loop {
            let read = match client.get(path).timeout(None).watch().await {
                Ok(((data, _), changed)) => {
                    let number = <[u8; 4]>::try_from(&data[..]).map(i32::from_be_bytes);
                    let number = number.ok().and_then(|number| usize::try_from(number).ok());
                    let number = number.ok_or(Error::Usage("the shared limit is no number"))?;
                    return Ok((number, Some(changed)));
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    client.exists(path).timeout(None).watch().await
                }
                Err(error) => Err(error),
            };
            match read {
                Ok((None, created)) => return Ok((0, Some(created))),
                Ok((Some(_), _)) => {}
                Err(error) if may_try_again(client, &error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

async fn changed(once: Option<Once>) {
    match once {
        Some(once) => drop(once.changed().await),
        None => std::future::pending().await,
    }
}
