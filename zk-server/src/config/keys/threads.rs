//! Java's thread pools, caches and buffers. This server has none of them; the keys are accepted so
//! that tuned files start unchanged.

use super::super::value::{Kind, LENIENT, MILLIS_MAX, Reading, loose, loose_long};
use super::{Key, passed};

const OWN_THREADS: &str = "this server chooses its threads itself";
const OWN_WATCHES: &str = "this server has one watch table";
const NO_CACHE: &str = "this server does not cache serialized replies";
const NO_NETTY: &str = "this server has one network layer";

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    passed("watchManagerName", Kind::Choice { reading: Reading::Strict, words: &[
        "WatchManager",
        "org.apache.zookeeper.server.watch.WatchManager",
        "org.apache.zookeeper.server.watch.WatchManagerOptimized"] }, "WatchManager", "class",
        "how Java stores watches")
        .without_effect(OWN_WATCHES),
    passed("watcherCleanThreadsNum", loose(0), "2", "threads",
        "threads that forget dead watchers")
        .without_effect(OWN_WATCHES),
    passed("watcherCleanThreshold", loose(0), "1000", "count",
        "dead watchers forgotten at once")
        .without_effect(OWN_WATCHES),
    passed("watcherCleanIntervalInSeconds", loose(0), "600", "s",
        "how often dead watchers are forgotten")
        .without_effect(OWN_WATCHES),
    passed("maxInProcessingDeadWatchers", loose(-1), "-1", "count",
        "dead watchers waiting at most")
        .without_effect(OWN_WATCHES),
    passed("bitHashCacheSize", loose(0), "10", "count",
        "cache of the bitmap watch table")
        .without_effect(OWN_WATCHES),
    passed("maxResponseCacheSize", loose(i32::MIN as i64), "400", "count",
        "cached node replies")
        .without_effect(NO_CACHE),
    passed("maxGetChildrenResponseCacheSize", loose(i32::MIN as i64), "400", "count",
        "cached children replies")
        .without_effect(NO_CACHE),
    passed("nio.numSelectorThreads", loose(1), "", "threads",
        "threads that wait for sockets")
        .without_effect(OWN_THREADS),
    passed("nio.numWorkerThreads", loose(0), "", "threads",
        "threads that read and write sockets")
        .without_effect(OWN_THREADS),
    passed("nio.directBufferBytes", loose(0), "65536", "bytes",
        "buffers outside Java's heap")
        .without_effect(OWN_THREADS),
    passed("nio.shutdownTimeout", loose_long(0, MILLIS_MAX), "5000", "ms",
        "how long a shutdown waits for the workers")
        .without_effect(OWN_THREADS),
    passed("commitProcessor.numWorkerThreads", loose(0), "", "threads",
        "threads that answer reads")
        .without_effect(OWN_THREADS),
    passed("commitProcessor.maxReadBatchSize", loose(-1), "-1", "count",
        "reads before a commit gets its turn")
        .without_effect(OWN_THREADS),
    passed("commitProcessor.maxCommitBatchSize", loose(0), "1", "count",
        "commits before a read gets its turn")
        .without_effect(OWN_THREADS),
    passed("commitProcessor.shutdownTimeout", loose_long(0, MILLIS_MAX), "5000", "ms",
        "how long a shutdown waits for reads")
        .without_effect(OWN_THREADS),
    passed("intBufferStartingSizeBytes", loose(0), "1024", "bytes",
        "first size of a serialization buffer")
        .without_effect(OWN_THREADS),
    passed("netty.server.outstandingHandshake.limit", loose(-1), "-1", "count",
        "TLS handshakes at once")
        .also(&["outstandingHandshake.limit"]).without_effect(NO_NETTY),
    passed("netty.server.earlyDropSecureConnectionHandshakes", LENIENT, "false", "bool",
        "drop TLS before the server is ready")
        .without_effect(NO_NETTY),
    passed("netty.advancedFlowControl.enabled", LENIENT, "false", "bool",
        "Netty's flow control")
        .also(&["advancedFlowControlEnabled"]).without_effect(NO_NETTY),
    passed("netty.*", Kind::Text, "", "various",
        "further settings of Netty")
        .without_effect(NO_NETTY),
];
