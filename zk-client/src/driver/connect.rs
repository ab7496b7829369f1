//! Finds a server that listens: whom to try next is the list's decision, names are resolved at every attempt.

use super::connection::Ended;
use super::watchman::Wanted;
use crate::clock::Clock;
use crate::hosts::{Endpoint, HostId, HostList, Mode, Servers, resolve};
use crate::observe::Metrics;
use crate::security::sasl::Login;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::debug;

/// What a connection is made of: a socket, or TLS over one.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(crate) type Stream = Box<dyn Duplex>;

/// How long to wait for the DNS to have any server at all.
const NOBODY: Duration = Duration::from_secs(1);

/// A server that listens.
pub(crate) struct Connected {
    pub(crate) host: HostId,
    pub(crate) server: String,
    pub(crate) stream: Stream,
}

/// Makes connections, one after the other.
pub(crate) struct Connector {
    pub(crate) servers: Servers,
    pub(crate) list: HostList,
    /// Another list, if callers or the ensemble name one.
    pub(crate) wanted: watch::Receiver<Wanted>,
    pub(crate) clock: Clock,
    pub(crate) timeout: Duration,
    pub(crate) max_reply: usize,
    pub(crate) metrics: Arc<dyn Metrics>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<crate::security::tls::Connector>,
    pub(crate) login: Option<Login>,
}

impl Connector {
    /// The next connection. Tries until there is one.
    pub(crate) async fn next(&mut self) -> Connected {
        loop {
            self.look_up().await;
            self.take_wanted();
            let Some(attempt) = self.list.next(self.clock.now()) else {
                tokio::time::sleep(NOBODY).await;
                continue;
            };
            let mut wanted = self.wanted.clone();
            tokio::select! {
                () = tokio::time::sleep(self.clock.until(attempt.not_before)) => {}
                Ok(()) = wanted.changed() => continue,
            }
            let server = attempt.endpoint.to_string();
            let dialled = tokio::time::timeout(self.timeout, self.dial(&attempt.endpoint)).await;
            match dialled {
                Ok(Ok(stream)) => {
                    return Connected {
                        host: attempt.host,
                        server,
                        stream,
                    };
                }
                Ok(Err(error)) => debug!(server, %error, "server cannot be reached"),
                Err(_elapsed) => debug!(server, "server does not answer"),
            }
            self.metrics.connect(&server, false);
            self.list.on_failed(attempt.host, self.clock.now());
        }
    }

    /// No server is left alone for longer than the session can bear, as agreed on or as asked for.
    pub(crate) fn bear_with(&mut self, session_timeout: Duration) {
        self.list.limit_cooling(session_timeout / 4);
    }

    /// Another list, while there is no connection.
    fn take_wanted(&mut self) {
        if self.wanted.has_changed().unwrap_or(false) {
            let Wanted { servers, reserve } = self.wanted.borrow_and_update().clone();
            self.list.replace_with_reserve(&servers, &reserve);
            self.servers = Servers::Listed(servers.to_vec());
        }
    }

    /// Another list, while there is one; says whether to leave it.
    pub(super) fn revise(&mut self, current: HostId) -> bool {
        let Wanted { servers, reserve } = self.wanted.borrow_and_update().clone();
        self.servers = Servers::Listed(servers.to_vec());
        self.list.revise(&servers, &reserve, current)
    }

    /// What came of a connection.
    pub(crate) fn on_ended(&mut self, host: HostId, ended: Ended) {
        if let Ended::Lost {
            since,
            read_only,
            blameless,
        } = ended
        {
            let mode = if read_only {
                Mode::ReadOnly
            } else {
                Mode::ReadWrite
            };
            self.list.on_connected(host, since, mode);
            if blameless {
                self.list.on_left(host, self.clock.now());
                return;
            }
        }
        self.list.on_failed(host, self.clock.now());
    }

    #[cfg(feature = "srv")]
    async fn look_up(&mut self) {
        let Servers::Srv(name) = &self.servers else {
            return;
        };
        match tokio::time::timeout(self.timeout, resolve::servers(name)).await {
            Ok(Ok(found)) => self.list.replace(found),
            Ok(Err(error)) => debug!(%error, "servers cannot be looked up"),
            Err(_elapsed) => debug!("the DNS does not answer"),
        }
    }

    #[cfg(not(feature = "srv"))]
    #[expect(clippy::unused_async, reason = "waits where there is a resolver")]
    async fn look_up(&mut self) {
        debug_assert!(
            matches!(self.servers, Servers::Listed(_)),
            "refused by the builder"
        );
    }

    pub(super) async fn dial(&mut self, endpoint: &Endpoint) -> io::Result<Stream> {
        let addresses = resolve::addresses(endpoint)
            .await
            .map_err(io::Error::other)?;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    return self.secure(endpoint, socket).await;
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    #[cfg(feature = "tls")]
    async fn secure(&mut self, endpoint: &Endpoint, socket: TcpStream) -> io::Result<Stream> {
        let Some(tls) = &mut self.tls else {
            return Ok(Box::new(socket));
        };
        let secured = tls.connect(&endpoint.host, socket).await;
        Ok(Box::new(secured.map_err(io::Error::other)?))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "does something with TLS")]
    async fn secure(&mut self, _endpoint: &Endpoint, socket: TcpStream) -> io::Result<Stream> {
        Ok(Box::new(socket))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("list", &self.list)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
