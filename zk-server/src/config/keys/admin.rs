//! Four-letter words, the admin HTTP server, metrics, audit and logging.

use super::super::value::{Kind, LENIENT, int, loose};
use super::{Key, parsed, passed};

const NO_ADMIN: &str = "this release has no admin HTTP server";
const NO_METRICS: &str =
    "this release has no metrics HTTP endpoint; the word mntr has the same numbers";
const LOGGING: &str =
    "it configures Java's logging; this server logs to standard error (see --log-format)";

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    passed("4lw.commands.whitelist", Kind::List, "", "list",
        "four-letter words that are answered; * is all; srvr always is"),
    passed("admin.enableServer", LENIENT, "true", "bool",
        "the admin HTTP server")
        .without_effect(NO_ADMIN),
    passed("admin.serverAddress", Kind::Text, "0.0.0.0", "host",
        "address of the admin HTTP server")
        .without_effect(NO_ADMIN),
    passed("admin.serverPort", loose(0), "8080", "port",
        "port of the admin HTTP server")
        .without_effect(NO_ADMIN),
    passed("admin.idleTimeout", loose(0), "30000", "ms",
        "how long an idle admin connection lives")
        .without_effect(NO_ADMIN),
    passed("admin.commandURL", Kind::Text, "/commands", "path",
        "where admin commands are found")
        .without_effect(NO_ADMIN),
    passed("admin.httpVersion", loose(0), "11", "number",
        "HTTP version of the admin server")
        .without_effect(NO_ADMIN),
    passed("admin.portUnification", LENIENT, "false", "bool",
        "HTTP and HTTPS on the admin port")
        .without_effect(NO_ADMIN),
    passed("admin.forceHttps", LENIENT, "false", "bool",
        "only HTTPS on the admin port")
        .without_effect(NO_ADMIN),
    passed("admin.needClientAuth", LENIENT, "false", "bool",
        "admin clients need a certificate")
        .without_effect(NO_ADMIN),
    passed("admin.rateLimiterIntervalInMS", loose(0), "300000", "ms",
        "pause between snapshots taken over HTTP")
        .without_effect(NO_ADMIN),
    passed("admin.snapshot.enabled", LENIENT, "true", "bool",
        "snapshots over HTTP")
        .without_effect(NO_ADMIN),
    passed("admin.restore.enabled", LENIENT, "true", "bool",
        "restore over HTTP")
        .without_effect(NO_ADMIN),
    parsed("metricsProvider.className", Kind::Text,
        "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider", "class",
        "how metrics are published")
        .not_yet(concat!("this release has no metrics HTTP endpoint; remove the key and read the ",
            "four-letter word mntr instead"), &[
            "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
            "org.apache.zookeeper.metrics.impl.NullMetricsProvider"]),
    parsed("metricsProvider.*", Kind::Text, "", "various",
        "settings of the metrics provider")
        .without_effect(NO_METRICS),
    passed("audit.enable", LENIENT, "false", "bool",
        "log who changed what")
        .not_yet("this release has no audit log; remove the key or write false", &["false"]),
    passed("audit.impl.class", Kind::Text, "", "class",
        "where the audit log goes")
        .without_effect("this release has no audit log"),
    parsed("jvm.pause.monitor", super::super::value::STRICT, "false", "bool",
        "watch for moments at which the process stood still"),
    parsed("jvm.pause.warn-threshold.ms", int(0), "10000", "ms",
        "a pause worth a warning"),
    parsed("jvm.pause.info-threshold.ms", int(0), "1000", "ms",
        "a pause worth a line"),
    parsed("jvm.pause.sleep.time.ms", int(0), "500", "ms",
        "how often pauses are looked for; at least 10"),
    passed("messageTracker.Enabled", LENIENT, "false", "bool",
        "remember the last packets of learners")
        .without_effect("packets are not remembered"),
    passed("messageTracker.BufferSize", loose(0), "10", "count",
        "how many packets are remembered")
        .without_effect("packets are not remembered"),
    passed("pathStats.*", Kind::Text, "", "various",
        "counts of operations per path")
        .without_effect("this release does not count operations per path"),
    passed("log.*", Kind::Text, "", "various",
        "log directory and file of the start script")
        .without_effect(LOGGING),
    passed("root.logger", Kind::Text, "", "word",
        "log level")
        .without_effect(LOGGING),
    passed("console.threshold", Kind::Text, "", "word",
        "log level of the console")
        .without_effect(LOGGING),
    passed("jmx.*", Kind::Text, "", "various",
        "Java management beans")
        .without_effect("there is no JVM to manage"),
];
