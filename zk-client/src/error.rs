//! What went wrong, told so that a caller can decide: was it applied, may it be tried again, which path and
//! operation. Deciding to retry is not here.

use std::fmt;
use std::sync::Arc;
use zk_proto::{DecodeError, ErrorCode, OpCode, SessionId, path::PathError};

/// What became of an operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It took effect, though the call failed: what failed came after it.
    Applied,
    /// It took no effect and never will.
    NotApplied,
    /// Nobody on this side can know: the request was on its way when the answer became impossible.
    Unknown,
}

/// What a caller asked for, as errors, spans and metrics name it.
pub type Operation = OpCode;

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server answered, and refused.
    #[error("the server refuses: {0}")]
    Server(ErrorCode),
    /// The server refused one operation of a multi, and so all of them.
    #[error("operation {index} of the multi was refused: {code}")]
    Multi {
        /// Which one, counted from zero.
        index: usize,
        /// Why.
        code: ErrorCode,
    },
    /// The connection broke. `sent` says whether any byte of the request may have left before.
    #[error("the connection was lost")]
    ConnectionLoss {
        /// Whether the server may have seen the request.
        sent: bool,
    },
    /// No answer within the time the caller allowed.
    #[error("no answer in time")]
    Timeout {
        /// Whether the server may have seen the request.
        sent: bool,
    },
    /// The session is over, with its ephemeral nodes.
    #[error("session {session} has ended")]
    SessionExpired {
        /// Which session.
        session: SessionId,
        /// Whether the server may have seen the request before.
        sent: bool,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed {
        /// Whether the server may have seen the request before.
        sent: bool,
    },
    /// The server refused our credentials; the session cannot go on.
    #[error("the server refuses our credentials")]
    AuthFailed,
    /// The path is none.
    #[error("not a path: {0}")]
    Path(#[from] PathError),
    /// The request is larger than the server would read.
    #[error("a request of {len} bytes, the limit is {max}")]
    TooLarge {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// Too many calls, or bytes, wait for their answers. This one was not taken.
    #[error("too many calls are waiting")]
    Overloaded,
    /// The call makes no sense, whatever the server's state.
    #[error("{0}")]
    Usage(&'static str),
    /// The server's answer could not be read. The operation itself was done.
    #[error("the answer cannot be read: {0}")]
    Answer(#[from] DecodeError),
}

impl ErrorKind {
    /// What became of the operation.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::ConnectionLoss { sent }
            | Self::Timeout { sent }
            | Self::SessionExpired { sent, .. }
            | Self::Closed { sent }
                if *sent =>
            {
                Outcome::Unknown
            }
            Self::Answer(_) => Outcome::Applied,
            Self::Server(_)
            | Self::Multi { .. }
            | Self::ConnectionLoss { .. }
            | Self::Timeout { .. }
            | Self::SessionExpired { .. }
            | Self::Closed { .. }
            | Self::AuthFailed
            | Self::Path(_)
            | Self::TooLarge { .. }
            | Self::Overloaded
            | Self::Usage(_) => Outcome::NotApplied,
        }
    }
}

/// An operation that failed.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    op: OpCode,
    path: Option<Arc<str>>,
}

impl Error {
    /// An error of an operation: made by the client, and by whoever stands in for one in tests.
    pub fn new(kind: impl Into<ErrorKind>, op: OpCode, path: Option<Arc<str>>) -> Self {
        Self(Box::new(Inner {
            kind: kind.into(),
            op,
            path,
        }))
    }

    /// Why it failed.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// What was asked for.
    pub fn operation(&self) -> Operation {
        self.0.op
    }

    /// Of which node, as the caller named it; `None` where an operation has no path.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The server's refusal, if it was one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self.0.kind {
            ErrorKind::Server(code) | ErrorKind::Multi { code, .. } => Some(code),
            ErrorKind::ConnectionLoss { .. }
            | ErrorKind::Timeout { .. }
            | ErrorKind::SessionExpired { .. }
            | ErrorKind::Closed { .. }
            | ErrorKind::AuthFailed
            | ErrorKind::Path(_)
            | ErrorKind::TooLarge { .. }
            | ErrorKind::Overloaded
            | ErrorKind::Usage(_)
            | ErrorKind::Answer(_) => None,
        }
    }

    /// What became of the operation.
    pub fn outcome(&self) -> Outcome {
        self.0.kind.outcome()
    }

    /// Whether the same call may succeed later in the same session. It does not say that repeating is harmless:
    /// that is [`Self::outcome`].
    pub fn is_retryable(&self) -> bool {
        match &self.0.kind {
            ErrorKind::ConnectionLoss { .. }
            | ErrorKind::Timeout { .. }
            | ErrorKind::Overloaded => true,
            ErrorKind::Server(code) | ErrorKind::Multi { code, .. } => matches!(
                code,
                ErrorCode::ThrottledOp
                    | ErrorCode::NewConfigNoQuorum
                    | ErrorCode::ReconfigInProgress
                    | ErrorCode::NotReadOnly
            ),
            ErrorKind::SessionExpired { .. }
            | ErrorKind::Closed { .. }
            | ErrorKind::AuthFailed
            | ErrorKind::Path(_)
            | ErrorKind::TooLarge { .. }
            | ErrorKind::Usage(_)
            | ErrorKind::Answer(_) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.op.fmt(f)?;
        if let Some(path) = &self.0.path {
            write!(f, " {path}")?;
        }
        write!(f, ": {}", self.0.kind)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("op", &self.0.op)
            .field("path", &self.0.path)
            .field("kind", &self.0.kind)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: ErrorKind, outcome: Outcome, retryable: bool) {
        let error = Error::new(kind, OpCode::SetData, Some("/a".into()));
        assert_eq!(error.outcome(), outcome, "{error}");
        assert_eq!(error.is_retryable(), retryable, "{error}");
    }

    #[test]
    fn an_error_says_what_became_of_the_operation() {
        check(
            ErrorKind::Server(ErrorCode::BadVersion),
            Outcome::NotApplied,
            false,
        );
        check(
            ErrorKind::Server(ErrorCode::ThrottledOp),
            Outcome::NotApplied,
            true,
        );
        check(
            ErrorKind::ConnectionLoss { sent: true },
            Outcome::Unknown,
            true,
        );
        check(
            ErrorKind::ConnectionLoss { sent: false },
            Outcome::NotApplied,
            true,
        );
        check(ErrorKind::Timeout { sent: true }, Outcome::Unknown, true);
        check(
            ErrorKind::Closed { sent: false },
            Outcome::NotApplied,
            false,
        );
        check(
            ErrorKind::Answer(DecodeError::Null),
            Outcome::Applied,
            false,
        );
    }

    #[test]
    fn an_error_names_operation_and_path() {
        let error = Error::new(
            ErrorKind::Server(ErrorCode::NoNode),
            OpCode::GetData,
            Some("/a".into()),
        );
        assert_eq!(
            error.to_string(),
            "getData /a: the server refuses: NONODE (-101)"
        );
    }
}
