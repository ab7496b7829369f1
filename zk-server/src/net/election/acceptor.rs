//! The door: whoever connects has a while to say who it is, in a task of its own. Silence, nonsense and
//! slowness of one guest keep nobody else waiting (ZOOKEEPER-2164, 3769).

use super::talk::Link;
use bytes::BytesMut;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, warn};
use zk_zab::wire::{InitialMessage, initial_message_len};

/// Guests that have not said yet who they are: in total, and from one address.
const MAX_GUESTS: usize = 256;
const MAX_GUESTS_PER_IP: usize = 32;
/// How long to wait when the process has no more descriptors: accepting again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Somebody who has said who it is.
pub(super) struct Guest {
    pub(super) message: InitialMessage,
    pub(super) link: Link,
}

/// The sockets, each accepting in a task of its own.
pub(super) struct Doors {
    tasks: JoinSet<()>,
    knocks: mpsc::Receiver<(TcpStream, SocketAddr)>,
}

impl Doors {
    pub(super) fn open(listeners: Vec<TcpListener>) -> Self {
        let (sender, knocks) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(accept(listener, sender.clone()));
        }
        Self { tasks, knocks }
    }

    /// Whoever connects next.
    pub(super) async fn next(&mut self) -> (TcpStream, SocketAddr) {
        tokio::select! {
            Some(knock) = self.knocks.recv() => knock,
            ended = self.tasks.join_next() => panic!("accepting never ends: {ended:?}"),
        }
    }
}

/// Guests that have not said yet who they are.
pub(super) struct Acceptor {
    guests: JoinSet<(IpAddr, Option<Guest>)>,
    per_ip: BTreeMap<IpAddr, usize>,
    handshake: Duration,
}

impl Acceptor {
    pub(super) fn new(handshake: Duration) -> Self {
        Self {
            guests: JoinSet::new(),
            per_ip: BTreeMap::new(),
            handshake,
        }
    }

    /// One guest too many is not let in.
    pub(super) fn receive(&mut self, stream: TcpStream, from: SocketAddr) {
        let of_ip = self.per_ip.entry(from.ip()).or_default();
        if self.guests.len() >= MAX_GUESTS || *of_ip >= MAX_GUESTS_PER_IP {
            debug!(%from, "too many guests at the election port");
            return;
        }
        *of_ip += 1;
        let handshake = self.handshake;
        self.guests.spawn(async move {
            let guest = tokio::time::timeout(handshake, ask(stream, from)).await;
            (from.ip(), guest.ok().flatten())
        });
    }

    /// The next guest that has said who it is; never, while there is none.
    pub(super) async fn next(&mut self) -> Guest {
        loop {
            let (ip, guest) = match self.guests.join_next().await {
                Some(ended) => ended.expect("a handshake does not panic"),
                None => return std::future::pending().await,
            };
            if let Some(count) = self.per_ip.get_mut(&ip) {
                *count -= 1;
                if *count == 0 {
                    self.per_ip.remove(&ip);
                }
            }
            if let Some(guest) = guest {
                return guest;
            }
        }
    }
}

async fn accept(listener: TcpListener, knocks: mpsc::Sender<(TcpStream, SocketAddr)>) {
    loop {
        match listener.accept().await {
            Ok(knock) => {
                if knocks.send(knock).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection of a peer; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Reads the initial message. What came behind it stays with the link.
async fn ask(mut stream: TcpStream, from: SocketAddr) -> Option<Guest> {
    let mut received = BytesMut::new();
    match read_initial(&mut stream, &mut received).await {
        Ok(message) => {
            debug!(%from, %message, "a server comes");
            let link = Link { stream, received };
            Some(Guest { message, link })
        }
        Err(error) => {
            debug!(%from, %error, "not a server of an ensemble");
            None
        }
    }
}

async fn read_initial(
    stream: &mut TcpStream,
    received: &mut BytesMut,
) -> io::Result<InitialMessage> {
    loop {
        let len = initial_message_len(received).map_err(io::Error::other)?;
        if let Some(len) = len {
            let message = received.split_to(len);
            return InitialMessage::decode(&message).map_err(io::Error::other);
        }
        if stream.read_buf(received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// An address that means every interface of its own machine, and nothing to others.
pub(super) fn is_wildcard(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}
