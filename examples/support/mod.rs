//! The servers an example talks to: those named on the command line, or one of its own in this process.

use zk_client::testkit::{TestServer, TestServerError};

/// The connection string, and the server to keep alive meanwhile.
pub(crate) async fn servers() -> Result<(String, Option<TestServer>), TestServerError> {
    if let Some(named) = std::env::args().nth(1) {
        return Ok((named, None));
    }
    let server = TestServer::start().await?;
    Ok((server.address().to_string(), Some(server)))
}
