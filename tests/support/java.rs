//! Where Apache's servers are on this machine.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses its own part"
)]

#[path = "debian.rs"]
mod debian;

use super::members::Kind;
use std::path::Path;

/// A line of Apache's releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    V38,
    V39,
}

/// A server of this release; without one, says so loudly.
pub fn kind(release: Release) -> Option<Kind> {
    let classes = match release {
        Release::V38 => debian::class_path(),
        Release::V39 => of_3_9(),
    };
    if classes.is_none() {
        println!("**** SKIPPED: no Apache ZooKeeper {release:?} on this machine ****");
    }
    // One string for each test: it lives as long as the process.
    classes.map(|classes| Kind::Java(classes.leak()))
}

fn of_3_9() -> Option<String> {
    if let Ok(classes) = std::env::var("ZK39_CP") {
        return Some(classes);
    }
    let dir = Path::new("/opt/zk39/lib");
    dir.exists().then(|| format!("{}/*", dir.display()))
}
