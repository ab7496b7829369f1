//! What the log says when much happens at once: one line for what is one thing.
#![expect(
    clippy::unwrap_used,
    reason = "the scene's helpers are test code, though not marked as tests"
)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use support::{Client, four_letters};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use zk_proto::SessionId;
use zk_server::{Config, Server};

/// Lines at info level and above, in order.
static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

#[derive(Clone, Debug, Default)]
struct Line {
    message: String,
    count: u64,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "count" {
            self.count = value;
        }
    }
}

/// Keeps what an operator would read.
struct Operator;

impl Subscriber for Operator {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        LINES.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// S63: a switch fails, and everyone behind it falls silent.
#[test]
fn a_thousand_sessions_that_expire_together_are_a_few_lines() {
    const SESSIONS: u64 = 1000;
    tracing::subscriber::set_global_default(Operator).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::in_process(data.path());
    config.sessions.tick_time = Duration::from_secs(3);
    config.sessions.min_timeout = Duration::from_secs(3);
    config.limits.max_client_cnxns = None;
    config.four_letter_words = zk_server::config::settings::FourLetterWords::All;
    let server = runtime.block_on(Server::start(config)).unwrap();
    let address = server.client_address().unwrap();
    // Their connections end at once: the silence begins.
    for _ in 0..SESSIONS {
        Client::connect_with(address, SessionId::NONE, &[0; 16], 3000).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let all = format!("zk_stale_sessions_expired\t{SESSIONS}\n");
    while !four_letters(address, "mntr").contains(&all) {
        assert!(Instant::now() < deadline, "sessions do not expire");
    }
    runtime.block_on(server.stop()).unwrap();
    let lines = LINES.lock().unwrap().clone();
    let told = lines
        .iter()
        .filter(|line| line.message == "sessions expired");
    assert_eq!(told.map(|line| line.count).sum::<u64>(), SESSIONS);
    // The last of them came at most a few ticks after the first.
    assert!(lines.len() <= 20, "{} lines: {lines:?}", lines.len());
}
