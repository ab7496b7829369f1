//! The two ways to drive a server with requests. A closed loop keeps a number of them in flight and
//! finds the throughput. An open loop sends when a request is due, answered or not, and measures from
//! that moment, so that a stall is felt by everything that would have happened meanwhile.

use crate::conn::{Conn, Load};
use crate::driver::Pool;
use crate::error::Failure;
use crate::ops::Source;
use crate::proc;
use crate::report::{Measures, Metric, put_latency};
use crate::stats::{Histogram, float};
use std::time::{Duration, Instant};

/// What a closed loop may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// At least so long before the clock starts, unless `warm_replies` came earlier.
    pub(crate) warm: Duration,
    /// So many replies are enough of a warm-up: for loops that run out of requests.
    pub(crate) warm_replies: u64,
    /// So long with the clock running.
    pub(crate) measured: Duration,
}

/// Two seconds that differ by less than this, in parts per hundred, are the same.
const STABLE_PERCENT: u64 = 5;
/// How often the warm-up may be prolonged, in units of itself, while throughput still moves.
const WARM_AT_MOST: u32 = 3;

struct Closed<'a> {
    source: &'a mut dyn Source,
    depth: usize,
    /// Nothing more is asked.
    ended: bool,
    replies: u64,
    latency: Histogram,
    last: Instant,
}

impl Load for Closed<'_> {
    fn on_reply(&mut self, since: Instant, now: Instant) {
        self.replies += 1;
        self.last = now;
        self.latency.record(now - since);
    }

    fn refill(&mut self, conn: &mut Conn) {
        if self.ended || conn.in_flight() >= self.depth {
            return;
        }
        let now = Instant::now();
        while conn.in_flight() < self.depth {
            let Some((request, body)) = self.source.next(conn.index) else {
                return;
            };
            conn.ask(&request, body, now);
        }
    }
}

impl<'a> Closed<'a> {
    fn new(source: &'a mut dyn Source, depth: usize) -> Self {
        Self {
            source,
            depth,
            ended: false,
            replies: 0,
            latency: Histogram::new(),
            last: Instant::now(),
        }
    }

    /// Runs until `until`, or until there is nothing left to ask; whether there is.
    fn run(&mut self, pool: &mut Pool, until: Instant, replies: u64) -> Result<bool, Failure> {
        loop {
            let now = Instant::now();
            if now >= until || self.replies >= replies {
                return Ok(true);
            }
            if pool.in_flight() == 0 {
                return Ok(false);
            }
            // A pool is asked often whether it is idle, so not after every single reply.
            let busy_until = until.min(now + Duration::from_millis(20));
            while Instant::now() < busy_until {
                pool.turn(busy_until.saturating_duration_since(Instant::now()), self)?;
            }
        }
    }
}

/// Runs until the minimum is over and two seconds in a row brought as much. `step` runs until a moment,
/// and says how much was done so far and whether there is more.
pub(crate) fn warm_up(
    limits: &Limits,
    mut step: impl FnMut(Instant) -> Result<(u64, bool), Failure>,
) -> Result<(), Failure> {
    let began = Instant::now();
    let (mut total, mut before) = (0, 0);
    loop {
        let length = limits.warm.min(Duration::from_secs(1));
        let (done, more) = step(Instant::now() + length)?;
        let found = done - total;
        total = done;
        let stable = found.abs_diff(before) * 100 <= found * STABLE_PERCENT;
        before = found;
        let (elapsed, enough) = (began.elapsed(), total >= limits.warm_replies);
        let over = elapsed >= limits.warm && stable || elapsed >= limits.warm * WARM_AT_MOST;
        if !more || enough || over {
            return Ok(());
        }
    }
}

/// Asks everything a source has and waits for the answers. Not measured, but for its rate.
pub(crate) fn run_all(
    pool: &mut Pool,
    source: &mut dyn Source,
    depth: usize,
) -> Result<Histogram, Failure> {
    let mut load = Closed::new(source, depth);
    pool.kick(&mut load)?;
    while pool.in_flight() > 0 {
        pool.drain(&mut load)?;
    }
    Ok(load.latency)
}

/// A closed loop: warm, then measured, against the server with these processes.
pub(crate) fn closed(
    pool: &mut Pool,
    source: &mut dyn Source,
    depth: usize,
    limits: &Limits,
    pids: &[u32],
) -> Result<Measures, Failure> {
    let mut load = Closed::new(source, depth);
    pool.kick(&mut load)?;
    warm_up(limits, |until| {
        let more = load.run(pool, until, limits.warm_replies)?;
        Ok((load.replies, more))
    })?;

    load.replies = 0;
    load.latency = Histogram::new();
    let usage = Usage::begin(pids)?;
    let began = Instant::now();
    let more = load.run(pool, began + limits.measured, u64::MAX)?;
    // What ran out of requests ended with its last reply.
    let ended = if more { Instant::now() } else { load.last };
    let replies = load.replies;
    let mut measures = usage.end(replies)?;
    measures.insert(Metric::Rate, per_second(replies, ended - began));
    put_latency(&mut measures, &load.latency);

    load.ended = true;
    pool.drain(&mut load)?;
    Ok(measures)
}

/// Events per second.
pub(crate) fn per_second(events: u64, time: Duration) -> f64 {
    float(events) / time.as_secs_f64().max(1e-9)
}

/// The CPU that the server and the driver use during something.
#[derive(Debug)]
pub(crate) struct Usage {
    pids: Vec<u32>,
    server: Duration,
    driver: Duration,
}

impl Usage {
    /// From now on.
    pub(crate) fn begin(pids: &[u32]) -> Result<Self, Failure> {
        Ok(Self {
            pids: pids.to_vec(),
            server: proc::cpu_of_all(pids)?,
            driver: proc::own_cpu()?,
        })
    }

    /// What server and driver have used until now.
    pub(crate) fn so_far(&self) -> Result<[Duration; 2], Failure> {
        Ok([
            proc::cpu_of_all(&self.pids)?.saturating_sub(self.server),
            proc::own_cpu()?.saturating_sub(self.driver),
        ])
    }

    /// Per operation, until now; and the server's memory now.
    pub(crate) fn end(self, operations: u64) -> Result<Measures, Failure> {
        let mut measures = Self::per_operation(self.so_far()?, operations);
        put_memory(&mut measures, &self.pids)?;
        Ok(measures)
    }

    /// Time of server and driver, shared by operations.
    pub(crate) fn per_operation([server, driver]: [Duration; 2], operations: u64) -> Measures {
        let per_op = |time: Duration| time.as_secs_f64() * 1e6 / float(operations.max(1));
        Measures::from([
            (Metric::ServerCpu, per_op(server)),
            (Metric::DriverCpu, per_op(driver)),
        ])
    }
}

/// Notes the memory of a server, all its members together.
pub(crate) fn put_memory(measures: &mut Measures, pids: &[u32]) -> Result<(), Failure> {
    let (mut resident, mut peak) = (0.0, 0.0);
    for pid in pids {
        let memory = proc::memory(*pid)?;
        resident += float(memory.resident) / 1e6;
        peak += float(memory.peak) / 1e6;
    }
    measures.insert(Metric::Resident, resident);
    measures.insert(Metric::Peak, peak);
    Ok(())
}

struct Open {
    replies: u64,
    measured_from: Instant,
    latency: Histogram,
    last: Instant,
    /// The longest time without a reply while some were due.
    stall: Duration,
}

impl Load for Open {
    fn on_reply(&mut self, since: Instant, now: Instant) {
        if since < self.measured_from {
            self.last = now;
            return;
        }
        self.replies += 1;
        self.latency.record(now - since);
        self.stall = self.stall.max(now - self.last.max(since));
        self.last = now;
    }

    fn refill(&mut self, _conn: &mut Conn) {}
}

/// An open loop of `rate` requests per second, round-robin over the connections.
pub(crate) fn open(
    pool: &mut Pool,
    source: &mut dyn Source,
    rate: u32,
    limits: &Limits,
    pids: &[u32],
) -> Result<Measures, Failure> {
    let interval = Duration::from_secs(1) / rate.max(1);
    let began = Instant::now();
    let measured_from = began + limits.warm;
    let until = measured_from + limits.measured;
    let mut load = Open {
        replies: 0,
        measured_from,
        latency: Histogram::new(),
        last: began,
        stall: Duration::ZERO,
    };
    let (mut due, mut turn, mut usage) = (began, 0, None);
    while due < until {
        let now = Instant::now();
        while due <= now && due < until {
            let conns = pool.conns.len().max(1);
            if let (Some(conn), Some((request, body))) =
                (pool.conns.get_mut(turn % conns), source.next(turn % conns))
            {
                conn.ask(&request, body, due);
                conn.flush()?;
            }
            turn += 1;
            due += interval;
        }
        if usage.is_none() && now >= measured_from {
            usage = Some(Usage::begin(pids)?);
        }
        pool.turn(due.saturating_duration_since(Instant::now()), &mut load)?;
    }
    pool.drain(&mut load)?;
    let elapsed = load.last.saturating_duration_since(measured_from);
    let mut measures = match usage {
        Some(usage) => usage.end(load.replies)?,
        None => Measures::new(),
    };
    measures.insert(Metric::Rate, per_second(load.replies, elapsed));
    measures.insert(Metric::Stall, load.stall.as_secs_f64() * 1e3);
    put_latency(&mut measures, &load.latency);
    Ok(measures)
}
