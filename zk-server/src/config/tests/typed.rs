//! The typed configuration: defaults, derived values, and that no accepted value can break it.

use std::time::Duration;

use expect_test::expect_file;
use proptest::prelude::*;

use super::settings::{Compression, DigestAlgorithm, FourLetterWords, Purge};
use super::*;

#[test]
fn the_embedded_default() {
    expect_file!["../../../testdata/config/defaults.txt"].assert_debug_eq(&Config::default());
    assert_eq!(Case::embedded().config(), Config::default());
}

#[test]
fn session_timeouts_follow_the_tick() {
    let sessions = |text: &str| {
        let sessions = Case::fine(text).config().sessions;
        [
            sessions.tick_time,
            sessions.min_timeout,
            sessions.max_timeout,
        ]
        .map(|time| time.as_millis())
    };
    assert_eq!(sessions("tickTime=2000"), [2000, 4000, 40000]);
    assert_eq!(
        sessions("tickTime=2000\nmaxSessionTimeout=5000"),
        [2000, 4000, 5000]
    );
    assert_eq!(
        sessions("tickTime=2000\nminSessionTimeout=1\nmaxSessionTimeout=-1"),
        [2000, 1, 40000]
    );
    assert_eq!(
        sessions("tickTime=2147483647"),
        [2147483647; 3],
        "no overflow"
    );
}

/// Observed on Java 3.8.0: none of these is refused there.
#[test]
fn negative_numbers_that_java_takes() {
    let text = "maxClientCnxns=-1\nclientPortListenBacklog=-9\nminSessionTimeout=-7\ninitLimit=-1";
    let config = Case::fine(text).config();
    assert_eq!(config.limits.max_client_cnxns, None);
    assert_eq!(config.listen.backlog, None);
    assert_eq!(config.sessions.min_timeout, Duration::ZERO);
    assert_eq!(config.sessions.max_timeout, Duration::from_secs(60));
}

#[test]
fn silence_about_purging_is_not_the_answer_zero() {
    for (text, expected) in [
        ("", Purge::AfterEverySnapshot),
        ("autopurge.snapRetainCount=5", Purge::AfterEverySnapshot),
        ("autopurge.purgeInterval=0", Purge::Never),
        ("autopurge.purgeInterval=-1", Purge::Never),
        (
            "autopurge.purgeInterval=24",
            Purge::Every(Duration::from_secs(86_400)),
        ),
        (
            "autopurge.purgeInterval=5m",
            Purge::Every(Duration::from_secs(300)),
        ),
    ] {
        assert_eq!(Case::fine(text).config().storage.purge, expected, "{text}");
    }
    assert_eq!(
        Case::fine("autopurge.snapRetainCount=2")
            .config()
            .storage
            .retain_count,
        3
    );
    assert_eq!(
        Case::fine("autopurge.snapRetainCount=7")
            .config()
            .storage
            .retain_count,
        7
    );
}

#[test]
fn storage_units_and_derived_values() {
    let text = "preAllocSize=64\nsnapSizeLimitInKb=0\ntxnLogSizeLimitInKb=2048\nflushDelay=30\n\
                snapshot.compression.method=GZ\njute.maxbuffer=100\ndataLogDir=/log";
    let config = Case::fine(text).config();
    assert_eq!(config.storage.prealloc, 65_536);
    assert_eq!(config.storage.snap_size_limit, None);
    assert_eq!(config.storage.txn_log_size_limit, Some(2 << 20));
    assert_eq!(
        config.storage.max_write_queue_poll_time,
        Duration::from_millis(10)
    );
    assert_eq!(config.storage.compression, Compression::Gzip);
    assert_eq!(config.limits.jute_maxbuffer_extrasize, 1024, "its minimum");
    assert_eq!(config.snapshot_dir(), Path::new("/data/version-2"));
    assert_eq!(config.log_dir(), Path::new("/log/version-2"));
}

#[test]
fn four_letter_words() {
    let allowed = |text: &str| {
        let words = Case::fine(text).config().four_letter_words;
        ["srvr", "mntr", "ruok", "isro"].map(|word| words.allows(word))
    };
    assert_eq!(allowed(""), [true, false, false, false]);
    assert_eq!(
        allowed("4lw.commands.whitelist= mntr , ruok,"),
        [true, true, true, false]
    );
    assert_eq!(allowed("4lw.commands.whitelist=mntr,*"), [true; 4]);
    assert_eq!(
        allowed("readonlymode.enabled=true"),
        [true, false, false, true]
    );
    assert_eq!(
        Case::fine("4lw.commands.whitelist=*")
            .config()
            .four_letter_words,
        FourLetterWords::All
    );
}

#[test]
fn throttles() {
    let text = "connection_throttle_tokens=5\nconnection_throttle_freeze_time=0\n\
                connection_throttle_weight_enabled=true\nconnection_throttle_local_session_weight=9";
    let throttle = Case::fine(text).config().throttling.connections;
    assert_eq!(throttle.tokens, Some(5));
    assert_eq!(throttle.freeze_time, Some(Duration::ZERO));
    let weights = throttle.weights.unwrap();
    assert_eq!(
        (weights.global, weights.renew, weights.local),
        (9, 9, 9),
        "nothing is cheaper than a local session"
    );
    assert_eq!(
        Case::fine("throttled_op_wait_time=20")
            .config()
            .throttling
            .requests
            .throttled_op_wait
            .unwrap()
            .as_millis(),
        20
    );
}

#[test]
fn switches_of_this_server() {
    let config = Case::fine("").config();
    assert!(!config.storage.drop_damaged_tail);
    assert_eq!(config.misc.pause_monitor, None);
    let text = "zookeeper.log.dropDamagedTail=true\njvm.pause.monitor=true\n\
                jvm.pause.sleep.time.ms=0\nlimit.authenticationBurstPerIp=0";
    let config = Case::fine(text).config();
    assert!(config.storage.drop_damaged_tail, "as a refusal names it");
    let monitor = config.misc.pause_monitor.unwrap();
    assert_eq!(
        monitor.interval,
        Duration::from_millis(10),
        "never a busy loop"
    );
    assert_eq!(monitor.warn_above, Duration::from_secs(10));
    assert_eq!(config.limits.authentication_burst_per_ip, None);
}

#[test]
fn digest_algorithms() {
    for (text, expected) in [
        ("SHA1", DigestAlgorithm::Sha1),
        ("sha-1", DigestAlgorithm::Sha1),
        ("SHA-256", DigestAlgorithm::Sha256),
        ("SHA-512", DigestAlgorithm::Sha512),
    ] {
        let config = Case::fine(&format!("DigestAuthenticationProvider.digestAlg={text}")).config();
        assert_eq!(config.security.digest_algorithm, expected);
    }
}

/// The smallest and the largest number of each range reach the typed struct without being cut or
/// panicking.
#[test]
fn every_bound_of_every_number_fits_its_field() {
    for key in keys::all() {
        let Kind::Int { min, max, .. } = key.kind else {
            continue;
        };
        for number in [min, max] {
            let result = Case::fine(&format!("{}={number}", key.name)).load();
            if let Err(errors) = result {
                let alone = errors
                    .iter()
                    .all(|error| error.key.as_deref() == Some(key.name));
                assert!(alone, "{}={number}: {errors:?}", key.name);
            }
        }
    }
}

#[test]
fn a_dump_can_be_read_back() {
    let case = Case::fine("tickTime=2000\nenforce.auth.schemes=\\ a\\=b\\u00e9\\t:#\nsnapCount=5");
    let first = case.load().unwrap();
    let second = Case::file(&dump(&first.effective)).load().unwrap();
    assert_eq!(second.config, first.config);
    let values = |loaded: &Loaded| -> Vec<String> {
        loaded.effective.iter().map(|s| s.value.clone()).collect()
    };
    assert_eq!(values(&second), values(&first));
}

proptest! {
    #[test]
    fn any_file_is_loaded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut case = Case::fine("");
        case.files.files.insert(PathBuf::from("zoo.cfg"), bytes);
        let _outcome = case.describe();
    }

    /// Any text as the value of any key: an answer, never a panic, and never without its place.
    #[test]
    fn any_value_of_any_key_is_loaded_or_refused(
        at in 0..keys::all().count(),
        value in "[-+]?[0-9xX#.]{0,20}|[a-z0-9:;|.,\\[\\]*=]{0,24}|\\PC{0,8}",
    ) {
        let key = keys::all().nth(at).unwrap();
        let name = key.name.replace('*', "1");
        let case = Case::embedded().flags(&[(&name, &value)]);
        if let Err(errors) = case.load() {
            for error in errors {
                prop_assert!(error.to_string().starts_with("flag -D") || error.origin == Origin::Default);
            }
        }
    }
}
