//! `mntr`: the same keys as Java, in every role.

use super::*;
use crate::tree::QuotaAmount;

/// Keys and values of `mntr`, each line in its shape.
fn monitored(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().map(|line| line.split_once('\t').expect(line));
    let keys: BTreeMap<_, _> = lines.clone().collect();
    assert_eq!(keys.len(), lines.count(), "a key twice");
    keys
}

/// Compares the keys and the kinds of their values; `ours` may have keys of our own.
fn same_keys(ours: &str, java: &str, besides: fn(&str) -> bool) {
    let (ours, java) = (monitored(ours), monitored(java));
    // The last one Java shows at its admin port only.
    let others = ["zk_followers", "zk_fsync_threshold_exceed_count"];
    let mine = |key: &str| key.starts_with("zk_limit_") || others.contains(&key);
    let shown = |keys: &BTreeMap<&str, &str>| -> BTreeSet<String> {
        keys.keys()
            .filter(|key| !besides(key))
            .map(|key| (*key).to_owned())
            .collect()
    };
    let ours_only: Vec<_> = shown(&ours)
        .difference(&shown(&java))
        .filter(|key| !mine(key))
        .cloned()
        .collect();
    let java_only: Vec<_> = shown(&java).difference(&shown(&ours)).cloned().collect();
    assert_eq!((ours_only, java_only), (vec![], vec![]));
    for (key, value) in java.iter().filter(|(key, _)| !besides(key)) {
        let text = ours[key];
        let kind = |value: &str| (value.parse::<i64>().is_ok(), value.parse::<f64>().is_ok());
        assert_eq!(kind(text), kind(value), "{key}: {text} for {value}");
    }
}

const fn amount(count: i64, bytes: i64) -> QuotaAmount {
    QuotaAmount { count, bytes }
}

#[test]
fn mntr_has_every_key_of_java() {
    let mut server = standalone(428);
    let namespaces = [
        (true, "/a", 74, 3070, 6214, 3),
        (true, "/b", 70, 75, 15_070, 201),
        (false, "/a", 2, 3002, 23_321, 204),
        (false, "/b", 5, 7, 12, 2),
        (false, "/zookeeper/quota", 18, 55, 123, 3),
    ];
    for (read, path, min, max, sum, count) in namespaces {
        let namespace = server.metrics.namespace(path).unwrap();
        for bytes in spread(min, max, sum, count) {
            let shard = server.metrics.here();
            if read {
                shard.read_per_namespace(namespace, bytes);
            } else {
                shard.write_per_namespace(namespace, bytes);
            }
        }
    }
    let namespace = "a".to_owned();
    let quota = Quota {
        namespace,
        limit: Some(amount(100, 1000)),
        usage: Some(amount(3, 3002)),
    };
    server.gauges.quotas = vec![quota];
    let (ours, java) = (ask(&server, Word::Mntr), recorded!("standalone/mntr.txt"));
    same_keys(&ours, java, |_| false);
    assert_eq!(
        ours.lines().take(2).collect::<Vec<_>>(),
        java.lines().take(2).collect::<Vec<_>>()
    );
    let (ours, java) = (monitored(&ours), monitored(java));
    for (key, value) in java.iter().filter(|(key, _)| key.ends_with("_namespace")) {
        assert_eq!(ours[key], *value, "{key}");
    }
    for key in [
        "avg_latency",
        "max_latency",
        "min_latency",
        "packets_received",
        "packets_sent",
        "znode_count",
    ] {
        let key = format!("zk_{key}");
        assert_eq!(ours[key.as_str()], java[key.as_str()], "{key}");
    }
}

#[test]
fn mntr_has_the_keys_of_each_role() {
    let namespaces: fn(&str) -> bool = |key| key.ends_with("write_per_namespace");
    let mut leader = member(Mode::Leader, 2, 1, 1);
    leader.gauges.leader = Some(LeaderGauges {
        learners: 3,
        ..LeaderGauges::default()
    });
    for learner in [1, 3, 4] {
        leader.metrics.learners.queue_size(learner, 1);
        leader
            .metrics
            .learners
            .queue_time(learner, Duration::from_millis(1));
    }
    let text = ask(&leader, Word::Mntr);
    same_keys(&text, recorded!("leader/mntr.txt"), namespaces);
    assert_eq!(monitored(&text)["zk_followers"], "3");
    let follower = member(Mode::Follower, 1, 1, 1);
    let (text, java) = (ask(&follower, Word::Mntr), recorded!("follower/mntr.txt"));
    same_keys(&text, java, namespaces);
    assert_eq!(
        text.lines().take(3).collect::<Vec<_>>(),
        java.lines().take(3).collect::<Vec<_>>()
    );
    let observer = member(Mode::Observer, 4, 1, 1);
    same_keys(
        &ask(&observer, Word::Mntr),
        recorded!("observer/mntr.txt"),
        namespaces,
    );
    let mut reader = member(Mode::ReadOnly, 1, 1, 1);
    (reader.serving, reader.gauges.ensemble) = (Serving::ReadOnly, None);
    same_keys(
        &ask(&reader, Word::Mntr),
        recorded!("read-only/mntr.txt"),
        namespaces,
    );
}

#[test]
fn quotas_are_bounded_and_cannot_forge_lines() {
    let mut server = standalone(1);
    let quota = |n: usize| Quota {
        namespace: format!("n{n}\nzk_x\t"),
        limit: (n == 0).then(|| amount(-1, 7)),
        usage: Some(amount(1, 2)),
    };
    server.gauges.quotas = (0..100).map(quota).collect();
    let text = ask(&server, Word::Mntr);
    let keys = monitored(&text);
    assert!(!keys.contains_key("zk_x"));
    assert_eq!(keys["zk__other_quota_bytes_usage_per_namespace"], "72");
    assert_eq!(
        keys.keys()
            .filter(|key| key.ends_with("quota_count_usage_per_namespace"))
            .count(),
        65
    );
    let limits = keys
        .iter()
        .filter(|(key, _)| key.ends_with("_limit_per_namespace"));
    let limits: Vec<_> = limits.map(|(_, value)| *value).collect();
    assert_eq!(limits, ["7", "-1"], "no limit is shown as Java shows it");
}
