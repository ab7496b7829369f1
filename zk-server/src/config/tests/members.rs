//! Ensembles: what a member reads out of its configuration, and what can be no ensemble at all.

use super::*;
use expect_test::expect;
use std::time::Duration;
use zk_proto::ServerId;

const LIMITS: &str = "initLimit=10\nsyncLimit=5\n";

fn member(id: &str, lines: &str) -> Case {
    Case::fine(&format!("{LIMITS}{lines}")).with_file("/data/myid", id)
}

/// The configuration of a member, and what is wrong with it.
fn read(case: &Case) -> (Config, Vec<String>) {
    let (config, values) = Config::read(&case.sources, &case.files).unwrap();
    let faults = values.errors.iter().map(ToString::to_string).collect();
    (config, faults)
}

fn ensemble(case: &Case) -> peers::Ensemble {
    let (config, faults) = read(case);
    assert_eq!(faults, Vec::<String>::new());
    config.ensemble.unwrap()
}

#[test]
fn a_member_knows_the_others_by_name() {
    let case = member(
        "2",
        "server.2=zk2:2888:3888;10.0.0.2:2181\nserver.1=zk1.example.org:2888:3888\nserver.3=[::1]:2888:3888:observer;2183",
    );
    let found = ensemble(&case);
    assert_eq!(found.me, ServerId::new(2));
    assert!(found.is_voter());
    assert_eq!(
        found.voters().collect::<Vec<_>>(),
        [1, 2].map(ServerId::new)
    );
    expect![[r#"
        server.1=zk1.example.org:2888:3888:participant
        server.2=zk2:2888:3888:participant;10.0.0.2:2181
        server.3=[::1]:2888:3888:observer;0.0.0.0:2183
        version=0"#]]
    .assert_eq(&found.text());
}

#[test]
fn groups_and_weights() {
    let found = ensemble(&member(
        "1",
        "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\ngroup.1=1:2\ngroup.2=3\nweight.3=0",
    ));
    expect![[r#"
        server.1=a:1:2:participant
        server.2=b:1:2:participant
        server.3=c:1:2:participant
        group.1=1:2
        group.2=3
        weight.3=0
        version=0"#]]
    .assert_eq(&found.text());
}

#[test]
fn members_wait_as_long_as_they_were_told() {
    let lines = "server.1=a:1:2\nserver.2=b:1:2\nleaderServes=no\nquorumListenOnAllIPs=true";
    let found = ensemble(&member("1", lines));
    let (patience, ms) = (found.patience, Duration::from_millis);
    assert_eq!((patience.init_limit, patience.sync_limit), (10, 5));
    assert_eq!(patience.connect_limit, None);
    assert_eq!((patience.dial, patience.redial), (ms(5000), ms(100)));
    assert_eq!(patience.shortest_notification, ms(200));
    assert_eq!(patience.longest_notification, ms(60_000));
    assert!(!found.leader_serves);
    assert!(found.listen_on_all);
}

#[test]
fn clients_come_to_the_address_in_the_members_own_line() {
    let (config, _) = read(
        &Case::file(&format!(
            "dataDir=/data\n{LIMITS}server.1=a:1:2;10.0.0.1:2181\nserver.2=b:1:2;10.0.0.2:2182"
        ))
        .with_file("/data/myid", "2"),
    );
    let client = config.listen.client.unwrap();
    assert_eq!(client.host.as_deref(), Some("10.0.0.2"));
    assert_eq!(client.port, 2182);
}

#[test]
fn impossible_ensembles_are_refused_where_they_were_written() {
    let check = |lines: &str, expected: &[&str]| {
        let (_, faults) = read(&member("1", lines));
        assert_eq!(faults, expected, "{lines}");
    };
    check(
        "server.1=a:1:2\nserver.256=b:1:2",
        &["zoo.cfg:6: server.256: 256 is out of range (allowed: server.N with N from 0 to 255)"],
    );
    check(
        "extendedTypesEnabled=true\nserver.1=a:1:2\nserver.255=b:1:2",
        &["zoo.cfg:7: server.255: 255 is out of range (allowed: server.N with N from 0 to 254)"],
    );
    check(
        "server.1=a:1:2\nserver.2=a:3:2",
        &["zoo.cfg:6: server.2: a:2 is an address of server.1 as well"],
    );
    check(
        "server.1=a:1:2\nserver.2=b:1:2\nweight.3=1",
        &[
            r#"zoo.cfg:7: weight.3: For input string: "weight.3=1" (allowed: weight.N with a member N and a weight from 0)"#,
        ],
    );
    check(
        "server.2=a:1:2\nserver.3=b:1:2",
        &["My id 1 not in the peer list"],
    );
}
