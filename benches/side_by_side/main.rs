//! Puts our server and Java's under the same load, one after the other, and compares.
//! `README.md` beside this folder says what is measured and how to read it.

mod args;
mod catalog;
mod conn;
mod driver;
mod echo;
mod ensemble;
mod error;
mod failover;
mod fsync;
mod knock;
mod large;
mod load;
mod locks;
mod ops;
mod proc;
mod report;
mod scenarios;
mod size;
mod snapshots;
mod stats;
mod svg;
mod systems;
mod watches;

use args::{Invocation, Settings, System};
use error::{Context, Failure};
use report::Report;
use scenarios::Bench;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};
use systems::Program;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let outcome = match args::parse(&args) {
        Ok(Invocation::Measure(settings)) => measure(&settings),
        Ok(Invocation::Echo { multi }) => echo::serve(multi, |port| say(&port.to_string())),
        Ok(Invocation::Help) => {
            say(args::USAGE);
            Ok(())
        }
        Ok(Invocation::List) => {
            for scenario in catalog::SCENARIOS {
                say(&format!("{:<18}{}", scenario.name, scenario.title));
            }
            Ok(())
        }
        Ok(Invocation::Nothing) => {
            say("side_by_side measures only under `cargo bench`");
            Ok(())
        }
        Err(error) => {
            complain(&format!("{error}\n\n{}", args::USAGE));
            return ExitCode::FAILURE;
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// A line for the reader. A reader that went away does not stop the run: the JSON may still matter.
fn say(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}

/// A line that must not be lost among the numbers.
fn complain(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

fn measure(settings: &Settings) -> Result<(), Failure> {
    let open_files = proc::raise_open_files()?;
    let base = base(settings)?;
    let mut report = Report::default();
    if settings.short {
        report.warnings.push(
            "this was the short run: small, barely warm, once. Do not quote it; --help shows how to \
             measure"
                .to_owned(),
        );
    }
    if is_in_memory(&base) {
        report.warnings.push(format!(
            "{} is in memory: every sync was free. Use --dir on a disk",
            base.display()
        ));
    }
    let programs = programs(settings, &mut report);
    for run in 0..settings.runs {
        for scenario in &settings.scenarios {
            for system in in_turn(&settings.systems, run) {
                let Some(program) = programs.get(&system) else {
                    continue;
                };
                if !scenarios::applies(system, scenario) {
                    continue;
                }
                let bench = Bench {
                    program,
                    system,
                    settings,
                    base: &base,
                    open_files,
                };
                complain(&format!(
                    "run {} of {}: {} on {system}",
                    run + 1,
                    settings.runs,
                    scenario.name
                ));
                let found = bench
                    .measure(scenario)
                    .map_err(|failure| failure.to_string());
                report.add(*scenario, system, found);
            }
        }
    }
    say(&report.table());
    if let Some(path) = &settings.json {
        let text = format!("{:#}\n", report.json(settings));
        fs::write(path, text).context("writing the JSON file")?;
    }
    if let Some(path) = &settings.svg {
        fs::write(path, svg::draw(&report)).context("writing the drawing")?;
    }
    if report.has_failures() {
        return Err(Failure::Unavailable(
            "some measurements failed; see !! above",
        ));
    }
    Ok(())
}

/// Where the systems are; a system that is not here is left out, loudly.
fn programs(settings: &Settings, report: &mut Report) -> BTreeMap<System, Program> {
    let mut programs = BTreeMap::new();
    for system in settings.systems.iter().copied() {
        match Program::find(system) {
            Ok(program) => {
                programs.insert(system, program);
            }
            Err(failure) => {
                let warning = format!("{system} IS NOT MEASURED: {failure}");
                complain(&format!("!! {warning}"));
                report.warnings.push(warning);
            }
        }
    }
    programs
}

/// The systems in an order that turns with every run, so that none always comes after another.
fn in_turn(systems: &[System], run: usize) -> Vec<System> {
    let mut systems = systems.to_vec();
    let by = run % systems.len().max(1);
    systems.rotate_left(by);
    systems
}

fn base(settings: &Settings) -> Result<PathBuf, Failure> {
    let base = settings.dir.clone();
    let base = base.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
    fs::create_dir_all(&base).context("making the directory for data")?;
    base.canonicalize().context("making the directory for data")
}

/// Whether a directory is on tmpfs, where a sync costs nothing.
fn is_in_memory(path: &std::path::Path) -> bool {
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type == TMPFS)
}
