//! An ephemeral node of ours: owned by a value, deleted when the value goes, watched over while it counts.
//!
//! A value that is dropped only lets go of a channel; its keeper, a task that was started with it, does the rest.
//! So nothing blocks or spawns in a `Drop`, and a future may be dropped at any await without leaving a node.

use crate::error::{Error, Loss};
use crate::keeper::{Command, Keeper, Name, Node};
use crate::patience::repeat;
use crate::token::Token;
use tokio::sync::{mpsc, oneshot, watch};
use zk_client::clock::Time;
use zk_client::{Client, SessionId, Stat};

/// When a hold counts as lost while no server answers.
///
/// A holder's session is confirmed by the leader again and again (a `sync` in every third of the session timeout). If
/// that fails, the holder cannot know what the servers decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnSuspension {
    /// At the point in time up to which the session was certainly alive
    /// ([`Client::alive_until`]): as late as is safe, and before anybody else can be granted the same.
    #[default]
    LetGoAtDeadline,
    /// As soon as the connection is lost.
    LetGoAtOnce,
    /// Only when a server says so. Then two may believe at the same time that they hold; for those who fence every
    /// single write.
    WaitForVerdict,
}

/// What has become of a hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) loss: Option<Loss>,
    /// Somebody asked the holder to let go.
    pub(crate) revoked: bool,
}

/// The node. Dropping it deletes it, in the background and across reconnects.
#[derive(Debug)]
pub(crate) struct Presence {
    client: Client,
    path: String,
    token: Token,
    session: SessionId,
    commands: mpsc::UnboundedSender<Command>,
    fate: watch::Receiver<Fate>,
}

impl Presence {
    /// Takes care of a node that this session has just created. Synchronous, so that nothing can come between the
    /// reply and this.
    pub(crate) fn adopt(client: &Client, path: String, stat: &Stat, policy: OnSuspension) -> Self {
        Self::start(client, path, stat, policy, Name::Own)
    }

    /// The same for a node of a name that somebody else may have used before, or may use next.
    pub(crate) fn adopt_shared(
        client: &Client,
        path: String,
        stat: &Stat,
        policy: OnSuspension,
    ) -> Self {
        Self::start(client, path, stat, policy, Name::Shared(stat.czxid))
    }

    fn start(client: &Client, path: String, stat: &Stat, policy: OnSuspension, name: Name) -> Self {
        let (commands, inbox) = mpsc::unbounded_channel();
        let (sender, fate) = watch::channel(Fate::default());
        let session = stat.ephemeral_owner;
        let node = Node {
            path: path.clone(),
            session,
            name,
        };
        let keeper = Keeper::new(client.clone(), node, policy, sender);
        tokio::spawn(keeper.run(inbox));
        Self {
            client: client.clone(),
            path,
            token: Token::new(stat.czxid),
            session,
            commands,
            fate,
        }
    }

    /// Creates a node of this name behind a prefix of its own, and what is missing above it.
    pub(crate) async fn stand(
        client: &Client,
        path: &str,
        data: &[u8],
        policy: OnSuspension,
    ) -> Result<Self, Error> {
        let create = || {
            let create = client.create(path, data).ephemeral().protected().parents();
            create.timeout(None).with_stat()
        };
        // What a lost attempt may have left is looked for in the background.
        let (path, stat) = repeat(client, create).await?;
        Ok(Self::adopt(client, path, &stat, policy))
    }

    /// From here on it counts: its keeper watches the node and confirms the session.
    pub(crate) fn hold(&self) {
        let _ended = self.commands.send(Command::Hold);
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    pub(crate) const fn token(&self) -> Token {
        self.token
    }

    /// Whether the client still has the session that created it.
    pub(crate) fn is_of_this_session(&self) -> bool {
        self.client.session_id() == Some(self.session)
    }

    pub(crate) fn fate(&self) -> watch::Receiver<Fate> {
        self.fate.clone()
    }

    /// Why it is held no more, if that is known.
    pub(crate) fn loss(&self) -> Option<Loss> {
        self.fate.borrow().loss
    }

    /// Why it is held no more, as far as can be seen from here.
    pub(crate) fn over(&self) -> Option<Loss> {
        let ended = || (!self.is_of_this_session()).then_some(Loss::SessionEnded);
        self.loss().or_else(ended)
    }

    /// Until when it is certainly held; `None` if that is over.
    pub(crate) fn valid_until(&self) -> Option<Time> {
        // In this order: a client shows a new session before it shows for how long that is alive.
        let until = self.client.alive_until();
        if self.loss().is_some() || !self.is_of_this_session() {
            return None;
        }
        until
    }

    /// Deletes it, and waits until that is done or its session over.
    pub(crate) async fn release(self) -> Result<(), Error> {
        let loss = self.loss();
        let (reply, released) = oneshot::channel();
        // A command that nobody takes takes its reply along.
        drop(self.commands.send(Command::Release(reply)));
        let outcome = released.await;
        match (loss, outcome) {
            (Some(loss), _) => Err(Error::Lost(loss)),
            (None, Ok(outcome)) => outcome,
            // The runtime is being shut down.
            (None, Err(_gone)) => Err(Error::Lost(Loss::SessionEnded)),
        }
    }
}

/// Waits for the loss of something.
pub(crate) async fn lost(mut fate: watch::Receiver<Fate>) -> Loss {
    match fate.wait_for(|fate| fate.loss.is_some()).await {
        Ok(fate) => fate.loss.unwrap_or(Loss::SessionEnded),
        // The keeper is gone with its runtime.
        Err(_gone) => Loss::SessionEnded,
    }
}

/// Waits until somebody asks the holder to let go; for ever if nobody does.
pub(crate) async fn revoked(mut fate: watch::Receiver<Fate>) {
    if fate.wait_for(|fate| fate.revoked).await.is_err() {
        std::future::pending::<()>().await;
    }
}
