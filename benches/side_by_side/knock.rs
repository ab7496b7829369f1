//! Waiting for a server that starts: until it gives someone a session.
//!
//! Servers in the middle of their start refuse connections, close them, or take them and never answer
//! (Java 3.8 does all three). So an attempt without an answer is neither given up nor waited for alone.

use crate::conn::{Conn, Load, SCRATCH};
use crate::error::{Context, Failure};
use std::net::SocketAddr;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks: a hundredth of the time that has passed, so that knocking takes nothing worth
/// mentioning from a server that loads, within these bounds.
const LOOKS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];
/// How long the first attempt may go unanswered before there is another one; each further one gets as
/// much more, so that a server that is loading for minutes is not buried in attempts.
const ALONE: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Answer(bool);

impl Load for Answer {
    fn on_reply(&mut self, _since: Instant, _now: Instant) {}

    fn on_session(&mut self, _since: Instant, _now: Instant) {
        self.0 = true;
    }

    fn refill(&mut self, _conn: &mut Conn) {}
}

/// Waits for a session. It is left to expire: closing it would be another write, and a server that
/// starts owes us none.
pub(crate) fn until_serving(
    addr: SocketAddr,
    child: &mut Child,
    patience: Duration,
) -> Result<(), Failure> {
    let began = Instant::now();
    let mut scratch = vec![0; SCRATCH];
    let (mut newest, mut unanswered): (Option<Conn>, Vec<Conn>) = (None, Vec::new());
    let (mut next, mut alone) = (began, ALONE);
    let mut answer = Answer(false);
    while began.elapsed() < patience {
        if newest.is_some() && Instant::now() >= next {
            unanswered.extend(newest.take());
            alone += ALONE;
        }
        if newest.is_none() {
            // A refusal is what one expects of a server that does not listen yet.
            newest = Conn::open(addr, 0).ok();
            next = Instant::now() + alone;
        }
        let mut is_open = |attempt: &mut Conn| attempt.read(&mut scratch, &mut answer).is_ok();
        newest.take_if(|attempt| !is_open(attempt));
        unanswered.retain_mut(is_open);
        if answer.0 {
            return Ok(());
        }
        if let Some(status) = child.try_wait().context("waiting for the server")? {
            return Err(Failure::Exited(status));
        }
        let [shortest, longest] = LOOKS;
        thread::sleep((began.elapsed() / 100).clamp(shortest, longest));
    }
    Err(Failure::NotServing(patience))
}
