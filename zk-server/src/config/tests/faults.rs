//! Everything Java refuses, with Java's cause and exit code, and everything this release refuses on
//! its own.

use expect_test::expect;

use super::*;

const TRIO: &str = "server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n";

fn trio(text: &str) -> Case {
    Case::fine(&format!("initLimit=5\nsyncLimit=2\n{TRIO}{text}")).with_file("/data/myid", "1\n")
}

#[test]
fn a_missing_file() {
    let mut case = Case::embedded();
    case.sources.file = Some(PathBuf::from("/etc/none.cfg"));
    check(
        case,
        expect![[r#"
        /etc/none.cfg file is missing
        exit 2
    "#]],
    );
}

#[test]
fn a_file_that_is_a_directory() {
    let mut case = Case::embedded();
    case.sources.file = Some(PathBuf::from("/etc"));
    case.files.directories.insert(PathBuf::from("/etc"));
    check(
        case,
        expect![[r#"
        Error processing /etc: is a directory
        exit 2
    "#]],
    );
}

#[test]
fn a_malformed_escape() {
    check(
        Case::fine("a=\\u12"),
        expect![[r#"
        zoo.cfg:3: Malformed \uxxxx encoding: four hexadecimal digits must follow \u
        exit 2
    "#]],
    );
}

#[test]
fn no_data_dir() {
    check(
        Case::file("clientPort=2181"),
        expect![[r#"
        dataDir: dataDir is not set
        exit 2
    "#]],
    );
    check(
        Case::file("clientPort=2181\ndataDir="),
        expect![[r#"
        dataDir: dataDir is not set
        zoo.cfg:2: dataDir: the value is empty (allowed: a path)
        exit 2
    "#]],
    );
}

#[test]
fn ports() {
    check(
        Case::file("dataDir=/data\nclientPort=abc"),
        expect![[r#"
        zoo.cfg:2: clientPort: For input string: "abc" (allowed: a port from 0 to 65535)
        exit 2
    "#]],
    );
    check(
        Case::file("dataDir=/data\nclientPort=70000"),
        expect![[r#"
        zoo.cfg:2: clientPort: port out of range:70000 (allowed: a port from 0 to 65535)
        exit 2
    "#]],
    );
    check(
        Case::file("dataDir=/data\nclientPort=-1"),
        expect![[r#"
        zoo.cfg:2: clientPort: port out of range:-1 (allowed: a port from 0 to 65535)
        exit 2
    "#]],
    );
    check(
        Case::file("dataDir=/data\nclientPort=99999999999"),
        expect![[r#"
            zoo.cfg:2: clientPort: For input string: "99999999999" (allowed: a port from 0 to 65535)
            exit 2
        "#]],
    );
    check(
        Case::file("dataDir=/data\nclientPort="),
        expect![[r#"
        zoo.cfg:2: clientPort: For input string: "" (allowed: a port from 0 to 65535)
        exit 2
    "#]],
    );
}

#[test]
fn strict_values() {
    check(
        Case::fine("reconfigEnabled=yes"),
        expect![[r#"
        zoo.cfg:3: reconfigEnabled: Invalid option yes for reconfigEnabled. Choose 'true' or 'false.'
        exit 2
    "#]],
    );
    check(
        Case::fine("tickTime=2s\nmaxClientCnxns=9999999999\nclientPortListenBacklog=0x10"),
        expect![[r#"
            zoo.cfg:3: tickTime: For input string: "2s" (allowed: a whole number from 0)
            zoo.cfg:4: maxClientCnxns: For input string: "9999999999" (allowed: a whole number)
            zoo.cfg:5: clientPortListenBacklog: For input string: "0x10" (allowed: a whole number)
            exit 2
        "#]],
    );
    check(
        Case::fine("tickTime=-1\nmaxSessionTimeout=-2"),
        expect![[r#"
            zoo.cfg:3: tickTime: -1 is out of range (allowed: a whole number from 0)
            zoo.cfg:4: maxSessionTimeout: minSessionTimeout must not be larger than maxSessionTimeout (6000 ms > -2 ms)
            exit 2
        "#]],
    );
    check(
        Case::fine("tickTime=0"),
        expect![[r#"
        zoo.cfg:3: tickTime: tickTime is not set
        exit 2
    "#]],
    );
    check(
        Case::fine("autopurge.purgeInterval=daily"),
        expect![[r#"
        zoo.cfg:3: autopurge.purgeInterval: For input string: "daily" (allowed: a number of hours, or a number with ms, s, m, h or d)
        exit 2
    "#]],
    );
    check(
        Case::fine("electionAlg=0"),
        expect![[r#"
        zoo.cfg:3: electionAlg: Invalid electionAlg value. Only 3 is supported. (found 0)
        exit 2
    "#]],
    );
    check(
        Case::fine("watchManagerName=org.example.Mine"),
        expect![[r#"
            zoo.cfg:3: watchManagerName: "org.example.Mine" is not known (allowed: WatchManager, org.apache.zookeeper.server.watch.WatchManager, org.apache.zookeeper.server.watch.WatchManagerOptimized)
            exit 2
        "#]],
    );
    check(
        Case::fine("DigestAuthenticationProvider.digestAlg=MD5"),
        expect![[r#"
            zoo.cfg:3: DigestAuthenticationProvider.digestAlg: "MD5" is not known (allowed: SHA1, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512)
            exit 2
        "#]],
    );
}

#[test]
fn session_timeouts_in_the_wrong_order() {
    check(
        Case::fine("minSessionTimeout=5000\nmaxSessionTimeout=4000"),
        expect![[r#"
            zoo.cfg:4: maxSessionTimeout: minSessionTimeout must not be larger than maxSessionTimeout (5000 ms > 4000 ms)
            exit 2
        "#]],
    );
    check(
        Case::fine("minSessionTimeout=100000"),
        expect![[r#"
        zoo.cfg:3: minSessionTimeout: minSessionTimeout must not be larger than maxSessionTimeout (100000 ms > 60000 ms)
        exit 2
    "#]],
    );
}

#[test]
fn peer_types() {
    check(
        Case::fine("peerType=foo"),
        expect![[r#"
        zoo.cfg:3: peerType: Unrecognised peertype: foo (allowed: participant, observer)
        exit 2
    "#]],
    );
    check(
        Case::fine("peerType=observer"),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            peerType = observer [zoo.cfg:3]
        "#]],
    );
    check(
        Case::fine("server.1=a:2888:3888:voter"),
        expect![[r#"
        zoo.cfg:3: server.1: Unrecognised peertype: voter (allowed: participant, observer)
        exit 2
    "#]],
    );
}

#[test]
fn an_ensemble_must_know_its_members_and_limits() {
    check(
        trio(""),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            initLimit = 5 [zoo.cfg:3]
            syncLimit = 2 [zoo.cfg:4]
            server.1 = a:2888:3888 [zoo.cfg:5]
            server.2 = b:2888:3888 [zoo.cfg:6]
            server.3 = c:2888:3888 [zoo.cfg:7]
        "#]],
    );
    check(
        Case::fine(TRIO),
        expect![[r#"
            initLimit: initLimit is not set
            syncLimit: syncLimit is not set
            myid file is missing (/data/myid must hold this server's number)
            exit 2
        "#]],
    );
    check(
        trio("").with_file("/data/myid", "xx\n"),
        expect![[r#"
            /data/myid:1: serverid xx is not a number
            exit 2
        "#]],
    );
    check(
        trio("").with_file("/data/myid", "9\n"),
        expect![[r#"
            My id 9 not in the peer list
            exit 1
        "#]],
    );
}

#[test]
fn a_number_that_is_none_is_fatal_even_for_a_standalone() {
    check(
        Case::fine("").with_file("/data/myid", "replace me\n"),
        expect![[r#"
            /data/myid:1: serverid replace me is not a number
            exit 2
        "#]],
    );
    check(
        Case::embedded().environment(&[("ZOO_MY_ID", "one")]),
        expect![[r#"
            environment ZOO_MY_ID: serverid one is not a number
            exit 2
        "#]],
    );
}

#[test]
fn a_number_that_cannot_be_read_is_fatal() {
    let mut case = Case::fine("");
    case.files.directories.insert(PathBuf::from("/data/myid"));
    check(
        case,
        expect![[r#"
        Error processing /data/myid: is a directory
        exit 2
    "#]],
    );
}

#[test]
fn my_id_outside_the_list_alone_has_javas_exit_code() {
    let error = ConfigError {
        origin: Origin::Default,
        key: None,
        fault: Fault::NotInPeerList(9),
    };
    assert_eq!(error.to_string(), "My id 9 not in the peer list");
    assert_eq!(ConfigError::exit_code_of(&[error]), ExitCode::Unexpected);
}

#[test]
fn server_lines() {
    for (line, expected) in [
        (
            "server.4=a:2888:2888",
            expect![[r#"
            zoo.cfg:3: server.4: Client and election port must be different! Please update the configuration file on server.4
            exit 2
        "#]],
        ),
        (
            "server.4=a:2888",
            expect![[r#"
            zoo.cfg:3: server.4: a:2888 does not have the form server_config or server_config;client_config where server_config is host:port:port or host:port:port:type (several joined by '|') and client_config is port or host:port
            exit 2
        "#]],
        ),
        (
            "server.4=",
            expect![[r#"
            zoo.cfg:3: server.4:  does not have the form server_config or server_config;client_config where server_config is host:port:port or host:port:port:type (several joined by '|') and client_config is port or host:port
            exit 2
        "#]],
        ),
        (
            "server.4=a:2888:3888;h:1:2",
            expect![[r#"
            zoo.cfg:3: server.4: a:2888:3888;h:1:2 does not have the form server_config or server_config;client_config where server_config is host:port:port or host:port:port:type (several joined by '|') and client_config is port or host:port
            exit 2
        "#]],
        ),
        (
            "server.4=a:2888:3888;2181;2281",
            expect![[r#"
            zoo.cfg:3: server.4: a:2888:3888;2181;2281 does not have the form server_config or server_config;client_config where server_config is host:port:port or host:port:port:type (several joined by '|') and client_config is port or host:port
            exit 2
        "#]],
        ),
        (
            "server.4=[::1:2888:3888",
            expect![[r#"
            zoo.cfg:3: server.4: [::1:2888:3888 does not have the form server_config or server_config;client_config where server_config is host:port:port or host:port:port:type (several joined by '|') and client_config is port or host:port
            exit 2
        "#]],
        ),
    ] {
        check(Case::fine(line), expected);
    }
}

#[test]
fn the_parts_of_server_lines() {
    for (line, expected) in [
        (
            "server.4=a:x:3888",
            expect![[r#"
            zoo.cfg:3: server.4: For input string: "x" (allowed: a port from 0 to 65535)
            exit 2
        "#]],
        ),
        (
            "server.4=a:2888:70000",
            expect![[r#"
            zoo.cfg:3: server.4: port out of range:70000 (allowed: a port from 0 to 65535)
            exit 2
        "#]],
        ),
        (
            "server.4=a:2888:3888|b:2888:3888",
            expect![[r#"
            zoo.cfg:3: server.4: Multiple address feature is disabled, but multiple addresses were specified for sid 4
            exit 2
        "#]],
        ),
        (
            "multiAddress.enabled=true\nserver.4=a:2888:3888|b:2888:3888:observer",
            expect![[r#"
                zoo.cfg:4: server.4: the addresses of server.4 have different types; give all the same one
                exit 2
            "#]],
        ),
        (
            "server.x=a:2888:3888",
            expect![[r#"
            zoo.cfg:3: server.x: For input string: "x" (allowed: server.N with a number N)
            exit 2
        "#]],
        ),
        (
            "server.4=a:2888:3888;2182",
            expect![[r#"
            zoo.cfg:3: server.4: client address for this server (id = 4) in static config file is 0.0.0.0:2181 is different from client address found in its server line: 0.0.0.0:2182
            exit 2
        "#]],
        ),
    ] {
        check(Case::fine(line), expected);
    }
}

#[test]
fn observers_without_voters() {
    check(
        Case::fine("server.1=a:2888:3888:observer"),
        expect![[r#"
        zoo.cfg:3: server.*: Observers w/o participants is an invalid configuration
        exit 2
    "#]],
    );
    check(
        Case::fine("server.1=a:2888:3888\nserver.2=b:2888:3888:OBSERVER"),
        expect![[r#"
            zoo.cfg:3: server.*: Observers w/o quorum is an invalid configuration
            exit 2
        "#]],
    );
}

#[test]
fn an_ensemble_of_one() {
    check(
        Case::fine("standaloneEnabled=false"),
        expect![[r#"
        zoo.cfg:3: standaloneEnabled: standaloneEnabled = false then number of participants should be >0
        exit 2
    "#]],
    );
    let one = "standaloneEnabled=false\ninitLimit=5\nsyncLimit=2\nserver.1=a:2888:3888";
    check(
        Case::fine(one).with_file("/data/myid", "1"),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            standaloneEnabled = false [zoo.cfg:3]
            initLimit = 5 [zoo.cfg:4]
            syncLimit = 2 [zoo.cfg:5]
            server.1 = a:2888:3888 [zoo.cfg:6]
        "#]],
    );
}

#[test]
fn dynamic_files() {
    let case = || Case::fine("dynamicConfigFile=/zk/dyn");
    check(
        Case::fine("server.2=a:2888:3888\ndynamicConfigFile=/zk/dyn").with_file("/zk/dyn", ""),
        expect![[r#"
            zoo.cfg:3: server.2: parameter: server.2 must be in a separate dynamic config file
            zoo.cfg:4: dynamicConfigFile: not supported yet: this release cannot change its members at run time; remove the key and write the server lines here (the file is left as it is)
            exit 2
        "#]],
    );
    check(
        case(),
        expect![[r#"
            zoo.cfg:3: dynamicConfigFile: not supported yet: this release cannot change its members at run time; remove the key and write the server lines here (the file is left as it is)
            zoo.cfg:3: dynamicConfigFile: Error processing /zk/dyn: no such file
            exit 2
        "#]],
    );
    check(
        case().with_file("/zk/dyn", "server.1=a:2888:3888\nk=v\nversion=1\n"),
        expect![[r#"
            zoo.cfg:3: dynamicConfigFile: not supported yet: this release cannot change its members at run time; remove the key and write the server lines here (the file is left as it is)
            zoo.cfg:3: dynamicConfigFile: Unrecognised parameter: k (line 2 of /zk/dyn)
            zoo.cfg:3: dynamicConfigFile: dynamic file shouldn't have version inside (/zk/dyn)
            exit 2
        "#]],
    );
    check(
        case().with_file("/zk/dyn", "server.1=a:2888\n"),
        expect![[r#"
            /zk/dyn:1: server.1: a:2888 does not have the form server_config or server_config;client_config where server_config is host:port:port or host:port:port:type (several joined by '|') and client_config is port or host:port
            zoo.cfg:3: dynamicConfigFile: not supported yet: this release cannot change its members at run time; remove the key and write the server lines here (the file is left as it is)
            exit 2
        "#]],
    );
}

#[test]
fn groups() {
    check(
        trio("group.1=1:2"),
        expect![[r#"
            zoo.cfg:8: group.*: Server 3 is not in a group
            exit 2
        "#]],
    );
    check(
        trio("group.1=1:2\ngroup.2=2:3\nweight.1=1"),
        expect![[r#"
            zoo.cfg:8: group.*: Server 2 is in multiple groups
            exit 2
        "#]],
    );
    check(
        trio("group.1=1:b:2:3"),
        expect![[r#"
            zoo.cfg:8: group.1: For input string: "b" (allowed: server numbers separated by ':')
            exit 2
        "#]],
    );
}

#[test]
fn sasl_between_servers() {
    check(
        Case::fine("quorum.auth.serverRequireSasl=true"),
        expect![[r#"
            zoo.cfg:3: quorum.auth.serverRequireSasl: not supported yet: this release has no SASL between servers; remove the key
            zoo.cfg:3: quorum.auth.serverRequireSasl: quorum.auth.enableSasl is disabled, so cannot enable quorum.auth.serverRequireSasl
            zoo.cfg:3: quorum.auth.serverRequireSasl: quorum.auth.learnerRequireSasl is disabled, so cannot enable quorum.auth.serverRequireSasl
            exit 2
        "#]],
    );
    check(
        Case::fine("quorum.auth.learnerRequireSasl=true"),
        expect![[r#"
            zoo.cfg:3: quorum.auth.learnerRequireSasl: not supported yet: this release has no SASL between servers; remove the key
            zoo.cfg:3: quorum.auth.learnerRequireSasl: quorum.auth.enableSasl is disabled, so cannot enable quorum.auth.learnerRequireSasl
            exit 2
        "#]],
    );
}

#[test]
fn addresses_that_are_none() {
    check(
        Case::fine("clientPortAddress=[::1"),
        expect![[r#"
            zoo.cfg:3: clientPortAddress: [::1: invalid IPv6 address (allowed: a host name or address)
            exit 2
        "#]],
    );
}

#[test]
fn addresses_without_ports() {
    check(
        Case::file("dataDir=/data\nclientPortAddress=10.0.0.1"),
        expect![[r#"
            zoo.cfg:2: clientPortAddress: clientPortAddress is set but clientPort is not set
            exit 2
        "#]],
    );
    check(
        Case::fine("secureClientPortAddress=10.0.0.1"),
        expect![[r#"
            zoo.cfg:3: secureClientPortAddress: not supported yet: this release has no TLS; remove the key, and protect the port by a private network or a TLS proxy
            zoo.cfg:3: secureClientPortAddress: secureClientPortAddress is set but secureClientPort is not set
            exit 2
        "#]],
    );
}

#[test]
fn metrics_classes() {
    check(
        Case::fine("metricsProvider.className=org.example.Metrics"),
        expect![[r#"
            zoo.cfg:3: metricsProvider.className: metrics provider class was not found: org.example.Metrics
            exit 2
        "#]],
    );
    let prometheus = "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";
    check(
        Case::fine(prometheus),
        expect![[r#"
        zoo.cfg:3: metricsProvider.className: not supported yet: this release has no metrics HTTP endpoint; remove the key and read the four-letter word mntr instead
        exit 2
    "#]],
    );
}

#[test]
fn a_missing_data_directory() {
    let case = || Case::fine("dataLogDir=/log\ndatadir.autocreate=false");
    check(
        case(),
        expect![[r#"
        zoo.cfg:4: Missing data directory /log/version-2 (datadir.autocreate is false; create it, or allow creation)
        zoo.cfg:4: Missing data directory /data/version-2 (datadir.autocreate is false; create it, or allow creation)
        exit 3
    "#]],
    );
    let mut half = case();
    half.files
        .directories
        .insert(PathBuf::from("/data/version-2"));
    check(
        half,
        expect![[r#"
        zoo.cfg:4: Missing data directory /log/version-2 (datadir.autocreate is false; create it, or allow creation)
        exit 3
    "#]],
    );
    let mut whole = case();
    whole
        .files
        .directories
        .extend(["/data/version-2", "/log/version-2"].map(PathBuf::from));
    check(
        whole,
        expect![[r#"
        dataDir = /data [zoo.cfg:1]
        dataLogDir = /log [zoo.cfg:3]
        clientPort = 2181 [zoo.cfg:2]
        datadir.autocreate = false [zoo.cfg:4]
    "#]],
    );
}

#[test]
fn features_of_later_releases_are_refused_by_name() {
    let text = "secureClientPort=2281\nsslQuorum=true\nportUnification=true\nclient.portUnification=true\n\
                ssl.keyStore.location=/k.jks\nssl.quorum.keyStore.password=hunter2\n\
                authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
                sessionRequireClientSASLAuth=true\nquorum.auth.enableSasl=true\n\
                X509AuthenticationProvider.superUser=CN=root\naudit.enable=true\nreconfigEnabled=true\n\
                oraclePath=/o\nobserverMasterPort=2191\nSASLAuthenticationProvider.superPassword=hunter2\n\
                java.security.auth.login.config=/jaas.conf\nenforce.auth.enabled=true\nenforce.auth.schemes=sasl,pam";
    check(
        Case::fine(text),
        expect![[r#"
            zoo.cfg:3: secureClientPort: not supported yet: this release has no TLS; remove the key, and protect the port by a private network or a TLS proxy
            zoo.cfg:4: sslQuorum: not supported yet: this release has no TLS; remove the key, and protect the port by a private network or a TLS proxy
            zoo.cfg:5: portUnification: not supported yet: this release has no TLS; remove the key, and protect the port by a private network or a TLS proxy
            zoo.cfg:6: client.portUnification: not supported yet: this release has no TLS; remove the key, and protect the port by a private network or a TLS proxy
            zoo.cfg:7: ssl.keyStore.location: not supported yet: this release has no TLS; remove the key, and protect the port by a private network or a TLS proxy
            zoo.cfg:8: ssl.quorum.keyStore.password: not supported yet: this release has no TLS; remove the key, and protect the port by a private network or a TLS proxy
            zoo.cfg:9: authProvider.1: not supported yet: this release has the schemes world, ip, digest and auth only; remove the key
            zoo.cfg:10: sessionRequireClientSASLAuth: not supported yet: this release has no SASL; remove the key and authenticate with the digest scheme
            zoo.cfg:11: quorum.auth.enableSasl: not supported yet: this release has no SASL between servers; remove the key
            zoo.cfg:12: X509AuthenticationProvider.superUser: not supported yet: this release has no X509 authentication; remove the key and use DigestAuthenticationProvider.superDigest for a super user
            zoo.cfg:13: audit.enable: not supported yet: this release has no audit log; remove the key or write false
            zoo.cfg:15: oraclePath: not supported yet: this release asks no oracle; remove the key
            zoo.cfg:16: observerMasterPort: not supported yet: followers of this release serve no observers; remove the key
            zoo.cfg:17: SASLAuthenticationProvider.superPassword: not supported yet: this release has no SASL; remove the key and authenticate with the digest scheme
            zoo.cfg:18: java.security.auth.login.config: not supported yet: this release has no SASL; remove the key and authenticate with the digest scheme
            zoo.cfg:20: enforce.auth.schemes: "pam" is not known (allowed: digest, ip)
            zoo.cfg:20: enforce.auth.schemes: not supported yet: this release cannot authenticate with sasl; use digest or ip
            exit 2
        "#]],
    );
    check(
        Case::fine("enforce.auth.enabled=true"),
        expect![[r#"
        zoo.cfg:3: enforce.auth.enabled: enforce.auth.schemes must name at least one scheme when enforce.auth.enabled is true
        exit 2
    "#]],
    );
}

#[test]
fn values_that_ask_for_nothing_are_accepted() {
    let text = "secureClientPort=0\nsslQuorum=FALSE\nclient.portUnification=false\nauthProvider.1=none\n\
                sessionRequireClientSASLAuth=false\naudit.enable=false\nreconfigEnabled=false\n\
                observerMasterPort=-5\npeerType=Participant\n\
                metricsProvider.className=org.apache.zookeeper.metrics.impl.NullMetricsProvider";
    check(
        Case::fine(text),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            peerType = Participant [zoo.cfg:11]
            reconfigEnabled = false [zoo.cfg:9]
            audit.enable = false [zoo.cfg:8] (no effect: this is the value that leaves the feature off)
            authProvider.1 = none [zoo.cfg:6] (no effect: this is the value that leaves the feature off)
            client.portUnification = false [zoo.cfg:5] (no effect: this is the value that leaves the feature off)
            metricsProvider.className = org.apache.zookeeper.metrics.impl.NullMetricsProvider [zoo.cfg:12] (no effect: this is the value that leaves the feature off)
            observerMasterPort = -5 [zoo.cfg:10] (no effect: this is the value that leaves the feature off)
            secureClientPort = 0 [zoo.cfg:3] (no effect: this is the value that leaves the feature off)
            sessionRequireClientSASLAuth = false [zoo.cfg:7] (no effect: this is the value that leaves the feature off)
            sslQuorum = false [zoo.cfg:4] (no effect: this is the value that leaves the feature off)
        "#]],
    );
}
