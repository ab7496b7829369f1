//! Looks out, beside a connection that lives, for a reason to leave it: another list of servers, or, on a server that
//! is cut off from its ensemble, one that is not.

use super::StateQueue;
use super::connect::Connector;
use crate::hosts::{Endpoint, HostId};
use crate::session::State;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::debug;

/// Between two rounds of asking who may write: at first, and at most.
const FIRST_ROUND: Duration = Duration::from_millis(100);
const LAST_ROUND: Duration = Duration::from_secs(60);

/// Which servers to use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) servers: Arc<[Endpoint]>,
    /// Tried when none of these will do.
    pub(crate) reserve: Arc<[Endpoint]>,
}

impl Connector {
    /// Waits until the connection with `current` should be left for another.
    pub(crate) async fn reason_to_leave(
        &mut self,
        current: HostId,
        states: Arc<StateQueue>,
    ) -> &'static str {
        let mut wanted = self.wanted.clone();
        loop {
            tokio::select! {
                changed = wanted.changed() => {
                    if changed.is_err() {
                        // No handle is left: the session ends by itself.
                        std::future::pending::<()>().await;
                    }
                    if self.revise(current) {
                        return "the list of servers has changed";
                    }
                }
                good = self.find_writable(current, &states) => {
                    self.list.prefer(good);
                    return "another server knows the ensemble";
                }
            }
        }
    }

    /// Who may write, found when this connection may not.
    async fn find_writable(&mut self, current: HostId, states: &StateQueue) -> HostId {
        loop {
            let state = std::future::poll_fn(|cx| states.poll(cx)).await;
            if matches!(
                state,
                Some(State::Connected {
                    read_only: true,
                    ..
                })
            ) {
                break;
            }
        }
        let mut pause = FIRST_ROUND;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_ROUND);
            for (host, endpoint) in self.list.others(current) {
                let asked = tokio::time::timeout(self.timeout, self.may_write(&endpoint)).await;
                match asked {
                    Ok(Ok(true)) => return host,
                    Ok(Ok(false)) => {}
                    Ok(Err(error)) => debug!(server = %endpoint, %error, "cannot be asked"),
                    Err(_elapsed) => {
                        debug!(server = %endpoint, "does not say whether it may write");
                    }
                }
            }
        }
    }

    async fn may_write(&mut self, endpoint: &Endpoint) -> io::Result<bool> {
        let mut stream = self.dial(endpoint).await?;
        stream.write_all(b"isro").await?;
        stream.flush().await?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await?;
        Ok(&answer == b"rw")
    }
}
