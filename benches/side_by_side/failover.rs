//! The leader is killed while clients write: how long is nobody's write acknowledged?
//!
//! Every writer keeps one write in flight. One that loses its server tries the next at once, and again every
//! few milliseconds, with a new session: what is measured is how soon the ensemble serves, not how long a
//! client library thinks between two attempts. The gap is the longest silence over all of them.

use crate::conn::{Conn, Load, SCRATCH};
use crate::driver::Pool;
use crate::ensemble::Ensemble;
use crate::error::{Context, Failure};
use crate::ops;
use crate::report::{Measures, Metric};
use crate::scenarios;
use crate::stats::median;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Writers for each member.
const WRITERS: usize = 3;
/// Between two attempts of a writer without a server.
const PAUSE: Duration = Duration::from_millis(3);
/// How long an attempt may stay without an answer before the next server is tried. Servers without a leader
/// may take a connection and say nothing.
const ATTEMPT: Duration = Duration::from_millis(250);
/// How long all must have written again for a failover to be over.
const SOUND: Duration = Duration::from_secs(1);
/// How often the leader is killed.
const ROUNDS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(120);

/// What writers have seen.
struct Writes {
    last: Instant,
    longest_silence: Duration,
}

impl Load for Writes {
    fn on_reply(&mut self, _since: Instant, now: Instant) {
        self.longest_silence = self.longest_silence.max(now - self.last);
        self.last = now;
    }

    fn refill(&mut self, conn: &mut Conn) {
        if conn.has_session() && conn.in_flight() == 0 {
            let (request, body) = ops::change("/bench/failover");
            conn.ask(&request, body, Instant::now());
        }
    }
}

/// A client, with a server or looking for one.
struct Writer {
    index: usize,
    /// Which server is next to be tried.
    next: usize,
    conn: Option<Conn>,
    tried: Instant,
}

impl Writer {
    fn look_for_server(&mut self, addrs: &[SocketAddr], now: Instant) {
        if self.conn.is_some() || now < self.tried + PAUSE {
            return;
        }
        if let Some(addr) = addrs.get(self.next % addrs.len().max(1)) {
            self.conn = Conn::open(*addr, self.index).ok();
        }
        self.next += 1;
        self.tried = now;
    }

    /// Whatever goes wrong on a connection here is the failover, and the next server is tried.
    fn turn(&mut self, scratch: &mut [u8], writes: &mut Writes, now: Instant) {
        self.conn.take_if(|conn| {
            let mut go_on = || {
                conn.read(scratch, writes)?;
                writes.refill(conn);
                conn.flush()
            };
            let went: Result<(), Failure> = go_on();
            let ignored = !conn.has_session() && now > self.tried + ATTEMPT;
            went.is_err() || ignored
        });
    }
}

struct Writers {
    addrs: Vec<SocketAddr>,
    writers: Vec<Writer>,
    writes: Writes,
    scratch: Vec<u8>,
}

impl Writers {
    fn new(addrs: Vec<SocketAddr>) -> Self {
        let now = Instant::now();
        let writer = |index| Writer {
            index,
            next: index,
            conn: None,
            tried: now.checked_sub(PAUSE).unwrap_or(now),
        };
        Self {
            writers: (0..WRITERS * addrs.len()).map(writer).collect(),
            addrs,
            writes: Writes {
                last: now,
                longest_silence: Duration::ZERO,
            },
            scratch: vec![0; SCRATCH],
        }
    }

    /// Lets everyone do what can be done, and waits a moment for more.
    fn turn(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        for writer in &mut self.writers {
            writer.look_for_server(&self.addrs, now);
            writer.turn(&mut self.scratch, &mut self.writes, now);
        }
        let conns = self.writers.iter().filter_map(|it| it.conn.as_ref());
        let mut polled: Vec<_> = conns
            .map(|conn| PollFd::new(&conn.stream, PollFlags::IN))
            .collect();
        let timeout = Timespec::try_from(PAUSE).ok();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("waiting for members"),
        }
    }

    fn write_for(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn()?;
        }
        Ok(())
    }

    /// Writes until everybody has had a server for a while.
    fn write_until_sound(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let mut sound_since = began;
        while sound_since.elapsed() < SOUND {
            self.turn()?;
            let serves = |writer: &Writer| writer.conn.as_ref().is_some_and(Conn::has_session);
            if !self.writers.iter().all(serves) || self.writes.last + SOUND / 2 < Instant::now() {
                sound_since = Instant::now();
            }
            if began.elapsed() > PATIENCE {
                return Err(Failure::Stuck {
                    what: "acknowledgements after the leader was killed",
                    missing: 1,
                });
            }
        }
        Ok(())
    }
}

/// Kills the leader a few times.
pub(crate) fn measure(ensemble: &mut Ensemble<'_>, warm: Duration) -> Result<Measures, Failure> {
    let addrs = ensemble.addrs()?;
    let paths = ["/bench", "/bench/failover"].map(str::to_owned).to_vec();
    let mut pool = Pool::with_sessions(&addrs, 1)?;
    scenarios::create(&mut pool, paths, &[])?;
    drop(pool);

    let mut writers = Writers::new(addrs);
    writers.write_for(warm)?;
    let mut gaps = Vec::new();
    for _round in 0..ROUNDS {
        writers.write_until_sound()?;
        writers.writes.longest_silence = Duration::ZERO;
        ensemble.kill_leader()?;
        writers.write_until_sound()?;
        gaps.push(writers.writes.longest_silence.as_secs_f64() * 1e3);
        ensemble.start_missing()?;
    }
    let mut measures = Measures::new();
    measures.insert(Metric::Gap, median(&gaps).unwrap_or(f64::NAN));
    measures.insert(
        Metric::LongestGap,
        gaps.iter().copied().fold(f64::NAN, f64::max),
    );
    Ok(measures)
}
