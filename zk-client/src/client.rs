//! The client: a cheap handle to one session, seen from a root. Operations are in `ops`, opening is in `builder`.

use crate::clock::{Clock, Time};
use crate::driver::{
    Command, Commands, Load, Orphans, ReplySlot, Response, StateQueue, Status, Wanted,
};
use crate::error::{Error, ErrorKind};
use crate::hosts::{Chance, Endpoint};
use crate::path::{IntoPath, parts};
use crate::session::{SessionTicket, State};
use crate::watch::{Inbox, Subscription, SubscriptionId};
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use zk_proto::{Acl, OpCode, SessionId, Zxid};

/// What all handles of a session share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) commands: Commands,
    pub(crate) wishes: watch::Sender<Wanted>,
    pub(crate) load: Arc<Load>,
    pub(crate) status: Arc<Status>,
    pub(crate) orphans: Orphans,
    pub(crate) clock: Clock,
    pub(crate) max_request: usize,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) default_acl: Vec<Acl>,
    pub(crate) watch_queue: usize,
    pub(crate) next_subscription: AtomicU64,
    /// A server has said that it does not know what came with 3.5: creates that tell the stat, and containers.
    pub(crate) before_3_5: AtomicBool,
}

impl Shared {
    /// Which servers to use from now on.
    pub(crate) fn wish(&self, servers: Arc<[Endpoint]>, reserve: Arc<[Endpoint]>) {
        if !servers.is_empty() {
            self.wishes.send_replace(Wanted { servers, reserve });
        }
    }
}

/// A session with an ensemble. Clones are cheap and share it; when the last is dropped, the session is closed.
///
/// Operations are builders: `client.get("/a").await`. Each takes its place in the session's order when it is
/// sent, by `.send()` or by `.await`, and is answered in that order. See [`crate::ops`].
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    /// Empty, or a path without a slash at its end.
    root: Arc<str>,
}

impl Client {
    /// Describes a client of the servers in a connection string such as `host1:2181,host2:2181/chroot`; then
    /// [`connect`](crate::Builder::connect).
    pub fn builder(servers: impl Into<String>) -> crate::Builder {
        crate::Builder::new(servers.into())
    }

    /// Opens a session with everything as it comes.
    pub async fn connect(servers: impl Into<String>) -> Result<Self, crate::ConnectError> {
        Self::builder(servers).connect().await
    }

    pub(crate) const fn from_parts(shared: Arc<Shared>, root: Arc<str>) -> Self {
        Self { shared, root }
    }

    /// The same session seen from a node: every path of the view is below it, and told without it. The node need
    /// not exist.
    ///
    /// ```
    /// # async fn view(client: zk_client::Client) -> Result<(), zk_client::Error> {
    /// let app = client.chroot("/app")?;
    /// app.exists("/config").await?; // "/app/config" for everyone else
    /// # Ok(()) }
    /// ```
    pub fn chroot(&self, path: impl IntoPath) -> Result<Self, Error> {
        let text = path.text();
        path.check()
            .map_err(|error| Error::new(error, OpCode::Exists, Some(text.into())))?;
        let (root, path) = parts(&self.root, text);
        let root = if text == "/" {
            Arc::clone(&self.root)
        } else {
            format!("{root}{path}").into()
        };
        Ok(Self {
            shared: Arc::clone(&self.shared),
            root,
        })
    }

    /// The node this view is seen from, as the server names it; `/` without a chroot.
    pub fn root_path(&self) -> &str {
        if self.root.is_empty() {
            "/"
        } else {
            &self.root
        }
    }

    /// The session's state now.
    pub fn state(&self) -> State {
        self.shared.status.state()
    }

    /// The session's states: the present one first, then every change; none is left out.
    pub fn states(&self) -> States {
        States {
            queue: self.shared.status.listen(),
            ended: false,
        }
    }

    /// The session's number; `None` before there is one and after it is over.
    pub fn session_id(&self) -> Option<SessionId> {
        let ticket = self.shared.status.ticket();
        ticket
            .map(|ticket| ticket.id)
            .filter(|id| *id != SessionId::NONE)
    }

    /// The timeout that was agreed on; what was asked for before that.
    pub fn session_timeout(&self) -> Duration {
        self.shared.status.timeout()
    }

    /// Until when the session is certainly alive, by [`Client::clock`]; `None` if that was never certain.
    ///
    /// Computed from what the leader acknowledged: writes, syncs, the handshake. Pings and reads do not count,
    /// since a server that is cut off answers them by itself. Whoever depends on the deadline sends a
    /// [`sync`](Client::sync) now and then, or has it sent: [`prove_alive`](crate::Builder::prove_alive).
    pub fn alive_until(&self) -> Option<Time> {
        self.shared.status.alive_until()
    }

    /// The clock that deadlines are told by. It counts the time a machine is suspended.
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// The highest zxid this session has seen.
    pub fn last_zxid(&self) -> Zxid {
        self.shared.status.last_zxid()
    }

    /// Other servers, from now on. The session goes with the client: if it must move, everything sent is answered
    /// first, so that no outcome becomes unknown by it. Whether it moves is drawn so that many clients that are told
    /// the same spread evenly (see [`balance`](crate::hosts::balance)). An empty list changes nothing.
    pub fn update_servers(&self, servers: impl IntoIterator<Item = Endpoint>) {
        let servers: Arc<[_]> = servers.into_iter().collect();
        self.shared.wish(servers, Arc::from([]));
    }

    /// How many calls are not answered yet.
    pub fn pending(&self) -> usize {
        self.shared.load.calls()
    }

    /// Waits until there is room for many more calls: for those who send without waiting for answers.
    ///
    /// # Cancellation
    ///
    /// Safe; nothing is held.
    pub async fn room(&self) {
        std::future::poll_fn(|cx| self.shared.load.poll_room(cx)).await;
    }

    /// What another process, or this one after a restart, resumes the session with. It is of use once this client
    /// is out of the way: see [`Client::detach`].
    pub fn ticket(&self) -> Option<SessionTicket> {
        let ticket = self.shared.status.ticket();
        ticket.filter(|ticket| ticket.id != SessionId::NONE)
    }

    /// Ends the session: its ephemeral nodes are deleted and its watches gone. Calls made before are answered
    /// first; later ones, from any clone, fail. At the latest after the session timeout, by which the server has
    /// ended it anyway.
    ///
    /// # Cancellation
    ///
    /// The session is closed all the same.
    pub async fn close(self) {
        let (slot, answer) = self.slot();
        let until = self.shared.clock.now() + self.session_timeout();
        let _gone = self.shared.commands.send(Command::Close { slot, until });
        let _closed = answer.await;
    }

    /// Leaves the session to another process: the connection is dropped without a word. Calls that have no answer
    /// yet fail. `None` if there is no session.
    ///
    /// # Cancellation
    ///
    /// The session is left all the same; without its ticket, it expires.
    pub async fn detach(self) -> Option<SessionTicket> {
        let (slot, answer) = self.slot();
        let ticket = self.shared.status.ticket();
        let _gone = self.shared.commands.send(Command::Detach(slot));
        let _detached = answer.await;
        let last_zxid = self.last_zxid();
        ticket
            .filter(|ticket| ticket.id != SessionId::NONE)
            .map(|ticket| SessionTicket {
                last_zxid,
                ..ticket
            })
    }

    /// Proves an identity, now and on every later connection of the session, before anything else. The secret
    /// stays in memory for that.
    ///
    /// # Cancellation
    ///
    /// The identity is added all the same.
    pub async fn add_auth(
        &self,
        scheme: impl Into<String>,
        auth: impl Into<Vec<u8>>,
    ) -> Result<(), Error> {
        let (slot, answer) = self.slot();
        let _gone = self.shared.commands.send(Command::AddAuth {
            scheme: scheme.into(),
            auth: auth.into(),
            slot: Some(slot),
        });
        let outcome = match answer.await {
            Ok(response) => response.outcome,
            Err(_gone) => Err(self.shared.status.end()),
        };
        outcome
            .map(drop)
            .map_err(|kind| Error::new(kind, OpCode::Auth, None))
    }

    fn slot(&self) -> (ReplySlot, oneshot::Receiver<Response>) {
        let (sender, answer) = oneshot::channel();
        // What ends or proves a session is never refused for lack of room.
        self.shared.load.take(1, 0);
        let slot = ReplySlot::new(sender, Arc::clone(&self.shared.load), 0);
        (slot, answer)
    }

    /// Why the client takes no calls any more.
    pub(crate) fn end(&self) -> ErrorKind {
        self.shared.status.end()
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    pub(crate) const fn shared_root(&self) -> &Arc<str> {
        &self.root
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The same session without a chroot.
    pub(crate) fn at_server_root(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            root: Arc::from(""),
        }
    }

    pub(crate) fn shares_session_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// A path as the server names it.
    pub(crate) fn absolute(&self, path: &str) -> String {
        let (root, path) = parts(&self.root, path);
        format!("{root}{path}")
    }

    pub(crate) fn default_timeout(&self) -> Option<Duration> {
        self.shared.request_timeout
    }

    /// Chance that no other call of this session, and hardly one of another, has.
    pub(crate) fn chance(&self) -> Chance {
        let call = self
            .shared
            .next_subscription
            .fetch_add(1, Ordering::Relaxed);
        let session = self.session_id().unwrap_or(SessionId::NONE).to_wire();
        Chance::seeded(session.cast_unsigned() ^ call.rotate_left(32))
    }

    pub(crate) fn subscribe(&self, limit: usize) -> Subscription {
        let number = &self.shared.next_subscription;
        Subscription {
            id: SubscriptionId(number.fetch_add(1, Ordering::Relaxed)),
            inbox: Arc::new(Inbox::new(limit)),
            commands: self.shared.commands.downgrade(),
            root: Arc::clone(&self.root),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("root", &self.root_path())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// The states of a session, from [`Client::states`]. Ends after [`State::Closed`].
#[derive(Debug)]
pub struct States {
    queue: Arc<StateQueue>,
    ended: bool,
}

impl States {
    /// The next state; `None` after [`State::Closed`].
    ///
    /// # Cancellation
    ///
    /// Safe: a state is taken only when it is returned.
    pub async fn next(&mut self) -> Option<State> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<State>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let state = std::task::ready!(self.queue.poll(cx));
        self.ended = state == Some(State::Closed);
        Poll::Ready(state)
    }
}

impl Stream for States {
    type Item = State;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<State>> {
        self.poll(cx)
    }
}
