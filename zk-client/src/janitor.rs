//! Deletes what creates that were given up have left behind. One task per client; it holds no session open while
//! it has nothing to do.

use crate::client::{Client, Shared};
use crate::driver::Orphan;
use crate::error::Error;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::debug;
use zk_proto::ErrorCode;

/// Between two attempts; the calls themselves wait while there is no connection.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until the client is gone.
pub(crate) async fn run(shared: Weak<Shared>, mut adopted: mpsc::UnboundedReceiver<Orphan>) {
    while let Some(orphan) = adopted.recv().await {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let client = Client::from_parts(shared, Arc::from(""));
        while let Err(error) = remove(&client, &orphan).await {
            if !error.is_retryable() {
                debug!(%error, ?orphan, "what was left behind stays");
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn remove(client: &Client, orphan: &Orphan) -> Result<(), Error> {
    match orphan {
        Orphan::Created { path, czxid } => {
            // By its creation, so that nobody else's node of the same name is deleted.
            let ours = client.exists(path).await?;
            match ours {
                Some(stat) if stat.czxid == *czxid => {
                    gone(client.delete(path).version(stat.version).await)
                }
                Some(_) | None => Ok(()),
            }
        }
        Orphan::Protected { parent, prefix } => {
            let names = match client.children(parent).await {
                Ok(names) => names,
                Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
                Err(error) => return Err(error),
            };
            let slash = if parent == "/" { "" } else { "/" };
            for name in names.iter().filter(|name| name.starts_with(prefix)) {
                gone(client.delete(format!("{parent}{slash}{name}")).await)?;
            }
            Ok(())
        }
    }
}

fn gone(deleted: Result<(), Error>) -> Result<(), Error> {
    match deleted {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
        other => other,
    }
}
