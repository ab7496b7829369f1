//! Apache's C client, as a process: `driver.c`, compiled here against the library of this machine.

use super::scenarios::{NODES, Op, Scenario, Spent};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The compiled driver.
#[derive(Debug)]
pub(crate) struct Compiled {
    program: PathBuf,
    _dir: TempDir,
}

impl Compiled {
    /// Compiles it. Without a compiler or the library there is none, and why is said.
    pub(crate) fn new() -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let program = dir.path().join("driver");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/clients/driver.c");
        let compiled = Command::new("cc")
            .args(["-O2", "-o"])
            .arg(&program)
            .arg(source)
            .args(["-lzookeeper_mt", "-lpthread"])
            .output();
        match compiled {
            Err(error) => Err(format!("there is no C compiler: {error}")),
            Ok(done) if !done.status.success() => {
                let why = String::from_utf8_lossy(&done.stderr);
                let first = why.lines().next().unwrap_or_default();
                Err(format!("driver.c needs libzookeeper-mt-dev: {first}"))
            }
            Ok(_) => Ok(Self { program, _dir: dir }),
        }
    }

    fn command(&self, hosts: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(hosts);
        command
    }

    /// One session, which waits for orders.
    pub(crate) fn start(&self, hosts: &str, scenario: Scenario) -> Driver {
        let op = match scenario.op {
            Op::Get => "get",
            Op::Set => "set",
        };
        let in_flight = scenario.tasks * scenario.window;
        let mut child = self
            .command(hosts)
            .args(["load", op, &NODES.to_string(), &in_flight.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("what was compiled runs");
        let orders = child.stdin.take().expect("it is piped");
        let mut told = BufReader::new(child.stdout.take().expect("it is piped"));
        assert_eq!(line(&mut told), "ready");
        Driver {
            child,
            orders,
            told,
        }
    }

    /// What so many idle clients, or watches, cost in resident memory: bytes each.
    pub(crate) fn memory(&self, hosts: &str, what: &str, count: usize) -> u64 {
        let done = self
            .command(hosts)
            .args([what, &count.to_string()])
            .output();
        let done = done.expect("what was compiled runs");
        assert!(done.status.success(), "the driver failed");
        let text = String::from_utf8_lossy(&done.stdout);
        text.trim().parse().expect("a number")
    }
}

fn line(from: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("the driver speaks");
    line.trim().to_owned()
}

/// The driver with a session; it is killed when dropped.
#[derive(Debug)]
pub(crate) struct Driver {
    child: Child,
    orders: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Driver {
    /// Does so many operations, all of which succeed.
    pub(crate) fn run(&mut self, operations: u64) -> Spent {
        writeln!(self.orders, "{operations}").expect("the driver listens");
        let told = line(&mut self.told);
        let numbers = told.split(' ').map(|text| text.parse().expect("a number"));
        let [time, cpu, succeeded] = numbers.collect::<Vec<u64>>()[..] else {
            panic!("the driver says {told}");
        };
        assert_eq!(succeeded, operations, "every operation succeeds");
        Spent {
            time: Duration::from_nanos(time),
            cpu: Duration::from_nanos(cpu),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}
