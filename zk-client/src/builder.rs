//! What a client is to be like, and its beginning.

use crate::ErrorKind;
use crate::client::{Client, Shared};
use crate::clock::Clock;
use crate::driver::{Command, Connector, Core, Load, Orphans, Parts, Status, Wanted};
use crate::hosts::{ConnectString, ConnectStringError, HostList, Servers, backoff, resolve};
use crate::observe::{Metrics, Uncounted};
use crate::security::sasl::Login;
use crate::session::{OnExpiry, Session, SessionTicket, Settings, State};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tracing::Instrument;
use zk_proto::jute::DEFAULT_MAX_BUFFER;
use zk_proto::{Acl, Perms};

/// Why a client could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The connection string is none.
    #[error(transparent)]
    Servers(#[from] ConnectStringError),
    /// The session to be resumed is over, or was never there; or a new one was refused.
    #[error("there is no session")]
    NoSession,
    /// The servers do not believe that we are who we say.
    #[error("our identity is refused")]
    AuthFailed,
    /// No server took us in time.
    #[error("no server answered within {0:?}")]
    Timeout(Duration),
    /// Servers are to be looked up in the DNS, which takes the feature `srv`.
    #[error("dns-srv:// takes the feature `srv`")]
    NoSrv,
}

/// What a client is to be like; [`connect`](Self::connect) opens it.
pub struct Builder {
    servers: String,
    session: Settings,
    connect_timeout: Option<Duration>,
    request_timeout: Option<Duration>,
    opening_timeout: Option<Duration>,
    ticket: Option<SessionTicket>,
    auths: Vec<(String, Vec<u8>)>,
    default_acl: Vec<Acl>,
    max_request: usize,
    max_reply: usize,
    max_calls: usize,
    max_bytes: usize,
    watch_queue: usize,
    backoff: backoff::Policy,
    metrics: Arc<dyn Metrics>,
    #[cfg(feature = "tls")]
    tls: Option<crate::security::tls::Tls>,
    login: Option<Login>,
    follow_ensemble: bool,
}

impl Builder {
    pub(crate) fn new(servers: String) -> Self {
        Self {
            servers,
            session: Settings {
                timeout: Duration::from_secs(10),
                connect_timeout: Duration::from_secs(5),
                read_only: false,
                max_in_flight: 4096,
                max_in_flight_bytes: 16 << 20,
                read_retries: 8,
                on_expiry: OnExpiry::End,
                give_up_after: None,
                prove_alive: false,
            },
            connect_timeout: None,
            request_timeout: Some(Duration::from_secs(30)),
            opening_timeout: Some(Duration::from_secs(30)),
            ticket: None,
            auths: Vec::new(),
            default_acl: vec![Acl::world(Perms::ALL)],
            max_request: DEFAULT_MAX_BUFFER,
            max_reply: 64 << 20,
            max_calls: 64 << 10,
            max_bytes: 64 << 20,
            watch_queue: 16 << 10,
            backoff: backoff::Policy::default(),
            metrics: Arc::new(Uncounted),
            #[cfg(feature = "tls")]
            tls: None,
            login: None,
            follow_ensemble: false,
        }
    }

    /// The session timeout to ask for; the server may choose another. 10 seconds unless told.
    #[must_use]
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session.timeout = timeout;
        self
    }

    /// How long a call waits for its answer unless it says so itself; `None` waits as long as the session lives.
    /// 30 seconds unless told.
    #[must_use]
    pub fn request_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.request_timeout = timeout.into();
        self
    }

    /// How long one server may take to accept a connection and greet. By default what the session timeout leaves
    /// to each server, between one and ten seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long [`connect`](Self::connect) waits for a session; `None` waits for ever. 30 seconds unless told.
    #[must_use]
    pub fn opening_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.opening_timeout = timeout.into();
        self
    }

    /// What happens when the session is over. The client ends unless told.
    #[must_use]
    pub fn on_expiry(mut self, policy: OnExpiry) -> Self {
        self.session.on_expiry = policy;
        self
    }

    /// Declares the session over when no server has answered for this long, by the own clock, though the servers
    /// may think otherwise. Unless told, only a server says that a session is over: an ensemble that is down
    /// ends none.
    #[must_use]
    pub fn give_up_after(mut self, silence: Duration) -> Self {
        self.session.give_up_after = Some(silence);
        self
    }

    /// Keeps [`Client::alive_until`] in the future for as long as there is a leader, also when nothing or only reads
    /// are asked: a `sync` goes out with every third of the session timeout in which nothing else went to the leader.
    /// It costs the ensemble a message to the leader and back, no transaction. Behind a server that is cut off it is
    /// answered late or never, and reads behind it wait: whoever needs the deadline would rather know.
    #[must_use]
    pub fn prove_alive(mut self, wanted: bool) -> Self {
        self.session.prove_alive = wanted;
        self
    }

    /// Follows the ensemble as its members change, by what it writes into `/zookeeper/config`: the client ports there
    /// replace the servers of the connection string, which stay in reserve. It takes one watch on that node.
    ///
    /// Not unless told: what members call themselves is often of no use to clients, as behind a translated address or
    /// in a container, and a thousand watches on one node fire at once.
    #[must_use]
    pub fn follow_ensemble(mut self, wanted: bool) -> Self {
        self.follow_ensemble = wanted;
        self
    }

    /// Takes up the session of another client instead of opening one. If it is over, so is this client, or, if
    /// the policy says so, a new session is opened after [`State::Lost`] was told.
    #[must_use]
    pub fn resume(mut self, ticket: SessionTicket) -> Self {
        self.ticket = Some(ticket);
        self
    }

    /// Whether a server that is cut off from its ensemble will do, for reads.
    #[must_use]
    pub fn allow_read_only(mut self, allowed: bool) -> Self {
        self.session.read_only = allowed;
        self
    }

    /// Proves an identity on every connection: `("digest", "user:password")`.
    #[must_use]
    pub fn auth(mut self, scheme: impl Into<String>, auth: impl Into<Vec<u8>>) -> Self {
        self.auths.push((scheme.into(), auth.into()));
        self
    }

    /// Secures every connection; the servers' secure port is to be named.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::security::tls::Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Proves who we are with SASL (DIGEST-MD5) on every connection, before anything else. A server that does not
    /// believe it, or does not know SASL, ends the client.
    #[must_use]
    pub fn sasl(mut self, login: Login) -> Self {
        self.login = Some(login);
        self
    }

    /// The ACL of nodes that are created without one. Everything for everyone unless told.
    #[must_use]
    pub fn default_acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.default_acl = acl.into();
        self
    }

    /// How many requests, and bytes of them, wait for replies on the connection. More wait for their turn.
    #[must_use]
    pub fn max_in_flight(mut self, requests: usize, bytes: usize) -> Self {
        self.session.max_in_flight = requests.max(1);
        self.session.max_in_flight_bytes = bytes;
        self
    }

    /// How many calls, and bytes of them, may be unanswered in all. More are refused with
    /// [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded); see [`Client::room`].
    #[must_use]
    pub fn max_pending(mut self, calls: usize, bytes: usize) -> Self {
        self.max_calls = calls.max(1);
        self.max_bytes = bytes;
        self
    }

    /// How often a read is sent again, within its timeout, when the connection was lost under it. Writes never are.
    #[must_use]
    pub fn read_retries(mut self, times: u8) -> Self {
        self.session.read_retries = times;
        self
    }

    /// The largest request the servers read (their `jute.maxbuffer`).
    #[must_use]
    pub fn max_request(mut self, bytes: usize) -> Self {
        self.max_request = bytes;
        self
    }

    /// The largest reply this client reads. 64 MiB unless told.
    #[must_use]
    pub fn max_reply(mut self, bytes: usize) -> Self {
        self.max_reply = bytes;
        self
    }

    /// How many items a lasting watch keeps for a watcher that does not look; more become one gap.
    #[must_use]
    pub fn watch_queue(mut self, items: usize) -> Self {
        self.watch_queue = items.max(1);
        self
    }

    /// How long a server that failed is left alone.
    #[must_use]
    pub fn backoff(mut self, policy: backoff::Policy) -> Self {
        self.backoff = policy;
        self
    }

    /// Who counts what happens.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Opens the client and waits for its session.
    ///
    /// # Cancellation
    ///
    /// A session that was opened meanwhile is closed.
    ///
    /// # Errors
    ///
    /// If the connection string makes no sense, no server takes us in time, or the session to be resumed is over.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        let timeout = self.opening_timeout;
        let client = self.open()?;
        let mut states = client.states();
        let opened = async {
            while let Some(state) = states.next().await {
                match state {
                    State::Connected { .. } => return Ok(()),
                    State::Closed => break,
                    State::Suspended { .. } | State::Lost { .. } => {}
                }
            }
            Err(if client.end() == ErrorKind::AuthFailed {
                ConnectError::AuthFailed
            } else {
                ConnectError::NoSession
            })
        };
        match timeout {
            None => opened.await?,
            Some(timeout) => tokio::time::timeout(timeout, opened)
                .await
                .unwrap_or(Err(ConnectError::Timeout(timeout)))?,
        }
        Ok(client)
    }

    /// Opens the client without waiting: calls wait for the session. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// If the connection string makes no sense.
    pub fn open(mut self) -> Result<Client, ConnectError> {
        let ConnectString { servers, chroot } = self.servers.parse()?;
        let endpoints = match &servers {
            Servers::Listed(endpoints) => endpoints.clone(),
            Servers::Srv(_) if cfg!(feature = "srv") => Vec::new(),
            Servers::Srv(_) => return Err(ConnectError::NoSrv),
        };
        let list = HostList::new(endpoints, self.backoff, resolve::fresh_chance());
        let each = self.session.timeout / u32::try_from(list.len().max(1)).unwrap_or(1);
        let each = each.clamp(Duration::from_secs(1), Duration::from_secs(10));
        let connect_timeout = self.connect_timeout.unwrap_or(each);
        self.session.connect_timeout = connect_timeout;
        let clock = Clock::start();
        let seeds: Arc<[_]> = match &servers {
            Servers::Listed(endpoints) => endpoints.clone().into(),
            Servers::Srv(_) => Arc::from([]),
        };
        let (wishes, wanted) = watch::channel(Wanted {
            servers: seeds,
            reserve: Arc::from([]),
        });
        let connector = Connector {
            servers,
            list,
            wanted,
            clock,
            timeout: connect_timeout,
            max_reply: self.max_reply,
            metrics: Arc::clone(&self.metrics),
            #[cfg(feature = "tls")]
            tls: self.tls.take().map(crate::security::tls::Tls::connector),
            login: self.login.take(),
        };
        Ok(self.start(clock, connector, wishes, chroot.unwrap_or_default().into()))
    }

    fn start(
        self,
        clock: Clock,
        connector: Connector,
        wishes: watch::Sender<Wanted>,
        root: Arc<str>,
    ) -> Client {
        let (commands, receiver) = mpsc::unbounded_channel();
        let follow = self.follow_ensemble;
        let (orphans, adopted) = mpsc::unbounded_channel();
        let orphans = Orphans(orphans);
        let status = Arc::new(Status::new(self.session.timeout));
        let load = Arc::new(Load::new(self.max_calls, self.max_bytes));
        let core = Core::new(Parts {
            session: Session::new(self.session, self.ticket, clock.now()),
            clock,
            metrics: self.metrics,
            commands: receiver,
            orphans: orphans.clone(),
            status: Arc::clone(&status),
            load: Arc::clone(&load),
        });
        let shared = Arc::new(Shared {
            commands,
            wishes,
            load,
            status,
            orphans,
            clock,
            max_request: self.max_request,
            request_timeout: self.request_timeout,
            default_acl: self.default_acl,
            watch_queue: self.watch_queue,
            next_subscription: AtomicU64::new(1),
            before_3_5: AtomicBool::new(false),
        });
        for (scheme, auth) in self.auths {
            let _open = shared.commands.send(Command::AddAuth {
                scheme,
                auth,
                slot: None,
            });
        }
        let span = tracing::info_span!("zk_session");
        tokio::spawn(crate::driver::run(core, connector).instrument(span.clone()));
        if follow {
            let follower = crate::follow::run(Arc::downgrade(&shared), Arc::clone(&shared.status));
            tokio::spawn(follower.instrument(span.clone()));
        }
        tokio::spawn(crate::janitor::run(Arc::downgrade(&shared), adopted).instrument(span));
        Client::from_parts(shared, root)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("servers", &self.servers)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
