//! System calls that fail on demand, in the real process: the n-th write, fsync or open of the log's thread,
//! every one of a snapshot's, and those of a start (P20, P22, P23, S30, S33).
//!
//! `strace` injects them. Where it is missing, or may not attach, the tests say SKIPPED. `INJECT_DEPTH` sets
//! how many different n are tried; a plain `cargo test` tries few.

#[path = "support/process.rs"]
mod process;
#[path = "support/strace.rs"]
mod strace;
mod support;

use process::{Process, signal_to};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use strace::{Strace, can_inject, log_thread};
use support::{Client, Numbers, check_numbers, free_port, write_numbers};

/// A second is promised (P22); a debugger and a busy machine get another.
const LIMIT: Duration = Duration::from_secs(2);
const BASE: &str = "/numbers";

fn depth() -> u32 {
    std::env::var("INJECT_DEPTH").map_or(2, |depth| depth.parse().expect("a number"))
}

/// A data directory that servers come and go on.
struct Scene {
    data: tempfile::TempDir,
    port: u16,
    settings: Vec<&'static str>,
    next: u32,
}

impl Scene {
    fn new(settings: &[&'static str]) -> Self {
        let scene = Self {
            data: tempfile::tempdir().expect("a directory can be made"),
            port: free_port(),
            settings: settings.to_vec(),
            next: 0,
        };
        let server = scene.start();
        let mut client = Client::connect(server.address).expect("the server serves");
        client
            .create(BASE, b"", 0)
            .expect("it answers")
            .expect("it creates");
        server.kill();
        scene
    }

    fn start(&self) -> Process {
        Process::start(self.data.path(), self.port, &self.settings)
    }

    fn errors(&self) -> PathBuf {
        self.data.path().join("errors.txt")
    }

    fn start_logged(&self) -> Process {
        let (data, errors) = (self.data.path(), self.errors());
        let mut server = Process::spawn_logged(data, self.port, &self.settings, &errors);
        server.wait_until_serving().expect("the server serves");
        server
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.errors()).expect("errors are text")
    }

    /// Starts without any fault: everything acknowledged is there, and nothing half.
    fn check(&mut self, numbers: Numbers) {
        let server = self.start();
        self.next = check_numbers(server.address, BASE, numbers);
        server.kill();
    }

    /// Writes against a server whose log's thread meets a fault. Returns how it ended, if it did.
    fn meet(&mut self, inject: &str) -> (Numbers, Option<ExitStatus>) {
        let mut server = self.start_logged();
        let strace = Strace::attach(log_thread(server.id()), inject);
        let numbers = write_numbers(server.address, BASE, self.next, self.next + 1500);
        let limit = LIMIT.saturating_sub(numbers.last_answer.elapsed());
        let status = server.wait(limit);
        drop(strace);
        (numbers, status)
    }
}

/// Small files, so that rolls are among what fails.
const SMALL_LOGS: [&str; 2] = ["preAllocSize=64", "txnLogSizeLimitInKb=16"];

#[test]
fn a_log_that_cannot_be_written_ends_the_process_and_loses_nothing_acknowledged() {
    if !can_inject() {
        return;
    }
    let faults = [
        ("fdatasync", "EIO", "Input/output error"),
        ("pwrite64", "EIO", "Input/output error"),
        ("pwrite64", "ENOSPC", "No space left on device"),
        ("fsync", "EIO", "Input/output error"),
        ("openat", "ENOSPC", "No space left on device"),
        ("openat", "EMFILE", "Too many open files"),
        ("fallocate", "EIO", "Input/output error"),
    ];
    let mut scene = Scene::new(&SMALL_LOGS);
    for (call, error, text) in faults {
        for n in 1..=depth() {
            // One failure, as a disk has it, and calls that work again afterwards: what a retry would hide.
            // Between two writes of the log are at most two of the mark, whose failures cost nothing.
            // Between two fsyncs is at most one.
            let last = match call {
                "pwrite64" => n + 2,
                "fdatasync" => n + 1,
                _ => n,
            };
            let inject = format!("{call}:error={error}:when={n}..{last}");
            let (numbers, status) = scene.meet(&inject);
            let status = status.unwrap_or_else(|| panic!("{inject}: it lives on, {numbers:?}"));
            let said = scene.said();
            assert_eq!(status.code(), Some(1), "{inject}: {said}");
            let dir = scene.data.path().join("version-2");
            let names = said.contains(dir.to_str().expect("text")) && said.contains(text);
            assert!(names, "{inject}: {said}");
            scene.check(numbers);
        }
    }
}

#[test]
fn a_full_disk_while_the_log_grows_says_what_to_do() {
    if !can_inject() {
        return;
    }
    let mut scene = Scene::new(&SMALL_LOGS);
    let (numbers, status) = scene.meet("fallocate:error=ENOSPC:when=1+");
    let said = scene.said();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{said}");
    assert!(said.contains("cannot find room"), "{said}");
    assert!(said.contains("free some space and restart"), "{said}");
    scene.check(numbers);
}

#[test]
fn an_interrupted_call_is_no_failure() {
    if !can_inject() {
        return;
    }
    let mut scene = Scene::new(&SMALL_LOGS);
    for call in ["fdatasync", "pwrite64", "fsync", "openat", "fallocate"] {
        let (numbers, status) = scene.meet(&format!("{call}:error=EINTR:when=2+3"));
        assert!(status.is_none(), "{call}: {status:?}, {}", scene.said());
        assert_eq!(numbers.acknowledged, numbers.sent);
        scene.check(numbers);
    }
}

#[test]
fn a_kill_between_any_two_calls_of_the_log_loses_nothing_acknowledged() {
    if !can_inject() {
        return;
    }
    let mut scene = Scene::new(&SMALL_LOGS);
    for call in ["fdatasync", "pwrite64", "fsync", "openat", "fallocate"] {
        for n in 1..=depth() {
            let inject = format!("{call}:signal=SIGKILL:when={n}");
            let (numbers, status) = scene.meet(&inject);
            let status = status.unwrap_or_else(|| panic!("{inject}: it lives on"));
            assert_eq!(status.code(), None, "{inject}: {status}");
            scene.check(numbers);
        }
    }
}

fn snapshots(dir: &Path) -> (Vec<String>, usize) {
    let names = std::fs::read_dir(dir.join("version-2")).expect("it is there");
    let mut names: Vec<_> = names
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .filter(|name| name.starts_with("snapshot."))
        .collect();
    let tmp = names.iter().filter(|name| name.ends_with(".tmp")).count();
    names.retain(|name| !name.ends_with(".tmp"));
    names.sort();
    (names, tmp)
}

fn failed_snapshots(server: &Process) -> u64 {
    let text = support::four_letters(server.address, "mntr");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("zk_snapshot_error_count"));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or_else(|| panic!("{text}"))
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_snapshot_that_cannot_be_written_costs_nothing_and_is_tried_again() {
    if !can_inject() {
        return;
    }
    let faults = [
        "openat:error=ENOSPC:when=1+",
        "openat:error=EMFILE:when=1+",
        "pwrite64:error=ENOSPC:when=1+",
        "pwrite64:error=EIO:when=2+",
        "fdatasync:error=EIO:when=1+",
        "rename:error=EIO:when=1+",
        "fsync:error=EIO:when=1+",
    ];
    let few = usize::try_from(depth() + 1)
        .expect("small")
        .min(faults.len());
    for inject in faults.iter().rev().take(few) {
        let mut scene = Scene::new(&[
            "preAllocSize=64",
            "snapCount=100",
            "4lw.commands.whitelist=mntr,srvr",
        ]);
        let server = scene.start_logged();
        let (before, _) = snapshots(scene.data.path());
        // A thread has one tracer: whoever holds the log's own spares it. The others, and the threads they
        // start, are not spared.
        let spared = Strace::attach(log_thread(server.id()), "getppid:error=EPERM");
        let strace = Strace::attach_to_all(server.id(), inject);
        let numbers = write_numbers(server.address, BASE, 0, 400);
        assert_eq!(numbers.acknowledged, 400, "{inject}: serving goes on");
        wait_for("a snapshot fails", || failed_snapshots(&server) > 0);
        drop((strace, spared));
        let (after, tmp) = snapshots(scene.data.path());
        assert!(
            before.iter().all(|name| after.contains(name)),
            "{inject}: {before:?}, {after:?}"
        );
        if !inject.starts_with("fsync") {
            assert_eq!((after, tmp), (before.clone(), 0), "{inject}");
        }
        assert!(scene.said().contains("serving goes on"), "{}", scene.said());
        let state = support::four_letters(server.address, "srvr");
        let last = state.lines().find_map(|line| line.strip_prefix("Zxid: 0x"));
        let last = format!("snapshot.{}", last.expect("it has a zxid"));
        wait_for("it is tried again", || {
            let (now, tmp) = snapshots(scene.data.path());
            now.contains(&last) && tmp == 0
        });
        server.kill();
        scene.check(numbers);
    }
}

/// Children of a process, in the kernel's words.
fn child_of(pid: u32) -> Option<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(path).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[test]
fn a_fault_during_a_start_refuses_it_or_does_not_matter() {
    if !can_inject() {
        return;
    }
    let faults = [
        "fdatasync:error=EIO",
        "fsync:error=EIO",
        "pwrite64:error=ENOSPC",
        "rename:error=EIO",
        "ftruncate:error=EIO",
        "flock:error=ENOLCK",
        "mkdir:error=EROFS",
    ];
    let few = depth().min(3);
    for fault in faults {
        for n in 1..=few {
            let mut scene = Scene::new(&SMALL_LOGS);
            // Once on data there is, once on none.
            let empty = tempfile::tempdir().expect("a directory can be made");
            let fresh = empty.path().join("not/there/yet");
            let existing = scene.data.path().to_owned();
            for data in [&existing, &fresh] {
                let inject = format!("inject={fault}:when={n}");
                let call = fault.split(':').next().expect("a call");
                let trace = format!("trace={call}");
                let words = [
                    "strace",
                    "-f",
                    "-qq",
                    "-o",
                    "/dev/null",
                    "-e",
                    &trace,
                    "-e",
                    &inject,
                ];
                let errors = std::fs::File::create(scene.errors()).expect("a file");
                let mut strace = Process::spawn(&words, data, scene.port, &scene.settings, errors);
                match strace.wait_until_serving() {
                    Ok(()) => {
                        let server = child_of(strace.id()).expect("strace has a child");
                        signal_to(server, Signal::KILL);
                        strace
                            .wait(Duration::from_secs(10))
                            .expect("strace ends with it");
                    }
                    Err(status) => {
                        let said = scene.said();
                        let known = matches!(status.code(), Some(1 | 3 | 10));
                        assert!(known, "{inject}: {status}, {said}");
                        let names = said.contains(data.to_str().expect("text"))
                            || said.contains("not/there")
                            || said.contains(empty.path().to_str().expect("text"));
                        assert!(names, "{inject}: {said}");
                    }
                }
                // Without the fault it starts, whatever the other start left.
                let server = Process::start(data, scene.port, &scene.settings);
                server.kill();
            }
            scene.check(Numbers {
                acknowledged: 0,
                sent: 0,
                last_answer: Instant::now(),
            });
        }
    }
}
