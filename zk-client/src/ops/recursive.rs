//! Deletes a subtree from its leaves up, a bounded batch at a time: neither the subtree nor the list of requests
//! is ever in memory as a whole.

use crate::call::Call;
use crate::client::Client;
use crate::draft::Draft;
use crate::error::Error;
use bytes::BufMut;
use std::time::Duration;
use zk_proto::{ErrorCode, OpCode};

/// Requests on their way at a time.
const BATCH: usize = 64;
/// How often somebody else may create a node where we delete before we give up.
const PATIENCE: usize = 64;

/// Deletes a subtree; from [`Delete::recursive`](super::Delete::recursive). What others create in it meanwhile is
/// deleted too, if it is seen in time.
///
/// # Cancellation
///
/// What was deleted stays deleted; at most one batch more is.
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct DeleteRecursive<'a> {
    pub(super) draft: Draft<'a>,
}

impl DeleteRecursive<'_> {
    /// How long to wait for each answer, instead of the client's default; `None` waits as long as the session
    /// lives.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.draft.timeout = timeout.into();
        self
    }

    /// Takes its place in the order now, with its first look.
    pub fn send(mut self) -> Call<()> {
        let client = self.draft.client.clone();
        let timeout = self.draft.timeout;
        let wire = crate::session::wire_path(&self.draft.frame).unwrap_or_default();
        if wire == "/" {
            self.draft.refuse("the root cannot be deleted");
        }
        let path = crate::path::strip(client.root(), &wire).to_owned();
        self.draft.change_op(OpCode::GetChildren);
        self.draft.frame.put_u8(0);
        let first = self.draft.send(super::read::names);
        Call::steps(async move {
            let children = first.await?;
            let mut walk = Walk {
                client,
                timeout,
                levels: vec![Level { path, children }],
                patience: PATIENCE,
            };
            while walk.step().await? {}
            Ok(())
        })
    }
}

impl std::future::IntoFuture for DeleteRecursive<'_> {
    type Output = Result<(), Error>;
    type IntoFuture = Call<()>;

    fn into_future(self) -> Call<()> {
        self.send()
    }
}

/// A node and those of its children that have not been looked at.
struct Level {
    path: String,
    children: Vec<String>,
}

struct Walk {
    client: Client,
    timeout: Option<Duration>,
    /// From the top down.
    levels: Vec<Level>,
    patience: usize,
}

impl Walk {
    /// Looks at some children of the deepest level, or deletes it if there are none. False at the end.
    async fn step(&mut self) -> Result<bool, Error> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(false);
        };
        let rest = level.children.len().saturating_sub(BATCH);
        let names = level.children.split_off(rest);
        if names.is_empty() {
            let path = std::mem::take(&mut level.path);
            self.levels.pop();
            self.delete(vec![path]).await?;
            return Ok(true);
        }
        let slash = if level.path == "/" { "" } else { "/" };
        let paths = names
            .iter()
            .map(|name| format!("{}{slash}{name}", level.path));
        let looks: Vec<_> = paths
            .map(|path| {
                (
                    self.client.children(&path).timeout(self.timeout).send(),
                    path,
                )
            })
            .collect();
        let mut leaves = Vec::new();
        let mut below = Vec::new();
        for (look, path) in looks {
            match look.await {
                Ok(children) if children.is_empty() => leaves.push(path),
                Ok(children) => below.push(Level { path, children }),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) => return Err(error),
            }
        }
        self.delete(leaves).await?;
        self.levels.extend(below);
        Ok(true)
    }

    /// Deletes what should be without children. What has got some meanwhile is looked at again.
    async fn delete(&mut self, paths: Vec<String>) -> Result<(), Error> {
        let deletes: Vec<_> = paths
            .into_iter()
            .map(|path| (self.client.delete(&path).timeout(self.timeout).send(), path))
            .collect();
        for (delete, path) in deletes {
            match delete.await {
                Ok(()) => {}
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) if error.code() == Some(ErrorCode::NotEmpty) && self.patience > 0 => {
                    self.patience -= 1;
                    let children = self.client.children(&path).timeout(self.timeout).await;
                    match children {
                        Ok(children) => self.levels.push(Level { path, children }),
                        Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
