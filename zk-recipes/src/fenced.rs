//! Writes that stand only while their writer holds: each goes in one multi with a check of the holder's node.

use crate::error::{Error, Loss};
use crate::presence::Presence;
use zk_client::ops::{Multi, OpResult};
use zk_client::{Acl, CreateMode, ErrorKind, IntoPath, Version};

/// Writes of a holder, all or nothing, and nothing unless it still holds; from [`Guard::fenced`](crate::Guard::fenced).
///
/// Exact where the written nodes are in the same ensemble: the servers decide about the check and the writes in one
/// step (S72). Elsewhere, hand out the [`Token`](crate::Token).
///
/// A failure whose outcome is unknown stays unknown, as for any write.
#[must_use = "it is sent by `commit`"]
#[derive(Debug)]
pub struct Fenced<'a> {
    multi: Multi<'a>,
    /// Whose checks come first.
    holders: Vec<&'a Presence>,
}

impl<'a> Fenced<'a> {
    pub(crate) fn new(
        client: &'a zk_client::Client,
        holders: impl Iterator<Item = &'a Presence>,
    ) -> Self {
        let holders: Vec<_> = holders.collect();
        let check = |multi: Multi<'a>, holder: &&Presence| multi.check(holder.path(), None);
        Self {
            multi: holders.iter().fold(client.multi(), check),
            holders,
        }
    }

    fn and(self, add: impl FnOnce(Multi<'a>) -> Multi<'a>) -> Self {
        Self {
            multi: add(self.multi),
            holders: self.holders,
        }
    }

    /// Demands that a node is there and its data has this version, or any.
    pub fn check(self, path: impl IntoPath, version: impl Into<Option<Version>>) -> Self {
        self.and(|multi| multi.check(path, version))
    }

    /// Creates a persistent node.
    pub fn create(self, path: impl IntoPath, data: impl AsRef<[u8]>) -> Self {
        self.and(|multi| multi.create(path, data))
    }

    /// Creates a node of another kind, or with another ACL than the client's default.
    pub fn create_as(
        self,
        path: impl IntoPath,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
        acl: Option<Vec<Acl>>,
    ) -> Self {
        self.and(|multi| multi.create_as(path, data, mode, acl))
    }

    /// Sets a node's data, if it has this version, or any.
    pub fn set(
        self,
        path: impl IntoPath,
        data: impl AsRef<[u8]>,
        version: impl Into<Option<Version>>,
    ) -> Self {
        self.and(|multi| multi.set(path, data, version))
    }

    /// Deletes a node, if its data has this version, or any.
    pub fn delete(self, path: impl IntoPath, version: impl Into<Option<Version>>) -> Self {
        self.and(|multi| multi.delete(path, version))
    }

    /// Sends it; the results are those of the writes, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the holder holds no more; then nothing was written.
    ///
    /// # Cancellation
    ///
    /// What was sent takes effect or not, unseen.
    pub async fn commit(self) -> Result<Vec<OpResult>, Error> {
        // What is known here is not asked there: the node of a claim may be another's by now, of the same name.
        if let Some(loss) = self.holders.iter().find_map(|it| it.over()) {
            return Err(Error::Lost(loss));
        }
        let holders = self.holders.len();
        match self.multi.await {
            Ok(mut results) => {
                // The checks of the holders are nobody's business.
                results.drain(..results.len().min(holders));
                Ok(results)
            }
            Err(error) => {
                Err(holder_gone(&error, holders).map_or_else(|| error.into(), Error::Lost))
            }
        }
    }
}

/// Whether it was the check of a holder that failed.
fn holder_gone(error: &zk_client::Error, holders: usize) -> Option<Loss> {
    let ErrorKind::Multi { index, .. } = error.kind() else {
        return None;
    };
    (*index < holders).then_some(Loss::Deleted)
}
