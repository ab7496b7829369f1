//! Clients that write numbered nodes through an ensemble that is being disturbed, and know what to expect.
//!
//! A writer keeps its session wherever it finds a server, and looks there first what became of the writes it
//! had no answer to: those that stand must be a prefix of what it sent, with all in it that it was told (P1,
//! P3, P19).
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses its own part"
)]

use super::members::Members;
use super::support::{Client, create};
use super::trees::check_equal;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zk_proto::{Reply, Request, SessionId, Zxid};

/// How long a writer waits for a word before it goes elsewhere.
const PATIENCE: Duration = Duration::from_secs(1);
/// In milliseconds. Nobody pings while trees are compared.
const SESSION_TIMEOUT: i32 = 40_000;
const IN_FLIGHT: u32 = 8;
const NO_NODE: i32 = -101;

pub struct Writer {
    base: String,
    addresses: Vec<SocketAddr>,
    at: usize,
    client: Client,
    /// All before it stand, as far as this writer was told.
    acknowledged: u32,
    sent: u32,
    /// When each burst of answers came, for whoever measures.
    pub answers: Vec<Instant>,
    pause: Duration,
}

impl Writer {
    /// A writer with a session and an ephemeral node, below `/NAME`.
    pub fn begin(name: &str, addresses: &[SocketAddr], at: usize, pause: Duration) -> Self {
        let (none, timeout) = (SessionId::NONE, SESSION_TIMEOUT);
        let client = Client::connect_with(addresses[at], none, &[0; 16], timeout);
        let mut client = client.expect("it serves");
        let base = format!("/{name}");
        let mut make = |path: &str, flags| {
            let made = client.create(path, b"", flags).expect("it answers");
            assert_eq!(made.as_deref(), Ok(path));
        };
        make(&base, 0);
        make(&format!("{base}-lives"), 1);
        Self {
            base,
            addresses: addresses.to_vec(),
            at,
            client,
            acknowledged: 0,
            sent: 0,
            answers: Vec::new(),
            pause,
        }
    }

    /// Writes until it is told to stop, whatever happens.
    pub fn write(&mut self, stop: &AtomicBool) {
        while self.write_here(stop).is_err() {
            self.find_another();
        }
    }

    fn write_here(&mut self, stop: &AtomicBool) -> io::Result<()> {
        loop {
            let ending = stop.load(Ordering::Relaxed);
            while !ending && self.sent < self.acknowledged + IN_FLIGHT {
                let path = self.path(self.sent);
                self.sent += 1;
                self.client.send(&create(&path, path.as_bytes(), 0))?;
            }
            if self.sent == self.acknowledged {
                return Ok(());
            }
            let before = self.client.seen;
            let (zxid, answer) = self.client.receive()?;
            let expected = self.path(self.acknowledged);
            match answer {
                Ok(Reply::Path(path)) => assert_eq!(path, expected),
                other => panic!("{expected} was answered {other:?}"),
            }
            assert!(zxid > before, "{expected}: {zxid} came after {before} (P4)");
            self.acknowledged += 1;
            self.answers.push(Instant::now());
            std::thread::sleep(self.pause);
        }
    }

    fn path(&self, number: u32) -> String {
        format!("{}/{number:08}", self.base)
    }

    fn find_another(&mut self) {
        let deadline = Instant::now() + super::members::DEADLINE;
        loop {
            self.at = (self.at + 1) % self.addresses.len();
            if self.move_on().is_ok() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{}: nobody serves its session",
                self.base
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Takes its session to another server, and sees what became of what was in flight.
    fn move_on(&mut self) -> io::Result<()> {
        let session = self.client.session.clone();
        let moved = self.client.move_to(self.addresses[self.at], PATIENCE);
        if moved.is_err() {
            self.client.session = session;
            return moved;
        }
        assert!(
            self.client.session.timeout > 0,
            "{}: its session has expired (P14)",
            self.base
        );
        let sync = Request::Sync { path: "/".into() };
        self.client.call(&sync)?.expect("a sync is not refused");
        let lives = self.client.data(&format!("{}-lives", self.base))?;
        assert_eq!(lives, Ok(Vec::new()), "its session lives (P15)");
        let mut stand = self.acknowledged.saturating_sub(1);
        while stand < self.sent && self.is_there(stand)? {
            stand += 1;
        }
        assert!(
            stand >= self.acknowledged,
            "{} was acknowledged and is gone (P1, P19)",
            self.path(stand)
        );
        for later in stand..self.sent {
            assert!(
                !self.is_there(later)?,
                "{} stands without {} (P3)",
                self.path(later),
                self.path(stand)
            );
        }
        (self.acknowledged, self.sent) = (stand, stand);
        Ok(())
    }

    fn is_there(&mut self, number: u32) -> io::Result<bool> {
        match self.client.data(&self.path(number))? {
            Ok(data) => {
                assert_eq!(data, self.path(number).into_bytes());
                Ok(true)
            }
            Err(NO_NODE) => Ok(false),
            Err(error) => panic!("{} was answered {error}", self.path(number)),
        }
    }

    /// What must be in a tree that all have: every node of this writer, and no other.
    pub fn check(&self, tree: &super::trees::Tree) {
        let start = format!("{}/", self.base);
        let mut last = Zxid::ZERO;
        let mut count = 0;
        for (number, (path, node)) in (0..).zip(
            tree.range(start.clone()..)
                .take_while(|(path, _)| path.starts_with(&start)),
        ) {
            assert_eq!(*path, self.path(number), "no hole, nothing beyond (P3)");
            assert_eq!(node.data, path.as_bytes());
            assert!(
                node.stat.czxid > last,
                "{path} came before the one before it (P3)"
            );
            last = node.stat.czxid;
            count += 1;
        }
        assert_eq!(
            count, self.acknowledged,
            "{}: what was told stands (P1)",
            self.base
        );
        let lives = tree
            .get(&format!("{}-lives", self.base))
            .expect("its session lives (P14)");
        assert_eq!(lives.stat.ephemeral_owner, self.client.session.session);
    }
}

/// Lets writers write while something happens, and for a while after it.
pub fn write_during(writers: &mut [Writer], happens: impl FnOnce()) {
    const AFTERWARDS: Duration = Duration::from_millis(300);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = &stop;
        for writer in writers.iter_mut() {
            scope.spawn(move || writer.write(stop));
        }
        let _guard = StopAtEnd(stop);
        std::thread::sleep(AFTERWARDS);
        happens();
        std::thread::sleep(AFTERWARDS);
    });
}

/// Whatever ends the scope, the writers end as well.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One writer for each member, with its session there.
pub fn writers_of(members: &Members, pace: Duration) -> Vec<Writer> {
    let addresses = members.addresses();
    (0..addresses.len())
        .map(|at| Writer::begin(&format!("writer-{at}"), &addresses, at, pace))
        .collect()
}

/// Something happens while all write. Then all members hold the same, and each writer finds what it was told of.
pub fn disturb(members: &mut Members, writers: &mut [Writer], happens: impl FnOnce(&mut Members)) {
    write_during(writers, || happens(members));
    members.wait_until_all_serve();
    let tree = check_equal(members);
    for writer in writers {
        writer.check(&tree);
    }
}
