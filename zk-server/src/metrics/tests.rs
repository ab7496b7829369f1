use super::*;
use std::collections::BTreeMap;
use std::time::Duration;

fn keys(metrics: &Metrics) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    for_each_key(metrics, &mut |key, value| {
        assert!(
            keys.insert(key.to_owned(), value.to_string()).is_none(),
            "{key} twice"
        );
    });
    keys
}

#[test]
fn nothing_is_lost_between_threads() {
    const THREADS: u64 = 8;
    const EACH: u64 = 20_000;
    let metrics = Metrics::with_shards(3);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let metrics = &metrics;
            scope.spawn(move || {
                for n in 0..EACH {
                    let shard = metrics.here();
                    shard.counters.commit_count.increment();
                    shard
                        .latencies
                        .readlatency
                        .record(Duration::from_micros(thread * EACH + n));
                    shard.amounts.sync_processor_batch_size.record(n);
                    shard.server.packets_sent.increment();
                    if let Some(namespace) = metrics.namespace("/app/x") {
                        shard.read_per_namespace(namespace, 3);
                    }
                }
            });
        }
    });
    let total = THREADS * EACH;
    let keys = keys(&metrics);
    assert_eq!(keys["commit_count"], total.to_string());
    assert_eq!(keys["cnt_readlatency"], total.to_string());
    assert_eq!(
        keys["sum_readlatency"],
        (total * (total - 1) / 2).div_ceil(1000).to_string()
    );
    assert_eq!(keys["min_readlatency"], "0");
    assert_eq!(keys["max_readlatency"], "160");
    assert_eq!(
        keys["sum_sync_processor_batch_size"],
        (THREADS * EACH * (EACH - 1) / 2).to_string()
    );
    assert_eq!(keys["cnt_app_read_per_namespace"], total.to_string());
    assert_eq!(keys["avg_app_read_per_namespace"], "3.0");
    assert_eq!(metrics.server().packets_sent, total);
}

#[test]
fn a_reset_leaves_what_a_fresh_server_shows() {
    let metrics = Metrics::with_shards(2);
    let fresh = keys(&metrics);
    let shard = metrics.here();
    shard.counters.looking_count.add(3);
    shard.limits.limit_watches.increment();
    shard.timings.fsynctime.record(Duration::from_millis(4));
    shard
        .latencies
        .updatelatency
        .record(Duration::from_millis(5));
    shard.server.answered(Duration::from_millis(6), 1);
    shard
        .server
        .client_response_size
        .record(100, Duration::from_secs(1));
    let namespace = metrics.namespace("/a").unwrap();
    shard.write_per_namespace(namespace, 7);
    metrics.over_quota("/a/b");
    metrics.learners.queue_size(3, 8);
    assert_ne!(keys(&metrics), fresh);
    metrics.reset();
    assert_eq!(keys(&metrics), fresh);
    assert_eq!(metrics.server(), Metrics::with_shards(1).server());
}

#[test]
fn milliseconds_enclose_their_mean() {
    let metrics = Metrics::with_shards(1);
    for micros in [400, 700, 1900] {
        metrics
            .here()
            .latencies
            .readlatency
            .record(Duration::from_micros(micros));
    }
    let keys = keys(&metrics);
    let shown = |key: &str| keys[&format!("{key}_readlatency")].clone();
    assert_eq!(
        [shown("min"), shown("avg"), shown("max")],
        ["0", "1.0", "2"]
    );
    assert_eq!(
        [shown("p50"), shown("p999"), shown("cnt"), shown("sum")],
        ["1", "2", "3", "3"]
    );
}

#[test]
fn namespaces_are_top_level_nodes_and_bounded() {
    let metrics = Metrics::with_shards(1);
    assert_eq!(metrics.namespace("/"), None);
    assert_eq!(metrics.namespace(""), None);
    assert_eq!(metrics.namespace("/a"), metrics.namespace("/a/b/c"));
    for n in 0..1000 {
        let namespace = metrics.namespace(&format!("/n{n}")).unwrap();
        metrics.here().read_per_namespace(namespace, 1);
    }
    let keys = keys(&metrics);
    let shown = keys
        .keys()
        .filter(|key| key.starts_with("cnt_") && key.ends_with("read_per_namespace"));
    // "/a" holds one of the 64 places and was not read.
    assert_eq!(shown.count(), LABEL_CAPACITY);
    assert_eq!(
        keys["cnt__other_read_per_namespace"],
        (1000 - 63).to_string()
    );
}
