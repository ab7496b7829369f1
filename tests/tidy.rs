//! House manners that no lint knows: every file says what lives in it, nothing is left for later, and the
//! protocol's page names every message.

use std::fs;
use std::path::{Path, PathBuf};
use zk_proto::OpCode;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files of the workspace.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let folders = [
        "src",
        "zk-proto",
        "zk-zab",
        "zk-server",
        "zk-client",
        "zk-recipes",
        "benches",
        "examples",
        "tests",
    ];
    let mut left: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = left.pop() {
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "target" {
            left.extend(
                fs::read_dir(&path)
                    .expect("a folder can be listed")
                    .map(|entry| entry.expect("a folder can be listed").path()),
            );
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    assert!(found.len() > 50, "the sources are here");
    found
}

#[test]
fn every_file_says_what_lives_in_it() {
    // A module's tests in a file of their own, and what libFuzzer wants, are named by where they stand.
    let obvious = |path: &PathBuf| {
        path.ends_with("tests.rs")
            || path
                .components()
                .any(|part| part.as_os_str() == "fuzz_targets")
    };
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|path| !obvious(path))
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!"))
        .collect();
    assert_eq!(
        silent,
        Vec::<PathBuf>::new(),
        "begin these files with `//!`"
    );
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        "TO".to_owned() + "DO",
        "FIX".to_owned() + "ME",
        "XX".to_owned() + "X:",
        "HA".to_owned() + "CK",
    ];
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for word in &words {
            assert!(!text.contains(word.as_str()), "{}: {word}", path.display());
        }
    }
}

#[test]
fn the_protocol_page_names_every_message() {
    let page = fs::read_to_string(root().join("docs/PROTOCOL.md")).unwrap();
    for op in OpCode::NAMED {
        let name = op.to_string();
        let internal = matches!(
            op,
            OpCode::CreateSession | OpCode::DeleteContainer | OpCode::Error
        );
        assert!(
            internal || page.contains(&name),
            "docs/PROTOCOL.md does not know {name}"
        );
    }
}

#[test]
fn pure_rooms_are_guarded() {
    for room in [
        "zk-proto/src/lib.rs",
        "zk-zab/src/lib.rs",
        "zk-server/src/tree/mod.rs",
        "zk-server/src/session/mod.rs",
        "zk-client/src/session/mod.rs",
        "zk-client/src/watch/table.rs",
        "zk-client/src/hosts/mod.rs",
    ] {
        let text = fs::read_to_string(root().join(room)).unwrap();
        assert!(
            text.contains("#![deny(clippy::disallowed_methods, clippy::disallowed_types)]"),
            "{room}"
        );
    }
}

#[test]
fn the_agreement_knows_no_runtime() {
    let manifest = fs::read_to_string(root().join("zk-zab/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let known: Vec<_> = dependencies
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(known, ["zk-proto", "bytes"]);
}
