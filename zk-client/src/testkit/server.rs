//! A server in this process, with a directory of its own, on a port that stays the same when it restarts.

use std::io;
use std::net::SocketAddr;
use tempfile::TempDir;
use zk_server::config::settings::ClientAddress;
use zk_server::{Config, Fatal, Server, StartError};

/// Why the server of a test is not there.
#[derive(Debug, thiserror::Error)]
pub enum TestServerError {
    /// No directory for its data.
    #[error("no directory for a test server: {0}")]
    Directory(#[from] io::Error),
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It did not end well.
    #[error("the test server ended badly: {0}")]
    Stop(Fatal),
    /// Its configuration has no client port.
    #[error("a test server needs a client port")]
    NoPort,
    /// Its members did not find each other in time.
    #[error("the members of a test ensemble do not find each other: is the machine very busy?")]
    NoLeader,
}

/// A real server on a free port of this machine. Its data go with it.
#[derive(Debug)]
pub struct TestServer {
    config: Config,
    address: SocketAddr,
    running: Option<Server>,
    _data: TempDir,
}

impl TestServer {
    /// Starts one as [`Config::in_process`] describes it, with ticks of 100 ms, so that sessions may be as short
    /// as 200 ms.
    pub async fn start() -> Result<Self, TestServerError> {
        Self::start_with(|_| {}).await
    }

    /// Starts one after the configuration has been changed.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Result<Self, TestServerError> {
        let data = TempDir::with_prefix("zk-testkit-")?;
        let mut config = Config::in_process(data.path());
        let tick = std::time::Duration::from_millis(100);
        config.sessions.tick_time = tick;
        config.sessions.min_timeout = 2 * tick;
        change(&mut config);
        let server = Server::start(config.clone()).await?;
        let address = server.client_address().ok_or(TestServerError::NoPort)?;
        Ok(Self {
            config,
            address,
            running: Some(server),
            _data: data,
        })
    }

    /// Where clients connect, also while it is stopped.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it and waits for its end: connections are cut, what was acknowledged is on disk.
    pub async fn stop(&mut self) -> Result<(), TestServerError> {
        match self.running.take() {
            Some(server) => server.stop().await.map_err(TestServerError::Stop),
            None => Ok(()),
        }
    }

    /// Starts it again on the same data and the same port, and stops it before that if it runs.
    pub async fn restart(&mut self) -> Result<(), TestServerError> {
        self.stop().await?;
        self.config.listen.client = Some(ClientAddress {
            host: Some(self.address.ip().to_string()),
            port: self.address.port(),
        });
        self.running = Some(Server::start(self.config.clone()).await?);
        Ok(())
    }
}
