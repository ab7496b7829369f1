//! One peer: at most one connection, at most one dial, and the newest message for it.
//!
//! ```text
//!  WAIT  something to send ──────────────────────────────► DIAL
//!  DIAL  connected, and greater than the peer ───────────► TALK
//!        connected, and smaller: the peer calls back ────► WAIT
//!        nobody there ───────────────────────────────────► WAIT
//!  TALK  the connection ended ───────────────────────────► DIAL once, or WAIT
//!  any   the peer has dialled, and is greater ───────────► TALK
//!        the peer has dialled, and is smaller ───────────► DIAL
//! ```

use super::dial::{self, Unreached};
use super::talk::{self, Link};
use super::{Heard, PortSettings};
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tracing::debug;
use zk_proto::ServerId;
use zk_zab::wire::Address;

/// Between two dials that nobody asked for.
const REDIAL_PAUSE: Duration = Duration::from_millis(100);

/// The peer has dialled.
pub(super) enum Arrival {
    /// It is greater: this is the connection from now on.
    Kept(Link),
    /// It is smaller: it has hung up, and waits for a call.
    CallBack(Vec<Address>),
}

pub(super) struct Peer {
    pub(super) id: ServerId,
    pub(super) settings: Arc<PortSettings>,
    pub(super) greeting: Bytes,
    pub(super) outbox: watch::Receiver<Bytes>,
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    pub(super) heard: mpsc::Sender<Heard>,
    /// When it was last dialled for no other reason than that its connection had ended.
    pub(super) redialled: Option<Instant>,
}

enum Next {
    Wait,
    Dial(Vec<Address>),
    Talk(Link),
}

impl From<Arrival> for Next {
    fn from(arrival: Arrival) -> Self {
        match arrival {
            Arrival::Kept(link) => Self::Talk(link),
            Arrival::CallBack(addresses) => Self::Dial(addresses),
        }
    }
}

impl Peer {
    /// Runs for ever; for a server that the configuration does not name, until its connection ends.
    pub(super) async fn run(mut self) -> ServerId {
        let member = self.settings.peers.contains_key(&self.id);
        let mut next = if member {
            Next::Wait
        } else {
            Next::from(next_arrival(&mut self.arrivals).await)
        };
        loop {
            next = match next {
                Next::Wait if !member => return self.id,
                Next::Wait => self.wait().await,
                Next::Dial(addresses) => self.dial(addresses).await,
                Next::Talk(link) => self.talk(link).await,
            };
        }
    }

    async fn wait(&mut self) -> Next {
        tokio::select! {
            biased;
            arrival = next_arrival(&mut self.arrivals) => arrival.into(),
            () = talk::next_message(&mut self.outbox) => Next::Dial(self.configured()),
        }
    }

    /// Somebody who arrives meanwhile is better than somebody who may not be there.
    async fn dial(&mut self, addresses: Vec<Address>) -> Next {
        let (settings, greeting) = (Arc::clone(&self.settings), self.greeting.clone());
        let reached = tokio::select! {
            biased;
            arrival = next_arrival(&mut self.arrivals) => return arrival.into(),
            reached = dial::reach(&addresses, &settings, &greeting) => reached,
        };
        match reached {
            Ok(stream) if self.settings.me > self.id => Next::Talk(Link::new(stream)),
            Ok(_called_back) => Next::Wait,
            Err(reason) => {
                debug!(peer = %self.id, %reason, "not reached");
                let configured = self.configured();
                if addresses != configured {
                    // What it said of itself was wrong; perhaps the configuration is right.
                    return Next::Dial(configured);
                }
                if matches!(reason, Unreached::Refused) {
                    // If nobody listens any more, this task ends soon.
                    let by = self.id;
                    let _gone = self.heard.send(Heard::Refused { by }).await;
                }
                Next::Wait
            }
        }
    }

    async fn talk(&mut self, link: Link) -> Next {
        dial::tune(&link.stream, self.settings.silence);
        debug!(peer = %self.id, "connected");
        let ended = tokio::select! {
            biased;
            arrival = next_arrival(&mut self.arrivals) => return arrival.into(),
            ended = talk::converse(link, self.id, &mut self.outbox, &self.heard) => ended,
        };
        debug!(peer = %self.id, reason = %ended, "disconnected");
        self.after_talk()
    }

    /// What was said last may have been lost with the connection, and whether the peer is gone decides
    /// elections: so it is dialled again at once. Not more than once in a while: a peer that hangs up
    /// every time is left alone until there is something to say.
    fn after_talk(&mut self) -> Next {
        let rested = self
            .redialled
            .is_none_or(|then| then.elapsed() >= REDIAL_PAUSE);
        if !rested || self.outbox.borrow().is_empty() {
            return Next::Wait;
        }
        self.redialled = Some(Instant::now());
        Next::Dial(self.configured())
    }

    fn configured(&self) -> Vec<Address> {
        let known = self.settings.peers.get(&self.id);
        known.cloned().unwrap_or_default()
    }
}

/// The desk sends until it is gone; then this task is about to be aborted.
async fn next_arrival(arrivals: &mut mpsc::Receiver<Arrival>) -> Arrival {
    match arrivals.recv().await {
        Some(arrival) => arrival,
        None => std::future::pending().await,
    }
}
