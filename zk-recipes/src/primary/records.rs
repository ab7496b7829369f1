//! The record of the primary as it changes: for backups that follow it, and for clients that look for it.

use super::record::PrimaryRecord;
use crate::error::Error;
use crate::patience::repeat;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;
use zk_client::{Client, ErrorCode, Once, Version};

/// Where the record stands.
pub(super) fn record_path(root: &str) -> String {
    format!("{root}/primary")
}

/// One record after the other.
#[derive(Debug)]
pub(super) struct Records {
    client: Client,
    path: String,
    told: Option<Option<PrimaryRecord>>,
    changed: Option<Once>,
}

impl Records {
    pub(super) fn new(client: &Client, root: &str) -> Self {
        Self {
            client: client.clone(),
            path: record_path(root),
            told: None,
            changed: None,
        }
    }

    /// The record, at first; then the next one. May be dropped at any await: a record counts as told only when it is
    /// returned.
    pub(super) async fn next(&mut self) -> Result<Option<PrimaryRecord>, Error> {
        loop {
            if let Some(changed) = self.changed.take() {
                let _event = changed.changed().await;
            }
            let (record, changed) = self.look().await?;
            self.changed = Some(changed);
            if self.told.as_ref() != Some(&record) {
                self.told = Some(record.clone());
                return Ok(record);
            }
        }
    }

    async fn look(&self) -> Result<(Option<PrimaryRecord>, Once), Error> {
        let get = || self.client.get(&self.path).timeout(None).watch();
        let exists = || self.client.exists(&self.path).timeout(None).watch();
        loop {
            match repeat(&self.client, get).await {
                Ok(((data, _), changed)) => return Ok((parse(&data), changed)),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) => return Err(error.into()),
            }
            if let (None, made) = repeat(&self.client, exists).await? {
                return Ok((None, made));
            }
        }
    }
}

/// What somebody else has written there is no record, and is replaced by the next primary.
fn parse(data: &[u8]) -> Option<PrimaryRecord> {
    serde_json::from_slice(data).ok()
}

/// The record now, with the version that replaces it.
pub(super) async fn read(
    client: &Client,
    root: &str,
) -> Result<Option<(Option<PrimaryRecord>, Version)>, Error> {
    let path = record_path(root);
    let get = || client.get(&path).timeout(None);
    let read = crate::patience::found(repeat(client, get).await)?;
    Ok(read.map(|(data, stat)| (parse(&data), stat.version)))
}

/// Knows the primary, for the clients of a service: a copy in memory, kept up to date by a watch, and kept as it was
/// while no server answers.
///
/// Costs 1 request (2 before the first primary) and 1 watch, and 1 request for each change; to look costs none.
#[derive(Debug)]
pub struct Resolver {
    known: watch::Receiver<Option<Arc<PrimaryRecord>>>,
    follower: JoinHandle<()>,
}

impl Resolver {
    /// Follows the primary of the service below this node. Known from the first look on.
    ///
    /// # Errors
    ///
    /// The servers' refusal, or the client's end.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn new(client: &Client, root: impl Into<String>) -> Result<Self, Error> {
        let mut records = Records::new(client, &root.into());
        let first = records.next().await?.map(Arc::new);
        let (sender, known) = watch::channel(first);
        let follower = tokio::spawn(async move {
            loop {
                match records.next().await {
                    Ok(record) => drop(sender.send(record.map(Arc::new))),
                    Err(error) => {
                        warn!(%error, "the primary is not followed any more");
                        return;
                    }
                }
            }
        });
        Ok(Self { known, follower })
    }

    /// The primary as it was known last, or the last one: whether it still is, only it can say. Neither waits nor
    /// asks.
    pub fn current(&self) -> Option<Arc<PrimaryRecord>> {
        self.known.borrow().clone()
    }

    /// Waits for a primary of a later term: for whoever was refused, or not answered, by that of this one. With 0, for
    /// any.
    ///
    /// # Errors
    ///
    /// The client's end, told as [`Error::Usage`].
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn after(&self, epoch: u64) -> Result<Arc<PrimaryRecord>, Error> {
        let mut known = self.known.clone();
        let later = |record: &Option<Arc<PrimaryRecord>>| {
            let later = record.as_ref().filter(|record| record.epoch > epoch);
            later.is_some_and(|record| !record.clean)
        };
        let found = known.wait_for(later).await;
        let found = found.ok().and_then(|record| record.clone());
        found.ok_or(Error::Usage("the primary is not followed any more"))
    }

    /// Whether changes are still heard of; false once the client has come to its end.
    pub fn is_following(&self) -> bool {
        !self.follower.is_finished()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.follower.abort();
    }
}
