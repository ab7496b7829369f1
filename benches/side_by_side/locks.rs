//! Lock cycles as every client library makes them: an ephemeral sequential node, a look at the others, a watch
//! on the one before, and the delete that hands the lock on. All contenders want the lock all the time, each
//! through a connection of its own, so that a cycle's price is the ensemble's and not the clients'.

use crate::conn::{Answer, Conn, Load};
use crate::driver::Pool;
use crate::error::Failure;
use crate::load::{self, Limits, Usage};
use crate::report::{Measures, Metric, put_latency};
use crate::scenarios;
use crate::stats::Histogram;
use std::borrow::Cow;
use std::time::{Duration, Instant};
use zk_proto::jute::Reader;
use zk_proto::{
    Create, CreateMode, DecodeError, ErrorCode, OpCode, Perms, Request, WatchEvent, WireAcl,
};

const QUEUE: &str = "/bench/locks";
const PREFIX: &str = "/bench/locks/lock-";

/// How far a contender has come.
#[derive(Debug)]
enum Stage {
    /// Asks for its place in the queue.
    Queueing,
    /// Looks who is before it; so after each time that the one before has gone.
    Looking { own: String },
    /// Asks to be told when the one before goes.
    Watching { own: String, before: String },
    /// Waits for that.
    Waiting { own: String, before: String },
    /// Has the lock and gives it back.
    Releasing { own: String },
}

#[derive(Debug)]
struct Contender {
    stage: Stage,
    /// Whether the stage's question has been put.
    asked: bool,
    /// When it began to want the lock.
    since: Instant,
}

#[derive(Debug)]
struct Locks {
    contenders: Vec<Contender>,
    /// Nobody begins another cycle.
    ended: bool,
    cycles: u64,
    /// From wanting the lock to having it.
    latency: Histogram,
    /// What no right server answers.
    wrong: Option<Failure>,
}

impl Locks {
    fn new(contenders: usize) -> Self {
        let begin = || Contender {
            stage: Stage::Queueing,
            asked: false,
            since: Instant::now(),
        };
        Self {
            contenders: std::iter::repeat_with(begin).take(contenders).collect(),
            ended: false,
            cycles: 0,
            latency: Histogram::new(),
            wrong: None,
        }
    }

    fn run(&mut self, pool: &mut Pool, until: Instant) -> Result<(), Failure> {
        while Instant::now() < until {
            pool.turn(until.saturating_duration_since(Instant::now()), self)?;
            if let Some(wrong) = self.wrong.take() {
                return Err(wrong);
            }
        }
        Ok(())
    }

    fn take(&mut self, answer: Answer<'_>, now: Instant) -> Result<(), Failure> {
        let Some(contender) = self.contenders.get_mut(answer.conn) else {
            return Ok(());
        };
        let stage = std::mem::replace(&mut contender.stage, Stage::Queueing);
        contender.asked = false;
        contender.stage = match stage {
            Stage::Queueing => Stage::Looking {
                own: made(success(answer)?)?,
            },
            Stage::Looking { own } => match before(&own, success(answer)?)? {
                Some(before) => Stage::Watching { own, before },
                None => {
                    self.latency.record(now - contender.since);
                    Stage::Releasing { own }
                }
            },
            Stage::Watching { own, before } => match answer.err {
                0 => Stage::Waiting { own, before },
                // It went before it could be watched.
                _ if ErrorCode::from_wire(answer.err) == Some(ErrorCode::NoNode) => {
                    Stage::Looking { own }
                }
                err => return Err(Failure::Refused { xid: 0, err }),
            },
            Stage::Releasing { .. } => {
                success(answer)?;
                self.cycles += 1;
                contender.since = now;
                Stage::Queueing
            }
            waiting @ Stage::Waiting { .. } => waiting,
        };
        Ok(())
    }
}

impl Load for Locks {
    fn on_reply(&mut self, _since: Instant, _now: Instant) {}

    fn on_answer(&mut self, answer: Answer<'_>, now: Instant) {
        if let Err(wrong) = self.take(answer, now) {
            self.wrong = Some(wrong);
        }
    }

    fn on_event(&mut self, conn: usize, event: WatchEvent, _now: Instant) {
        if let Some(contender) = self.contenders.get_mut(conn)
            && let Stage::Waiting { own, before } = &contender.stage
            && *before == event.path
        {
            let own = own.clone();
            contender.stage = Stage::Looking { own };
        }
    }

    fn refill(&mut self, conn: &mut Conn) {
        let Some(contender) = self.contenders.get_mut(conn.index) else {
            return;
        };
        if contender.asked || (self.ended && matches!(contender.stage, Stage::Queueing)) {
            return;
        }
        let request = match &contender.stage {
            Stage::Queueing => queue(),
            Stage::Looking { .. } => Request::GetChildren {
                path: Cow::Borrowed(QUEUE),
                watch: false,
            },
            Stage::Watching { before, .. } => Request::Exists {
                path: Cow::Borrowed(before),
                watch: true,
            },
            Stage::Releasing { own } => Request::Delete {
                path: Cow::Borrowed(own),
                version: -1,
            },
            Stage::Waiting { .. } => return,
        };
        conn.ask_for_answer(&request, Instant::now());
        contender.asked = true;
    }
}

fn queue() -> Request<'static> {
    Request::Create(Create {
        op: OpCode::Create,
        path: Cow::Borrowed(PREFIX),
        data: Some(&[]),
        acl: Some(vec![WireAcl {
            perms: Perms::ALL,
            scheme: Some(Cow::Borrowed("world")),
            id: Some(Cow::Borrowed("anyone")),
        }]),
        flags: CreateMode::EphemeralSequential.to_flags(),
        ttl: -1,
    })
}

fn success(answer: Answer<'_>) -> Result<&[u8], Failure> {
    match answer.err {
        0 => Ok(answer.body),
        err => Err(Failure::Refused { xid: 0, err }),
    }
}

/// The path of the node that was created.
fn made(body: &[u8]) -> Result<String, DecodeError> {
    Ok(Reader::new(body).string()?.into_owned())
}

/// The one that is before a node in the queue. The names differ in their numbers only, which have leading zeros.
fn before(own: &str, body: &[u8]) -> Result<Option<String>, Failure> {
    let children = Reader::new(body).strings()?;
    let own = own.rsplit('/').next().unwrap_or_default();
    if !children.iter().any(|child| child == own) {
        return Err(Failure::Unavailable("an ephemeral node is gone too early"));
    }
    let earlier = children.iter().filter(|child| child.as_ref() < own);
    Ok(earlier.max().map(|child| format!("{QUEUE}/{child}")))
}

/// Measures cycles of so many contenders, spread over these servers.
pub(crate) fn measure(pool: &mut Pool, limits: &Limits, pids: &[u32]) -> Result<Measures, Failure> {
    let parents = ["/bench", QUEUE].map(str::to_owned).to_vec();
    scenarios::create(pool, parents, &[])?;
    let mut locks = Locks::new(pool.conns.len());
    pool.kick(&mut locks)?;
    load::warm_up(limits, |until| {
        locks.run(pool, until)?;
        Ok((locks.cycles, true))
    })?;

    locks.cycles = 0;
    locks.latency = Histogram::new();
    let usage = Usage::begin(pids)?;
    let began = Instant::now();
    locks.run(pool, began + limits.measured)?;
    let (cycles, elapsed) = (locks.cycles, began.elapsed());
    let mut measures = usage.end(cycles)?;
    measures.insert(Metric::Rate, load::per_second(cycles, elapsed));
    put_latency(&mut measures, &locks.latency);

    locks.ended = true;
    let is_out =
        |contender: &Contender| matches!(contender.stage, Stage::Queueing) && !contender.asked;
    let began = Instant::now();
    while !locks.contenders.iter().all(is_out) {
        locks.run(pool, Instant::now() + Duration::from_millis(20))?;
        if began.elapsed() > crate::driver::PATIENCE {
            let missing = locks.contenders.iter().filter(|one| !is_out(one)).count();
            return Err(Failure::Stuck {
                what: "turns at the lock",
                missing,
            });
        }
    }
    Ok(measures)
}
