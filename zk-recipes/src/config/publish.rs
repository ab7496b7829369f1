//! Publishing a layer: checked before it is written, and written only over the version that was seen.

use super::{Config, history};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zk_client::{CreateMode, ErrorCode, ErrorKind, Version};

/// Why a layer was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The write failed; [`outcome`](zk_client::Error::outcome) says what became of it.
    #[error(transparent)]
    Client(#[from] zk_client::Error),
    /// Somebody else has written it since it was seen. Nothing was written.
    #[error("{path} is not at the version that was seen")]
    Changed {
        /// Which layer.
        path: String,
    },
    /// With it the configuration would be rejected. Nothing was written.
    #[error("it would be rejected: {why}")]
    Rejected {
        /// What is wrong.
        why: String,
    },
    /// The value is no JSON. Nothing was written.
    #[error(transparent)]
    Encode(#[from] serde_json::Error),
    /// The path is no layer of this configuration. Nothing was written.
    #[error("{path} is no layer")]
    NoLayer {
        /// The path.
        path: String,
    },
}

impl<T: DeserializeOwned + Send + Sync + 'static> Config<T> {
    /// Publishes a layer over the version that was seen, or, with `None`, where there is none yet. Yields its version.
    /// The whole is checked first, with the other layers as they were a moment before.
    ///
    /// # Errors
    ///
    /// [`PublishError`]. Only one from the client may have been written all the same.
    ///
    /// # Cancellation
    ///
    /// It may be written all the same.
    pub async fn publish(
        &self,
        path: &str,
        value: &impl Serialize,
        seen: Option<Version>,
    ) -> Result<Version, PublishError> {
        let value = serde_json::to_value(value)?;
        // Checked against what was written before. Where that cannot be known, the write will fail as well.
        let _current = self.barrier().await;
        self.would_pass(path, &value)?;
        let data = serde_json::to_vec(&value)?;
        let version = match seen {
            Some(version) => self.replace(path, &data, version).await?,
            None => self.create(path, &data).await?,
        };
        history::forget(&self.client, path, self.keep).await;
        Ok(version)
    }

    fn would_pass(&self, path: &str, value: &serde_json::Value) -> Result<(), PublishError> {
        if !self.layers.iter().any(|it| it.path == path) {
            let path = path.to_owned();
            return Err(PublishError::NoLayer { path });
        }
        let mut inner = self.board.inner();
        inner.fit(self.layers.len());
        let layers = self.layers.iter().zip(&inner.seen);
        let layers = layers.map(|(layer, seen)| {
            let replaced = layer.path == path;
            if replaced {
                Some(value)
            } else {
                seen.value.as_ref()
            }
        });
        let passed = self.rules.apply(layers);
        passed
            .map(drop)
            .map_err(|why| PublishError::Rejected { why })
    }

    async fn replace(
        &self,
        path: &str,
        data: &[u8],
        seen: Version,
    ) -> Result<Version, PublishError> {
        loop {
            let replace = self.client.multi().set(path, data, seen);
            let numbered = history::numbered(path);
            let mode = CreateMode::PersistentSequential;
            match replace.create_as(&numbered, data, mode, None).await {
                Ok(_) => return Ok(Version(seen.0.wrapping_add(1))),
                Err(error) => match (error.kind(), error.code()) {
                    (ErrorKind::Multi { index: 1, .. }, Some(ErrorCode::NoNode)) => {
                        self.make(&history::directory(path)).await?;
                    }
                    (_, Some(ErrorCode::BadVersion | ErrorCode::NoNode)) => {
                        let path = path.to_owned();
                        return Err(PublishError::Changed { path });
                    }
                    _ => return Err(error.into()),
                },
            }
        }
    }

    async fn create(&self, path: &str, data: &[u8]) -> Result<Version, PublishError> {
        loop {
            let create = self.client.multi().create(path, data);
            let create = create.create(history::directory(path), "");
            let mode = CreateMode::PersistentSequential;
            let create = create.create_as(history::numbered(path), data, mode, None);
            match create.await {
                Ok(_) => return Ok(Version(0)),
                Err(error) if error.code() == Some(ErrorCode::NodeExists) => {
                    let path = path.to_owned();
                    return Err(PublishError::Changed { path });
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    let (parent, _) = path.rsplit_once('/').unwrap_or_default();
                    self.make(parent).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes a directory, and those above it.
    async fn make(&self, path: &str) -> Result<(), PublishError> {
        match self.client.create(path, "").parents().await {
            Err(error) if error.code() != Some(ErrorCode::NodeExists) => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
