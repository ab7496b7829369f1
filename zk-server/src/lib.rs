//! A coordination server that Apache ZooKeeper's clients, peers and files cannot tell from their own.

pub mod cli;
pub mod config;
pub mod disk;
pub mod metrics;
pub mod net;
pub mod session;
pub mod tree;
