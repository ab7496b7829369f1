//! Answers that look odd and are Apache's: each was found by the differential test against the reference.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use support::{Client, create};
use zk_proto::{MultiOp, Reply, Request};
use zk_server::{Config, Server};

/// Starts a server with this configuration and runs blocking client code against it.
async fn with_server<T: Send + 'static>(
    change: impl FnOnce(&mut Config),
    work: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> T {
    let data = tempfile::tempdir().expect("a directory");
    let mut config = Config::in_process(data.path());
    change(&mut config);
    let server = Server::start(config).await.expect("it starts");
    let address = server.client_address().expect("it listens");
    let result = tokio::task::spawn_blocking(move || work(address)).await;
    server.stop().await.expect("it stops");
    result.expect("the client does not panic")
}

fn ask_word(address: SocketAddr, word: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(word.as_bytes()).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    text
}

/// The root has two names, and whatever counts nodes by their names counts it twice.
#[tokio::test(flavor = "multi_thread")]
async fn the_root_is_counted_under_both_its_names() {
    with_server(
        |_| {},
        |address| {
            assert!(ask_word(address, "srvr").ends_with("Node count: 5\n"));
            let mut client = Client::connect(address).unwrap();
            client.call(&create("/a", b"", 0)).unwrap().unwrap();
            let mut count = |path: &str| {
                client
                    .call(&Request::GetAllChildrenNumber { path: path.into() })
                    .unwrap()
            };
            assert_eq!(count("/"), Ok(Reply::Number(4)));
            assert_eq!(count(""), Ok(Reply::Number(5)));
            assert_eq!(count("/a"), Ok(Reply::Number(0)));
            assert!(ask_word(address, "srvr").ends_with("Node count: 6\n"));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multi_read_of_writes_is_refused_as_a_whole() {
    with_server(
        |_| {},
        |address| {
            let mut client = Client::connect(address).unwrap();
            let check = |path: &'static str| MultiOp::Check {
                path: path.into(),
                version: -1,
            };
            let answer = client.call(&Request::MultiRead(vec![check("/"), check("/a")]));
            assert_eq!(answer.unwrap(), Err(-5));
            let read = MultiOp::GetChildren {
                path: "/a".into(),
                watch: false,
            };
            let answer = client.call(&Request::MultiRead(vec![read])).unwrap();
            assert!(
                matches!(answer, Ok(Reply::Multi(results)) if results.len() == 1),
                "what is missing spoils its own part only"
            );
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_refuses_to_change_its_members_in_two_ways() {
    for (enabled, refusal) in [(false, -123), (true, -6)] {
        let answer = with_server(
            |config| config.misc.reconfig_enabled = enabled,
            |address| {
                let mut client = Client::connect(address).unwrap();
                client
                    .call(&Request::Reconfig {
                        joining: None,
                        leaving: Some("1".into()),
                        new_members: None,
                        config_id: -1,
                    })
                    .unwrap()
            },
        )
        .await;
        assert_eq!(answer, Err(refusal), "reconfigEnabled={enabled}");
    }
}
