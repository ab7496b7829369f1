//! Watch fan-out: watches are set, then every watched node is changed, and it is measured how long
//! after a change its watchers know. Setting the watches is not part of it.

use crate::args::Settings;
use crate::conn::{Conn, Load};
use crate::driver::{PATIENCE, Pool};
use crate::error::Failure;
use crate::load::{self, Usage};
use crate::ops::{self, SetWatches};
use crate::report::{Measures, Metric, put_latency};
use crate::scenarios;
use crate::stats::Histogram;
use crate::systems::Server;
use std::time::{Duration, Instant};
use zk_proto::WatchEvent;

/// In flight while watches are set.
const SETTING: usize = 16;

/// Who watches what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many connections watch.
    pub(crate) conns: usize,
    /// How many nodes are watched.
    pub(crate) nodes: usize,
    /// Whether every connection watches every node, instead of its share.
    pub(crate) shared: bool,
    /// How many changes are in flight.
    pub(crate) depth: usize,
}

impl Plan {
    fn events(&self) -> usize {
        self.nodes * if self.shared { self.conns } else { 1 }
    }
}

struct FanOut<'a> {
    paths: &'a [String],
    depth: usize,
    /// The connection that changes the nodes and watches none.
    writer: usize,
    changed: Vec<Instant>,
    events: usize,
    last: Instant,
    latency: &'a mut Histogram,
}

impl Load for FanOut<'_> {
    fn on_reply(&mut self, _since: Instant, _now: Instant) {}

    fn on_event(&mut self, _conn: usize, event: WatchEvent, now: Instant) {
        let number = event
            .path
            .rsplit_once('/')
            .and_then(|(_, name)| name.parse::<usize>().ok());
        if let Some(changed) = number.and_then(|number| self.changed.get(number)) {
            self.events += 1;
            self.latency.record(now - *changed);
            self.last = now;
        }
    }

    fn refill(&mut self, conn: &mut Conn) {
        if conn.index != self.writer {
            return;
        }
        while conn.in_flight() < self.depth {
            let Some(path) = self.paths.get(self.changed.len()) else {
                return;
            };
            let now = Instant::now();
            let (request, body) = ops::change(path);
            conn.ask(&request, body, now);
            self.changed.push(now);
        }
    }
}

/// Rounds of setting and firing until the time is over, the warm-up's rounds not counted.
pub(crate) fn measure(
    server: &Server,
    plan: &Plan,
    settings: &Settings,
) -> Result<Measures, Failure> {
    let paths: Vec<String> = (0..plan.nodes)
        .map(|number| format!("/watched/{number}"))
        .collect();
    let mut pool = Pool::with_sessions(&[server.addr], plan.conns + 1)?;
    scenarios::create(&mut pool, vec!["/watched".to_owned()], &ops::SMALL)?;
    scenarios::create(&mut pool, paths.clone(), &ops::KILOBYTE)?;

    let warm_until = Instant::now() + settings.warm;
    while Instant::now() < warm_until {
        round(&mut pool, plan, &paths, &mut Histogram::new())?;
    }
    let (mut latency, mut firing) = (Histogram::new(), Duration::ZERO);
    let mut used = [Duration::ZERO; 2];
    let until = Instant::now() + settings.seconds;
    while latency.count() == 0 || Instant::now() < until {
        set(&mut pool, plan, &paths)?;
        let usage = Usage::begin(&[server.pid()])?;
        firing += fire(&mut pool, plan, &paths, &mut latency)?;
        for (sum, part) in used.iter_mut().zip(usage.so_far()?) {
            *sum += part;
        }
    }
    let mut measures = Usage::per_operation(used, latency.count());
    load::put_memory(&mut measures, &[server.pid()])?;
    measures.insert(Metric::Rate, load::per_second(latency.count(), firing));
    put_latency(&mut measures, &latency);
    Ok(measures)
}

fn round(
    pool: &mut Pool,
    plan: &Plan,
    paths: &[String],
    latency: &mut Histogram,
) -> Result<(), Failure> {
    set(pool, plan, paths)?;
    fire(pool, plan, paths, latency)?;
    Ok(())
}

fn set(pool: &mut Pool, plan: &Plan, paths: &[String]) -> Result<(), Failure> {
    let mut watches = SetWatches::new(paths.to_vec(), plan.conns, plan.shared);
    let latency = load::run_all(pool, &mut watches, SETTING)?;
    assert_eq!(
        latency.count(),
        u64::try_from(plan.events()).unwrap_or(0),
        "every watch was set"
    );
    Ok(())
}

/// Changes every node once; the time from the first change to the last event.
fn fire(
    pool: &mut Pool,
    plan: &Plan,
    paths: &[String],
    latency: &mut Histogram,
) -> Result<Duration, Failure> {
    let began = Instant::now();
    let mut load = FanOut {
        paths,
        depth: plan.depth,
        writer: plan.conns,
        changed: Vec::with_capacity(paths.len()),
        events: 0,
        last: began,
        latency,
    };
    pool.kick(&mut load)?;
    while load.events < plan.events() {
        pool.turn(Duration::from_millis(100), &mut load)?;
        if began.elapsed() > PATIENCE {
            return Err(Failure::Stuck {
                what: "events",
                missing: plan.events() - load.events,
            });
        }
    }
    pool.drain(&mut load)?;
    Ok(load.last - began)
}
