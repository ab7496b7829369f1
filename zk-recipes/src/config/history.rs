//! The versions of a layer that were published, next to it.

use super::Config;
use crate::cache::Scope;
use crate::error::Error;
use bytes::Bytes;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::debug;
use zk_client::ops::{MultiRead, ReadResult};
use zk_client::{Client, ErrorCode};

/// A version that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number among those of its layer, by which they are in order.
    pub number: i32,
    /// What was published, as JSON.
    pub data: Bytes,
    /// When, by the servers' clock.
    pub published: SystemTime,
}

pub(super) fn directory(path: &str) -> String {
    Scope::child(path, "history")
}

/// What a version is created as.
pub(super) fn numbered(path: &str) -> String {
    format!("{}/v-", directory(path))
}

fn number(name: &str) -> Option<i32> {
    name.strip_prefix("v-")?.parse().ok()
}

/// The names of all versions, the oldest first.
async fn names(client: &Client, path: &str) -> Result<Vec<String>, zk_client::Error> {
    let mut names = match client.children(directory(path)).await {
        Ok(names) => names,
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Vec::new(),
        Err(error) => return Err(error),
    };
    names.retain(|name| number(name).is_some());
    names.sort_by_key(|name| number(name));
    Ok(names)
}

/// Deletes all but the newest versions. What cannot be deleted now is so after a later publication.
pub(super) async fn forget(client: &Client, path: &str, keep: usize) {
    let names = match names(client, path).await {
        Ok(names) => names,
        Err(error) => {
            debug!(path, %error, "old versions are not forgotten yet");
            return;
        }
    };
    let old = names.len().saturating_sub(keep);
    for name in names.iter().take(old) {
        let forgotten = client.delete(Scope::child(&directory(path), name)).await;
        if let Err(error) = forgotten {
            debug!(path, %error, "an old version is not forgotten yet");
        }
    }
}

impl<T> Config<T> {
    /// The versions of a layer that were [published](Self::publish) and are kept, the oldest first. To go back to one
    /// is to publish it again.
    ///
    /// # Errors
    ///
    /// What the servers refuse, or a lost connection.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn history(&self, path: &str) -> Result<Vec<Revision>, Error> {
        let names = names(&self.client, path).await?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let reads = names.iter().fold(self.client.multi_read(), |reads, name| {
            MultiRead::get(reads, Scope::child(&directory(path), name))
        });
        let found = names.iter().zip(reads.await?);
        let revisions = found.filter_map(|(name, found)| match found {
            ReadResult::Data(data, stat) => Some(Revision {
                number: number(name)?,
                data,
                published: UNIX_EPOCH + Duration::from_millis(stat.ctime.try_into().ok()?),
            }),
            ReadResult::Children(_) | ReadResult::Refused(_) => None,
        });
        Ok(revisions.collect())
    }
}
