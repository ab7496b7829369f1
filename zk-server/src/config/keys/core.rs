//! Where the server listens, how it measures time, and which optional behaviours it has.

use super::super::value::{INT_MIN, Kind, LENIENT, MILLIS_MAX, STRICT, int, loose, loose_long};
use super::{Key, jvm, parsed, passed};

const NO_TLS: &str = "this release has no TLS; remove the key, and protect the port by a private \
                      network or a TLS proxy";
const NO_LOCAL: &str =
    "every session of this server is known to all members, but for those of readonlymode.enabled";

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    parsed("dataDir", Kind::Path, "", "path",
        "snapshots and myid; files live in its version-2"),
    parsed("dataLogDir", Kind::Path, "", "path",
        "transaction logs, in its version-2; by default dataDir"),
    parsed("clientPort", Kind::Port, "", "port",
        "plain client port; without it no plain listener; 0 takes any free port"),
    parsed("clientPortAddress", Kind::Host, "", "host",
        "address to bind; by default every interface; needs clientPort"),
    parsed("secureClientPort", Kind::Port, "", "port",
        "TLS client port")
        .not_yet(NO_TLS, &["0"]),
    parsed("secureClientPortAddress", Kind::Host, "", "host",
        "address of the TLS client port")
        .not_yet(NO_TLS, &[]),
    parsed("clientPortListenBacklog", int(INT_MIN), "-1", "count",
        "accept backlog; 0 and less leave it to the system"),
    parsed("tickTime", int(0), "3000", "ms",
        "the base unit of time"),
    parsed("minSessionTimeout", int(INT_MIN), "-1", "ms",
        "shortest session timeout granted; -1 is 2 ticks"),
    parsed("maxSessionTimeout", int(INT_MIN), "-1", "ms",
        "longest session timeout granted; -1 is 20 ticks"),
    parsed("maxClientCnxns", int(INT_MIN), "60", "count",
        "connections per client address; 0 and less are unlimited"),
    passed("maxCnxns", loose(0), "0", "count",
        "connections in total; 0 is unlimited"),
    passed("serverCnxnFactory", Kind::Text, "", "class",
        "Java's network layer")
        .without_effect("this server has one network layer"),
    passed("skipACL", Kind::YesNo, "no", "yes/no",
        "yes disables every ACL check"),
    passed("enforceQuota", LENIENT, "false", "bool",
        "hard quotas reject with QuotaExceeded"),
    passed("enableEagerACLCheck", LENIENT, "false", "bool",
        "check ACLs of a write before forwarding it")
        .without_effect("the leader checks them"),
    passed("tcpKeepAlive", LENIENT, "false", "bool",
        "TCP keep-alive on quorum sockets")
        .without_effect("members ping each other"),
    passed("clientTcpKeepAlive", LENIENT, "false", "bool",
        "TCP keep-alive on client sockets"),
    jvm("readonlymode.enabled", LENIENT, "false", "bool",
        "serve reads while there is no leader (also allows the word isro)"),
    passed("extendedTypesEnabled", LENIENT, "false", "bool",
        "allow nodes with a time to live"),
    passed("emulate353TTLNodes", LENIENT, "false", "bool",
        "read the time-to-live encoding of 3.5.3"),
    jvm("znode.container.checkIntervalMs", loose(1), "60000", "ms",
        "how often empty containers and expired nodes are looked for"),
    jvm("znode.container.maxPerMinute", loose(1), "10000", "count",
        "most such nodes deleted in a minute"),
    jvm("znode.container.maxNeverUsedIntervalMs", loose_long(0, MILLIS_MAX), "0", "ms",
        "delete containers that never had a child after this; 0 is never"),
    passed("closeSessionTxn.enabled", LENIENT, "true", "bool",
        "log the paths of ephemerals with the end of their session"),
    jvm("jute.maxbuffer", loose(1), "1048575", "bytes",
        "largest packet accepted from a client"),
    passed("jute.maxbuffer.extrasize", loose(1024), "", "bytes",
        "slack when reading own logs and snapshots; by default jute.maxbuffer"),
    parsed("localSessionsEnabled", STRICT, "false", "bool",
        "sessions known to one server only")
        .without_effect(NO_LOCAL),
    parsed("localSessionsUpgradingEnabled", STRICT, "false", "bool",
        "make a local session global at its first ephemeral")
        .without_effect(NO_LOCAL),
];
