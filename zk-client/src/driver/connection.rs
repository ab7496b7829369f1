//! One connection: bytes in, frames out, the session between them.

use super::Core;
use super::connect::Stream;
use crate::clock::Time;
use crate::security::sasl::{Sasl, Step};
use crate::session::{Misbehaved, Phase, Session};
use bytes::{Buf, Bytes, BytesMut};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tracing::{debug, warn};
use zk_proto::jute::Reader;
use zk_proto::{OpCode, ReplyHeader, Request, RequestHeader, Xid, frame};

/// What one read asks for at first, and at most.
const MIN_READ: usize = 4 << 10;
const MAX_READ: usize = 64 << 10;
/// Reads of one turn; then others have theirs.
const READS_PER_TURN: usize = 16;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The server never took us.
    Unwelcome,
    /// It did, at this time, and was lost.
    Lost {
        since: Time,
        read_only: bool,
        /// The server did as it has to.
        blameless: bool,
    },
}

struct Connection {
    stream: Stream,
    input: BytesMut,
    output: BytesMut,
    want: usize,
    max_reply: usize,
    greeted: Option<(Time, bool)>,
    /// The proof of our identity under way.
    sasl: Option<Sasl>,
    /// Why nothing new is sent: the connection is left as soon as everything sent is answered.
    leaving: Option<&'static str>,
}

/// On what terms we speak with a server.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) max_reply: usize,
    pub(crate) sasl: Option<Sasl>,
}

impl super::Connector {
    pub(crate) fn terms(&self) -> Terms {
        let sasl = self.login.as_ref().map(|login| login.begin(unforeseen()));
        Terms {
            max_reply: self.max_reply,
            sasl,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] frame::BadFrame),
    #[error(transparent)]
    Misbehaved(#[from] Misbehaved),
    #[error("the server closed the connection")]
    Eof,
    #[error("{0}")]
    Hangup(&'static str),
}

impl Core {
    /// Speaks with one server until the connection is lost, or left because `leave` says so, or the session over.
    pub(crate) async fn converse(
        &mut self,
        stream: Stream,
        server: &str,
        terms: Terms,
        leave: impl Future<Output = &'static str>,
    ) -> Ended {
        let mut connection = Connection {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            want: MIN_READ,
            max_reply: terms.max_reply,
            greeted: None,
            sasl: terms.sasl,
            leaving: None,
        };
        let mut leave = pin!(leave);
        let now = self.clock.now();
        let greeting = self.step(|session, _| session.greet(now));
        connection.output.extend_from_slice(&greeting);
        let broken = std::future::poll_fn(|cx| {
            if connection.leaving.is_none()
                && let Poll::Ready(why) = leave.as_mut().poll(cx)
            {
                connection.leaving = Some(why);
            }
            self.poll_connection(&mut connection, cx)
        })
        .await;
        match &broken {
            Broken::Misbehaved(error) => warn!(server, %error, "server misbehaves"),
            Broken::Frame(error) => warn!(server, %error, "server misbehaves"),
            Broken::Io(_) | Broken::Eof | Broken::Hangup(_) => {
                debug!(server, error = %broken, "connection lost");
            }
        }
        let now = self.clock.now();
        self.step(|session, out| session.on_lost(now, out));
        self.settle();
        self.hangup = None;
        let blameless = std::mem::take(&mut self.blameless);
        match connection.greeted {
            None => Ended::Unwelcome,
            Some((since, read_only)) => Ended::Lost {
                since,
                read_only,
                blameless,
            },
        }
    }

    /// One turn.
    fn poll_connection(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Broken> {
        let now = self.clock.now();
        self.poll_commands(now, cx);
        let read = self.poll_read(connection, now, cx);
        self.settle();
        self.poll_time(cx);
        if let Poll::Ready(broken) = read {
            return Poll::Ready(broken);
        }
        if let Some(why) = self.hangup {
            return Poll::Ready(Broken::Hangup(why));
        }
        if self.pace.waits() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let written = self.poll_write(connection, now, cx);
        self.settle();
        let (queued, in_flight) = self.session.load();
        self.metrics
            .load(queued, in_flight, self.session.watch_count());
        match (written, connection.leaving) {
            (Err(error), _) => Poll::Ready(error.into()),
            // Whatever was sent is answered: nobody is left with an unknown outcome.
            (Ok(()), Some(why))
                if self.session.phase() != Phase::Live
                    || (in_flight == 0 && connection.output.is_empty()) =>
            {
                Poll::Ready(Broken::Hangup(why))
            }
            (Ok(()), _) => Poll::Pending,
        }
    }

    fn poll_read(
        &mut self,
        connection: &mut Connection,
        now: Time,
        cx: &mut Context<'_>,
    ) -> Poll<Broken> {
        for _ in 0..READS_PER_TURN {
            connection.input.reserve(connection.want);
            let read = pin!(connection.stream.read_buf(&mut connection.input)).poll(cx);
            match ready!(read) {
                Err(error) => return Poll::Ready(error.into()),
                Ok(0) => return Poll::Ready(Broken::Eof),
                Ok(len) if len >= connection.want => {
                    connection.want = (connection.want * 2).min(MAX_READ);
                }
                Ok(len) if len < connection.want / 4 => {
                    connection.want = (connection.want / 2).max(MIN_READ);
                }
                Ok(_) => {}
            }
            if let Err(broken) = self.take_frames(connection, now) {
                return Poll::Ready(broken);
            }
            if let Some(why) = self.hangup {
                return Poll::Ready(Broken::Hangup(why));
            }
        }
        // There may be more; it is the others' turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn take_frames(&mut self, connection: &mut Connection, now: Time) -> Result<(), Broken> {
        while let Some(len) = frame::payload_len(&connection.input, connection.max_reply)? {
            let whole = frame::LENGTH_WORD + len;
            if connection.input.len() < whole {
                return Ok(());
            }
            connection.input.advance(frame::LENGTH_WORD);
            let payload = connection.input.split_to(len).freeze();
            match self.session.phase() {
                Phase::Greeting { .. } => self.on_greeting(connection, now, &payload)?,
                Phase::Proving => self.on_proof(connection, now, &payload)?,
                Phase::Live | Phase::Apart | Phase::Over(_) => {
                    self.step(|session, out| session.on_frame(now, &payload, out))?;
                }
            }
            if self.session.has_ended() {
                self.settle();
                return Ok(());
            }
        }
        self.settle();
        Ok(())
    }

    fn on_greeting(
        &mut self,
        connection: &mut Connection,
        now: Time,
        payload: &Bytes,
    ) -> Result<(), Broken> {
        if !self.step(|session, out| session.on_greeting(now, payload, out))? {
            return Ok(());
        }
        connection.greeted = Some((now, self.session.is_read_only()));
        match &connection.sasl {
            None => self.step(|session, out| session.begin(now, out)),
            Some(sasl) => put_token(&mut connection.output, &sasl.start()),
        }
        Ok(())
    }

    /// A step of the SASL exchange, before anything else is asked.
    fn on_proof(
        &mut self,
        connection: &mut Connection,
        now: Time,
        payload: &Bytes,
    ) -> Result<(), Broken> {
        let mut reader = Reader::new(payload);
        let header = ReplyHeader::decode(&mut reader).map_err(Misbehaved::from)?;
        if header.xid == Xid::NOTIFICATION {
            return Ok(self.step(|session, out| session.on_frame(now, payload, out))?);
        }
        let token = match header.err {
            0 => reader
                .buffer()
                .map_err(Misbehaved::from)?
                .unwrap_or_default(),
            _refused => {
                self.step(Session::refuse_identity);
                return Ok(());
            }
        };
        let Some(sasl) = &mut connection.sasl else {
            return Ok(());
        };
        match sasl.on_challenge(token) {
            Ok(Step::Send(token)) => put_token(&mut connection.output, &token),
            Ok(Step::Done) => self.step(|session, out| session.begin(now, out)),
            Err(error) => {
                warn!(%error, "identity cannot be proved");
                self.step(Session::refuse_identity);
            }
        }
        Ok(())
    }

    fn poll_write(
        &mut self,
        connection: &mut Connection,
        now: Time,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        loop {
            if connection.leaving.is_none() {
                self.step(|session, _| session.fill(now, &mut connection.output));
            }
            if connection.output.is_empty() {
                break;
            }
            let stream = Pin::new(&mut connection.stream);
            match stream.poll_write(cx, &connection.output) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(len)) => connection.output.advance(len),
            }
        }
        match Pin::new(&mut connection.stream).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }
}

/// The number of SASL's requests; servers send it back and nobody looks at it.
const SASL_XID: Xid = Xid(i32::MAX);

fn put_token(out: &mut BytesMut, token: &[u8]) {
    frame::put_frame(out, |payload| {
        RequestHeader {
            xid: SASL_XID,
            op: OpCode::Sasl,
        }
        .encode(payload);
        Request::Sasl { token: Some(token) }.encode(payload);
    });
}

/// A number that nobody else has seen.
fn unforeseen() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    // The standard library seeds each of these from the system.
    let random = || u128::from(RandomState::new().hash_one(0_u8));
    random() << 64 | random()
}
