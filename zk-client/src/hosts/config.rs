//! The ensemble's own word on who its servers are: the text of `/zookeeper/config`, as servers clients can use.
//!
//! A line is `server.1=host:2888:3888:participant;client-host:2181`. What clients use stands behind the semicolon,
//! often as a bare port or as the wildcard, which says "every address of that machine": the name the other members
//! know it by stands for it then. A member without a client port is none of ours.

use super::Endpoint;

/// Every server that takes clients. Empty for text that names none: no reason to forget the servers one has.
pub fn servers(config: &str) -> Vec<Endpoint> {
    let mut found: Vec<_> = config.lines().filter_map(server).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn server(line: &str) -> Option<Endpoint> {
    let (name, value) = line.trim().split_once('=')?;
    name.strip_prefix("server.")?;
    let (member, client) = value.split_once(';')?;
    let (host, port) = match client.trim().rsplit_once(':') {
        Some((host, port)) => (bare(host), port),
        None => ("", client.trim()),
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = if matches!(host, "" | "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0") {
        member_host(member)?
    } else {
        host
    };
    Some(Endpoint::new(host, port))
}

/// The first of a member's addresses.
fn member_host(member: &str) -> Option<&str> {
    let first = member.split('|').next()?.trim();
    let host = match first.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => first.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_where_the_line_says_or_where_the_members_meet() {
        for (line, expected) in [
            ("server.1=a:2888:3888:participant;b:2181", Some("b:2181")),
            (
                "server.1=a:2888:3888:participant;0.0.0.0:2182",
                Some("a:2182"),
            ),
            ("server.2=a:2888:3888:observer;2183", Some("a:2183")),
            ("server.3=a:2888:3888|c:2888:3888;[::]:2181", Some("a:2181")),
            (
                "server.3=[2001:db8::1]:2888:3888;2181",
                Some("[2001:db8::1]:2181"),
            ),
            (
                "server.3=a:2888:3888;[2001:db8::2]:2181",
                Some("[2001:db8::2]:2181"),
            ),
            ("server.1=a:2888:3888:participant", None),
            ("server.1=a:2888:3888;0", None),
            ("server.1=a:2888:3888;b:many", None),
            ("server.1=:2888;2181", None),
            ("version=100000000", None),
            ("group.1=1:2;3", None),
            ("", None),
        ] {
            let found = servers(line).first().map(ToString::to_string);
            assert_eq!(found.as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_whole_configuration() {
        let text = "server.1=a:2888:3888:participant;0.0.0.0:2181\nserver.2=b:2888:3888;2181\n\
                    server.3=a:2889:3889;2181\nversion=0";
        let found: Vec<_> = servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["a:2181", "b:2181"]);
    }
}
