//! What an operator may count: a trait with empty methods, called by the driver; and what one may follow: a span per
//! call. Exporting is not here.

use crate::error::{Error, Outcome};
use crate::session::wire_path;
use crate::{ErrorKind, SessionTicket, State};
use std::fmt;
use std::time::Duration;
use tracing::field::{Empty, display};
use tracing::{Level, Span};
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

/// A call's span, open until its answer is taken: session, operation, the path on the server, and, once it is known,
/// the outcome. Without a subscriber for `zk_client` at `DEBUG` it costs the look at one number.
pub(crate) fn span(
    op: OpCode,
    frame: &[u8],
    ticket: impl FnOnce() -> Option<SessionTicket>,
) -> Span {
    if !tracing::enabled!(target: "zk_client", Level::DEBUG) {
        return Span::none();
    }
    let span = tracing::debug_span!(
        target: "zk_client",
        "zk_call",
        ?op,
        path = Empty,
        session = Empty,
        outcome = Empty,
        error = Empty,
    );
    if let Some(path) = wire_path(frame) {
        span.record("path", path);
    }
    if let Some(ticket) = ticket() {
        span.record("session", display(ticket.id()));
    }
    span
}

/// The call has its answer.
pub(crate) fn record<T>(span: &Span, finished: &Result<T, Error>) {
    if span.is_disabled() {
        return;
    }
    let outcome = match finished {
        Ok(_) => Outcome::Applied,
        Err(error) => {
            span.record("error", display(error));
            error.outcome()
        }
    };
    span.record("outcome", tracing::field::debug(outcome));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// Writes down every field of every span.
    #[derive(Clone, Debug, Default)]
    struct Heard(Arc<Mutex<Vec<(String, String)>>>);

    impl Visit for Heard {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            let said = (field.name().to_owned(), format!("{value:?}"));
            self.0.lock().unwrap().push(said);
        }
    }

    impl Subscriber for Heard {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "zk_client"
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            span.record(&mut self.clone());
            Id::from_u64(1)
        }

        fn record(&self, _span: &Id, values: &Record<'_>) {
            values.record(&mut self.clone());
        }

        fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
        fn event(&self, _event: &Event<'_>) {}
        fn enter(&self, _span: &Id) {}
        fn exit(&self, _span: &Id) {}
    }

    #[test]
    fn a_call_is_told_with_its_session_path_and_outcome() {
        let request = zk_proto::Request::Sync { path: "/a".into() };
        let frame = crate::session::frame_of(&request);
        let session = zk_proto::SessionId::from_wire(7);
        let ticket = || Some(SessionTicket::new(session, [0; 16], zk_proto::Zxid::ZERO));
        let heard = Heard::default();
        tracing::subscriber::with_default(heard.clone(), || {
            let span = span(OpCode::Sync, &frame, ticket);
            let lost = ErrorKind::ConnectionLoss { sent: true };
            record(&span, &Err::<(), _>(Error::new(lost, OpCode::Sync, None)));
        });
        let heard = heard.0.lock().unwrap();
        let value = |name: &str| {
            let found = heard.iter().find(|(field, _)| field == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("op"), Some("Sync"));
        assert_eq!(value("path"), Some("\"/a\""));
        assert_eq!(value("session"), Some(session.to_string().as_str()));
        assert_eq!(value("outcome"), Some("Unknown"));
    }
}
