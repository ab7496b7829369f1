//! What the loop says of a session is what its client is told, whatever this server has become meanwhile.

use super::*;
use crate::replica::Rank;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_proto::{ConnectRequest, ConnectResponse, SessionId, Zxid, frame};

/// A client that may be told to read alone is believed to have a session that nobody else knows.
#[tokio::test]
async fn a_session_is_read_only_where_the_loop_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::in_process(dir.path());
    let server = Server::start(config).await.unwrap();
    // As if the leader had been found behind the back of a connection that is being greeted.
    let since = server.replica.clock().now();
    server.replica.set_rank(Rank::Reader { since });
    let mut stream = TcpStream::connect(server.client_address().unwrap())
        .await
        .unwrap();
    let mut greeting = bytes::BytesMut::new();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout: 10_000,
        session: SessionId::NONE,
        password: None,
        read_only: Some(true),
    };
    frame::put_frame(&mut greeting, |out| request.encode(out));
    stream.write_all(&greeting).await.unwrap();
    let mut answer = vec![0; stream.read_u32().await.unwrap() as usize];
    stream.read_exact(&mut answer).await.unwrap();
    let response = ConnectResponse::decode(&answer).unwrap();
    assert_eq!(response.read_only, Some(false), "it was made for everyone");
    server.stop().await.unwrap();
}
