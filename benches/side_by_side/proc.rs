//! What `/proc` tells of a process: the CPU it used, all threads together, and its memory.

use crate::error::{Context, Failure};
use std::fs;
use std::process;
use std::time::Duration;

/// The CPU time a process has used so far, user and system, in all its threads.
pub(crate) fn cpu(pid: u32) -> Result<Duration, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("reading /proc/PID/stat")?;
    let ticks = ticks(&stat).ok_or(Failure::Proc("utime and stime"))?;
    let nanos_per_tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_nanos(ticks * nanos_per_tick))
}

/// The same of several processes together.
pub(crate) fn cpu_of_all(pids: &[u32]) -> Result<Duration, Failure> {
    pids.iter().map(|pid| cpu(*pid)).sum()
}

/// The CPU time of the threads a process has now, in nanoseconds instead of ticks: for idleness, where
/// a tick is far too much. Where the kernel does not tell, ticks must do.
pub(crate) fn cpu_of_threads(pid: u32) -> Result<Duration, Failure> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).context("reading /proc/PID/task")?;
    let mut sum = Duration::ZERO;
    for thread in threads {
        let path = thread
            .context("reading /proc/PID/task")?
            .path()
            .join("schedstat");
        // A thread may end between the two looks.
        let stat = fs::read_to_string(path).unwrap_or_default();
        let nanos = stat
            .split_ascii_whitespace()
            .next()
            .and_then(|nanos| nanos.parse().ok());
        sum += Duration::from_nanos(nanos.unwrap_or(0));
    }
    if sum.is_zero() { cpu(pid) } else { Ok(sum) }
}

/// The CPU time this process has used so far.
pub(crate) fn own_cpu() -> Result<Duration, Failure> {
    cpu(process::id())
}

/// `utime` and `stime`. The name of the program comes first and may contain anything, even a `)`.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let utime: u64 = fields.next()?.parse().ok()?;
    let stime: u64 = fields.next()?.parse().ok()?;
    Some(utime + stime)
}

/// A process's memory in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// Resident at most, so far.
    pub(crate) peak: u64,
}

/// The memory of a process.
pub(crate) fn memory(pid: u32) -> Result<Memory, Failure> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context("reading /proc/PID/status")?;
    let field = |name: &'static str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        kilobytes
            .map(|kilobytes: u64| kilobytes * 1024)
            .ok_or(Failure::Proc(name))
    };
    Ok(Memory {
        resident: field("VmRSS:")?,
        peak: field("VmHWM:")?,
    })
}

/// Raises the soft limit on open files to the hard one, for us and the servers we start, and says
/// how many that is.
pub(crate) fn raise_open_files() -> Result<u64, Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).context("raising the limit on open files")?;
    Ok(maximum.unwrap_or(u64::MAX))
}
