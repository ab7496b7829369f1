//! Entries that somebody works on: claimed by an ephemeral node of the entry's name, gone only when the work is done.

use super::{Queue, Read, passed_over};
use crate::error::{Error, Loss, may_try_again};
use crate::guard::Guard;
use crate::keeper::PAUSE;
use crate::operation;
use crate::patience::found;
use crate::presence::{OnSuspension, Presence};
use std::hash::{BuildHasher, RandomState};
use tokio::sync::oneshot;
use tracing::warn;
use zk_client::{Client, ErrorCode, Outcome, Version, Zxid};

/// An entry that is ours to work on; from [`Queue::claim`]. Dropping it gives it back, in the background.
#[must_use = "what is not kept goes to the next"]
#[derive(Debug)]
pub struct Claimed {
    queue: Queue,
    name: String,
    items: Vec<Vec<u8>>,
    raw: Vec<u8>,
    /// Which entry of this name, and at which version.
    made: Zxid,
    version: Version,
    claim: Guard,
}

impl Queue {
    /// Claims the first entry that is due and that nobody has claimed; waits for one if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if nobody has said where [claims](Self::claims_at) are; the servers' refusal, or the client's
    /// end. A lost connection is none.
    ///
    /// # Cancellation
    ///
    /// What was claimed is given back in the background.
    pub async fn claim(&self) -> Result<Claimed, Error> {
        loop {
            if let Some(claimed) = self.try_claim().await? {
                return Ok(claimed);
            }
            self.more().await?;
        }
    }

    /// As [`claim`](Self::claim), but does not wait.
    ///
    /// # Errors
    ///
    /// As [`claim`](Self::claim).
    ///
    /// # Cancellation
    ///
    /// As [`claim`](Self::claim).
    pub async fn try_claim(&self) -> Result<Option<Claimed>, Error> {
        let claims = self.claims()?;
        let mut unreadable = None;
        for named in self.free().await? {
            if self.is_early(&named) {
                break;
            }
            let path = format!("{claims}/{}", named.name);
            let Some(claim) = stand(&self.client, path).await? else {
                continue;
            };
            claim.hold();
            let claim = Guard::new(claim);
            match self.deliver(named.name, claim).await {
                Ok(Some(claimed)) => return Ok(Some(claimed)),
                Ok(None) => {}
                Err(error) => unreadable = Some(passed_over(error)?),
            }
        }
        unreadable.map_or(Ok(None), Err)
    }

    fn claims(&self) -> Result<&str, Error> {
        let claims = self.claims.as_deref();
        claims.ok_or(Error::Usage("the queue does not know where claims are"))
    }

    /// Reads what was claimed, and counts the delivery; `None` if it is gone or was put aside.
    async fn deliver(&self, name: String, claim: Guard) -> Result<Option<Claimed>, Error> {
        // What a count that was not answered would have made of the version: nobody else counts meanwhile.
        let mut counted = None;
        loop {
            let Some(Read { items, raw, stat }) = self.read(&name).await? else {
                return Ok(None);
            };
            let mut version = stat.version;
            if let Some(most) = self.max_deliveries
                && counted != Some(version)
            {
                if u32::try_from(version.0).is_ok_and(|delivered| delivered >= most) {
                    warn!(
                        name,
                        most, "an entry that was delivered too often is put aside"
                    );
                    self.put_aside(&name, &raw, &stat).await?;
                    return Ok(None);
                }
                let count = self.client.set(self.entry(&name), &raw).version(version);
                match count.timeout(None).await {
                    Ok(stat) => version = stat.version,
                    Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(None),
                    Err(error) if error.code() == Some(ErrorCode::BadVersion) => continue,
                    Err(error) if may_try_again(&self.client, &error) => {
                        let unknown = error.outcome() == Outcome::Unknown;
                        counted = unknown.then_some(Version(version.0.wrapping_add(1)));
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            return Ok(Some(Claimed {
                queue: self.clone(),
                name,
                items,
                raw,
                made: stat.czxid,
                version,
                claim,
            }));
        }
    }
}

impl Claimed {
    /// What the entry holds: one item, or several that were put together.
    pub fn items(&self) -> &[Vec<u8>] {
        &self.items
    }

    /// The entry's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The claim: its loss, its fenced writes.
    pub const fn claim(&self) -> &Guard {
        &self.claim
    }

    /// Takes the entry out: the work is done.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the claim was lost before: then somebody else gets, or has got, the same entry. The servers'
    /// refusal, or the client's end. A lost connection is none.
    ///
    /// # Cancellation
    ///
    /// The entry may be taken out, or go to the next.
    pub async fn done(self) -> Result<(), Error> {
        self.end(None).await
    }

    /// Puts the entry aside, to `<directory>_poison`: nobody will ever be done with it.
    ///
    /// # Errors
    ///
    /// As [`done`](Self::done).
    ///
    /// # Cancellation
    ///
    /// The entry may be put aside, or go to the next.
    pub async fn reject(self) -> Result<(), Error> {
        let poison = format!("{}_poison", self.queue.directory);
        operation::make_directory(&self.queue.client, &poison).await?;
        let path = format!("{poison}/{}-", self.name);
        self.end(Some(path)).await
    }

    /// Gives the entry back: it is at its old place, for whoever comes next.
    ///
    /// # Errors
    ///
    /// As [`Guard::release`].
    ///
    /// # Cancellation
    ///
    /// It is given back in the background.
    pub async fn requeue(self) -> Result<(), Error> {
        self.claim.release().await
    }

    /// Takes entry and claim away, in one step, and leaves the entry's data elsewhere if it is told to.
    async fn end(self, aside: Option<String>) -> Result<(), Error> {
        let client = &self.queue.client;
        let entry = self.queue.entry(&self.name);
        loop {
            if let Some(loss) = self.claim.loss_signal().loss() {
                return Err(Error::Lost(loss));
            }
            let mut step = self.claim.fenced().delete(&entry, self.version);
            step = step.delete(self.claim.path(), None);
            if let Some(path) = &aside {
                let mode = zk_client::CreateMode::PersistentSequential;
                step = step.create_as(path, &self.raw, mode, None);
            }
            let error = match step.commit().await {
                Ok(_) => break,
                Err(Error::Client(error)) => error,
                Err(other) => return Err(other),
            };
            if !may_try_again(client, &error) {
                // Another has worked on it since, or is done with it: the claim is not ours any more.
                let gone = [Some(ErrorCode::NoNode), Some(ErrorCode::BadVersion)];
                let lost = gone.contains(&error.code());
                return Err(if lost {
                    Error::Lost(Loss::Deleted)
                } else {
                    error.into()
                });
            }
            if error.outcome() == Outcome::Unknown && !self.is_there(&entry).await? {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        // Its node is gone already, which is what the keeper hears.
        let _gone = self.claim.release().await;
        Ok(())
    }

    /// Whether the entry is there, and no other that has got its name since.
    async fn is_there(&self, entry: &str) -> Result<bool, Error> {
        let client = &self.queue.client;
        // A server that is behind would still show what is gone.
        let exists = || client.exists(entry).timeout(None).linearizable();
        let stat = crate::patience::repeat(client, exists).await?;
        Ok(stat.is_some_and(|stat| stat.czxid == self.made))
    }
}

/// Makes the claim's node, unless somebody has: in a task of its own, since only a node that is known to be ours can
/// be deleted when nobody wants it any more, and after a lost reply it takes a while to know.
async fn stand(client: &Client, path: String) -> Result<Option<Presence>, Error> {
    let (sender, made) = oneshot::channel();
    let client = client.clone();
    tokio::spawn(async move {
        // Not heard of any more, it is dropped here, and so deleted.
        let _given = sender.send(make(&client, path).await);
    });
    // The runtime is being shut down.
    made.await.unwrap_or(Err(Error::Lost(Loss::SessionEnded)))
}

async fn make(client: &Client, path: String) -> Result<Option<Presence>, Error> {
    let policy = OnSuspension::default();
    let adopt = |stat| Presence::adopt_shared(client, path.clone(), stat, policy);
    // By which it is known for ours.
    let random = || RandomState::new().hash_one(0_u8);
    let mark = format!("{:016x}{:016x}", random(), random());
    let mut unknown = false;
    loop {
        let create = client.create(&path, &mark).ephemeral();
        let error = match create.timeout(None).with_stat().await {
            Ok((_, stat)) => return Ok(Some(adopt(&stat))),
            Err(error) => error,
        };
        if error.code() == Some(ErrorCode::NoNode) {
            // It stays: Curator's queues and kazoo's look for it once, and fail when it goes later.
            let (claims, _) = path.rsplit_once('/').unwrap_or_default();
            operation::make_directory(client, claims).await?;
            continue;
        }
        let exists = error.code() == Some(ErrorCode::NodeExists);
        if !exists && !may_try_again(client, &error) {
            return Err(error.into());
        }
        if exists && !unknown {
            return Ok(None);
        }
        if !exists {
            unknown |= error.outcome() == Outcome::Unknown;
            tokio::time::sleep(PAUSE).await;
        }
        let get = || client.get(&path).timeout(None);
        let there = found(crate::patience::repeat(client, get).await)?;
        match there {
            Some((data, stat)) if data == mark.as_bytes() => {
                // One of our last session will go by itself.
                let ours = client.session_id() == Some(stat.ephemeral_owner);
                return Ok(ours.then(|| adopt(&stat)));
            }
            Some(_) => return Ok(None),
            None => {}
        }
    }
}
