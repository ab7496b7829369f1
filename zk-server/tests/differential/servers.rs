//! The two endpoints: how a server is found, configured, started and stopped. What is asked of it is
//! no business of this file.
//!
//! An endpoint is a command that takes one configuration file. The reference ("oracle") is looked for in
//! `ZK_ORACLE_CMD` (a command), `ZK_ORACLE_CP` (a Java class path), then `$ZOOKEEPER_HOME` and
//! `/opt/*`, each with a `lib/zookeeper-3.9*.jar`. The subject is `DIFF_SUBJECT_CMD`, or with
//! `DIFF_SUBJECT=oracle` the oracle once more, or else the built `zk-server start`.

use crate::wire::four_letters;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A way to start a server.
#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    pub(crate) name: &'static str,
    argv: Vec<String>,
}

/// One set of switches that both servers get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    /// Lines for the configuration file.
    pub(crate) lines: &'static str,
    /// Whether TTL nodes exist.
    pub(crate) extended: bool,
    /// Whether hard quotas are enforced, at preparation, against what has been applied.
    pub(crate) quota: bool,
    /// How often the reaper of containers and TTL nodes looks around, in milliseconds. While a random
    /// script runs it must sleep: nobody could say between which two requests it acted.
    reaper: u32,
    /// Whether connections write at once, instead of one after the other.
    pub(crate) together: bool,
}

impl Profile {
    /// Whether its script is drawn at random, from all there is.
    pub(crate) const fn is_random(&self) -> bool {
        !self.reaps() && !self.together
    }

    /// Whether the script waits for the reaper.
    pub(crate) const fn reaps(&self) -> bool {
        self.reaper != NEVER
    }
}

const NEVER: u32 = 86_400_000;

/// Every run goes through these.
pub(crate) const PROFILES: [Profile; 5] = [
    Profile {
        name: "extended",
        lines: "extendedTypesEnabled=true\n",
        extended: true,
        quota: false,
        reaper: NEVER,
        together: false,
    },
    Profile {
        name: "plain",
        lines: "extendedTypesEnabled=false\nreconfigEnabled=true\n",
        extended: false,
        quota: false,
        reaper: NEVER,
        together: false,
    },
    Profile {
        name: "quota",
        lines: "extendedTypesEnabled=true\nenforceQuota=true\n",
        extended: true,
        quota: true,
        reaper: NEVER,
        together: false,
    },
    Profile {
        name: "together",
        lines: "extendedTypesEnabled=true\n",
        extended: true,
        quota: false,
        reaper: NEVER,
        together: true,
    },
    Profile {
        name: "reaper",
        lines: "extendedTypesEnabled=true\n",
        extended: true,
        quota: false,
        reaper: 300,
        together: false,
    },
];

/// The least timeout a session gets: what [`crate::script::Step::Expire`] waits for.
pub(crate) const MIN_SESSION_TIMEOUT: i32 = 700;
/// The most. Sessions that are left behind must not expire while a run lasts: nobody could say when.
pub(crate) const MAX_SESSION_TIMEOUT: i32 = 86_400_000;

/// `super:secret`
const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

/// A running server and the directory it lives in.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    pub(crate) version: String,
    child: Child,
    dir: TempDir,
}

impl Launcher {
    /// Starts a server with an empty tree and waits until it serves.
    pub(crate) fn start(&self, profile: &Profile) -> Result<Server, String> {
        let dir = scratch().map_err(|e| format!("no scratch directory: {e}"))?;
        let addr = free_addr().map_err(|e| format!("no free port: {e}"))?;
        let cfg = dir.path().join("zoo.cfg");
        fs::write(&cfg, config(dir.path(), addr, profile)).map_err(|e| e.to_string())?;
        let log = File::create(dir.path().join("log")).map_err(|e| e.to_string())?;
        let err = log.try_clone().map_err(|e| e.to_string())?;
        let (program, args) = self.argv.split_first().ok_or("an empty command")?;
        let child = Command::new(program)
            .args(args)
            .arg(&cfg)
            // The reference reads this one from nowhere else.
            .env("JAVA_TOOL_OPTIONS", format!("-D{}", reaper(profile)))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(err)
            .spawn()
            .map_err(|e| format!("{program} does not start: {e}"))?;
        let mut server = Server {
            name: self.name,
            addr,
            version: String::new(),
            child,
            dir,
        };
        server.await_service()?;
        Ok(server)
    }
}

impl Server {
    fn await_service(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(text) = four_letters(self.addr, "srvr").filter(|t| t.contains("Mode:")) {
                self.version = version_in(&text).to_owned();
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!(
                    "{} ended with {status}:\n{}",
                    self.name,
                    self.log_tail()
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!(
            "{} does not serve:\n{}",
            self.name,
            self.log_tail()
        ))
    }

    /// The last lines the server printed.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(30);
        lines.get(from..).unwrap_or_default().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn version_in(srvr: &str) -> &str {
    srvr.lines()
        .find_map(|line| line.strip_prefix("Zookeeper version: "))
        .map_or("", |rest| rest.split(['-', ',', ' ']).next().unwrap_or(""))
}

fn config(dir: &Path, addr: SocketAddr, profile: &Profile) -> String {
    format!(
        "dataDir={}/data\nclientPort={}\nclientPortAddress=127.0.0.1\ntickTime=100\n\
         minSessionTimeout={MIN_SESSION_TIMEOUT}\nmaxSessionTimeout={MAX_SESSION_TIMEOUT}\n\
         maxClientCnxns=0\nforceSync=no\n4lw.commands.whitelist=*\nadmin.enableServer=false\n\
         DigestAuthenticationProvider.superDigest={SUPER_DIGEST}\n{}\n{}",
        dir.display(),
        addr.port(),
        reaper(profile),
        profile.lines,
    )
}

fn reaper(profile: &Profile) -> String {
    format!("znode.container.checkIntervalMs={}", profile.reaper)
}

/// Memory, where there is any: the comparison is about answers, not about disks.
fn scratch() -> std::io::Result<TempDir> {
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("zk-differential-");
        builder
    };
    builder()
        .tempdir_in("/dev/shm")
        .or_else(|_| builder().tempdir())
}

fn free_addr() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The reference server, or why there is none.
pub(crate) fn oracle() -> Result<Launcher, String> {
    let name = "oracle";
    if let Ok(cmd) = std::env::var("ZK_ORACLE_CMD") {
        return Ok(Launcher {
            name,
            argv: words(&cmd),
        });
    }
    let class_path = match std::env::var("ZK_ORACLE_CP") {
        Ok(class_path) => class_path,
        Err(_) => find_jars().ok_or(
            "no ZooKeeper 3.9 was found: set ZK_ORACLE_CMD to a command that takes a \
             configuration file, or ZK_ORACLE_CP to a class path",
        )?,
    };
    if !Command::new("java")
        .arg("-version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        return Err("there is no java on the path".into());
    }
    let argv = [
        "java",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Djava.net.preferIPv4Stack=true",
        "-Dzookeeper.jmx.log4j.disable=true",
        "-cp",
        &class_path,
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
    ];
    Ok(Launcher {
        name,
        argv: argv.map(str::to_owned).to_vec(),
    })
}

/// The server under test, or why there is none.
pub(crate) fn subject() -> Result<Launcher, String> {
    let name = "subject";
    if let Ok(cmd) = std::env::var("DIFF_SUBJECT_CMD") {
        return Ok(Launcher {
            name,
            argv: words(&cmd),
        });
    }
    if std::env::var("DIFF_SUBJECT").is_ok_and(|value| value == "oracle") {
        return oracle().map(|launcher| Launcher { name, ..launcher });
    }
    let binary = built_binary().ok_or(
        "zk-server is not built: `cargo build` first, or set DIFF_SUBJECT_CMD to a command that \
         takes a configuration file",
    )?;
    let argv = vec![binary.display().to_string(), "start".to_owned()];
    Ok(Launcher { name, argv })
}

/// Beside the directory this test runs from.
fn built_binary() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let binary = exe.parent()?.parent()?.join("zk-server");
    binary.is_file().then_some(binary)
}

fn find_jars() -> Option<String> {
    let home = std::env::var("ZOOKEEPER_HOME").ok().map(PathBuf::from);
    let opt = fs::read_dir("/opt")
        .ok()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut homes: Vec<PathBuf> = opt.collect();
    homes.sort();
    home.into_iter()
        .chain(homes)
        .map(|home| home.join("lib"))
        .filter(|lib| holds_jar(lib))
        .map(|lib| format!("{}/*", lib.display()))
        .next()
}

fn holds_jar(lib: &Path) -> bool {
    let Ok(entries) = fs::read_dir(lib) else {
        return false;
    };
    entries.filter_map(Result::ok).any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("zookeeper-3.9") && name.ends_with(".jar")
    })
}

fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}
