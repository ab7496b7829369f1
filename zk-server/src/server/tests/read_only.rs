//! What the loop says of a session is what its client is told, whatever this server has become meanwhile.

use super::*;
use crate::replica::Rank;
use zk_proto::Zxid;

/// A client that may be told to read alone is believed to have a session that nobody else knows.
#[tokio::test]
async fn a_session_is_read_only_where_the_loop_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::in_process(dir.path());
    let server = Server::start(config).await.unwrap();
    // As if the leader had been found behind the back of a connection that is being greeted.
    let since = server.replica.clock().now();
    server.replica.set_rank(Rank::Reader { since });
    let address = server.client_address().unwrap();
    let response = greet(address, Zxid::ZERO).await.unwrap();
    assert_eq!(response.read_only, Some(false), "it was made for everyone");
    server.stop().await.unwrap();
}
