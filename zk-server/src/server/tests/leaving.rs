//! A directory is let go of only when nobody works there any more.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_is_held_until_the_last_snapshot_has_ended() {
    let files = Breaking::default();
    let gate = Arc::clone(&files.gate);
    let temp = tempfile::tempdir().unwrap();
    let config = Config::in_process(temp.path());
    let server = Server::start_on(Arc::new(files), config.clone())
        .await
        .unwrap();
    write(&server);
    while server.replica.tree().last_zxid() == zk_proto::Zxid::ZERO {
        tokio::task::yield_now().await;
    }
    *gate.state.lock().unwrap() = (true, 0);
    server.take_snapshot();
    let arriving = Arc::clone(&gate);
    tokio::task::spawn_blocking(move || arriving.wait_for_one())
        .await
        .unwrap();
    // Everything was handed over; the thread makes it durable.
    let mut stopping = tokio::spawn(server.stop());
    let early = tokio::time::timeout(Duration::from_millis(50), &mut stopping).await;
    assert!(early.is_err(), "a thread still writes there");
    let refused = Server::start(config.clone()).await.unwrap_err();
    let locked = matches!(refused, StartError::Storage(StorageError::Locked(_)));
    assert!(locked, "{refused}");
    gate.shut(false);
    stopping.await.unwrap().unwrap();
    let names = RealFiles.list(&temp.path().join("version-2")).unwrap();
    assert!(!names.iter().any(|entry| entry.name.ends_with(".tmp")));
    assert_eq!(
        names
            .iter()
            .filter(|entry| entry.name != "snapshot.0")
            .count(),
        4,
        "a log, its mark, a snapshot and the lock: {names:?}"
    );
    Server::start(config).await.unwrap().stop().await.unwrap();
}
