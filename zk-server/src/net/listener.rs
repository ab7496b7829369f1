//! The client port: accepts, counts, and gives every connection its task.

use crate::descriptors;
use crate::net::connection::{Connection, Ended};
use crate::net::link::Link;
use crate::replica::Replica;
use dashmap::DashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tracing::{debug, warn};

/// How long to wait when the process has no more descriptors: accepting again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const DEFAULT_BACKLOG: u32 = 1024;

/// A bound client port.
pub(crate) struct Listener {
    socket: TcpListener,
    replica: Arc<Replica>,
    per_ip: Arc<DashMap<IpAddr, u32>>,
}

/// Binds an address. What is accepted there inherits the keep-alive.
pub(crate) fn bind(
    address: SocketAddr,
    backlog: Option<u32>,
    keep_alive: bool,
) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.set_keepalive(keep_alive)?;
    socket.bind(address)?;
    socket.listen(backlog.unwrap_or(DEFAULT_BACKLOG))
}

impl Listener {
    pub(crate) fn new(socket: TcpListener, replica: Arc<Replica>) -> Self {
        Self {
            socket,
            replica,
            per_ip: Arc::default(),
        }
    }

    /// Accepts until the task is dropped.
    pub(crate) async fn run(self) {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) => {
                    warn!(%error, "cannot accept a connection; trying again");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// One connection too many is closed at once, without a word, as Java does.
    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(seat) = self.seat(peer.ip(), stream.as_fd()) else {
            self.replica
                .metrics()
                .here()
                .counters
                .connection_rejected
                .increment();
            return;
        };
        let _best_effort = stream.set_nodelay(true);
        let replica = Arc::clone(&self.replica);
        let link = Arc::new(Link::new(
            replica.next_link_id(),
            peer,
            replica.connection_buffer(),
            replica.clock().now(),
        ));
        // Before the next one is looked at: tasks that have yet to begin are counted too.
        replica.join(&link);
        let present = Present {
            link: Arc::clone(&link),
            replica: Arc::clone(&replica),
            _seat: seat,
        };
        tokio::spawn(async move {
            // After joining: a loop that ends closes whom it finds, and those it cannot find see it here.
            if !replica.is_stopped() {
                let ended = Connection::new(stream, link, replica).run().await;
                present.explain(&ended);
            }
        });
    }

    fn seat(&self, ip: IpAddr, socket: BorrowedFd<'_>) -> Option<Seat> {
        let limits = self.replica.limits();
        let too_many = if limits
            .max_cnxns
            .is_some_and(|max| self.replica.connection_count() >= max as usize)
        {
            Some("too many connections")
        } else {
            // A log that could not begin its next file would end the server.
            descriptors::is_reserved(socket).then_some(
                "too many connections for this process; raise its limit on open files (ulimit -n)",
            )
        };
        if let Some(reason) = too_many {
            self.replica
                .metrics()
                .here()
                .limits
                .limit_connections
                .increment();
            warn!(peer = %ip, "{reason}");
            return None;
        }
        let mut count = self.per_ip.entry(ip).or_insert(0);
        if limits.max_client_cnxns.is_some_and(|max| *count >= max) {
            let count = *count;
            self.replica
                .metrics()
                .here()
                .limits
                .limit_connections_per_ip
                .increment();
            warn!(peer = %ip, count, "too many connections from one address; raise maxClientCnxns if they are meant");
            return None;
        }
        *count += 1;
        Some(Seat {
            ip,
            per_ip: Arc::clone(&self.per_ip),
        })
    }
}

/// A connection's place in the count of its address, given back however its task ends.
struct Seat {
    ip: IpAddr,
    per_ip: Arc<DashMap<IpAddr, u32>>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.per_ip.remove_if_mut(&self.ip, |_, count| {
            *count -= 1;
            *count == 0
        });
    }
}

/// A connection's place among the links, given back however its task ends.
struct Present {
    link: Arc<Link>,
    replica: Arc<Replica>,
    _seat: Seat,
}

impl Present {
    fn explain(&self, ended: &Ended) {
        let session = self.link.session();
        debug!(peer = %self.link.peer(), %session, reason = %ended, "a connection ended");
        let here = self.replica.metrics().here();
        if self.link.has_overflowed() {
            here.limits.limit_connection_buffer.increment();
        }
        if ended.is_drop() {
            here.counters.connection_drop_count.increment();
        }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.replica.leave(&self.link);
    }
}
