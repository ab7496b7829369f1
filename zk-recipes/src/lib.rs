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
//! | `multi_lock` | [`MultiLock`]: several locks or none |
//! | `lease` | [`NonBlockingLease`]: somebody's until a time of day |
//! | `election`, `observer` | [`Election`]: who leads; [`Leaders`]: who is seen to lead |
//! | `guard`, `guards`, `fenced`, `token` | what a holder has: [`Guard`], several as one, [`Fenced`], [`Token`] |
//! | `error` | [`Error`], and [`Loss`]: why something is held no more |
//! | `naming` | [`Naming`]: the names of Curator and kazoo, and who is foreign (pure) |
//! | `contest` | an ordered set of contenders, each waiting for one before it |
//! | `contenders` | [`Participant`]: who holds and waits, as others see it |
//! | `presence`, `keeper` | an ephemeral node as a value; the task that watches over it and deletes it in the end |
#![forbid(unsafe_code)]

mod contenders;
mod contest;
mod election;
mod error;
mod fenced;
mod guard;
mod guards;
mod keeper;
mod lease;
mod multi_lock;
mod mutex;
mod naming;
mod observer;
mod presence;
mod rw_lock;
mod semaphore;
mod token;

pub use contenders::Participant;
pub use election::{Election, ElectionBuilder, Leadership};
pub use error::{Error, Loss};
pub use fenced::Fenced;
pub use guard::{Guard, LossSignal};
pub use guards::Guards;
pub use lease::{LeaseTerm, NonBlockingLease};
pub use multi_lock::MultiLock;
pub use mutex::{Mutex, MutexBuilder};
pub use naming::Naming;
pub use observer::Leaders;
pub use presence::OnSuspension;
pub use rw_lock::{RwLock, RwLockBuilder, WriteGuard};
pub use semaphore::{Limit, Semaphore, SemaphoreBuilder};
pub use token::Token;
