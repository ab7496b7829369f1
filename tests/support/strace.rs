//! System calls of a running server that fail, or take long, on demand.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::print_stdout,
    reason = "each test binary uses its own part; a test that cannot run says so"
)]

use super::process::signal_to;
use rustix::process::Signal;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An strace on some threads of a process, until it is dropped.
pub struct Strace(Child);

impl Strace {
    /// On one thread.
    pub fn attach(thread: u32, inject: &str) -> Self {
        Self::wait(Self::start(&[], thread, inject), &[thread])
    }

    /// On all threads that nobody else traces, and on those they start.
    pub fn attach_to_all(pid: u32, inject: &str) -> Self {
        Self::wait(Self::start(&["-f"], pid, inject), &threads(pid))
    }

    fn start(options: &[&str], pid: u32, inject: &str) -> Child {
        let call = inject.split(':').next().expect("a call");
        let mut command = Command::new("strace");
        command
            .args(["-qq", "-o", "/dev/null", "-p", &pid.to_string()])
            .args([
                "-e",
                &format!("trace={call}"),
                "-e",
                &format!("inject={inject}"),
            ])
            .args(options);
        command
            .stdin(Stdio::null())
            .spawn()
            .expect("strace was there")
    }

    fn wait(child: Child, threads: &[u32]) -> Self {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut strace = Self(child);
        for thread in threads {
            while !is_traced(*thread) {
                let ended = strace.0.try_wait().expect("a child can be asked");
                assert!(ended.is_none(), "strace ended: {ended:?}");
                assert!(Instant::now() < deadline, "strace does not attach");
                std::thread::yield_now();
            }
        }
        strace
    }
}

impl Drop for Strace {
    /// On SIGTERM strace lets go of the process.
    fn drop(&mut self) {
        signal_to(self.0.id(), Signal::TERM);
        let _reaped = self.0.wait();
    }
}

fn is_traced(thread: u32) -> bool {
    // A thread is its own process in /proc, though not listed there.
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}

fn threads(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let number = |task: std::fs::DirEntry| task.file_name().to_str()?.parse().ok();
    tasks.filter_map(|task| number(task.ok()?)).collect()
}

/// The thread that writes the log.
pub fn log_thread(pid: u32) -> u32 {
    let is_log = |thread: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm"));
        name.is_ok_and(|name| name.trim() == "log")
    };
    threads(pid)
        .into_iter()
        .find(is_log)
        .expect("a log has a thread")
}

/// Whether strace can do here what these tests need.
pub fn can_inject() -> bool {
    let Ok(mut sleeper) = Command::new("sleep").arg("60").spawn() else {
        println!("SKIPPED: there is no `sleep`");
        return false;
    };
    let pid = sleeper.id().to_string();
    let words = [
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "inject=fsync:error=EIO",
        "-p",
        &pid,
    ];
    let attached = Command::new("strace")
        .args(words)
        .stderr(Stdio::null())
        .spawn();
    let can = attached.is_ok_and(|child| {
        let mut strace = Strace(child);
        let deadline = Instant::now() + Duration::from_secs(5);
        while !is_traced(sleeper.id()) {
            let ended = strace.0.try_wait().expect("a child can be asked");
            if ended.is_some() || Instant::now() > deadline {
                return false;
            }
        }
        true
    });
    let _gone = sleeper.kill();
    let _reaped = sleeper.wait();
    if !can {
        println!("SKIPPED: strace is missing or may not attach; install it, or run as root");
    }
    can
}
