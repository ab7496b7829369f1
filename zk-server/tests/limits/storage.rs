//! What the configuration says about the data directory, and what is counted of it.

use super::*;
use std::path::Path;
use zk_server::StartError;
use zk_server::config::settings::{PauseMonitor, Purge};

fn refusal(change: impl FnOnce(&mut Config)) -> String {
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::in_process(data.path());
    change(&mut config);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match runtime.block_on(Server::start(config)) {
        Err(refused @ StartError::Storage(_)) => refused.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_directory_that_must_be_there_and_files_on_the_wrong_side() {
    let text = refusal(|config| config.storage.datadir_autocreate = false);
    assert!(text.contains("Missing data directory"), "{text}");
    let text = refusal(|config| {
        let data = config.storage.data_dir.clone();
        config.storage.data_log_dir = data.join("log");
        std::fs::create_dir_all(config.snapshot_dir()).unwrap();
        std::fs::write(config.snapshot_dir().join("log.1"), "").unwrap();
    });
    assert!(
        text.starts_with("Snapshot directory has log files"),
        "{text}"
    );
}

#[test]
fn an_empty_database_is_one_only_if_someone_says_so() {
    let text = refusal(|config| config.storage.db_autocreate = false);
    assert!(text.contains("initialize"), "{text}");
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("initialize");
    std::fs::write(&file, "").unwrap();
    let scene = Scene::start_on(data, |config| config.storage.db_autocreate = false);
    assert!(!file.exists(), "said once");
    scene.assert_polite_clients_are_served();
    // From now on there is a database.
    let data = scene.stop();
    Scene::start_on(data, |config| config.storage.db_autocreate = false);
}

fn snapshots(data: &Path) -> usize {
    let entries = std::fs::read_dir(data.join("version-2")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with("snapshot.") && !name.ends_with(".tmp"))
        .count()
}

#[test]
fn old_snapshots_go_at_the_start_or_after_a_snapshot_or_never() {
    let scene = Scene::start(|config| config.storage.purge = Purge::Never);
    let path = scene.data.as_ref().unwrap().path().to_path_buf();
    let mut client = scene.connect().unwrap();
    for count in 2..=6 {
        client.create("/n-", b"", 2).unwrap().unwrap();
        scene.server.as_ref().unwrap().take_snapshot();
        eventually("a snapshot", || snapshots(&path) == count);
    }
    eventually("each is timed", || scene.metric("cnt_snapshottime") == 6);
    assert!(scene.metric("cnt_sync_processor_batch_size") >= 5);
    drop(client);
    let scene = Scene::start_on(scene.stop(), |config| {
        config.storage.purge = Purge::Every(Duration::from_secs(3600));
    });
    eventually("the old ones go", || snapshots(&path) == 3);
    assert_eq!(scene.metric("cnt_startup_snap_load_time"), 1);
    assert_eq!(scene.metric("cnt_dbinittime"), 1);
}

#[test]
fn nobody_else_may_read_what_is_on_the_disk() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::start(|config| {
        config.storage.data_log_dir = config.storage.data_dir.join("log");
    });
    scene.assert_polite_clients_are_served();
    let mut open = vec![scene.data.as_ref().unwrap().path().to_path_buf()];
    let mut files = 0;
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let metadata = entry.metadata().unwrap();
            assert_eq!(metadata.permissions().mode() & 0o077, 0, "{entry:?}");
            if metadata.is_dir() {
                open.push(entry.path());
            } else {
                files += 1;
            }
        }
    }
    assert!(files >= 4, "a snapshot, a log, a mark and locks");
}

#[test]
fn fsyncs_are_timed() {
    let scene = Scene::start(|config| config.storage.force_sync = true);
    scene.assert_polite_clients_are_served();
    assert!(scene.metric("cnt_fsynctime") > 0);
}

#[test]
fn watches_that_fire_and_bytes_below_a_node_are_counted() {
    let scene = Scene::start(|_| {});
    let mut client = scene.connect().unwrap();
    let path = "/apple";
    let watch = zk_proto::Request::Exists {
        path: path.into(),
        watch: true,
    };
    assert_eq!(client.call(&watch).unwrap().err(), Some(-101));
    client.create(path, b"12345", 0).unwrap().unwrap();
    client.data(path).unwrap().unwrap();
    assert_eq!(scene.metric("sum_node_created_watch_count"), 1);
    assert_eq!(scene.metric("sum_apple_write_per_namespace"), 11);
    assert_eq!(scene.metric("sum_apple_read_per_namespace"), 79);
    assert!(scene.metric("last_client_response_size") > 68);
    assert_eq!(
        scene.metric("outstanding_changes_queued"),
        scene.metric("outstanding_changes_removed")
    );
}

#[test]
fn pauses_of_the_process_are_measured_on_request() {
    let scene = Scene::start(|config| {
        config.misc.pause_monitor = Some(PauseMonitor {
            interval: Duration::from_millis(10),
            info_above: Duration::from_secs(60),
            warn_above: Duration::from_secs(60),
        });
    });
    eventually("the monitor looks", || {
        scene.metric("cnt_jvm_pause_time_ms") > 1
    });
    let scene = Scene::start(|_| {});
    assert_eq!(scene.metric("cnt_jvm_pause_time_ms"), 0);
}
