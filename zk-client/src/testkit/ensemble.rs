//! Several servers in this process that are one ensemble, each with a directory and ports of its own that stay the
//! same when it restarts.

use super::server::TestServerError;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_proto::ServerId;
use zk_server::config::peers::{Ensemble, Member, PeerAddress, Role};
use zk_server::config::settings::ClientAddress;
use zk_server::{Config, Server};

/// What the members count their patience in.
const TICK: Duration = Duration::from_millis(500);
/// For an election among servers that wait for the same processors.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Place {
    config: Config,
    address: SocketAddr,
    running: Option<Server>,
    _data: TempDir,
}

/// Real servers that elect a leader and agree. Their data go with them.
#[derive(Debug)]
pub struct TestEnsemble {
    places: Vec<Place>,
}

impl TestEnsemble {
    /// Starts so many voters, and waits until each of them serves. Two of three serve before the third has anything,
    /// and while it has nothing its vote is not counted, so that neither of them could be missed yet.
    pub async fn start(count: u8) -> Result<Self, TestServerError> {
        let mut members = BTreeMap::new();
        for number in 1..=i64::from(count) {
            let member = member(ServerId::new(number))?;
            members.insert(member.id, member);
        }
        let mut places = Vec::new();
        for me in members.keys() {
            let data = TempDir::with_prefix("zk-testkit-")?;
            let mut config = Config::in_process(data.path());
            config.sessions.tick_time = TICK;
            config.ensemble = Some(Ensemble::in_process(*me, members.clone()));
            let server = Server::start(config.clone()).await?;
            let address = server.client_address().ok_or(TestServerError::NoPort)?;
            config.listen.client = Some(ClientAddress {
                host: Some(address.ip().to_string()),
                port: address.port(),
            });
            places.push(Place {
                config,
                address,
                running: Some(server),
                _data: data,
            });
        }
        let deadline = Instant::now() + PATIENCE;
        for place in &places {
            while !serves(place.address).await {
                if Instant::now() > deadline {
                    return Err(TestServerError::NoLeader);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(Self { places })
    }

    /// Where clients connect, also to those that are stopped.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.places.iter().map(|place| place.address).collect()
    }

    /// The addresses as a connection string.
    pub fn connection_string(&self) -> String {
        let addresses: Vec<_> = self.addresses().iter().map(ToString::to_string).collect();
        addresses.join(",")
    }

    /// Stops one, counted from zero, and waits for its end. Nothing happens if it does not run.
    pub async fn stop(&mut self, which: usize) -> Result<(), TestServerError> {
        let running = self.places.get_mut(which).and_then(|it| it.running.take());
        match running {
            Some(server) => server.stop().await.map_err(TestServerError::Stop),
            None => Ok(()),
        }
    }

    /// Starts one again on the same data and the same ports, and stops it before that if it runs.
    pub async fn restart(&mut self, which: usize) -> Result<(), TestServerError> {
        self.stop(which).await?;
        if let Some(place) = self.places.get_mut(which) {
            place.running = Some(Server::start(place.config.clone()).await?);
        }
        Ok(())
    }
}

/// What it says of itself; who does not serve has no mode.
async fn serves(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"srvr").await?;
        let mut told = String::new();
        stream.read_to_string(&mut told).await?;
        Ok::<_, io::Error>(told)
    };
    ask.await.is_ok_and(|told| told.contains("\nMode: "))
}

fn member(id: ServerId) -> io::Result<Member> {
    Ok(Member {
        id,
        role: Role::Participant,
        addresses: vec![PeerAddress {
            host: Ipv4Addr::LOCALHOST.to_string(),
            quorum_port: free_port()?,
            election_port: free_port()?,
        }],
        client: None,
    })
}

/// A port nobody has now. The server binds it itself, so that it may be gone by then; a test says so at once.
fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
