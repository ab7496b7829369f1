//! An async client of ZooKeeper that is honest about failure: what was applied, what was not, and what
//! nobody can know.
//!
//! ```
//! use zk_client::{Client, OnceEvent};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let data = tempfile::tempdir()?;
//! # let server = zk_server::Server::start(zk_server::Config::in_process(data.path())).await?;
//! # let address = server.client_address().expect("a port").to_string();
//! let client = Client::connect(address).await?; // "host1:2181,host2:2181/chroot"
//!
//! client.create("/config", "v1").await?;
//! let ((data, stat), changed) = client.get("/config").watch().await?;
//! assert_eq!(&data[..], b"v1");
//!
//! // Two requests on their way at once, answered in this order.
//! let set = client.set("/config", "v2").version(stat.version).send();
//! let get = client.get("/config").send();
//! assert_eq!(&get.await?.0[..], b"v2");
//! set.await?;
//! assert!(matches!(changed.changed().await, OnceEvent::Fired(event) if event.path == "/config"));
//!
//! let refused = client.set("/config", "v3").version(stat.version).await.unwrap_err();
//! assert_eq!(refused.outcome(), zk_client::Outcome::NotApplied);
//!
//! client.close().await;
//! # server.stop().await?;
//! # Ok(()) }
//! ```
//!
//! # Map
//!
//! | module | what lives there |
//! |---|---|
//! | `client` | [`Client`]: the handle, chroot views, states, tickets, close |
//! | `builder` | [`Builder`]: what a client is to be like |
//! | [`ops`] | every operation, as a builder that is a future; order, lost connections |
//! | `call`, `draft` | [`Call`]: a call as a future; a request being written |
//! | `watch` | [`Once`], [`Watch`]; the table of watches (pure) |
//! | `session` | the session's decisions (pure): xids, pings, deadlines, re-arming, expiry |
//! | `spare` | frames that are used again |
//! | `driver`, `janitor` | the sockets; deletes what creates that were given up left |
//! | `follow` | follows the ensemble as its members change |
//! | [`clock`] | monotonic time that counts suspends, and points in it |
//! | `error` | what went wrong: `outcome()`, `is_retryable()`, path and operation |
//! | [`guide`] | pages: sessions, order, watches, cancellation, errors, tests |
//! | [`hosts`] | the connection string, whom to try next and when, names to addresses |
//! | `observe` | [`Metrics`]: what an operator may count; a span per call |
//! | [`security`] | SASL; TLS with the feature `tls` |
//! | [`subtree`] | whole subtrees: walk, copy, export, import |
//! | [`typed`] | nodes whose data is a value; the loop that changes one |
//! | `testkit` | with the feature of that name: a server in the process, a proxy that makes faults |
//!
//! The session's decisions (xids, pings, re-arming, deadlines, reconnects) live in a pure state machine that is
//! told the time; one driver per session owns the socket.
//!
//! # Being observed
//!
//! Whoever counts implements [`Metrics`]. Whoever traces finds a span `zk_call` for every request, at `DEBUG`, with
//! session, operation, path and outcome, inside of whatever span the caller was in; the driver's own events are inside
//! of `zk_session`.
//!
//! # Memory
//!
//! A client that does nothing holds about 21 KiB, a watch that hears nothing about 300 bytes with a path of 23; both are
//! bounded by a test. What is on its way is bounded by [`Builder::max_pending`], what a watcher has not looked at by
//! [`Builder::watch_queue`].
//!
//! # Versions
//!
//! Rust 1.88 or later; raising that is a new minor version. Servers: Apache ZooKeeper 3.4 to 3.9, and zk-server.
//!
//! Servers before 3.5 refuse what they do not know and close the connection; the session goes on with the next one. Creates
//! that tell the stat, `set(..).or_create()` and parents are then asked for in words that they know. What came later has no
//! stand-in and is refused with `Unimplemented`: containers and TTLs (3.5), watches that last and several reads at once (3.6),
//! [`Client::who_am_i`] (3.7). Watches that are dropped stay with such a server until they fire.
#![forbid(unsafe_code)]

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod builder;
mod call;
mod client;
pub mod clock;
mod draft;
mod driver;
mod error;
mod follow;
pub mod guide;
pub mod hosts;
mod janitor;
mod observe;
pub mod ops;
mod path;
mod protect;
pub mod security;
mod session;
mod spare;
pub mod subtree;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod typed;
mod watch;

pub use builder::{Builder, ConnectError};
pub use call::{Call, Watching};
pub use client::{Client, States};
pub use error::{Error, ErrorKind, Operation, Outcome};
pub use observe::Metrics;
pub use path::IntoPath;
pub use session::{OnExpiry, SessionTicket, State};
pub use watch::{Event, Once, OnceEvent, Watch, WatchItem};
pub use zk_proto::{
    Acl, ClientInfo, CreateMode, ErrorCode, EventType, Perms, SessionId, Stat, Version, ZPath, Zxid,
};
