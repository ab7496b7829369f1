//! Who is there: members of a group, each with a node as long as it takes part.

use crate::cache::{Cache, CachedNode, Freshness, Scope};
use crate::error::Error;
use crate::persistent_node::{PersistentNode, Standing};
use crate::unique;
use bytes::Bytes;
use tokio::sync::watch;
use zk_client::{Client, SessionId, Zxid};

/// What kazoo's party puts behind a member's number.
const PARTY: &str = "__party__";

/// Whose groups are joined and read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GroupLayout {
    /// Curator's `GroupMember`: `<directory>/<id>` with any data. An id is there once.
    #[default]
    Curator,
    /// kazoo's `Party`: `<directory>/<32 hex digits>__party__`, whose data is the id.
    Party,
    /// kazoo's `ShallowParty`: `<directory>/<32 hex digits>-<id>`, without data.
    ShallowParty,
}

/// A group of members, shared with Curator's `GroupMember`, or by its layout with kazoo's parties.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_client::testkit::TestServer::start().await?;
/// # let client = zk_client::Client::connect(server.address().to_string()).await?;
/// use zk_recipes::Group;
///
/// let group = Group::new(&client, "/crew");
/// let ours = group.join("ann", "10.0.0.1")?;
/// ours.ready().await?;
/// let members = group.members();
/// members.barrier().await?;
/// assert_eq!(members.all()[0].id, "ann");
/// # Ok(()) }
/// ```
///
/// | | |
/// |---|---|
/// | guarantee | a member is seen while it takes part and its session lives, once |
/// | suspension, session's end | a member as a [`PersistentNode`]: it joins again in the next session, which kazoo's do not. Who looks on goes on with what it knows |
/// | cancellation | every future may be dropped at any await; a membership that is dropped is left in the background |
/// | cost | to join 2 requests, 1 watch; to look on as a [`Cache`] of the directory |
/// | layout | [`GroupLayout`]; the directory is a container where the server has them |
#[derive(Clone, Debug)]
pub struct Group {
    client: Client,
    directory: String,
    layout: GroupLayout,
}

/// One who takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it calls itself.
    pub id: String,
    /// What it says besides.
    pub data: Bytes,
    /// Whose session it is.
    pub session: SessionId,
}

impl Group {
    /// The group of a directory, in Curator's layout.
    pub fn new(client: &Client, directory: impl Into<String>) -> Self {
        Self {
            client: client.clone(),
            directory: directory.into(),
            layout: GroupLayout::Curator,
        }
    }

    /// In another layout.
    #[must_use]
    pub fn layout(mut self, layout: GroupLayout) -> Self {
        self.layout = layout;
        self
    }

    /// Joins, in the background: whether it is there, [`Membership::ready`] tells. In Curator's layout a node of the
    /// same id, left from before a restart, is replaced in one step.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for an id that is no name, and for data where kazoo's members have none.
    pub fn join(
        &self,
        id: impl Into<String>,
        data: impl Into<Vec<u8>>,
    ) -> Result<Membership, Error> {
        let (id, data) = (id.into(), data.into());
        if id.is_empty() || (id.contains('/') && self.layout != GroupLayout::Party) {
            return Err(Error::Usage("a member's id is a name"));
        }
        if !data.is_empty() && self.layout != GroupLayout::Curator {
            return Err(Error::Usage("a member of a party has no data but its id"));
        }
        let (name, data) = match self.layout {
            GroupLayout::Curator => (id, data),
            GroupLayout::Party => (format!("{}{PARTY}", unique::hex()), id.into_bytes()),
            GroupLayout::ShallowParty => (format!("{}-{id}", unique::hex()), data),
        };
        let path = Scope::child(&self.directory, &name);
        let node = PersistentNode::builder(&self.client, path, data).replace_at_first();
        Ok(Membership { node: node.start() })
    }

    /// Looks on who takes part, in the background, until the last handle is dropped.
    pub fn members(&self) -> Members {
        Members {
            cache: Cache::children(&self.client, &self.directory).start(),
            layout: self.layout,
        }
    }
}

/// Taking part, from [`Group::join`], until it is dropped.
#[must_use = "who does not keep it has left"]
#[derive(Debug)]
pub struct Membership {
    node: PersistentNode,
}

impl Membership {
    /// Where its node stands, as far as is known.
    pub fn standing(&self) -> Standing {
        self.node.standing()
    }

    /// Waits until it is there.
    ///
    /// # Errors
    ///
    /// As [`PersistentNode::ready`].
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn ready(&self) -> Result<(), Error> {
        self.node.ready().await.map(drop)
    }

    /// Says something else besides; of a member of kazoo's `Party` it is the id.
    ///
    /// # Errors
    ///
    /// As [`PersistentNode::set`].
    ///
    /// # Cancellation
    ///
    /// It is written all the same.
    pub async fn set(&self, data: impl Into<Vec<u8>>) -> Result<(), Error> {
        self.node.set(data).await
    }

    /// Leaves, and waits until that is done.
    ///
    /// # Errors
    ///
    /// As [`PersistentNode::close`].
    ///
    /// # Cancellation
    ///
    /// It is left all the same.
    pub async fn leave(self) -> Result<(), Error> {
        self.node.close().await
    }
}

/// Who takes part, as it changes; from [`Group::members`].
#[derive(Clone, Debug)]
pub struct Members {
    cache: Cache,
    layout: GroupLayout,
}

impl Members {
    /// Everybody, by the names of their nodes. Takes no request.
    pub fn all(&self) -> Vec<Member> {
        let snapshot = self.cache.snapshot();
        let children = snapshot.children(self.cache.path());
        children.filter_map(|node| self.member(node)).collect()
    }

    fn member(&self, node: &CachedNode) -> Option<Member> {
        let name = node.name();
        let id = match self.layout {
            GroupLayout::Curator => name.to_owned(),
            GroupLayout::Party if name.contains(PARTY) => {
                String::from_utf8_lossy(node.data()).into_owned()
            }
            GroupLayout::Party => return None,
            GroupLayout::ShallowParty => name.split_once('-').map_or(name, |it| it.1).to_owned(),
        };
        Some(Member {
            id,
            data: node.data().clone(),
            session: node.stat().ephemeral_owner,
        })
    }

    /// A number that grows whenever somebody comes, goes or says something else.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.cache.changes()
    }

    /// How far it is behind.
    pub fn freshness(&self) -> Freshness {
        self.cache.freshness()
    }

    /// Waits until it sees everything that anybody did before this was called.
    ///
    /// # Errors
    ///
    /// The client's end.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn barrier(&self) -> Result<Zxid, Error> {
        self.cache.barrier().await
    }
}
