//! The command line, tested.

use crate::args::*;
use crate::catalog::SCENARIOS;
use std::path::PathBuf;
use std::time::Duration;

fn parsed(line: &str) -> Result<Invocation, BadArgs> {
    parse(
        &line
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    )
}

fn settings(line: &str) -> Settings {
    match parsed(line) {
        Ok(Invocation::Measure(settings)) => settings,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_plain_cargo_bench_is_short_and_says_so() {
    let plain = settings("--bench");
    assert!(plain.short && plain.runs == 1 && plain.scaled(1_000_000) == 50_000);
    assert_eq!(plain.scenarios, SCENARIOS);
    assert!(!settings("--runs 1 --bench").short);
}

#[test]
fn cargo_test_does_not_measure() {
    assert_eq!(parsed(""), Ok(Invocation::Nothing));
    assert_eq!(parsed("--nocapture"), Ok(Invocation::Nothing));
}

#[test]
fn every_option_lands_in_its_field() {
    let all = settings(
        "--systems java,ours,java --scenarios idle,reads --seconds 0.5 --warm 3 --runs 5 --scale 7 \
         --json out.json --dir /data --bench",
    );
    assert_eq!(all.systems, [System::Ours, System::Java]);
    let names: Vec<_> = all.scenarios.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names, ["reads-64x16", "reads-64x1", "reads-1x1", "idle"]);
    assert_eq!(all.seconds, Duration::from_millis(500));
    assert_eq!(all.warm, Duration::from_secs(3));
    assert_eq!((all.runs, all.scale), (5, 7));
    assert_eq!(all.json, Some(PathBuf::from("out.json")));
    assert_eq!(all.dir, Some(PathBuf::from("/data")));
}

#[test]
fn nonsense_is_named() {
    let bad = |line: &str| parsed(line).expect_err("nonsense");
    assert_eq!(
        bad("--sceonds 3 --bench"),
        BadArgs::Option("--sceonds".into())
    );
    assert_eq!(bad("--bench --runs"), BadArgs::Missing("--runs"));
    assert_eq!(bad("--systems go --bench"), BadArgs::System("go".into()));
    assert_eq!(bad("--scenarios x --bench"), BadArgs::Scenario("x".into()));
    for value in ["0", "-1", "many", "NaN"] {
        let error = bad(&format!("--seconds {value} --bench"));
        assert!(
            matches!(
                error,
                BadArgs::Number {
                    option: "--seconds",
                    ..
                }
            ),
            "{value}"
        );
        let error = bad(&format!("--runs {value} --bench"));
        assert!(
            matches!(
                error,
                BadArgs::Number {
                    option: "--runs",
                    ..
                }
            ),
            "{value}"
        );
    }
}

#[test]
fn a_scale_never_leaves_nothing() {
    let small = settings("--scale 1 --bench");
    assert_eq!((small.scaled(10_000), small.scaled(5)), (100, 1));
}

#[test]
fn help_list_and_echo_are_modes() {
    assert_eq!(parsed("--help --bench"), Ok(Invocation::Help));
    assert_eq!(parsed("--list --bench"), Ok(Invocation::List));
    assert_eq!(
        parsed("--echo-server multi"),
        Ok(Invocation::Echo { multi: true })
    );
    assert_eq!(
        parsed("--echo-server single"),
        Ok(Invocation::Echo { multi: false })
    );
}
