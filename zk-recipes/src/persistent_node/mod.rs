//! A node that is there as long as somebody cares for it: what is asked for, and the handle. The work is done by
//! [`upkeep`], in the background.

mod upkeep;

use crate::error::Error;
use tokio::sync::{mpsc, oneshot, watch};
use upkeep::{Command, Upkeep, Wish};
use zk_client::{Acl, Client, SessionId};

/// How long a [`PersistentNode`] outlives the one who cares for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// As long as the session; it is created again in the next.
    Ephemeral,
    /// As [`Lifetime::Ephemeral`], with a number at the end of its name and a prefix of its own before it. Once it has
    /// a name it keeps it, in later sessions too.
    EphemeralSequential,
    /// For ever, unless it is closed.
    Persistent,
    /// Until its last child went.
    Container,
    /// So long after it was last cared for: a container with a child `touch` of this TTL, which is written in every
    /// half of that time. Servers have to be told to allow it (`extendedTypesEnabled`).
    Ttl(std::time::Duration),
}

impl Lifetime {
    const fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }
}

/// Where a [`PersistentNode`] stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is being created, for the first time or again.
    Absent,
    /// It was there when the servers were last heard of.
    There {
        /// Its path, with what was put before the name and behind it.
        path: String,
    },
    /// Somebody else's node has its name. Ours takes its place when that one goes.
    Taken {
        /// Whose it is; [`SessionId::NONE`] if it is no session's.
        by: SessionId,
    },
    /// The servers refuse it, for this reason. It is tried again, now and then.
    Refused(Error),
    /// It was closed, or the client is at its end.
    Over,
}

/// A node that is created again whenever it went: with its session, or by somebody's hand. Shares its path with
/// Curator's `PersistentNode`, and, with [`Lifetime::Ttl`], `PersistentTtlNode`.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_client::testkit::TestServer::start().await?;
/// # let client = zk_client::Client::connect(server.address().to_string()).await?;
/// use zk_recipes::PersistentNode;
///
/// let node = PersistentNode::builder(&client, "/workers/ann", "10.0.0.1").start();
/// assert_eq!(node.ready().await?, "/workers/ann");
/// client.delete("/workers/ann").await?; // it comes back
/// # while client.exists("/workers/ann").await?.is_none() {}
/// node.set("10.0.0.2").await?;
/// node.close().await?;
/// assert!(client.exists("/workers/ann").await?.is_none());
/// # Ok(()) }
/// ```
///
/// | | |
/// |---|---|
/// | guarantee | one node or none, never two; it is there again as soon as the servers answer in a session of ours |
/// | suspension | nothing: the node stays with its session |
/// | session's end | created again in the client's next session, if it opens one. A node that an earlier session of ours left is replaced in one step, so that nobody sees it missing; somebody else's is waited for, not deleted |
/// | cancellation | every future may be dropped at any await: what was asked for is done in the background. A node that is dropped is deleted if it is ephemeral, and left where it is if not |
/// | cost | 2 requests: create, get; 1 watch. For a set up to 4: get, set, and a watch moved. With a TTL 1 write in every half of it |
/// | two at one path | want clients of their own: within one session the servers cannot tell whose a node is. After a drop, the next at the same path waits for [`Standing::Over`], or closes it first |
/// | layout | the path itself, or `_c_<uuid>-` before its name if it is [protected](PersistentNodeBuilder::protected) or has a number; `<path>/touch` with a TTL. Missing parents are containers |
#[must_use = "an ephemeral node that is not kept is deleted at once"]
#[derive(Debug)]
pub struct PersistentNode {
    commands: mpsc::UnboundedSender<Command>,
    standing: watch::Receiver<Standing>,
}

/// What a node is to be like; from [`PersistentNode::builder`].
#[must_use = "a builder makes nothing until it is told"]
#[derive(Clone, Debug)]
pub struct PersistentNodeBuilder {
    client: Client,
    wish: Wish,
}

impl PersistentNodeBuilder {
    /// How long it outlives the one who cares for it. [`Lifetime::Ephemeral`] unless told.
    pub const fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.wish.lifetime = lifetime;
        self
    }

    /// Puts a prefix before its name that nobody else has, so that no other's node can be taken for it.
    pub const fn protected(mut self) -> Self {
        self.wish.protected = true;
        self
    }

    /// Replaces, once and at first, whatever node has the name: for whoever knows that it can only be his own, from
    /// before a restart. After that others' nodes are waited for.
    pub const fn replace_at_first(mut self) -> Self {
        self.wish.replace_at_first = true;
        self
    }

    /// Who may do what to it, instead of the client's default.
    pub fn acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.wish.acl = Some(acl.into());
        self
    }

    /// Begins to care for it, in the background. Whether it is there, [`PersistentNode::ready`] tells.
    pub fn start(self) -> PersistentNode {
        let (commands, inbox) = mpsc::unbounded_channel();
        let (sender, standing) = watch::channel(Standing::Absent);
        tokio::spawn(Upkeep::new(self.client, self.wish, sender).run(inbox));
        PersistentNode { commands, standing }
    }
}

impl PersistentNode {
    /// Describes a node at this path, with this data.
    pub fn builder(
        client: &Client,
        path: impl Into<String>,
        data: impl Into<Vec<u8>>,
    ) -> PersistentNodeBuilder {
        PersistentNodeBuilder {
            client: client.clone(),
            wish: Wish::new(path.into(), data.into()),
        }
    }

    /// Where it stands, as far as is known.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Every change of where it stands: the present one counts as seen. Some may be left out, the last never is.
    pub fn standings(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Waits until it is there. Yields its path.
    ///
    /// # Errors
    ///
    /// What the servers refuse it for, or the client's end. It is tried again all the same, and so may be this.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn ready(&self) -> Result<String, Error> {
        let mut standing = self.standing.clone();
        let settled = standing
            .wait_for(|it| !matches!(it, Standing::Absent | Standing::Taken { .. }))
            .await;
        match settled.as_deref() {
            Ok(Standing::There { path }) => Ok(path.clone()),
            Ok(Standing::Refused(error)) => Err(error.clone()),
            Ok(Standing::Over | Standing::Absent | Standing::Taken { .. }) | Err(_) => Err(OVER),
        }
    }

    /// Gives it other data, which it keeps when it is created again, and waits until it has it.
    ///
    /// # Errors
    ///
    /// What the servers refuse it for, or the client's end.
    ///
    /// # Cancellation
    ///
    /// The data is written all the same.
    pub async fn set(&self, data: impl Into<Vec<u8>>) -> Result<(), Error> {
        let (reply, written) = oneshot::channel();
        // A command that nobody takes takes its reply along.
        drop(self.commands.send(Command::Set(data.into(), reply)));
        written.await.unwrap_or(Err(OVER))
    }

    /// Deletes it, whatever its lifetime, and waits until that is done or its session over.
    ///
    /// # Errors
    ///
    /// What the servers refuse it for: a node that has children stays.
    ///
    /// # Cancellation
    ///
    /// It is deleted all the same.
    pub async fn close(self) -> Result<(), Error> {
        let (reply, closed) = oneshot::channel();
        drop(self.commands.send(Command::Close(reply)));
        // Without an answer its client was at its end, and the node gone or left before.
        closed.await.unwrap_or(Ok(()))
    }
}

const OVER: Error = Error::Usage("nobody cares for this node any more");
