//! The list of servers, and what is remembered of each.
//!
//! The rule, in order: whoever may be tried soonest; who is not only held in reserve; who is preferred; read-write
//! before read-only; fewer failures in a row;
//! the one that was good last; and then the shuffled order, so that clients that know nothing spread evenly.
//! A failure cools a server down for a jittered time that grows ([`Backoff`]); when all are cooling, the attempt
//! waits for the first. A server that takes connections only to drop them again does not clear its name by it:
//! a connection has to last `FORGIVEN_AFTER`.

use super::backoff::{Backoff, Policy};
use super::balance::{self, Move};
use super::{Chance, Endpoint};
use crate::clock::Time;
use std::cmp::Reverse;
use std::time::Duration;

/// How long a connection has to last before earlier failures are forgotten.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);

/// One server of a [`HostList`], for as long as it is in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostId(u64);

/// What a server is willing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    ReadWrite,
    /// It has lost its ensemble and only answers reads.
    ReadOnly,
}

/// Whom to try, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whom, for telling what came of it.
    pub host: HostId,
    /// Where.
    pub endpoint: Endpoint,
    /// Not earlier than this; not later than now means at once.
    pub not_before: Time,
}

#[derive(Debug)]
struct Host {
    id: HostId,
    endpoint: Endpoint,
    backoff: Backoff,
    failures: u32,
    cool_until: Time,
    last_good: Option<Time>,
    connected_since: Option<Time>,
    read_only: bool,
    /// Tried first, until there is a connection.
    preferred: bool,
    /// Not in the list any more, or never: tried when nobody else may be.
    reserve: bool,
}

/// The servers, in a shuffled order, and what came of earlier attempts.
#[derive(Debug)]
pub struct HostList {
    hosts: Vec<Host>,
    policy: Policy,
    chance: Chance,
    next_id: u64,
    cooling_limit: Duration,
}

impl HostList {
    /// A list of servers nothing is known of. Of servers that are named twice, one stays.
    pub fn new(
        endpoints: impl IntoIterator<Item = Endpoint>,
        policy: Policy,
        chance: Chance,
    ) -> Self {
        let mut list = Self {
            hosts: Vec::new(),
            policy,
            chance,
            next_id: 0,
            cooling_limit: Duration::MAX,
        };
        list.replace(endpoints);
        list
    }

    /// How many servers there are.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there are none: the DNS had no answer yet.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Where a server is, if it is still in the list.
    pub fn endpoint(&self, host: HostId) -> Option<&Endpoint> {
        let found = self.hosts.iter().find(|known| known.id == host);
        found.map(|known| &known.endpoint)
    }

    /// Another list. Who stays keeps what is known of it; an empty list changes nothing, because a resolver that
    /// has nothing to say is no reason to forget servers that exist.
    pub fn replace(&mut self, endpoints: impl IntoIterator<Item = Endpoint>) {
        let mut wanted: Vec<_> = endpoints.into_iter().collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return;
        }
        self.hosts
            .retain(|known| wanted.binary_search(&known.endpoint).is_ok());
        for endpoint in wanted {
            if self.hosts.iter().all(|known| known.endpoint != endpoint) {
                let host = self.unknown(endpoint);
                self.hosts.push(host);
            }
        }
        self.chance.shuffle(&mut self.hosts);
    }

    fn unknown(&mut self, endpoint: Endpoint) -> Host {
        self.next_id += 1;
        Host {
            id: HostId(self.next_id),
            endpoint,
            backoff: Backoff::new(&self.policy),
            failures: 0,
            cool_until: Time::default(),
            last_good: None,
            connected_since: None,
            read_only: false,
            preferred: false,
            reserve: false,
        }
    }

    /// Another list, while there is a connection with a server; says whether to leave it. Those of `reserve` stay
    /// known, as long as nobody else will do: a list that turns out to be of no use must not cost one that was.
    pub fn revise(&mut self, servers: &[Endpoint], reserve: &[Endpoint], current: HostId) -> bool {
        let Some(current) = self.endpoint(current).cloned() else {
            return true;
        };
        if servers.is_empty() {
            return false;
        }
        let in_use = self.hosts.iter().filter(|host| !host.reserve);
        let old: Vec<_> = in_use.map(|host| host.endpoint.clone()).collect();
        let decision = balance::decide(&current, &old, servers, &mut self.chance);
        self.replace_with_reserve(servers, reserve);
        for host in &mut self.hosts {
            let known = old.contains(&host.endpoint);
            host.preferred = !host.reserve
                && match decision {
                    Move::Stay => false,
                    Move::ToAdded => !known,
                    Move::ToKept => known,
                };
        }
        decision != Move::Stay
    }

    /// As [`Self::replace`], and keeps others in reserve.
    pub fn replace_with_reserve(&mut self, servers: &[Endpoint], reserve: &[Endpoint]) {
        if servers.is_empty() {
            return;
        }
        self.replace(servers.iter().chain(reserve).cloned());
        for host in &mut self.hosts {
            host.reserve = !servers.contains(&host.endpoint);
        }
    }

    /// The servers another one could be found among: all but this one, in the list's order.
    pub fn others(&self, than: HostId) -> Vec<(HostId, Endpoint)> {
        let others = self.hosts.iter().filter(|host| host.id != than);
        others
            .map(|host| (host.id, host.endpoint.clone()))
            .collect()
    }

    /// A server is known to be good: it is the next to be tried.
    pub fn prefer(&mut self, good: HostId) {
        for host in &mut self.hosts {
            host.preferred = host.id == good;
            if host.preferred {
                host.read_only = false;
                host.cool_until = Time::default();
            }
        }
    }

    /// No server cools for longer than this: a session that is about to expire cannot wait for manners.
    pub const fn limit_cooling(&mut self, longest: Duration) {
        self.cooling_limit = longest;
    }

    /// Whom to try next, or `None` if there is nobody. Asking changes nothing.
    pub fn next(&self, now: Time) -> Option<Attempt> {
        let ready = |host: &Host| host.cool_until.min(now + self.cooling_limit).max(now);
        let rank = |host: &&Host| {
            (
                ready(host),
                host.reserve,
                !host.preferred,
                host.read_only,
                host.failures,
                Reverse(host.last_good),
            )
        };
        // The first of equals, that is, the shuffled order.
        let best = self.hosts.iter().min_by_key(rank)?;
        Some(Attempt {
            host: best.id,
            endpoint: best.endpoint.clone(),
            not_before: ready(best),
        })
    }

    /// An attempt failed, or a connection was lost. Nothing happens for a server that has left the list.
    pub fn on_failed(&mut self, host: HostId, now: Time) {
        let Some(known) = self.hosts.iter_mut().find(|known| known.id == host) else {
            return;
        };
        if let Some(since) = known.connected_since.take() {
            known.last_good = Some(now);
            if now.saturating_since(since) >= FORGIVEN_AFTER {
                known.failures = 0;
                known.backoff.forget();
            }
        }
        known.failures = known.failures.saturating_add(1);
        known.cool_until = now + known.backoff.after_failure(&mut self.chance);
    }

    /// The connection ended as it had to: this host may be asked again at once.
    pub fn on_left(&mut self, host: HostId, now: Time) {
        if let Some(known) = self.hosts.iter_mut().find(|known| known.id == host) {
            known.connected_since = None;
            known.last_good = Some(now);
        }
    }

    /// A session was opened or taken up again there.
    pub fn on_connected(&mut self, host: HostId, now: Time, mode: Mode) {
        let Some(known) = self.hosts.iter_mut().find(|known| known.id == host) else {
            return;
        };
        known.connected_since = Some(now);
        known.last_good = Some(now);
        known.read_only = mode == Mode::ReadOnly;
        for host in &mut self.hosts {
            host.preferred = false;
        }
    }
}

#[cfg(test)]
#[path = "list/tests.rs"]
mod tests;
