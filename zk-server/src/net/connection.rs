//! One client's connection: bytes in, bytes out, and between them the order of its requests.
//!
//! A single task owns the socket. It reads what has arrived, answers reads from the tree at once,
//! hands writes to the loop, and sends what the loop leaves in the [`Link`]. A read behind an
//! unfinished write waits behind it, so answers leave in the order in which questions came (P3).
//! Nothing here decides what a write does.

mod greeting;

use crate::net::budget::Share;
use crate::net::front::Front;
use crate::net::gate::Shut;
use crate::net::link::{Delivery, Link};
use crate::replica::Replica;
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::io;
use std::ops::RangeInclusive;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use zk_proto::{SessionId, frame};
use zk_zab::Time;

/// How much one read offers the socket: more, the more the last ones brought. What a write holds on to while
/// it is in flight is bounded by it too.
const APPETITE: RangeInclusive<usize> = 4 * 1024..=64 * 1024;
/// How long a connection that is to end waits for its client to take the last replies.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often a busy connection goes round before it lets others run.
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
    /// Since when nothing has moved because all connections together hold too much.
    stopped_since: Option<Time>,
    last_words: Option<Pin<Box<Sleep>>>,
    /// Why nothing more will be heard of the client. What it said before is done all the same.
    farewell: Option<Ended>,
    /// The client cannot be told anything any more.
    is_deaf: bool,
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
    #[error("this server has no leader")]
    NotServing,
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
            | Self::NotServing
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
            stopped_since: None,
            last_words: None,
            farewell: None,
            is_deaf: false,
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
            | Ended::NotServing
            | Ended::Probe
            | Ended::Io(_) => {}
        }
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
        let has_budget = self.has_budget(cx);
        if self.farewell.is_none() && self.front.wants_requests() && has_budget {
            moved |= self.hear(cx);
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
        moved |= self.tell(cx);
        if self.front.is_closing() && (self.front.output().is_empty() || self.is_patience_over(cx))
        {
            return Err(Ended::ByServer);
        }
        if let Some(farewell) = self.poll_farewell(cx)? {
            return Err(farewell);
        }
        self.share.set(self.input.len() + self.front.held_bytes());
        self.mind_patience(moved)?;
        Ok(moved)
    }

    /// Reads once; says whether anything came, be it the end.
    fn hear(&mut self, cx: &mut Context<'_>) -> bool {
        match self.poll_read(cx) {
            Poll::Ready(Ok(0)) => self.farewell = Some(Ended::ByClient),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => {
                self.is_deaf = true;
                self.farewell = Some(error.into());
            }
            Poll::Pending if self.is_deaf => self.farewell = Some(Ended::ByClient),
            Poll::Pending => return false,
        }
        true
    }

    /// Writes what there is; says whether anything left. Who cannot be told anything any more may have said
    /// something before: that is still read.
    fn tell(&mut self, cx: &mut Context<'_>) -> bool {
        let before = self.front.output().len();
        if let Poll::Ready(Err(_)) = self.poll_flush(cx) {
            self.is_deaf = true;
            return true;
        }
        self.front.output().len() < before
    }

    /// A client that has hung up is let go when all it said is done or with the loop, as Apache's server has
    /// it. Answers that are there already still leave: it may have closed its own direction only.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Result<Option<Ended>, Ended> {
        if self.farewell.is_none() || self.has_frame()? {
            return Ok(None);
        }
        let told = self.front.output().is_empty() || self.is_patience_over(cx);
        Ok(if told { self.farewell.take() } else { None })
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
            if self.has_hung_up(cx) {
                // Nothing comes after what the kernel has, and at its end everything is given back.
                return true;
            }
            if self.nap.is_none() && self.stopped_since.is_none() {
                let here = self.replica.metrics().here();
                here.limits.limit_global_memory.increment();
            }
            let now = self.replica.clock().now();
            self.stopped_since.get_or_insert(now);
            if !self.poll_nap(now + BUDGET_PAUSE, cx) {
                return false;
            }
        }
        self.stopped_since = None;
        true
    }

    /// Whether the client has closed its direction, however much is to be read before that.
    fn has_hung_up(&self, cx: &mut Context<'_>) -> bool {
        let ready = pin!(self.stream.ready(Interest::READABLE));
        matches!(ready.poll(cx), Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }

    /// A connection that is stopped and does not move lets go of what it holds for others' sake, and before
    /// its session would expire for it: nobody hears its pings. Its end may also be invisible, behind bytes
    /// for which there is no room.
    fn mind_patience(&mut self, moved: bool) -> Result<(), Ended> {
        let now = self.replica.clock().now();
        match &mut self.stopped_since {
            Some(since) if moved => *since = now,
            Some(since) if now.saturating_since(*since) > self.link.timeout() / 2 => {
                return Err(Ended::Crowded);
            }
            Some(_) | None => {}
        }
        Ok(())
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

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let output = self.front.output();
        if self.is_deaf {
            output.clear();
        }
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
        }
        Poll::Ready(Ok(()))
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
