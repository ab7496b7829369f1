//! The election port: one connection between each two servers, whatever happens to it.
//!
//! ```text
//!  send ──► outbox of a peer ──► peer.rs: one task per peer, one connection, one dial at a time
//!           (the newest message)    │  ▲                       │ dial.rs: names looked up at every dial
//!                                   │  │ arrivals              │ talk.rs: frames, both ways
//!  heard ◄──────────────────────────┘  │
//!                                   acceptor.rs: every stranger at the door in its own task, for a while
//! ```
//!
//! The connection that lasts is the one that the greater server number dialled; the smaller one dials
//! only to be called back. A queue holds one message, the newest: an older one is out of date. The last
//! message is sent again on every new connection, as nobody knows whether it arrived.
//!
//! What is bounded: a message per peer on its way out, a fixed number on their way in, `acceptor`'s guests,
//! strangers among the peers. What votes mean is not known here: that is [`zk_zab::Election`]'s, which
//! [`Voter`] drives in a task of its own.

mod acceptor;
mod desk;
mod dial;
mod peer;
mod settings;
mod talk;
mod voter;

pub use dial::bind;
pub use settings::PortSettings;
pub use voter::{Elected, Voter};

use bytes::{Bytes, BytesMut};
use desk::Desk;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};
use tracing::debug;
use zk_proto::{ServerId, frame};
use zk_zab::Notification;

/// How many messages wait to be heard before those who speak have to wait as well.
const HEARD: usize = 100;

/// What comes from the other servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A server said this.
    Notification {
        /// Who; as far as a connection without authentication can tell.
        from: ServerId,
        /// What.
        notification: Notification,
    },
    /// Nobody listens where this server should be.
    Refused {
        /// Which one.
        by: ServerId,
    },
}

/// The newest message for each peer, empty before the first.
#[derive(Debug, Default)]
struct Outboxes(Mutex<BTreeMap<ServerId, watch::Sender<Bytes>>>);

impl Outboxes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServerId, watch::Sender<Bytes>>> {
        // Nobody leaves the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// This server's election port. When it is dropped, its connections end.
#[derive(Debug)]
pub struct ElectionPort {
    outboxes: Arc<Outboxes>,
    desk: JoinHandle<()>,
}

impl ElectionPort {
    /// Opens the port on sockets that are bound already. What is heard must be taken: who does not
    /// listen keeps the peers waiting.
    pub fn open(
        listeners: Vec<TcpListener>,
        settings: PortSettings,
    ) -> (Self, mpsc::Receiver<Heard>) {
        let (heard, hearing) = mpsc::channel(HEARD);
        let outboxes = Arc::new(Outboxes::default());
        let desk = Desk::new(settings, Arc::clone(&outboxes), heard);
        let desk = tokio::spawn(desk.run(listeners));
        (Self { outboxes, desk }, hearing)
    }

    /// Tells a server something, as soon as there is a connection. What it has not been told before is
    /// forgotten.
    pub fn send(&self, to: ServerId, notification: &Notification) {
        let mut frame = BytesMut::new();
        frame::put_frame(&mut frame, |out| notification.encode(out));
        match self.outboxes.lock().get(&to) {
            Some(outbox) => {
                outbox.send_replace(frame.freeze());
            }
            None => debug!(%to, "not a server of this ensemble, and not connected"),
        }
    }

    /// Waits for the port to fail. It never does on its own (P35): whoever waits ends the process.
    pub async fn failed(&mut self) -> Result<(), JoinError> {
        (&mut self.desk).await
    }
}

impl Drop for ElectionPort {
    fn drop(&mut self) {
        self.desk.abort();
    }
}

#[cfg(test)]
mod tests;
