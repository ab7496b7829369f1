//! A barrier that a number of members pass together, twice: they begin together and end together.
//!
//! A round is open when its flag, the node `ready`, was written after the member's own node. So the flag of a round
//! whose members have crashed lets nobody in, and those who come early for the next round are not mistaken for members
//! of this one.

use crate::error::{Error, Loss, may_try_again};
use crate::guard::Guard;
use crate::patience::{found, repeat};
use crate::presence::{OnSuspension, Presence};
use crate::token::Token;
use std::time::Duration;
use zk_client::ops::ReadResult;
use zk_client::{Client, ErrorCode, EventType, Once, OnceEvent, SessionId, Stat, Version, Zxid};

/// What says that a round is open.
const READY: &str = "ready";

/// A barrier with so many members: nobody is in before all are there, nobody is out before all have left. Shares its
/// directory with Curator's `DistributedDoubleBarrier` and kazoo's `DoubleBarrier`.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_client::testkit::TestServer::start().await?;
/// # let client = zk_client::Client::connect(server.address().to_string()).await?;
/// use zk_recipes::DoubleBarrier;
///
/// let member = DoubleBarrier::new(&client, "/night/rebuild", 1)?;
/// let inside = member.enter().await?; // when all have come
/// inside.leave().await?; // when all have finished
/// # Ok(()) }
/// ```
///
/// | | |
/// |---|---|
/// | guarantee | [`enter`](DoubleBarrier::enter) returns after so many members were there at the same time; [`leave`](Entered::leave) returns after every member of the round has left or its session has ended. One who gives up while the others come in may have been counted |
/// | suspension | a member is told by [`OnSuspension`], as a lock's holder is; one who waits fails |
/// | session's end | fails, and never passes; the others wait for another member, or leave without it |
/// | cancellation | the member is taken out in the background |
/// | cost | to enter 5 requests (create, exists and get of the own node, exists, list), or 7 for who comes last; 1 watch on the flag and 1 on the own node. To leave 3 (list, stats, delete) and 2 for each wait: the one whose name comes first waits for the last, the others for the first. While inside, a `sync` in every third of the session timeout |
/// | layout | `<directory>/_c_<uuid>-member` (ephemeral), data as [`DoubleBarrierBuilder::id`]; `<directory>/ready` (persistent) while a round is open. Other nodes are no members, unless they are ephemeral |
///
/// Where members of Curator or kazoo take part, a flag that they have left behind lets *them* in at once. Those of kazoo
/// take the flag away before they leave: a member, of whichever kind, that has no connection at that moment does not
/// hear of its round and waits for another, while they wait for it to leave. [`enter_timeout`](DoubleBarrier::enter_timeout)
/// ends that.
#[derive(Clone, Debug)]
pub struct DoubleBarrier {
    client: Client,
    directory: String,
    members: usize,
    id: Vec<u8>,
    policy: OnSuspension,
}

/// What a double barrier is to be like; from [`DoubleBarrier::builder`].
#[must_use = "a builder makes nothing until it is told"]
#[derive(Clone, Debug)]
pub struct DoubleBarrierBuilder {
    barrier: DoubleBarrier,
}

impl DoubleBarrierBuilder {
    /// What others see of a member: text, such as a host's name. Nothing unless told.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.barrier.id = id.into().into_bytes();
        self
    }

    /// When a member counts as lost while no server answers.
    pub const fn on_suspension(mut self, policy: OnSuspension) -> Self {
        self.barrier.policy = policy;
        self
    }

    /// The barrier. Nothing is asked of the servers yet.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] without members.
    pub fn build(self) -> Result<DoubleBarrier, Error> {
        if self.barrier.members == 0 {
            return Err(Error::Usage("a barrier has at least one member"));
        }
        Ok(self.barrier)
    }
}

impl DoubleBarrier {
    /// The barrier of a directory, for so many members.
    ///
    /// # Errors
    ///
    /// As [`DoubleBarrierBuilder::build`].
    pub fn new(
        client: &Client,
        directory: impl Into<String>,
        members: usize,
    ) -> Result<Self, Error> {
        Self::builder(client, directory, members).build()
    }

    /// Describes a barrier.
    pub fn builder(
        client: &Client,
        directory: impl Into<String>,
        members: usize,
    ) -> DoubleBarrierBuilder {
        DoubleBarrierBuilder {
            barrier: Self {
                client: client.clone(),
                directory: directory.into(),
                members,
                id: Vec::new(),
                policy: OnSuspension::default(),
            },
        }
    }

    /// The directory.
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// Comes in, and waits until all members are there.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the member was lost while it waited; the servers' refusal, or the client's end.
    ///
    /// # Cancellation
    ///
    /// The member is taken out.
    pub async fn enter(&self) -> Result<Entered, Error> {
        let path = self.path("member");
        let presence = Presence::stand(&self.client, &path, &self.id, self.policy).await?;
        presence.hold();
        let member = Guard::new(presence);
        let (opened, flag) = tokio::select! {
            biased;
            loss = member.lost() => return Err(Error::Lost(loss)),
            opened = self.opened(member.token()) => opened?,
        };
        Ok(Entered {
            barrier: self.clone(),
            member,
            opened,
            flag,
        })
    }

    /// As [`enter`](Self::enter), but not for longer than this; `None` after that.
    ///
    /// # Errors
    ///
    /// As [`enter`](Self::enter).
    ///
    /// # Cancellation
    ///
    /// As [`enter`](Self::enter); so too at the end of the time.
    pub async fn enter_timeout(&self, patience: Duration) -> Result<Option<Entered>, Error> {
        let entered = tokio::time::timeout(patience, self.enter()).await;
        entered.map_or(Ok(None), |entered| entered.map(Some))
    }

    fn path(&self, name: &str) -> String {
        let slash = if self.directory == "/" { "" } else { "/" };
        format!("{}{slash}{name}", self.directory)
    }

    /// Waits until the round of a member is open, and opens it if the member is the last that was missing.
    ///
    /// Tells when the flag was raised, and its version.
    async fn opened(&self, member: Token) -> Result<(Zxid, Version), Error> {
        let ready = self.path(READY);
        let mut raised = None;
        loop {
            let flag = || self.client.exists(&ready).timeout(None).watch();
            let (flag, changed) = repeat(&self.client, flag).await?;
            if let Some(flag) = &flag
                && flag.mzxid > member.zxid()
            {
                return Ok((flag.mzxid, flag.version));
            }
            // Whoever was quick has put it away again, as kazoo's members do before they leave.
            if let Some(raised) = raised {
                return Ok((raised, Version(0)));
            }
            if self.gathered(flag.as_ref()).await? >= self.members {
                self.raise(&ready, flag.as_ref()).await?;
                continue;
            }
            // The session's end fires it too; the member's guard tells of that.
            if let OnceEvent::Fired(event) = changed.changed().await
                && matches!(event.kind, EventType::Created | EventType::DataChanged)
            {
                raised = Some(event.zxid.unwrap_or(self.client.last_zxid()));
            }
        }
    }

    /// How many are there for the round to come: all of them, or, with the flag of an earlier round, those that came
    /// after it was raised.
    async fn gathered(&self, old: Option<&Stat>) -> Result<usize, Error> {
        let names = self.members().await?;
        if names.len() < self.members {
            return Ok(names.len());
        }
        let before = old.map_or(Zxid::ZERO, |old| old.mzxid);
        let came = self.came(names).await?;
        Ok(came.iter().filter(|(_, at)| *at > before).count())
    }

    /// Says that the round is open. An old flag is written again: whoever waits looks at when that was.
    async fn raise(&self, ready: &str, old: Option<&Stat>) -> Result<(), Error> {
        let raised = match old {
            None => self.client.create(ready, "").await.map(drop),
            Some(old) => {
                let again = self.client.set(ready, "").version(old.version);
                again.await.map(drop)
            }
        };
        match raised {
            Ok(()) => Ok(()),
            // Somebody else was faster; the next look tells.
            Err(error)
                if matches!(
                    error.code(),
                    Some(ErrorCode::NodeExists | ErrorCode::BadVersion | ErrorCode::NoNode)
                ) =>
            {
                Ok(())
            }
            Err(error) if may_try_again(&self.client, &error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of all who are there.
    async fn members(&self) -> Result<Vec<String>, Error> {
        let list = || self.client.children(&self.directory).timeout(None);
        let names = found(repeat(&self.client, list).await)?.unwrap_or_default();
        Ok(names.into_iter().filter(|name| name != READY).collect())
    }

    /// When each of them came; those that have gone meanwhile are left out, and so are nodes that do not go with a
    /// session, which are no members.
    async fn came(&self, names: Vec<String>) -> Result<Vec<(String, Zxid)>, Error> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let look = || {
            let reads = self.client.multi_read().timeout(None);
            names
                .iter()
                .fold(reads, |reads, name| reads.get(self.path(name)))
        };
        let looked = repeat(&self.client, look).await?;
        let came = names.iter().zip(looked).filter_map(|(name, it)| match it {
            ReadResult::Data(_, stat) if stat.ephemeral_owner != SessionId::NONE => {
                Some((name.clone(), stat.czxid))
            }
            ReadResult::Data(..) | ReadResult::Children(_) | ReadResult::Refused(_) => None,
        });
        Ok(came.collect())
    }

    /// The members of a round that have not left, by name.
    async fn round(&self, opened: Zxid) -> Result<Vec<String>, Error> {
        let came = self.came(self.members().await?).await?;
        let round = came.into_iter().filter(|(_, at)| *at < opened);
        let mut round: Vec<_> = round.map(|(name, _)| name).collect();
        round.sort_unstable();
        Ok(round)
    }

    /// Fires when somebody is gone; `None` if he is already.
    async fn watch(&self, name: &str) -> Result<Option<Once>, Error> {
        let path = self.path(name);
        let get = || self.client.get(&path).timeout(None).watch();
        let watched = found(repeat(&self.client, get).await)?;
        Ok(watched.map(|(_, gone)| gone))
    }
}

/// A member that is inside; from [`DoubleBarrier::enter`]. Dropping it takes the member out without waiting for the
/// others.
#[must_use = "who is not kept has left"]
#[derive(Debug)]
pub struct Entered {
    barrier: DoubleBarrier,
    member: Guard,
    /// When the flag of this round was raised, and the version it had then.
    opened: Zxid,
    flag: Version,
}

impl Entered {
    /// The member's own node: its loss, its fenced writes.
    pub const fn member(&self) -> &Guard {
        &self.member
    }

    /// Leaves, and waits until all members of the round have left.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the member was lost before: then the others may have left without it. The servers' refusal,
    /// or the client's end.
    ///
    /// # Cancellation
    ///
    /// The member leaves in the background.
    pub async fn leave(self) -> Result<(), Error> {
        let Self {
            barrier,
            member,
            opened,
            flag,
        } = self;
        let own = member
            .path()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        loop {
            if let Some(loss) = member.loss_signal().loss() {
                return Err(Error::Lost(loss));
            }
            let round = barrier.round(opened).await?;
            let is_first = round.first() == Some(&own);
            let last = round.last().filter(|last| **last != own);
            match last {
                // The last one puts the flag away, in one step with its own node: nobody may mistake the two.
                None if is_first => return barrier.end(member, flag).await,
                // The first waits for the last, whoever that is then.
                Some(last) if is_first => {
                    if let Some(gone) = barrier.watch(last).await? {
                        tokio::select! {
                            biased;
                            loss = member.lost() => return Err(Error::Lost(loss)),
                            _ = gone.changed() => {}
                        }
                    }
                }
                Some(_) | None => break,
            }
        }
        member.release().await?;
        barrier.others_left(opened).await
    }
}

impl DoubleBarrier {
    /// Takes the last member out, and the flag with it if it is still that of its round.
    async fn end(&self, member: Guard, flag: Version) -> Result<(), Error> {
        let together = member.fenced().delete(self.path(READY), flag);
        let ended = together.delete(member.path(), None).commit().await;
        let released = member.release().await;
        match (ended, released) {
            (Ok(_), _) => Ok(()),
            (Err(Error::Lost(loss)), _) => Err(Error::Lost(loss)),
            // The step was done after all, though its reply was lost.
            (Err(_), Err(Error::Lost(Loss::Deleted))) => Ok(()),
            // The flag is not that of the round any more, or nobody knows: the member has left all the same.
            (Err(_), released) => released,
        }
    }

    /// Waits for everybody else in a round, each time for the one whose name comes first: the others wait for it too.
    async fn others_left(&self, opened: Zxid) -> Result<(), Error> {
        loop {
            let round = self.round(opened).await?;
            let Some(first) = round.first() else {
                return Ok(());
            };
            if let Some(gone) = self.watch(first).await? {
                let _event = gone.changed().await;
            }
        }
    }
}
