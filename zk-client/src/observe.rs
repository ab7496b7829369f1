//! What an operator may count: a trait with empty methods, called by the driver. Exporting is not here.

use crate::{ErrorKind, State};
use std::fmt;
use std::time::Duration;
use zk_proto::OpCode;

/// Is told what happens in a client. Called from the driver's task: count and return.
pub trait Metrics: Send + Sync + fmt::Debug {
    /// A request was answered, or will not be. `took` is the time it was in flight; `None` if it was never sent.
    fn request(&self, op: OpCode, took: Option<Duration>, failed: Option<&ErrorKind>) {
        let _ = (op, took, failed);
    }

    /// The session's state changed.
    fn state(&self, state: &State) {
        let _ = state;
    }

    /// A connection was tried.
    fn connect(&self, server: &str, succeeded: bool) {
        let _ = (server, succeeded);
    }

    /// After each turn of the driver: calls waiting for their turn, calls in flight, watches.
    fn load(&self, queued: usize, in_flight: usize, watches: usize) {
        let _ = (queued, in_flight, watches);
    }
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Uncounted;

impl Metrics for Uncounted {}
