//! Connecting, and binding. Names are looked up every time: the address behind one changes while
//! servers run.

use super::PortSettings;
use super::settings::election_addresses;
use crate::config::peers::Ensemble;
use crate::net::listener;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tracing::warn;
use zk_zab::wire::Address;

/// More addresses than a server has; whoever gives more is not believed.
const MAX_ADDRESSES: usize = 8;

/// As Java's.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// Why a peer was not reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreached {
    /// Its machine says that nobody listens there.
    #[error("nobody listens there")]
    Refused,
    /// Anything else: nothing is known of the peer.
    #[error(transparent)]
    Failed(io::Error),
}

/// Dials the addresses in their order and presents this server to the first that answers.
pub(super) async fn reach(
    addresses: &[Address],
    settings: &PortSettings,
    greeting: &[u8],
) -> Result<TcpStream, Unreached> {
    let mut all_refused = true;
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses.iter().take(MAX_ADDRESSES) {
        let attempt = tokio::time::timeout(settings.dial, connect(address, settings, greeting));
        match attempt.await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                all_refused &= error.kind() == ErrorKind::ConnectionRefused;
                last = error;
            }
            Err(_) => {
                all_refused = false;
                last = ErrorKind::TimedOut.into();
            }
        }
    }
    if all_refused && !addresses.is_empty() {
        Err(Unreached::Refused)
    } else {
        Err(Unreached::Failed(last))
    }
}

async fn connect(
    address: &Address,
    settings: &PortSettings,
    greeting: &[u8],
) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    tune(&stream, settings.silence);
    // The whole of it in one write: Java reads it with one read.
    stream.write_all(greeting).await?;
    Ok(stream)
}

/// Small messages leave at once, and a machine that is gone is noticed although nothing closes the
/// connection.
pub(super) fn tune(stream: &TcpStream, silence: Duration) {
    let silence = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
    let noticed = rustix::net::sockopt::set_tcp_user_timeout(stream, silence);
    let kept_alive = rustix::net::sockopt::set_socket_keepalive(stream, true);
    let prompt = stream.set_nodelay(true);
    if noticed.is_err() || kept_alive.is_err() || prompt.is_err() {
        // Only of a socket that has failed already.
        warn!(
            ?noticed,
            ?kept_alive,
            ?prompt,
            "a connection cannot be tuned"
        );
    }
}

/// Binds this server's election addresses; tries again `retries` times, `None` is for ever.
pub async fn bind(ensemble: &Ensemble, retries: Option<u32>) -> io::Result<Vec<TcpListener>> {
    let mut tried = 0;
    loop {
        match bind_once(ensemble).await {
            Err(error) if retries.is_none_or(|retries| tried < retries) => {
                warn!(%error, "cannot bind the election port; trying again");
                tried += 1;
                tokio::time::sleep(BIND_PAUSE).await;
            }
            ended => return ended,
        }
    }
}

async fn bind_once(ensemble: &Ensemble) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in election_addresses(ensemble.own()) {
        let places: Vec<SocketAddr> = if ensemble.listen_on_all {
            // The second for machines without IPv6.
            let everywhere = [
                IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            ];
            everywhere.map(|ip| (ip, address.port).into()).into()
        } else {
            let found = lookup_host((address.host.as_str(), address.port)).await?;
            found.take(1).collect()
        };
        listeners.push(bind_first(&places)?);
    }
    Ok(listeners)
}

fn bind_first(places: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for place in places {
        match listener::bind(*place, None, true) {
            Ok(listener) => return Ok(listener),
            // Another server has the port: the other family would only hide it.
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}
