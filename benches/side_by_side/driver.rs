//! All connections of a scenario, on one thread and one epoll: the driver shares the machine with the
//! server, so what it burns is taken from what it measures. Two system calls per batch of replies.

use crate::conn::{Conn, Known, Load, SCRATCH};
use crate::error::{Context, Failure};
use crate::stats::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long anything may stay unanswered before the scenario is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How many sessions are asked for at once while connecting.
const CONNECTING: usize = 256;
/// A third of the session timeout: a silent connection says something every so often.
const KEEP_ALIVE: Duration = Duration::from_secs(13);
const EVENTS: usize = 1024;

/// The connections.
pub(crate) struct Pool {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    scratch: Vec<u8>,
    addrs: Vec<SocketAddr>,
    pub(crate) conns: Vec<Conn>,
    next_keep_alive: Instant,
}

/// Counts sessions as they open.
#[derive(Debug)]
struct Opening {
    opened: usize,
    latency: Histogram,
}

impl Load for Opening {
    fn on_reply(&mut self, _since: Instant, _now: Instant) {}

    fn on_session(&mut self, since: Instant, now: Instant) {
        self.opened += 1;
        self.latency.record(now - since);
    }

    fn refill(&mut self, _conn: &mut Conn) {}
}

/// Receives and asks nothing: holds what is open.
#[derive(Debug)]
pub(crate) struct Silence;

impl Load for Silence {
    fn on_reply(&mut self, _since: Instant, _now: Instant) {}

    fn refill(&mut self, _conn: &mut Conn) {}
}

impl Pool {
    /// No connections yet; they will be spread evenly over these servers.
    pub(crate) fn new(addrs: &[SocketAddr]) -> Result<Self, Failure> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).context("creating an epoll")?,
            events: Vec::with_capacity(EVENTS),
            scratch: vec![0; SCRATCH],
            addrs: addrs.to_vec(),
            conns: Vec::new(),
            next_keep_alive: Instant::now() + KEEP_ALIVE / 4,
        })
    }

    /// A pool with so many sessions.
    pub(crate) fn with_sessions(addrs: &[SocketAddr], count: usize) -> Result<Self, Failure> {
        let mut pool = Self::new(addrs)?;
        pool.open(count)?;
        Ok(pool)
    }

    /// Opens sessions and waits for all of them; how long each took.
    pub(crate) fn open(&mut self, count: usize) -> Result<Histogram, Failure> {
        self.open_all(vec![None; count])
    }

    /// Takes up sessions on new connections and waits for all of them; how long each took.
    pub(crate) fn take_up(&mut self, known: Vec<Known>) -> Result<Histogram, Failure> {
        self.open_all(known.into_iter().map(Some).collect())
    }

    fn open_all(&mut self, wanted: Vec<Option<Known>>) -> Result<Histogram, Failure> {
        let (count, mut wanted) = (wanted.len(), wanted.into_iter());
        let mut load = Opening {
            opened: 0,
            latency: Histogram::new(),
        };
        let (began, mut asked) = (Instant::now(), 0);
        while load.opened < count {
            while asked < count && asked - load.opened < CONNECTING {
                self.connect(wanted.next().flatten())?;
                asked += 1;
            }
            self.turn(Duration::from_secs(1), &mut load)?;
            if began.elapsed() > PATIENCE {
                return Err(Failure::Stuck {
                    what: "sessions",
                    missing: count - load.opened,
                });
            }
        }
        Ok(load.latency)
    }

    fn connect(&mut self, known: Option<Known>) -> Result<(), Failure> {
        let index = self.conns.len();
        let addr = self.addrs.get(index % self.addrs.len().max(1));
        let addr = addr.ok_or(Failure::Unavailable("no server to connect to"))?;
        let conn = Conn::open_as(*addr, index, known)?;
        // Edge-triggered: a reader empties the socket, a writer stops when it is full.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        let data = u64::try_from(index).unwrap_or(u64::MAX);
        epoll::add(
            &self.epoll,
            &conn.stream,
            epoll::EventData::new_u64(data),
            flags,
        )
        .context("adding to the epoll")?;
        self.conns.push(conn);
        Ok(())
    }

    /// Waits for something to arrive, not longer than `timeout`, and deals with all of it.
    pub(crate) fn turn(&mut self, timeout: Duration, load: &mut impl Load) -> Result<(), Failure> {
        let timeout = Timespec::try_from(timeout).ok();
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("waiting for the epoll"),
        }
        for event in &self.events {
            let (data, flags) = (event.data, event.flags);
            let conn = usize::try_from(data.u64()).ok();
            let Some(conn) = conn.and_then(|index| self.conns.get_mut(index)) else {
                continue;
            };
            if flags != epoll::EventFlags::OUT {
                conn.read(&mut self.scratch, load)?;
                load.refill(conn);
            }
            conn.flush()?;
        }
        self.keep_alive()
    }

    /// Lets every connection ask; what starts a load.
    pub(crate) fn kick(&mut self, load: &mut impl Load) -> Result<(), Failure> {
        for conn in &mut self.conns {
            load.refill(conn);
            conn.flush()?;
        }
        Ok(())
    }

    fn keep_alive(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if now < self.next_keep_alive {
            return Ok(());
        }
        self.next_keep_alive = now + KEEP_ALIVE / 4;
        let Some(then) = now.checked_sub(KEEP_ALIVE) else {
            return Ok(());
        };
        let mut silent = self
            .conns
            .iter_mut()
            .filter(|conn| conn.is_silent_since(then));
        silent.try_for_each(Conn::ping)
    }

    /// How many requests are unanswered.
    pub(crate) fn in_flight(&self) -> usize {
        self.conns.iter().map(Conn::in_flight).sum()
    }

    /// Waits until everything is answered; how long that took at most is not measured.
    pub(crate) fn drain(&mut self, load: &mut impl Load) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            match self.in_flight() {
                0 => return Ok(()),
                missing if began.elapsed() > PATIENCE => {
                    return Err(Failure::Stuck {
                        what: "replies",
                        missing,
                    });
                }
                _ => self.turn(Duration::from_millis(100), load)?,
            }
        }
    }

    /// Keeps the sessions for a while without asking anything.
    pub(crate) fn hold(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(Duration::from_millis(200), &mut Silence)?;
        }
        Ok(())
    }
}
