//! Why a measurement had to be given up. A failed scenario is reported and the rest goes on.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;
use zk_proto::frame::BadFrame;
use zk_proto::{DecodeError, ErrorCode};

/// Why there is no number.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The machine refused.
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        source: io::Error,
    },
    /// The server hung up.
    #[error("the server closed connection {conn} with {pending} requests unanswered")]
    Closed { conn: usize, pending: usize },
    /// The handshake was answered with an expired session.
    #[error("the server refused a session to connection {conn}")]
    NoSession { conn: usize },
    /// A reply to another request than the oldest one.
    #[error("reply {found} came where {expected:?} was due")]
    Order { expected: Option<i32>, found: i32 },
    /// A reply that is an error.
    #[error("request {xid} was refused: {}", ErrorCode::from_wire(*err).map_or_else(|| err.to_string(), |code| code.to_string()))]
    Refused { xid: i32, err: i32 },
    /// A reply of the wrong length.
    #[error("the reply to request {xid} has {found} bytes of body, expected {expected}")]
    Length {
        xid: i32,
        expected: usize,
        found: usize,
    },
    /// Bytes that are no record.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Bytes that are no frame.
    #[error(transparent)]
    Frame(#[from] BadFrame),
    /// The server ended before it served.
    #[error("the server ended before it served anyone: {0}")]
    Exited(ExitStatus),
    /// The server started and never served.
    #[error("the server did not serve within {0:?}")]
    NotServing(Duration),
    /// Requests or events that never came.
    #[error("{missing} {what} never came")]
    Stuck { what: &'static str, missing: usize },
    /// A line of `/proc` that is not there.
    #[error("/proc does not tell {0}")]
    Proc(&'static str),
    /// The system is not on this machine.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The limit on open files is too low.
    #[error("{needed} connections need more open files than the limit of {limit}")]
    OpenFiles { needed: usize, limit: u64 },
}

/// Names what was attempted when the machine refused.
pub(crate) trait Context<T> {
    /// Adds the name.
    fn context(self, what: &'static str) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: &'static str) -> Result<T, Failure> {
        self.map_err(|source| Failure::Io {
            what,
            source: source.into(),
        })
    }
}
