use super::*;

fn check(text: &str, hosts: &[(&str, u16)], chroot: Option<&str>) {
    let hosts = hosts.iter().map(|&(host, port)| Endpoint::new(host, port));
    assert_eq!(
        text.parse(),
        Ok(ConnectString {
            servers: Servers::Listed(hosts.collect()),
            chroot: chroot.map(str::to_owned),
        }),
        "{text:?}"
    );
}

fn refuse(text: &str, message: &str) {
    let error = text.parse::<ConnectString>().expect_err(text);
    assert_eq!(error.to_string(), message, "{text:?}");
}

#[test]
fn a_list_of_hosts_may_have_ports_and_a_chroot() {
    check("a", &[("a", 2181)], None);
    check("a:1", &[("a", 1)], None);
    check("a:65535,b", &[("a", 65535), ("b", 2181)], None);
    check(
        " a:1 , b.example.com:2 ",
        &[("a", 1), ("b.example.com", 2)],
        None,
    );
    check("10.0.0.1:2182/app", &[("10.0.0.1", 2182)], Some("/app"));
    check("a,b/app/one", &[("a", 2181), ("b", 2181)], Some("/app/one"));
    check("a/", &[("a", 2181)], None);
    check("zk_1.local", &[("zk_1.local", 2181)], None);
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    check("[::1]", &[("::1", 2181)], None);
    check("[::1]:7,a/x", &[("::1", 7), ("a", 2181)], Some("/x"));
    check("[fe80::1%eth0]:7", &[("fe80::1%eth0", 7)], None);
    let wrong = |entry: &str| {
        format!("{entry:?} is not an IPv6 address in brackets, such as [2001:db8::1]:2181")
    };
    for entry in [
        "[::1",
        "[::1]x",
        "[::1]7",
        "[a]",
        "[]",
        "[127.0.0.1]",
        "[::1%]",
        "[::1%a b]",
    ] {
        refuse(entry, &wrong(entry));
    }
    refuse(
        "::1",
        "\"::1\" has several colons; an IPv6 address stands in brackets: [::1]:2181",
    );
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    let empty = "the connection string is empty; it is a list such as host1:2181,host2:2181/chroot";
    refuse("", empty);
    refuse("  ", empty);
    let between = "there is no host between two commas or beside one; \
                   expected host, host:port or [IPv6]:port";
    for text in ["a,,b", ",a", "a,", "/app", ":2181"] {
        refuse(text, between);
    }
    for (port, shown) in [
        ("0", "0"),
        ("65536", "65536"),
        ("", ""),
        ("x", "x"),
        ("+1", "+1"),
    ] {
        refuse(
            &format!("a:{port}"),
            &format!("{shown:?} in \"a:{port}\" is not a port; a port is a number from 1 to 65535"),
        );
    }
    refuse(
        "a b:1",
        "' ' in \"a b:1\" is not part of a host name; expected host, host:port or [IPv6]:port",
    );
    refuse(
        "a/b/",
        "the chroot \"/b/\" is not a path: a path does not end with /",
    );
    refuse(
        "a/b//c",
        "the chroot \"/b//c\" is not a path: a path has no empty component",
    );
    refuse(
        "zk://a",
        "\"zk://\" is not known; a connection string is a list of hosts or begins with dns-srv://",
    );
}

#[test]
fn the_dns_may_know_the_list() {
    let check = |text: &str, name: &str, chroot: Option<&str>| {
        assert_eq!(
            text.parse(),
            Ok(ConnectString {
                servers: Servers::Srv(name.to_owned()),
                chroot: chroot.map(str::to_owned),
            })
        );
    };
    check("dns-srv://example.com", "_zookeeper._tcp.example.com", None);
    check("dns-srv://_zk._tcp.a/app", "_zk._tcp.a", Some("/app"));
    for name in ["", "a:1", "a,b"] {
        refuse(
            &format!("dns-srv://{name}"),
            &format!(
                "{name:?} is not a name to look up; expected dns-srv://name/chroot, without port or comma"
            ),
        );
    }
}

#[test]
fn an_endpoint_is_printed_as_it_is_written() {
    for text in ["a:1", "[::1]:7", "[fe80::1%eth0]:2181", "10.0.0.1:2181"] {
        let parsed: ConnectString = text.parse().unwrap();
        let Servers::Listed(hosts) = parsed.servers else {
            panic!("{text} is a list");
        };
        assert_eq!(hosts[0].to_string(), text);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}") {
        let _verdict = text.parse::<ConnectString>();
    }

    #[test]
    fn text_of_its_own_alphabet_does_not_either(text in "[a:,/\\[\\]%.1 -]{0,16}") {
        if let Ok(ConnectString { servers: Servers::Listed(hosts), .. }) = text.parse() {
            proptest::prop_assert!(!hosts.is_empty());
        }
    }
}
