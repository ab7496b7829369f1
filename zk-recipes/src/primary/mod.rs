//! One primary and its backups: who serves writes, how the next one takes over, and how clients find it.
//!
//! ```text
//!             stand                first in the queue          promoted
//!   (start) ────────► Backup ──────────────────────► Promoting ────────► Primary
//!                       ▲  follows the primary           │                  │ drained and clean, or lost
//!                       └────────────────────────────────┴──────────────────┘ the gate is shut first
//! ```

mod candidate;
mod gate;
mod judge;
mod member;
mod record;
mod records;
mod switchover;
mod term;

pub use gate::{Gate, Pass, Shut};
pub use record::{Fitness, PrimaryRecord};
pub use records::Resolver;
pub use switchover::switch_over;

use crate::contest::Contest;
use crate::error::{Error, Loss};
use crate::naming::{Mark, Naming, Rules};
use crate::token::Token;
use member::Member;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zk_client::Client;

/// A member's time as the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Its number: larger than that of any before, written down before the term begins.
    pub epoch: u64,
    /// The token of the member's candidature, which rises as well, in larger steps.
    pub token: Token,
}

/// Why a member is not the primary any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepDown {
    /// It was stopped.
    Stopped,
    /// It was asked to hand over to this member.
    HandOver(String),
    /// It lost the lead. The next one may have begun already.
    Lost(Loss),
    /// [`PrimaryBackup::promote`] has failed.
    Refused,
}

/// Why a service could not be promoted.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// What a service does to be a primary or a backup; called by its [`Failover`], one after the other.
pub trait PrimaryBackup: Send + Sync + 'static {
    /// How far this member's copy of the data has come. Asked often; answers at once.
    fn fitness(&self) -> Fitness;

    /// Makes sure that the last primary does no harm any more, where that can be done: revokes its credentials, cuts
    /// its power, tells the storage. Called before each promotion, when the last primary's time is over by the clock.
    fn fence(&self, previous: &PrimaryRecord) -> impl Future<Output = Result<(), Refusal>> + Send {
        let _ = previous;
        std::future::ready(Ok(()))
    }

    /// Becomes the primary of a term. The gate opens when it returns.
    ///
    /// Dropped where it stands if the lead is lost meanwhile; [`demote`](Self::demote) follows.
    fn promote(&self, term: &Term) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Is the primary no more. The gate is shut before. Unless the lead is [lost](StepDown::Lost), nobody else is
    /// promoted before it returns: what the next one has to have, it can be given here.
    fn demote(&self, why: &StepDown) -> impl Future<Output = ()> + Send;

    /// Follows this primary as a backup; `None` while there is none. It may go on for as long as that is the one: it is
    /// dropped where it stands when there is another, or this member's turn comes.
    fn follow(&self, primary: Option<PrimaryRecord>) -> impl Future<Output = ()> + Send;
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It follows, and waits for its turn.
    Backup,
    /// It takes over, and does not serve yet.
    Promoting,
    /// It serves the writes of this term.
    Primary {
        /// The term's number.
        epoch: u64,
    },
    /// It takes no part any more.
    Stopped,
}

/// Runs a member of a group of which one is the primary: the one that has stood for longest, if it is fit.
///
/// | | |
/// |---|---|
/// | guarantee | of all members' gates at most one is open, as far as clocks run equally fast and no process is paused between two steps; epochs strictly increase, and are written down before their term begins; what a [`Pass`] of an old term would acknowledge after its gate was shut is refused |
/// | suspension | the gate closes by itself when the session is not certain any more, or when the lock-delay has passed since the last sign of life that others have seen; then the member steps down |
/// | session's end | the member steps down and stands again, at the end of the queue, in the client's next session if it opens one, else ends |
/// | an unclean end | the next one waits until the lock-delay has passed since the last sign of life it has seen. After the end of a session that is no wait at all for the one who was watching; an operator who deletes the node, or a session closed by force, costs what is left of it |
/// | in the way | what the servers refuse, and nodes that hold something else, keep a member from taking part, and [say so](Running::trouble), until they are out of the way; a record that cannot be read is an unclean end |
/// | fitness | a candidate that is not eligible, or lags behind another by more than is allowed, goes to the end of the queue; for lagging, not for longer than its [patience](FailoverBuilder::patience) |
/// | cancellation | a [`Running`] that is dropped gives everything up in the background, as an unclean end; [`Running::stop`] is a clean one |
/// | cost | as an [`Election`](crate::Election); a primary writes a sign of life in every fourth of the session timeout, which the next in line reads (2 requests). Taking over: about 8 requests one after the other. A backup has 2 watches, a primary 3 |
/// | layout | `<root>/candidates/_c_<uuid>-latch-N` (ephemeral, sequential; Curator's `LeaderLatch` could stand there too), what each has to offer as JSON; `<root>/epoch`, eight bytes, big-endian; `<root>/primary`, a [`PrimaryRecord`] as JSON; `<root>/switchover`, who is asked for |
#[derive(Debug)]
pub struct Failover<S> {
    member: Member<S>,
    stop: watch::Sender<bool>,
    role: watch::Receiver<Role>,
    trouble: watch::Receiver<Option<Error>>,
}

/// What a member is to be like; from [`Failover::builder`].
#[must_use = "a builder makes nothing until it is told"]
#[derive(Debug)]
pub struct FailoverBuilder<S> {
    client: Client,
    root: String,
    id: String,
    address: String,
    service: S,
    settings: Settings,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    /// None: the session timeout.
    lock_delay: Option<Duration>,
    patience: Option<Duration>,
    allowed_lag: u64,
    drain: Duration,
    advertise: Duration,
}

impl<S: PrimaryBackup> FailoverBuilder<S> {
    /// How long after an unclean end the last primary may still believe that it is one: its gate is not open for
    /// longer than this after a sign of life, and nobody takes over before. The session timeout unless told; shorter
    /// closes the gate earlier in a disturbance.
    pub fn lock_delay(mut self, delay: Duration) -> Self {
        self.settings.lock_delay = Some(delay);
        self
    }

    /// How long to let better candidates go first before taking over without them. The session timeout unless told.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = Some(patience);
        self
    }

    /// By how much the own offset may be behind the best one. Not at all unless told.
    pub fn allowed_lag(mut self, lag: u64) -> Self {
        self.settings.allowed_lag = lag;
        self
    }

    /// How long to wait for the writes inside of the gate before a planned end. A second unless told.
    pub fn drain(mut self, limit: Duration) -> Self {
        self.settings.drain = limit;
        self
    }

    /// How often to tell the others of a change in the own fitness. Every 200 ms unless told.
    pub fn advertise(mut self, every: Duration) -> Self {
        self.settings.advertise = every;
        self
    }

    /// The member. Nothing is asked of the servers yet.
    pub fn build(self) -> Failover<S> {
        let (stop, stopped) = watch::channel(false);
        let (role, seen) = watch::channel(Role::Backup);
        let (trouble, troubles) = watch::channel(None);
        let member = Member {
            contest: candidates(&self.client, &self.root),
            gate: Gate::new(self.client.clock()),
            root: self.root,
            id: self.id,
            address: self.address,
            service: Arc::new(self.service),
            settings: self.settings,
            role,
            trouble,
            stopped,
        };
        Failover {
            member,
            stop,
            role: seen,
            trouble: troubles,
        }
    }
}

/// The queue of candidates of a service.
fn candidates(client: &Client, root: &str) -> Contest {
    let rules = Rules {
        naming: Naming::Curator,
        marks: &[Mark::Latch],
    };
    Contest::new(client, format!("{root}/candidates"), rules)
}

impl<S: PrimaryBackup> Failover<S> {
    /// Describes a member of the service below this node: its name, unique among the members, and the address at which
    /// it is reached as a primary, and what it does. The client should [renew](zk_client::OnExpiry::Renew) its sessions.
    pub fn builder(
        client: &Client,
        root: impl Into<String>,
        id: impl Into<String>,
        address: impl Into<String>,
        service: S,
    ) -> FailoverBuilder<S> {
        FailoverBuilder {
            client: client.clone(),
            root: root.into(),
            id: id.into(),
            address: address.into(),
            service,
            settings: Settings {
                lock_delay: None,
                patience: None,
                allowed_lag: 0,
                drain: Duration::from_secs(1),
                advertise: Duration::from_millis(200),
            },
        }
    }

    /// The gate that the service's writes go through.
    pub fn gate(&self) -> Gate {
        self.member.gate.clone()
    }

    /// The service.
    pub fn service(&self) -> Arc<S> {
        Arc::clone(&self.member.service)
    }

    /// Begins to take part, in a task of its own.
    pub fn start(self) -> Running {
        let gate = self.member.gate.clone();
        let task = tokio::spawn(self.member.run());
        Running {
            gate,
            role: self.role,
            trouble: self.trouble,
            stop: self.stop,
            task: Some(task),
        }
    }
}

/// A member that takes part; from [`Failover::start`]. Dropping it gives everything up, as an unclean end.
#[must_use = "a member that is not kept takes no part"]
#[derive(Debug)]
pub struct Running {
    gate: Gate,
    role: watch::Receiver<Role>,
    trouble: watch::Receiver<Option<Error>>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<Result<(), Error>>>,
}

impl Running {
    /// The gate that the service's writes go through.
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Where the member stands; for decisions about writes, ask the gate.
    pub fn role(&self) -> Role {
        *self.role.borrow()
    }

    /// Every change of where it stands.
    pub fn roles(&self) -> watch::Receiver<Role> {
        self.role.clone()
    }

    /// What keeps the member from taking part, if anything does: the servers' refusal, a node of somebody else's among
    /// the candidates, a count of epochs that is none. It tries again every second.
    pub fn trouble(&self) -> Option<Error> {
        self.trouble.borrow().clone()
    }

    /// Takes part no more, and waits for that: a primary drains its gate and leaves a clean record.
    ///
    /// # Errors
    ///
    /// Why the member has ended before, if it has: the client's end.
    ///
    /// # Panics
    ///
    /// If the service has: the member is [`Role::Stopped`] then.
    ///
    /// # Cancellation
    ///
    /// It ends as if it had been dropped.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.stop.send_replace(true);
        match &mut self.task {
            Some(task) => match task.await {
                Ok(ended) => ended,
                Err(ended) => match ended.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime is being shut down.
                    Err(_aborted) => Ok(()),
                },
            },
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
