//! Everything that survives: the log, the snapshots, the epochs, and what is made of them at a start.
//!
//! The files are Java's, byte for byte. This room knows the words and no decision: it is told what to
//! write and says when it is durable.
//!
//! | file | what is in it |
//! |------|---------------|
//! | `files` | the storage operations all else is made of; `fake`: the disk that fails on demand |
//! | `names`, `record` | pure: names and bytes of a log |
//! | `mark` | how far the log is durable, for a later start |
//! | `store`, `log` | writing: the files; the thread with its queue |
//! | `reader`, `recovery` | reading: one log; everything, into a replica |
//! | `snapshot` | the tree in one file, in and out |
//! | `epoch`, `lock`, `dirs` | promises, exclusivity, layout |
//! | `stretch` | a part of the history, for a learner that misses it |
//! | `purge`, `truncate` | what is no longer needed, and what must not be any more |
//! | `reclaim` | removing large files without holding up who writes beside them |
//! | `leave` | how long work is asked to end early |

pub mod dirs;
pub mod epoch;
#[cfg(any(test, feature = "sim"))]
pub mod fake;
pub mod files;
pub mod leave;
pub mod lock;
pub mod log;
pub mod mark;
pub mod names;
pub mod purge;
pub mod reader;
pub mod reclaim;
pub mod record;
pub mod recovery;
pub mod snapshot;
pub mod store;
pub mod stretch;
#[cfg(test)]
pub(crate) mod testing;
pub mod truncate;
