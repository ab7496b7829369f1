//! Errors.
//!
//! An [`Error`](crate::Error) names the operation and the path, and answers two questions.
//!
//! *What became of it?* [`outcome`](crate::Error::outcome):
//!
//! * `NotApplied`: it took no effect and never will. The server refused it, or it was never sent.
//! * `Unknown`: it was on its way when the connection, the time or the session ran out.
//! * `Applied`: it was done, and the answer could not be read.
//!
//! *May the same call succeed later in this session?* [`is_retryable`](crate::Error::is_retryable). It does not say that
//! repeating is harmless: only the outcome does.
//!
//! Reads are sent again by themselves after a lost connection. A write never is: sending it twice might do it twice.
//! A conditional write makes its own outcome plain, because it can only succeed once:
//!
//! ```
//! use zk_client::{Client, Error, ErrorCode, Outcome, Version};
//!
//! /// Sets a node that has this version, and is certain of it in the end.
//! async fn set_once(client: &Client, path: &str, data: &str, version: Version) -> Result<bool, Error> {
//!     let mut was_unknown = false;
//!     loop {
//!         match client.set(path, data).version(version).await {
//!             Ok(_) => return Ok(true),
//!             // If this was ours, the node has our data under the next version.
//!             Err(error) if error.code() == Some(ErrorCode::BadVersion) && was_unknown => {
//!                 let (found, stat) = client.get(path).await?;
//!                 return Ok(stat.version.0 == version.0 + 1 && found == data);
//!             }
//!             Err(error) if error.code() == Some(ErrorCode::BadVersion) => return Ok(false),
//!             Err(error) if error.is_retryable() => was_unknown |= error.outcome() == Outcome::Unknown,
//!             Err(error) => return Err(error),
//!         }
//!     }
//! }
//!
//! # use zk_client::testkit::{FaultProxy, TestServer, Which};
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = TestServer::start().await?;
//! # let proxy = FaultProxy::start(server.address()).await?;
//! # let client = Client::connect(proxy.address().to_string()).await?;
//! client.create("/balance", "100").await?;
//! proxy.drop_reply(Which::To(zk_client::Operation::SetData)); // it is done, and we do not hear of it
//! assert!(set_once(&client, "/balance", "90", Version(0)).await?);
//! assert_eq!(client.get("/balance").await?.0, "90");
//! # client.close().await; Ok(()) }
//! ```
//!
//! Where a node's own name tells whose it is, [`protected`](crate::ops::Create::protected) does the same for a create: it
//! finds its node again after a lost reply and never leaves a second one.
