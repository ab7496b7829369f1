//! `envi`: where and as whom this process runs, under Java's keys, and the version of this server.

use rustix::process::getuid;
use rustix::system::uname;
use std::path::PathBuf;

/// The release whose wire, files and texts these are, and the one that speaks.
const COMPATIBLE: &str = "3.9.5";
/// Set while building to tell builds apart; a build without it must still be reproducible.
const BUILT: Option<&str> = option_env!("ZK_BUILD_DATE");

/// The version in Java's shape: monitors look for `\d+\.\d+\.\d+` at its beginning and split at the comma.
pub fn version() -> String {
    let built = BUILT.unwrap_or("2026-11-21 00:00");
    format!(
        "{COMPATIBLE}-zk-server-{}, built on {built} UTC",
        env!("CARGO_PKG_VERSION")
    )
}

/// The surroundings of this process, in Java's order. The keys about Java name what stands in its place, so
/// that scripts which look for a key find one.
pub fn environment() -> Vec<(&'static str, String)> {
    let system = uname();
    let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
    let program = path(std::env::current_exe().ok());
    let (user, home) = user();
    let memory = Memory::read();
    vec![
        ("zookeeper.version", version()),
        ("host.name", text(system.nodename())),
        (
            "java.version",
            format!("none (zk-server {})", env!("CARGO_PKG_VERSION")),
        ),
        ("java.vendor", "none".to_owned()),
        ("java.home", "none".to_owned()),
        ("java.class.path", program),
        ("java.library.path", variable("LD_LIBRARY_PATH")),
        ("java.io.tmpdir", path(Some(std::env::temp_dir()))),
        ("java.compiler", "rustc".to_owned()),
        ("os.name", text(system.sysname())),
        ("os.arch", java_arch(&text(system.machine()))),
        ("os.version", text(system.release())),
        ("user.name", user),
        ("user.home", home),
        ("user.dir", path(std::env::current_dir().ok())),
        ("os.memory.free", format!("{}MB", memory.free >> 10)),
        ("os.memory.max", format!("{}MB", memory.max >> 10)),
        ("os.memory.total", format!("{}MB", memory.used >> 10)),
    ]
}

/// A value on one line: a path may hold anything.
fn path(path: Option<PathBuf>) -> String {
    path.map_or_else(|| "?".to_owned(), |path| one_line(&path.to_string_lossy()))
}

fn variable(name: &str) -> String {
    std::env::var(name).map_or_else(|_| String::new(), |value| one_line(&value))
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn java_arch(machine: &str) -> String {
    if machine == "x86_64" {
        "amd64"
    } else {
        machine
    }
    .to_owned()
}

/// Name and home of the user, from the same list as the C library's; ids without an entry get `?`, as in Java.
fn user() -> (String, String) {
    let id = getuid().as_raw().to_string();
    let list = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = list.lines().map(|line| line.split(':').collect::<Vec<_>>());
    match entry
        .into_iter()
        .find(|fields| fields.len() >= 6 && fields[2] == id)
    {
        Some(fields) => (one_line(fields[0]), one_line(fields[5])),
        None => ("?".to_owned(), "?".to_owned()),
    }
}

/// Kilobytes: what may still be had, what there is, and what this process holds.
#[derive(Debug, Default)]
struct Memory {
    free: u64,
    max: u64,
    used: u64,
}

impl Memory {
    fn read() -> Self {
        let system = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let own = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            free: kilobytes(&system, "MemAvailable:"),
            max: kilobytes(&system, "MemTotal:"),
            used: kilobytes(&own, "VmRSS:"),
        }
    }
}

fn kilobytes(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_systems_tables() {
        let table = "MemTotal:       24000000 kB\nMemAvailable:   1000 kB\n";
        assert_eq!(kilobytes(table, "MemTotal:"), 24_000_000);
        assert_eq!(kilobytes(table, "MemAvailable:"), 1000);
        assert_eq!(kilobytes(table, "Swap:"), 0);
        let memory = Memory::read();
        assert!(memory.max > memory.used && memory.used > 0);
    }

    #[test]
    fn the_version_is_one_that_monitors_understand() {
        let version = version();
        assert!(version.starts_with("3.9.5-zk-server-"), "{version}");
        assert!(
            version.contains(", built on ") && version.ends_with(" UTC"),
            "{version}"
        );
    }
}
