//! Which answers a run has met: operation by error, and events by type. A long run that misses an
//! expected cell has lost its teeth and fails.

use crate::normalise::Seen;
use std::collections::BTreeMap;
use zk_proto::{ErrorCode, MultiResult, OpCode, Reply};

/// Requests from which on every expected cell must be met.
pub(crate) const ENOUGH: usize = 50_000;

/// Counts of answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    answers: BTreeMap<(i32, i32), usize>,
    /// Codes inside failed multis (and multiReads).
    parts: BTreeMap<i32, usize>,
    events: BTreeMap<i32, usize>,
    sessions: BTreeMap<&'static str, usize>,
}

/// Every error that a single server can be brought to answer, by operation.
const EXPECTED: [(i32, &[i32]); 33] = [
    (1, &[0, -5, -6, -8, -101, -102, -108, -110, -114, -125]),
    (15, &[0, -5, -6, -8, -101, -102, -108, -110, -114, -125]),
    (19, &[0, -5, -8, -101, -102, -108, -110, -114, -125]),
    (21, &[0, -5, -6, -8, -101, -102, -108, -110, -114, -125]),
    (2, &[0, -5, -8, -101, -102, -103, -111]),
    (3, &[0, -5, -8, -101, -102]),
    (4, &[0, -5, -101, -102]),
    (5, &[0, -5, -8, -101, -102, -103, -125]),
    (6, &[0, -5, -101, -102]),
    (7, &[0, -5, -8, -101, -102, -103, -114]),
    (8, &[0, -5, -101, -102]),
    (9, &[0, -5]),
    (11, &[0]),
    (12, &[0, -5, -101, -102]),
    (13, &[-6]),
    (14, &[0, -5]),
    (16, &[-6, -123]),
    (17, &[0, -5, -121]),
    (18, &[0, -5, -121]),
    (22, &[0, -5]),
    (100, &[0, -115]),
    (101, &[0, -5]),
    (102, &[0]),
    (103, &[0, -5]),
    (104, &[0, -5, -101, -102]),
    (105, &[0, -5]),
    (106, &[0, -5]),
    (107, &[0]),
    (-11, &[0]),
    (0, &[-6]),
    (10, &[-6]),
    (99, &[-6]),
    (108, &[-6]),
];

const EXPECTED_PARTS: [i32; 11] = [0, -2, -8, -101, -102, -103, -108, -110, -111, -114, -125];

const EXPECTED_SESSIONS: [&str; 6] = [
    "new",
    "refused",
    "closed",
    "without readOnly",
    "clamped",
    "with Java's password",
];

impl Coverage {
    pub(crate) fn note(&mut self, op: Option<i32>, seen: &Seen) {
        match (seen, op) {
            (Seen::Reply { err, body, .. }, Some(op)) => {
                *self.answers.entry((op, *err)).or_default() += 1;
                if let Reply::Multi(results) = body {
                    for result in results {
                        if let MultiResult::Error(code) = result {
                            *self.parts.entry(*code).or_default() += 1;
                        }
                    }
                }
            }
            (Seen::Event { event, .. }, _) => *self.events.entry(*event).or_default() += 1,
            (
                Seen::Session {
                    session,
                    read_only,
                    timeout,
                    password,
                    ..
                },
                _,
            ) => {
                self.session(session.is_some(), *read_only, *timeout);
                let good = usize::from(*password && session.is_some());
                *self.sessions.entry("with Java's password").or_default() += good;
            }
            (Seen::Closed, _) => *self.sessions.entry("closed").or_default() += 1,
            _ => {}
        }
    }

    fn session(&mut self, accepted: bool, read_only: Option<bool>, timeout: i32) {
        let mut count = |word, yes: bool| {
            *self.sessions.entry(word).or_default() += usize::from(yes);
        };
        count("new", accepted);
        count("refused", !accepted);
        count("without readOnly", read_only.is_none());
        count("clamped", timeout == crate::servers::MIN_SESSION_TIMEOUT);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        fn add<K: Copy + Ord>(to: &mut BTreeMap<K, usize>, from: &BTreeMap<K, usize>) {
            for (&key, count) in from {
                *to.entry(key).or_default() += count;
            }
        }
        add(&mut self.answers, &other.answers);
        add(&mut self.parts, &other.parts);
        add(&mut self.events, &other.events);
        add(&mut self.sessions, &other.sessions);
    }

    /// Cells that a long run must have met and this one has not.
    pub(crate) fn missing(&self) -> Vec<String> {
        let answers = EXPECTED
            .iter()
            .flat_map(|(op, errs)| errs.iter().map(move |err| (*op, *err)))
            .filter(|key| !self.answers.contains_key(key))
            .map(|(op, err)| format!("{} {}", OpCode::from_wire(op), word(err)));
        let parts = EXPECTED_PARTS
            .iter()
            .filter(|code| !self.parts.contains_key(code))
            .map(|code| format!("part of a multi: {}", word(*code)));
        let events = (1..=4)
            .filter(|event| !self.events.contains_key(event))
            .map(|event| format!("event {event}"));
        let sessions = EXPECTED_SESSIONS
            .iter()
            .filter(|what| self.sessions.get(*what).is_none_or(|count| *count == 0))
            .map(|what| format!("connection {what}"));
        answers.chain(parts).chain(events).chain(sessions).collect()
    }

    pub(crate) fn print(&self) {
        println!("coverage (operation: error × count):");
        let mut ops: Vec<i32> = self.answers.keys().map(|(op, _)| *op).collect();
        ops.dedup();
        for op in ops {
            let cells: Vec<String> = self
                .answers
                .range((op, i32::MIN)..=(op, i32::MAX))
                .rev()
                .map(|((_, err), count)| format!("{} × {count}", word(*err)))
                .collect();
            println!(
                "  {:>20} {}",
                OpCode::from_wire(op).to_string(),
                cells.join(", ")
            );
        }
        let line = |cells: Vec<String>| cells.join(", ");
        println!(
            "  {:>20} {}",
            "parts of multis",
            line(
                self.parts
                    .iter()
                    .rev()
                    .map(|(code, count)| format!("{} × {count}", word(*code)))
                    .collect()
            )
        );
        println!(
            "  {:>20} {}",
            "events",
            line(
                self.events
                    .iter()
                    .map(|(event, count)| format!("type {event} × {count}"))
                    .collect()
            )
        );
        println!(
            "  {:>20} {}",
            "connections",
            line(
                self.sessions
                    .iter()
                    .map(|(what, count)| format!("{what} × {count}"))
                    .collect()
            )
        );
    }
}

fn word(err: i32) -> String {
    ErrorCode::from_wire(err).map_or("ok".to_owned(), |code| code.to_string())
}
