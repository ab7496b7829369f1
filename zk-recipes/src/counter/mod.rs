//! A number that many change, and never lose a change of.

mod changes;
mod encoding;
mod ids;

pub use changes::Counts;
pub use encoding::Encoding;
pub use ids::Ids;

use crate::error::{Error, may_try_again};
use crate::keeper::PAUSE;
use crate::mutex::Mutex;
use crate::operation::{self, Operation, Page};
use crate::patience::{found, repeat};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use zk_client::hosts::Chance;
use zk_client::hosts::backoff::{Backoff, Policy};
use zk_client::{Client, ErrorCode, Outcome, Version};

/// How long to stay away from somebody else who writes.
const STAY_AWAY: Policy = Policy {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(100),
    factor: 1.5,
};
/// How often others may be faster before the lock is asked for, if there is one.
const FASTER: u32 = 8;

/// A counter. Shares its node with Curator's `DistributedAtomicLong`, `DistributedAtomicInteger` or `SharedCount`, or
/// with kazoo's `Counter`, by its [`Encoding`].
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_client::testkit::TestServer::start().await?;
/// # let client = zk_client::Client::connect(server.address().to_string()).await?;
/// use zk_recipes::{Counter, Encoding, Operation};
///
/// let visitors = Counter::new(&client, "/shop/visitors", Encoding::Long);
/// assert_eq!(visitors.add(2).await?.after, 2);
/// // However often this is tried, it counts once.
/// let till = Operation::new("till-7", 1);
/// visitors.add_once(40, &till).await?;
/// assert_eq!(visitors.add_once(40, &till).await?.after, 42);
/// assert_eq!(visitors.get().await?, 42);
/// # Ok(()) }
/// ```
///
/// | | |
/// |---|---|
/// | guarantee | no change is lost, and none counted twice; a change whose end nobody can know is an error that says so (`Outcome::Unknown`), unless it is an [`add_once`](Self::add_once) |
/// | suspension, session's end | calls wait for the next connection, in the client's next session if it opens one |
/// | cancellation | a change may be made or not |
/// | cost | 2 requests (get, set), and 2 more for each time that somebody else was faster; once 3 more to create the node. `add_once`: 3 (two gets, multi) |
/// | fairness | none; writers stay away from each other for random times. With [`promote_to`](Self::promote_to), who has been late 8 times goes on under a lock |
/// | layout | the node itself, persistent; for `add_once`, `<path>_ops/<caller>`, persistent: `<number> <before> <after>` |
#[derive(Clone, Debug)]
pub struct Counter {
    client: Client,
    path: String,
    encoding: Encoding,
    lock: Option<Mutex>,
}

/// A change of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The number before.
    pub before: i64,
    /// The number after.
    pub after: i64,
}

/// How a conditional write ended.
enum Written {
    Done,
    /// Somebody else has written, or there is no node.
    Faster,
}

impl Counter {
    /// The counter at a node, which begins with zero. Nothing is asked of the servers yet.
    pub fn new(client: &Client, path: impl Into<String>, encoding: Encoding) -> Self {
        Self {
            client: client.clone(),
            path: path.into(),
            encoding,
            lock: None,
        }
    }

    /// Whoever is late again and again takes this lock, as Curator's counters do where they are told a
    /// `PromotedToLock`: there it is an `InterProcessMutex`. Its directory is not to be the counter's own.
    #[must_use = "the counter is returned"]
    pub fn promote_to(mut self, lock: Mutex) -> Self {
        self.lock = Some(lock);
        self
    }

    /// The node.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The number; zero where there is no node.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if the node holds something else; the servers' refusal, or the client's end.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn get(&self) -> Result<i64, Error> {
        Ok(self.read().await?.map_or(0, |(number, _)| number))
    }

    /// Adds to the number; a negative one is taken away.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`Error::Usage`] if the result does not fit; a lost connection after which nobody can
    /// know whether it was counted.
    ///
    /// # Cancellation
    ///
    /// It may be counted.
    pub async fn add(&self, number: i64) -> Result<Change, Error> {
        let added = self.change(|before| Some(before.checked_add(number)));
        added.await?.ok_or(TOO_LARGE)
    }

    /// Replaces the number, whatever it is.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    ///
    /// # Cancellation
    ///
    /// It may be replaced.
    pub async fn set(&self, number: i64) -> Result<Change, Error> {
        self.change(|_| Some(Some(number))).await?.ok_or(TOO_LARGE)
    }

    /// Replaces the number if it is this one; whether it was.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    ///
    /// # Cancellation
    ///
    /// It may be replaced.
    pub async fn compare_and_set(&self, expected: i64, number: i64) -> Result<bool, Error> {
        let set = self.change(|before| (before == expected).then_some(Some(number)));
        Ok(set.await?.is_some())
    }

    /// Adds to the number once, however often the same operation is tried: what came of it is known afterwards, until
    /// its caller goes on to the next.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`Error::Usage`] if the result does not fit, or the caller has gone on. A lost connection
    /// is none.
    ///
    /// # Cancellation
    ///
    /// It may be counted; tried again, it tells.
    pub async fn add_once(&self, number: i64, operation: &Operation) -> Result<Change, Error> {
        let pages = format!("{}_ops", self.path);
        let mut pause = Pause::new();
        loop {
            let page = Page::read(&self.client, &pages, operation).await?;
            if let Some(known) = page.outcome(operation)? {
                return parse(known).ok_or(Error::Usage("a caller's node holds no change"));
            }
            let Some((before, version)) = self.read().await? else {
                self.create().await?;
                continue;
            };
            let after = before.checked_add(number).ok_or(TOO_LARGE)?;
            let data = self.encoding.write(after)?;
            let step = self.client.multi().set(&self.path, data, version);
            let step = page.note(step, operation, &format!("{before} {after}"));
            match step.timeout(None).await {
                Ok(_) => return Ok(Change { before, after }),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    operation::make_directory(&self.client, &pages).await?;
                }
                // Whoever was faster may have been an earlier try of our own: the page tells.
                Err(error) if is_late(&error) => pause.wait().await,
                Err(error) if may_try_again(&self.client, &error) => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The number now, and then whenever it changes; as Curator's `SharedCount` tells its listeners.
    pub fn changes(&self) -> Counts {
        Counts::new(self.clone())
    }

    async fn read(&self) -> Result<Option<(i64, Version)>, Error> {
        let get = || self.client.get(&self.path).timeout(None);
        let read = found(repeat(&self.client, get).await)?;
        match read {
            Some((data, stat)) => Ok(Some((self.encoding.read(&data)?, stat.version))),
            None => Ok(None),
        }
    }

    /// Makes the node, with zero in it.
    async fn create(&self) -> Result<(), Error> {
        let zero = self.encoding.write(0)?;
        let create = || {
            self.client
                .create(&self.path, &zero)
                .parents()
                .timeout(None)
        };
        match repeat(&self.client, create).await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads, decides and writes until nobody was faster; `None` if there is nothing to be done.
    async fn change(
        &self,
        decide: impl Fn(i64) -> Option<Option<i64>>,
    ) -> Result<Option<Change>, Error> {
        let mut pause = Pause::new();
        let mut turn = None;
        let mut late = 0;
        loop {
            if let Some(lock) = &self.lock
                && late >= FASTER
                && turn.is_none()
            {
                turn = Some(lock.lock().await?);
            }
            let Some((before, version)) = self.read().await? else {
                self.create().await?;
                continue;
            };
            let Some(after) = decide(before) else {
                return Ok(None);
            };
            let after = after.ok_or(TOO_LARGE)?;
            match self.write(after, version).await? {
                Written::Done => {
                    drop(turn);
                    return Ok(Some(Change { before, after }));
                }
                Written::Faster => {
                    late += 1;
                    pause.wait().await;
                }
            }
        }
    }

    /// Writes if nobody else has. After a lost reply the same is sent again: if that succeeds, the first try was
    /// never made; if somebody has written by then, it may have been us.
    async fn write(&self, number: i64, version: Version) -> Result<Written, Error> {
        let data = self.encoding.write(number)?;
        let mut unknown = None;
        loop {
            let set = self.client.set(&self.path, &data).version(version);
            let Err(error) = set.timeout(None).await else {
                return Ok(Written::Done);
            };
            let again = may_try_again(&self.client, &error);
            if again && error.outcome() == Outcome::Unknown {
                unknown = unknown.or(Some(error));
            } else if !again {
                return match unknown {
                    Some(unknown) => Err(unknown.into()),
                    None if is_late(&error) => Ok(Written::Faster),
                    None => Err(error.into()),
                };
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

const TOO_LARGE: Error = Error::Usage("the number does not fit into the counter");

/// Whether a write was refused because of what others have done meanwhile.
fn is_late(error: &zk_client::Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::BadVersion | ErrorCode::NodeExists | ErrorCode::NoNode)
    )
}

fn parse(outcome: &str) -> Option<Change> {
    let (before, after) = outcome.split_once(' ')?;
    Some(Change {
        before: before.parse().ok()?,
        after: after.parse().ok()?,
    })
}

/// Random times, longer and longer: writers in step would leave one of them behind for ever.
struct Pause {
    chance: Chance,
    backoff: Backoff,
}

impl Pause {
    fn new() -> Self {
        Self {
            chance: Chance::seeded(RandomState::new().hash_one(0_u8)),
            backoff: Backoff::new(&STAY_AWAY),
        }
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.backoff.after_failure(&mut self.chance)).await;
    }
}
