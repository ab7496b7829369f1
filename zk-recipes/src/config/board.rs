//! What is known of a configuration: the last good value, what was refused after it, and who wants to hear of both.

use super::Layer;
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::{self, error::RecvError};
use zk_client::Version;

/// How many events wait for whoever does not take them.
const EVENTS: usize = 64;

/// A value that has passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied<T> {
    /// The value.
    pub value: T,
    /// The layers it is made of, and which version of each.
    pub layers: Vec<(String, Version)>,
}

/// A value that has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The layers that have changed since the last good value, and which version of each.
    pub layers: Vec<(String, Version)>,
    /// What is wrong.
    pub why: String,
}

/// What happens to a configuration.
#[derive(Debug)]
pub enum ConfigEvent<T> {
    /// There is another value.
    Applied(Arc<Applied<T>>),
    /// There is one that is none; the last good one stays.
    Rejected(Rejected),
}

impl<T> Clone for ConfigEvent<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Applied(applied) => Self::Applied(Arc::clone(applied)),
            Self::Rejected(rejected) => Self::Rejected(rejected.clone()),
        }
    }
}

/// A layer as it was read: which state of its node, and the value, if it is one.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) state: Option<(zk_client::Zxid, Version)>,
    pub(super) value: Option<Value>,
    pub(super) wrong: Option<String>,
}

impl Seen {
    /// Reads a layer again if it has changed. What is no JSON leaves the last good value in force.
    fn update(&mut self, layer: &Layer) -> bool {
        let node = layer.cache.get(&layer.path);
        let state = node.as_ref().map(|it| (it.stat().mzxid, it.stat().version));
        if self.state == state {
            return false;
        }
        self.state = state;
        // A node that was made for the sake of those below it says nothing.
        let said = node.filter(|it| !it.data().is_empty());
        match said.map(|it| serde_json::from_slice(it.data())) {
            None => (self.value, self.wrong) = (None, None),
            Some(Ok(value)) => (self.value, self.wrong) = (Some(value), None),
            Some(Err(error)) => self.wrong = Some(format!("{}: {error}", layer.path)),
        }
        true
    }
}

#[derive(Debug)]
pub(super) struct Inner<T> {
    pub(super) seen: Vec<Seen>,
    pub(super) current: Option<Arc<Applied<T>>>,
    pub(super) rejected: Option<Rejected>,
    looked: bool,
}

impl<T> Inner<T> {
    /// Takes in what the caches hold. `false` if nothing is new.
    pub(super) fn update(&mut self, layers: &[Layer]) -> bool {
        self.fit(layers.len());
        let mut changed = !std::mem::replace(&mut self.looked, true);
        for (seen, layer) in self.seen.iter_mut().zip(layers) {
            changed |= seen.update(layer);
        }
        changed
    }

    /// One place for each layer.
    pub(super) fn fit(&mut self, layers: usize) {
        self.seen.resize_with(layers, Seen::default);
    }

    /// The versions of all layers that are there.
    pub(super) fn versions(&self, layers: &[Layer]) -> Vec<(String, Version)> {
        let all = layers.iter().zip(&self.seen);
        let there = all.filter_map(|(layer, seen)| Some((layer.path.clone(), seen.state?.1)));
        there.collect()
    }
}

#[derive(Debug)]
pub(super) struct Board<T> {
    inner: Mutex<Inner<T>>,
    events: broadcast::Sender<ConfigEvent<T>>,
}

impl<T> Board<T> {
    pub(super) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                seen: Vec::new(),
                current: None,
                rejected: None,
                looked: false,
            }),
            events: broadcast::Sender::new(EVENTS),
        }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn current(&self) -> Option<Arc<Applied<T>>> {
        self.inner().current.clone()
    }

    pub(super) fn rejected(&self) -> Option<Rejected> {
        self.inner().rejected.clone()
    }

    pub(super) fn tell(&self, event: ConfigEvent<T>) {
        // Nobody listening is as good as anybody.
        let _listeners = self.events.send(event);
    }

    pub(super) fn listen(&self) -> ConfigEvents<T> {
        ConfigEvents {
            events: self.events.subscribe(),
        }
    }
}

/// What happens to a configuration, from [`Config::events`](crate::Config::events).
#[derive(Debug)]
pub struct ConfigEvents<T> {
    events: broadcast::Receiver<ConfigEvent<T>>,
}

impl<T> ConfigEvents<T> {
    /// The next thing that happens; `None` when the configuration was dropped. Of many that were not taken the oldest
    /// are left out, the last never is.
    ///
    /// # Cancellation
    ///
    /// Safe: an event is taken only when it is returned.
    pub async fn next(&mut self) -> Option<ConfigEvent<T>> {
        loop {
            match self.events.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(_)) => {}
            }
        }
    }
}
