//! Tests with the kit: feature `testkit`, for your `[dev-dependencies]`.
//!
//! `TestServer` is the real server in your process, on a free port, with its data in a temporary directory; it starts in
//! milliseconds, and stops and restarts on the same data. `FaultProxy` stands between it and a client and makes
//! the faults you ask for: `cut`, `stall`, `drop_reply`, `cut_after` a number of bytes, `delay`, `refuse`. `end_session`
//! ends somebody's session as an expiry would.
//!
//! Nothing waits for a length of time; a test waits for what it wants to see:
//!
//! ```
//! use zk_client::testkit::{FaultProxy, TestServer, Which};
//! use zk_client::{Client, Operation, Outcome};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut server = TestServer::start().await?;
//! let proxy = FaultProxy::start(server.address()).await?;
//! let client = Client::connect(proxy.address().to_string()).await?;
//!
//! // The connection breaks after the server has done it and before we hear of it.
//! proxy.drop_reply(Which::To(Operation::Create));
//! let lost = client.create("/order", "1").await.unwrap_err();
//! assert_eq!(lost.outcome(), Outcome::Unknown);
//! assert!(client.exists("/order").await?.is_some(), "read over a new connection");
//!
//! // A server that is away for a while, and comes back with everything.
//! server.restart().await?;
//! assert_eq!(client.get("/order").await?.0, "1");
//! client.close().await;
//! # Ok(()) }
//! ```
