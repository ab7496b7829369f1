//! Work in numbered parts, shared among those who are there.

mod rendezvous;

use crate::error::{Error, Loss};
use crate::guard::Guard;
use crate::mutex::Mutex;
use crate::patience::{found, repeat};
use crate::presence::{OnSuspension, Presence};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use zk_client::{Client, Once, State};

/// Between two attempts at a lock that was refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// A number of partitions, each owned by one of the members that are there.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_client::testkit::TestServer::start().await?;
/// # let client = zk_client::Client::connect(server.address().to_string()).await?;
/// use zk_recipes::Partitioner;
///
/// let mut mine = Partitioner::new(&client, "/mail/mailboxes", 2, "ann")?.join();
/// let first = mine.next().await?;
/// println!("{} is ours", first.number());
/// // ... until somebody else is to have it: finish, then let go.
/// drop(first);
/// # Ok(()) }
/// ```
///
/// | | |
/// |---|---|
/// | guarantee | never two owners of a partition, as for a [`Mutex`]; when everybody sees the same members and lets go when [asked](Partition::unwanted), each partition has the owner that a hash of their names and its number says, so that only what has to moves |
/// | suspension | an owner is told by [`OnSuspension`], as a lock's holder is |
/// | session's end | what was owned is lost; the member joins again, in the client's next session if it opens one, else ends |
/// | cancellation | a [`Partitions`] that is dropped leaves; partitions that were handed out are owned until they are dropped |
/// | cost | 1 node and 1 watch for each member, 1 list for each change; for each partition that is gained, a lock |
/// | layout | `<directory>/members/_c_<uuid>-<id>` (ephemeral); `<directory>/partitions/<number>`, a [`Mutex`] each |
#[derive(Clone, Debug)]
pub struct Partitioner {
    client: Client,
    directory: String,
    partitions: u32,
    id: String,
}

impl Partitioner {
    /// So many partitions in a directory, for a member of this name. Names should differ; they decide who has what.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if the name is not that of a node.
    pub fn new(
        client: &Client,
        directory: impl Into<String>,
        partitions: u32,
        id: impl Into<String>,
    ) -> Result<Self, Error> {
        let id = id.into();
        if id.is_empty() || id.contains('/') {
            return Err(Error::Usage("a member has the name of a node"));
        }
        Ok(Self {
            client: client.clone(),
            directory: directory.into(),
            partitions,
            id,
        })
    }

    /// Takes part, in a task of its own.
    pub fn join(&self) -> Partitions {
        let (gained, gains) = mpsc::unbounded_channel();
        let member = Member {
            partitioner: self.clone(),
            gained,
            wanted: BTreeMap::new(),
            owners: JoinSet::new(),
        };
        Partitions {
            gains,
            member: tokio::spawn(member.run()),
        }
    }
}

/// The partitions that become ours; from [`Partitioner::join`].
#[must_use = "a member that is not kept leaves"]
#[derive(Debug)]
pub struct Partitions {
    gains: mpsc::UnboundedReceiver<Result<Partition, Error>>,
    member: JoinHandle<()>,
}

impl Partitions {
    /// The next partition that is ours.
    ///
    /// # Errors
    ///
    /// What keeps it from one of them, such as a node of somebody else's where its lock is: told once, and tried again;
    /// the others come all the same. The client's end, or the servers' refusal of the member itself; then it has left.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn next(&mut self) -> Result<Partition, Error> {
        let gained = self.gains.recv().await;
        gained.unwrap_or(Err(Error::Usage("the member has left")))
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        self.member.abort();
    }
}

/// A partition that is ours until it is dropped, or lost.
#[must_use = "what is not kept is somebody else's"]
#[derive(Debug)]
pub struct Partition {
    number: u32,
    lock: Guard,
    wanted: watch::Receiver<bool>,
}

impl Partition {
    /// Which.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The lock: its loss, its token, its fenced writes.
    pub const fn lock(&self) -> &Guard {
        &self.lock
    }

    /// Waits until somebody else is to have it. It stays ours until it is dropped: finish what is under way, then let
    /// go.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn unwanted(&self) {
        let mut wanted = self.wanted.clone();
        // Without a member, too, it is better left to another.
        let _gone = wanted.wait_for(|wanted| !*wanted).await;
    }

    /// Waits until it is not to be worked on any more: because somebody else is to have it (`None`), or because it is
    /// lost.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn over(&self) -> Option<Loss> {
        tokio::select! {
            biased;
            loss = self.lock.lost() => Some(loss),
            () = self.unwanted() => None,
        }
    }

    /// Lets go, and waits until that is done.
    ///
    /// # Errors
    ///
    /// As [`Guard::release`].
    ///
    /// # Cancellation
    ///
    /// It is let go in the background.
    pub async fn release(self) -> Result<(), Error> {
        self.lock.release().await
    }
}

/// A partition that is to be ours: it is waited for, or handed out.
struct Wanted {
    told: Arc<watch::Sender<bool>>,
    owner: AbortHandle,
}

struct Member {
    partitioner: Partitioner,
    gained: mpsc::UnboundedSender<Result<Partition, Error>>,
    wanted: BTreeMap<u32, Wanted>,
    /// One for each partition that is wanted; ends only with the client.
    owners: JoinSet<Error>,
}

impl Member {
    async fn run(mut self) {
        if let Err(error) = self.go_on().await {
            let _gone = self.gained.send(Err(error));
        }
    }

    async fn go_on(&mut self) -> Result<(), Error> {
        let Partitioner {
            client,
            directory,
            id,
            ..
        } = self.partitioner.clone();
        let path = format!("{directory}/members/{id}");
        loop {
            let own = Presence::stand(&client, &path, b"", OnSuspension::default()).await?;
            own.hold();
            let own = Guard::new(own);
            tokio::select! {
                biased;
                // Whatever was handed out tells its owner by itself; what is waited for is waited for again.
                _loss = own.lost() => {}
                ended = self.share() => return ended,
            }
            self.forget();
        }
    }

    /// Follows the members, and wants what is ours among them. Comes to an end only by failing.
    async fn share(&mut self) -> Result<(), Error> {
        loop {
            let (members, changed) = self.members().await?;
            self.want(&members);
            let mut changed = Box::pin(changed.changed());
            loop {
                tokio::select! {
                    biased;
                    _event = &mut changed => break,
                    ended = self.owners.join_next(), if !self.owners.is_empty() => {
                        // The others are those that are not wanted any more.
                        if let Some(Ok(failed)) = ended {
                            return Err(failed);
                        }
                    }
                }
            }
        }
    }

    async fn members(&self) -> Result<(Vec<String>, Once), Error> {
        let client = &self.partitioner.client;
        let directory = format!("{}/members", self.partitioner.directory);
        let list = || client.children(&directory).timeout(None).watch();
        match found(repeat(client, list).await)? {
            Some(listed) => Ok(listed),
            // Our own node has gone with it, of which we hear.
            None => std::future::pending().await,
        }
    }

    /// Lets go of what is somebody else's now, and waits for what is ours.
    fn want(&mut self, members: &[String]) {
        let names: BTreeSet<_> = members.iter().filter_map(|it| name_of(it)).collect();
        let names: Vec<_> = names.into_iter().collect();
        let own = self.partitioner.id.clone();
        for number in 0..self.partitioner.partitions {
            let ours = rendezvous::owner(&names, number) == Some(&*own);
            if !ours {
                self.leave(number);
            } else if !self.wanted.contains_key(&number) {
                self.wait_for(number);
            }
        }
    }

    fn wait_for(&mut self, number: u32) {
        let Partitioner {
            client, directory, ..
        } = &self.partitioner;
        let lock = Mutex::builder(client, format!("{directory}/partitions/{number}"));
        let lock = lock.id(&self.partitioner.id).build();
        let told = Arc::new(watch::Sender::new(true));
        let gained = self.gained.clone();
        let owner = self.owners.spawn({
            let told = Arc::clone(&told);
            let client = client.clone();
            async move {
                let mut refused = false;
                loop {
                    let lock = match lock.lock().await {
                        Ok(lock) => lock,
                        Err(error) if client.state() == State::Closed => return error,
                        Err(error) => {
                            // Told once; others do not suffer from it.
                            if !std::mem::replace(&mut refused, true) {
                                let _gone = gained.send(Err(error));
                            }
                            tokio::time::sleep(AFTER_REFUSAL).await;
                            continue;
                        }
                    };
                    refused = false;
                    let wanted = told.subscribe();
                    let _gone = gained.send(Ok(Partition {
                        number,
                        lock,
                        wanted,
                    }));
                    // Lost, or let go, it is still to be ours.
                    told.closed().await;
                }
            }
        });
        self.wanted.insert(number, Wanted { told, owner });
    }

    fn leave(&mut self, number: u32) {
        if let Some(wanted) = self.wanted.remove(&number) {
            wanted.owner.abort();
            wanted.told.send_replace(false);
        }
    }

    fn forget(&mut self) {
        let all: Vec<_> = self.wanted.keys().copied().collect();
        all.into_iter().for_each(|number| self.leave(number));
    }
}

/// What a member calls itself, behind the prefix of its node. Who has none is none, and would get a share that nobody
/// works on.
fn name_of(node: &str) -> Option<&str> {
    const UUID: usize = "00000000-0000-0000-0000-000000000000".len();
    let (uuid, name) = node.strip_prefix("_c_")?.split_at_checked(UUID)?;
    let form = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    let name = name.strip_prefix('-').filter(|it| !it.is_empty())?;
    uuid.bytes().all(form).then_some(name)
}
