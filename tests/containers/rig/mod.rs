//! Servers in containers: an image with nothing in it but our binary, a network that the members share, and the
//! means to stop, pause and cut off each of them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::print_stdout,
    reason = "each test binary uses its own part; a test that cannot run says so"
)]

pub mod load;
mod member;
mod network;

pub use member::Member;
pub use network::Network;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use testcontainers::bollard::Docker;
use testcontainers::runners::AsyncBuilder;
use testcontainers::{GenericBuildableImage, GenericImage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is inside: one file, which needs no other.
const DOCKERFILE: &str = "FROM scratch\nCOPY zk-server /zk-server\nENTRYPOINT [\"/zk-server\"]\n";

/// Where the statically linked binary is, or says why the test cannot run.
pub fn binary() -> Option<PathBuf> {
    let Some(path) = std::env::var_os("ZK_STATIC_BINARY").map(PathBuf::from) else {
        println!("SKIPPED: no ZK_STATIC_BINARY; .ci/stages/60-containers.sh builds one");
        return None;
    };
    assert!(path.is_file(), "no binary at {}", path.display());
    Some(path)
}

/// The image around the binary.
pub async fn image() -> Option<GenericImage> {
    let image = GenericBuildableImage::new("zk-server-under-test", "scratch")
        .with_dockerfile_string(DOCKERFILE)
        .with_file(binary()?, "zk-server")
        .build_image()
        .await;
    Some(image.expect("Docker's engine builds an image of one file"))
}

/// Docker's engine, for what the containers' own handles cannot do.
async fn engine() -> Docker {
    let docker = Docker::connect_with_defaults().expect("Docker's engine is here");
    let docker = docker.negotiate_version().await;
    docker.expect("Docker's engine answers")
}

/// The port that the host forwards to a container.
pub fn on_host(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    socket.local_addr().expect("it has an address").port()
}

/// What a four-letter word is answered; nothing if nobody answers it within a second.
pub async fn four_letters(address: SocketAddr, word: &str) -> Option<String> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(word.as_bytes()).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        (!text.is_empty()).then_some(text)
    };
    tokio::time::timeout(Duration::from_secs(1), ask)
        .await
        .ok()?
}

/// The role that a server says it has: `standalone`, `leader`, `follower`; nothing while it does not serve.
pub async fn mode(address: SocketAddr) -> Option<String> {
    let text = four_letters(address, "srvr").await?;
    let mode = text.lines().find_map(|line| line.strip_prefix("Mode: "));
    mode.map(str::to_owned)
}

/// Asks again and again until there is an answer.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
