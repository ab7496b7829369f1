//! Follows the ensemble as its members change: reads its configuration, and reads it again when it has changed. One
//! task per client that asked for it; it holds no session open.

use crate::client::{Client, Shared};
use crate::driver::Status;
use crate::error::Error;
use crate::hosts::{Endpoint, config};
use crate::session::State;
use crate::watch::{Once, OnceEvent};
use std::sync::{Arc, Weak};
use tracing::{debug, info};

/// Serves until the client is gone.
pub(crate) async fn run(shared: Weak<Shared>, status: Arc<Status>) {
    let states = status.listen();
    drop(status);
    let Some(seeds) = shared
        .upgrade()
        .map(|it| Arc::clone(&it.wishes.borrow().servers))
    else {
        return;
    };
    loop {
        match std::future::poll_fn(|cx| states.poll(cx)).await {
            Some(State::Connected { .. }) => {}
            Some(State::Suspended { .. } | State::Lost { .. }) => continue,
            Some(State::Closed) | None => return,
        }
        // Whatever ends this, the next connection begins it anew.
        while let Some(changed) = look(&shared, &seeds).await {
            match changed.changed().await {
                OnceEvent::Fired(_) => {}
                OnceEvent::Lost => break,
            }
        }
    }
}

/// Reads the configuration, and hands on what it names; `None` if there is none to be had now.
async fn look(shared: &Weak<Shared>, seeds: &Arc<[Endpoint]>) -> Option<Once> {
    let client = Client::from_parts(shared.upgrade()?, Arc::from(""));
    let ((text, _), changed) = match client.config().watch().await {
        Ok(read) => read,
        Err(error) => return refused(&error),
    };
    let servers: Arc<[_]> = config::servers(&String::from_utf8_lossy(&text)).into();
    if !servers.is_empty() && *servers != *client.shared().wishes.borrow().servers {
        info!(count = servers.len(), "the ensemble has other servers");
        client.shared().wish(servers, Arc::clone(seeds));
    }
    Some(changed)
}

fn refused(error: &Error) -> Option<Once> {
    debug!(%error, "the ensemble's configuration cannot be read");
    None
}
