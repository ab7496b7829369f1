//! The end of a session, when the test says so: somebody else takes it up and closes it. To its owner that is an
//! expiry, at once and without waiting for a timeout.

use super::wire::{Wire, WireError};
use std::net::SocketAddr;
use zk_proto::{PASSWORD_LEN, Request, SessionId};

/// Why a session could not be ended.
#[derive(Debug, thiserror::Error)]
#[error("session {session} could not be ended: {error}")]
pub struct EndError {
    session: SessionId,
    error: WireError,
}

/// Ends a session on the server. When this returns, the session's ephemeral nodes are gone; its owner, whose
/// connection was cut by it, hears of it at its next attempt to connect.
pub async fn end_session(
    server: SocketAddr,
    session: SessionId,
    password: [u8; PASSWORD_LEN],
) -> Result<(), EndError> {
    let end = async {
        let mut wire = Wire::resume(server, session, password).await?;
        wire.call(&Request::CloseSession).await
    };
    match end.await {
        Ok(_) => Ok(()),
        Err(error) => Err(EndError { session, error }),
    }
}
