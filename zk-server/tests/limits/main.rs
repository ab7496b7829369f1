//! Every limit, met from below, exactly, and from above, over a real socket of a server in this process.
//! What is refused is counted under the limit's name, and nobody else notices.
#![expect(
    clippy::unwrap_used,
    reason = "the scene's helpers are test code, though not marked as tests"
)]

#[path = "../../../tests/support/mod.rs"]
mod support;

mod connections;
mod intake;
mod memory;
mod storage;
mod trust;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use support::Client;
use zk_server::config::settings::FourLetterWords;
use zk_server::{Config, Server};

/// How long anything may take that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server of a test's own.
struct Scene {
    address: SocketAddr,
    server: Option<Server>,
    runtime: tokio::runtime::Runtime,
    data: Option<tempfile::TempDir>,
}

impl Scene {
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(tempfile::tempdir().unwrap(), change)
    }

    fn start_on(data: tempfile::TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let mut config = Config::in_process(data.path());
        config.storage.force_sync = false;
        config.four_letter_words = FourLetterWords::All;
        change(&mut config);
        let server = runtime.block_on(Server::start(config)).unwrap();
        Self {
            address: server.client_address().unwrap(),
            server: Some(server),
            runtime,
            data: Some(data),
        }
    }

    /// Stops; the data stays.
    fn stop(mut self) -> tempfile::TempDir {
        self.data.take().unwrap()
    }

    fn connect(&self) -> std::io::Result<Client> {
        Client::connect(self.address)
    }

    /// A connection without a session.
    fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What `mntr` shows under a name.
    fn metric(&self, name: &str) -> u64 {
        let text = self.word("mntr");
        let line = text.lines().find_map(|line| {
            line.strip_prefix("zk_")?
                .strip_prefix(name)?
                .strip_prefix('\t')
        });
        let line = line.unwrap_or_else(|| panic!("mntr shows no {name}:\n{text}"));
        line.parse().unwrap()
    }

    fn word(&self, word: &str) -> String {
        let mut stream = self.dial();
        stream.write_all(word.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Somebody else is served as if nothing were.
    fn assert_polite_clients_are_served(&self) {
        let mut client = self.connect().unwrap();
        client.create("/polite-", b"", 3).unwrap().unwrap();
        client.children("/").unwrap().unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let stopped = self.runtime.block_on(server.stop());
            if !std::thread::panicking() {
                stopped.unwrap();
            }
        }
    }
}

/// Waits for something that must become true.
#[track_caller]
fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// Whether the server hangs up, whatever it says before.
fn hangs_up(stream: &mut TcpStream) -> bool {
    let mut sink = [0; 4096];
    loop {
        match stream.read(&mut sink) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
