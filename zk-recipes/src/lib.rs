//! Recipes for ZooKeeper: each right under lost connections, ended sessions, futures that are dropped and servers
//! that fail over; each able to share its nodes with the recipes of Curator or kazoo that it names.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = zk_client::testkit::TestServer::start().await?;
//! # let servers = server.address().to_string();
//! use zk_recipes::Mutex;
//!
//! let client = zk_client::Client::connect(servers).await?;
//! let guard = Mutex::new(&client, "/printer/lock").lock().await?;
//! println!("printing as {}", guard.token());
//! guard.release().await?;
//! # Ok(()) }
//! ```
//!
//! # What holds for all of them
//!
//! - *Names that can be found again.* Every node of ours is created with a prefix of its own, so that a reply that was
//!   lost leaves no orphan and nobody waits for himself (S70). A node counts as ours only in the session that made it
//!   (S71).
//! - *Futures own nothing.* Each may be dropped at any await. What it created is deleted in the background.
//! - *A loss is told once, in time.* While the servers cannot be reached, a holder is told at the latest when others
//!   might be granted the same ([`OnSuspension`]); nothing is acquired again behind its back.
//! - *Tokens, not locks, keep writers apart* (P18): [`Guard::token`], [`Guard::fenced`].
//! - *Directories* are made when they are missing, as containers where the server has them, and then go when they have
//!   been empty for a while. Sequence numbers start again then, which is why they are no tokens.
//!
//! They run inside a tokio runtime, with [`Client`](zk_client::Client)s of `zk-client` and its public interface alone.
//!
//! # Map
//!
//! | module | what lives there |
//! |---|---|
//! | `mutex` | [`Mutex`] |
//! | `rw_lock` | [`RwLock`]: many readers or one writer |
//! | `semaphore` | [`Semaphore`]: so many at a time |
//! | `barrier` | [`Barrier`]: closed until somebody opens it; [`DoubleBarrier`]: in together and out together |
//! | `counter` | [`Counter`]: a number in somebody's [`Encoding`]; [`Ids`]: blocks of ids |
//! | `queue` | [`Queue`]: entries that are taken, or claimed until the work is done |
//! | `partitioner` | [`Partitioner`]: numbered parts, shared among those who are there |
//! | `primary` | [`Failover`]: one primary and its backups, a [`Gate`] for writes; [`Resolver`]: where the primary is |
//! | `multi_lock` | [`MultiLock`]: several locks or none |
//! | `lease` | [`NonBlockingLease`]: somebody's until a time of day |
//! | `election`, `observer` | [`Election`]: who leads; [`Leaders`]: who is seen to lead |
//! | `group` | [`Group`]: who is there |
//! | `config` | [`Config`]: typed, checked, laid over one another, published and followed |
//! | `persistent_node` | [`PersistentNode`]: there as long as somebody cares for it |
//! | `cache` | [`Cache`]: a copy of a node, a directory or a tree that follows the servers |
//! | `discovery` | [`Registry`]: who serves what; [`Provider`]: whom to talk to |
//! | `guard`, `guards`, `fenced`, `token` | what a holder has: [`Guard`], several as one, [`Fenced`], [`Token`] |
//! | `error` | [`Error`], and [`Loss`]: why something is held no more |
//! | `naming` | [`Naming`]: the names of Curator and kazoo, and who is foreign (pure) |
//! | `contest` | an ordered set of contenders, each waiting for one before it |
//! | `operation` | [`Operation`]: what takes effect once, however often it is tried |
//! | `patience` | steps that are repeated until a server has answered them |
//! | `contenders` | [`Participant`]: who holds and waits, as others see it |
//! | `presence`, `keeper` | an ephemeral node as a value; the task that watches over it and deletes it in the end |
//! | `unique` | names that nobody else has |
#![forbid(unsafe_code)]

mod barrier;
mod cache;
mod config;
mod contenders;
mod contest;
mod counter;
mod discovery;
mod election;
mod error;
mod fenced;
mod group;
mod guard;
mod guards;
mod keeper;
mod lease;
mod multi_lock;
mod mutex;
mod naming;
mod observer;
mod operation;
mod partitioner;
mod patience;
mod persistent_node;
mod presence;
mod primary;
mod queue;
mod rw_lock;
mod semaphore;
mod token;
mod unique;

pub use barrier::{Barrier, DoubleBarrier, DoubleBarrierBuilder, Entered};
pub use cache::{Cache, CacheBuilder, CacheEvent, CacheEvents, CachedNode, Freshness, Snapshot};
pub use config::{
    Applied, Config, ConfigBuilder, ConfigEvent, ConfigEvents, PublishError, Rejected, Revision,
};
pub use contenders::Participant;
pub use counter::{Change, Counter, Counts, Encoding, Ids};
pub use discovery::{
    DownPolicy, Floor, Instance, Listing, Pick, Poisoned, Provider, ProviderBuilder, Registration,
    Registry, ServiceType, Strategy, UriSpec,
};
pub use election::{Election, ElectionBuilder, Leadership};
pub use error::{Error, Loss};
pub use fenced::Fenced;
pub use group::{Group, GroupLayout, Member, Members, Membership};
pub use guard::{Guard, LossSignal};
pub use guards::Guards;
pub use lease::{LeaseTerm, NonBlockingLease};
pub use multi_lock::MultiLock;
pub use mutex::{Mutex, MutexBuilder};
pub use naming::Naming;
pub use observer::Leaders;
pub use operation::Operation;
pub use partitioner::{Partition, Partitioner, Partitions};
pub use persistent_node::{Lifetime, PersistentNode, PersistentNodeBuilder, Standing};
pub use presence::OnSuspension;
pub use primary::{
    Failover, FailoverBuilder, Fitness, Gate, Pass, PrimaryBackup, PrimaryRecord, Refusal,
    Resolver, Role, Running, Shut, StepDown, Term, switch_over,
};
pub use queue::{Claimed, Queue, QueueLayout};
pub use rw_lock::{RwLock, RwLockBuilder, WriteGuard};
pub use semaphore::{Limit, Semaphore, SemaphoreBuilder};
pub use token::Token;
