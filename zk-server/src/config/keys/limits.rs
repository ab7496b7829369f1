//! Limits and throttles that ZooKeeper has too.

use super::super::value::{Kind, LENIENT, Reading, loose, loose_long};
use super::{Key, passed};

const FRACTION: Kind = Kind::Real {
    reading: Reading::Strict,
    min: 0.0,
    max: 1.0,
};

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    passed("globalOutstandingLimit", loose(1), "1000", "requests",
        "in process at once; above it clients with a request in process are not read"),
    passed("request_throttle_max_requests", loose(0), "0", "requests",
        "in the pipeline at once, the rest waits before it; 0 is off")
        .also(&["requestThrottleLimit"]),
    passed("request_throttle_stall_time", loose(1), "100", "ms",
        "how long the throttle waits before it looks again")
        .also(&["requestThrottleStallTime"])
        .without_effect("this throttle lets the next request in as soon as there is room"),
    passed("request_throttle_drop_stale", LENIENT, "true", "bool",
        "drop waiting requests that are stale")
        .also(&["requestThrottleDropStale"]),
    passed("request_stale_connection_check", LENIENT, "true", "bool",
        "a request of a closed connection is stale")
        .also(&["requestStaleConnectionCheck"]),
    passed("request_stale_latency_check", LENIENT, "false", "bool",
        "a request older than its session timeout is stale")
        .also(&["requestStaleLatencyCheck"]),
    passed("throttled_op_wait_time", loose(0), "0", "ms",
        "a request that waited longer is answered THROTTLEDOP; 0 is off")
        .also(&["throttledOpWaitTime"]),
    passed("request_throttler.shutdownTimeout", loose(0), "10000", "ms",
        "how long a shutdown waits for the throttle to drain"),
    passed("connection_throttle_tokens", loose(0), "0", "count",
        "new connections the bucket holds; 0 is off")
        .also(&["connectionMaxTokens"]),
    passed("connection_throttle_fill_time", loose(1), "1", "ms",
        "how often the bucket is filled")
        .also(&["connectionTokenFillTime"]),
    passed("connection_throttle_fill_count", loose(1), "1", "count",
        "tokens added each time")
        .also(&["connectionTokenFillCount"]),
    passed("connection_throttle_freeze_time", loose(-1), "-1", "ms",
        "how often the chance of dropping is adapted; -1 is off")
        .also(&["connectionFreezeTime"]),
    passed("connection_throttle_drop_increase", FRACTION, "0.02", "chance",
        "added when the bucket is empty")
        .also(&["connectionDropIncrease"]),
    passed("connection_throttle_drop_decrease", FRACTION, "0.002", "chance",
        "taken away when the bucket is full enough")
        .also(&["connectionDropDecrease"]),
    passed("connection_throttle_decrease_ratio", FRACTION, "0", "ratio",
        "how full is full enough")
        .also(&["connectionDecreaseRatio"]),
    passed("connection_throttle_weight_enabled", LENIENT, "false", "bool",
        "make new sessions cost more tokens than renewed ones"),
    passed("connection_throttle_global_session_weight", loose(1), "3", "tokens",
        "cost of a new session"),
    passed("connection_throttle_renew_session_weight", loose(1), "2", "tokens",
        "cost of a renewed session"),
    passed("connection_throttle_local_session_weight", loose(1), "1", "tokens",
        "cost of a local session"),
    passed("largeRequestThreshold", loose(-1), "-1", "bytes",
        "a longer request is a large one; -1 is off"),
    passed("largeRequestMaxBytes", loose(1), "104857600", "bytes",
        "large requests in process; more closes the connection"),
    passed("nio.sessionlessCnxnTimeout", loose_long(1, 86_400_000), "10000", "ms",
        "how long a socket may live without a session"),
];
