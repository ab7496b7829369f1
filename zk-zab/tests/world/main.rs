//! A small world, from one number: servers made of the real agreement, model disks, connections that stall
//! and break, crashes at every point. After every event the invariants are checked; at the end the faults
//! stop, and the world must heal (P36).

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_wrap,
    clippy::print_stdout,
    reason = "a test that stumbles shall fall"
)]

mod canaries;
mod chaos;
mod disk;
mod ending;
mod explore;
mod ghost;
mod network;
mod rng;
mod server;
mod shell;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use world::World;

/// How long faults last, in the world's milliseconds.
const FAULTS: u64 = 6_000;
/// How long healing may take.
const HEALING: u64 = 8_000;

/// Lives through one seed. A failure names the seed and tells the end of the story.
fn live(seed: u64) -> World {
    let mut world = World::new(seed);
    let lived = catch_unwind(AssertUnwindSafe(|| live_in(&mut world)));
    if let Err(failure) = lived {
        let lines = std::env::var_os("ZAB_STORY").map_or(150, |_| world.story.len());
        let tail = world.story.len().saturating_sub(lines);
        let story = world.story[tail..].join("\n");
        println!(
            "seed {seed}: {:?}\n{story}\nseed {seed} failed: ZAB_SEED={seed} ZAB_SEEDS=1 tells it again",
            world.chaos
        );
        resume_unwind(failure);
    }
    world
}

/// Prints the end of a story that was asked for, and by what it is known.
fn tell(seed: u64, world: &World) {
    if std::env::var_os("ZAB_STORY").is_some() {
        println!("{}", world.story.join("\n"));
        println!("seed {seed}: trace {:016x}, {:?}", world.trace, world.chaos);
    }
}

fn live_in(world: &mut World) {
    world.run(FAULTS);
    world.heal();
    world.run(FAULTS + HEALING);
    world.must_be_whole();
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let from = number("ZAB_SEED").unwrap_or(1);
    from..from + number("ZAB_SEEDS").unwrap_or(400)
}

#[test]
fn no_seed_breaks_an_invariant_and_every_world_heals() {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds() {
        let world = live(seed);
        tell(seed, &world);
        for (what, times) in world.seen {
            *seen.entry(what).or_default() += times;
        }
    }
    println!("{seen:#?}");
    if seeds().count() >= 400 {
        let interesting = [
            "DIFF",
            "TRUNC",
            "SNAP",
            "INFORM",
            "seek",
            "log sent",
            "truncate",
            "promised before",
            "confirmed",
            "quorum lost",
            "disk hangs",
            "resigned",
            "counter spent",
            "wiped",
            "cornered",
            "snapshot lost",
            "tail needed",
            "leader",
            "log sent",
            "deserted",
        ];
        for what in interesting {
            assert!(seen.contains_key(what), "the seeds never reach {what}");
        }
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in [1, 7, 4711] {
        assert_eq!(live(seed).trace, live(seed).trace, "seed {seed}");
    }
}
