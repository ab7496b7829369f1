//! This server's vote, in a task of its own: the others are answered at once, whatever the loop waits
//! for. It introduces [`Election`] to [`ElectionPort`] and to the clock, and decides nothing.

use super::{ElectionPort, Heard, PortSettings};
use crate::config::peers::Ensemble;
use crate::time::Clock;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tracing::{debug, info};
use zk_proto::{Epoch, ServerId};
use zk_zab::{Candidacy, Election, ElectionEffect, ElectionSettings, PeerState};

/// The loop gives an order when a role begins or ends; more never wait.
const ORDERS: usize = 4;

/// What the loop wants of the vote.
#[derive(Debug)]
enum Order {
    Look(Candidacy),
    Rest,
    Established(Epoch),
}

/// There is a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elected {
    /// What this server is to become.
    pub role: PeerState,
    /// The leader.
    pub leader: ServerId,
}

/// This server's part in the election. When it is dropped, it no longer votes.
#[derive(Debug)]
pub struct Voter {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

impl Voter {
    /// Opens the election port. Until it is told to look, the server is silent.
    pub fn open(
        listeners: Vec<TcpListener>,
        ensemble: &Ensemble,
    ) -> (Self, mpsc::Receiver<Elected>) {
        let (port, hearing) = ElectionPort::open(listeners, PortSettings::of(ensemble));
        let (orders, receiver) = mpsc::channel(ORDERS);
        let (results, elected) = mpsc::channel(1);
        let booth = Booth {
            election: Election::new(election_settings(ensemble)),
            port,
            hearing,
            orders: receiver,
            results,
            clock: Clock::start(),
        };
        let task = tokio::spawn(booth.run());
        (Self { orders, task }, elected)
    }

    /// This server has no leader, and this is what it has to offer, durably. The answer is an
    /// [`Elected`], sooner or later.
    pub async fn look(&self, candidacy: Candidacy) {
        self.order(Order::Look(candidacy)).await;
    }

    /// This server's role has ended, and what it has is not known to be durable yet.
    pub async fn rest(&self) {
        self.order(Order::Rest).await;
    }

    /// The leader was accepted in that epoch: late comers are told.
    pub async fn established(&self, epoch: Epoch) {
        self.order(Order::Established(epoch)).await;
    }

    async fn order(&self, order: Order) {
        let taken = self.orders.send(order).await;
        if taken.is_err() {
            // Whoever waits for `failed` knows, and ends the process.
            debug!("the election has ended");
        }
    }

    /// Waits for the election to fail, which it never does on its own (P35).
    pub async fn failed(&mut self) -> Result<(), JoinError> {
        (&mut self.task).await
    }
}

impl Drop for Voter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// As the configuration says; but never silent for longer than [`ElectionSettings::new`] allows, which
/// is less than Java's default (P32).
fn election_settings(ensemble: &Ensemble) -> ElectionSettings {
    let config = ensemble.text().into();
    let observer = !ensemble.is_voter();
    let mut settings = ElectionSettings::new(ensemble.me, observer, ensemble.quorum(), config);
    let patience = &ensemble.patience;
    settings.resend_first = patience.shortest_notification.min(settings.resend_last);
    settings.resend_last = patience.longest_notification.min(settings.resend_last);
    settings
}

/// What the task owns.
struct Booth {
    election: Election,
    port: ElectionPort,
    hearing: mpsc::Receiver<Heard>,
    orders: mpsc::Receiver<Order>,
    results: mpsc::Sender<Elected>,
    clock: Clock,
}

impl Booth {
    async fn run(mut self) {
        let mut effects = Vec::new();
        while self.step(&mut effects).await {
            for effect in effects.drain(..) {
                debug!(%effect, "election");
                match effect {
                    ElectionEffect::Send { to, notification } => self.port.send(to, &notification),
                    ElectionEffect::Elected { role, leader } => {
                        info!(%leader, %role, "a leader is elected");
                        if self.results.send(Elected { role, leader }).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// One event. `false` when nobody gives orders any more.
    async fn step(&mut self, out: &mut Vec<ElectionEffect>) -> bool {
        let deadline = self.election.deadline();
        let wake = async {
            match deadline {
                Some(time) => tokio::time::sleep_until(self.clock.instant(time)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = self.orders.recv() => match order {
                Some(order) => self.obey(order, out),
                None => return false,
            },
            Some(heard) = self.hearing.recv() => self.on_heard(heard, out),
            () = wake => self.election.on_timeout(self.clock.now(), out),
            ended = self.port.failed() => panic!("the election port has failed: {ended:?}"),
        }
        true
    }

    fn obey(&mut self, order: Order, out: &mut Vec<ElectionEffect>) {
        match order {
            Order::Look(candidacy) => self.election.start(self.clock.now(), candidacy, out),
            Order::Rest => self.election.rest(),
            Order::Established(epoch) => self.election.on_epoch_established(epoch),
        }
    }

    fn on_heard(&mut self, heard: Heard, out: &mut Vec<ElectionEffect>) {
        let now = self.clock.now();
        match heard {
            Heard::Notification { from, notification } => {
                debug!(%from, %notification, "heard");
                self.election.on_notification(now, from, &notification, out);
            }
            Heard::Refused { by } => self.election.on_refused(now, by, out),
        }
    }
}
