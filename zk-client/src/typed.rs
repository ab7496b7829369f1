//! Nodes whose data is a value: read, written and watched as what it means. Bytes and versions are `ops`' business.
//!
//! ```
//! # #[derive(serde::Serialize, serde::Deserialize, Debug)]
//! struct Limits { per_second: u32 }
//!
//! # async fn limits(client: zk_client::Client) -> Result<(), Box<dyn std::error::Error>> {
//! let limits = client.typed::<Limits>("/app/limits");
//! limits.create(&Limits { per_second: 100 }).await?;
//! // Read, change, write if nobody else wrote meanwhile; again if somebody did.
//! limits.update(|limits| limits.per_second *= 2).await?;
//! assert_eq!(limits.get().await?.value.per_second, 200);
//! # Ok(()) }
//! ```

use crate::client::Client;
use crate::error::{Error, Outcome};
use crate::hosts::backoff::{Backoff, Policy};
use crate::watch::{Watch, WatchItem};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;
use zk_proto::{ErrorCode, Stat};

/// How often [`Typed::update`] meets another writer before it gives up.
const ATTEMPTS: usize = 64;

/// How long to stay away from another writer.
const PAUSE: Policy = Policy {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(100),
    factor: 1.5,
};

/// What a codec says when it cannot.
pub type CodecError = Box<dyn std::error::Error + Send + Sync>;

/// Values to bytes and back.
pub trait Codec<T> {
    /// The bytes of a value.
    fn encode(&self, value: &T) -> Result<Vec<u8>, CodecError>;
    /// The value of bytes, which anybody may have written.
    fn decode(&self, data: &[u8]) -> Result<T, CodecError>;
}

/// JSON, for everything that serde knows.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

#[cfg(feature = "json")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Codec<T> for Json {
    fn encode(&self, value: &T) -> Result<Vec<u8>, CodecError> {
        Ok(serde_json::to_vec(value)?)
    }

    fn decode(&self, data: &[u8]) -> Result<T, CodecError> {
        Ok(serde_json::from_slice(data)?)
    }
}

/// UTF-8, as text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text;

impl Codec<String> for Text {
    fn encode(&self, value: &String) -> Result<Vec<u8>, CodecError> {
        Ok(value.clone().into_bytes())
    }

    fn decode(&self, data: &[u8]) -> Result<String, CodecError> {
        Ok(std::str::from_utf8(data)?.to_owned())
    }
}

/// A value, and the stat of the node when it had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The stat.
    pub stat: Stat,
}

/// Why a typed operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TypedError {
    /// The operation itself.
    #[error(transparent)]
    Operation(#[from] Error),
    /// The node's data is no such value. Nothing was written.
    #[error("the data of {path} at version {} is no such value: {source}", .stat.version.0)]
    Decode {
        /// Which node.
        path: String,
        /// Its stat, by which it can be replaced knowingly.
        stat: Box<Stat>,
        /// What is wrong with it.
        source: CodecError,
    },
    /// The value has no bytes. Nothing was written.
    #[error("the value for {path} cannot be written down: {source}")]
    Encode {
        /// For which node.
        path: String,
        /// Why not.
        source: CodecError,
    },
    /// Others wrote between every read and write. Nothing was written.
    #[error("{path} was changed by others {attempts} times in a row")]
    Contended {
        /// Which node.
        path: String,
        /// How often it was tried.
        attempts: usize,
    },
}

impl TypedError {
    /// What became of the write.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Operation(error) => error.outcome(),
            Self::Decode { .. } | Self::Encode { .. } | Self::Contended { .. } => {
                Outcome::NotApplied
            }
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Operation(error) => error.is_retryable(),
            Self::Contended { .. } => true,
            Self::Decode { .. } | Self::Encode { .. } => false,
        }
    }
}

/// A node whose data is a `T`; from [`Client::typed`] and [`Client::typed_with`]. The path is checked when it is used.
pub struct Typed<T, C> {
    client: Client,
    path: String,
    codec: C,
    value: PhantomData<fn() -> T>,
}

impl Client {
    /// A node whose data is a value, as JSON.
    #[cfg(feature = "json")]
    pub fn typed<T>(&self, path: impl Into<String>) -> Typed<T, Json>
    where
        Json: Codec<T>,
    {
        self.typed_with(path, Json)
    }

    /// A node whose data is a value, in the bytes of a codec.
    pub fn typed_with<T, C: Codec<T>>(&self, path: impl Into<String>, codec: C) -> Typed<T, C> {
        Typed {
            client: self.clone(),
            path: path.into(),
            codec,
            value: PhantomData,
        }
    }
}

impl<T, C: Codec<T>> Typed<T, C> {
    /// Where the node is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value now.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn get(&self) -> Result<Versioned<T>, TypedError> {
        let (data, stat) = self.client.get(&self.path).await?;
        self.decode(&data, stat)
    }

    /// The value now; `None` if there is no node.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn find(&self) -> Result<Option<Versioned<T>>, TypedError> {
        match self.get().await {
            Ok(found) => Ok(Some(found)),
            Err(TypedError::Operation(error)) if error.code() == Some(ErrorCode::NoNode) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Creates the node, persistent, and the nodes above it. Refused if it is there.
    ///
    /// # Cancellation
    ///
    /// The node may be created all the same.
    pub async fn create(&self, value: &T) -> Result<(), TypedError> {
        let data = self.encode(value)?;
        self.client.create(&self.path, data).parents().await?;
        Ok(())
    }

    /// Replaces the value, whatever it was.
    ///
    /// # Cancellation
    ///
    /// The value may be replaced all the same.
    pub async fn set(&self, value: &T) -> Result<Stat, TypedError> {
        let data = self.encode(value)?;
        Ok(self.client.set(&self.path, data).await?)
    }

    /// Replaces what was read, if it still stands: fails with `BadVersion` if somebody wrote meanwhile.
    ///
    /// # Cancellation
    ///
    /// The value may be replaced all the same.
    pub async fn replace(&self, read: &Versioned<T>) -> Result<Stat, TypedError> {
        let data = self.encode(&read.value)?;
        let set = self.client.set(&self.path, data);
        Ok(set.version(read.stat.version).await?)
    }

    /// Reads, changes and writes, and begins anew when somebody wrote in between. The change may so be made several
    /// times, each time to what was read last, but is written once.
    ///
    /// A write whose answer was lost is **not** tried again: its value may stand already, and a second one would
    /// count twice. The error then says [`Outcome::Unknown`]; the caller who can tell from the value reads it.
    ///
    /// # Cancellation
    ///
    /// The change may be written all the same, once.
    pub async fn update(&self, mut change: impl FnMut(&mut T)) -> Result<Versioned<T>, TypedError> {
        let mut chance = self.client.chance();
        let mut pause = Backoff::new(&PAUSE);
        for _attempt in 0..ATTEMPTS {
            let mut read = self.get().await?;
            change(&mut read.value);
            match self.replace(&read).await {
                Ok(stat) => {
                    return Ok(Versioned {
                        value: read.value,
                        stat,
                    });
                }
                Err(TypedError::Operation(error))
                    if error.code() == Some(ErrorCode::BadVersion) =>
                {
                    // Writers in step would leave one of them behind for ever.
                    tokio::time::sleep(pause.after_failure(&mut chance)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(TypedError::Contended {
            path: self.path.clone(),
            attempts: ATTEMPTS,
        })
    }

    /// The value now, then every change, as [`Values`]. The node need not exist.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn watch(&self) -> Result<Values<'_, T, C>, TypedError> {
        let watch = self.client.watch(&self.path).await?;
        Ok(Values {
            typed: self,
            watch,
            unread: true,
            shown: None,
        })
    }

    fn encode(&self, value: &T) -> Result<Vec<u8>, TypedError> {
        self.codec
            .encode(value)
            .map_err(|source| TypedError::Encode {
                path: self.path.clone(),
                source,
            })
    }

    fn decode(&self, data: &[u8], stat: Stat) -> Result<Versioned<T>, TypedError> {
        match self.codec.decode(data) {
            Ok(value) => Ok(Versioned { value, stat }),
            Err(source) => Err(TypedError::Decode {
                path: self.path.clone(),
                stat: Box::new(stat),
                source,
            }),
        }
    }
}

impl<T, C> fmt::Debug for Typed<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Typed").field(&self.path).finish()
    }
}

/// The values of a node, from [`Typed::watch`]: the present one first. Values that followed each other faster than they
/// were read are skipped; the last one never is.
pub struct Values<'a, T, C> {
    typed: &'a Typed<T, C>,
    watch: Watch,
    /// Something may have changed since the last look.
    unread: bool,
    /// What the last look showed, `Some(None)` for no node.
    shown: Option<Option<(zk_proto::Zxid, zk_proto::Zxid)>>,
}

impl<T, C: Codec<T>> Values<'_, T, C> {
    /// The next value; `Ok(None)` while there is no node. A value that cannot be read is
    /// an error, and the next call waits for a better one; after an error that is
    /// [retryable](TypedError::is_retryable) the next call looks again. When the session is over every call fails,
    /// unless the client goes on with a new session: then this goes on as well.
    ///
    /// # Cancellation
    ///
    /// Safe: a value counts as shown only when it is returned.
    pub async fn next(&mut self) -> Result<Option<Versioned<T>>, TypedError> {
        loop {
            while !self.unread {
                match self.watch.next().await {
                    Some(WatchItem::Event(_) | WatchItem::Gap { .. }) => self.unread = true,
                    // A client that goes on with a new session goes on here; another one says why not.
                    Some(WatchItem::Lost) | None => {
                        self.watch = self.typed.client.watch(&self.typed.path).await?;
                        self.unread = true;
                    }
                }
            }
            let found = self.typed.find().await;
            let seen = match &found {
                Ok(found) => found
                    .as_ref()
                    .map(|found| (found.stat.czxid, found.stat.mzxid)),
                Err(TypedError::Decode { stat, .. }) => Some((stat.czxid, stat.mzxid)),
                Err(error) => {
                    self.unread = error.is_retryable();
                    return found;
                }
            };
            self.unread = false;
            // An event of the children, or of a change that an earlier look has shown already.
            if self.shown.replace(seen) != Some(seen) {
                return found;
            }
        }
    }
}

impl<T, C> fmt::Debug for Values<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Values").field(&self.typed.path).finish()
    }
}
