//! The port of a proxy: open, or held without listening, so that the system itself refuses.

use super::pump::Connection;
use super::{Rules, Shared};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

const BACKLOG: u32 = 128;

/// A bound port that listens.
pub(super) struct Door {
    listener: TcpListener,
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Door {
    pub(super) fn open() -> io::Result<Self> {
        let listener = bound((Ipv4Addr::LOCALHOST, 0).into())?.listen(BACKLOG)?;
        Ok(Self { listener })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Runs until it is aborted, and all connections with it.
    pub(super) async fn run(self, shared: Arc<Shared>) {
        let mut rules = shared.rules.subscribe();
        let mut connections = JoinSet::new();
        let mut listener = self.listener;
        loop {
            if rules.borrow_and_update().refuse {
                listener = closed(listener, &shared, &mut rules).await;
            }
            tokio::select! {
                changed = rules.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                accepted = listener.accept() => {
                    // An error here is a connection that was gone before it was taken.
                    if let Ok((client, _)) = accepted {
                        let connection = Connection::begin(client, Arc::clone(&shared));
                        connections.spawn(connection.run());
                    }
                }
                Some(_ended) = connections.join_next() => {}
            }
        }
    }
}

/// Holds the port without listening until the rule is lifted.
async fn closed(
    listener: TcpListener,
    shared: &Shared,
    rules: &mut watch::Receiver<Rules>,
) -> TcpListener {
    let address = listener.local_addr().expect("a listener has an address");
    drop(listener);
    // Bound and not listening: nobody else gets the port, and the system refuses.
    let held = bound(address).expect("the port was ours a moment ago");
    shared.tally.send_modify(|tally| tally.refusing = true);
    // The sender is in `shared`, so that this can only be answered.
    let _lifted = rules.wait_for(|rules| !rules.refuse).await;
    let listener = held.listen(BACKLOG).expect("a bound socket can listen");
    shared.tally.send_modify(|tally| tally.refusing = false);
    listener
}
