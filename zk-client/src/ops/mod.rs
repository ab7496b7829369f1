//! Operations: builders that are futures.
//!
//! ```
//! # async fn ops(client: zk_client::Client) -> Result<(), zk_client::Error> {
//! client.create("/a", "one").await?;
//! let (data, stat) = client.get("/a").await?;
//! let first = client.set("/a", "two").version(stat.version).send(); // its place is taken here
//! let second = client.get("/a").send(); // behind it, on the same connection, without waiting
//! second.await?;
//! first.await?;
//! # Ok(()) }
//! ```
//!
//! # Order
//!
//! A call takes its place when it is sent: by `.send()`, or by `.await` on the builder. All calls of a session, from
//! every clone and view, go out and are answered in that order. What has several steps (`parents`, `or_create`,
//! `recursive`, `protected`) takes its place with its first request; the others follow as replies come.
//!
//! # A lost connection
//!
//! Reads are sent again. A write that was sent fails with an unknown outcome, and writes queued behind it fail
//! without being sent. A write queued with none unknown before it waits for the next connection.
//!
//! # Cancellation
//!
//! Every future here may be dropped at any time, as [`Call`](crate::Call) says; operations of several steps say what
//! else they leave.

mod admin;
mod create;
mod making;
mod multi;
mod protected;
mod read;
mod recursive;
mod write;

pub use admin::{AllChildrenNumber, Ephemerals, GetConfig, Reconfig, Sync, WhoAmI};
pub use create::{Create, CreateWithStat};
pub use multi::{Multi, MultiRead, OpResult, ReadResult};
pub use read::{Children, ChildrenWithStat, Exists, Get, GetAcl, Linearizable};
pub use recursive::DeleteRecursive;
pub use write::{AddingWatch, Delete, Set, SetAcl, WatchPath};

use crate::client::Client;
use crate::draft::Draft;
use crate::error::ErrorKind;
use crate::path::IntoPath;
use crate::session::Answered;
use crate::watch::WatchKind;
use zk_proto::OpCode;

/// What every builder of one request has: a timeout of its own, and two ways to be sent.
macro_rules! builder {
    ($name:ident => $future:ty) => {
        impl<'a> $name<'a> {
            /// How long to wait for the answer, instead of the client's default; `None` waits as long as the
            /// session lives.
            #[must_use = "a builder does nothing until it is sent"]
            pub fn timeout(mut self, timeout: impl Into<Option<std::time::Duration>>) -> Self {
                self.draft.timeout = timeout.into();
                self
            }
        }

        impl<'a> std::future::IntoFuture for $name<'a> {
            type Output = <$future as std::future::Future>::Output;
            type IntoFuture = $future;

            fn into_future(self) -> $future {
                self.send()
            }
        }
    };
}
pub(crate) use builder;

/// The answer of what has no answer but success.
pub(super) fn nothing(outcome: Result<Answered, ErrorKind>, _root: &str) -> Result<(), ErrorKind> {
    outcome.map(drop)
}

impl Client {
    /// Reads a node's data and stat.
    pub fn get(&self, path: impl IntoPath) -> Get<'_> {
        Get {
            draft: Draft::new(self, OpCode::GetData, &path, 1),
        }
    }

    /// Asks whether a node is there, and for its stat.
    pub fn exists(&self, path: impl IntoPath) -> Exists<'_> {
        Exists {
            draft: Draft::new(self, OpCode::Exists, &path, 1),
        }
    }

    /// Lists the names of a node's children, in no order.
    pub fn children(&self, path: impl IntoPath) -> Children<'_> {
        Children {
            draft: Draft::new(self, OpCode::GetChildren, &path, 1),
        }
    }

    /// Reads a node's ACL and stat.
    pub fn get_acl(&self, path: impl IntoPath) -> GetAcl<'_> {
        GetAcl {
            draft: Draft::new(self, OpCode::GetAcl, &path, 0),
        }
    }

    /// Creates a node: persistent, unless told otherwise.
    pub fn create(&self, path: impl IntoPath, data: impl AsRef<[u8]>) -> Create<'_> {
        Create::new(self, &path, data.as_ref())
    }

    /// Sets a node's data.
    pub fn set(&self, path: impl IntoPath, data: impl AsRef<[u8]>) -> Set<'_> {
        Set::new(self, &path, data.as_ref())
    }

    /// Sets a node's ACL.
    pub fn set_acl(&self, path: impl IntoPath, acl: impl AsRef<[zk_proto::Acl]>) -> SetAcl<'_> {
        SetAcl::new(self, &path, acl.as_ref())
    }

    /// Deletes a node without children.
    pub fn delete(&self, path: impl IntoPath) -> Delete<'_> {
        Delete {
            draft: Draft::new(self, OpCode::Delete, &path, 4),
            version: None,
        }
    }

    /// Several writes, all or nothing.
    pub fn multi(&self) -> Multi<'_> {
        Multi::new(self)
    }

    /// Several reads in one request; each has a result of its own.
    pub fn multi_read(&self) -> MultiRead<'_> {
        MultiRead::new(self)
    }

    /// Waits until the server has seen what its leader had committed when this reached it.
    pub fn sync(&self, path: impl IntoPath) -> Sync<'_> {
        Sync {
            draft: Draft::new(self, OpCode::Sync, &path, 0),
        }
    }

    /// Watches a node and the list of its children, until the watcher is dropped. The node need not be there.
    /// Servers know it from 3.6 on.
    pub fn watch(&self, path: impl IntoPath) -> WatchPath<'_> {
        WatchPath {
            draft: Draft::new(self, OpCode::AddWatch, &path, 4),
            kind: WatchKind::Persistent,
        }
    }

    /// Watches a node and everything below it, until the watcher is dropped. The node need not be there. Lists of
    /// children are not told; the creation and deletion of each child is. Servers know it from 3.6 on.
    pub fn watch_recursive(&self, path: impl IntoPath) -> WatchPath<'_> {
        WatchPath {
            draft: Draft::new(self, OpCode::AddWatch, &path, 4),
            kind: WatchKind::Recursive,
        }
    }

    /// The paths of this session's ephemeral nodes at and below a prefix, which is text and not a node: `/a` is
    /// also the beginning of `/ab`.
    pub fn ephemerals(&self, prefix: impl IntoPath) -> Ephemerals<'_> {
        Ephemerals {
            draft: Draft::new(self, OpCode::GetEphemerals, &prefix, 0),
        }
    }

    /// Counts all nodes below one.
    pub fn count_descendants(&self, path: impl IntoPath) -> AllChildrenNumber<'_> {
        AllChildrenNumber {
            draft: Draft::new(self, OpCode::GetAllChildrenNumber, &path, 0),
        }
    }

    /// Who the server thinks this connection is. Servers know it from 3.7 on.
    pub fn who_am_i(&self) -> WhoAmI<'_> {
        WhoAmI {
            draft: Draft::bare(self, OpCode::WhoAmI, 0),
        }
    }

    /// The ensemble's configuration, wherever this view's root is.
    pub fn config(&self) -> GetConfig<'_> {
        GetConfig::new(self)
    }

    /// Changes the ensemble.
    pub fn reconfig(&self) -> Reconfig<'_> {
        Reconfig::new(self)
    }
}
