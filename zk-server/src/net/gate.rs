//! Who may say hello, and how often: asked before a handshake costs a transaction.
//!
//! One look per handshake or failed authentication, never per request, so one lock serves.

use super::blue::Blue;
use super::rates::{Bucket, PerAddress};
use crate::config::Config;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zk_zab::Time;

/// An attempt to authenticate that would have to wait longer than this is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The server's gate.
#[derive(Debug)]
pub(crate) struct Gate {
    sessions: Option<u64>,
    sessions_per_ip: Option<u64>,
    attempts: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    blue: Option<Blue>,
    sessions: Bucket,
    sessions_by_ip: PerAddress,
    attempts_by_ip: PerAddress,
}

/// Why nobody is let in just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// `connection_throttle_*`
    Throttled,
    /// `limit.newSessionsPerSecond`
    Sessions,
    /// `limit.newSessionsPerIpPerSecond`
    SessionsOfAddress,
}

/// When a doubtful attempt to authenticate is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Now,
    /// After this.
    Later(Duration),
    /// Not at all.
    Refused,
}

impl Gate {
    pub(crate) fn new(config: &Config, seed: u64, now: Time) -> Self {
        Self {
            sessions: config.limits.new_sessions_per_second,
            sessions_per_ip: config.limits.new_sessions_per_ip_per_second,
            attempts: config.limits.authentication_burst_per_ip,
            state: Mutex::new(State {
                blue: Blue::new(&config.throttling.connections, seed, now),
                sessions: Bucket::default(),
                sessions_by_ip: PerAddress::default(),
                attempts_by_ip: PerAddress::default(),
            }),
        }
    }

    /// Whether a handshake may go on. Only new sessions cost a transaction and are counted by rate.
    pub(crate) fn admit(&self, ip: IpAddr, new_session: bool, now: Time) -> Result<(), Shut> {
        let mut state = self.state();
        if let Some(blue) = &mut state.blue
            && !blue.admits(new_session, now)
        {
            return Err(Shut::Throttled);
        }
        if !new_session {
            return Ok(());
        }
        // The address first: one that has had its share takes none of everybody's.
        if let Some(rate) = self.sessions_per_ip
            && !state.sessions_by_ip.try_take(ip, rate, now)
        {
            return Err(Shut::SessionsOfAddress);
        }
        match self.sessions {
            Some(rate) if !state.sessions.try_take(rate, now) => Err(Shut::Sessions),
            Some(_) | None => Ok(()),
        }
    }

    /// When to judge an attempt that may be a guess. Right or wrong, it waits as long.
    pub(crate) fn attempt(&self, ip: IpAddr, now: Time) -> Attempt {
        let Some(burst) = self.attempts else {
            return Attempt::Now;
        };
        match self.state().attempts_by_ip.wait(ip, burst, now) {
            Duration::ZERO => Attempt::Now,
            wait if wait <= LONGEST_WAIT => Attempt::Later(wait),
            _ => Attempt::Refused,
        }
    }

    /// A guess was wrong.
    pub(crate) fn attempt_failed(&self, ip: IpAddr, now: Time) {
        if self.attempts.is_some() {
            self.state().attempts_by_ip.charge(ip, now);
        }
    }

    /// Tokens that the connection throttle lacks.
    pub(crate) fn deficit(&self) -> u64 {
        self.state().blue.as_ref().map_or(0, Blue::deficit)
    }

    /// The chance that the connection throttle drops the next one.
    pub(crate) fn drop_chance(&self) -> f64 {
        self.state().blue.as_ref().map_or(0.0, Blue::drop_chance)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
