//! The differential test: one seeded stream of requests for the real server and for ours, in lockstep.
//! Every reply, stat, watch event and end of a connection must be the same once ids and times are taken
//! out, and at the end so must be the whole trees.
//!
//! ```text
//! cargo test -p zk-server --test differential           a few thousand requests
//! DIFF_OPS=200000 DIFF_SEED=7 cargo test …              a long run
//! DIFF_SUBJECT=oracle cargo test …                      the reference against itself: must be equal
//! DIFF_PROFILE=quota DIFF_ONLY=3,17,90 cargo test …     some steps of a script, as a shrunk report says
//! DIFF_LENIENT=1 cargo test …                           go on after differences and count their kinds
//! ```
//!
//! How servers are found is told in `servers.rs`. Without both the test says that it was SKIPPED and why.
#![expect(
    clippy::print_stdout,
    reason = "a test program speaks to whoever runs it"
)]

mod coverage;
mod decisions;
mod generate;
mod normalise;
mod rig;
mod rng;
mod script;
mod servers;
mod shrink;
#[expect(dead_code, reason = "some of it is for the hostile clients only")]
mod wire;

use coverage::Coverage;
use decisions::Decisions;
use rig::{Difference, Rig};
use script::Step;
use servers::{Launcher, PROFILES, Profile};
use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;
use std::time::Instant;

/// Requests of a run when nobody says how many.
const DEFAULT_OPS: usize = 6000;
/// Kinds of differences after which even a lenient run has seen enough.
const ENOUGH_KINDS: usize = 200;

struct Settings {
    oracle: Launcher,
    subject: Launcher,
    ops: usize,
    seed: u64,
    profile: Option<String>,
    only: Option<Vec<usize>>,
    lenient: bool,
}

fn main() -> ExitCode {
    let settings = match settings() {
        Ok(settings) => settings,
        Err(reason) => {
            println!("\n**** SKIPPED: differential test: {reason} ****\n");
            return ExitCode::SUCCESS;
        }
    };
    println!("DIFF_SEED={} DIFF_OPS={}", settings.seed, settings.ops);
    let mut total = Total::default();
    for profile in &PROFILES {
        if settings
            .profile
            .as_deref()
            .is_none_or(|name| name == profile.name)
        {
            total.profile(&settings, profile);
        }
    }
    total.report(&settings)
}

fn settings() -> Result<Settings, String> {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let only = env::var("DIFF_ONLY").ok().map(|text| numbers(&text));
    Ok(Settings {
        oracle: servers::oracle()?,
        subject: servers::subject()?,
        ops: number("DIFF_OPS").unwrap_or(DEFAULT_OPS),
        seed: env::var("DIFF_SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(1),
        profile: env::var("DIFF_PROFILE").ok(),
        only,
        lenient: env::var("DIFF_LENIENT").is_ok_and(|value| value != "0"),
    })
}

/// `1,4-6` as 1, 4, 5, 6.
fn numbers(text: &str) -> Vec<usize> {
    text.split(',')
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
        })
        .flatten()
        .collect()
}

/// The reverse.
fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    let texts: Vec<String> = runs
        .map(|run| match run {
            [first, .., last] => format!("{first}-{last}"),
            run => run.iter().map(ToString::to_string).collect(),
        })
        .collect();
    texts.join(",")
}

/// What all profiles together have shown.
#[derive(Default)]
struct Total {
    passed: usize,
    failed: usize,
    asked: usize,
    coverage: Coverage,
    decisions: Decisions,
}

/// How one script went.
struct Run {
    /// Numbers of the steps done and their differences, first of each kind, with how many there were.
    kinds: BTreeMap<String, (usize, usize, Difference)>,
    asked: usize,
    rig: Rig,
}

impl Total {
    fn profile(&mut self, settings: &Settings, profile: &Profile) {
        // The reaper's scene has a length of its own.
        let random = PROFILES.iter().filter(|p| p.is_random()).count();
        let alone = settings.profile.is_some();
        let share = settings.ops / if alone { 1 } else { random };
        let script = generate::script(settings.seed, profile, share);
        let all: Vec<usize> = (0..script.len()).collect();
        let wanted = settings.only.clone().unwrap_or(all);
        let started = Instant::now();
        let run = match run(settings, profile, &script, &wanted, true) {
            Ok(run) => run,
            Err(error) => {
                println!("profile {}: {error}", profile.name);
                self.failed += 1;
                return;
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "profile {}: {} requests in {seconds:.1} s, {} frames equal, {} kinds of differences",
            profile.name,
            run.asked,
            run.rig.compared,
            run.kinds.len()
        );
        self.passed += run.rig.compared;
        self.asked += run.asked;
        self.coverage.merge(&run.rig.coverage);
        self.decisions.merge(&run.rig.decisions);
        for side in run.rig.sides() {
            self.decisions.merge(side.accepted());
        }
        self.failed += run.kinds.values().map(|(count, ..)| count).sum::<usize>();
        for (signature, (count, first, difference)) in &run.kinds {
            println!("\nDIFFERENCE ({count} ×, first at step {first}) {signature}");
            print_context(&script, &wanted, *first);
            println!("{difference}");
        }
        for side in run.rig.sides().iter().filter(|_| !run.kinds.is_empty()) {
            println!("log of {}:\n{}", side.server.name, side.server.log_tail());
        }
        let first = run
            .kinds
            .into_iter()
            .min_by_key(|(_, (_, first, _))| *first);
        drop(run.rig);
        if let (Some((signature, (_, first, _))), false) = (first, settings.lenient) {
            let steps = wanted.into_iter().filter(|n| *n <= first).collect();
            report_shrunk(settings, profile, share, &script, steps, &signature);
        }
    }

    fn report(&self, settings: &Settings) -> ExitCode {
        self.coverage.print();
        self.decisions.print();
        let whole = self.asked >= coverage::ENOUGH && settings.profile.is_none();
        let missing = if whole {
            self.coverage.missing()
        } else {
            Vec::new()
        };
        for cell in &missing {
            println!("NOT COVERED: {cell}");
        }
        let failed = self.failed + missing.len();
        println!("{} passed, {failed} failed", self.passed);
        if failed == 0 && self.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn run(
    settings: &Settings,
    profile: &Profile,
    script: &[Step],
    wanted: &[usize],
    aloud: bool,
) -> Result<Run, String> {
    let oracle = settings.oracle.start(profile)?;
    let subject = settings.subject.start(profile)?;
    if aloud {
        println!(
            "profile {}: oracle {} on {}, subject {} on {}",
            profile.name, oracle.version, oracle.addr, subject.version, subject.addr
        );
    }
    let mut run = Run {
        kinds: BTreeMap::new(),
        asked: 0,
        rig: Rig::new(oracle, subject, settings.lenient),
    };
    if let Err(difference) = run.rig.enter() {
        run.kinds
            .insert(difference.signature.clone(), (1, 0, difference));
        return Ok(run);
    }
    for (done, &index) in wanted.iter().enumerate() {
        let Some(step) = script.get(index) else {
            continue;
        };
        run.asked += step.weight();
        if let Err(difference) = run.rig.step(step) {
            let kind = difference.signature.clone();
            run.kinds.entry(kind).or_insert((0, index, difference)).0 += 1;
            if !settings.lenient || run.kinds.len() >= ENOUGH_KINDS {
                return Ok(run);
            }
        }
        if aloud && done % 10_000 == 9_999 {
            println!("  … {} steps, {} requests", done + 1, run.asked);
        }
    }
    Ok(run)
}

/// The steps before a difference on the same connection.
fn print_context(script: &[Step], wanted: &[usize], first: usize) {
    let slot = script.get(first).and_then(Step::slot);
    let related = wanted
        .iter()
        .filter(|n| **n <= first)
        .filter_map(|n| script.get(*n).map(|step| (n, step)))
        .filter(|(_, step)| slot.is_none() || step.slot() == slot);
    let related: Vec<_> = related.collect();
    for (n, step) in related.iter().skip(related.len().saturating_sub(8)) {
        println!("  step {n}: {}", shorten(&format!("{step:?}")));
    }
}

fn shorten(text: &str) -> String {
    const MOST: usize = 900;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn report_shrunk(
    settings: &Settings,
    profile: &Profile,
    share: usize,
    script: &[Step],
    steps: Vec<usize>,
    signature: &str,
) {
    println!("shrinking {} steps …", steps.len());
    let mut tries = 0;
    let best = shrink::shrink(steps, |candidate| {
        tries += 1;
        run(settings, profile, script, candidate, false)
            .is_ok_and(|run| run.kinds.contains_key(signature))
    });
    println!("after {tries} tries {} steps are left:", best.len());
    for n in best.iter().skip(best.len().saturating_sub(40)) {
        println!("  step {n}: {}", shorten(&format!("{:?}", script[*n])));
    }
    println!(
        "REPRODUCE: DIFF_SEED={} DIFF_OPS={} DIFF_PROFILE={} DIFF_ONLY={}",
        settings.seed,
        share,
        profile.name,
        ranges(&best)
    );
}
