//! Bugs of the past are put back one at a time, and must be found: who does not find those finds no others.

use crate::live_in;
use crate::world::World;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use zk_zab::canary::Canary;

/// How many worlds a bug may live through.
const MOST_SEEDS: u64 = 400;
const THREADS: usize = 2;
/// Worlds that have found something before: they are tried first.
const TELLING: [u64; 13] = [1, 2, 5, 12, 13, 32, 34, 43, 62, 128, 312, 458, 1027];

thread_local! {
    /// What falls here is meant to.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

fn be_quiet() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !QUIET.get() {
            loud(info);
        }
    }));
}

/// The first seed that finds the bug, and what it says.
fn find(bug: Canary, most: u64) -> Option<(u64, String)> {
    Canary::put_back(Some(bug));
    let found = TELLING.into_iter().chain(1..=most).find_map(|seed| {
        let lived = catch_unwind(AssertUnwindSafe(|| live_in(&mut World::new(seed))));
        let failure = lived.err()?;
        let text = failure.downcast_ref::<String>().cloned();
        let text = text.or_else(|| {
            failure
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        });
        let text = text.unwrap_or_default();
        Some((seed, text.replace('\n', " ").chars().take(90).collect()))
    });
    Canary::put_back(None);
    found
}

#[test]
fn every_bug_that_is_put_back_is_found() {
    be_quiet();
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let most: u64 = number("ZAB_SEEDS").unwrap_or(MOST_SEEDS);
    let only = std::env::var("ZAB_CANARY").ok();
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let look = || {
        QUIET.set(true);
        while let Some(bug) = Canary::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            if only
                .as_ref()
                .is_some_and(|only| *only != format!("{bug:?}"))
            {
                continue;
            }
            match find(*bug, most) {
                Some((seed, text)) => println!("{bug:?}: seed {seed}: {text}"),
                None => missed.lock().unwrap().push(*bug),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(look);
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(
        missed.is_empty(),
        "nobody finds {missed:?} in {most} worlds"
    );
}
