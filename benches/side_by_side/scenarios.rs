//! One measurement: a fresh directory, a fresh server, what must be there before, and the load.

use crate::args::{Settings, System};
use crate::catalog::{Kind, Place, Scenario, Work};
use crate::driver::Pool;
use crate::ensemble::Ensemble;
use crate::error::{Context, Failure};
use crate::load::{self, Limits};
use crate::ops::{self, Each, Syncs};
use crate::report::Measures;
use crate::systems::{Program, Server};
use crate::{failover, fsync, large, locks, snapshots, watches};
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;

/// In flight while nodes are created before a measurement.
const PREPARING: usize = 16;
/// How many nodes per second of a scenario are made so that they can be deleted.
const DELETES_PER_SECOND: u64 = 20_000;
/// Files that a driver and a server need besides their connections.
const OTHER_FILES: usize = 200;

/// Whether a system can say anything about a scenario: the echo server about reads, the sync loop
/// about writes, each as a ceiling for one server.
pub(crate) fn applies(system: System, scenario: &Scenario) -> bool {
    let work = match scenario.kind {
        Kind::Closed { work, .. } if scenario.place == Place::Alone => Some(work),
        Kind::Closed { .. }
        | Kind::Open { .. }
        | Kind::Watches { .. }
        | Kind::Connect { .. }
        | Kind::Sessions { .. }
        | Kind::Reconnect { .. }
        | Kind::Snapshots { .. }
        | Kind::Locks { .. }
        | Kind::Failover
        | Kind::Fill { .. }
        | Kind::Start
        | Kind::Idle => None,
    };
    match system {
        System::Ours | System::Java => true,
        System::Echo | System::EchoSingle => work == Some(Work::Reads),
        System::Fsync => work == Some(Work::Writes),
    }
}

/// What serves during a measurement, and ends with it.
#[derive(Debug)]
enum Serving<'a> {
    Alone(Server),
    Together(Ensemble<'a>),
}

/// What is under load, and where.
#[derive(Debug)]
struct Target<'a> {
    serving: Serving<'a>,
    /// Where the clients go.
    addrs: Vec<SocketAddr>,
}

impl Target<'_> {
    /// All processes that serve.
    fn pids(&self) -> Vec<u32> {
        match &self.serving {
            Serving::Alone(server) => vec![server.pid()],
            Serving::Together(ensemble) => ensemble.pids(),
        }
    }
}

/// What a measurement is made with.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    /// How to start the system; the sync loop has nothing to start.
    pub(crate) program: &'a Program,
    /// Which system that is.
    pub(crate) system: System,
    /// For how long, and how large.
    pub(crate) settings: &'a Settings,
    /// Where directories are made.
    pub(crate) base: &'a Path,
    /// The limit on open files.
    pub(crate) open_files: u64,
}

impl Bench<'_> {
    /// Measures one scenario once.
    pub(crate) fn measure(&self, scenario: &Scenario) -> Result<Measures, Failure> {
        let dir = TempDir::new_in(self.base).context("making a data directory")?;
        match scenario.kind {
            Kind::Closed { conns, depth, .. } if self.system == System::Fsync => {
                fsync::measure(dir.path(), self.settings, conns * depth)
            }
            Kind::Closed { work, conns, depth } => {
                self.closed(dir.path(), scenario.place, (work, conns, depth))
            }
            Kind::Open { rate, conns } => self.open(dir.path(), scenario.place, rate, conns),
            Kind::Locks { contenders } => self.locks(dir.path(), scenario.place, contenders),
            Kind::Failover => self.failover(dir.path(), scenario.place),
            Kind::Watches {
                conns,
                nodes,
                sharing,
                depth,
            } => {
                let nodes = self.settings.scaled(nodes);
                let server = self.start(dir.path())?;
                let plan = watches::Plan {
                    conns,
                    nodes,
                    shared: sharing > 1,
                    depth,
                };
                watches::measure(&server, &plan, self.settings)
            }
            Kind::Connect { sessions } => {
                let sessions = self.sessions(sessions)?;
                large::connect(&self.start(dir.path())?, sessions)
            }
            Kind::Reconnect { sessions } => {
                let sessions = self.sessions(sessions)?;
                large::reconnect(self.program, dir.path(), sessions)
            }
            Kind::Snapshots { nodes, rate } => {
                let nodes = self.settings.scaled(nodes);
                snapshots::measure(self.program, dir.path(), (nodes, rate), &self.limits())
            }
            Kind::Sessions { sessions } => {
                let sessions = self.sessions(sessions)?;
                large::sessions(&self.start(dir.path())?, sessions, self.settings)
            }
            Kind::Fill { nodes } => {
                large::fill(self.program, dir.path(), self.settings.scaled(nodes))
            }
            Kind::Start => large::start(&self.start(dir.path())?, self.program.bytes),
            Kind::Idle => large::idle(&self.start(dir.path())?),
        }
    }

    fn start(&self, dir: &Path) -> Result<Server, Failure> {
        Server::start(self.program, dir)
    }

    /// So many sessions, if this machine lets us have them.
    fn sessions(&self, wanted: usize) -> Result<usize, Failure> {
        let sessions = self.settings.scaled(wanted);
        let needed = sessions + OTHER_FILES;
        if u64::try_from(needed).is_ok_and(|needed| needed > self.open_files) {
            return Err(Failure::OpenFiles {
                needed,
                limit: self.open_files,
            });
        }
        Ok(sessions)
    }

    fn limits(&self) -> Limits {
        Limits {
            warm: self.settings.warm,
            warm_replies: u64::MAX,
            measured: self.settings.seconds,
        }
    }

    fn target(&self, dir: &Path, place: Place) -> Result<Target<'_>, Failure> {
        let size = match place {
            Place::Alone => {
                let server = self.start(dir)?;
                let addrs = vec![server.addr];
                let serving = Serving::Alone(server);
                return Ok(Target { serving, addrs });
            }
            Place::Everywhere(size) | Place::AtLeader(size) | Place::AtFollower(size) => size,
        };
        let ensemble = Ensemble::start(self.program, dir, size)?;
        let mut addrs = ensemble.addrs()?;
        match place {
            Place::Alone | Place::Everywhere(_) => {}
            Place::AtLeader(_) => addrs.truncate(1),
            Place::AtFollower(_) => addrs = addrs.into_iter().skip(1).take(1).collect(),
        }
        let serving = Serving::Together(ensemble);
        Ok(Target { serving, addrs })
    }

    fn closed(
        &self,
        dir: &Path,
        place: Place,
        (work, conns, depth): (Work, usize, usize),
    ) -> Result<Measures, Failure> {
        let target = self.target(dir, place)?;
        let mut pool = Pool::with_sessions(&target.addrs, conns)?;
        let mut limits = self.limits();
        let mut deletes = 0;
        if work == Work::Deletes {
            let rounded_up = |time: std::time::Duration| time.as_secs() + 1;
            limits.warm_replies = DELETES_PER_SECOND * rounded_up(limits.warm);
            let all = limits.warm_replies + DELETES_PER_SECOND * rounded_up(limits.measured);
            deletes = usize::try_from(all).unwrap_or(usize::MAX) / conns;
        }
        // The echo server has no nodes; it answers reads as if it had.
        if matches!(self.system, System::Ours | System::Java) {
            for paths in ops::prepared_paths(work, conns, deletes) {
                create(&mut pool, paths, &ops::KILOBYTE)?;
            }
            load::run_all(&mut pool, &mut Syncs::new(conns), 1)?;
        }
        let mut source = ops::source(work, conns, deletes);
        load::closed(&mut pool, source.as_mut(), depth, &limits, &target.pids())
    }

    fn open(&self, dir: &Path, place: Place, rate: u32, conns: usize) -> Result<Measures, Failure> {
        let target = self.target(dir, place)?;
        let mut pool = Pool::with_sessions(&target.addrs, conns)?;
        for paths in ops::prepared_paths(Work::Mix(9), conns, 0) {
            create(&mut pool, paths, &ops::KILOBYTE)?;
        }
        load::run_all(&mut pool, &mut Syncs::new(conns), 1)?;
        let mut source = ops::source(Work::Mix(9), conns, 0);
        load::open(
            &mut pool,
            source.as_mut(),
            rate,
            &self.limits(),
            &target.pids(),
        )
    }

    fn locks(&self, dir: &Path, place: Place, contenders: usize) -> Result<Measures, Failure> {
        let target = self.target(dir, place)?;
        let mut pool = Pool::with_sessions(&target.addrs, contenders)?;
        locks::measure(&mut pool, &self.limits(), &target.pids())
    }

    fn failover(&self, dir: &Path, place: Place) -> Result<Measures, Failure> {
        match self.target(dir, place)?.serving {
            Serving::Together(mut ensemble) => failover::measure(&mut ensemble, self.settings.warm),
            Serving::Alone(_) => Err(Failure::Unavailable("a server alone has no failover")),
        }
    }
}

/// Creates nodes and waits for them. A list that begins with a parent is created one by one as far as
/// order matters: until a path that is no parent of the next.
pub(crate) fn create(pool: &mut Pool, paths: Vec<String>, data: &[u8]) -> Result<(), Failure> {
    let is_parent = |pair: &[String]| match pair {
        [parent, child] => child
            .strip_prefix(parent.as_str())
            .is_some_and(|rest| rest.starts_with('/')),
        _ => false,
    };
    let ordered = paths.windows(2).take_while(|pair| is_parent(pair)).count();
    let mut paths = paths.into_iter();
    for parent in paths.by_ref().take(ordered) {
        load::run_all(pool, &mut Each::create(std::iter::once(parent), data), 1)?;
    }
    load::run_all(pool, &mut Each::create(paths, data), PREPARING)?;
    Ok(())
}
