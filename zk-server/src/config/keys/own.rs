//! Limits that ZooKeeper does not have. Every buffer and table that a client can make grow has one,
//! with a default generous enough that no ordinary use meets it.

use super::super::value::{Kind, LENIENT, long};
use super::{Key, own};

/// Bytes or a count: 0 means no limit where the meaning says so.
const COUNT: Kind = long(0, 1 << 50);
/// A buffer that must exist.
const BUFFER: Kind = long(4096, 1 << 50);

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    own("limit.connectionBuffer", BUFFER, "4194304", "bytes",
        "replies and events waiting for one client; beyond it the client is not read, then closed"),
    own("limit.handshakeBuffer", BUFFER, "65536", "bytes",
        "memory of a connection that has no session yet"),
    own("limit.globalBuffer", BUFFER, "1073741824", "bytes",
        "buffers of all connections together"),
    own("limit.watchesPerConnection", COUNT, "1000000", "count",
        "watches of one connection; 0 is unlimited"),
    own("limit.watches", COUNT, "50000000", "count",
        "watches in total; 0 is unlimited"),
    own("limit.watchBytesPerConnection", COUNT, "67108864", "bytes",
        "paths watched by one connection; 0 is unlimited"),
    own("limit.watchBytes", COUNT, "1073741824", "bytes",
        "paths watched in total, each counted once; 0 is unlimited"),
    own("limit.newSessionsPerSecond", COUNT, "0", "per second",
        "new sessions from everywhere; 0 is unlimited"),
    own("limit.newSessionsPerIpPerSecond", COUNT, "0", "per second",
        "new sessions from one address; 0 is unlimited"),
    own("limit.multiOps", COUNT, "100000", "count",
        "operations in one multi; 0 is unlimited"),
    own("limit.authenticationBurstPerIp", COUNT, "10", "count",
        "failed attempts to authenticate of one address before the next ones wait; 0 is unlimited"),
    own("limit.softMemory", COUNT, "0", "bytes",
        "above this much memory, writes that grow the tree are refused; 0 is off"),
    own("limit.fourLetterReply", BUFFER, "67108864", "bytes",
        "a longer answer to a four-letter word is cut"),
    own("storage.diskHeadroomBytes", COUNT, "33554432", "bytes",
        "free space below which client writes are refused; 0 is off"),
    own("log.dropDamagedTail", LENIENT, "false", "bool",
        "drop a damaged last record of the log that may have been acknowledged; for one start"),
];
