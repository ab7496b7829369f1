//! Sessions: who they are and when they end. Pure: ids and passwords are arithmetic, time is an argument.
//!
//! The table of sessions that must survive a restart is part of the tree; here is only what a
//! running server adds to it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod ids;
mod registry;
mod touches;
mod tracker;

pub use ids::{SessionIds, password};
pub use registry::Registry;
pub use touches::Touches;
pub use tracker::Tracker;
