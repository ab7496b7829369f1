//! An ordered set of contenders in one directory: ephemeral nodes with numbers, each of which waits for one before it.
//! Locks, leaders and the queue before a semaphore are contests with different rules of who waits for whom.
//!
//! The create and the first look at the directory are sent together.

use crate::error::{Error, may_try_again};
use crate::keeper::PAUSE;
use crate::naming::{Contender, Mark, Naming, Rules};
use crate::operation;
use crate::presence::{OnSuspension, Presence};
use std::time::Duration;
use zk_client::{Client, ErrorCode, OnceEvent};

/// Whom a contender waits for, among those in the directory, first come first: somebody before it, or nobody.
pub(crate) type Blocker = for<'a> fn(&'a [Contender], &Contender) -> Option<&'a Contender>;

/// Waits for the nearest before it: exclusive.
pub(crate) fn nearest<'a>(all: &'a [Contender], me: &Contender) -> Option<&'a Contender> {
    all.iter().rev().find(|it| it.is_before(me))
}

/// Waits for the nearest before it that wants to write: for a reader.
pub(crate) fn nearest_writer<'a>(all: &'a [Contender], me: &Contender) -> Option<&'a Contender> {
    let writers = all.iter().rev().filter(|it| it.mark == Mark::Write);
    writers.into_iter().find(|it| it.is_before(me))
}

/// A directory, who may be in it, and what is written into our nodes.
#[derive(Clone, Debug)]
pub(crate) struct Contest {
    pub(crate) client: Client,
    pub(crate) directory: String,
    pub(crate) rules: Rules,
    pub(crate) data: Vec<u8>,
    pub(crate) policy: OnSuspension,
}

/// How a wait ended.
enum Turn {
    Mine,
    /// The node or its session is gone: whoever waits goes to the end of the queue.
    Gone,
}

impl Contest {
    pub(crate) fn new(client: &Client, directory: String, rules: Rules) -> Self {
        Self {
            client: client.clone(),
            directory,
            rules,
            data: Vec::new(),
            policy: OnSuspension::default(),
        }
    }

    /// The path of a child.
    pub(crate) fn path(&self, name: &str) -> String {
        let slash = if self.directory == "/" { "" } else { "/" };
        format!("{}{slash}{name}", self.directory)
    }

    /// Enters at the end of the queue: our node, and who is there.
    pub(crate) async fn enter(&self, mark: Mark) -> Result<(Presence, Vec<Contender>), Error> {
        loop {
            let path = self.path(mark.text(self.rules.naming));
            let create = self
                .client
                .create(path, &self.data)
                .ephemeral()
                .sequential();
            // kazoo makes the directory once and never looks again: one that goes when it is empty would fail it.
            let stays = self.rules.naming == Naming::Kazoo;
            let create = if stays { create } else { create.parents() };
            let create = create.protected().timeout(None).with_stat().send();
            let list = self.client.children(&self.directory).timeout(None).send();
            let presence = match create.await {
                Ok((path, stat)) => Presence::adopt(&self.client, path, &stat, self.policy),
                Err(error) if stays && error.code() == Some(ErrorCode::NoNode) => {
                    operation::make_directory(&self.client, &self.directory).await?;
                    continue;
                }
                // What the lost attempt may have left is looked for in the background.
                Err(error) if may_try_again(&self.client, &error) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let listed = match list.await {
                Ok(names) => self.sort(names)?,
                Err(_) => Vec::new(),
            };
            // Where the directory had to be made, or the connection was lost, the list may be older than the node.
            let listed = if listed.iter().any(|it| it.name == presence.name()) {
                listed
            } else {
                self.list().await?
            };
            return Ok((presence, listed));
        }
    }

    /// Creates a node of this very name, behind a prefix of its own.
    pub(crate) async fn stand(&self, name: &str) -> Result<Presence, Error> {
        Presence::stand(&self.client, &self.path(name), &self.data, self.policy).await
    }

    /// Who is there; nobody where there is no directory.
    pub(crate) async fn list(&self) -> Result<Vec<Contender>, Error> {
        loop {
            match self.client.children(&self.directory).timeout(None).await {
                Ok(names) => return self.sort(names),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(Vec::new()),
                Err(error) if may_try_again(&self.client, &error) => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(crate) fn sort(&self, names: Vec<String>) -> Result<Vec<Contender>, Error> {
        let directory = || self.directory.clone();
        let sorted = self.rules.sort(names);
        sorted.map_err(|name| Error::ForeignContenders {
            directory: directory(),
            name,
        })
    }

    /// Enters and waits until nobody blocks. If the node goes meanwhile, with its session or by an operator's hand,
    /// it enters anew, at the end.
    pub(crate) async fn wait(&self, mark: Mark, blocker: Blocker) -> Result<Presence, Error> {
        loop {
            let (presence, listed) = self.enter(mark).await?;
            match self.turn(&presence, listed, blocker).await? {
                Turn::Mine if self.confirm(&presence).await? => return Ok(presence),
                Turn::Mine => drop(presence),
                Turn::Gone => drop(presence),
            }
        }
    }

    /// Asks the leader whether the session lives, unless it has said so lately: pings, which is all that somebody who
    /// waits sends, prove nothing, and a hold whose time is over when it begins is none.
    pub(crate) async fn confirm(&self, presence: &Presence) -> Result<bool, Error> {
        let third = self.client.session_timeout() / 3;
        let left = |until| self.client.clock().until(until);
        while self.client.alive_until().map_or(Duration::ZERO, left) < third {
            match self.client.sync(presence.path()).timeout(None).await {
                // The client shows the new deadline a moment after the answer.
                Ok(()) => tokio::task::yield_now().await,
                Err(error) if may_try_again(&self.client, &error) => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(presence.is_of_this_session())
    }

    /// Waits, and holds.
    pub(crate) async fn win(&self, mark: Mark, blocker: Blocker) -> Result<Presence, Error> {
        let presence = self.wait(mark, blocker).await?;
        presence.hold();
        Ok(presence)
    }

    /// Enters, and stays only if nobody blocks.
    pub(crate) async fn win_at_once(
        &self,
        mark: Mark,
        blocker: Blocker,
    ) -> Result<Option<Presence>, Error> {
        // A look before a write: whoever tries again and again costs the servers reads.
        let probe = |all: &[Contender]| match (mark, all.last()) {
            (_, None) => false,
            (Mark::Read, Some(_)) => all.iter().any(|it| it.mark == Mark::Write),
            (Mark::Lock | Mark::Write | Mark::Latch | Mark::Lease, Some(_)) => true,
        };
        if probe(&self.list().await?) {
            return Ok(None);
        }
        let (presence, listed) = self.enter(mark).await?;
        let me = listed.iter().find(|it| it.name == presence.name());
        let free = me.is_some_and(|me| blocker(&listed, me).is_none());
        if free && self.confirm(&presence).await? {
            presence.hold();
            return Ok(Some(presence));
        }
        Ok(None)
    }

    async fn turn(
        &self,
        presence: &Presence,
        mut listed: Vec<Contender>,
        blocker: Blocker,
    ) -> Result<Turn, Error> {
        loop {
            let Some(me) = listed.iter().find(|it| it.name == presence.name()) else {
                return Ok(Turn::Gone);
            };
            let Some(before) = blocker(&listed, me) else {
                let ours = presence.is_of_this_session();
                return Ok(if ours { Turn::Mine } else { Turn::Gone });
            };
            // Data, not existence: no watch is left where the node is gone.
            let before = self.path(&before.name);
            match self.client.get(&before).timeout(None).watch().await {
                Ok((_, changed)) => match changed.changed().await {
                    OnceEvent::Fired(_) => {}
                    OnceEvent::Lost => return Ok(Turn::Gone),
                },
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) if may_try_again(&self.client, &error) => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
            listed = self.list().await?;
        }
    }
}
