//! The election port, as the loop has it: what other servers say goes to the agreement, which elects, and
//! what this one says goes out.

use super::Fatal;
use crate::net::election::{ElectionPort, Heard};
use tokio::sync::mpsc::Receiver;
use zk_proto::ServerId;
use zk_zab::{Input, Notification};

/// A member's open election port, and what comes in there.
pub(crate) type Polls = (ElectionPort, Receiver<Heard>);

/// A member's part in elections.
pub(super) struct Electing {
    port: ElectionPort,
    hearing: Receiver<Heard>,
}

impl Electing {
    pub(super) fn new((port, hearing): Polls) -> Self {
        Self { port, hearing }
    }

    pub(super) fn tell(&self, to: ServerId, notification: &Notification) {
        self.port.send(to, notification);
    }

    /// Waits for the next word of another server.
    pub(super) async fn hear(&mut self) -> Result<Input, Fatal> {
        tokio::select! {
            Some(heard) = self.hearing.recv() => Ok(match heard {
                Heard::Notification { from, notification } => Input::Notified { from, notification },
                Heard::Refused { by } => Input::Refused { by },
            }),
            _ended = self.port.failed() => Err(Fatal::Vital("election port")),
        }
    }
}
