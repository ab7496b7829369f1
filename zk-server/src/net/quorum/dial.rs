//! Reaching a leader, and being reached while leading. Names are looked up at every attempt.

use super::link::{Seat, begin};
use super::{PeerEvent, Report};
use crate::config::Config;
use crate::config::peers::PeerAddress;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};
use zk_proto::ServerId;
use zk_zab::LinkId;

/// How long to wait when the port cannot be had, or no more descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How many strangers may be connected at once, above the members.
const STRANGERS: usize = 32;

/// What tasks that make connections need.
#[derive(Clone)]
pub(super) struct Workshop {
    pub(super) config: Arc<Config>,
    pub(super) report: Report,
    pub(super) next: Arc<AtomicU64>,
}

impl Workshop {
    pub(super) fn next_id(&self) -> LinkId {
        LinkId::new(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Tries once to reach a member's quorum port, and says what came of it.
pub(super) async fn dial(workshop: Workshop, to: ServerId) {
    let Some(ensemble) = &workshop.config.ensemble else {
        return;
    };
    let addresses = ensemble
        .members
        .get(&to)
        .map(|member| &member.addresses[..]);
    let patience = ensemble.patience;
    let limit = patience.connect_limit.unwrap_or(patience.init_limit);
    let limit = workshop.config.sessions.tick_time * limit;
    let attempt = tokio::time::timeout(limit, connect(addresses.unwrap_or_default()));
    let reached = attempt
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let event = match reached {
        Ok(stream) => {
            let link = begin(
                stream,
                workshop.next_id(),
                &workshop.config,
                &workshop.report,
            );
            PeerEvent::Dialled { to, link }
        }
        Err(error) => {
            debug!(%to, %error, "the leader cannot be reached");
            PeerEvent::DialFailed { to }
        }
    };
    (workshop.report)(event);
}

async fn connect(addresses: &[PeerAddress]) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in addresses {
        let found = match lookup_host((address.host.as_str(), address.quorum_port)).await {
            Ok(found) => found,
            Err(error) => {
                last = error;
                continue;
            }
        };
        for candidate in found {
            match TcpStream::connect(candidate).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

/// A leader's open quorum ports. Dropped, they are closed; the connections made are not.
pub(crate) struct Acceptor {
    tasks: Vec<JoinHandle<()>>,
}

impl Acceptor {
    /// Opens this server's quorum ports.
    pub(super) fn open(workshop: &Workshop) -> Self {
        let Some(ensemble) = &workshop.config.ensemble else {
            return Self { tasks: Vec::new() };
        };
        let strangers = ensemble.members.len() + STRANGERS;
        let connected = Arc::new(AtomicUsize::new(0));
        let task = |address: &PeerAddress| {
            let host = if ensemble.listen_on_all {
                None
            } else {
                Some(address.host.clone())
            };
            tokio::spawn(accept(
                workshop.clone(),
                host,
                address.quorum_port,
                Arc::clone(&connected),
                strangers,
            ))
        };
        let tasks = ensemble.own().addresses.iter().map(task).collect();
        Self { tasks }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(
    workshop: Workshop,
    host: Option<String>,
    port: u16,
    connected: Arc<AtomicUsize>,
    most: usize,
) {
    let listener = loop {
        match bind(host.as_deref(), port).await {
            Ok(listener) => break listener,
            Err(error) => {
                warn!(port, %error, "cannot listen for learners; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    info!(port, "waiting for learners");
    loop {
        match listener.accept().await {
            Ok((_, peer)) if connected.load(Ordering::Relaxed) >= most => {
                warn!(%peer, "too many connections on the quorum port");
                tokio::time::sleep(PAUSE).await;
            }
            Ok((stream, peer)) => {
                let id = workshop.next_id();
                debug!(link = %id, %peer, "a learner has connected");
                let mut link = begin(stream, id, &workshop.config, &workshop.report);
                link.handle.count_in(Seat::take(&connected));
                (workshop.report)(PeerEvent::Accepted { link });
            }
            Err(error) => {
                warn!(%error, "cannot accept a learner; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn bind(host: Option<&str>, port: u16) -> io::Result<TcpListener> {
    let candidates: Vec<SocketAddr> = match host {
        Some(host) => lookup_host((host, port)).await?.collect(),
        None => vec![
            (std::net::Ipv6Addr::UNSPECIFIED, port).into(),
            (std::net::Ipv4Addr::UNSPECIFIED, port).into(),
        ],
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in candidates {
        match crate::net::listener::bind(candidate, None, false) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}
