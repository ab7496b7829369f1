//! A coordination server that Apache ZooKeeper's clients, peers and files cannot tell from their own.

pub mod cli;
pub mod config;
pub mod disk;
pub mod metrics;
pub mod net;
mod node;
mod replica;
mod server;
pub mod session;
mod storage;
mod time;
pub mod tree;

pub use config::Config;
pub use node::Fatal;
pub use server::{Server, StartError};
pub use storage::StorageError;
