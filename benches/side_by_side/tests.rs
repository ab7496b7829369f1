//! The tests of the runner's pure parts. A bench without a harness cannot run the tests beside its code,
//! so they have a target of their own.
#![expect(
    dead_code,
    reason = "the rest of the runner, which uses everything, is not part of this target"
)]

mod args;
mod args_tests;
mod catalog;
mod catalog_tests;
mod size;
mod stats;
mod stats_tests;
