//! What is not a stream of requests: many sessions, many nodes, a start, and doing nothing.

use crate::args::Settings;
use crate::conn::Conn;
use crate::driver::Pool;
use crate::error::Failure;
use crate::load::{self, Usage};
use crate::ops::{self, Each, Source};
use crate::proc;
use crate::report::{Measures, Metric, put_latency};
use crate::scenarios;
use crate::stats::{Histogram, float};
use crate::systems::{Program, Server};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use zk_proto::Request;

/// How long a server may come to rest before its memory or its idleness is looked at.
const SETTLE: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(5);
/// The connections and the requests in flight of the fill.
const FILLING: (usize, usize) = (64, 16);
const CHILDREN: usize = 1000;

/// Opens sessions as fast as the server lets them in.
pub(crate) fn connect(server: &Server, sessions: usize) -> Result<Measures, Failure> {
    let mut pool = Pool::new(&[server.addr])?;
    let usage = Usage::begin(&[server.pid()])?;
    let began = Instant::now();
    let latency = pool.open(sessions)?;
    let elapsed = began.elapsed();
    let mut measures = usage.end(latency.count())?;
    measures.insert(Metric::Rate, load::per_second(latency.count(), elapsed));
    put_latency(&mut measures, &latency);
    Ok(measures)
}

/// Opens sessions, kills the server, starts it again, and lets all clients come back at once.
pub(crate) fn reconnect(
    program: &Program,
    dir: &Path,
    sessions: usize,
) -> Result<Measures, Failure> {
    let server = Server::start(program, dir)?;
    let mut pool = Pool::new(&[server.addr])?;
    pool.open(sessions)?;
    let known = pool.conns.iter().filter_map(Conn::session).collect();
    drop((server, pool));

    let server = Server::start(program, dir)?;
    let mut pool = Pool::new(&[server.addr])?;
    let usage = Usage::begin(&[server.pid()])?;
    let began = Instant::now();
    let latency = pool.take_up(known)?;
    let elapsed = began.elapsed();
    let mut measures = usage.end(latency.count())?;
    measures.insert(Metric::Rate, load::per_second(latency.count(), elapsed));
    put_latency(&mut measures, &latency);
    Ok(measures)
}

/// Holds sessions open: what they cost in memory, and in CPU while nobody speaks.
pub(crate) fn sessions(
    server: &Server,
    sessions: usize,
    settings: &Settings,
) -> Result<Measures, Failure> {
    thread::sleep(SETTLE);
    let before = proc::memory(server.pid())?.resident;
    let mut pool = Pool::new(&[server.addr])?;
    pool.open(sessions)?;
    pool.hold(SETTLE)?;
    let cpu = proc::cpu_of_threads(server.pid())?;
    let began = Instant::now();
    pool.hold(settings.seconds)?;
    let used = proc::cpu_of_threads(server.pid())?.saturating_sub(cpu);
    let mut measures = Measures::new();
    measures.insert(Metric::IdleCpu, percent(used, began.elapsed()));
    load::put_memory(&mut measures, &[server.pid()])?;
    let grown = proc::memory(server.pid())?.resident.saturating_sub(before);
    let sessions = u64::try_from(sessions).unwrap_or(u64::MAX);
    measures.insert(Metric::PerSession, float(grown) / float(sessions));
    Ok(measures)
}

/// One read of one node.
struct Once(Option<String>, String);

impl Source for Once {
    fn next(&mut self, _conn: usize) -> Option<(Request<'_>, usize)> {
        self.1 = self.0.take()?;
        Some(ops::read_small(&self.1))
    }
}

fn path_in_fill(number: usize) -> String {
    format!("/fill/{:04}/{number:07}", number / CHILDREN)
}

/// Creates many nodes, a thousand to a parent.
pub(crate) fn fill_tree(pool: &mut Pool, nodes: usize) -> Result<Histogram, Failure> {
    let parent = |number| format!("/fill/{number:04}");
    scenarios::create(pool, vec!["/fill".to_owned()], &[])?;
    let parents = (0..nodes.div_ceil(CHILDREN)).map(parent).collect();
    scenarios::create(pool, parents, &[])?;
    let mut source = Each::create((0..nodes).map(path_in_fill), &ops::SMALL);
    load::run_all(pool, &mut source, FILLING.1)
}

/// Creates many nodes, then asks the server to end and starts it again on what it wrote.
pub(crate) fn fill(program: &Program, dir: &Path, nodes: usize) -> Result<Measures, Failure> {
    let server = Server::start(program, dir)?;
    let mut pool = Pool::with_sessions(&[server.addr], FILLING.0)?;
    let usage = Usage::begin(&[server.pid()])?;
    let began = Instant::now();
    let latency = fill_tree(&mut pool, nodes)?;
    let elapsed = began.elapsed();
    let mut measures = usage.end(latency.count())?;
    measures.insert(Metric::Rate, load::per_second(latency.count(), elapsed));
    put_latency(&mut measures, &latency);
    drop(pool);
    server.stop()?;

    let began = Instant::now();
    let server = Server::start(program, dir)?;
    let mut pool = Pool::with_sessions(&[server.addr], 1)?;
    let last = path_in_fill(nodes.saturating_sub(1));
    load::run_all(&mut pool, &mut Once(Some(last), String::new()), 1)?;
    measures.insert(Metric::Restart, began.elapsed().as_secs_f64() * 1e3);
    thread::sleep(SETTLE);
    let resident = proc::memory(server.pid())?.resident;
    measures.insert(Metric::RestartResident, float(resident) / 1e6);
    Ok(measures)
}

/// How long an empty server took to start, and what it weighs.
pub(crate) fn start(server: &Server, bytes: u64) -> Result<Measures, Failure> {
    let mut measures = Measures::new();
    measures.insert(Metric::Start, server.start_time.as_secs_f64() * 1e3);
    measures.insert(Metric::Installed, float(bytes) / 1e6);
    thread::sleep(SETTLE);
    load::put_memory(&mut measures, &[server.pid()])?;
    Ok(measures)
}

/// What doing nothing costs.
pub(crate) fn idle(server: &Server) -> Result<Measures, Failure> {
    thread::sleep(SETTLE);
    let cpu = proc::cpu_of_threads(server.pid())?;
    let began = Instant::now();
    thread::sleep(IDLE);
    let used = proc::cpu_of_threads(server.pid())?.saturating_sub(cpu);
    let mut measures = Measures::new();
    measures.insert(Metric::IdleCpu, percent(used, began.elapsed()));
    Ok(measures)
}

fn percent(part: Duration, whole: Duration) -> f64 {
    100.0 * part.as_secs_f64() / whole.as_secs_f64()
}
