//! An instance of ours in the directory.

use super::instance::Instance;
use crate::error::Error;
use crate::persistent_node::{PersistentNode, Standing};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// An instance while it is registered; from [`Registry::register`](crate::Registry::register). A dynamic one that is
/// dropped is unregistered in the background, another one stays.
#[must_use = "a dynamic instance that is not kept is unregistered at once"]
#[derive(Debug)]
pub struct Registration {
    node: PersistentNode,
    instance: Mutex<Instance>,
}

impl Registration {
    pub(super) const fn new(node: PersistentNode, instance: Instance) -> Self {
        Self {
            node,
            instance: Mutex::new(instance),
        }
    }

    /// What is registered, or is to be.
    pub fn instance(&self) -> Instance {
        let instance = self.instance.lock();
        instance.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where its node stands, as far as is known.
    pub fn standing(&self) -> Standing {
        self.node.standing()
    }

    /// Waits until it is there.
    ///
    /// # Errors
    ///
    /// As [`PersistentNode::ready`].
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn ready(&self) -> Result<(), Error> {
        self.node.ready().await.map(drop)
    }

    /// Says something else of itself, and waits until that is there.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for another id or service; as [`PersistentNode::set`].
    ///
    /// # Cancellation
    ///
    /// It is written all the same.
    pub async fn update(&self, instance: Instance) -> Result<(), Error> {
        let data = instance.encode();
        let data = data.map_err(|_| Error::Usage("an instance is JSON"))?;
        {
            let known = self.instance.lock();
            let mut known = known.unwrap_or_else(PoisonError::into_inner);
            if (known.name(), known.service()) != (instance.name(), instance.service()) {
                return Err(Error::Usage("an instance keeps its id and its service"));
            }
            *known = instance;
        }
        self.node.set(data).await
    }

    /// Takes it out of service, or in again: it stays registered.
    ///
    /// # Errors
    ///
    /// As [`Self::update`].
    ///
    /// # Cancellation
    ///
    /// It is written all the same.
    pub async fn enable(&self, enabled: bool) -> Result<(), Error> {
        self.update(self.instance().enabled(enabled)).await
    }

    /// Takes it out of service, waits so long for those who still talk to it, and unregisters it.
    ///
    /// # Errors
    ///
    /// As [`Self::update`] and [`Self::close`].
    ///
    /// # Cancellation
    ///
    /// As a drop.
    pub async fn drain(self, grace: Duration) -> Result<(), Error> {
        self.enable(false).await?;
        tokio::time::sleep(grace).await;
        self.close().await
    }

    /// Unregisters it, and waits until that is done.
    ///
    /// # Errors
    ///
    /// As [`PersistentNode::close`].
    ///
    /// # Cancellation
    ///
    /// It is unregistered all the same.
    pub async fn close(self) -> Result<(), Error> {
        self.node.close().await
    }
}
