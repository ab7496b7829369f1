//! The first bytes of an election link: who dials, and where that server can be dialled back.
//!
//! ```text
//! long version (-65536, -65535), long sid, int length, "host:port" ("|" "host:port")*
//! long sid                                       from servers before 3.5
//! ```

use super::WireError;
use bytes::BufMut;
use std::fmt;
use zk_proto::jute::{JuteMut, Reader};
use zk_proto::{DecodeError, ServerId};

/// One address, as every release since 3.5 reads it.
const VERSION_1: i64 = -65536;
/// Any number of addresses, since 3.6.
const VERSION_2: i64 = -65535;
/// As in Java.
const MAX_ADDRESSES_LEN: i32 = 2048;
/// Version, sid and length.
const HEAD: usize = 20;

/// Which form a dialler uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialVersion {
    /// Before 3.5: nothing but the sid.
    BareSid,
    /// One address.
    V1,
    /// Several addresses. Only where every member knows it (`multiAddress.enabled`).
    V2,
}

/// A host, by name or number, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Without the brackets of IPv6. Resolved at every dial.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Who dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialMessage {
    /// The form it is written in.
    pub version: InitialVersion,
    /// The dialler.
    pub server: ServerId,
    /// Where its election port is.
    pub addresses: Vec<Address>,
}

/// The length of the initial message that begins here, or `None` while it is not all there.
pub fn initial_message_len(buf: &[u8]) -> Result<Option<usize>, WireError> {
    let mut reader = Reader::new(buf);
    match reader.i64() {
        Err(_) => return Ok(None),
        Ok(0..) => return Ok(Some(8)),
        Ok(VERSION_1 | VERSION_2) => {}
        Ok(unknown) => return Err(unknown_version(unknown)),
    }
    let (Ok(_), Ok(declared)) = (reader.i64(), reader.i32()) else {
        return Ok(None);
    };
    match usize::try_from(declared) {
        Ok(len) if (1..=MAX_ADDRESSES_LEN).contains(&declared) => {
            Ok(Some(HEAD + len).filter(|len| *len <= buf.len()))
        }
        _ => Err(DecodeError::Length(declared).into()),
    }
}

fn unknown_version(found: i64) -> WireError {
    WireError::Field {
        what: "the version of an election link",
        found,
    }
}

impl InitialMessage {
    /// Takes a whole one.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let version = match reader.i64()? {
            sid @ 0.. => {
                return Ok(Self {
                    version: InitialVersion::BareSid,
                    server: ServerId::new(sid),
                    addresses: Vec::new(),
                });
            }
            VERSION_1 => InitialVersion::V1,
            VERSION_2 => InitialVersion::V2,
            unknown => return Err(unknown_version(unknown)),
        };
        let server = ServerId::new(reader.i64()?);
        let text = reader.string()?;
        let addresses = text.split('|').map(Address::parse);
        let addresses = addresses.collect::<Option<Vec<_>>>();
        Ok(Self {
            version,
            server,
            addresses: addresses.ok_or(WireError::Missing("the address of a dialler"))?,
        })
    }

    /// Appends it. It must leave in a single write: Java reads it with a single read.
    pub fn encode(&self, out: &mut impl BufMut) {
        match self.version {
            InitialVersion::BareSid => return out.put_i64(self.server.number()),
            InitialVersion::V1 => out.put_i64(VERSION_1),
            InitialVersion::V2 => out.put_i64(VERSION_2),
        }
        out.put_i64(self.server.number());
        let addresses: Vec<_> = self.addresses.iter().map(Address::to_string).collect();
        out.put_string(&addresses.join("|"));
    }
}

impl Address {
    /// Reads `host:port` or `[host]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(host) => host.strip_suffix(']')?,
            None => host,
        };
        let port = port.parse().ok()?;
        Some(host).filter(|host| !host.is_empty()).map(|host| Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for InitialMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {}", self.server)?;
        for address in &self.addresses {
            write!(f, " at {address}")?;
        }
        Ok(())
    }
}
