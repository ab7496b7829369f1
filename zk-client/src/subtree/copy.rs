//! A subtree copied: within a session, to another one, to another ensemble.

use crate::call::Call;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::path::strip;
use bytes::Bytes;
use std::collections::VecDeque;
use zk_proto::{Acl, ErrorCode, OpCode, SessionId};

/// How many nodes are written ahead.
const AHEAD: usize = 32;

/// What became of a copy or an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Nodes that were created.
    pub created: u64,
    /// Nodes that were there, and whose data was replaced.
    pub replaced: u64,
    /// Ephemeral nodes, left out: they belong to a session, which is not copied.
    pub ephemeral: u64,
}

impl Client {
    /// Copies a node and all below it, with data and ACLs, to `to` of another client or of this one. What is there
    /// already keeps its ACL and gets the data; nothing is deleted. Left out are ephemeral nodes and `/zookeeper`.
    /// Copies are persistent: a client cannot see that a
    /// node is a container or has a TTL. Parents of `to` are created.
    ///
    /// A copy into itself, which has no end, is refused where both clients are views of one session.
    ///
    /// # Cancellation
    ///
    /// What was written stays.
    pub async fn copy(&self, from: &str, target: &Self, to: &str) -> Result<Copied, Error> {
        if self.shares_session_with(target)
            && strip(&self.absolute(from), &target.absolute(to)) != target.absolute(to)
        {
            let kind = ErrorKind::Usage("a subtree cannot be copied into itself");
            return Err(Error::new(kind, OpCode::Create, Some(to.into())));
        }
        let mut writes = Writes::new(target);
        let mut walk = self.walk(from);
        while let Some(node) = walk.next().await? {
            if is_reserved(self, &node.path) {
                continue;
            }
            if node.stat.ephemeral_owner != SessionId::NONE {
                writes.copied.ephemeral += 1;
                continue;
            }
            let acl = match self.get_acl(&node.path).await {
                Ok((acl, _)) => acl,
                Err(error) if error.code() == Some(ErrorCode::NoNode) => continue,
                Err(error) => return Err(error),
            };
            let path = moved(from, to, &node.path);
            writes.write(path, node.data, acl).await?;
        }
        writes.finish().await
    }
}

/// What belongs to the ensemble itself, and is not copied to another one.
pub(super) fn is_reserved(client: &Client, path: &str) -> bool {
    let path = client.absolute(path);
    path == "/zookeeper" || path.starts_with("/zookeeper/")
}

/// Where a node goes.
pub(super) fn moved(from: &str, to: &str, path: &str) -> String {
    let from = if from == "/" { "" } else { from };
    let to = if to == "/" { "" } else { to };
    match strip(from, path) {
        "/" if to.is_empty() => "/".to_owned(),
        "/" => to.to_owned(),
        rest => format!("{to}{rest}"),
    }
}

/// Creates on their way, in the order parents need.
pub(super) struct Writes<'a> {
    target: &'a Client,
    begun: bool,
    pending: VecDeque<(String, Bytes, Call<String>)>,
    pub(super) copied: Copied,
}

impl<'a> Writes<'a> {
    pub(super) fn new(target: &'a Client) -> Self {
        Self {
            target,
            begun: false,
            pending: VecDeque::new(),
            copied: Copied::default(),
        }
    }

    /// Takes a node; its parent was taken before, or is above all of them.
    pub(super) async fn write(
        &mut self,
        path: String,
        data: Bytes,
        acl: Vec<Acl>,
    ) -> Result<(), Error> {
        let create = self.target.create(&path, &data).acl(acl);
        let begins = !self.begun && path != "/";
        let create = if begins { create.parents() } else { create };
        self.pending.push_back((path, data, create.send()));
        // Only the first one has parents that nobody has written yet.
        let ahead = if self.begun { AHEAD } else { 0 };
        self.begun = true;
        self.settle(ahead).await
    }

    pub(super) async fn finish(mut self) -> Result<Copied, Error> {
        self.settle(0).await?;
        Ok(self.copied)
    }

    /// Waits until no more than so many are on their way.
    async fn settle(&mut self, ahead: usize) -> Result<(), Error> {
        while self.pending.len() > ahead
            && let Some((path, data, create)) = self.pending.pop_front()
        {
            match create.await {
                Ok(_) => self.copied.created += 1,
                Err(error) if error.code() == Some(ErrorCode::NodeExists) => {
                    self.target.set(&path, &data).await?;
                    self.copied.replaced += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
