//! The task that keeps one node: confirms its session while it is held, hears of its loss, deletes it in the end.

use crate::error::{Error, Loss, may_try_again};
use crate::presence::{Fate, OnSuspension};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, warn};
use zk_client::{Call, Client, ErrorCode, EventType, Once, OnceEvent, SessionId, State, Zxid};

/// Between two attempts at the same step; the calls themselves wait while there is no connection.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);
/// What asks a holder to let go: Curator's word, and that of ZooKeeper's own description of locks.
pub(crate) const REVOKE: &[u8] = b"__REVOKE__";
const UNLOCK: &[u8] = b"unlock";

/// What an owner tells its keeper. Silence for ever, that is, a channel that was let go, means to delete the node.
#[derive(Debug)]
pub(crate) enum Command {
    /// The node counts from here on.
    Hold,
    /// Delete the node, and say when it is done.
    Release(oneshot::Sender<Outcome>),
}

type Outcome = Result<(), Error>;
type Reply = Option<oneshot::Sender<Outcome>>;

/// Whose a node's name is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name {
    /// No other node ever has it.
    Own,
    /// Others may, one after the other: ours is the one that this transaction created.
    Shared(Zxid),
}

/// A node that is kept.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) path: String,
    pub(crate) session: SessionId,
    pub(crate) name: Name,
}

#[derive(Debug)]
pub(crate) struct Keeper {
    client: Client,
    path: String,
    session: SessionId,
    name: Name,
    policy: OnSuspension,
    fate: watch::Sender<Fate>,
}

/// What a look at the own node has shown.
enum Seen {
    Gone,
    Unchanged,
    Ended,
}

impl Keeper {
    pub(crate) fn new(
        client: Client,
        node: Node,
        policy: OnSuspension,
        fate: watch::Sender<Fate>,
    ) -> Self {
        let Node {
            path,
            session,
            name,
        } = node;
        Self {
            client,
            path,
            session,
            name,
            policy,
            fate,
        }
    }

    pub(crate) async fn run(self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let (reply, outcome) = match commands.recv().await {
            Some(Command::Hold) => self.hold(&mut commands).await,
            Some(Command::Release(reply)) => (Some(reply), self.remove().await),
            None => (None, self.remove().await),
        };
        if let Err(error) = &outcome {
            warn!(path = self.path, %error, "a node cannot be deleted");
        }
        self.lose(Loss::Released);
        if let Some(reply) = reply {
            let _gone = reply.send(outcome);
        }
    }

    /// Watches over the node until its owner lets go, and deletes it.
    async fn hold(&self, commands: &mut mpsc::UnboundedReceiver<Command>) -> (Reply, Outcome) {
        let mut states = self.client.states();
        let mut own = Box::pin(self.look_at_own());
        let mut sync: Option<Call<()>> = None;
        let reply = loop {
            let lost = self.is_lost();
            let (beat, wait) = self.next_beat(sync.is_some());
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Hold) => {}
                    Some(Command::Release(reply)) => break Some(reply),
                    None => break None,
                },
                state = states.next(), if !lost => self.on_state(state),
                seen = &mut own, if !lost => {
                    match seen {
                        Seen::Gone => self.lose(Loss::Deleted),
                        Seen::Unchanged => {}
                        Seen::Ended => self.lose(Loss::SessionEnded),
                    }
                    own.set(self.look_at_own());
                }
                // Whether it was confirmed shows in the deadline, which is looked at in the next round.
                _confirmed = answer(&mut sync), if !lost => sync = None,
                () = tokio::time::sleep(wait), if !lost => match beat {
                    Beat::Confirm => sync = Some(self.client.sync(&self.path).send()),
                    Beat::Deadline => self.lose(Loss::Unconfirmed),
                    Beat::Nothing => {}
                },
            }
        };
        let outcome = self.remove().await;
        // Not before: the watch goes with the node, and costs no request of its own.
        drop(own);
        (reply, outcome)
    }

    fn is_lost(&self) -> bool {
        self.fate.borrow().loss.is_some()
    }

    /// Told once; nothing brings it back.
    fn lose(&self, loss: Loss) {
        self.fate.send_if_modified(|fate| {
            let first = fate.loss.is_none();
            if first {
                debug!(path = self.path, ?loss, "let go of a node");
                fate.loss = Some(loss);
            }
            first
        });
    }

    fn revoke(&self) {
        self.fate
            .send_if_modified(|fate| !std::mem::replace(&mut fate.revoked, true));
    }

    fn on_state(&self, state: Option<State>) {
        match state {
            Some(State::Connected { session, .. }) if session == self.session => {}
            Some(State::Suspended { .. }) => {
                if self.policy == OnSuspension::LetGoAtOnce {
                    self.lose(Loss::Suspended);
                }
            }
            Some(State::Connected { .. } | State::Lost { .. } | State::Closed) | None => {
                self.lose(Loss::SessionEnded);
            }
        }
    }

    /// What to do next, and how long until then.
    fn next_beat(&self, under_way: bool) -> (Beat, Duration) {
        let third = self.client.session_timeout() / 3;
        let Some(until) = self.client.alive_until() else {
            return match self.policy {
                OnSuspension::WaitForVerdict => (Beat::Nothing, third),
                OnSuspension::LetGoAtDeadline | OnSuspension::LetGoAtOnce => {
                    (Beat::Deadline, Duration::ZERO)
                }
            };
        };
        let left = self.client.clock().until(until);
        if left.is_zero() && self.policy != OnSuspension::WaitForVerdict {
            return (Beat::Deadline, Duration::ZERO);
        }
        if under_way {
            let wait = if left.is_zero() { third } else { left };
            return (Beat::Nothing, wait);
        }
        // Early enough that a sync that is lost has time for another, and never in a tight loop.
        let wait = if left.is_zero() {
            third
        } else {
            let early = left.saturating_sub(third).min(third);
            early.max(PAUSE.min(left))
        };
        (Beat::Confirm, wait)
    }

    /// Waits for the next thing that happens to the node. Leaves no watch behind when it is dropped.
    async fn look_at_own(&self) -> Seen {
        match self.client.get(&self.path).timeout(None).watch().await {
            Ok(((_, stat), _)) if matches!(self.name, Name::Shared(made) if made != stat.czxid) => {
                Seen::Gone
            }
            Ok(((data, _), changed)) => {
                if matches!(&data[..], REVOKE | UNLOCK) {
                    self.revoke();
                }
                self.next_change(changed).await
            }
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Seen::Gone,
            Err(error) if may_try_again(&self.client, &error) => {
                tokio::time::sleep(PAUSE).await;
                Seen::Unchanged
            }
            // Without the right to read, only the session's end is heard of.
            Err(error) if error.code() == Some(ErrorCode::NoAuth) => std::future::pending().await,
            Err(_) => Seen::Ended,
        }
    }

    async fn next_change(&self, changed: Once) -> Seen {
        match changed.changed().await {
            OnceEvent::Fired(event) if event.kind == EventType::Deleted => Seen::Gone,
            OnceEvent::Fired(_) => Seen::Unchanged,
            OnceEvent::Lost => Seen::Ended,
        }
    }

    /// Whether a delete would mean another node of this name.
    async fn is_anothers(&self) -> Result<bool, zk_client::Error> {
        let Name::Shared(made) = self.name else {
            return Ok(false);
        };
        let there = self.client.exists(&self.path).timeout(None).await?;
        let ours = there.is_some_and(|stat| stat.czxid == made);
        // With its session it goes by itself, and then the name is somebody else's.
        Ok(!ours || self.client.session_id() != Some(self.session))
    }

    /// Deletes the node, as often as it takes.
    async fn remove(&self) -> Result<(), Error> {
        loop {
            match self.is_anothers().await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if may_try_again(&self.client, &error) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(_) => return Ok(()),
            }
            match self.client.delete(&self.path).timeout(None).await {
                Ok(()) => return Ok(()),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
                Err(error) if may_try_again(&self.client, &error) => {
                    tokio::time::sleep(PAUSE).await;
                }
                // With its session the node goes too.
                Err(error) if error.code().is_none() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What a keeper does when its time has come.
enum Beat {
    Confirm,
    Deadline,
    Nothing,
}

async fn answer(call: &mut Option<Call<()>>) {
    match call {
        Some(call) => drop(call.await),
        None => std::future::pending().await,
    }
}
