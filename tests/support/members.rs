//! An ensemble of processes on this machine: its files, who runs, who leads.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses its own part"
)]

use super::process::Process;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take that must happen.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Members of this ensemble tell each other every half of it that they live.
pub const TICK_MILLIS: u32 = 500;
/// In ticks: how long the others wait for a word of one of them.
pub const SYNC_LIMIT: u32 = 4;

/// A member's number.
pub type Id = u8;

/// What a member is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The binary of this project.
    Ours,
    /// Apache's server, with this class path.
    Java(&'static str),
}

/// A port that nobody has, and that no connection of a client gets by chance while its member is down: those
/// come from 32768 on.
fn quiet_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    static ASKED: AtomicU32 = AtomicU32::new(0);
    loop {
        let asked = ASKED.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(97).wrapping_add(asked) % COUNT;
        let port = u16::try_from(FIRST + place).expect("it is below 32768");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

struct Seat {
    kind: Kind,
    client_port: u16,
}

/// The members, those that run and those that do not. Their directories go with them.
pub struct Members {
    dir: TempDir,
    seats: BTreeMap<Id, Seat>,
    running: BTreeMap<Id, Process>,
}

impl Members {
    /// Writes the files of an ensemble; starts nobody. The observers come after the voters.
    pub fn plan(kinds: &[Kind], observers: usize) -> Self {
        let mut dir = tempfile::tempdir().expect("a directory");
        // For whoever wants to read what the members said.
        dir.disable_cleanup(std::env::var_os("ENSEMBLE_KEEP").is_some());
        let ids = || (1..).zip(kinds);
        let mut lines = String::new();
        for (id, _) in ids() {
            let role = if usize::from(id) > kinds.len() - observers {
                ":observer"
            } else {
                ""
            };
            let (quorum, election) = (quiet_port(), quiet_port());
            writeln!(lines, "server.{id}=127.0.0.1:{quorum}:{election}{role}").expect("a string");
        }
        let seats = ids().map(|(id, kind)| {
            let client_port = quiet_port();
            (
                id,
                Seat {
                    kind: *kind,
                    client_port,
                },
            )
        });
        let members = Self {
            seats: seats.collect(),
            running: BTreeMap::new(),
            dir,
        };
        for (id, seat) in &members.seats {
            let data = members.data(*id);
            std::fs::create_dir_all(&data).expect("a directory");
            std::fs::write(data.join("myid"), id.to_string()).expect("a file");
            let observer = usize::from(*id) > kinds.len() - observers;
            let peer_type = if observer { "peerType=observer\n" } else { "" };
            let text = format!(
                "tickTime={TICK_MILLIS}\ninitLimit=20\nsyncLimit={SYNC_LIMIT}\ndataDir={}\nclientPort={}\n\
                 4lw.commands.whitelist=*\nadmin.enableServer=false\nmaxClientCnxns=0\nmaxSessionTimeout=40000\n{peer_type}{lines}",
                data.display(),
                seat.client_port,
            );
            std::fs::write(members.config(*id), text).expect("a file");
        }
        members
    }

    /// More lines for the configuration of every member, before it starts.
    pub fn add_lines(&self, lines: &str) {
        for id in self.ids() {
            let config = File::options().append(true).open(self.config(id));
            let written = config.expect("a file").write_all(lines.as_bytes());
            written.expect("a file");
        }
    }

    /// All of them, serving.
    pub fn start(kinds: &[Kind], observers: usize) -> Self {
        let mut members = Self::plan(kinds, observers);
        members.launch_all();
        members
    }

    /// Starts all, and waits until they serve.
    pub fn launch_all(&mut self) {
        for id in self.ids() {
            self.launch(id);
        }
        self.wait_until_all_serve();
    }

    pub fn ids(&self) -> Vec<Id> {
        self.seats.keys().copied().collect()
    }

    pub fn running(&self) -> Vec<Id> {
        self.running.keys().copied().collect()
    }

    fn config(&self, id: Id) -> PathBuf {
        self.dir.path().join(format!("zoo-{id}.cfg"))
    }

    pub fn data(&self, id: Id) -> PathBuf {
        self.dir.path().join(format!("data-{id}"))
    }

    /// What a member has said.
    pub fn log(&self, id: Id) -> PathBuf {
        self.dir.path().join(format!("log-{id}.txt"))
    }

    pub fn address(&self, id: Id) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.seats[&id].client_port))
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.ids().into_iter().map(|id| self.address(id)).collect()
    }

    pub fn kind(&self, id: Id) -> Kind {
        self.seats[&id].kind
    }

    /// Starts a member, and waits for nothing.
    pub fn launch(&mut self, id: Id) {
        assert!(!self.running.contains_key(&id), "{id} runs");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log(id))
            .expect("a file");
        let (config, port) = (self.config(id), self.seats[&id].client_port);
        let process = match self.seats[&id].kind {
            Kind::Ours => Process::spawn_configured(&config, port, Stdio::from(log)),
            Kind::Java(classes) => Process::spawn_java(classes, &config, port, log),
        };
        self.running.insert(id, process);
    }

    /// A member that is down is something else from its next start.
    pub fn replace(&mut self, id: Id, kind: Kind) {
        assert!(!self.running.contains_key(&id), "{id} runs");
        self.seats.get_mut(&id).expect("a member").kind = kind;
    }

    /// SIGKILL.
    pub fn kill(&mut self, id: Id) {
        self.running.remove(&id).expect("it runs").kill();
    }

    /// It gets no processor for longer than the others wait for a word.
    pub fn stand_still(&self, id: Id) {
        let process = self.process(id);
        process.signal(rustix::process::Signal::STOP);
        std::thread::sleep(Duration::from_millis(
            (TICK_MILLIS * (SYNC_LIMIT + 2)).into(),
        ));
        process.signal(rustix::process::Signal::CONT);
    }

    /// SIGTERM, and waits until it is gone.
    pub fn stop(&mut self, id: Id) {
        self.process(id).signal(rustix::process::Signal::TERM);
        let mut process = self.running.remove(&id).expect("it runs");
        let ended = process.wait(DEADLINE);
        assert!(ended.is_some(), "{id} does not end");
    }

    /// A disk that is new takes the place of the old one.
    pub fn wipe(&mut self, id: Id) {
        assert!(!self.running.contains_key(&id), "{id} runs");
        let data = self.data(id);
        std::fs::remove_dir_all(data.join("version-2")).expect("it was there");
    }

    pub fn process(&self, id: Id) -> &Process {
        &self.running[&id]
    }

    /// What a word is answered; nothing by those that are not there, or stand still.
    pub fn word(&self, id: Id, word: &str) -> Option<String> {
        let patience = Duration::from_millis(500);
        let mut stream = TcpStream::connect_timeout(&self.address(id), patience).ok()?;
        stream.set_read_timeout(Some(patience)).ok()?;
        stream.write_all(word.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    fn line(&self, id: Id, start: &str) -> Option<String> {
        let text = self.word(id, "srvr")?;
        let line = text.lines().find_map(|line| line.strip_prefix(start));
        line.map(str::to_owned)
    }

    /// As `srvr` says it; none while nobody is served.
    pub fn mode(&self, id: Id) -> Option<String> {
        self.line(id, "Mode: ")
    }

    /// The last transaction a member has applied.
    pub fn zxid(&self, id: Id) -> Option<String> {
        self.line(id, "Zxid: ")
    }

    pub fn leader(&self) -> Option<Id> {
        let mut running = self.running.keys();
        let leads = |id: &&Id| self.mode(**id).as_deref() == Some("leader");
        running.find(leads).copied()
    }

    /// A voter that does not lead.
    pub fn follower(&self) -> Option<Id> {
        let mut running = self.running.keys();
        let follows = |id: &&Id| self.mode(**id).as_deref() == Some("follower");
        running.find(follows).copied()
    }

    pub fn wait_until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds(self) {
            if Instant::now() > deadline {
                let said = self.said();
                panic!("in vain: {what}\n{said}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How often a member has said this.
    pub fn says(&self, id: Id, what: &str) -> usize {
        let text = std::fs::read_to_string(self.log(id)).unwrap_or_default();
        text.lines().filter(|line| line.contains(what)).count()
    }

    /// The last lines of all.
    pub fn said(&self) -> String {
        let mut all = String::new();
        for id in self.ids() {
            let text = std::fs::read_to_string(self.log(id)).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(30)..].join("\n");
            writeln!(all, "-- member {id}:\n{tail}").expect("a string");
        }
        all
    }

    /// Waits until all that run serve, one of them as the leader.
    pub fn wait_until_all_serve(&mut self) {
        self.wait_until("all serve", |members| {
            let running = members.running();
            let modes = || running.iter().map(|id| members.mode(*id));
            modes().all(|mode| mode.is_some())
                && modes().any(|mode| mode.as_deref() == Some("leader"))
        });
    }

    /// Waits until all that run have applied the same.
    pub fn wait_until_equal(&mut self) {
        self.wait_until("all have applied the same", |members| {
            let running = members.running();
            let mut zxids = running.iter().map(|id| members.zxid(*id));
            let first = zxids.next().flatten();
            first.is_some() && zxids.all(|zxid| zxid == first)
        });
    }
}
