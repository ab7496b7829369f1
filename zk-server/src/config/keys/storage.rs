//! Logs, snapshots, and how long they are kept.

use super::super::value::{INT_MIN, Kind, LENIENT, MILLIS_MAX, Reading, int, loose, loose_long};
use super::{Key, parsed, passed};

const SYNC_ONLY: &str = "only a leader that brings learners up to date uses it";
const RATIO: Kind = Kind::Real {
    reading: Reading::Lenient,
    min: -1e9,
    max: 1e9,
};
const KIB_MAX: i64 = i64::MAX / 1024;

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    passed("snapCount", loose(2), "100000", "txns",
        "a snapshot after a random count between half of this and this"),
    passed("snapSizeLimitInKb", loose_long(i64::MIN, KIB_MAX), "4194304", "KiB",
        "the same, by bytes of log; 0 and less is off"),
    passed("txnLogSizeLimitInKb", loose_long(i64::MIN, KIB_MAX), "-1", "KiB",
        "begin a new log file at this size; 0 and less is off"),
    passed("preAllocSize", loose_long(0, KIB_MAX), "65536", "KiB",
        "log files grow by this step"),
    passed("forceSync", Kind::YesNo, "yes", "yes/no",
        "no acknowledges writes that are not on disk"),
    passed("fsync.warningthresholdms", loose_long(0, MILLIS_MAX), "1000", "ms",
        "an fsync longer than this is logged and counted"),
    passed("flushDelay", loose_long(0, MILLIS_MAX), "0", "ms",
        "wait this long for more writes to share one fsync; 0 is off"),
    passed("maxWriteQueuePollTime", loose_long(0, MILLIS_MAX), "", "ms",
        "fsync when nothing arrived for this long; by default flushDelay / 3"),
    passed("maxBatchSize", loose(1), "1000", "txns",
        "fsync at the latest after this many"),
    passed("commitLogCount", loose(1), "500", "txns",
        "recent writes kept in memory for learners")
        .without_effect(SYNC_ONLY),
    passed("snapshotSizeFactor", RATIO, "0.33", "ratio",
        "send learners the log while it is smaller than this part of a snapshot")
        .without_effect(SYNC_ONLY),
    passed("forceSnapshotSync", LENIENT, "false", "bool",
        "always send learners a snapshot")
        .without_effect(SYNC_ONLY),
    passed("snapshot.compression.method",
        Kind::Choice { reading: Reading::Lenient, words: &["", "gz", "snappy"] }, "", "word",
        "compress snapshots"),
    passed("snapshot.trust.empty", LENIENT, "false", "bool",
        "start from logs without any snapshot (upgrade from 3.4)"),
    passed("serializeLastProcessedZxid.enabled", LENIENT, "true", "bool",
        "write the last zxid at the end of a snapshot"),
    passed("digest.enabled", LENIENT, "true", "bool",
        "keep and compare a digest of the tree"),
    parsed("autopurge.snapRetainCount", int(INT_MIN), "3", "count",
        "snapshots kept, at least 3"),
    parsed("autopurge.purgeInterval", Kind::Hours, "", "hours",
        "purge at start and then this often; absent: after every snapshot; 0: never"),
    passed("datadir.autocreate", LENIENT, "true", "bool",
        "create missing data directories"),
    passed("db.autocreate", LENIENT, "true", "bool",
        "start with an empty tree when there is no data"),
];
