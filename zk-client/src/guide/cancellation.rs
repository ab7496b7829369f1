//! Cancellation.
//!
//! Every future of this crate may be dropped at any await point: by a timeout, a `select!`, a task that is aborted.
//!
//! * A request that was not written yet is never sent. One that was takes effect or not; nobody hears of it.
//! * Order is kept: what others sent before and after it is not touched.
//! * An ephemeral node whose creation nobody heard of is deleted again in the background, so that no lock is held by
//!   somebody who gave up waiting for it. A persistent node stays: it may be what another wanted.
//! * A watcher that was on its way is removed.
//! * Its place among the bounded calls is free when its answer has come, or at once if it was not sent.
//!
//! A call made with `.send()` is different from a builder: dropping a builder does nothing, because nothing happened.
//!
//! ```
//! use std::time::Duration;
//! use zk_client::testkit::{Direction, FaultProxy, TestServer};
//! use zk_client::Client;
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = TestServer::start().await?;
//! let proxy = FaultProxy::start(server.address()).await?;
//! let client = Client::connect(proxy.address().to_string()).await?;
//!
//! proxy.stall(Direction::ToClient); // the server hears us, we do not hear it
//! let create = client.create("/lock", "").ephemeral();
//! let patience = Duration::from_millis(50);
//! assert!(tokio::time::timeout(patience, create).await.is_err(), "given up");
//! proxy.resume(Direction::ToClient);
//!
//! // It was created, and is deleted again: somebody else can have it.
//! while client.exists("/lock").await?.is_some() {
//!     tokio::task::yield_now().await;
//! }
//! # client.close().await; Ok(()) }
//! ```
//!
//! A timeout of the caller's own, as above, says nothing about what happened. The
//! [request timeout](crate::Builder::request_timeout) of this client, or `.timeout(..)` on a call, ends it with an error
//! that does: see [`errors`](super::errors).
