//! The grammar of a `server.N` line.
//!
//! ```text
//! server.N = addr ("|" addr)* [ ";" [host ":"] clientPort ]
//! addr     = host ":" quorumPort ":" electionPort [ ":" ("participant" | "observer") ]
//! ```

use super::error::Fault;
use super::peers::{Member, PeerAddress, Role};
use super::settings::ClientAddress;
use zk_proto::ServerId;

/// Reads the value of `server.ID`.
pub(super) fn parse(id: i64, line: &str, many_addresses: bool) -> Result<Member, Fault> {
    let wrong_form = || Fault::ServerLine(line.to_owned());
    let (servers, client) = match line.split_once(';') {
        Some((servers, client)) => (servers, Some(client)),
        None => (line, None),
    };
    let client = client
        .filter(|text| !text.is_empty())
        .map(|text| parse_client(text, line))
        .transpose()?;
    let addresses: Vec<&str> = servers.split('|').collect();
    if addresses.len() > 1 && !many_addresses {
        return Err(Fault::ManyAddresses(id));
    }
    let parsed: Vec<(PeerAddress, Role)> = addresses
        .into_iter()
        .map(|address| parse_address(id, address, line))
        .collect::<Result<_, _>>()?;
    let role = parsed.first().ok_or_else(wrong_form)?.1;
    if parsed.iter().any(|(_, other)| *other != role) {
        return Err(Fault::MixedRoles(id));
    }
    let mut addresses: Vec<_> = parsed.into_iter().map(|(address, _)| address).collect();
    addresses.sort();
    let id = ServerId::new(id);
    Ok(Member {
        id,
        role,
        addresses,
        client,
    })
}

/// `participant` or `observer`, in any case.
pub(super) fn parse_role(text: &str) -> Result<Role, Fault> {
    match text.trim().to_ascii_lowercase().as_str() {
        "participant" => Ok(Role::Participant),
        "observer" => Ok(Role::Observer),
        _ => Err(Fault::PeerType(text.to_owned())),
    }
}

fn parse_address(id: i64, address: &str, line: &str) -> Result<(PeerAddress, Role), Fault> {
    let wrong_form = || Fault::ServerLine(line.to_owned());
    let (host, rest) = split_host(address).ok_or_else(wrong_form)?;
    let mut parts = rest.split(':');
    let (quorum, election) = (parts.next(), parts.next());
    let (role, end) = (parts.next(), parts.next());
    let (Some(quorum), Some(election), None) = (quorum, election, end) else {
        return Err(wrong_form());
    };
    if host.is_empty() {
        return Err(wrong_form());
    }
    let (quorum, election) = (parse_port(quorum)?, parse_port(election)?);
    if quorum == election {
        return Err(Fault::EqualPorts(id));
    }
    let address = PeerAddress {
        host: host.to_owned(),
        quorum_port: quorum,
        election_port: election,
    };
    Ok((address, role.map_or(Ok(Role::Participant), parse_role)?))
}

fn parse_client(text: &str, line: &str) -> Result<ClientAddress, Fault> {
    let wrong_form = || Fault::ServerLine(line.to_owned());
    match split_host(text) {
        None if text.contains([':', ';', '[']) => Err(wrong_form()),
        None => Ok(ClientAddress {
            host: None,
            port: parse_port(text)?,
        }),
        Some((_, port)) if port.contains([':', ';']) => Err(wrong_form()),
        Some((host, port)) => {
            // Java writes the wildcard as 0.0.0.0 and binds every interface for it.
            let host = Some(host).filter(|host| !matches!(*host, "" | "0.0.0.0" | "::"));
            Ok(ClientAddress {
                host: host.map(str::to_owned),
                port: parse_port(port)?,
            })
        }
    }
}

/// The host (without the brackets of IPv6) and what follows its colon.
fn split_host(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            Some((host, rest.strip_prefix(':')?))
        }
        None => text.split_once(':'),
    }
}

fn parse_port(text: &str) -> Result<u16, Fault> {
    let allowed = || "a port from 0 to 65535".to_owned();
    match text.parse::<i32>() {
        Ok(number) => u16::try_from(number).map_err(|_| Fault::PortOutOfRange {
            found: text.to_owned(),
            allowed: allowed(),
        }),
        Err(_) => Err(Fault::NotANumber {
            found: text.to_owned(),
            allowed: allowed(),
        }),
    }
}
