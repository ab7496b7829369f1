//! What snapshots do to those who ask meanwhile: the same open loop on the same nodes, first with none, then
//! with one every few seconds. The server is started anew in between, because that is how both systems are
//! told how often to take one.

use crate::catalog::Work;
use crate::driver::Pool;
use crate::error::{Context, Failure};
use crate::load::{self, Limits};
use crate::ops;
use crate::report::{Measures, Metric};
use crate::systems::{Program, Server};
use crate::{large, scenarios};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

const CONNS: usize = 64;
const NEVER: &str = "snapCount=1000000000\n";
/// A tenth of the load writes: at 5,000 per second that is a snapshot in two to four seconds.
const OFTEN: &str = "snapCount=2000\n";

/// Measures with and without.
pub(crate) fn measure(
    program: &Program,
    dir: &Path,
    (nodes, rate): (usize, u32),
    limits: &Limits,
) -> Result<Measures, Failure> {
    let server = Server::start_with(program, dir, NEVER)?;
    let mut pool = Pool::with_sessions(&[server.addr], CONNS)?;
    for paths in ops::prepared_paths(Work::Mix(9), CONNS, 0) {
        scenarios::create(&mut pool, paths, &ops::KILOBYTE)?;
    }
    large::fill_tree(&mut pool, nodes)?;
    let quiet = open_loop(&mut pool, &server, rate, limits)?;
    drop(pool);
    server.stop()?;

    let server = Server::start_with(program, dir, OFTEN)?;
    let mut pool = Pool::with_sessions(&[server.addr], CONNS)?;
    let before = snapshots(dir)?;
    let mut measures = open_loop(&mut pool, &server, rate, limits)?;
    if snapshots(dir)?.is_subset(&before) {
        return Err(Failure::Unavailable("no snapshot was taken meanwhile"));
    }
    for (metric, known_as) in [
        (Metric::P99, Metric::QuietP99),
        (Metric::P999, Metric::QuietP999),
    ] {
        if let Some(value) = quiet.get(&metric) {
            measures.insert(known_as, *value);
        }
    }
    Ok(measures)
}

fn open_loop(
    pool: &mut Pool,
    server: &Server,
    rate: u32,
    limits: &Limits,
) -> Result<Measures, Failure> {
    let mut source = ops::source(Work::Mix(9), CONNS, 0);
    load::open(pool, source.as_mut(), rate, limits, &[server.pid()])
}

/// The names of the snapshots on the disk.
fn snapshots(dir: &Path) -> Result<BTreeSet<OsString>, Failure> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(dir.join("data/version-2")).context("listing the snapshots")? {
        let name = entry.context("listing the snapshots")?.file_name();
        if name.to_string_lossy().starts_with("snapshot.") {
            names.insert(name);
        }
    }
    Ok(names)
}
