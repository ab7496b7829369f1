//! A server inside of this process: how it starts, stops, and starts again on the same data.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};
use support::{Client, create};
use zk_proto::{Reply, Request};
use zk_server::{Config, Server, StartError};

/// Runs blocking client code beside the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("the client does not panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(Config::in_process(data.path()))
        .await
        .unwrap();
    let address = server.client_address().unwrap();
    let session = blocking(move || {
        let mut client = Client::connect(address).unwrap();
        client.create("/kept", b"value", 0).unwrap().unwrap();
        client.create("/mine", b"", 1).unwrap().unwrap();
        client.session
    })
    .await;
    server.stop().await.unwrap();

    let server = Server::start(Config::in_process(data.path()))
        .await
        .unwrap();
    let address = server.client_address().unwrap();
    blocking(move || {
        let mut client = Client::resume(address, &session).unwrap();
        assert_eq!(
            client.session.session, session.session,
            "the session survives the restart"
        );
        assert_eq!(client.data("/kept").unwrap(), Ok(b"value".to_vec()));
        assert_eq!(client.data("/mine").unwrap(), Ok(Vec::new()));
        client.call(&Request::CloseSession).unwrap().unwrap();
        let mut other = Client::connect(address).unwrap();
        assert_eq!(
            other.data("/mine").unwrap(),
            Err(-101),
            "ephemerals go with their session"
        );
    })
    .await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_share_a_process_and_nothing_else() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Server::start(Config::in_process(a.path())).await.unwrap();
    let second = Server::start(Config::in_process(b.path())).await.unwrap();
    let (here, there) = (
        first.client_address().unwrap(),
        second.client_address().unwrap(),
    );
    assert_ne!(here, there);
    blocking(move || {
        Client::connect(here)
            .unwrap()
            .create("/only-here", b"", 0)
            .unwrap()
            .unwrap();
        let mut other = Client::connect(there).unwrap();
        assert_eq!(other.data("/only-here").unwrap(), Err(-101));
    })
    .await;
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_directory_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(Config::in_process(data.path()))
        .await
        .unwrap();
    let refused = Server::start(Config::in_process(data.path()))
        .await
        .unwrap_err();
    assert!(matches!(refused, StartError::Storage(_)), "{refused}");
    assert!(refused.to_string().contains("another server"), "{refused}");
    server.stop().await.unwrap();
    Server::start(Config::in_process(data.path()))
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_what_was_asked_before_it() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(Config::in_process(data.path()))
        .await
        .unwrap();
    let address = server.client_address().unwrap();
    let mut client = blocking(move || {
        let mut client = Client::connect(address).unwrap();
        for number in 0..200 {
            client
                .send(&create(&format!("/n{number}"), b"", 0))
                .unwrap();
        }
        // One answer proves that the first frames have reached the server.
        client.receive().unwrap().1.unwrap();
        client
    })
    .await;
    let began = Instant::now();
    server.stop().await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "a stop takes {:?}",
        began.elapsed()
    );
    let answered = blocking(move || {
        let answers = std::iter::from_fn(|| client.receive().ok());
        1 + answers
            .filter(|(_, reply)| matches!(reply, Ok(Reply::Path(_))))
            .count()
    })
    .await;
    let server = Server::start(Config::in_process(data.path()))
        .await
        .unwrap();
    let address = server.client_address().unwrap();
    let kept = blocking(move || {
        Client::connect(address)
            .unwrap()
            .children("/")
            .unwrap()
            .unwrap()
            .len()
            - 1
    })
    .await;
    assert!(
        kept >= answered,
        "{answered} were acknowledged, {kept} are there"
    );
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_dropped_lets_go_of_its_directory() {
    let data = tempfile::tempdir().unwrap();
    drop(
        Server::start(Config::in_process(data.path()))
            .await
            .unwrap(),
    );
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Server::start(Config::in_process(data.path())).await {
            Ok(server) => return server.stop().await.unwrap(),
            Err(refused) => assert!(Instant::now() < deadline, "still locked: {refused}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_meets_no_snapshot_of_the_server_before() {
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::in_process(data.path());
    config.storage.retain_count = 1;
    let mut server = Server::start(config.clone()).await.unwrap();
    let address = server.client_address().unwrap();
    blocking(move || {
        let mut client = Client::connect(address).unwrap();
        for number in 0..40 {
            let path = format!("/n{number}");
            client.create(&path, &[7; 500_000], 0).unwrap().unwrap();
        }
    })
    .await;
    for round in 0..20 {
        let address = server.client_address().unwrap();
        server.take_snapshot();
        // The stop finds the snapshot, or the purge behind it, at another point each time.
        blocking(move || {
            let mut client = Client::connect(address).unwrap();
            for number in 0..round {
                client.data(&format!("/n{number}")).unwrap().unwrap();
            }
            client
                .create(&format!("/r{round}"), b"", 0)
                .unwrap()
                .unwrap();
        })
        .await;
        server.stop().await.unwrap();
        let names = std::fs::read_dir(data.path().join("version-2")).unwrap();
        let names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
        let half = |name: &&std::ffi::OsString| name.to_string_lossy().ends_with(".tmp");
        assert_eq!(names.iter().find(half), None, "round {round}: {names:?}");
        server = Server::start(config.clone()).await.unwrap();
    }
    let address = server.client_address().unwrap();
    let nodes = blocking(move || Client::connect(address).unwrap().children("/").unwrap()).await;
    assert_eq!(nodes.unwrap().len(), 40 + 20 + 1);
    server.stop().await.unwrap();
}
