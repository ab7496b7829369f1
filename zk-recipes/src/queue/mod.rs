//! A queue: entries that many put in, each taken out by one. What is claimed before it is taken out is in `claim`.

mod claim;
mod envelope;
mod layout;

pub use claim::Claimed;
pub use layout::QueueLayout;

use crate::error::{Error, may_try_again};
use crate::keeper::PAUSE;
use crate::operation::{self, Operation, Page};
use crate::patience::{found, repeat};
use layout::{Named, Wish};
use std::time::{Duration, SystemTime};
use tracing::warn;
use zk_client::{Client, CreateMode, ErrorCode, ErrorKind, Once, Stat, Version};

/// A queue in a directory, shared by its [`QueueLayout`] with one of Curator's or kazoo's.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_client::testkit::TestServer::start().await?;
/// # let client = zk_client::Client::connect(server.address().to_string()).await?;
/// use zk_recipes::{Queue, QueueLayout};
///
/// let queue = Queue::new(&client, "/orders", QueueLayout::KazooLocking);
/// queue.push("two coffees").await?;
/// let order = queue.claim().await?; // nobody else gets it meanwhile
/// assert_eq!(order.items(), [b"two coffees"]);
/// order.done().await?; // dropped instead, or lost with its session, it is claimed by the next
/// # Ok(()) }
/// ```
///
/// | | |
/// |---|---|
/// | guarantee | [`pop`](Self::pop), [`take`](Self::take): each entry to one taker, at most once. [`claim`](Self::claim): to one at a time, again and again until it is [`done`](Claimed::done), so at least once. An entry that cannot be read, or was delivered too often ([`max_deliveries`](Self::max_deliveries)), is put aside; one that we may not read is passed over, and is an error only where there is no other |
/// | order | that of priorities or times, then of arrival; who is done first is another matter |
/// | suspension, session's end | calls wait for the next connection, in the client's next session if it opens one. A claim is lost as a lock is: the entry goes to the next |
/// | cancellation | a push may be made; a pop may take an entry with it, a claim may not |
/// | cost | push 1 request; pop 3 (list, get, delete), with claims 4 (two lists, get, multi); claim 5 (two lists, create, get of the entry and of the claim) and 1 to be done, 1 more with `max_deliveries`. Who waits has 1 watch, a claimer 2; each change wakes all of them |
/// | layout | see [`QueueLayout`]; claims are ephemeral nodes of their entries' names in the directory of claims, which stays, as that of the entries does. Put aside: `<directory>_poison`; operations of [`push_once`](Self::push_once): `<directory>_puts` |
///
/// A queue's entries are listed as a whole for every one that is taken: this is for small queues.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    directory: String,
    entries: String,
    claims: Option<String>,
    layout: QueueLayout,
    max_deliveries: Option<u32>,
}

/// An entry that was read.
struct Read {
    items: Vec<Vec<u8>>,
    raw: Vec<u8>,
    stat: Stat,
}

impl Queue {
    /// The queue of a directory. Nothing is asked of the servers yet.
    pub fn new(client: &Client, directory: impl Into<String>, layout: QueueLayout) -> Self {
        let directory = directory.into();
        let below = |name| format!("{directory}/{name}");
        let (entries, claims) = match layout {
            QueueLayout::KazooLocking => (below("entries"), Some(below("taken"))),
            QueueLayout::Simple
            | QueueLayout::Kazoo
            | QueueLayout::Curator
            | QueueLayout::CuratorPriority
            | QueueLayout::CuratorDelay => (directory.clone(), None),
        };
        Self {
            client: client.clone(),
            directory,
            entries,
            claims,
            layout,
            max_deliveries: None,
        }
    }

    /// Where claims stand: what Curator calls `lockPath`. [`QueueLayout::KazooLocking`] knows it by itself.
    #[must_use = "the queue is returned"]
    pub fn claims_at(mut self, directory: impl Into<String>) -> Self {
        self.claims = Some(directory.into());
        self
    }

    /// Puts an entry aside instead of delivering it once more than so often. Deliveries are counted by the version of
    /// the entry's data, which each writes again; those of others do not count.
    #[must_use = "the queue is returned"]
    pub const fn max_deliveries(mut self, most: u32) -> Self {
        self.max_deliveries = Some(most);
        self
    }

    /// The directory.
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// Puts an entry at the end.
    ///
    /// # Errors
    ///
    /// The servers' refusal; a lost connection after which nobody can know whether it is there, and
    /// [`push_once`](Self::push_once) would.
    ///
    /// # Cancellation
    ///
    /// It may be there.
    pub async fn push(&self, item: impl AsRef<[u8]>) -> Result<(), Error> {
        self.put(&[item.as_ref()], Wish::Anywhere).await
    }

    /// Puts an entry behind those of the same priority; the lowest is the first.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push); [`Error::Usage`] if the layout has no such priority.
    ///
    /// # Cancellation
    ///
    /// As [`push`](Self::push).
    pub async fn push_with_priority(
        &self,
        item: impl AsRef<[u8]>,
        priority: i32,
    ) -> Result<(), Error> {
        self.put(&[item.as_ref()], Wish::Priority(priority)).await
    }

    /// Puts an entry that nobody gets before this time of day, by the taker's clock.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push); [`Error::Usage`] if the layout has no times.
    ///
    /// # Cancellation
    ///
    /// As [`push`](Self::push).
    pub async fn push_at(&self, item: impl AsRef<[u8]>, due: SystemTime) -> Result<(), Error> {
        self.put(&[item.as_ref()], Wish::At(due)).await
    }

    /// Puts several items, all or none: into one entry where there is an envelope, else into as many.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Cancellation
    ///
    /// They may be there.
    pub async fn push_all(&self, items: &[impl AsRef<[u8]>]) -> Result<(), Error> {
        let items: Vec<_> = items.iter().map(AsRef::as_ref).collect();
        self.put(&items, Wish::Anywhere).await
    }

    /// Puts an entry at the end, once, however often the same operation is tried. Costs 2 requests.
    ///
    /// # Errors
    ///
    /// The servers' refusal, or the client's end; [`Error::Usage`] if the operation's caller has gone on. A lost
    /// connection is none.
    ///
    /// # Cancellation
    ///
    /// It may be there; tried again, it is not put twice.
    pub async fn push_once(
        &self,
        item: impl AsRef<[u8]>,
        operation: &Operation,
    ) -> Result<(), Error> {
        let pages = format!("{}_puts", self.directory);
        let data = self.wrap(&[item.as_ref()])?;
        let path = self.entry(&self.layout.prefix(Wish::Anywhere)?);
        loop {
            let page = Page::read(&self.client, &pages, operation).await?;
            if page.outcome(operation)?.is_some() {
                return Ok(());
            }
            let mut step = self.client.multi();
            for data in &data {
                step = step.create_as(&path, data, CreateMode::PersistentSequential, None);
            }
            match page.note(step, operation, "put").timeout(None).await {
                Ok(_) => return Ok(()),
                Err(error) => match error.code() {
                    Some(ErrorCode::NoNode) => {
                        operation::make_directory(&self.client, &self.entries).await?;
                        operation::make_directory(&self.client, &pages).await?;
                    }
                    // An earlier try of ours; the page tells.
                    Some(ErrorCode::NodeExists | ErrorCode::BadVersion) => {}
                    _ if may_try_again(&self.client, &error) => tokio::time::sleep(PAUSE).await,
                    _ => return Err(error.into()),
                },
            }
        }
    }

    /// Takes the first entry out, if there is one that is due and nobody has claimed. At most once: if its end is
    /// unknown, so is whether the entry is gone.
    ///
    /// # Errors
    ///
    /// The servers' refusal, or a lost connection after which nobody can know whether an entry is gone.
    ///
    /// # Cancellation
    ///
    /// An entry may be lost.
    pub async fn pop(&self) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let mut unreadable = None;
        for named in self.free().await? {
            if self.is_early(&named) {
                break;
            }
            let read = match self.read(&named.name).await {
                Ok(Some(read)) => read,
                Ok(None) => continue,
                Err(error) => {
                    unreadable = Some(passed_over(error)?);
                    continue;
                }
            };
            if self.remove(&named.name, read.stat.version).await? {
                return Ok(Some(read.items));
            }
        }
        unreadable.map_or(Ok(None), Err)
    }

    /// Deletes an entry; `false` if somebody was faster. Where there are claims, it is claimed in the same step: whoever
    /// has claimed it since the look keeps it.
    async fn remove(&self, name: &str, version: Version) -> Result<bool, Error> {
        let entry = self.entry(name);
        loop {
            let Some(claims) = &self.claims else {
                let delete = self.client.delete(&entry).version(version);
                return unless_late(delete.timeout(None).await);
            };
            let claim = format!("{claims}/{name}");
            let step = self.client.multi();
            let step = step.create_as(&claim, "", CreateMode::Ephemeral, None);
            let step = step.delete(&entry, version).delete(&claim, None);
            match step.timeout(None).await {
                Err(error) if no_directory(&error) => {
                    operation::make_directory(&self.client, claims).await?;
                }
                other => return unless_late(other.map(drop)),
            }
        }
    }

    /// As [`pop`](Self::pop), and waits for an entry if there is none.
    ///
    /// # Errors
    ///
    /// As [`pop`](Self::pop).
    ///
    /// # Cancellation
    ///
    /// An entry may be lost.
    pub async fn take(&self) -> Result<Vec<Vec<u8>>, Error> {
        loop {
            if let Some(items) = self.pop().await? {
                return Ok(items);
            }
            self.more().await?;
        }
    }

    /// Waits until there may be an entry that is due and that nobody has claimed.
    async fn more(&self) -> Result<(), Error> {
        let (entries, changed) = self.watch(&self.entries).await?;
        let mut entries = self.layout.sort(entries);
        let mut watches = vec![changed];
        if let Some(claims) = &self.claims {
            let (claimed, changed) = self.watch(claims).await?;
            entries.retain(|it| !claimed.contains(&it.name));
            watches.push(changed);
        }
        let patience = entries
            .first()
            .map(|first| self.layout.not_yet(first.place, SystemTime::now()));
        match patience {
            None => wait(None, watches).await,
            Some(Some(early)) => wait(Some(early), watches).await,
            Some(None) => {}
        }
        Ok(())
    }

    fn is_early(&self, entry: &Named) -> bool {
        let left = self.layout.not_yet(entry.place, SystemTime::now());
        left.is_some()
    }

    /// How many entries there are, claimed ones among them.
    ///
    /// # Errors
    ///
    /// The servers' refusal, or the client's end.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn len(&self) -> Result<usize, Error> {
        Ok(self.list().await?.len())
    }

    /// Whether there is no entry.
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.list().await?.is_empty())
    }

    fn entry(&self, name: &str) -> String {
        format!("{}/{name}", self.entries)
    }

    /// The data of one entry, or of several.
    fn wrap(&self, items: &[&[u8]]) -> Result<Vec<Vec<u8>>, Error> {
        if !self.layout.has_envelope() {
            return Ok(items.iter().map(|item| item.to_vec()).collect());
        }
        let wrapped = envelope::wrap(items.iter().copied());
        Ok(vec![wrapped.ok_or(Error::Usage("an item is too long"))?])
    }

    async fn put(&self, items: &[&[u8]], wish: Wish) -> Result<(), Error> {
        let path = self.entry(&self.layout.prefix(wish)?);
        let data = self.wrap(items)?;
        loop {
            let put = match data.as_slice() {
                [] => return Ok(()),
                [data] => {
                    let create = self.client.create(&path, data).sequential().timeout(None);
                    create.await.map(drop)
                }
                several => {
                    let step = several.iter().fold(self.client.multi(), |step, data| {
                        step.create_as(&path, data, CreateMode::PersistentSequential, None)
                    });
                    step.timeout(None).await.map(drop)
                }
            };
            match put {
                Ok(()) => return Ok(()),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    operation::make_directory(&self.client, &self.entries).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The entries, in their order.
    async fn list(&self) -> Result<Vec<Named>, Error> {
        Ok(self.layout.sort(self.names(&self.entries).await?))
    }

    /// Those that nobody has claimed.
    async fn free(&self) -> Result<Vec<Named>, Error> {
        let mut entries = self.list().await?;
        if let Some(claims) = &self.claims {
            let claimed = self.names(claims).await?;
            entries.retain(|it| !claimed.contains(&it.name));
        }
        Ok(entries)
    }

    async fn names(&self, directory: &str) -> Result<Vec<String>, Error> {
        let list = || self.client.children(directory).timeout(None);
        Ok(found(repeat(&self.client, list).await)?.unwrap_or_default())
    }

    /// The names in a directory, and what fires when there are others.
    async fn watch(&self, directory: &str) -> Result<(Vec<String>, Once), Error> {
        let list = || self.client.children(directory).timeout(None).watch();
        let exists = || self.client.exists(directory).timeout(None).watch();
        loop {
            if let Some(listed) = found(repeat(&self.client, list).await)? {
                return Ok(listed);
            }
            if let (None, made) = repeat(&self.client, exists).await? {
                return Ok((Vec::new(), made));
            }
        }
    }

    /// What an entry holds; `None` if it is gone, or was put aside because it cannot be read.
    async fn read(&self, name: &str) -> Result<Option<Read>, Error> {
        let path = self.entry(name);
        let get = || self.client.get(&path).timeout(None);
        let Some((data, stat)) = found(repeat(&self.client, get).await)? else {
            return Ok(None);
        };
        let raw = data.to_vec();
        let items = if self.layout.has_envelope() {
            envelope::unwrap(&raw)
        } else {
            Ok(vec![raw.clone()])
        };
        match items {
            Ok(items) => Ok(Some(Read { items, raw, stat })),
            Err(poison) => {
                warn!(path, %poison, "an entry is put aside");
                self.put_aside(name, &raw, &stat).await?;
                Ok(None)
            }
        }
    }

    /// Moves an entry to where nobody takes it from. Fine if somebody else has.
    async fn put_aside(&self, name: &str, raw: &[u8], stat: &zk_client::Stat) -> Result<(), Error> {
        let poison = format!("{}_poison", self.directory);
        let path = format!("{poison}/{name}-");
        loop {
            let step = self.client.multi();
            let step = step.create_as(&path, raw, CreateMode::PersistentSequential, None);
            let step = step.delete(self.entry(name), stat.version);
            let Err(error) = step.timeout(None).await else {
                return Ok(());
            };
            match error.code() {
                Some(ErrorCode::NoNode) if no_directory(&error) => {
                    operation::make_directory(&self.client, &poison).await?;
                }
                Some(ErrorCode::NoNode | ErrorCode::BadVersion) => return Ok(()),
                _ if may_try_again(&self.client, &error) => tokio::time::sleep(PAUSE).await,
                _ => return Err(error.into()),
            }
        }
    }
}

/// Whether the node that a multi was to create first has no parent.
fn no_directory(error: &zk_client::Error) -> bool {
    let first = ErrorKind::Multi {
        index: 0,
        code: ErrorCode::NoNode,
    };
    *error.kind() == first
}

/// `false` if a step was refused because somebody else was faster.
fn unless_late(done: Result<(), zk_client::Error>) -> Result<bool, Error> {
    match done {
        Ok(()) => Ok(true),
        Err(error) => match error.code() {
            Some(ErrorCode::NoNode | ErrorCode::BadVersion | ErrorCode::NodeExists) => Ok(false),
            _ => Err(error.into()),
        },
    }
}

/// An entry that may not be read is left where it is: the failure of whoever finds no other.
fn passed_over(error: Error) -> Result<Error, Error> {
    let refused = |it: &zk_client::Error| it.code() == Some(ErrorCode::NoAuth);
    if !matches!(&error, Error::Client(it) if refused(it)) {
        return Err(error);
    }
    warn!(%error, "an entry is passed over");
    Ok(error)
}

/// Waits until any of some watches fires, or the time is over.
async fn wait(patience: Option<Duration>, watches: Vec<Once>) {
    let mut fired: Vec<_> = watches
        .into_iter()
        .map(|it| Box::pin(it.changed()))
        .collect();
    let any = std::future::poll_fn(|cx| {
        let done = fired.iter_mut().any(|it| it.as_mut().poll(cx).is_ready());
        if done {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    });
    match patience {
        None => any.await,
        // A clock that is set meanwhile is looked at in the next round.
        Some(patience) => drop(tokio::time::timeout(patience, any).await),
    }
}
