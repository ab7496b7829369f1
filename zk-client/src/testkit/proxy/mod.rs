//! A proxy between clients and a server that makes the faults of a network, when it is told to.
//!
//! It forwards whole frames and knows what they are, so that a test can say "lose the reply to the create" as well
//! as "lose the connection at byte 117". Rules apply to all connections; a planned fault happens once.

mod accept;
mod frames;
mod pump;
mod tally;

pub use frames::{Direction, Kind};
pub use tally::Tally;

use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use tally::Both;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zk_proto::{OpCode, Xid};

/// How long a condition may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// A record longer than this ends; it is of a test that forgot it.
const MAX_RECORD: usize = 64 << 20;

/// Which reply to lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The next one to a request of this operation.
    To(OpCode),
    /// The next one with this number.
    Xid(Xid),
    /// The one that comes after so many other frames to the client; 0 is the next frame.
    After(u64),
}

/// Something that was passed on.
#[derive(Clone, Debug)]
pub struct Passed {
    /// On which connection, counted from 0.
    pub connection: u64,
    /// Which way.
    pub direction: Direction,
    /// What it is.
    pub kind: Kind,
    /// Its bytes with their length word; those that passed, if it was cut.
    pub bytes: Bytes,
}

/// What the connections are told to do.
#[derive(Clone, Debug)]
struct Rules {
    target: SocketAddr,
    refuse: bool,
    /// Connections with a lower number are cut.
    cut_below: u64,
    /// Connections with a lower number lead nowhere.
    lost_below: u64,
    stalled: Both<bool>,
    delay: Both<Duration>,
    cut_after: Both<Option<u64>>,
    drop_reply: Option<Which>,
}

#[derive(Debug)]
struct Shared {
    rules: watch::Sender<Rules>,
    tally: watch::Sender<Tally>,
    record: Mutex<Option<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    passed: Vec<Passed>,
    bytes: usize,
}

/// The proxy. Dropping it cuts all connections and frees the port.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl FaultProxy {
    /// Listens on a free port of this machine, without any fault.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let rules = Rules {
            target,
            refuse: false,
            cut_below: 0,
            lost_below: 0,
            stalled: Both::default(),
            delay: Both::default(),
            cut_after: Both::default(),
            drop_reply: None,
        };
        let shared = Arc::new(Shared {
            rules: watch::Sender::new(rules),
            tally: watch::Sender::new(Tally::default()),
            record: Mutex::new(None),
        });
        let door = accept::Door::open()?;
        let address = door.address()?;
        let accepting = tokio::spawn(door.run(Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections elsewhere.
    pub fn retarget(&self, target: SocketAddr) {
        self.change(|rules| rules.target = target);
    }

    /// Cuts every connection there is now. New ones may come at once.
    pub fn cut(&self) {
        let connections = self.shared.tally.borrow().connections;
        self.change(|rules| rules.cut_below = connections);
    }

    /// Every connection there is now leads nowhere from here on: bytes are taken and lost, and neither side hears
    /// of the other's end. New connections are as good as ever.
    pub fn lose(&self) {
        let connections = self.shared.tally.borrow().connections;
        self.change(|rules| rules.lost_below = connections);
    }

    /// Holds back everything in a direction until [`resume`](Self::resume).
    pub fn stall(&self, direction: Direction) {
        self.change(|rules| rules.stalled[direction] = true);
    }

    /// Lets through what was held back, and what follows.
    pub fn resume(&self, direction: Direction) {
        self.change(|rules| rules.stalled[direction] = false);
    }

    /// Every frame of a direction takes this much longer; order is kept.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.change(|rules| rules.delay[direction] = delay);
    }

    /// Passes on so many more bytes in a direction, over all connections together, then cuts the connection that
    /// would carry the next, once.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.change(|rules| rules.cut_after[direction] = Some(bytes));
    }

    /// Swallows one reply, which the server believes to have been sent, and cuts its connection; once.
    pub fn drop_reply(&self, which: Which) {
        self.change(|rules| rules.drop_reply = Some(which));
    }

    /// Nobody listens any more: new connections are refused. Those that exist stay.
    pub async fn refuse(&self) {
        self.change(|rules| rules.refuse = true);
        self.until("the port to be closed", |tally| tally.refusing)
            .await;
    }

    /// Listens again.
    pub async fn accept(&self) {
        self.change(|rules| rules.refuse = false);
        self.until("the port to be open", |tally| !tally.refusing)
            .await;
    }

    /// What was counted up to now.
    pub fn tally(&self) -> Tally {
        self.shared.tally.borrow().clone()
    }

    /// Waits until the counts are as a test wants them.
    ///
    /// # Panics
    ///
    /// After half a minute, with `what` was awaited and the counts.
    pub async fn until(&self, what: &str, condition: impl FnMut(&Tally) -> bool) {
        let mut tally = self.shared.tally.subscribe();
        let came = tokio::time::timeout(PATIENCE, tally.wait_for(condition)).await;
        let came = came.is_ok_and(|sender_lives| sender_lives.is_ok());
        assert!(came, "waited in vain for {what}: {}", self.tally());
    }

    /// Begins to write down everything that passes.
    pub fn record(&self) {
        *self.record_guard() = Some(Record::default());
    }

    /// Ends the record and returns it; empty without one.
    pub fn take_record(&self) -> Vec<Passed> {
        let taken = self.record_guard().take();
        taken.unwrap_or_default().passed
    }

    fn record_guard(&self) -> std::sync::MutexGuard<'_, Option<Record>> {
        lock(&self.shared.record)
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        self.shared.rules.send_modify(change);
    }
}

/// A record is whole after every single change, so that a panic elsewhere does not spoil it.
fn lock(record: &Mutex<Option<Record>>) -> std::sync::MutexGuard<'_, Option<Record>> {
    record
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Shared {
    fn note(&self, passed: Passed) {
        if let Some(record) = lock(&self.record).as_mut() {
            record.bytes += passed.bytes.len();
            assert!(
                record.bytes <= MAX_RECORD,
                "a record of more than {MAX_RECORD} bytes"
            );
            record.passed.push(passed);
        }
    }
}
