//! Elections on a bad network, from a seed: messages are lost, late, replaced by newer ones and sent
//! again when a link comes back; links and servers fail and return. A follower that does not find its
//! leader leading, and a leader that does not find a quorum following, look again after a second: that
//! is what the roles would do.
//!
//! Then everything heals, and within a bounded time one leader is followed by all, chosen by a quorum
//! of servers that have no more than it has (P32).

use super::ensemble::{Ensemble, Event, Flight};
use crate::{Candidacy, Majority, Notification, PeerState, Time};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use zk_proto::{Epoch, ServerId, Zxid};

const TROUBLE: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(1);
/// The slowest of 20,000 seeds took 3.9 seconds.
const HEALED_WITHIN: Duration = Duration::from_secs(6);

/// A small generator: the model must not depend on anyone's version of one.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn millis(&mut self, below: u64) -> Duration {
        Duration::from_millis(self.roll(below))
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let at = self.roll(u64::try_from(from.len()).unwrap());
        from[usize::try_from(at).unwrap()]
    }
}

/// One direction of a connection.
#[derive(Default)]
struct Link {
    down: bool,
    under_way: VecDeque<(Time, Notification)>,
    last: Option<Notification>,
}

struct Model {
    ensemble: Ensemble,
    voters: Vec<ServerId>,
    links: BTreeMap<(ServerId, ServerId), Link>,
    /// Since when each server has had its role.
    settled_at: BTreeMap<ServerId, (Time, ServerId)>,
    dice: Dice,
    slowest: u64,
}

impl Model {
    fn new(seed: u64, size: i64) -> Self {
        let mut dice = Dice(seed);
        let voters: Vec<_> = (1..=size).map(ServerId::new).collect();
        let mut ensemble = Ensemble::new(Majority::of(voters.iter().copied()).into());
        for voter in &voters {
            let epoch = u32::try_from(dice.roll(3)).unwrap();
            let counter = i64::try_from(dice.roll(4)).unwrap();
            let history = Candidacy {
                last_zxid: Zxid::from_wire((i64::from(epoch) << 32) + counter),
                current_epoch: Epoch::new(epoch),
            };
            ensemble.histories.insert(*voter, history);
        }
        let slowest = dice.pick(&[5, 60, 400]);
        Self {
            ensemble,
            voters,
            links: BTreeMap::new(),
            settled_at: BTreeMap::new(),
            dice,
            slowest,
        }
    }

    fn run(mut self) -> Duration {
        for voter in self.voters.clone() {
            if self.dice.roll(3) > 0 {
                self.boot(voter);
            }
        }
        let trouble_ends = Time::default() + TROUBLE;
        while self.ensemble.now < trouble_ends {
            let pause = self.dice.millis(800);
            self.live_until(self.ensemble.now + pause);
            self.fail_somehow();
        }
        self.heal();
        let healed = self.ensemble.now;
        while !self.is_at_peace() {
            let took = self.ensemble.now.saturating_since(healed);
            assert!(took < HEALED_WITHIN, "no peace: {}", self.status());
            self.live_until(self.ensemble.now + Duration::from_millis(50));
        }
        self.check_choice();
        self.ensemble.now.saturating_since(healed)
    }

    fn boot(&mut self, server: ServerId) {
        self.ensemble.boot(server);
        self.settled_at.remove(&server);
        self.ensemble.start(server);
        self.carry();
    }

    fn link(&mut self, from: ServerId, to: ServerId) -> &mut Link {
        self.links.entry((from, to)).or_default()
    }

    /// What has been sent goes onto the links, or is what they will carry when they are up again.
    fn carry(&mut self) {
        for event in std::mem::take(&mut self.ensemble.events) {
            if let Event::Elected {
                server,
                leader,
                role,
            } = event
            {
                self.note_elected(server, leader, role);
            }
        }
        for Flight { from, to, said } in std::mem::take(&mut self.ensemble.flights) {
            let arrives = self.ensemble.now + self.dice.millis(self.slowest);
            let replaces = self.dice.one_in(4);
            let link = self.links.entry((from, to)).or_default();
            link.last = Some(said.clone());
            if link.down || !self.ensemble.servers.contains_key(&to) {
                continue;
            }
            if replaces {
                link.under_way.pop_back();
            }
            // Order holds on a link, and only there.
            let before = link.under_way.back().map(|(time, _)| *time);
            let arrives = before.map_or(arrives, |before| before.max(arrives));
            link.under_way.push_back((arrives, said));
        }
    }

    fn note_elected(&mut self, server: ServerId, leader: ServerId, role: PeerState) {
        assert_eq!(role == PeerState::Leading, leader == server);
        let vote = self.ensemble.servers[&server].vote().unwrap();
        let history = self.ensemble.histories[&leader];
        assert_eq!(vote.leader, Some(leader));
        assert_eq!(
            (vote.zxid, vote.peer_epoch),
            (history.last_zxid, Some(history.current_epoch)),
            "nobody is elected for what it does not have"
        );
        self.settled_at.insert(server, (self.ensemble.now, leader));
    }

    fn live_until(&mut self, until: Time) {
        loop {
            let arrivals = self
                .links
                .values()
                .filter_map(|link| link.under_way.front());
            let arrival = arrivals.map(|(time, _)| *time).min();
            let deadline = self.ensemble.next_deadline();
            let end_of_patience = self.end_of_patience().map(|(time, _)| time);
            let next = [arrival, deadline, end_of_patience]
                .into_iter()
                .flatten()
                .min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.ensemble.now = self.ensemble.now.max(until);
                return;
            };
            let next = next.max(self.ensemble.now);
            self.ensemble.pass_until(next);
            self.arrive();
            self.lose_patience();
            self.carry();
        }
    }

    fn arrive(&mut self) {
        let now = self.ensemble.now;
        let mut arrived = Vec::new();
        for ((from, to), link) in &mut self.links {
            while link.under_way.front().is_some_and(|(time, _)| *time <= now) {
                let (_, said) = link.under_way.pop_front().unwrap();
                arrived.push((*to, *from, said));
            }
        }
        for (to, from, said) in arrived {
            self.ensemble.hear(to, from, &said);
        }
    }

    /// Whoever has a role that does not work looks again.
    fn lose_patience(&mut self) {
        while let Some((_, server)) = self
            .end_of_patience()
            .filter(|(t, _)| *t <= self.ensemble.now)
        {
            if self.role_works(server) {
                let (since, _) = self.settled_at.get_mut(&server).unwrap();
                *since = self.ensemble.now;
            } else {
                self.settled_at.remove(&server);
                self.ensemble.start(server);
            }
            self.carry();
        }
    }

    fn end_of_patience(&self) -> Option<(Time, ServerId)> {
        let settled = self.settled_at.iter();
        settled
            .map(|(server, (since, _))| (*since + PATIENCE, *server))
            .min()
    }

    fn role_works(&self, server: ServerId) -> bool {
        let (_, leader) = self.settled_at[&server];
        if leader != server {
            return self.leads(leader) && self.connected(server, leader);
        }
        let mut following: BTreeSet<_> = self.followers(server).into_iter().collect();
        following.insert(server);
        self.ensemble.quorum.is_met_by(&following)
    }

    fn leads(&self, server: ServerId) -> bool {
        let election = self.ensemble.servers.get(&server);
        election.is_some_and(|election| election.state() == PeerState::Leading)
    }

    fn followers(&self, leader: ServerId) -> Vec<ServerId> {
        let settled = self.settled_at.iter();
        let following = settled.filter(|(server, (_, of))| *of == leader && **server != leader);
        let mut following: Vec<_> = following.map(|(server, _)| *server).collect();
        following.retain(|server| self.connected(*server, leader));
        following
    }

    fn connected(&self, one: ServerId, other: ServerId) -> bool {
        let up = |from, to| self.links.get(&(from, to)).is_none_or(|link| !link.down);
        up(one, other) && up(other, one)
    }

    fn fail_somehow(&mut self) {
        let (one, other) = (self.dice.pick(&self.voters), self.dice.pick(&self.voters));
        match self.dice.roll(5) {
            0 => {
                self.ensemble.crash(one);
                self.settled_at.remove(&one);
                for ((from, to), link) in &mut self.links {
                    if *from == one || *to == one {
                        link.under_way.clear();
                    }
                    if *from == one {
                        link.last = None;
                    }
                }
            }
            1 if !self.ensemble.servers.contains_key(&one) => {
                self.boot(one);
                self.reconnect(one);
            }
            2 => {
                let lost = self.dice.one_in(2);
                let link = self.link(one, other);
                link.down = true;
                if lost {
                    link.under_way.clear();
                }
            }
            3 => self.come_up(one, other),
            _ => {
                self.link(one, other).under_way.clear();
            }
        }
    }

    /// A new connection begins with the last thing ever said on the old one.
    fn come_up(&mut self, from: ServerId, to: ServerId) {
        let arrives = self.ensemble.now + self.dice.millis(self.slowest);
        let lives = self.ensemble.servers.contains_key(&from);
        let link = self.link(from, to);
        link.down = false;
        if let Some(last) = link.last.clone().filter(|_| lives) {
            let before = link.under_way.back().map(|(time, _)| *time);
            link.under_way
                .push_back((before.map_or(arrives, |time| time.max(arrives)), last));
        }
    }

    fn reconnect(&mut self, server: ServerId) {
        for other in self.voters.clone() {
            if other != server && self.connected(server, other) {
                self.come_up(other, server);
            }
        }
    }

    fn heal(&mut self) {
        for one in self.voters.clone() {
            if !self.ensemble.servers.contains_key(&one) {
                self.boot(one);
            }
            for other in self.voters.clone() {
                if one != other {
                    self.come_up(one, other);
                }
            }
        }
    }

    fn is_at_peace(&self) -> bool {
        let mut leaders = self.voters.iter().filter(|voter| self.leads(**voter));
        let (Some(leader), None) = (leaders.next(), leaders.next()) else {
            return false;
        };
        self.followers(*leader).len() == self.voters.len() - 1
    }

    fn check_choice(&self) {
        let leader = self
            .voters
            .iter()
            .find(|voter| self.leads(**voter))
            .unwrap();
        let key = |server: &ServerId| {
            let history = self.ensemble.histories[server];
            (history.current_epoch, history.last_zxid, *server)
        };
        let voters = self.voters.iter().copied();
        let no_better: BTreeSet<_> = voters.filter(|voter| key(voter) <= key(leader)).collect();
        assert!(
            self.ensemble.quorum.is_met_by(&no_better),
            "{}",
            self.status()
        );
    }

    fn status(&self) -> String {
        let servers = self.ensemble.servers.iter();
        let lines = servers.map(|(id, it)| format!("{id}: {} {:?}", it.state(), it.vote()));
        lines.collect::<Vec<_>>().join("\n")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn when_the_network_heals_a_leader_is_elected_by_those_it_betters(
        seed in any::<u64>(),
        size in prop::sample::select(vec![1_i64, 3, 4, 5, 7]),
    ) {
        Model::new(seed, size).run();
    }
}
