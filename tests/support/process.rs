//! The server's binary as a process of its own, for tests that kill it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses its own part"
)]

use super::support::Client;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use zk_proto::Request;

/// A server process of its own, killed when dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

impl Process {
    /// Starts the binary on a data directory and waits until it serves.
    pub fn start(data: &std::path::Path, port: u16, settings: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zk-server"));
        command.arg("start").arg(port.to_string()).arg(data);
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .env("RUST_LOG", "error")
            .spawn()
            .expect("the server's binary starts");
        let mut process = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        process.wait_until_serving();
        process
    }

    fn wait_until_serving(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(mut client) = Client::connect(self.address)
                && client.session.timeout > 0
            {
                let _closed = client.call(&Request::CloseSession);
                return;
            }
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                panic!("the server ended with {status} instead of serving");
            }
            assert!(
                Instant::now() < deadline,
                "the server does not serve within a minute"
            );
            std::thread::yield_now();
        }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn wait(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
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
