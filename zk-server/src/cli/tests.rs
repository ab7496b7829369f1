use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect, expect_file};

use super::*;
use crate::config::tests::FakeFiles;

const ZOO_CFG: &str = "dataDir=/data\nclientPort=2181\ntickTime=2000\ninitLimit=5\n";

fn run(line: &str, environment: &[(&str, &str)]) -> String {
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let paths = ["zoo.cfg", "/etc/zookeeper/zoo.cfg", "/etc/zookeeper/other"];
    let files = paths
        .iter()
        .map(|path| (PathBuf::from(path), ZOO_CFG.as_bytes().to_vec()));
    let files = FakeFiles {
        files: files.collect::<BTreeMap<_, _>>(),
        directories: BTreeSet::new(),
    };
    match answer(parse(&arguments, environment), &files) {
        Ok((loaded, format)) => {
            let config = loaded.config;
            let file = config
                .misc
                .config_file
                .map_or_else(|| "no file".to_owned(), |path| path.display().to_string());
            let client = config.listen.client.unwrap();
            format!(
                "start: {file}, {}:{}, {}, tick {:?}, {:?} per client, {format:?}\n",
                client.host.unwrap_or_default(),
                client.port,
                config.storage.data_dir.display(),
                config.sessions.tick_time,
                config.limits.max_client_cnxns,
            )
        }
        Err(Answer { out, err, code }) => format!("{out}{err}exit {}\n", code.value()),
    }
}

fn check(line: &str, expected: Expect) {
    expected.assert_eq(&run(line, &[]));
}

#[test]
fn ways_to_start() {
    check(
        "",
        expect![[r#"
        start: no file, 127.0.0.1:2181, ./zk-data, tick 3s, Some(60) per client, Human
    "#]],
    );
    check(
        "start",
        expect![[r#"
        start: no file, 127.0.0.1:2181, ./zk-data, tick 3s, Some(60) per client, Human
    "#]],
    );
    check(
        "start zoo.cfg",
        expect![[r#"
        start: zoo.cfg, :2181, /data, tick 2s, Some(60) per client, Human
    "#]],
    );
    check(
        "start-foreground ./zoo.cfg",
        expect![[r#"
        error: ./zoo.cfg file is missing
        Invalid config, exiting abnormally
        exit 2
    "#]],
    );
    check(
        "zoo.cfg",
        expect![[r#"
        start: zoo.cfg, :2181, /data, tick 2s, Some(60) per client, Human
    "#]],
    );
    check(
        "start 2182 /d",
        expect![[r#"
        start: no file, :2182, /d, tick 3s, None per client, Human
    "#]],
    );
    check(
        "2182 /d 500 7",
        expect![[r#"
        start: no file, :2182, /d, tick 500ms, Some(7) per client, Human
    "#]],
    );
    check(
        "start -- zoo.cfg",
        expect![[r#"
        start: zoo.cfg, :2181, /data, tick 2s, Some(60) per client, Human
    "#]],
    );
}

#[test]
fn options_anywhere() {
    check(
        "--set tickTime=7 start zoo.cfg -DdataDir=/x=y --log-format json",
        expect![[r#"
            start: zoo.cfg, :2181, /x=y, tick 7ms, Some(60) per client, Json
        "#]],
    );
    check(
        "--set=tickTime=7 --log-format=json -D dataDir=/x",
        expect![[r#"
            start: no file, 127.0.0.1:2181, /x, tick 7ms, Some(60) per client, Json
        "#]],
    );
    check(
        "-Dzookeeper.maxClientCnxns=0",
        expect![[r#"
        start: no file, 127.0.0.1:2181, ./zk-data, tick 3s, None per client, Human
    "#]],
    );
}

#[test]
fn the_variables_of_the_start_script_name_the_file() {
    for (line, environment, expected) in [
        (
            "start",
            vec![("ZOOCFGDIR", "/etc/zookeeper")],
            expect![[r#"
                start: /etc/zookeeper/zoo.cfg, :2181, /data, tick 2s, Some(60) per client, Human
            "#]],
        ),
        (
            "",
            vec![("ZOOCFGDIR", "/etc/zookeeper"), ("ZOOCFG", "other")],
            expect![[r#"
                start: /etc/zookeeper/other, :2181, /data, tick 2s, Some(60) per client, Human
            "#]],
        ),
        (
            "",
            vec![("ZOOCFG", "zoo.cfg")],
            expect![[r#"
            start: zoo.cfg, :2181, /data, tick 2s, Some(60) per client, Human
        "#]],
        ),
        (
            "start other",
            vec![("ZOOCFGDIR", "/etc/zookeeper")],
            expect![[r#"
                start: /etc/zookeeper/other, :2181, /data, tick 2s, Some(60) per client, Human
            "#]],
        ),
        (
            "start ./other",
            vec![("ZOOCFGDIR", "/etc/zookeeper")],
            expect![[r#"
                error: ./other file is missing
                Invalid config, exiting abnormally
                exit 2
            "#]],
        ),
        (
            "start 2182 /d",
            vec![("ZOOCFGDIR", "/etc/zookeeper")],
            expect![[r#"
                start: no file, :2182, /d, tick 3s, None per client, Human
            "#]],
        ),
    ] {
        expected.assert_eq(&run(line, &environment));
    }
}

#[test]
fn what_nobody_understands() {
    check(
        "chekc",
        expect![[r#"
        zk-server: unknown command "chekc"; did you mean check?
        exit 2
    "#]],
    );
    check(
        "frobnicate",
        expect![[r#"
        zk-server: unknown command "frobnicate"; see --help
        exit 2
    "#]],
    );
    check(
        "start --lgo-format json",
        expect![[r#"
        zk-server: unknown option --lgo-format; did you mean --log-format?
        exit 2
    "#]],
    );
    check(
        "start -x",
        expect![[r#"
        zk-server: unknown option -x; see --help
        exit 2
    "#]],
    );
    check(
        "start --set",
        expect![[r#"
        zk-server: --set needs a value: key=value
        exit 2
    "#]],
    );
    check(
        "start --set tickTime",
        expect![[r#"
        zk-server: --set needs a value: key=value
        exit 2
    "#]],
    );
    check(
        "start -DtickTime",
        expect![[r#"
        zk-server: -D needs a value: key=value
        exit 2
    "#]],
    );
    check(
        "start -D",
        expect![[r#"
        zk-server: -D needs a value: key=value
        exit 2
    "#]],
    );
}

#[test]
fn what_is_understood_and_wrong() {
    check(
        "start --log-format yaml",
        expect![[r#"
        zk-server: yaml is not a log format (allowed: human, json)
        exit 2
    "#]],
    );
    check(
        "start --log-format",
        expect![[r#"
        zk-server: --log-format needs a value: human or json
        exit 2
    "#]],
    );
    check(
        "start 1 2 3 4 5",
        expect![[r#"
        zk-server: Invalid number of arguments: 5 after start (allowed: a file, or PORT DATADIR [tickTime] [maxClientCnxns])
        exit 2
    "#]],
    );
    check(
        "check a b",
        expect![[r#"
        zk-server: Invalid number of arguments: 2 after check (allowed: one file)
        exit 2
    "#]],
    );
    check(
        "keys a",
        expect![[r#"
        zk-server: Invalid number of arguments: 1 after keys (allowed: none)
        exit 2
    "#]],
    );
    check(
        "check --config-dump",
        expect![[r#"
        zk-server: --config-dump belongs to start, not to check
        exit 2
    "#]],
    );
    check(
        "start none.cfg",
        expect![[r#"
        error: none.cfg file is missing
        Invalid config, exiting abnormally
        exit 2
    "#]],
    );
    check(
        "start 99999 /d",
        expect![[r#"
        error: argument PORT: clientPort: port out of range:99999 (allowed: a port from 0 to 65535)
        Invalid config, exiting abnormally
        exit 2
    "#]],
    );
}

#[test]
fn a_dump_is_a_file_with_sources() {
    check(
        "start zoo.cfg --config-dump -DtickTime=5",
        expect![[r#"
        # zoo.cfg:1
        dataDir=/data
        # zoo.cfg:2
        clientPort=2181
        # flag -DtickTime
        tickTime=5
        # zoo.cfg:4
        initLimit=5
        exit 0
    "#]],
    );
    check(
        "start zoo.cfg --config-dump -DtickTime=x",
        expect![[r#"
        error: flag -DtickTime: tickTime: For input string: "x" (allowed: a whole number from 0)
        Invalid config, exiting abnormally
        exit 2
    "#]],
    );
}

#[test]
fn a_check_shows_everything_with_its_source() {
    let line =
        "check zoo.cfg --set snapCuont=5 -DDigestAuthenticationProvider.superDigest=super:abc";
    expect_file!["../../testdata/config/check.txt"].assert_eq(&run(line, &[]));
    check(
        "check zoo.cfg --set tickTime=x --set datadir.autocreate=false",
        expect![[r#"
            error: flag --set tickTime: tickTime: For input string: "x" (allowed: a whole number from 0)
            Invalid config, exiting abnormally
            exit 2
        "#]],
    );
    check(
        "check zoo.cfg --set datadir.autocreate=false",
        expect![[r#"
            error: flag --set datadir.autocreate: Missing data directory /data/version-2 (datadir.autocreate is false; create it, or allow creation)
            Unable to access datadir, exiting abnormally
            exit 3
        "#]],
    );
}

#[test]
fn help_and_version_come_before_everything_else() {
    assert!(run("start --help zoo.cfg", &[]).starts_with("zk-server: a coordination server"));
    assert_eq!(run("help", &[]), run("-h", &[]));
    assert_eq!(run("-V", &[]), run("version", &[]));
    check(
        "--version",
        expect![[r#"
        zk-server 0.1.0 (compatible with Apache ZooKeeper 3.9)
        exit 0
    "#]],
    );
    for command in COMMANDS {
        assert!(
            HELP.contains(command),
            "{command} is missing in the usage text"
        );
    }
    for option in OPTIONS {
        assert!(
            HELP.contains(option),
            "{option} is missing in the usage text"
        );
    }
    assert!(HELP.lines().all(|line| line.len() <= 100));
}

#[test]
fn the_listing_of_keys_has_every_key() {
    let listing = run("keys", &[]);
    for key in config::keys::all() {
        assert!(listing.contains(key.name), "{}", key.name);
        assert!(listing.contains(key.meaning), "{}", key.name);
    }
    expect_file!["../../testdata/config/keys.txt"].assert_eq(&listing);
}

#[test]
fn control_characters_never_reach_the_terminal() {
    for line in [
        "start -DtickTime=\u{1b}[2J",
        "\u{1b}[2J",
        "check -D\u{1b}]0;x=1 -DdataDir=/\u{7}",
    ] {
        let text = run(line, &[]);
        assert!(text.contains("\\u{1b}"), "{text}");
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n'),
            "{text:?}"
        );
    }
}
