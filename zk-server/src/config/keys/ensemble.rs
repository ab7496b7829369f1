//! Members, elections and learners. What tunes something that this server does in a way of its own is
//! accepted, because existing `zoo.cfg` files carry it; what asks for a missing feature is refused.

use super::super::value::{INT_MIN, Kind, LENIENT, MILLIS_MAX, STRICT, int, loose, loose_long};
use super::{Key, jvm, parsed, passed};

const OWN_WAY: &str = "this server has a way of its own that needs no tuning";
const NO_ORACLE: &str = "this release asks no oracle; remove the key";
const NO_MASTERS: &str = "followers of this release serve no observers; remove the key";
const NO_DYNAMIC: &str = "this release cannot change its members at run time; remove the key and write the server lines \
     here (the file is left as it is)";

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    parsed("server.*", Kind::Text, "", "host:port:port",
        "a member; one line alone runs standalone"),
    parsed("group.*", Kind::Text, "", "sid:sid",
        "hierarchical quorums: the members of a group"),
    parsed("weight.*", Kind::Text, "1", "weight",
        "hierarchical quorums: the weight of a member"),
    parsed("oraclePath", Kind::Path, "", "path",
        "the oracle of a two-server ensemble")
        .not_yet(NO_ORACLE, &[]),
    parsed("peerType", Kind::Text, "participant", "word",
        "participant or observer, as this server's own line says"),
    parsed("electionAlg", int(INT_MIN), "3", "number",
        "the election algorithm; only 3 exists")
        .without_effect("there is no other"),
    parsed("dynamicConfigFile", Kind::Path, "", "path",
        "the file with the members")
        .not_yet(NO_DYNAMIC, &[]),
    parsed("standaloneEnabled", STRICT, "true", "bool",
        "one server line runs standalone; false would run an ensemble of one"),
    parsed("reconfigEnabled", STRICT, "false", "bool",
        "allow the members to be changed at run time; a standalone refuses in other words then"),
    parsed("observerMasterPort", int(INT_MIN), "0", "port",
        "followers serve observers here; 0 is off")
        .not_yet(NO_MASTERS, &["0", "-1"]),
    parsed("initLimit", int(INT_MIN), "0", "ticks",
        "time to connect to a leader and catch up"),
    parsed("syncLimit", int(INT_MIN), "0", "ticks",
        "how far a learner may lag"),
    parsed("connectToLearnerMasterLimit", int(INT_MIN), "0", "ticks",
        "time to connect to a leader"),
    parsed("quorumListenOnAllIPs", STRICT, "false", "bool",
        "bind peer ports on every interface"),
    parsed("syncEnabled", STRICT, "true", "bool",
        "observers write logs and snapshots")
        .also(&["observer.syncEnabled"]).without_effect("observers always write theirs"),
    passed("leaderServes", Kind::YesNo, "yes", "yes/no",
        "the leader takes clients"),
    passed("cnxTimeout", loose(0), "5000", "ms",
        "election connect timeout"),
    passed("quorumCnxnTimeoutMs", loose(-1), "-1", "ms",
        "election read timeout")
        .without_effect(OWN_WAY),
    parsed("quorum.cnxn.threads.size", int(INT_MIN), "20", "threads",
        "threads that authenticate peers")
        .without_effect(OWN_WAY),
    passed("electionPortBindRetry", loose(0), "3", "count",
        "attempts to bind the election port")
        .without_effect(OWN_WAY),
    passed("fastleader.minNotificationInterval", loose(0), "200", "ms",
        "shortest wait before a vote is repeated"),
    passed("fastleader.maxNotificationInterval", loose(0), "60000", "ms",
        "longest wait before a vote is repeated"),
    passed("leader.maxTimeToWaitForEpoch", loose(-1), "-1", "ms",
        "give up forming an epoch earlier than initLimit")
        .without_effect(OWN_WAY),
    passed("leader.maxConcurrentSnapSyncs", loose(0), "10", "count",
        "learners that receive a snapshot at once")
        .also(&["maxConcurrentSnapSyncs"]).without_effect(OWN_WAY),
    passed("leader.maxConcurrentDiffSyncs", loose(0), "100", "count",
        "learners that receive a diff at once")
        .also(&["maxConcurrentDiffSyncs"]).without_effect(OWN_WAY),
    passed("leaderConnectDelayDuringRetryMs", loose(0), "100", "ms",
        "pause between attempts to reach the leader")
        .without_effect(OWN_WAY),
    passed("learner.asyncSending", LENIENT, "false", "bool",
        "a slow socket does not stall a learner")
        .without_effect(OWN_WAY),
    passed("learner.closeSocketAsync", LENIENT, "false", "bool",
        "closing a socket does not stall a learner")
        .without_effect(OWN_WAY),
    passed("leader.closeSocketAsync", LENIENT, "false", "bool",
        "closing a socket does not stall a leader")
        .without_effect(OWN_WAY),
    passed("observer.reconnectDelayMs", loose_long(0, MILLIS_MAX), "0", "ms",
        "pause before an observer reconnects")
        .without_effect(OWN_WAY),
    passed("observer.election.DelayMs", loose_long(0, MILLIS_MAX), "200", "ms",
        "pause before an observer looks for a leader")
        .without_effect(OWN_WAY),
    passed("observerMaster.sizeLimit", loose(0), "33554432", "bytes",
        "packets kept for observers")
        .without_effect(OWN_WAY),
    passed("follower.skipLearnerRequestToNextProcessor", LENIENT, "false", "bool",
        "saves memory in Java followers")
        .without_effect(OWN_WAY),
    passed("forward_learner_requests_to_commit_processor_disabled", LENIENT, "false", "bool",
        "saves memory in Java leaders")
        .without_effect(OWN_WAY),
    passed("leader.ackLoggingFrequency", loose(1), "1000", "txns",
        "how often the latency of acks is sampled")
        .without_effect(OWN_WAY),
    jvm("follower.nodelay", LENIENT, "true", "bool",
        "TCP_NODELAY towards the leader")
        .without_effect(OWN_WAY),
    jvm("leader.nodelay", LENIENT, "true", "bool",
        "TCP_NODELAY towards learners")
        .without_effect(OWN_WAY),
    parsed("multiAddress.enabled", STRICT, "false", "bool",
        "several addresses per member"),
    parsed("multiAddress.reachabilityCheckEnabled", STRICT, "true", "bool",
        "probe the addresses of a member")
        .without_effect(OWN_WAY),
    parsed("multiAddress.reachabilityCheckTimeoutMs", int(0), "1000", "ms",
        "how long a probe may take")
        .without_effect(OWN_WAY),
];
