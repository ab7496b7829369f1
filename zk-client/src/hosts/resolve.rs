//! Asks the network where names lead; the one impure file of this room.
//!
//! Nothing is remembered between two attempts: a server that moved is found where it is now. A name that is
//! unknown today is a failed attempt like any other, never the end of a client.

use super::{Chance, Endpoint};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;

/// Why a name led nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The system's resolver said so.
    #[error("the name of {endpoint} cannot be resolved: {error}")]
    Name {
        /// Which server.
        endpoint: Endpoint,
        /// What the system said.
        error: io::Error,
    },
    /// The name exists, without an address.
    #[error("{endpoint} has no address")]
    NoAddress {
        /// Which server.
        endpoint: Endpoint,
    },
    /// The DNS could not be asked for SRV records, or has none.
    #[cfg(feature = "srv")]
    #[error("the SRV records of {name} cannot be had: {error}")]
    Srv {
        /// What was asked for.
        name: String,
        /// What the resolver said.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A generator that no other process has, for lists that nobody wants to repeat.
pub fn fresh_chance() -> Chance {
    // The standard library seeds its hashers from the system, once per thread and never twice alike.
    Chance::seeded(RandomState::new().hash_one(std::process::id()))
}

/// All addresses of a server now, in the order in which the system prefers them.
pub async fn addresses(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, ResolveError> {
    let found = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await;
    let found: Vec<_> = found
        .map_err(|error| ResolveError::Name {
            endpoint: endpoint.clone(),
            error,
        })?
        .collect();
    if found.is_empty() {
        return Err(ResolveError::NoAddress {
            endpoint: endpoint.clone(),
        });
    }
    Ok(found)
}

/// The servers that the DNS lists under a name, as `dns-srv://` asks for.
///
/// Priorities and weights are left aside: a client spreads over all servers of an ensemble, whatever they are
/// called, and learns by itself which of them are good.
#[cfg(feature = "srv")]
pub async fn servers(name: &str) -> Result<Vec<Endpoint>, ResolveError> {
    let failed = |error: hickory_resolver::ResolveError| ResolveError::Srv {
        name: name.to_owned(),
        error: Box::new(error),
    };
    let resolver = hickory_resolver::TokioResolver::builder_tokio()
        .map_err(failed)?
        .build();
    let records = resolver.srv_lookup(name).await.map_err(failed)?;
    Ok(endpoints(
        records
            .iter()
            .map(|record| (record.target().to_utf8(), record.port())),
    ))
}

/// A target of a lone dot says that the service is decidedly not there (RFC 2782).
#[cfg(feature = "srv")]
fn endpoints(records: impl Iterator<Item = (String, u16)>) -> Vec<Endpoint> {
    records
        .map(|(target, port)| (target.trim_end_matches('.').to_owned(), port))
        .filter(|(target, port)| !target.is_empty() && *port != 0)
        .map(|(target, port)| Endpoint::new(target, port))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn numbers_resolve_to_themselves_and_unknown_names_are_told_with_their_server() {
        let check = async |host: &str| addresses(&Endpoint::new(host, 7)).await;
        assert_eq!(
            check("127.0.0.1").await.unwrap(),
            ["127.0.0.1:7".parse().unwrap()]
        );
        assert_eq!(check("::1").await.unwrap(), ["[::1]:7".parse().unwrap()]);
        assert!(!check("localhost").await.unwrap().is_empty());
        let error = check("no-such-host.invalid").await.unwrap_err().to_string();
        assert!(
            error.starts_with("the name of no-such-host.invalid:7 cannot be resolved: "),
            "{error}"
        );
    }

    #[test]
    fn nobody_else_has_the_same_chance() {
        assert_ne!(fresh_chance().number(), fresh_chance().number());
    }

    #[cfg(feature = "srv")]
    #[test]
    fn records_become_endpoints_without_their_dots() {
        let records = [
            ("zk1.example.com.", 2181),
            (".", 2181),
            ("zk2", 2182),
            ("zk3.", 0),
        ];
        let records = records.map(|(target, port)| (target.to_owned(), port));
        assert_eq!(
            endpoints(records.into_iter()),
            [
                Endpoint::new("zk1.example.com", 2181),
                Endpoint::new("zk2", 2182)
            ]
        );
    }
}
