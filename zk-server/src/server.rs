//! A server in this process: start, stop, start again on the same data.

use crate::config::peers::Ensemble;
use crate::config::settings::Listen;
use crate::config::{Config, ExitCode};
use crate::disk::files::{Files, RealFiles};
use crate::disk::recovery::RecoveryError;
use crate::metrics::Metrics;
use crate::net::election::{self, ElectionPort, PortSettings};
use crate::net::listener::{self, Listener};
use crate::node::{Fatal, Node, Polls};
use crate::replica::{Event, Replica};
use crate::storage::StorageError;
use crate::time::Clock;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::info;

/// How often the election port is tried again, as Apache's servers do by default.
const ELECTION_BIND_RETRIES: u32 = 3;

/// Why a server did not start. Nothing is left behind: no port, no lock, no thread.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used, or what is in it cannot be trusted.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The host of the client address is none.
    #[error(
        "{CLIENT_HOST}: {host} cannot be resolved: {error}; write an address of this machine, or a name \
         that its resolver knows"
    )]
    Unresolved {
        /// What was asked for.
        host: String,
        /// What the system said.
        error: io::Error,
    },
    /// The client address cannot be bound.
    #[error("cannot listen on {address}: {error}; {}", hint(error))]
    Listen {
        /// What was asked for.
        address: String,
        /// What the system said.
        error: io::Error,
    },
}

/// The key that says where clients connect.
const CLIENT_HOST: &str = "clientPortAddress";

fn hint(error: &io::Error) -> &'static str {
    let kind = error.kind();
    if kind == io::ErrorKind::AddrNotAvailable {
        "is it an address of this machine?"
    } else if kind == io::ErrorKind::PermissionDenied {
        "may this user have that port?"
    } else {
        "is another server running there?"
    }
}

impl StartError {
    /// The key of the configuration whose value is at fault, if one is. The message names it; where it was
    /// written, who loaded the configuration knows.
    pub const fn key(&self) -> Option<&'static str> {
        match self {
            Self::Unresolved { .. } => Some(CLIENT_HOST),
            Self::Storage(_) | Self::Listen { .. } => None,
        }
    }

    /// The number a process ends with that cannot start.
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Storage(StorageError::Recovery(RecoveryError::Io { .. })) => {
                ExitCode::DataDirectory
            }
            Self::Storage(StorageError::Recovery(_)) => ExitCode::CorruptData,
            Self::Storage(StorageError::Snapshot(_)) => ExitCode::SnapshotIo,
            Self::Storage(
                StorageError::Dirs(_)
                | StorageError::Locked(_)
                | StorageError::Empty(_)
                | StorageError::Epoch(_),
            ) => ExitCode::DataDirectory,
            Self::Unresolved { .. } => ExitCode::BadInvocation,
            Self::Storage(StorageError::Thread(_)) | Self::Listen { .. } => ExitCode::Unexpected,
        }
    }
}

/// A running server. Dropping it stops it without waiting; [`Server::stop`] waits.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let data = tempfile::tempdir()?;
/// let server = zk_server::Server::start(zk_server::Config::in_process(data.path())).await?;
/// println!("any ZooKeeper client may connect to {}", server.client_address().expect("a port"));
/// server.stop().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Server {
    replica: Arc<Replica>,
    address: Option<SocketAddr>,
    listener: Option<JoinHandle<()>>,
    node: Option<JoinHandle<Result<(), Fatal>>>,
    posts: Vec<JoinHandle<()>>,
}

impl Server {
    /// Opens the data, recovers, binds the client port and serves. Must be called inside a tokio runtime.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_on(Arc::new(RealFiles), config).await
    }

    /// The same on a disk of the caller's choice.
    async fn start_on(files: Arc<dyn Files>, mut config: Config) -> Result<Self, StartError> {
        let began = Instant::now();
        let (door, events) = mpsc::unbounded_channel();
        let metrics = Arc::new(Metrics::default());
        let opened = {
            let (config, metrics, door) = (config.clone(), Arc::clone(&metrics), door.clone());
            let open = move || crate::storage::open(files, &config, metrics, door);
            let open = tokio::task::spawn_blocking(open);
            open.await
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?
        };
        let socket = match &config.listen.client {
            None => None,
            Some(address) => Some(bind(address, &config.listen).await?),
        };
        let polls = match &config.ensemble {
            None => None,
            Some(ensemble) => Some(open_polls(ensemble).await?),
        };
        let address = socket.as_ref().and_then(|socket| socket.local_addr().ok());
        if let (Some(client), Some(bound)) = (&mut config.listen.client, address) {
            // What is shown from here on is the port that was found.
            client.port = bound.port();
        }
        let replica = Arc::new(Replica::new(
            config,
            Clock::start(),
            metrics,
            opened.tree,
            door,
        ));
        let files = (opened.log, opened.store);
        let recent = opened.recent;
        let member = opened.epochs.zip(polls);
        let member = member.map(|(epochs, polls)| (epochs, recent, polls));
        let node = Node::new(Arc::clone(&replica), events, files, member);
        let posts = crate::posts::send_out(&replica).await;
        let node = tokio::spawn(node.run());
        let listener =
            socket.map(|socket| tokio::spawn(Listener::new(socket, Arc::clone(&replica)).run()));
        // One look: two guards in one statement could each wait for the loop between them.
        let (zxid, nodes) = {
            let tree = replica.tree();
            (tree.last_zxid(), tree.shown_node_count())
        };
        info!(
            address = address.map(tracing::field::display),
            zxid = format_args!("{zxid:#x}"),
            nodes,
            took_ms = began.elapsed().as_millis(),
            "serving"
        );
        Ok(Self {
            replica,
            address,
            listener,
            node: Some(node),
            posts,
        })
    }

    /// Where clients connect; `None` if the configuration has no client port.
    pub const fn client_address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Takes a snapshot in the background.
    pub fn take_snapshot(&self) {
        self.replica.send(Event::TakeSnapshot);
    }

    /// Waits until the server ends by itself: it never does unless something is wrong (P22, P29, P35).
    pub async fn failed(&mut self) -> Fatal {
        let Some(node) = &mut self.node else {
            return std::future::pending().await;
        };
        let ended = tokio::select! {
            ended = node => ended,
            _ended = vital(&mut self.listener) => {
                self.listener = None;
                return Fatal::Vital("listener");
            }
        };
        self.node = None;
        match ended {
            Ok(Err(fatal)) => fatal,
            Ok(Ok(())) | Err(_) => Fatal::Vital("loop"),
        }
    }

    /// Takes no more clients, finishes what is in flight, closes the files. Sessions live on in them.
    pub async fn stop(mut self) -> Result<(), Fatal> {
        if let Some(listener) = self.listener.take() {
            listener.abort();
            let _aborted = listener.await;
        }
        self.replica.send(Event::Stop);
        match self.node.take() {
            None => Ok(()),
            Some(node) => node.await.unwrap_or(Err(Fatal::Vital("loop"))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
        self.posts.iter().for_each(JoinHandle::abort);
        self.replica.send(Event::Stop);
    }
}

/// Ends with the task; never, if there is none.
async fn vital(task: &mut Option<JoinHandle<()>>) {
    match task {
        None => std::future::pending().await,
        Some(task) => drop(task.await),
    }
}

/// Opens a member's election port.
async fn open_polls(ensemble: &Ensemble) -> Result<Polls, StartError> {
    let listeners = election::bind(ensemble, Some(ELECTION_BIND_RETRIES)).await;
    let listeners = listeners.map_err(|error| {
        let own = ensemble.own().addresses.first();
        let address = own.map(|own| format!("{}:{}", own.host, own.election_port));
        refuse(address.unwrap_or_default(), error)
    })?;
    Ok(ElectionPort::open(listeners, PortSettings::of(ensemble)))
}

async fn bind(
    address: &crate::config::settings::ClientAddress,
    listen: &Listen,
) -> Result<tokio::net::TcpListener, StartError> {
    let candidates: Vec<SocketAddr> = match &address.host {
        Some(host) => match tokio::net::lookup_host((host.as_str(), address.port)).await {
            Ok(found) => found.collect(),
            Err(error) => {
                let host = host.clone();
                return Err(StartError::Unresolved { host, error });
            }
        },
        // Every interface; the second for machines without IPv6.
        None => vec![
            (Ipv6Addr::UNSPECIFIED, address.port).into(),
            (Ipv4Addr::UNSPECIFIED, address.port).into(),
        ],
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for &candidate in &candidates {
        match listener::bind(candidate, listen.backlog, listen.tcp_keep_alive) {
            Ok(socket) => return Ok(socket),
            // Another server has the port: the other family would only hide it.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(refuse(candidate.to_string(), error));
            }
            Err(error) => last = error,
        }
    }
    let address = candidates
        .first()
        .map_or_else(String::new, SocketAddr::to_string);
    Err(refuse(address, last))
}

fn refuse(address: String, error: io::Error) -> StartError {
    StartError::Listen { address, error }
}

#[cfg(test)]
mod tests;
