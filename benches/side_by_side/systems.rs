//! Starting and stopping what is measured. Every server gets a fresh directory on the same disk, the
//! same configuration, and syncs to disk as it would in production.

use crate::args::System;
use crate::error::{Context, Failure};
use crate::knock;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any server here takes, even with a million nodes to load.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks at a server that ends.
const LOOK: Duration = Duration::from_millis(2);
/// The heap that `zkServer.sh` gives.
const JAVA_HEAP: &str = "-Xmx1000m";
/// What Debian's package needs.
const DEBIAN_JARS: [&str; 4] = ["zookeeper", "slf4j-simple", "commons-cli", "servlet-api"];

/// How to start a system.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    system: System,
    command: Vec<String>,
    /// The size of what must be installed, for ours the binary, for Java the jars without the JVM.
    pub(crate) bytes: u64,
}

impl Program {
    /// Finds a system on this machine.
    pub(crate) fn find(system: System) -> Result<Self, Failure> {
        let (command, files) = match system {
            System::Ours => {
                let binary = our_binary();
                (vec![text(&binary), "start".to_owned()], vec![binary])
            }
            System::Java => {
                let jars = java_class_path()?;
                let path = jars
                    .iter()
                    .map(|jar| text(jar))
                    .collect::<Vec<_>>()
                    .join(":");
                (java_command(&path), jars)
            }
            System::Echo | System::EchoSingle | System::Fsync => {
                let mode = if system == System::Echo {
                    "multi"
                } else {
                    "single"
                };
                let own = env::current_exe().context("finding myself")?;
                let words = [text(&own), "--echo-server".to_owned(), mode.to_owned()];
                (words.to_vec(), vec![own])
            }
        };
        let bytes = files.iter().filter_map(|file| fs::metadata(file).ok());
        Ok(Self {
            system,
            command,
            bytes: bytes.map(|file| file.len()).sum(),
        })
    }

    /// The command, started in `dir`, and the file that takes what it says.
    fn command_in(&self, dir: &Path) -> Result<(Command, File), Failure> {
        let log = File::create(dir.join("output.log")).context("creating the server's log")?;
        let (first, rest) = self
            .command
            .split_first()
            .ok_or(Failure::Unavailable("no command"))?;
        let mut command = Command::new(first);
        command.args(rest).current_dir(dir).stdin(Stdio::null());
        command.stderr(log.try_clone().context("sharing the log")?);
        Ok((command, log))
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Cargo builds the server before its benches and says where, so it is never an old one.
fn our_binary() -> PathBuf {
    env::var_os("ZK_SERVER_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_zk-server").into(), PathBuf::from)
}

fn java_class_path() -> Result<Vec<PathBuf>, Failure> {
    let jars: Vec<PathBuf> = match env::var_os("ZK_JAVA_CP") {
        Some(path) => env::split_paths(&path).collect(),
        None => DEBIAN_JARS
            .iter()
            .map(|name| PathBuf::from(format!("/usr/share/java/{name}.jar")))
            .collect(),
    };
    let is_there = |jar: &PathBuf| jar.exists() || jar.ends_with("*");
    if !jars.iter().all(is_there) {
        return Err(Failure::Unavailable(
            "Java's ZooKeeper is not installed: neither ZK_JAVA_CP nor Debian's zookeeper package",
        ));
    }
    let java = Command::new("java")
        .arg("-version")
        .stderr(Stdio::null())
        .status();
    if !java.is_ok_and(|status| status.success()) {
        return Err(Failure::Unavailable("there is no java on the path"));
    }
    Ok(jars)
}

fn java_command(class_path: &str) -> Vec<String> {
    let words = [
        "java",
        JAVA_HEAP,
        "-Dzookeeper.jmx.log4j.disable=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dlog4j2.level=WARN",
        "-cp",
        class_path,
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
    ];
    words.map(str::to_owned).to_vec()
}

/// A running server; it is killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    began: Instant,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// From the start of the process to the first session.
    pub(crate) start_time: Duration,
}

impl Server {
    /// Starts a system alone on what is in `dir` and waits until it gave a session to someone.
    pub(crate) fn start(program: &Program, dir: &Path) -> Result<Self, Failure> {
        Self::start_with(program, dir, "")
    }

    /// The same with more lines in its configuration.
    pub(crate) fn start_with(program: &Program, dir: &Path, more: &str) -> Result<Self, Failure> {
        let is_echo = matches!(program.system, System::Echo | System::EchoSingle);
        let mut server = if is_echo {
            Self::spawn_echo(program, dir)?
        } else {
            let [port] = free_ports()?;
            let config = write_config(dir, port, more)?;
            Self::spawn(program, dir, &config, port)?
        };
        server.wait_until_serving()?;
        Ok(server)
    }

    /// Starts a process with a configuration that names this client port.
    pub(crate) fn spawn(
        program: &Program,
        dir: &Path,
        config: &Path,
        port: u16,
    ) -> Result<Self, Failure> {
        let (mut command, log) = program.command_in(dir)?;
        command.stdout(log).arg(config);
        let began = Instant::now();
        let child = command.spawn().context("starting the server")?;
        Ok(Self::new(child, began, port))
    }

    fn spawn_echo(program: &Program, dir: &Path) -> Result<Self, Failure> {
        let (mut command, _log) = program.command_in(dir)?;
        command.stdout(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().context("starting the server")?;
        let port = port_told_by(&mut child)?;
        Ok(Self::new(child, began, port))
    }

    fn new(child: Child, began: Instant, port: u16) -> Self {
        Self {
            child,
            began,
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            start_time: Duration::ZERO,
        }
    }

    /// Waits until it gives someone a session.
    pub(crate) fn wait_until_serving(&mut self) -> Result<(), Failure> {
        knock::until_serving(self.addr, &mut self.child, PATIENCE)?;
        self.start_time = self.began.elapsed();
        Ok(())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as an operator would, and waits.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        use rustix::process::{Pid, Signal, kill_process};
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(Failure::Proc("a pid"))?;
        kill_process(pid, Signal::TERM).context("asking the server to end")?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self
                .child
                .try_wait()
                .context("waiting for the server")?
                .is_some()
            {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        Err(Failure::Stuck {
            what: "end of the server",
            missing: 1,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and there is nobody left to tell.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// The same words for every server, and `more`. The backlog is raised because the kernel's answer to a full
/// one is a pause of a second, which would be measured instead of the server.
pub(crate) fn write_config(dir: &Path, port: u16, more: &str) -> Result<PathBuf, Failure> {
    let data = dir.join("data");
    let path = dir.join("zoo.cfg");
    fs::create_dir_all(&data).context("creating the data directory")?;
    let config = format!(
        "tickTime=2000\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n\
         maxClientCnxns=0\nclientPortListenBacklog=4096\nadmin.enableServer=false\n\
         4lw.commands.whitelist=*\n{more}",
        data.display()
    );
    fs::write(&path, config).context("writing the configuration")?;
    Ok(path)
}

/// Ports that were free a moment ago.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N], Failure> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    // All are held until all are found: none is given twice.
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a port")?;
        *port = listener.local_addr().context("looking for a port")?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

fn port_told_by(child: &mut Child) -> Result<u16, Failure> {
    let stdout = child
        .stdout
        .take()
        .ok_or(Failure::Proc("the echo server's port"))?;
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .context("reading the echo server's port")?;
    line.trim()
        .parse()
        .map_err(|_| Failure::Proc("the echo server's port"))
}
