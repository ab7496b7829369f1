//! A coordination server that Apache ZooKeeper's clients, peers and files cannot tell from their own.
//!
//! The binary `zk-server` runs one; [`Server`] runs one inside of your own process, on a free port, in
//! milliseconds:
//!
//! ```
//! use std::io::Write;
//! use zk_server::{Config, Server};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let data = tempfile::tempdir()?;
//! let server = Server::start(Config::in_process(data.path())).await?;
//! let address = server.client_address().expect("a client port");
//!
//! // Any ZooKeeper client may connect now. This one only asks how the server is.
//! let report = tokio::task::spawn_blocking(move || {
//!     let mut stream = std::net::TcpStream::connect(address)?;
//!     stream.write_all(b"srvr")?;
//!     std::io::read_to_string(stream)
//! });
//! assert!(report.await??.contains("Mode: standalone"));
//!
//! server.stop().await?; // and start it again on the same directory whenever you like
//! # Ok(()) }
//! ```
//!
//! The rooms, and who may know whom, are drawn in `ARCHITECTURE.md`. What is public here besides
//! [`Server`] and [`Config`] are the rooms themselves, for tools that read logs and snapshots or want the
//! tree without a server.

pub mod cli;
pub mod config;
mod descriptors;
pub mod disk;
pub mod metrics;
pub mod net;
mod node;
mod posts;
mod replica;
mod room;
mod server;
pub mod session;
mod storage;
mod time;
pub mod tree;

pub use config::Config;
pub use descriptors::raise_limit as raise_descriptor_limit;
pub use node::{Fatal, RejoinError};
pub use server::{Server, StartError};
pub use storage::StorageError;
