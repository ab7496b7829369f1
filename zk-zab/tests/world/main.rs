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
    let lived = catch_unwind(AssertUnwindSafe(|| {
        world.run(FAULTS);
        world.heal();
        world.run(FAULTS + HEALING);
        world.must_be_whole();
    }));
    if let Err(failure) = lived {
        let tail = world.story.len().saturating_sub(150);
        let story = world.story[tail..].join("\n");
        println!(
            "seed {seed}: {:?}\n{story}\nseed {seed} failed",
            world.chaos
        );
        resume_unwind(failure);
    }
    world
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
        for (what, times) in live(seed).seen {
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
