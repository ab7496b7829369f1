//! Watches.
//!
//! A watcher is a value. [`Once`](crate::Once) comes from `.watch()` on a read and is consumed by its one event;
//! [`Watch`](crate::Watch) comes from [`watch`](crate::Client::watch) and
//! [`watch_recursive`](crate::Client::watch_recursive) and is a stream until it is dropped. Dropping either takes the
//! server's watch along, unless another watcher needs it: any number of them on one node are one watch on the wire.
//!
//! An event says that something changed, not to what. It reaches you before any reply that could show the change, so
//! that reading after it never shows the old state. Reading and watching in one call leaves no gap between the two:
//!
//! ```
//! use zk_client::OnceEvent;
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = zk_client::testkit::TestServer::start().await?;
//! # let client = zk_client::Client::connect(server.address().to_string()).await?;
//! client.create("/config", "1").await?;
//! let ((data, _), changed) = client.get("/config").watch().await?;
//! assert_eq!(data, "1");
//! client.set("/config", "2").await?;
//! assert!(matches!(changed.changed().await, OnceEvent::Fired(_)));
//! # client.close().await; Ok(()) }
//! ```
//!
//! Both kinds survive reconnects. A one-shot watch that missed its change fires when the connection is back. A lasting
//! one cannot know what it missed, and says so: [`Gap`](crate::WatchItem::Gap). The same comes when a watcher did not keep up with its
//! bounded queue. After a gap read again what you care about; what follows is complete. A loop that handles both the
//! same way is short:
//!
//! ```
//! use zk_client::{Client, Error, WatchItem};
//!
//! /// Calls back with the names of all members, at first and whenever they change.
//! async fn follow(client: &Client, mut tell: impl FnMut(Vec<String>)) -> Result<(), Error> {
//!     let mut watch = client.watch("/members").await?;
//!     tell(client.children("/members").await?);
//!     while let Some(item) = watch.next().await {
//!         match item {
//!             WatchItem::Event(_) | WatchItem::Gap { .. } => tell(client.children("/members").await?),
//!             WatchItem::Lost => break,
//!         }
//!     }
//!     Ok(())
//! }
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = zk_client::testkit::TestServer::start().await?;
//! # let client = Client::connect(server.address().to_string()).await?;
//! client.create("/members", "").await?;
//! let (heard, mut names) = tokio::sync::mpsc::unbounded_channel();
//! let follower = client.clone();
//! let task = tokio::spawn(async move { follow(&follower, |now| drop(heard.send(now))).await });
//! assert_eq!(names.recv().await, Some(vec![]));
//! client.create("/members/ann", "").ephemeral().await?;
//! assert_eq!(names.recv().await, Some(vec!["ann".to_owned()]));
//! task.abort();
//! # client.close().await; Ok(()) }
//! ```
//!
//! Lasting watches need servers from 3.6 on. Which event reaches whom:
//!
//! | watcher | created | data changed | children changed | deleted |
//! |---|---|---|---|---|
//! | `get(..).watch()` | – | ✓ | – | ✓ |
//! | `exists(..).watch()` | ✓ | ✓ | – | ✓ |
//! | `children(..).watch()` | – | – | ✓ | ✓ |
//! | `watch(..)` | ✓ | ✓ | ✓ | ✓ |
//! | `watch_recursive(..)`, the node and all below | ✓ | ✓ | – | ✓ |
