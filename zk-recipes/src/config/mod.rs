//! A configuration that follows the servers: typed, checked, laid over one another, never worse than the last good one.

mod board;
mod follower;
mod history;
mod overlay;
mod publish;

pub use board::{Applied, ConfigEvent, ConfigEvents, Rejected};
pub use history::Revision;
pub use publish::PublishError;

use crate::cache::{Cache, Freshness};
use crate::error::Error;
use board::Board;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use zk_client::Client;

/// Says what is wrong with a value.
type Check<T> = Arc<dyn Fn(&T) -> Result<(), String> + Send + Sync>;

/// What makes a value out of layers.
struct Rules<T> {
    default: Value,
    check: Option<Check<T>>,
}

impl<T: DeserializeOwned> Rules<T> {
    /// The value of all layers, the lowest first; `None` where there is no layer.
    fn apply<'a>(&self, layers: impl Iterator<Item = Option<&'a Value>>) -> Result<T, String> {
        let mut all = self.default.clone();
        for layer in layers.flatten() {
            overlay::lay(&mut all, layer.clone());
        }
        if all.is_null() {
            return Err("nothing is configured".to_owned());
        }
        let value = serde_json::from_value(all).map_err(|error| error.to_string())?;
        match &self.check {
            Some(check) => check(&value).map(|()| value),
            None => Ok(value),
        }
    }
}

/// A configuration, kept up to date in the background until the last handle is dropped.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_client::testkit::TestServer::start().await?;
/// # let client = zk_client::Client::connect(server.address().to_string()).await?;
/// use zk_recipes::Config;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Limits { per_second: u32, burst: u32 }
///
/// let config = Config::<Limits>::builder(&client)
///     .default_value(&Limits { per_second: 100, burst: 10 })?
///     .layer("/config/all")
///     .layer("/config/shop") // says more than the one before
///     .check(|it| if it.burst > 0 { Ok(()) } else { Err("no burst at all".to_owned()) })
///     .start();
/// config.ready().await?;
/// config.publish("/config/shop", &serde_json::json!({"burst": 50}), None).await?;
/// config.barrier().await?;
/// assert_eq!(config.current().ok_or("nothing")?.value.burst, 50);
/// # Ok(()) }
/// ```
///
/// | | |
/// |---|---|
/// | guarantee | [`current`](Config::current) has passed every check; what has not is [reported](ConfigEvent::Rejected) and changes nothing. Who [publishes](Config::publish) replaces the version that he has seen, or nothing |
/// | suspension, session's end | it stays what it is, [as old as that is](Config::freshness) |
/// | cancellation | every future may be dropped at any await; a publication may have been written |
/// | cost | for each layer as a [`Cache`] of a node: 1 watch, 1 read for each change. To publish a `sync` for each layer and 1 multi, and 3 requests more the first time; 1 list and 1 delete for each version that is forgotten |
/// | layout | a layer: JSON in `<path>`, or nothing, as in a node that is there for those below it; its versions in `<path>/history/v-N` (persistent, sequential), as they were published |
pub struct Config<T> {
    client: Client,
    rules: Arc<Rules<T>>,
    layers: Arc<[Layer]>,
    board: Arc<Board<T>>,
    keep: usize,
    _alive: Arc<oneshot::Sender<()>>,
}

impl<T> Clone for Config<T> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            rules: Arc::clone(&self.rules),
            layers: Arc::clone(&self.layers),
            board: Arc::clone(&self.board),
            keep: self.keep,
            _alive: Arc::clone(&self._alive),
        }
    }
}

impl<T> fmt::Debug for Config<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<_> = self.layers.iter().map(|it| it.path.as_str()).collect();
        f.debug_struct("Config")
            .field("layers", &layers)
            .finish_non_exhaustive()
    }
}

/// A node that says something about the configuration.
struct Layer {
    path: String,
    cache: Cache,
}

/// What a configuration is to be like; from [`Config::builder`].
#[must_use = "a builder makes nothing until it is told"]
pub struct ConfigBuilder<T> {
    client: Client,
    default: Value,
    layers: Vec<String>,
    check: Option<Check<T>>,
    settle: Duration,
    keep: usize,
}

impl<T> fmt::Debug for ConfigBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigBuilder")
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> ConfigBuilder<T> {
    /// What holds where no layer says anything.
    ///
    /// # Errors
    ///
    /// What serde says of a value that is no JSON.
    pub fn default_value(mut self, value: &impl Serialize) -> Result<Self, serde_json::Error> {
        self.default = serde_json::to_value(value)?;
        Ok(self)
    }

    /// One layer more, over those named before. Its node need not be there.
    pub fn layer(mut self, path: impl Into<String>) -> Self {
        self.layers.push(path.into());
        self
    }

    /// What a value has to be like besides being one.
    pub fn check(
        mut self,
        check: impl Fn(&T) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.check = Some(Arc::new(check));
        self
    }

    /// How long it waits, after a change, for further ones that belong to it: layers that are written together are
    /// applied together. 10 ms unless told.
    pub const fn settle(mut self, time: Duration) -> Self {
        self.settle = time;
        self
    }

    /// How many versions of a layer are kept when it is published; 10 unless told.
    pub const fn keep_versions(mut self, versions: usize) -> Self {
        self.keep = versions;
        self
    }

    /// Begins to follow, in the background.
    pub fn start(self) -> Config<T> {
        let layers = self.layers.into_iter().map(|path| Layer {
            cache: Cache::node(&self.client, &path).start(),
            path,
        });
        let layers: Arc<[_]> = layers.collect();
        let rules = Arc::new(Rules {
            default: self.default,
            check: self.check,
        });
        let board = Arc::new(Board::new());
        let (alive, dropped) = oneshot::channel();
        let follower = follower::run(
            Arc::clone(&rules),
            Arc::clone(&layers),
            Arc::clone(&board),
            self.settle,
        );
        tokio::spawn(async move {
            tokio::select! {
                _handles = dropped => {}
                () = follower => {}
            }
        });
        Config {
            client: self.client,
            rules,
            layers,
            board,
            keep: self.keep,
            _alive: Arc::new(alive),
        }
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Config<T> {
    /// Describes a configuration.
    pub fn builder(client: &Client) -> ConfigBuilder<T> {
        ConfigBuilder {
            client: client.clone(),
            default: Value::Null,
            layers: Vec::new(),
            check: None,
            settle: Duration::from_millis(10),
            keep: 10,
        }
    }

    /// The last good value; `None` if there never was one.
    pub fn current(&self) -> Option<Arc<Applied<T>>> {
        self.board.current()
    }

    /// What is wrong with what the layers say now; nothing if that is the [current](Self::current) value.
    pub fn rejected(&self) -> Option<Rejected> {
        self.board.rejected()
    }

    /// What happens from here on.
    pub fn events(&self) -> ConfigEvents<T> {
        self.board.listen()
    }

    /// How far the layer that is furthest behind is behind.
    pub fn freshness(&self) -> Freshness {
        let all = self.layers.iter().map(|it| it.cache.freshness());
        all.max_by_key(|it| match it {
            Freshness::Filling => (2, None),
            Freshness::Stale { since } => (1, Some(std::cmp::Reverse(*since))),
            Freshness::Live => (0, None),
        })
        .unwrap_or(Freshness::Live)
    }

    /// Waits until every layer was looked at.
    ///
    /// # Errors
    ///
    /// What the servers refuse, or the client's end.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn ready(&self) -> Result<(), Error> {
        for layer in self.layers.iter() {
            layer.cache.ready().await?;
        }
        follower::look(&self.rules, &self.layers, &self.board);
        Ok(())
    }

    /// Waits until everything that anybody wrote before this was called is applied or rejected.
    ///
    /// # Errors
    ///
    /// The client's end.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn barrier(&self) -> Result<(), Error> {
        for layer in self.layers.iter() {
            layer.cache.barrier().await?;
        }
        follower::look(&self.rules, &self.layers, &self.board);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_of_its_layers_and_checked() {
        let rules = Rules::<u32> {
            default: Value::Null,
            check: Some(Arc::new(|it| {
                (*it > 5).then_some(()).ok_or("small".to_owned())
            })),
        };
        let apply = |layers: &[Option<Value>]| rules.apply(layers.iter().map(Option::as_ref));
        assert_eq!(apply(&[None]), Err("nothing is configured".to_owned()));
        assert_eq!(apply(&[Some(7.into()), None]), Ok(7));
        assert_eq!(
            apply(&[Some(7.into()), Some(3.into())]),
            Err("small".to_owned())
        );
        assert!(apply(&[Some("text".into())]).unwrap_err().contains("u32"));
    }
}
