//! The fuzz targets as a plain test: every file of `fuzz/corpus`, then mutations of those files from a
//! fixed seed. `ZK_FUZZ_MUTATIONS` says how many per target, `ZK_FUZZ_SEED` where to begin.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is public in a crate of its own")]
mod targets;

/// A mutation is of a corpus file, so inputs stay near what means something.
const MUTATIONS_PER_TARGET: u64 = 30_000;
/// Longer inputs only take longer.
const INPUT_LIMIT: usize = 4096;

/// `SplitMix64`: a few lines, and the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a usize fits");
        usize::try_from(self.next() % bound).expect("it is below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// A target's corpus in the order of names, so that a seed means the same everywhere.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| fs::read(file).expect("a readable file"))
        .collect()
}

fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = random.of(corpus).clone();
    for _ in 0..=random.below(4) {
        mutate_once(random, &mut input, corpus);
    }
    input.truncate(INPUT_LIMIT);
    input
}

fn mutate_once(random: &mut Random, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    if input.is_empty() {
        input.push(random.byte());
        return;
    }
    let at = random.below(input.len());
    match random.below(8) {
        0 => input[at] ^= 1 << random.below(8),
        1 => input[at] = random.byte(),
        2 => input.truncate(at),
        3 => drop(input.splice(at..at, [random.byte()])),
        4 => drop(input.remove(at)),
        5 => {
            let other = random.of(corpus);
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        6 => {
            let end = at + random.below(input.len() - at + 1);
            let again = input[at..end].to_vec();
            drop(input.splice(end..end, again));
        }
        _ => edit_length(random, input, at),
    }
}

/// Overwrites what may be a length, a count or a table's number with one that hurts.
fn edit_length(random: &mut Random, input: &mut [u8], at: usize) {
    let Some(rest) = input.get_mut(at..) else {
        return;
    };
    let left = i32::try_from(rest.len()).expect("inputs are small");
    let Some((word, behind)) = rest.split_first_chunk_mut::<4>() else {
        return;
    };
    let found = i32::from_be_bytes(*word);
    let behind = i32::try_from(behind.len()).expect("inputs are small");
    let value = *random.of(&[
        0,
        -1,
        -2,
        1,
        i32::MAX,
        i32::MIN,
        0x10_0000,
        0x1f_fffe,
        0x1f_ffff,
        left,
        behind,
        behind + 1,
        behind / 4,
        behind / 12,
        found.wrapping_add(1),
        found.wrapping_sub(1),
    ]);
    *word = value.to_be_bytes();
}

/// Runs a target; a panic is told with what brought it about.
fn run(name: &str, target: fn(&[u8]), input: &[u8], origin: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("target {name} fails on {origin}: {hex}");
    }
}

#[test]
fn every_target_holds_on_its_corpus() {
    for &(name, target) in targets::TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() > 5, "{name} has a corpus");
        for (index, input) in corpus.iter().enumerate() {
            run(name, target, input, &format!("file {index}"));
            for len in 0..input.len() {
                run(
                    name,
                    target,
                    &input[..len],
                    &format!("{len} bytes of file {index}"),
                );
            }
        }
    }
}

#[test]
fn every_target_holds_on_mutations_of_its_corpus() {
    let seed = number("ZK_FUZZ_SEED", 1);
    for &(name, target) in targets::TARGETS {
        let corpus = corpus(name);
        let mut random = Random(seed);
        for count in 0..number("ZK_FUZZ_MUTATIONS", MUTATIONS_PER_TARGET) {
            let input = mutate(&mut random, &corpus);
            run(
                name,
                target,
                &input,
                &format!("mutation {count} of seed {seed}"),
            );
        }
    }
}
