//! Everything that survives: the log, the snapshots, the epochs, and what is made of them at a start.
//!
//! The files are Java's, byte for byte (`docs/ON_DISK.md`). This room knows the words and no decision:
//! it is told what to write and says when it is durable.

pub mod files;
pub mod log;
pub mod mark;
pub mod names;
pub mod record;
pub mod store;
