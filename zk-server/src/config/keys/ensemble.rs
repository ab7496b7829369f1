//! Members, elections and learners. This release runs standalone: what only tunes an ensemble is
//! accepted, because every sample `zoo.cfg` carries it; what asks for an ensemble is refused.

use super::super::value::{INT_MIN, Kind, LENIENT, MILLIS_MAX, STRICT, int, loose, loose_long};
use super::{Key, jvm, parsed, passed};

const TUNES: &str = "only an ensemble uses it";
const STANDALONE: &str = "this release runs standalone only; remove the key";
const KEEP_FILE: &str =
    "this release runs standalone only; remove the key (the file is left as it is)";

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    parsed("server.*", Kind::Text, "", "host:port:port",
        "a member; one line is accepted and runs standalone, several are refused"),
    parsed("group.*", Kind::Text, "", "sid:sid",
        "hierarchical quorums: the members of a group")
        .not_yet(STANDALONE, &[]),
    parsed("weight.*", Kind::Text, "1", "weight",
        "hierarchical quorums: the weight of a member")
        .not_yet(STANDALONE, &[]),
    parsed("oraclePath", Kind::Path, "", "path",
        "the oracle of a two-server ensemble")
        .not_yet(STANDALONE, &[]),
    parsed("peerType", Kind::Text, "participant", "word",
        "participant or observer")
        .not_yet("this release runs standalone only and cannot observe an ensemble; remove the key",
            &["participant"]),
    parsed("electionAlg", int(INT_MIN), "3", "number",
        "the election algorithm; only 3 exists")
        .without_effect(TUNES),
    parsed("dynamicConfigFile", Kind::Path, "", "path",
        "the file with the members")
        .not_yet(KEEP_FILE, &[]),
    parsed("standaloneEnabled", STRICT, "true", "bool",
        "one server line runs standalone; false would run an ensemble of one"),
    parsed("reconfigEnabled", STRICT, "false", "bool",
        "allow the members to be changed at run time; a standalone refuses in other words then"),
    parsed("observerMasterPort", int(INT_MIN), "0", "port",
        "followers serve observers here; 0 is off")
        .not_yet(STANDALONE, &["0", "-1"]),
    parsed("initLimit", int(INT_MIN), "0", "ticks",
        "time to connect to a leader and catch up")
        .without_effect(TUNES),
    parsed("syncLimit", int(INT_MIN), "0", "ticks",
        "how far a learner may lag")
        .without_effect(TUNES),
    parsed("connectToLearnerMasterLimit", int(INT_MIN), "0", "ticks",
        "time to connect to a leader")
        .without_effect(TUNES),
    parsed("quorumListenOnAllIPs", STRICT, "false", "bool",
        "bind peer ports on every interface")
        .without_effect(TUNES),
    parsed("syncEnabled", STRICT, "true", "bool",
        "observers write logs and snapshots")
        .also(&["observer.syncEnabled"]).without_effect(TUNES),
    passed("leaderServes", Kind::YesNo, "yes", "yes/no",
        "the leader takes clients")
        .without_effect(TUNES),
    passed("cnxTimeout", loose(0), "5000", "ms",
        "election connect timeout")
        .without_effect(TUNES),
    passed("quorumCnxnTimeoutMs", loose(-1), "-1", "ms",
        "election read timeout")
        .without_effect(TUNES),
    parsed("quorum.cnxn.threads.size", int(INT_MIN), "20", "threads",
        "threads that authenticate peers")
        .without_effect(TUNES),
    passed("electionPortBindRetry", loose(0), "3", "count",
        "attempts to bind the election port")
        .without_effect(TUNES),
    passed("fastleader.minNotificationInterval", loose(0), "200", "ms",
        "shortest wait before a vote is repeated")
        .without_effect(TUNES),
    passed("fastleader.maxNotificationInterval", loose(0), "60000", "ms",
        "longest wait before a vote is repeated")
        .without_effect(TUNES),
    passed("leader.maxTimeToWaitForEpoch", loose(-1), "-1", "ms",
        "give up forming an epoch earlier than initLimit")
        .without_effect(TUNES),
    passed("leader.maxConcurrentSnapSyncs", loose(0), "10", "count",
        "learners that receive a snapshot at once")
        .also(&["maxConcurrentSnapSyncs"]).without_effect(TUNES),
    passed("leader.maxConcurrentDiffSyncs", loose(0), "100", "count",
        "learners that receive a diff at once")
        .also(&["maxConcurrentDiffSyncs"]).without_effect(TUNES),
    passed("leaderConnectDelayDuringRetryMs", loose(0), "100", "ms",
        "pause between attempts to reach the leader")
        .without_effect(TUNES),
    passed("learner.asyncSending", LENIENT, "false", "bool",
        "a slow socket does not stall a learner")
        .without_effect(TUNES),
    passed("learner.closeSocketAsync", LENIENT, "false", "bool",
        "closing a socket does not stall a learner")
        .without_effect(TUNES),
    passed("leader.closeSocketAsync", LENIENT, "false", "bool",
        "closing a socket does not stall a leader")
        .without_effect(TUNES),
    passed("observer.reconnectDelayMs", loose_long(0, MILLIS_MAX), "0", "ms",
        "pause before an observer reconnects")
        .without_effect(TUNES),
    passed("observer.election.DelayMs", loose_long(0, MILLIS_MAX), "200", "ms",
        "pause before an observer looks for a leader")
        .without_effect(TUNES),
    passed("observerMaster.sizeLimit", loose(0), "33554432", "bytes",
        "packets kept for observers")
        .without_effect(TUNES),
    passed("follower.skipLearnerRequestToNextProcessor", LENIENT, "false", "bool",
        "saves memory in Java followers")
        .without_effect(TUNES),
    passed("forward_learner_requests_to_commit_processor_disabled", LENIENT, "false", "bool",
        "saves memory in Java leaders")
        .without_effect(TUNES),
    passed("leader.ackLoggingFrequency", loose(1), "1000", "txns",
        "how often the latency of acks is sampled")
        .without_effect(TUNES),
    jvm("follower.nodelay", LENIENT, "true", "bool",
        "TCP_NODELAY towards the leader")
        .without_effect(TUNES),
    jvm("leader.nodelay", LENIENT, "true", "bool",
        "TCP_NODELAY towards learners")
        .without_effect(TUNES),
    parsed("multiAddress.enabled", STRICT, "false", "bool",
        "several addresses per member")
        .without_effect(TUNES),
    parsed("multiAddress.reachabilityCheckEnabled", STRICT, "true", "bool",
        "probe the addresses of a member")
        .without_effect(TUNES),
    parsed("multiAddress.reachabilityCheckTimeoutMs", int(0), "1000", "ms",
        "how long a probe may take")
        .without_effect(TUNES),
];
