//! What each step of a script does.

use super::{ADMIN, CLOSING, Difference, GUEST, Heard, Kind, Rig, Seen};
use crate::decisions::Accepted;
use crate::normalise::Lens;
use crate::script::{Ask, Hello, Pace, Step, home};
use crate::wire::{Conn, Got, four_letters};
use std::time::{Duration, Instant};
use zk_proto::Request;

/// How long a session of the shortest timeout may take to disappear.
const EXPIRY: Duration = Duration::from_secs(15);

type Outcome = Result<(), Difference>;

impl Rig {
    /// Does one step to both servers.
    pub(crate) fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Send { slot, asks, pace } => self.send(*slot, asks, *pace),
            Step::Together { bursts } => {
                self.blur(true);
                let outcome = self.together(bursts);
                self.blur(false);
                outcome
            }
            Step::Connect {
                slot,
                hello,
                asks,
                pace,
            } => self.connect(*slot, *hello, asks, *pace),
            Step::Raw { slot, bytes } => self.raw(*slot, bytes),
            Step::RawHello { bytes } => self.raw_hello(bytes),
            Step::Hangup { slot } => {
                self.flush(*slot)?;
                self.drop_conn(*slot);
                Ok(())
            }
            Step::Expire {
                timeout,
                asks,
                hangup,
            } => self.expire(*timeout, asks, *hangup),
            Step::Forbidden { ask } => self.forbidden(ask),
            Step::AwaitWrites { slot, writes } => {
                self.await_writes(self.sides().map(|side| side.lens.last + writes - 1));
                self.flush(*slot)
            }
            Step::Word(word) => self.word(word),
            Step::Prune => self.prune(),
            Step::Compare => self.compare_trees(),
        }
    }

    fn send(&mut self, slot: usize, asks: &[Ask], pace: Pace) -> Outcome {
        if !self.is_open(slot) {
            let (hello, auth) = home(slot);
            self.open(slot, hello, &auth, Pace::Whole)?;
        }
        self.exchange(slot, asks, pace).map(drop)
    }

    fn blur(&mut self, blurred: bool) {
        for side in self.each() {
            side.lens.blurred = blurred;
        }
    }

    fn together(&mut self, bursts: &[Vec<Ask>]) -> Outcome {
        for slot in 0..bursts.len() {
            self.send(slot, &[Ask::new(-2, &Request::Ping)], Pace::Whole)?;
        }
        for side in self.each() {
            for (slot, asks) in bursts.iter().enumerate() {
                let bytes = side.packet(asks);
                side.send(slot, &bytes, Pace::Whole);
            }
        }
        for (slot, asks) in bursts.iter().enumerate() {
            let heard = self.each().map(|side| side.answers(slot, false, asks));
            self.compare(slot, asks, heard)?;
        }
        // What only listens has been told everything by now.
        (0..bursts.len()).try_for_each(|slot| self.flush(slot))
    }

    fn connect(&mut self, slot: usize, hello: Hello, asks: &[Ask], pace: Pace) -> Outcome {
        self.flush(slot)?;
        self.drop_conn(slot);
        let known = self.oracle.sessions.len();
        let target = hello
            .again
            .filter(|_| known > 1)
            .map(|nth| known - 1 - nth % (known - 1));
        let holder = target.and_then(|target| self.holds.iter().position(|h| *h == Some(target)));
        if holder == Some(ADMIN) {
            return Ok(());
        }
        self.open(slot, hello, asks, pace)?;
        // Whoever held the session until now is cut off, even if the password was wrong.
        match holder {
            Some(holder) => self.expect_end(holder),
            None => Ok(()),
        }
    }

    /// Reads all that is still on its way to a connection.
    fn flush(&mut self, slot: usize) -> Outcome {
        if !self.is_open(slot) {
            return Ok(());
        }
        self.exchange(slot, &[Ask::new(-2, &Request::Ping)], Pace::Whole)
            .map(drop)
    }

    /// Reads all that is still on its way to every connection.
    pub(crate) fn flush_all(&mut self) -> Outcome {
        (0..=ADMIN).try_for_each(|slot| self.flush(slot))
    }

    fn expect_end(&mut self, slot: usize) -> Outcome {
        let heard = self.each().map(|side| {
            let mut heard = Vec::new();
            side.rest(slot, CLOSING, &mut heard);
            heard
        });
        self.compare(slot, &[], heard).map(drop)
    }

    fn raw(&mut self, slot: usize, bytes: &[u8]) -> Outcome {
        self.flush(slot)?;
        if !self.is_open(slot) {
            return Ok(());
        }
        for side in self.each() {
            side.send(slot, bytes, Pace::Whole);
        }
        self.expect_end(slot)
    }

    fn raw_hello(&mut self, bytes: &[u8]) -> Outcome {
        for side in self.each() {
            side.conns[GUEST] = Conn::open(side.server.addr).ok();
            side.send(GUEST, bytes, Pace::Whole);
        }
        self.expect_end(GUEST)
    }

    /// The session's end is the only write between two pings, whenever it comes.
    fn expire(&mut self, timeout: i32, asks: &[Ask], hangup: bool) -> Outcome {
        let hello = Hello::new(timeout, Some(false));
        self.open(GUEST, hello, asks, Pace::Whole)?;
        self.holds[GUEST] = None;
        if !self.is_open(GUEST) {
            return Ok(());
        }
        let before = self.ping_admin()?;
        if hangup {
            self.drop_conn(GUEST);
        }
        self.await_writes(before);
        for (side, before) in self.each().into_iter().zip(before) {
            side.lens.add_end(before + 1);
        }
        if !hangup {
            self.expect_end(GUEST)?;
        }
        self.ping_admin().map(drop)
    }

    /// Waits until each server has gone beyond a zxid (raw). Nobody asks it to: it does so by itself.
    fn await_writes(&mut self, before: [i64; 2]) {
        let deadline = Instant::now() + EXPIRY;
        for (side, before) in self.each().into_iter().zip(before) {
            while side.ping(ADMIN) <= before && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// The last zxid of each server, raw.
    fn ping_admin(&mut self) -> Result<[i64; 2], Difference> {
        self.flush(ADMIN)?;
        Ok(self.sides().map(|side| side.lens.last))
    }

    fn forbidden(&mut self, ask: &Ask) -> Outcome {
        let hello = Hello::new(3_600_000, Some(false));
        self.open(GUEST, hello, &[], Pace::Whole)?;
        self.holds[GUEST] = None;
        let asks = [ask.clone(), Ask::new(-2, &Request::Ping)];
        let heard = self.each().map(|side| {
            let bytes = side.packet(&asks);
            side.send(GUEST, &bytes, Pace::Whole);
            side.until_ping(GUEST)
        });
        let marks = heard
            .each_ref()
            .map(|list| list.iter().map(Heard::outline).collect::<Vec<_>>());
        if marks[0] != marks[1] {
            self.decisions.count(Accepted::ServerOnlyOp);
        }
        self.drop_conn(GUEST);
        let zxids = self.each().map(|side| side.ping(ADMIN));
        self.align_quietly(zxids);
        Ok(())
    }

    fn align_quietly(&mut self, [oracle, subject]: [i64; 2]) {
        if self.oracle.lens.zxid(oracle) != self.subject.lens.zxid(subject) {
            self.align(oracle, subject);
        }
    }

    /// After a difference that is not the end: zxids count as equal again.
    pub(super) fn realign(&mut self) {
        let zxids = self.each().map(|side| side.ping(ADMIN));
        self.align_quietly(zxids);
    }

    fn word(&mut self, word: &'static str) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(3);
        loop {
            let said = self.each().map(|side| {
                let text = four_letters(side.server.addr, word);
                text.map_or(Seen::Open, |text| {
                    Seen::Text(outline(word, &text, &side.lens))
                })
            });
            if said[0] == said[1] {
                self.compared += 1;
                if word == "wchs" {
                    self.decisions.count(Accepted::WatchingConnections);
                }
                return Ok(());
            }
            // Connections that were cut off are noticed by each server in its own time.
            if Instant::now() > deadline {
                return Err(Difference {
                    signature: format!("the word {word:?}"),
                    detail: format!("{:#?}", said),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl super::Side {
    /// The zxid that a ping is answered with, raw. Events are for a later look, so there must be none.
    fn ping(&mut self, slot: usize) -> i64 {
        let bytes = self.packet(&[Ask::new(-2, &Request::Ping)]);
        self.send(slot, &bytes, Pace::Whole);
        if let Got::Frame(raw) = self.hear(slot, super::PATIENCE) {
            let heard = Heard {
                raw,
                kind: Kind::Event,
            };
            self.read(&heard);
        }
        self.lens.last
    }

    fn until_ping(&mut self, slot: usize) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            match self.hear(slot, Duration::from_secs(2)) {
                Got::Frame(raw) if raw.starts_with(&(-2_i32).to_be_bytes()) => return heard,
                Got::Frame(raw) => heard.push(Heard {
                    raw,
                    kind: Kind::Answer(0),
                }),
                Got::Closed => {
                    heard.push(Heard::mark(Kind::Closed));
                    return heard;
                }
                Got::Silence => {
                    heard.push(Heard::mark(Kind::Silence));
                    return heard;
                }
            }
        }
    }
}

impl Heard {
    /// What is comparable without a lens: the kind and the error.
    fn outline(&self) -> (Kind, Option<i32>) {
        let err = super::header(&self.raw).map(|(_, err)| err);
        // The answer to createSession has no header: its session id is not an error.
        (self.kind, err.filter(|err| (-200..=0).contains(err)))
    }
}

/// The parts of an answer to a four-letter word that both servers owe.
fn outline(word: &str, text: &str, lens: &Lens) -> String {
    match word {
        "srvr" => text
            .lines()
            .map(|line| {
                let (key, value) = line.split_once(": ").unwrap_or((line, ""));
                match key {
                    "Zxid" => {
                        let raw = i64::from_str_radix(value.trim_start_matches("0x"), 16);
                        format!("{key}: {}\n", raw.map_or(-7, |raw| lens.zxid(raw)))
                    }
                    "Mode" | "Node count" => format!("{key}: {value}\n"),
                    _ => format!("{key}\n"),
                }
            })
            .collect(),
        "stat" => text
            .lines()
            .filter(|line| !line.starts_with(' '))
            .map(|line| format!("{}\n", line.split(':').next().unwrap_or("")))
            .collect(),
        "conf" => text
            .lines()
            .map(|line| format!("{}\n", line.split('=').next().unwrap_or("")))
            .collect(),
        // How many connections wait is not compared (see decisions.rs).
        "wchs" => text
            .split_once(" connections ")
            .map_or_else(|| text.to_owned(), |(_, rest)| rest.to_owned()),
        _ => text.to_owned(),
    }
}
