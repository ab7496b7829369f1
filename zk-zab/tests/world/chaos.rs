//! What goes wrong, drawn from the seed: which kinds of faults, and how often.

use crate::rng::Rng;
use crate::world::{Event, World};
use std::collections::BTreeSet;

#[derive(Debug)]
pub(crate) struct Chaos {
    pub(crate) voters: usize,
    /// Between two strikes, in milliseconds.
    pace: u64,
    max_delay: u64,
    max_fsync: u64,
    pub(crate) refusals: u64,
    /// How many deaths in a thousand the others do not notice.
    pub(crate) silent_deaths: u64,
    crashes: u64,
    cuts: u64,
    partitions: u64,
    pauses: u64,
    resignations: u64,
    wipes: u64,
    tails: u64,
    pub(crate) eager_snapshots: u64,
    /// How much longer than anything else a snapshot may take.
    pub(crate) slow_snapshots: u64,
    writes: u64,
    questions: u64,
    /// How often someone is elected by chance.
    wrong_elections: u64,
    /// Whether messages that wait are read together.
    pub(crate) gathers: bool,
    pub(crate) over: bool,
}

impl Chaos {
    pub(crate) fn draw(seed: u64, rng: &mut Rng) -> Self {
        let mut rate = |up_to: u64| {
            if rng.permille(500) {
                rng.below(up_to)
            } else {
                0
            }
        };
        let crashes = rate(60);
        let cuts = rate(60);
        let partitions = rate(40);
        let pauses = rate(30);
        let resignations = rate(10);
        let wipes = rate(20);
        let tails = rate(6);
        let eager_snapshots = rate(400);
        let slow_snapshots = rate(600);
        let wrong_elections = rate(40);
        let silent_deaths = rate(700);
        let refusals = rate(300);
        Self {
            voters: [3, 3, 3, 5, 1, 2, 4][rng.index(7)],
            pace: rng.between(2, 12),
            max_delay: [1, 3, 10, 40][rng.index(4)],
            max_fsync: [0, 2, 10, 60][rng.index(4)],
            refusals,
            silent_deaths,
            crashes,
            cuts,
            partitions,
            pauses,
            resignations,
            wipes,
            tails,
            eager_snapshots,
            slow_snapshots,
            writes: rng.between(50, 600),
            questions: rng.below(60),
            wrong_elections,
            gathers: seed.is_multiple_of(2),
            over: false,
        }
    }

    pub(crate) fn delay(&self, rng: &mut Rng) -> u64 {
        rng.between(0, self.max_delay)
    }

    pub(crate) fn fsync(&self, rng: &mut Rng) -> u64 {
        let hangs = !self.over && rng.permille(2);
        if hangs {
            900
        } else {
            rng.between(0, self.max_fsync)
        }
    }
}

/// One moment of chance.
pub(crate) fn strike(world: &mut World) {
    let count = world.servers.len();
    let server = world.rng.index(count);
    let other = world.rng.index(count);
    let happens = |world: &mut World, rate: u64| world.rng.permille(rate);
    if !world.chaos.over {
        let few = world.now < world.few_until;
        if happens(world, 60) && world.alive(server).is_none() && !few {
            world.start(server);
        }
        if happens(world, 40) {
            world.network.blocked.clear();
        }
        if !corner(world) {
            harm(world, server, other);
        }
    }
    restart_who_resigned(world, server);
    if happens(world, world.chaos.writes) {
        for server in 0..count {
            world.write(server);
        }
    }
    if happens(world, world.chaos.questions) {
        world.ask(server);
    }
    if !world.chaos.over && happens(world, world.chaos.wrong_elections) {
        mislead(world);
    }
    let pace = world.chaos.pace;
    world.after(pace, Event::Chaos);
}

fn harm(world: &mut World, server: usize, other: usize) {
    let happens = |world: &mut World, rate: u64| world.rng.permille(rate);
    if happens(world, world.chaos.crashes) {
        world.crash(server);
    }
    if happens(world, world.chaos.cuts) {
        cut(world);
    }
    if happens(world, world.chaos.partitions) {
        world.network.blocked.insert((server, other));
        if world.rng.permille(500) {
            world.network.blocked.insert((other, server));
        }
    }
    if happens(world, world.chaos.pauses) {
        let until = world.now + world.rng.between(10, 1500);
        if let Some(alive) = world.alive_mut(server) {
            alive.paused_until = until;
        }
    }
    if happens(world, world.chaos.tails) {
        leave_tail(world);
    }
    if happens(world, world.chaos.wipes) {
        world.wipe(server);
    }
    if happens(world, world.chaos.resignations) {
        world.give(server, zk_zab::Input::Resign);
    }
}

/// A voter that lost its disk has been given a part of the history: whoever has the rest dies, and it is left with those
/// who are late, as many as are a quorum with it (P26).
fn corner(world: &mut World) -> bool {
    let Some(server) = world.has_a_part() else {
        return false;
    };
    let last = world.ghost.stands.last().map(|(zxid, _)| *zxid);
    let late = |other: &usize| {
        let disk = &world.servers[*other].disk;
        let lacks = last.is_some_and(|last| !disk.holds(last));
        *other != server && lacks && world.alive(*other).is_some()
    };
    let mut left: Vec<_> = (0..world.voters).filter(late).collect();
    left.push(server);
    if left.len() <= world.voters / 2 || world.now < world.few_until {
        return false;
    }
    world.saw("cornered");
    world.few_until = world.now + 1_500;
    world.network.blocked.clear();
    for other in (0..world.voters).filter(|other| !left.contains(other)) {
        world.crash(other);
    }
    true
}

fn restart_who_resigned(world: &mut World, server: usize) {
    if world.alive(server).is_some_and(|alive| alive.resigned) {
        world.crash(server);
        world.start(server);
    }
}

/// A leader logs what reaches nobody, and dies (S2, S18).
fn leave_tail(world: &mut World) {
    let leads = |server: &usize| {
        let alive = world.alive(*server);
        alive.is_some_and(|alive| alive.serves && alive.zab.next_zxid().is_some())
    };
    let Some(leader) = (0..world.voters).find(leads) else {
        return;
    };
    for other in 0..world.servers.len() {
        world.network.blocked.insert((leader, other));
    }
    for _ in 0..3 {
        world.write(leader);
    }
    while let Some(said) = world.servers[leader].disk.work_one() {
        let _nobody_hears = said;
    }
    world.crash(leader);
    let later = world.rng.between(800, 1600);
    world.after(later, Event::NeedTail(leader));
}

/// Meanwhile the others have gone on. Now it is one of no more than a quorum.
pub(crate) fn need_tail(world: &mut World, server: usize) {
    if world.chaos.over {
        return;
    }
    world.saw("tail needed");
    world.few_until = world.now + 1_500;
    world.network.blocked.clear();
    for other in 0..world.voters {
        world.crash(other);
    }
    let others = (0..world.voters).filter(|other| *other != server);
    let enough: Vec<_> = others.take(world.voters / 2).collect();
    for other in enough {
        world.start(other);
    }
    world.start(server);
}

/// A connection breaks; both ends notice some time.
fn cut(world: &mut World) {
    let links: Vec<_> = world.network.links.keys().copied().collect();
    if links.is_empty() {
        return;
    }
    let link = links[world.rng.index(links.len())];
    world.break_link(link);
}

/// Some follow whom nobody elected.
fn mislead(world: &mut World) {
    let leader = world.rng.index(world.voters);
    let everyone: Vec<_> = (0..world.servers.len()).collect();
    let some = everyone.into_iter().filter(|_| world.rng.permille(700));
    let some: BTreeSet<_> = some.collect();
    world.elect(leader, &some);
}

impl Chaos {
    /// No more faults, and clients that leave some air.
    pub(crate) fn calm(&mut self) {
        self.over = true;
        self.refusals = 0;
        self.slow_snapshots = 0;
        self.writes = self.writes.min(100);
        self.pace = 10;
    }

    pub(crate) const fn stop_writing(&mut self) {
        self.writes = 0;
    }
}
