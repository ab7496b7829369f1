//! A barrier that somebody closes and opens for all who wait at it. The one that its members open by being there is
//! in `double`.

mod double;

pub use double::{DoubleBarrier, DoubleBarrierBuilder, Entered};

use crate::error::Error;
use crate::patience::repeat;
use zk_client::{Client, ErrorCode, Outcome};

/// A barrier: closed as long as its node is there. Shares it with Curator's `DistributedBarrier` and kazoo's
/// `Barrier`.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_client::testkit::TestServer::start().await?;
/// # let client = zk_client::Client::connect(server.address().to_string()).await?;
/// use zk_recipes::Barrier;
///
/// let barrier = Barrier::new(&client, "/maintenance");
/// barrier.close().await?;
/// let waiting = tokio::spawn({
///     let barrier = barrier.clone();
///     async move { barrier.wait().await }
/// });
/// barrier.open().await?;
/// waiting.await??;
/// # Ok(()) }
/// ```
///
/// | | |
/// |---|---|
/// | guarantee | whoever waits goes on when the barrier was open at some time after the wait began, in the view of its server |
/// | suspension, session's end | the barrier stays as it is; a waiter waits on, in the client's next session if it opens one, else fails |
/// | cancellation | a wait leaves nothing; a barrier that is being closed or opened may be so afterwards |
/// | cost | 1 request to close or open; 1 request and 1 watch to wait, and 1 request more when it opens. All who wait are woken |
/// | layout | the node itself, persistent; its data mean nothing |
#[derive(Clone, Debug)]
pub struct Barrier {
    client: Client,
    path: String,
}

impl Barrier {
    /// The barrier at a node. Nothing is asked of the servers yet.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self {
            client: client.clone(),
            path: path.into(),
        }
    }

    /// The node.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Closes it; whoever comes from here on waits. Fine if it is closed already.
    ///
    /// # Errors
    ///
    /// The servers' refusal, or a lost connection behind which the barrier was found open: it may have been closed and
    /// opened again.
    ///
    /// # Cancellation
    ///
    /// It may be closed.
    pub async fn close(&self) -> Result<(), Error> {
        match self.client.create(&self.path, "").parents().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(()),
            Err(error) => self.unless(true, error).await,
        }
    }

    /// Opens it, and lets everybody go on. Fine if it is open already.
    ///
    /// # Errors
    ///
    /// The servers' refusal, or a lost connection behind which the barrier was found closed: it may have been opened
    /// and closed again.
    ///
    /// # Cancellation
    ///
    /// It may be open.
    pub async fn open(&self) -> Result<(), Error> {
        match self.client.delete(&self.path).await {
            Ok(()) => Ok(()),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
            Err(error) => self.unless(false, error).await,
        }
    }

    /// Whether it is closed.
    ///
    /// # Errors
    ///
    /// The servers' refusal, or the client's end.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn is_closed(&self) -> Result<bool, Error> {
        let exists = || self.client.exists(&self.path).timeout(None);
        Ok(repeat(&self.client, exists).await?.is_some())
    }

    /// Waits until it is open.
    ///
    /// # Errors
    ///
    /// The servers' refusal, or the client's end. A lost connection is none.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn wait(&self) -> Result<(), Error> {
        // Data, not existence: no watch is left where the barrier is open.
        let closed = || self.client.get(&self.path).timeout(None).watch();
        loop {
            match repeat(&self.client, closed).await {
                // The session's end is a reason to look as well: what was watched has to be watched again.
                Ok((_, changed)) => drop(changed.changed().await),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// After a failure nobody can know the end of: is it now as it should be?
    async fn unless(&self, closed: bool, error: zk_client::Error) -> Result<(), Error> {
        if error.outcome() == Outcome::Unknown && self.is_closed().await? == closed {
            return Ok(());
        }
        Err(error.into())
    }
}
