//! Every example runs to its end, without a server at hand.
#![expect(clippy::unwrap_used, reason = "a test's")]

use std::path::PathBuf;
use std::process::Command;

/// The names of all examples, as Cargo finds them.
fn names() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().path());
    let mut names: Vec<_> = names
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_example_runs_to_its_end() {
    // Nothing to do where all of `cargo test` has built them; this test alone would run yesterday's.
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "zk", "--examples"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "the examples build");

    // target/debug/deps/examples-HASH → target/debug/examples
    let this = std::env::current_exe().unwrap();
    let built = this.ancestors().nth(2).unwrap().join("examples");
    let names = names();
    assert!(!names.is_empty());
    for name in names {
        let program = built.join(&name);
        let output = Command::new(&program).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}{failed}");
        assert!(said.lines().count() >= 3, "{name} shows little: {said}");
    }
}
