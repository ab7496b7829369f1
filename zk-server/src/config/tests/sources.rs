//! Who wins, and what the environment may say.

use expect_test::expect;

use super::*;

#[test]
fn the_later_source_wins() {
    let file = || Case::fine("tickTime=1000\nsnapCount=1000");
    check(
        file(),
        expect![[r#"
        dataDir = /data [zoo.cfg:1]
        clientPort = 2181 [zoo.cfg:2]
        tickTime = 1000 [zoo.cfg:3]
        snapCount = 1000 [zoo.cfg:4]
    "#]],
    );
    let with_environment =
        || file().environment(&[("ZOO_TICK_TIME", "2000"), ("ZOO_SNAP_COUNT", "2000")]);
    check(
        with_environment(),
        expect![[r#"
        dataDir = /data [zoo.cfg:1]
        clientPort = 2181 [zoo.cfg:2]
        tickTime = 2000 [environment ZOO_TICK_TIME]
        snapCount = 2000 [environment ZOO_SNAP_COUNT]
    "#]],
    );
    // Not as in Java, where the file beats the flag for a pass-through key such as snapCount.
    check(
        with_environment().flags(&[("zookeeper.snapCount", "3000")]),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            tickTime = 2000 [environment ZOO_TICK_TIME]
            snapCount = 3000 [flag -Dzookeeper.snapCount]
        "#]],
    );
}

#[test]
fn the_last_flag_wins() {
    check(
        Case::embedded().flags(&[("tickTime", "1"), ("tickTime", "2")]),
        expect![[r#"
            tickTime = 2 [flag -DtickTime]
            warning: flag -DtickTime: tickTime is written twice; this one counts, flag -DtickTime does not
        "#]],
    );
}

#[test]
fn jvm_flags() {
    check(
        Case::embedded().environment(&[
            (
                "SERVER_JVMFLAGS",
                "-Xmx1g -Dzookeeper.snapCount=7 -Djute.maxbuffer=999 -Dzookeeper.snapCout=9 \
                 -Djava.net.preferIPv4Stack=true -Dzookeeper.digest.enabled",
            ),
            (
                "JVMFLAGS",
                "-Dzookeeper.snapCount=8 -Dzookeeper.log.dir=/logs",
            ),
        ]),
        expect![[r#"
            jute.maxbuffer = 999 [environment SERVER_JVMFLAGS]
            snapCount = 8 [environment JVMFLAGS]
            digest.enabled = false [environment SERVER_JVMFLAGS]
            log.dir = /logs [environment JVMFLAGS] (no effect: it configures Java's logging; this server logs to standard error (see --log-format))
            warning: environment SERVER_JVMFLAGS: unknown key "zookeeper.snapCout" has no effect; did you mean snapCount?
            warning: environment JVMFLAGS: snapCount is written twice; this one counts, environment SERVER_JVMFLAGS does not
            warning: environment SERVER_JVMFLAGS: digest.enabled: "" is not true or false; using false, as ZooKeeper does
        "#]],
    );
}

#[test]
fn the_names_of_the_docker_image() {
    check(
        Case::embedded().environment(&[
            ("ZOO_CONF_DIR", "/conf"),
            ("ZOO_DATA_DIR", "/data"),
            ("ZOO_DATA_LOG_DIR", "/datalog"),
            ("ZOO_LOG_DIR", "/logs"),
            ("ZOO_TICK_TIME", "2000"),
            ("ZOO_INIT_LIMIT", "5"),
            ("ZOO_SYNC_LIMIT", "2"),
            ("ZOO_AUTOPURGE_PURGEINTERVAL", "0"),
            ("ZOO_AUTOPURGE_SNAPRETAINCOUNT", "3"),
            ("ZOO_MAX_CLIENT_CNXNS", "60"),
            ("ZOO_STANDALONE_ENABLED", "true"),
            ("ZOO_ADMINSERVER_ENABLED", "true"),
            ("ZOO_SERVERS", "server.1=localhost:2888:3888;2181"),
            ("ZOO_4LW_COMMANDS_WHITELIST", "srvr, mntr"),
            ("ZOO_MY_ID", "1"),
            (
                "ZOO_CFG_EXTRA",
                "tickTime=3000 metricsProvider.httpPort=7000",
            ),
            ("PATH", "/bin"),
        ]),
        expect![[r#"
            dataDir = /data [environment ZOO_DATA_DIR]
            dataLogDir = /datalog [environment ZOO_DATA_LOG_DIR]
            clientPort = 2181 [environment ZOO_SERVERS]
            clientPortAddress =  [environment ZOO_SERVERS]
            tickTime = 3000 [environment ZOO_CFG_EXTRA]
            maxClientCnxns = 60 [environment ZOO_MAX_CLIENT_CNXNS]
            autopurge.snapRetainCount = 3 [environment ZOO_AUTOPURGE_SNAPRETAINCOUNT]
            autopurge.purgeInterval = 0 [environment ZOO_AUTOPURGE_PURGEINTERVAL]
            standaloneEnabled = true [environment ZOO_STANDALONE_ENABLED]
            initLimit = 5 [environment ZOO_INIT_LIMIT]
            syncLimit = 2 [environment ZOO_SYNC_LIMIT]
            4lw.commands.whitelist = srvr, mntr [environment ZOO_4LW_COMMANDS_WHITELIST]
            admin.enableServer = true [environment ZOO_ADMINSERVER_ENABLED] (no effect: this release has no admin HTTP server)
            metricsProvider.httpPort = 7000 [environment ZOO_CFG_EXTRA] (no effect: this release has no metrics HTTP endpoint; the word mntr has the same numbers)
            server.1 = localhost:2888:3888;2181 [environment ZOO_SERVERS]
            warning: environment ZOO_CFG_EXTRA: tickTime is written twice; this one counts, environment ZOO_TICK_TIME does not
            warning: environment ZOO_SERVERS: only one server specified (ignoring): running standalone
            warning: environment ZOO_ADMINSERVER_ENABLED: this release has no admin HTTP server, so nothing reads admin.enableServer (write admin.enableServer=false to silence this)
        "#]],
    );
}

#[test]
fn any_key_in_upper_case_and_slips_of_it() {
    check(
        Case::embedded().environment(&[
            ("ZOO_AUTOPURGE_PURGE_INTERVAL", "24"),
            ("ZOO_JUTE_MAXBUFFER", "5"),
            ("ZOO_LIMIT_WATCHES", "6"),
            ("ZOO_TICK_TIM", "1"),
            ("ZOO_WHATEVER_THIS_IS", "1"),
            ("ZOO_MAX_SESSION_TIMEOUT", ""),
            ("ZOO_CFG_EXTRA", "  "),
        ]),
        expect![[r#"
            jute.maxbuffer = 5 [environment ZOO_JUTE_MAXBUFFER]
            autopurge.purgeInterval = 24 [environment ZOO_AUTOPURGE_PURGE_INTERVAL]
            limit.watches = 6 [environment ZOO_LIMIT_WATCHES]
            warning: environment ZOO_TICK_TIM: unknown variable has no effect; did you mean tickTime?
            warning: environment ZOO_WHATEVER_THIS_IS: unknown variable has no effect
        "#]],
    );
}

#[test]
fn the_switch_of_the_start_script_against_creating_directories() {
    check(
        Case::embedded().environment(&[("ZOO_DATADIR_AUTOCREATE_DISABLE", "1")]),
        expect![[r#"
            environment ZOO_DATADIR_AUTOCREATE_DISABLE: Missing data directory ./zk-data/version-2 (datadir.autocreate is false; create it, or allow creation)
            exit 3
        "#]],
    );
}

#[test]
fn a_stray_word_is_counted_and_not_quoted() {
    let extra = "SASLAuthenticationProvider.superPassword=hunter 2";
    let errors = Case::embedded()
        .environment(&[("ZOO_CFG_EXTRA", extra)])
        .load()
        .unwrap_err();
    let text = format!("{errors:?} {}", errors[0]);
    assert!(
        text.contains("word 2") && !text.contains("hunter"),
        "{text}"
    );
}

#[test]
fn an_environment_can_be_wrong() {
    check(
        Case::embedded().environment(&[
            ("ZOO_TICK_TIME", "two"),
            ("ZOO_CFG_EXTRA", "tickTime"),
            ("ZOO_SERVERS", "server.1=a:1:2 server.2=b:1:2"),
        ]),
        expect![[r#"
            initLimit: initLimit is not set
            syncLimit: syncLimit is not set
            myid file is missing (./zk-data/myid must hold this server's number)
            environment ZOO_CFG_EXTRA: word 1 of the value is not of the form key=value
            environment ZOO_TICK_TIME: tickTime: For input string: "two" (allowed: a whole number from 0)
            exit 2
        "#]],
    );
}

#[test]
fn the_number_of_this_server() {
    let case = || Case::fine("").environment(&[("ZOO_MY_ID", "4")]);
    assert_eq!(case().config().misc.my_id, Some(4));
    let both = || case().with_file("/data/myid", " 5\r\n");
    assert_eq!(both().config().misc.my_id, Some(5));
    check(
        both(),
        expect![[r#"
        dataDir = /data [zoo.cfg:1]
        clientPort = 2181 [zoo.cfg:2]
        warning: environment ZOO_MY_ID: ZOO_MY_ID=4 is ignored: the myid file says 5
    "#]],
    );
}

#[test]
fn javas_short_form() {
    let case = || Case::embedded().arguments(&["2181", "/data"]);
    check(
        case(),
        expect![[r#"
        dataDir = /data [argument DATADIR]
        clientPort = 2181 [argument PORT]
    "#]],
    );
    assert_eq!(
        case().config().limits.max_client_cnxns,
        None,
        "unlimited in this form"
    );
    assert_eq!(
        case().config().listen.client.unwrap().host,
        None,
        "every interface in this form"
    );
    check(
        Case::embedded().arguments(&["2181", "/data", "500", "20"]),
        expect![[r#"
            dataDir = /data [argument DATADIR]
            clientPort = 2181 [argument PORT]
            tickTime = 500 [argument tickTime]
            maxClientCnxns = 20 [argument maxClientCnxns]
        "#]],
    );
    check(
        Case::embedded().arguments(&["abc", "/data", "x"]),
        expect![[r#"
            argument PORT: clientPort: For input string: "abc" (allowed: a port from 0 to 65535)
            argument tickTime: tickTime: For input string: "x" (allowed: a whole number from 0)
            exit 2
        "#]],
    );
}

#[test]
fn real_files() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config");
    assert!(RealFiles.is_dir(&directory));
    let file = directory.join("debian-zoo.cfg");
    assert!(!RealFiles.is_dir(&file));
    let sources = |file| Sources {
        file: Some(file),
        ..Sources::default()
    };
    let loaded = Config::load(&sources(file.clone()), &RealFiles).unwrap();
    assert_eq!(loaded.config.misc.config_file, Some(file));
    let missing = directory.join("none.cfg");
    let errors = Config::load(&sources(missing.clone()), &RealFiles).unwrap_err();
    assert_eq!(errors[0].fault, Fault::FileMissing(missing));
}
