//! A walk through a subtree: parents before children, siblings by name. In memory are the names on the way down, and a
//! few nodes read ahead.

use super::below;
use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use zk_proto::{ErrorCode, Stat};

/// How many siblings are read ahead.
const AHEAD: usize = 32;

/// A node, as a walk meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkedNode {
    /// Where it is.
    pub path: String,
    /// Its data.
    pub data: Bytes,
    /// Its stat.
    pub stat: Stat,
}

/// The siblings of one level that are still to be visited.
struct Level {
    parent: String,
    /// Sorted backwards: the next one is the last.
    names: Vec<String>,
    reads: VecDeque<(String, Call<(Bytes, Stat)>)>,
}

/// A walk through a subtree, from [`Client::walk`].
pub struct Walk {
    client: Client,
    levels: Vec<Level>,
    /// Listing the children of the node that was shown last.
    listing: Option<(String, Call<Vec<String>>)>,
}

impl Client {
    /// Visits a node and all below it, parents first. Nodes that vanish meanwhile are left out, and so is all of it if
    /// the node itself is not there.
    pub fn walk(&self, path: impl Into<String>) -> Walk {
        let path = path.into();
        let read = self.get(&path).send();
        let root = Level {
            parent: String::new(),
            names: Vec::new(),
            reads: VecDeque::from([(path, read)]),
        };
        Walk {
            client: self.clone(),
            levels: vec![root],
            listing: None,
        }
    }
}

impl Walk {
    /// The next node; `None` when all were visited. After an error the walk goes on behind the node that failed.
    ///
    /// # Cancellation
    ///
    /// Safe: a node is taken only when it is returned.
    pub async fn next(&mut self) -> Result<Option<WalkedNode>, Error> {
        loop {
            self.enter().await?;
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            while level.reads.len() < AHEAD
                && let Some(name) = level.names.pop()
            {
                let path = below(&level.parent, &name);
                let read = self.client.get(&path).send();
                level.reads.push_back((path, read));
            }
            let Some((_, read)) = level.reads.front_mut() else {
                self.levels.pop();
                continue;
            };
            let read = read.await;
            let Some((path, _)) = level.reads.pop_front() else {
                continue;
            };
            match read {
                Ok((data, stat)) => {
                    if stat.num_children > 0 {
                        let children = self.client.children(&path).send();
                        self.listing = Some((path.clone(), children));
                    }
                    return Ok(Some(WalkedNode { path, data, stat }));
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes down to the children of the node shown last, if it has any.
    async fn enter(&mut self) -> Result<(), Error> {
        let Some((_, listing)) = &mut self.listing else {
            return Ok(());
        };
        let listed = listing.await;
        let Some((parent, _)) = self.listing.take() else {
            return Ok(());
        };
        match listed {
            Ok(mut names) => {
                names.sort_unstable_by(|a, b| b.cmp(a));
                self.levels.push(Level {
                    parent,
                    names,
                    reads: VecDeque::new(),
                });
                Ok(())
            }
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let depth = self.levels.len();
        f.debug_struct("Walk")
            .field("depth", &depth)
            .finish_non_exhaustive()
    }
}
