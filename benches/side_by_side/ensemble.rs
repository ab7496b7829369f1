//! Several members that agree, each a process of its own on a directory of its own, all on this machine.

use crate::error::{Context, Failure};
use crate::size::Size;
use crate::systems::{Program, Server, free_ports, write_config};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a member may take to say what it is.
const WORD: Duration = Duration::from_secs(10);

/// One member. Killed, it has no server.
#[derive(Debug)]
struct Member {
    dir: PathBuf,
    config: PathBuf,
    port: u16,
    server: Option<Server>,
}

/// All members.
#[derive(Debug)]
pub(crate) struct Ensemble<'a> {
    program: &'a Program,
    members: Vec<Member>,
}

impl<'a> Ensemble<'a> {
    /// Starts them on fresh directories and waits until each gave somebody a session.
    pub(crate) fn start(program: &'a Program, dir: &Path, size: Size) -> Result<Self, Failure> {
        let mut ports = Vec::new();
        for _member in 0..size.members() {
            ports.push(free_ports::<3>()?);
        }
        let mut lines = "initLimit=10\nsyncLimit=5\n".to_owned();
        for (index, [_client, quorum, election]) in ports.iter().enumerate() {
            let (id, observes) = (index + 1, index >= size.voters);
            let role = if observes { ":observer" } else { "" };
            writeln!(lines, "server.{id}=127.0.0.1:{quorum}:{election}{role}")
                .expect("a string takes everything");
        }
        let mut members = Vec::new();
        for (index, [port, ..]) in ports.iter().enumerate() {
            let dir = dir.join((index + 1).to_string());
            let observes = index >= size.voters;
            let role = if observes { "peerType=observer\n" } else { "" };
            fs::create_dir_all(&dir).context("making a member's directory")?;
            let config = write_config(&dir, *port, &format!("{lines}{role}"))?;
            fs::write(dir.join("data/myid"), (index + 1).to_string()).context("writing myid")?;
            members.push(Member {
                dir,
                config,
                port: *port,
                server: None,
            });
        }
        let mut ensemble = Self { program, members };
        ensemble.start_missing()?;
        Ok(ensemble)
    }

    /// Starts whoever has been killed, and waits until all serve.
    pub(crate) fn start_missing(&mut self) -> Result<(), Failure> {
        let mut started = Vec::new();
        for member in &mut self.members {
            if member.server.is_none() {
                let Member {
                    dir, config, port, ..
                } = &*member;
                let server = Server::spawn(self.program, dir, config, *port)?;
                started.push(member.server.insert(server));
            }
        }
        started.into_iter().try_for_each(Server::wait_until_serving)
    }

    /// The processes of those who live.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.living().map(Server::pid).collect()
    }

    /// Where those who live listen, the leader first.
    pub(crate) fn addrs(&self) -> Result<Vec<SocketAddr>, Failure> {
        let leader = self.leader()?;
        let mut addrs: Vec<_> = self.living().map(|server| server.addr).collect();
        addrs.sort_by_key(|addr| *addr != leader);
        Ok(addrs)
    }

    /// Ends the leader as a power cut would (SIGKILL).
    pub(crate) fn kill_leader(&mut self) -> Result<(), Failure> {
        let leader = self.leader()?;
        let leads = |member: &&mut Member| member.server.as_ref().map(|it| it.addr) == Some(leader);
        if let Some(member) = self.members.iter_mut().find(leads) {
            member.server = None;
        }
        Ok(())
    }

    fn living(&self) -> impl Iterator<Item = &Server> {
        self.members
            .iter()
            .filter_map(|member| member.server.as_ref())
    }

    fn leader(&self) -> Result<SocketAddr, Failure> {
        for server in self.living() {
            let said = ask(server.addr, "srvr").context("asking a member what it is")?;
            if said.lines().any(|line| line == "Mode: leader") {
                return Ok(server.addr);
            }
        }
        Err(Failure::Unavailable("no member says that it leads"))
    }
}

/// What a server answers to a four-letter word.
fn ask(addr: SocketAddr, word: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(WORD))?;
    stream.write_all(word.as_bytes())?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}
