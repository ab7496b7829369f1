//! Order.
//!
//! A call takes its place when it is made: at `.send()`, or at `.await` for a builder that is awaited. All calls of a
//! session, from every clone and every chroot view, go out in that order on one connection, take effect in it, and are
//! answered in it. When they are polled makes no difference.
//!
//! So sending many and waiting later is both correct and fast. How many may be on the way is bounded; who sends
//! without waiting asks for [`room`](crate::Client::room) now and then.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = zk_client::testkit::TestServer::start().await?;
//! # let client = zk_client::Client::connect(server.address().to_string()).await?;
//! client.create("/counter", "").await?;
//! let mut writes = Vec::new();
//! for number in 0..1000 {
//!     client.room().await;
//!     writes.push(client.set("/counter", format!("{number}")).send());
//! }
//! // Behind them all, though none has been waited for.
//! let (data, stat) = client.get("/counter").await?;
//! assert_eq!(data, "999");
//! assert_eq!(stat.version.0, 1000);
//! for write in writes {
//!     write.await?;
//! }
//! # client.close().await; Ok(()) }
//! ```
//!
//! What a read shows: everything this session has written or seen before, never less. Not necessarily what another
//! session has just written, even if it told you so by other means: your server may be behind. `.linearizable()` puts
//! a sync before the read, in the same write to the socket.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = zk_client::testkit::TestServer::start().await?;
//! # let client = zk_client::Client::connect(server.address().to_string()).await?;
//! # client.create("/config", "new").await?;
//! let (data, _) = client.get("/config").linearizable().await?;
//! assert_eq!(data, "new");
//! # client.close().await; Ok(()) }
//! ```
//!
//! A call of several requests (`parents`, `or_create`, `recursive`, `protected`) takes its place with the first of
//! them; other calls may come between the first and the rest. What must not be torn apart is a
//! [`multi`](crate::Client::multi).
