//! From settled values to the typed [`Config`], with the rules that tie one key to another.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::error::{Caution, Fault};
use super::settings::*;
use super::value::INT_MAX;
use super::values::Values;

/// The smallest number of snapshots anybody is allowed to keep.
const RETAIN_MIN: i64 = 3;
/// 127.0.0.1:2181 and a directory beside the user: nothing to configure, nothing exposed.
pub(super) const EMBEDDED: &[(&str, &str)] = &[
    ("clientPort", "2181"),
    ("clientPortAddress", "127.0.0.1"),
    ("dataDir", "./zk-data"),
];
/// Java's short form does not limit connections per client.
pub(super) const SHORT_FORM: &[(&str, &str)] = &[("maxClientCnxns", "0")];
/// A file has to say everything that has no default.
pub(super) const FROM_FILE: &[(&str, &str)] = &[];

/// A number that the table's range has already bounded.
fn bounded<T: TryFrom<i64>>(name: &'static str, number: i64) -> T {
    let Ok(number) = T::try_from(number) else {
        panic!("the table allows {number} for {name}, which its field cannot hold");
    };
    number
}

fn number<T: TryFrom<i64>>(values: &Values, name: &'static str) -> T {
    bounded(name, values.int(name).unwrap_or_default())
}

/// Zero and less mean "no limit".
fn limit<T: TryFrom<i64>>(values: &Values, name: &'static str) -> Option<T> {
    values
        .int(name)
        .filter(|number| *number > 0)
        .map(|number| bounded(name, number))
}

fn millis(values: &Values, name: &'static str) -> Duration {
    Duration::from_millis(number(values, name))
}

fn some_millis(values: &Values, name: &'static str) -> Option<Duration> {
    limit(values, name).map(Duration::from_millis)
}

fn kib(values: &Values, name: &'static str) -> Option<u64> {
    limit::<u64>(values, name).map(|kib| kib * 1024)
}

/// Builds everything; what is wrong is left in `values.errors`, and then the result means nothing.
pub(super) fn build(values: &mut Values) -> Config {
    Config {
        listen: listen(values),
        sessions: sessions(values),
        storage: storage(values),
        limits: limits(values),
        throttling: Throttling {
            requests: request_throttle(values),
            connections: connection_throttle(values),
        },
        security: security(values),
        four_letter_words: four_letter_words(values),
        containers: Containers {
            check_interval: millis(values, "znode.container.checkIntervalMs"),
            max_per_minute: number(values, "znode.container.maxPerMinute"),
            max_never_used: some_millis(values, "znode.container.maxNeverUsedIntervalMs"),
        },
        ensemble: None,
        misc: Misc {
            extended_types: values.bool("extendedTypesEnabled"),
            emulate_353_ttl: values.bool("emulate353TTLNodes"),
            pause_monitor: pause_monitor(values),
            reconfig_enabled: values.bool("reconfigEnabled"),
            my_id: None,
            config_file: None,
        },
    }
}

fn listen(values: &Values) -> Listen {
    let client = values.int("clientPort").map(|port| ClientAddress {
        host: values.text("clientPortAddress"),
        port: bounded("clientPort", port),
    });
    let backlog = limit(values, "clientPortListenBacklog");
    Listen {
        client,
        backlog,
        tcp_keep_alive: values.bool("clientTcpKeepAlive"),
    }
}

fn sessions(values: &mut Values) -> Sessions {
    let tick = values.int("tickTime").unwrap_or_default();
    if tick == 0 {
        values.fail_at("tickTime", Fault::NotSet("tickTime"));
    }
    let mut timeout = |name: &'static str, ticks: i64| {
        let written = values.int(name).filter(|ms| *ms != -1);
        let used = written.unwrap_or(tick * ticks).min(INT_MAX);
        values.show(name, used);
        used
    };
    let (min, max) = (
        timeout("minSessionTimeout", 2),
        timeout("maxSessionTimeout", 20),
    );
    if min > max {
        let culprit = if values.get("maxSessionTimeout").is_some() {
            "maxSessionTimeout"
        } else {
            "minSessionTimeout"
        };
        values.fail_at(culprit, Fault::MinAboveMax { min, max });
    }
    // Java takes negative limits, and no timeout is below them; zero says the same.
    Sessions {
        tick_time: Duration::from_millis(bounded("tickTime", tick)),
        min_timeout: Duration::from_millis(bounded("minSessionTimeout", min.max(0))),
        max_timeout: Duration::from_millis(bounded("maxSessionTimeout", max.max(0))),
        close_session_txn: values.bool("closeSessionTxn.enabled"),
    }
}

fn storage(values: &mut Values) -> Storage {
    let data_dir = directory(values, "dataDir");
    if data_dir.is_none() {
        values.fail_at("dataDir", Fault::NotSet("dataDir"));
    }
    let data_dir = data_dir.unwrap_or_default();
    let data_log_dir = directory(values, "dataLogDir").unwrap_or_else(|| data_dir.clone());
    values.show("dataLogDir", data_log_dir.display());
    let flush_delay = some_millis(values, "flushDelay");
    let poll_default = flush_delay.map_or(Duration::ZERO, |delay| delay / 3);
    let poll = values
        .int("maxWriteQueuePollTime")
        .map(|_| millis(values, "maxWriteQueuePollTime"));
    let poll = poll.unwrap_or(poll_default);
    values.show("maxWriteQueuePollTime", poll.as_millis());
    Storage {
        data_dir,
        data_log_dir,
        datadir_autocreate: values.bool("datadir.autocreate"),
        db_autocreate: values.bool("db.autocreate"),
        snap_count: number(values, "snapCount"),
        snap_size_limit: kib(values, "snapSizeLimitInKb"),
        txn_log_size_limit: log_size_limit(values),
        prealloc: kib(values, "preAllocSize").unwrap_or_default(),
        force_sync: force_sync(values),
        fsync_warning_threshold: millis(values, "fsync.warningthresholdms"),
        flush_delay,
        max_write_queue_poll_time: poll,
        max_batch_size: number(values, "maxBatchSize"),
        compression: compression(values),
        trust_empty: trust_empty(values),
        drop_damaged_tail: drop_damaged_tail(values),
        digest_enabled: values.bool("digest.enabled"),
        serialize_last_zxid: values.bool("serializeLastProcessedZxid.enabled"),
        retain_count: retain_count(values),
        purge: purge(values),
        disk_headroom: limit(values, "storage.diskHeadroomBytes"),
    }
}

fn directory(values: &mut Values, name: &'static str) -> Option<PathBuf> {
    let path = values.text(name)?;
    let named_place = path.starts_with('/') || path.starts_with("./");
    if values.get(name).is_some() && !named_place {
        values.warn_at(
            name,
            Caution::RelativePath {
                key: name.to_owned(),
                found: path.clone(),
            },
        );
    }
    Some(PathBuf::from(path))
}

fn log_size_limit(values: &mut Values) -> Option<u64> {
    let size = kib(values, "txnLogSizeLimitInKb")?;
    if size
        < kib(values, "preAllocSize")
            .unwrap_or_default()
            .saturating_mul(2)
    {
        values.warn_at("txnLogSizeLimitInKb", Caution::SmallLog);
    }
    Some(size)
}

fn force_sync(values: &mut Values) -> bool {
    let sync = values.bool("forceSync");
    if !sync {
        values.warn_at("forceSync", Caution::NoForceSync);
    }
    values.show("forceSync", if sync { "yes" } else { "no" });
    sync
}

fn compression(values: &Values) -> Compression {
    match values.text("snapshot.compression.method").as_deref() {
        Some("gz") => Compression::Gzip,
        Some("snappy") => Compression::Snappy,
        _ => Compression::None,
    }
}

fn trust_empty(values: &mut Values) -> bool {
    let trust = values.bool("snapshot.trust.empty");
    if trust {
        values.warn_at("snapshot.trust.empty", Caution::TrustEmpty);
    }
    trust
}

fn drop_damaged_tail(values: &mut Values) -> bool {
    let drop = values.bool("log.dropDamagedTail");
    if drop {
        values.warn_at("log.dropDamagedTail", Caution::DropDamagedTail);
    }
    drop
}

fn retain_count(values: &mut Values) -> u32 {
    let wanted = values
        .int("autopurge.snapRetainCount")
        .unwrap_or(RETAIN_MIN);
    if wanted < RETAIN_MIN {
        values.warn_at("autopurge.snapRetainCount", Caution::RetainCount(wanted));
        values.show("autopurge.snapRetainCount", RETAIN_MIN);
    }
    bounded("autopurge.snapRetainCount", wanted.max(RETAIN_MIN))
}

fn purge(values: &mut Values) -> Purge {
    let name = "autopurge.purgeInterval";
    let purge = match values.int(name) {
        None => Purge::AfterEverySnapshot,
        Some(ms) if ms <= 0 => Purge::Never,
        Some(ms) => Purge::Every(Duration::from_millis(bounded(name, ms))),
    };
    match purge {
        Purge::AfterEverySnapshot => values.show(name, "(after every snapshot)"),
        Purge::Never => values.show(name, "0"),
        Purge::Every(_) => {}
    }
    purge
}

fn limits(values: &mut Values) -> Limits {
    let maxbuffer = number(values, "jute.maxbuffer");
    // Java's default for the slack is the limit itself, but never less than its own minimum.
    let extrasize =
        limit(values, "jute.maxbuffer.extrasize").unwrap_or_else(|| std::cmp::max(maxbuffer, 1024));
    values.show("jute.maxbuffer.extrasize", extrasize);
    Limits {
        max_client_cnxns: limit(values, "maxClientCnxns"),
        max_cnxns: limit(values, "maxCnxns"),
        global_outstanding: number(values, "globalOutstandingLimit"),
        jute_maxbuffer: maxbuffer,
        jute_maxbuffer_extrasize: extrasize,
        large_request_threshold: limit(values, "largeRequestThreshold"),
        large_request_max_bytes: number(values, "largeRequestMaxBytes"),
        sessionless_timeout: millis(values, "nio.sessionlessCnxnTimeout"),
        connection_buffer: number(values, "limit.connectionBuffer"),
        handshake_buffer: number(values, "limit.handshakeBuffer"),
        global_buffer: number(values, "limit.globalBuffer"),
        watches_per_connection: limit(values, "limit.watchesPerConnection"),
        watches: limit(values, "limit.watches"),
        watch_bytes_per_connection: limit(values, "limit.watchBytesPerConnection"),
        watch_bytes: limit(values, "limit.watchBytes"),
        new_sessions_per_second: limit(values, "limit.newSessionsPerSecond"),
        new_sessions_per_ip_per_second: limit(values, "limit.newSessionsPerIpPerSecond"),
        multi_ops: limit(values, "limit.multiOps"),
        authentication_burst_per_ip: limit(values, "limit.authenticationBurstPerIp"),
        soft_memory: limit(values, "limit.softMemory"),
        four_letter_reply: number(values, "limit.fourLetterReply"),
    }
}

fn request_throttle(values: &Values) -> RequestThrottle {
    RequestThrottle {
        max_requests: limit(values, "request_throttle_max_requests"),
        drop_stale: values.bool("request_throttle_drop_stale"),
        stale_connection_check: values.bool("request_stale_connection_check"),
        stale_latency_check: values.bool("request_stale_latency_check"),
        throttled_op_wait: some_millis(values, "throttled_op_wait_time"),
        shutdown_timeout: millis(values, "request_throttler.shutdownTimeout"),
    }
}

fn connection_throttle(values: &Values) -> ConnectionThrottle {
    let weighted = values.bool("connection_throttle_weight_enabled");
    // As in Java, nothing may be cheaper than a local session.
    let local: u32 = number(values, "connection_throttle_local_session_weight");
    let at_least_local = |name| number::<u32>(values, name).max(local);
    ConnectionThrottle {
        tokens: limit(values, "connection_throttle_tokens"),
        fill_time: millis(values, "connection_throttle_fill_time"),
        fill_count: number(values, "connection_throttle_fill_count"),
        freeze_time: values
            .int("connection_throttle_freeze_time")
            .and_then(|ms| u64::try_from(ms).ok())
            .map(Duration::from_millis),
        drop_increase: values.real("connection_throttle_drop_increase"),
        drop_decrease: values.real("connection_throttle_drop_decrease"),
        decrease_ratio: values.real("connection_throttle_decrease_ratio"),
        weights: weighted.then(|| SessionWeights {
            global: at_least_local("connection_throttle_global_session_weight"),
            renew: at_least_local("connection_throttle_renew_session_weight"),
            local,
        }),
    }
}

fn pause_monitor(values: &Values) -> Option<PauseMonitor> {
    let ms = |name| millis(values, name);
    values.bool("jvm.pause.monitor").then(|| PauseMonitor {
        // A monitor that never sleeps would itself be the load it looks for.
        interval: ms("jvm.pause.sleep.time.ms").max(Duration::from_millis(10)),
        info_above: ms("jvm.pause.info-threshold.ms"),
        warn_above: ms("jvm.pause.warn-threshold.ms"),
    })
}

fn security(values: &mut Values) -> Security {
    let skip_acl = values.bool("skipACL");
    if skip_acl {
        values.warn_at("skipACL", Caution::SkipAcl);
    }
    values.show("skipACL", if skip_acl { "yes" } else { "no" });
    Security {
        skip_acl,
        enforce_quota: values.bool("enforceQuota"),
        digest_scheme: values.bool("DigestAuthenticationProvider.enabled"),
        digest_algorithm: digest_algorithm(values),
        super_digest: super_digest(values),
        enforced_schemes: enforced_schemes(values),
    }
}

fn digest_algorithm(values: &Values) -> DigestAlgorithm {
    match values
        .text("DigestAuthenticationProvider.digestAlg")
        .as_deref()
    {
        Some("SHA-224") => DigestAlgorithm::Sha224,
        Some("SHA-256") => DigestAlgorithm::Sha256,
        Some("SHA-384") => DigestAlgorithm::Sha384,
        Some("SHA-512") => DigestAlgorithm::Sha512,
        _ => DigestAlgorithm::Sha1,
    }
}

fn super_digest(values: &mut Values) -> Option<Secret> {
    let name = "DigestAuthenticationProvider.superDigest";
    let text = values.text(name)?;
    let well_formed = text.strip_prefix("super:").is_some_and(|digest| {
        !digest.is_empty()
            && digest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    });
    values.warn_at(
        name,
        if well_formed {
            Caution::SuperUser
        } else {
            Caution::SuperDigestForm
        },
    );
    Some(Secret::new(text))
}

fn enforced_schemes(values: &mut Values) -> Option<BTreeSet<String>> {
    let schemes = words(values, "enforce.auth.schemes");
    if !values.bool("enforce.auth.enabled") {
        return None;
    }
    if schemes.is_empty() {
        values.fail_at("enforce.auth.enabled", Fault::NoSchemes);
    }
    for scheme in &schemes {
        let fault = match scheme.as_str() {
            "ip" | "digest" => continue,
            "sasl" | "x509" => Fault::NotYet(format!(
                "this release cannot authenticate with {scheme}; use digest or ip"
            )),
            _ => Fault::NotAChoice {
                found: scheme.clone(),
                allowed: "digest, ip".to_owned(),
            },
        };
        values.fail_at("enforce.auth.schemes", fault);
    }
    Some(schemes)
}

fn four_letter_words(values: &Values) -> FourLetterWords {
    let mut listed = words(values, "4lw.commands.whitelist");
    if listed.contains("*") {
        return FourLetterWords::All;
    }
    listed.insert("srvr".to_owned());
    if values.bool("readonlymode.enabled") {
        listed.insert("isro".to_owned());
    }
    FourLetterWords::Some(listed)
}

fn words(values: &Values, name: &'static str) -> BTreeSet<String> {
    let text = values.text(name).unwrap_or_default();
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
