//! One client's connection: bytes in, bytes out, and between them the order of its requests.
//!
//! A single task owns the socket. It reads what has arrived, answers reads from the tree at once,
//! hands writes to the loop, and sends what the loop leaves in the [`Link`]. A read behind an
//! unfinished write waits behind it, so answers leave in the order in which questions came (P3).
//! Nothing here decides what a write does.

use crate::net::budget::Share;
use crate::net::four_letter::Word;
use crate::net::front::Front;
use crate::net::gate::Shut;
use crate::net::link::{Delivery, Link};
use crate::net::probe;
use crate::replica::{Event, Replica};
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::io;
use std::ops::RangeInclusive;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use zk_proto::{ConnectRequest, ConnectResponse, SessionId, frame};
use zk_zab::Time;

/// How much one read offers the socket: more, the more the last ones brought. What a write holds on to while
/// it is in flight is bounded by it too.
const APPETITE: RangeInclusive<usize> = 4 * 1024..=64 * 1024;
/// How often a busy connection goes round before it lets others run.
const LAST_WORDS: Duration = Duration::from_secs(2);
const ROUNDS: usize = 16;
/// What a connection may hold while all together hold too much: requests of this size still go on.
const POLITE: usize = 64 * 1024;
/// When a connection that was stopped looks again whether there is room.
const BUDGET_PAUSE: Duration = Duration::from_millis(20);

/// A connection, as its own task sees it.
pub(crate) struct Connection {
    stream: TcpStream,
    input: BytesMut,
    appetite: usize,
    front: Front,
    replica: Arc<Replica>,
    link: Arc<Link>,
    deliveries: Vec<Delivery>,
    share: Share,
    /// Set while nothing is read.
    nap: Option<Pin<Box<Sleep>>>,
    last_words: Option<Pin<Box<tokio::time::Sleep>>>,
}

/// Why a connection ends; none of these is worth more than a line at debug level.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the client closed it")]
    ByClient,
    #[error("the server closed it")]
    ByServer,
    #[error("no handshake in time")]
    Silent,
    #[error("{0}")]
    BadFrame(#[from] frame::BadFrame),
    #[error("the handshake or a header cannot be decoded")]
    Undecodable,
    #[error("the client has seen zxid {seen:#x}, this server only {here:#x}")]
    AheadOfUs {
        seen: zk_proto::Zxid,
        here: zk_proto::Zxid,
    },
    #[error("too many are saying hello: {0:?}")]
    NotAdmitted(Shut),
    #[error("all connections together hold too much memory")]
    Crowded,
    #[error("too many bytes of large requests are in process")]
    TooLarge,
    #[error("a four-letter word was answered")]
    Probe,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Ended {
    /// Whether neither side meant it to end like this.
    pub(crate) const fn is_drop(&self) -> bool {
        match self {
            Self::ByServer | Self::Probe => false,
            Self::ByClient
            | Self::Silent
            | Self::BadFrame(_)
            | Self::Undecodable
            | Self::AheadOfUs { .. }
            | Self::NotAdmitted(_)
            | Self::Crowded
            | Self::TooLarge
            | Self::Io(_) => true,
        }
    }
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, link: Arc<Link>, replica: Arc<Replica>) -> Self {
        let front = Front::new(Arc::clone(&link), Arc::clone(&replica));
        Self {
            stream,
            input: BytesMut::new(),
            appetite: *APPETITE.start(),
            front,
            share: Share::of(Arc::clone(replica.budget())),
            replica,
            link,
            deliveries: Vec::new(),
            nap: None,
            last_words: None,
        }
    }

    /// Serves the client until one side has enough.
    pub(crate) async fn run(mut self) -> Ended {
        let deadline = self.replica.limits().sessionless_timeout;
        let greeted = tokio::time::timeout(deadline, self.greet()).await;
        let ended = match greeted {
            Err(_) => Ended::Silent,
            Ok(Err(ended)) => ended,
            Ok(Ok(())) => poll_fn(|cx| self.poll_serve(cx)).await,
        };
        self.count_end(&ended);
        ended
    }

    fn count_end(&self, ended: &Ended) {
        let here = self.replica.metrics().here();
        match ended {
            Ended::Silent => {
                here.limits.limit_handshake_timeout.increment();
                here.counters.sessionless_connections_expired.increment();
            }
            Ended::BadFrame(_) if self.link.session() == SessionId::NONE => {
                here.limits.limit_connection_memory.increment();
            }
            Ended::BadFrame(_) => here.limits.limit_frame_size.increment(),
            Ended::Crowded => here.limits.limit_global_memory.increment(),
            Ended::NotAdmitted(_) => {
                here.limits.limit_session_rate.increment();
                here.counters.connection_rejected.increment();
            }
            Ended::TooLarge => here.counters.large_requests_rejected.increment(),
            Ended::ByClient
            | Ended::ByServer
            | Ended::Undecodable
            | Ended::AheadOfUs { .. }
            | Ended::Probe
            | Ended::Io(_) => {}
        }
    }

    /// The handshake: a four-letter word, or a connect request that ends in a session.
    async fn greet(&mut self) -> Result<(), Ended> {
        while self.input.len() < frame::LENGTH_WORD {
            self.read().await?;
        }
        if let Some(answer) = self.four_letter_word().await? {
            self.front.output().extend_from_slice(answer.as_bytes());
            self.share.set(answer.len());
            self.flush().await?;
            return Err(Ended::Probe);
        }
        let limit = self.replica.greeting_limit();
        let len = loop {
            match frame::payload_len(&self.input, limit)? {
                Some(len) if self.input.len() >= frame::LENGTH_WORD + len => break len,
                _ => self.read().await?,
            }
        };
        let payload = self.input.split_to(frame::LENGTH_WORD + len).freeze();
        let payload = payload.slice(frame::LENGTH_WORD..);
        let request = ConnectRequest::decode(&payload).map_err(|_| Ended::Undecodable)?;
        self.connect(&request).await
    }

    async fn connect(&mut self, request: &ConnectRequest<'_>) -> Result<(), Ended> {
        self.be_admitted(request.session == SessionId::NONE)?;
        let here = self.replica.tree().last_zxid();
        if request.last_zxid_seen > here {
            return Err(Ended::AheadOfUs {
                seen: request.last_zxid_seen,
                here,
            });
        }
        self.link.hear(self.replica.clock().now());
        self.replica.send(Event::Connect {
            link: Arc::clone(&self.link),
            session: request.session,
            password: request.password.as_deref().unwrap_or_default().to_vec(),
            timeout: self.replica.clamp_timeout(request.timeout),
        });
        let response = self.connected().await?;
        let response = ConnectResponse {
            read_only: request.read_only.map(|_| false),
            ..response
        };
        frame::put_frame(self.front.output(), |out| response.encode(out));
        if response.timeout <= 0 {
            self.flush().await?;
            return Err(Ended::ByServer);
        }
        Ok(())
    }

    /// Asked before a handshake can cost a transaction.
    fn be_admitted(&self, new_session: bool) -> Result<(), Ended> {
        let (gate, now) = (self.replica.gate(), self.replica.clock().now());
        gate.admit(self.link.peer().ip(), new_session, now)
            .map_err(Ended::NotAdmitted)?;
        let here = self.replica.metrics().here();
        here.counters.connection_request_count.increment();
        if !new_session {
            here.counters.connection_revalidate_count.increment();
        }
        here.amounts.connection_token_deficit.record(gate.deficit());
        Ok(())
    }

    /// Waits for the loop's answer to the handshake.
    async fn connected(&mut self) -> Result<ConnectResponse, Ended> {
        poll_fn(|cx| {
            if self.link.poll(cx.waker()).has_deliveries {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        self.link.take(&mut self.deliveries);
        let mut deliveries = self.deliveries.drain(..);
        match deliveries.next() {
            Some(Delivery::Connected(response)) if deliveries.len() == 0 => Ok(response),
            _ => Err(Ended::ByServer),
        }
    }

    async fn four_letter_word(&mut self) -> Result<Option<String>, Ended> {
        let first = self.input.first_chunk().copied().unwrap_or_default();
        let Some(word) = Word::parse(first) else {
            return Ok(None);
        };
        while self.input.len() < frame::LENGTH_WORD + word.more_bytes() {
            self.read().await?;
        }
        let more = self
            .input
            .get(frame::LENGTH_WORD..)
            .and_then(<[u8]>::first_chunk)
            .copied();
        let more = more.unwrap_or_default();
        self.link.stats().received(1);
        self.replica
            .metrics()
            .here()
            .server
            .packets_received
            .increment();
        Ok(Some(
            probe::answer(&self.replica, &self.link, word, more).await,
        ))
    }

    async fn read(&mut self) -> Result<(), Ended> {
        self.input.reserve(*APPETITE.start());
        match self.stream.read_buf(&mut self.input).await? {
            0 => return Err(Ended::ByClient),
            _ => self.share.set(self.input.len()),
        }
        // Whoever has no session yet is the first to go; a handshake of ordinary length still fits.
        if self.share.must_wait(0) {
            return Err(Ended::Crowded);
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        poll_fn(|cx| self.poll_flush(cx)).await?;
        Ok(())
    }

    fn poll_serve(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        for _ in 0..ROUNDS {
            match self.poll_round(cx) {
                Ok(true) => {}
                Ok(false) => {
                    self.rest();
                    return Poll::Pending;
                }
                Err(ended) => return Poll::Ready(ended),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads, works and writes once; says whether anything moved.
    fn poll_round(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let mut moved = false;
        if let Some(until) = self.front.held_until()
            && self.poll_nap(until, cx)
        {
            self.front.go_on();
            moved = true;
        }
        if self.front.wants_requests() && self.has_budget(cx) {
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => return Err(Ended::ByClient),
                Poll::Ready(Ok(_)) => moved = true,
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => {}
            }
        }
        let mail = self.link.poll(cx.waker());
        if mail.must_end && !self.front.wants_deliveries() {
            // It does not read what it was sent before: it need not be told more.
            return Err(Ended::ByServer);
        }
        let delivered = self.front.wants_deliveries() && mail.has_deliveries;
        if delivered || (self.front.wants_requests() && self.has_frame()?) {
            moved = true;
            self.front.work(&mut self.input, &mut self.deliveries)?;
        }
        match self.poll_flush(cx) {
            Poll::Ready(Ok(wrote)) => moved |= wrote,
            Poll::Ready(Err(error)) => return Err(error.into()),
            Poll::Pending => {}
        }
        if self.front.is_closing() && (self.front.output().is_empty() || self.is_patience_over(cx))
        {
            return Err(Ended::ByServer);
        }
        self.share.set(self.input.len() + self.front.held_bytes());
        Ok(moved)
    }

    /// A connection that is to end waits a while for its client to take the last replies.
    fn is_patience_over(&mut self, cx: &mut Context<'_>) -> bool {
        let last_words = self
            .last_words
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LAST_WORDS)));
        last_words.as_mut().poll(cx).is_ready()
    }

    /// Whether more may be read, as far as the memory of all is concerned. If not, it looks again soon.
    fn has_budget(&mut self, cx: &mut Context<'_>) -> bool {
        while self.share.must_wait(POLITE) {
            if self.nap.is_none() {
                let here = self.replica.metrics().here();
                here.limits.limit_global_memory.increment();
            }
            let until = self.replica.clock().now() + BUDGET_PAUSE;
            if !self.poll_nap(until, cx) {
                return false;
            }
        }
        true
    }

    /// Sleeps; says whether that is over.
    fn poll_nap(&mut self, until: Time, cx: &mut Context<'_>) -> bool {
        let until = self.replica.clock().instant(until);
        let nap = self
            .nap
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        let is_over = nap.as_mut().poll(cx).is_ready();
        if is_over {
            self.nap = None;
        }
        is_over
    }

    fn has_frame(&self) -> Result<bool, Ended> {
        let len = frame::payload_len(&self.input, self.replica.max_frame())?;
        Ok(len.is_some_and(|len| self.input.len() >= frame::LENGTH_WORD + len))
    }

    /// Memory grows with what arrives, never with what is announced (H2).
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(self.appetite);
        let offered = self.input.capacity() - self.input.len();
        let read = pin!(self.stream.read_buf(&mut self.input));
        let read = ready!(read.poll(cx))?;
        if read == offered {
            self.appetite = (self.appetite * 2).min(*APPETITE.end());
        } else if read < self.appetite / 4 {
            self.appetite = (self.appetite / 2).max(*APPETITE.start());
        }
        Poll::Ready(Ok(read))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let output = self.front.output();
        let mut wrote = false;
        while !output.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.replica
                .metrics()
                .here()
                .counters
                .response_bytes
                .add(written as u64);
            if written == output.len() {
                // Unlike an advance, this leaves the whole buffer for what comes next.
                output.clear();
            } else {
                output.advance(written);
            }
            wrote = true;
        }
        Poll::Ready(Ok(wrote))
    }

    /// An idle connection keeps no buffers: ten thousand of them must be cheap.
    fn rest(&mut self) {
        if self.front.is_held_by_others() {
            let limits = &self.replica.metrics().here().limits;
            limits.limit_outstanding_requests.increment();
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        self.front.rest();
        self.deliveries = Vec::new();
    }
}
