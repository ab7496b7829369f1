//! The connection string, as every ZooKeeper client takes it:
//! `host1:2181,host2,[2001:db8::1]:2182/chroot`, or `dns-srv://example.com/chroot`.
//!
//! A host without a port has [`DEFAULT_PORT`]. An IPv6 address stands in brackets. What follows the first slash
//! is the chroot. `dns-srv://`, which Java's client knows from 3.10 on, asks the DNS for the list of servers
//! (feature `srv`): a name that begins with `_` is looked up as it is, any other below `_zookeeper._tcp`.

use std::fmt;
use std::str::FromStr;
use zk_proto::path::{self, PathError};

/// The port of a server that is named without one.
pub const DEFAULT_PORT: u16 = 2181;

const SRV_SCHEME: &str = "dns-srv://";
const SRV_SERVICE: &str = "_zookeeper._tcp.";

/// A server: a name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The client port.
    pub port: u16,
}

impl Endpoint {
    /// A server by name and port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl From<std::net::SocketAddr> for Endpoint {
    fn from(address: std::net::SocketAddr) -> Self {
        Self::new(address.ip().to_string(), address.port())
    }
}

/// Where the list of servers comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    /// It was written out; never empty.
    Listed(Vec<Endpoint>),
    /// The DNS has it, as SRV records of this name.
    Srv(String),
}

/// A connection string, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectString {
    /// The servers.
    pub servers: Servers,
    /// The path that is this client's root; `None` for the real one.
    pub chroot: Option<String>,
}

/// What is wrong with a connection string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectStringError {
    /// Nothing in it.
    #[error("the connection string is empty; it is a list such as host1:2181,host2:2181/chroot")]
    Empty,
    /// Two commas in a row, or one at an end.
    #[error(
        "there is no host between two commas or beside one; expected host, host:port or [IPv6]:port"
    )]
    NoHost,
    /// A character no host name has.
    #[error(
        "{found:?} in {entry:?} is not part of a host name; expected host, host:port or [IPv6]:port"
    )]
    Character {
        /// The host as it was written.
        entry: String,
        /// What should not be there.
        found: char,
    },
    /// Not a number from 1 to 65535.
    #[error("{found:?} in {entry:?} is not a port; a port is a number from 1 to 65535")]
    Port {
        /// The host as it was written.
        entry: String,
        /// What stands where the port is.
        found: String,
    },
    /// More than one colon outside of brackets.
    #[error("{entry:?} has several colons; an IPv6 address stands in brackets: [{entry}]:2181")]
    Unbracketed {
        /// The host as it was written.
        entry: String,
    },
    /// A bracket is missing, or what it holds is no address.
    #[error("{entry:?} is not an IPv6 address in brackets, such as [2001:db8::1]:2181")]
    Bracket {
        /// The host as it was written.
        entry: String,
    },
    /// The chroot is no path.
    #[error("the chroot {found:?} is not a path: {error}")]
    Chroot {
        /// What was written.
        found: String,
        /// What is wrong with it.
        error: PathError,
    },
    /// Something before `://` that is not known here.
    #[error(
        "{found:?} is not known; a connection string is a list of hosts or begins with dns-srv://"
    )]
    Scheme {
        /// What stands before the slashes.
        found: String,
    },
    /// An SRV name is one name, without a port or a comma.
    #[error(
        "{found:?} is not a name to look up; expected dns-srv://name/chroot, without port or comma"
    )]
    SrvName {
        /// What stands in its place.
        found: String,
    },
}

impl FromStr for ConnectString {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ConnectStringError::Empty);
        }
        if let Some(rest) = text.strip_prefix(SRV_SCHEME) {
            let (name, chroot) = split_chroot(rest)?;
            return Ok(Self {
                servers: Servers::Srv(srv_name(name)?),
                chroot,
            });
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ConnectStringError::Scheme {
                found: format!("{scheme}://"),
            });
        }
        let (hosts, chroot) = split_chroot(text)?;
        let hosts: Result<Vec<_>, _> = hosts.split(',').map(endpoint).collect();
        Ok(Self {
            servers: Servers::Listed(hosts?),
            chroot,
        })
    }
}

/// Java's client takes `/` as no chroot at all, and so do we.
fn split_chroot(text: &str) -> Result<(&str, Option<String>), ConnectStringError> {
    let Some(slash) = text.find('/') else {
        return Ok((text, None));
    };
    let (hosts, chroot) = text.split_at(slash);
    if let Err(error) = path::validate(chroot) {
        return Err(ConnectStringError::Chroot {
            found: chroot.to_owned(),
            error,
        });
    }
    Ok((hosts, (chroot != "/").then(|| chroot.to_owned())))
}

fn endpoint(entry: &str) -> Result<Endpoint, ConnectStringError> {
    let entry = entry.trim();
    if entry.is_empty() {
        return Err(ConnectStringError::NoHost);
    }
    if let Some(rest) = entry.strip_prefix('[') {
        return bracketed(entry, rest);
    }
    match entry.matches(':').count() {
        0 => host(entry, entry, DEFAULT_PORT),
        1 => {
            let (name, number) = entry.split_once(':').unwrap_or((entry, ""));
            host(entry, name, port(entry, number)?)
        }
        _ => Err(ConnectStringError::Unbracketed {
            entry: entry.to_owned(),
        }),
    }
}

fn bracketed(entry: &str, rest: &str) -> Result<Endpoint, ConnectStringError> {
    let wrong = || ConnectStringError::Bracket {
        entry: entry.to_owned(),
    };
    let (address, after) = rest.split_once(']').ok_or_else(wrong)?;
    // A zone says which link a link-local address is on; the system's resolver knows them by name.
    let (number, zone) = match address.split_once('%') {
        Some((number, zone)) => (number, Some(zone)),
        None => (address, None),
    };
    let is_zone = |zone: &str| {
        !zone.is_empty()
            && zone
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    if number.parse::<std::net::Ipv6Addr>().is_err() || !zone.is_none_or(is_zone) {
        return Err(wrong());
    }
    let port = match after.strip_prefix(':') {
        Some(number) => port(entry, number)?,
        None if after.is_empty() => DEFAULT_PORT,
        None => return Err(wrong()),
    };
    Ok(Endpoint::new(address, port))
}

fn host(entry: &str, name: &str, port: u16) -> Result<Endpoint, ConnectStringError> {
    if name.is_empty() {
        return Err(ConnectStringError::NoHost);
    }
    match name.chars().find(|&c| !in_a_name(c)) {
        None => Ok(Endpoint::new(name, port)),
        Some(found) => Err(ConnectStringError::Character {
            entry: entry.to_owned(),
            found,
        }),
    }
}

/// Names of the DNS and of `/etc/hosts`, which takes underscores, and names in other scripts.
fn in_a_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '_')
}

fn port(entry: &str, number: &str) -> Result<u16, ConnectStringError> {
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    match number.parse() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err(ConnectStringError::Port {
            entry: entry.to_owned(),
            found: number.to_owned(),
        }),
    }
}

fn srv_name(name: &str) -> Result<String, ConnectStringError> {
    if name.is_empty() || !name.chars().all(in_a_name) {
        return Err(ConnectStringError::SrvName {
            found: name.to_owned(),
        });
    }
    Ok(if name.starts_with('_') {
        name.to_owned()
    } else {
        format!("{SRV_SERVICE}{name}")
    })
}

#[cfg(test)]
#[path = "connect_string/tests.rs"]
mod tests;
