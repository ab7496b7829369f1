//! A day in the life of a session: 24 hours of virtual time, in seconds, with everything a network does to it drawn
//! from a seed. The session is the real one; the servers are a model ([`model`]), and every answer is held against
//! it ([`checks`]).
//!
//! What the day has: servers that lag, and servers that are cut off from their leader and answer pings all the same,
//! so that only what the leader has said proves that the session lives; transactions with several events, of which a
//! cut connection tells some; connections nobody hears the end of; a machine that is suspended; calls that time out;
//! watchers that are dropped and come again; a server that gives another session where the one asked for is over; and
//! an evening without faults, after which every watch has heard of a change.
//!
//! Time hops from one event to the next. A seed repeats the day bit for bit: the hash over all that was said and
//! decided is the same.

mod checks;
mod faults;
mod model;
mod network;
mod work;

use super::{OnExpiry, Session, Settings};
use crate::clock::Time;
use crate::hosts::Chance;
use bytes::Bytes;
use checks::{Asked, Counts, Ledger};
use model::{Author, Door, Ensemble, PATHS, SERVERS};
use network::Link;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;
use work::Waiter;
use zk_proto::{Request, SessionId};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// Without faults, before the day is judged.
const EVENING: Duration = Duration::from_secs(120);

#[derive(Debug)]
enum Event {
    ToServer(u64, Bytes),
    ToClient(u64, Bytes),
    /// The server has closed the connection, behind what it sent.
    Closed(u64),
    Connect,
    Work,
    Others,
    Apply(usize),
    Expire,
    Fault,
    /// The client's machine sees its connection end.
    Cut,
}

struct World {
    now: Time,
    chance: Chance,
    agenda: BTreeMap<(Time, u64), Event>,
    next_event: u64,
    session: Session<Waiter>,
    link: Option<Link>,
    links: u64,
    door: Option<Door>,
    ensemble: Ensemble,
    ledger: Ledger,
    next_call: u64,
    next_watcher: u64,
    /// No server takes connections until then.
    closed_until: Time,
    /// The client's machine is suspended until then.
    asleep_until: Time,
    evening: bool,
    hash: u64,
    /// The session the client was told to have.
    told: SessionId,
    /// How many it was told to have lost.
    lost: u64,
    /// When the session last looked at the time, and how often again.
    looked_at: Time,
    looks: u32,
    expired: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let settings = Settings {
            timeout: SESSION_TIMEOUT,
            connect_timeout: Duration::from_secs(1),
            read_only: false,
            max_in_flight: 16,
            max_in_flight_bytes: 1 << 16,
            read_retries: 5,
            on_expiry: OnExpiry::Renew,
            prove_alive: seed.is_multiple_of(2),
            give_up_after: None,
        };
        let mut world = Self {
            now: Time::default(),
            chance: Chance::seeded(seed),
            agenda: BTreeMap::new(),
            next_event: 0,
            session: Session::new(settings, None, Time::default()),
            link: None,
            links: 0,
            door: None,
            ensemble: Ensemble::new(),
            ledger: Ledger::default(),
            next_call: 1,
            next_watcher: 1,
            closed_until: Time::default(),
            asleep_until: Time::default(),
            evening: false,
            hash: 0xcbf2_9ce4_8422_2325,
            told: SessionId::NONE,
            lost: 0,
            looked_at: Time::default(),
            looks: 0,
            expired: 0,
        };
        for event in [
            Event::Connect,
            Event::Work,
            Event::Others,
            Event::Expire,
            Event::Fault,
        ] {
            world.later(1000, event);
        }
        for server in 0..SERVERS {
            world.later(1000, Event::Apply(server));
        }
        world
    }

    fn millis(&mut self, below: u64) -> Duration {
        Duration::from_micros(self.chance.number() % (below * 1000))
    }

    fn at(&mut self, time: Time, event: Event) {
        self.next_event += 1;
        self.agenda.insert((time, self.next_event), event);
    }

    /// At a random time within so many milliseconds.
    fn later(&mut self, millis: u64, event: Event) {
        let time = self.now + self.millis(millis);
        self.at(time, event);
    }

    /// Everything that is said or decided goes into the hash (FNV-1a).
    fn note(&mut self, what: &dyn Debug) {
        for byte in format!("{} {what:?}", self.now).bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn run(&mut self, until: Time) {
        while let Some((&(time, number), _)) = self.agenda.first_key_value() {
            let deadline = self
                .session
                .deadline()
                .map(|due| due.max(self.asleep_until).max(self.now));
            let next = deadline.map_or(time, |due| due.min(time));
            if next > until {
                break;
            }
            self.now = next;
            if next < time {
                self.step(Session::on_time);
                self.looks = if self.looked_at == self.now {
                    self.looks + 1
                } else {
                    0
                };
                self.looked_at = self.now;
                assert!(self.looks < 8, "the time was looked at, and is due still");
                self.ledger.check_deadlines(self.now);
            } else if let Some(event) = self.agenda.remove(&(time, number)) {
                self.on_event(event);
            }
        }
        self.now = until;
    }

    fn on_event(&mut self, event: Event) {
        let asleep = self.now < self.asleep_until;
        match event {
            // A machine that is suspended finds what has arrived when it wakes, in its order.
            Event::ToClient(..) | Event::Closed(_) | Event::Connect | Event::Work if asleep => {
                self.at(self.asleep_until, event);
            }
            Event::ToServer(number, frame) => self.on_server(number, &frame),
            Event::ToClient(number, frame) => self.on_client(number, &frame),
            Event::Closed(number) => {
                if self.link.as_ref().is_some_and(|link| link.number == number) {
                    self.hang_up();
                }
            }
            Event::Connect => self.connect(),
            Event::Work => self.work(),
            Event::Others => {
                self.others();
                self.later(if self.evening { 1000 } else { 8000 }, Event::Others);
            }
            Event::Apply(server) => {
                let behind = if self.evening {
                    0
                } else {
                    self.chance.below(4)
                };
                let through = self.ensemble.log.end() - i64::try_from(behind).unwrap();
                self.apply(server, through);
                self.later(2000, Event::Apply(server));
            }
            Event::Expire => self.expire(),
            Event::Fault => self.fault(),
            Event::Cut => self.hang_up(),
        }
    }

    /// Somebody else changes a node, or two neighbours at once.
    fn others(&mut self) {
        let path = self.chance.below(PATHS.len());
        let both = [path, (path + 1) % PATHS.len()];
        let changed = &both[..=self.chance.below(2)];
        self.ensemble.log.append(changed, Author::Other);
    }

    fn expire(&mut self) {
        for id in self.ensemble.expire(self.now) {
            self.expired += 1;
            if self.session.id() == SessionId::from_wire(id) {
                let certain = self.session.alive_until();
                let certain = certain.unwrap_or_default();
                assert!(
                    certain <= self.now,
                    "{id} is over at {}, said alive until {certain}",
                    self.now
                );
            }
        }
        self.later(1000, Event::Expire);
    }

    /// The last hours without faults, and a change of every node: everyone hears of it.
    fn end(&mut self) {
        self.evening = true;
        self.run(self.now + EVENING);
        let before = self.ensemble.log.end();
        for path in 0..PATHS.len() {
            self.ensemble.log.append(&[path], Author::Other);
        }
        self.agenda.retain(|_, event| !matches!(event, Event::Work));
        for path in PATHS {
            self.call(&Request::Sync { path: path.into() }, Asked::Sync, None);
        }
        self.run(self.now + EVENING);
        assert!(self.ledger.is_settled(), "every call is answered");
        assert_eq!(
            self.ledger.deaf(before),
            0,
            "P12: a watch is neither armed nor fired"
        );
        self.ledger.close(&self.ensemble.log);
    }
}

/// What a day comes down to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Day {
    hash: u64,
    counts: Counts,
    connections: u64,
    expired: u64,
    changes: i64,
}

fn live(seed: u64, length: Duration) -> Day {
    let mut world = World::new(seed);
    world.run(Time::since_start(length));
    world.end();
    Day {
        hash: world.hash,
        counts: world.ledger.counts.clone(),
        connections: world.links,
        expired: world.expired,
        changes: world.ensemble.log.end(),
    }
}

#[test]
fn a_day_of_faults_breaks_no_promise_and_is_repeated_by_its_seed() {
    let seed = 1;
    let day = live(seed, DAY);
    println!("seed {seed}: {day:?}");
    let Counts {
        answers,
        unknown,
        not_applied,
        events,
        gaps,
        lost_watches,
    } = day.counts;
    for (count, least) in [
        (answers, 20_000),
        (unknown, 50),
        (not_applied, 20),
        (events, 5000),
        (gaps, 100),
        (lost_watches, 10),
        (day.connections, 500),
        (day.expired, 10),
    ] {
        assert!(count >= least, "a day in which too little happens: {day:?}");
    }
    assert_eq!(live(seed, DAY), day, "a seed is a day");
}

#[test]
fn many_short_days_break_no_promise() {
    let days: Vec<_> = (100..112).map(|seed| live(seed, DAY / 24)).collect();
    let hashes: std::collections::BTreeSet<_> = days.iter().map(|day| day.hash).collect();
    assert_eq!(hashes.len(), days.len(), "each seed is a day of its own");
}
