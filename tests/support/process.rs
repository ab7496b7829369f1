//! The server's binary as a process of its own, for tests that kill it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses its own part"
)]

use super::support::Client;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use zk_proto::Request;

/// A server process of its own, killed when dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

impl Process {
    /// Starts the binary on a data directory and waits until it serves.
    pub fn start(data: &Path, port: u16, settings: &[&str]) -> Self {
        let mut process = Self::spawn(&[], data, port, settings, Stdio::inherit());
        if let Err(status) = process.wait_until_serving() {
            panic!("the server ended with {status} instead of serving");
        }
        process
    }

    /// Starts the binary, behind the words of another command if there are any, and waits for nothing.
    pub fn spawn(
        before: &[&str],
        data: &Path,
        port: u16,
        settings: &[&str],
        errors: impl Into<Stdio>,
    ) -> Self {
        let words = before
            .iter()
            .copied()
            .chain([env!("CARGO_BIN_EXE_zk-server")]);
        let words: Vec<_> = words.collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .arg("start")
            .arg(port.to_string())
            .arg(data);
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "error");
        }
        Self::launch(command, port, errors)
    }

    /// Starts the binary with a file of settings, and waits for nothing.
    pub fn spawn_configured(config: &Path, port: u16, errors: impl Into<Stdio>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zk-server"));
        command.arg("start").arg(config);
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "info");
        }
        Self::launch(command, port, errors)
    }

    /// Starts Apache's server with these classes, and waits for nothing.
    pub fn spawn_java(classes: &str, config: &Path, port: u16, says: File) -> Self {
        let mut command = Command::new("java");
        command
            .args(["-Xmx128m", "-XX:+UseSerialGC", "-cp", classes])
            .arg("-Dorg.apache.logging.log4j.level=INFO")
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(says.try_clone().expect("a handle"))
            .stderr(says);
        let child = command.spawn().expect("java was there");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { child, address }
    }

    fn launch(mut command: Command, port: u16, errors: impl Into<Stdio>) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("the server's binary starts");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { child, address }
    }

    /// The same, with what it says on standard error in a file.
    pub fn spawn_logged(data: &Path, port: u16, settings: &[&str], errors: &Path) -> Self {
        let errors = File::create(errors).expect("a file can be made");
        Self::spawn(&[], data, port, settings, errors)
    }

    /// Waits until a client gets a session, or returns how the process ended.
    pub fn wait_until_serving(&mut self) -> Result<(), ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(mut client) = Client::connect(self.address)
                && client.session.timeout > 0
            {
                let _closed = client.call(&Request::CloseSession);
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return Err(status);
            }
            assert!(
                Instant::now() < deadline,
                "the server does not serve within a minute"
            );
            std::thread::yield_now();
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        signal_to(self.id(), signal);
    }

    /// Stops it where it stands; returns when its last thread has left the kernel.
    pub fn pause(&self) {
        self.signal(rustix::process::Signal::STOP);
        let options = rustix::process::WaitOptions::UNTRACED;
        let stopped = rustix::process::waitpid(Some(raw_id(self.id())), options);
        let (_, status) = stopped.expect("it is our child").expect("it is waited for");
        assert!(status.stopped(), "it ended instead: {status:?}");
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return Some(status);
            }
            std::thread::yield_now();
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Sends a signal to a process that this test started.
pub fn signal_to(pid: u32, signal: rustix::process::Signal) {
    let _gone = rustix::process::kill_process(raw_id(pid), signal);
}

fn raw_id(pid: u32) -> rustix::process::Pid {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.expect("a process has a number")
}
