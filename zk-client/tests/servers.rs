//! Other servers while the client runs: told by the caller, told by the ensemble, and found where the present one has
//! lost its ensemble. The session goes along, and no call's outcome becomes unknown by it.
#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use zk_client::hosts::Endpoint;
use zk_client::testkit::{FaultProxy, TestServer};
use zk_client::{Client, State};
use zk_server::config::settings::FourLetterWords;

const PATIENCE: Duration = Duration::from_secs(30);

fn endpoint(proxy: &FaultProxy) -> Endpoint {
    proxy.address().into()
}

/// A server behind two doors, and a client that knows the first.
async fn two_doors(follow: bool) -> (TestServer, FaultProxy, FaultProxy, Client) {
    let server = TestServer::start_with(|config| config.security.skip_acl = true);
    let server = server.await.unwrap();
    let first = FaultProxy::start(server.address()).await.unwrap();
    let second = FaultProxy::start(server.address()).await.unwrap();
    let client = Client::builder(first.address().to_string())
        .request_timeout(PATIENCE)
        .follow_ensemble(follow);
    let client = client.connect().await.unwrap();
    (server, first, second, client)
}

#[tokio::test]
async fn a_client_whose_server_leaves_the_list_moves_and_loses_no_answer() {
    let (_server, first, second, client) = two_doors(false).await;
    let session = client.session_id();
    client.create("/a", "").ephemeral().await.unwrap();
    let mut sets: Vec<_> = (0..200).map(|_| client.set("/a", "x").send()).collect();
    client.update_servers([endpoint(&second)]);
    sets.extend((0..200).map(|_| client.set("/a", "x").send()));
    for set in sets {
        set.await
            .expect("an answer, on this connection or the next");
    }
    second
        .until("the client has moved", |tally| tally.connections() == 1)
        .await;
    let (_, stat) = client.get("/a").await.unwrap();
    assert_eq!(stat.version.0, 400);
    assert_eq!(client.session_id(), session, "one session throughout");
    // It stays where it is: the list says so.
    client.update_servers([endpoint(&second)]);
    client.update_servers([]);
    first.refuse().await;
    second.cut();
    client.get("/a").await.unwrap();
    assert_eq!(first.tally().connections(), 1);
    client.close().await;
}

#[tokio::test]
async fn a_client_follows_what_the_ensemble_says_of_itself() {
    let (server, _first, second, client) = two_doors(true).await;
    let witness = Client::connect(server.address().to_string()).await.unwrap();
    let port = second.address().port();
    let text = format!("server.1=127.0.0.1:2888:3888:participant;0.0.0.0:{port}\nversion=1");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    // The node may not be there yet when a client first asks; a new connection asks again.
    if witness.exists("/zookeeper/config").await.unwrap().is_none() {
        witness.create("/zookeeper/config", "").await.unwrap();
        _first.cut();
        client.exists("/").await.unwrap();
    }
    while second.tally().connections() == 0 {
        witness.set("/zookeeper/config", &text).await.unwrap();
        client.exists("/").await.unwrap();
        assert!(tokio::time::Instant::now() < deadline, "it does not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.exists("/").await.unwrap();
    assert!(matches!(
        client.state(),
        State::Connected { generation: 0, .. }
    ));
    // What the connection string named is in reserve.
    second.refuse().await;
    second.cut();
    client.exists("/").await.unwrap();
    client.close().await;
    witness.close().await;
}

/// Greets as a server that is cut off from its ensemble, and answers nothing else.
fn greet_read_only(mut stream: TcpStream) {
    let mut head = [0; 4];
    if stream.read_exact(&mut head).is_err() {
        return;
    }
    if &head == b"isro" {
        let _gone = stream.write_all(b"ro");
        return;
    }
    let mut greeting = vec![0, 0, 0, 37, 0, 0, 0, 0, 0, 0, 0x75, 0x30];
    greeting.extend_from_slice(&7_i64.to_be_bytes());
    greeting.extend_from_slice(&[0, 0, 0, 16]);
    greeting.extend_from_slice(&[1; 16]);
    greeting.push(1);
    let mut rest = vec![0; usize::try_from(i32::from_be_bytes(head)).unwrap()];
    if stream.read_exact(&mut rest).is_ok() && stream.write_all(&greeting).is_ok() {
        // Until the client leaves.
        let _gone = stream.read_to_end(&mut rest);
    }
}

fn read_only_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || greet_read_only(stream));
        }
    });
    address
}

#[tokio::test]
async fn a_read_only_server_is_left_as_soon_as_another_knows_the_ensemble() {
    let server = TestServer::start_with(|config| config.four_letter_words = FourLetterWords::All);
    let server = server.await.unwrap();
    let door = FaultProxy::start(server.address()).await.unwrap();
    door.refuse().await;
    let client = Client::builder(format!("{},{}", read_only_server(), door.address()))
        .allow_read_only(true)
        .request_timeout(PATIENCE)
        .connect()
        .await
        .unwrap();
    let mut states = client.states();
    assert!(matches!(
        states.next().await,
        Some(State::Connected {
            read_only: true,
            ..
        })
    ));
    door.accept().await;
    let moved = async {
        while let Some(state) = states.next().await {
            if matches!(
                state,
                State::Connected {
                    read_only: false,
                    ..
                }
            ) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, moved)
        .await
        .expect("the other server is found");
    client.create("/written", "").await.unwrap();
    client.close().await;
}
