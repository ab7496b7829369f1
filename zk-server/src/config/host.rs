//! The name or address of a host, as `InetAddress.getByName` takes it. Whether a name is known to
//! anybody is not asked here.

use super::error::Fault;
use std::net::Ipv6Addr;

/// Reads a host. An IPv6 address may stand in brackets, which nothing else may, and nothing else has
/// colons; what is returned has no brackets.
pub(super) fn read(text: &str, allowed: impl FnOnce() -> String) -> Result<String, Fault> {
    let bracketed = text
        .strip_prefix('[')
        .map(|rest| rest.strip_suffix(']').unwrap_or_default());
    let host = bracketed.unwrap_or(text);
    // The zone of a link-local address is the system's to know.
    let literal = host.split_once('%').map_or(host, |(literal, _)| literal);
    let must_be_v6 = bracketed.is_some() || host.contains(':');
    if must_be_v6 && literal.parse::<Ipv6Addr>().is_err() {
        return Err(Fault::NotAnAddress {
            found: text.to_owned(),
            allowed: allowed(),
        });
    }
    Ok(host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_for_ipv6_alone() {
        for (text, host) in [
            ("zk1.example.org", Some("zk1.example.org")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("[2001:db8::7]", Some("2001:db8::7")),
            ("[fe80::1%eth0]", Some("fe80::1%eth0")),
            ("[::1", None),
            ("[]", None),
            ("[10.0.0.1]", None),
            ("[zk1]", None),
            ("zk1:2181", None),
            ("[::1]:2181", None),
        ] {
            let read = read(text, String::new);
            assert_eq!(read.ok().as_deref(), host, "{text}");
        }
    }
}
