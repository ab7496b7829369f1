use std::collections::BTreeMap;

use super::super::environment::squeeze;
use super::*;

#[test]
fn every_spelling_means_one_key() {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (spelling, key) in spellings() {
        assert_eq!(
            seen.insert(spelling, key.name),
            None,
            "{spelling} is written twice"
        );
        assert_eq!(find(spelling).unwrap().1, key.name);
        assert_eq!(find(&format!("zookeeper.{spelling}")).unwrap().1, key.name);
    }
}

#[test]
fn no_two_keys_share_an_environment_variable() {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (spelling, key) in spellings() {
        let squeezed = squeeze(spelling);
        if let Some(other) = seen.insert(squeezed, key.name) {
            assert_eq!(other, key.name, "{spelling}");
        }
    }
}

#[test]
fn families_take_what_no_exact_key_takes() {
    for (spelling, expected) in [
        ("server.1", Some(("server.*", "server.1"))),
        ("server.realm", Some(("server.realm", "server.realm"))),
        (
            "zookeeper.ssl.quorum.keyStore.location",
            Some(("ssl.*", "ssl.quorum.keyStore.location")),
        ),
        ("superUser", Some(("superUser", "superUser"))),
        ("superUser.b", Some(("superUser.*", "superUser.b"))),
        (
            "metricsProvider.className",
            Some(("metricsProvider.className", "metricsProvider.className")),
        ),
        (
            "metricsProvider.httpPort",
            Some(("metricsProvider.*", "metricsProvider.httpPort")),
        ),
        ("server.", None),
        ("servers.1", None),
        ("", None),
        ("*", None),
    ] {
        let found = find(spelling);
        let found = found.as_ref().map(|(key, name)| (key.name, name.as_str()));
        assert_eq!(found, expected, "{spelling}");
    }
}

#[test]
fn every_default_is_a_value_its_kind_accepts_without_remark() {
    for key in all().filter(|key| !key.default.is_empty()) {
        let (value, caution) = key.kind.read(key, key.default).unwrap();
        assert_eq!(caution, None, "{}", key.name);
        assert!(
            !key.name.ends_with('*') || value.text() == key.default,
            "{}",
            key.name
        );
    }
}

#[test]
fn secrets_are_plain_text_so_that_no_complaint_quotes_them() {
    let secrets: Vec<&str> = all().filter(|key| key.secret).map(|key| key.name).collect();
    assert_eq!(
        secrets,
        [
            "DigestAuthenticationProvider.superDigest",
            "SASLAuthenticationProvider.superPassword",
            "ssl.*"
        ]
    );
    assert!(
        all()
            .filter(|key| key.secret)
            .all(|key| matches!(key.kind, Kind::Text))
    );
}

#[test]
fn every_sentence_is_one_line_and_every_refusal_says_what_to_do() {
    for key in all() {
        assert!(
            !key.meaning.is_empty() && !key.meaning.contains('\n'),
            "{}",
            key.name
        );
        assert!(!key.unit.is_empty(), "{}", key.name);
        if let Status::NotYet { reason, .. } = key.status {
            assert!(reason.contains("remove the key"), "{}: {reason}", key.name);
        }
    }
}
