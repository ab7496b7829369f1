//! Spellings, leniency, warnings, secrets.

use expect_test::expect;

use super::*;

#[test]
fn every_class_and_spelling() {
    check(
        Case::fine(
            "tickTime=2000\nzookeeper.initLimit=10\nsnapCount=5000\nzookeeper.preAllocSize=64\n\
             jute.maxbuffer=4194304\nzookeeper.znode.container.checkIntervalMs=10\nrequestThrottleLimit=7\n\
             connectionMaxTokens=9\nobserver.syncEnabled=false\nlimit.watches=5\n\
             maxConcurrentSnapSyncs=3\noutstandingHandshake.limit=5\nadvancedFlowControlEnabled=true",
        ),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            tickTime = 2000 [zoo.cfg:3]
            znode.container.checkIntervalMs = 10 [zoo.cfg:8]
            jute.maxbuffer = 4194304 [zoo.cfg:7]
            snapCount = 5000 [zoo.cfg:5]
            preAllocSize = 64 [zoo.cfg:6]
            request_throttle_max_requests = 7 [zoo.cfg:9]
            connection_throttle_tokens = 9 [zoo.cfg:10]
            limit.watches = 5 [zoo.cfg:12]
            initLimit = 10 [zoo.cfg:4]
            leader.maxConcurrentSnapSyncs = 3 [zoo.cfg:13] (no effect: this server has a way of its own that needs no tuning)
            netty.advancedFlowControl.enabled = true [zoo.cfg:15] (no effect: this server has one network layer)
            netty.server.outstandingHandshake.limit = 5 [zoo.cfg:14] (no effect: this server has one network layer)
            syncEnabled = false [zoo.cfg:11] (no effect: observers always write theirs)
        "#]],
    );
}

#[test]
fn lenient_numbers_and_booleans() {
    check(
        Case::fine(
            "snapCount=0x10\nmaxBatchSize=010\nflushDelay=soon\nglobalOutstandingLimit=0\nenforceQuota=yes\n\
             digest.enabled=TRUE\nforceSync=maybe\nsnapshot.compression.method=zip\nmaxCnxns=99999999999\n\
             skipACL=YES\nautopurge.snapRetainCount=1",
        ),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            maxCnxns = 0 [zoo.cfg:11]
            skipACL = no [zoo.cfg:12]
            enforceQuota = false [zoo.cfg:7]
            snapCount = 16 [zoo.cfg:3]
            forceSync = yes [zoo.cfg:9]
            flushDelay = 0 [zoo.cfg:5]
            maxBatchSize = 8 [zoo.cfg:4]
            snapshot.compression.method =  [zoo.cfg:10]
            digest.enabled = true [zoo.cfg:8]
            autopurge.snapRetainCount = 3 [zoo.cfg:13]
            globalOutstandingLimit = 1 [zoo.cfg:6]
            warning: zoo.cfg:7: enforceQuota: "yes" is not true or false; using false, as ZooKeeper does
            warning: zoo.cfg:5: flushDelay: "soon" is not a whole number from 0; using 0, as ZooKeeper does
            warning: zoo.cfg:9: forceSync: "maybe" is not yes or no; using yes, as ZooKeeper does
            warning: zoo.cfg:6: globalOutstandingLimit: 0 is not a whole number from 1; using 1
            warning: zoo.cfg:11: maxCnxns: "99999999999" is not a whole number from 0; using 0, as ZooKeeper does
            warning: zoo.cfg:12: skipACL: "YES" is not yes or no; using no, as ZooKeeper does
            warning: zoo.cfg:10: snapshot.compression.method: "zip" is not (empty), gz, snappy; using nothing, as ZooKeeper does
            warning: zoo.cfg:13: Invalid autopurge.snapRetainCount: 1. Defaulting to 3
        "#]],
    );
}

#[test]
fn fractions() {
    check(
        Case::fine("connection_throttle_drop_increase=0.5"),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            connection_throttle_drop_increase = 0.5 [zoo.cfg:3]
        "#]],
    );
    check(
        Case::fine(
            "connection_throttle_drop_increase=2\nconnectionDropDecrease=NaN\nconnectionDecreaseRatio=x",
        ),
        expect![[r#"
            zoo.cfg:3: connection_throttle_drop_increase: 2 is out of range (allowed: a decimal number from 0 to 1)
            zoo.cfg:4: connection_throttle_drop_decrease: NaN is out of range (allowed: a decimal number from 0 to 1)
            zoo.cfg:5: connection_throttle_decrease_ratio: For input string: "x" (allowed: a decimal number from 0 to 1)
            exit 2
        "#]],
    );
}

#[test]
fn duplicates_and_blanks() {
    check(
        Case::fine("tickTime=1\n tickTime : 2000  "),
        expect![[r#"
        dataDir = /data [zoo.cfg:1]
        clientPort = 2181 [zoo.cfg:2]
        tickTime = 2000 [zoo.cfg:4]
        warning: zoo.cfg:4: tickTime is written twice; this one counts, zoo.cfg:3 does not
    "#]],
    );
}

#[test]
fn unknown_keys_are_warned_of_once_with_a_suggestion() {
    check(
        Case::fine(
            "tickTme=5\nmaxclientcnxns=3\nnonsense.of.mine=1\nzookeeper.snapcount=2\ntickTme=6\n=x",
        ),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            warning: zoo.cfg:3: unknown key "tickTme" has no effect; did you mean tickTime?
            warning: zoo.cfg:4: unknown key "maxclientcnxns" has no effect; did you mean maxClientCnxns?
            warning: zoo.cfg:5: unknown key "nonsense.of.mine" has no effect
            warning: zoo.cfg:6: unknown key "zookeeper.snapcount" has no effect; did you mean snapCount?
            warning: zoo.cfg:8: unknown key "" has no effect
        "#]],
    );
}

#[test]
fn dangerous_settings_are_loud() {
    check(
        Case::fine("skipACL=yes\nforceSync=no\nsnapshot.trust.empty=true\ntxnLogSizeLimitInKb=100"),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            skipACL = yes [zoo.cfg:3]
            txnLogSizeLimitInKb = 100 [zoo.cfg:6]
            forceSync = no [zoo.cfg:4]
            snapshot.trust.empty = true [zoo.cfg:5]
            warning: zoo.cfg:6: txnLogSizeLimitInKb is below twice preAllocSize; logs will roll very often
            warning: zoo.cfg:4: forceSync=no: a power failure can lose acknowledged writes
            warning: zoo.cfg:5: snapshot.trust.empty=true: a lost snapshot will go unnoticed; remove it after the upgrade
            warning: zoo.cfg:3: skipACL=yes: every client may do everything
        "#]],
    );
}

#[test]
fn secrets_are_never_shown() {
    let secret = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";
    let case = || {
        Case::fine(&format!(
            "DigestAuthenticationProvider.superDigest={secret}"
        ))
    };
    check(
        case(),
        expect![[r#"
        dataDir = /data [zoo.cfg:1]
        clientPort = 2181 [zoo.cfg:2]
        DigestAuthenticationProvider.superDigest = <redacted> [zoo.cfg:3]
        warning: zoo.cfg:3: a super user is configured: whoever knows its password bypasses every ACL
    "#]],
    );
    let loaded = case().load().unwrap();
    assert_eq!(
        loaded
            .config
            .security
            .super_digest
            .as_ref()
            .unwrap()
            .reveal(),
        secret
    );
    for text in [
        format!("{loaded:?}"),
        table(&loaded.effective),
        dump(&loaded.effective),
    ] {
        assert!(
            text.contains("redacted") && !text.contains("xQJm"),
            "{text}"
        );
    }
    let refused = Case::fine("ssl.keyStore.password=hunter2")
        .load()
        .unwrap_err();
    assert!(!format!("{refused:?}").contains("hunter2"));
    let flags = Case::embedded().flags(&[("superDigest", "hunter2")]);
    assert!(!format!("{:?}", flags.sources).contains("hunter2"));
    check(
        Case::fine("DigestAuthenticationProvider.superDigest=plain password"),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            DigestAuthenticationProvider.superDigest = <redacted> [zoo.cfg:3]
            warning: zoo.cfg:3: the value is not of the form super:<base64 digest>; nobody can authenticate with it
        "#]],
    );
}

#[test]
fn admin_keys_give_one_warning_unless_the_server_is_off() {
    check(
        Case::fine("admin.serverPort=9090\nadmin.enableServer=true"),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            admin.enableServer = true [zoo.cfg:4] (no effect: this release has no admin HTTP server)
            admin.serverPort = 9090 [zoo.cfg:3] (no effect: this release has no admin HTTP server)
            warning: zoo.cfg:4: this release has no admin HTTP server, so nothing reads admin.enableServer, admin.serverPort (write admin.enableServer=false to silence this)
        "#]],
    );
    check(
        Case::fine("admin.serverPort=9090\nadmin.enableServer=false"),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            admin.enableServer = false [zoo.cfg:4] (no effect: this release has no admin HTTP server)
            admin.serverPort = 9090 [zoo.cfg:3] (no effect: this release has no admin HTTP server)
        "#]],
    );
}

#[test]
fn relative_directories() {
    check(
        Case::file("clientPort=1\ndataDir=data\ndataLogDir=./log"),
        expect![[r#"
            dataDir = data [zoo.cfg:2]
            dataLogDir = ./log [zoo.cfg:3]
            clientPort = 1 [zoo.cfg:1]
            warning: zoo.cfg:2: dataDir: relative path data; start it with ./ or / to say which directory is meant
        "#]],
    );
}

#[test]
fn no_listener_is_said() {
    check(
        Case::file("dataDir=/data"),
        expect![[r#"
        dataDir = /data [zoo.cfg:1]
        warning: no clientPort: no client will be able to connect
    "#]],
    );
}

#[test]
fn the_file_of_debian_starts() {
    check(
        Case::file(include_str!("../../../testdata/config/debian-zoo.cfg")),
        expect![[r#"
            dataDir = /tmp/zookeeper [zoo.cfg:12]
            clientPort = 2181 [zoo.cfg:14]
            tickTime = 2000 [zoo.cfg:2]
            initLimit = 10 [zoo.cfg:5]
            syncLimit = 5 [zoo.cfg:8]
        "#]],
    );
}

#[test]
fn a_lone_server_line_runs_standalone() {
    let case = || Case::file("dataDir=/data\nserver.1=localhost:2888:3888;2181");
    check(
        case(),
        expect![[r#"
            dataDir = /data [zoo.cfg:1]
            clientPort = 2181 [zoo.cfg:2]
            clientPortAddress =  [zoo.cfg:2]
            server.1 = localhost:2888:3888;2181 [zoo.cfg:2]
            warning: zoo.cfg:2: only one server specified (ignoring): running standalone
        "#]],
    );
    check(
        case().with_file("/data/myid", "2"),
        expect![[r#"
        dataDir = /data [zoo.cfg:1]
        server.1 = localhost:2888:3888;2181 [zoo.cfg:2]
        warning: zoo.cfg:2: only one server specified (ignoring): running standalone
        warning: zoo.cfg:2: the only server line is server.1, but this server's id is 2; the line is ignored
        warning: no clientPort: no client will be able to connect
    "#]],
    );
    let fixed =
        "dataDir=/data\nclientPort=2181\nserver.1=[::1]:2888:3888:participant;10.0.0.1:2181";
    assert_eq!(
        Case::file(fixed)
            .config()
            .listen
            .client
            .unwrap()
            .host
            .as_deref(),
        Some("10.0.0.1")
    );
}
