//! Creates that survive the loss of their reply (recipes 1.1): found again by a prefix nobody else has, adopted
//! only where they belong to the present session, deleted where nobody wants them any more.

use super::create::{Create, make_parents};
use super::making::{Made, Making};
use crate::call::Call;
use crate::client::Client;
use crate::driver::{Orphan, Orphans};
use crate::error::{Error, ErrorKind, Outcome};
use crate::path::parts;
use crate::protect;
use zk_proto::{ErrorCode, Stat};

/// What one attempt may leave behind. Unless it is disarmed, somebody looks for it in the end.
struct Attempt {
    parent: String,
    name: String,
    prefix: String,
    orphans: Orphans,
    root: String,
    armed: bool,
}

impl Attempt {
    fn new(client: &Client, path: &str) -> Self {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Self {
            parent: if parent.is_empty() { "/" } else { parent }.to_owned(),
            name: name.to_owned(),
            prefix: protect::prefix(),
            orphans: client.shared().orphans.clone(),
            root: client.root().to_owned(),
            armed: true,
        }
    }

    fn path(&self) -> String {
        let slash = if self.parent == "/" { "" } else { "/" };
        format!("{}{slash}{}{}", self.parent, self.prefix, self.name)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.armed {
            let (root, parent) = parts(&self.root, &self.parent);
            self.orphans.adopt(Orphan::Protected {
                parent: format!("{root}{parent}"),
                prefix: std::mem::take(&mut self.prefix),
            });
        }
    }
}

/// A create in several steps, the first of which is sent now.
pub(super) fn create<T: Send + 'static>(
    create: Create<'_>,
    with_stat: bool,
    pick: fn((String, Stat)) -> T,
) -> Call<T> {
    let (making, _) = Making::of(create, with_stat);
    let attempt = Attempt::new(&making.client, &making.path);
    let first = making.send(&attempt.path());
    Call::steps(async move { run(&making, attempt, first).await.map(pick) })
}

async fn run(
    making: &Making,
    mut attempt: Attempt,
    mut call: Call<Made>,
) -> Result<(String, Stat), Error> {
    loop {
        let error = match call.await {
            Ok(made) => {
                let told = making.tell(made).await?;
                attempt.armed = false;
                return Ok(told);
            }
            Err(error) if making.is_too_new(&error) => {
                call = making.send(&attempt.path());
                continue;
            }
            Err(error) => error,
        };
        match (error.outcome(), error.kind()) {
            (Outcome::Unknown, ErrorKind::ConnectionLoss { .. }) => {
                if let Some(found) = find(making, &attempt).await? {
                    attempt.armed = false;
                    return Ok(found);
                }
            }
            (_, ErrorKind::Server(ErrorCode::NoNode)) if making.wish.parents => {
                make_parents(&making.client, &making.path, making.timeout).await?;
            }
            (_, ErrorKind::ConnectionLoss { sent: false }) => {}
            (outcome, _) => {
                // What may be there is looked for in the background.
                attempt.armed = outcome == Outcome::Unknown;
                return Err(error);
            }
        }
        attempt.armed = false;
        // A number of its own for each attempt: a late ghost of this one is never taken for the next.
        attempt = Attempt::new(&making.client, &making.path);
        call = making.send(&attempt.path());
    }
}

/// Looks for what an attempt without an answer has left. A node of an earlier session is not ours any more: it
/// is about to go, and is helped along.
async fn find(making: &Making, attempt: &Attempt) -> Result<Option<(String, Stat)>, Error> {
    let Making {
        client,
        wish,
        timeout,
        ..
    } = making;
    loop {
        let children = client.children(&attempt.parent).timeout(*timeout);
        let names = match children.linearizable().await {
            Ok(names) => names,
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(name) = names.iter().find(|name| name.starts_with(&attempt.prefix)) else {
            return Ok(None);
        };
        let slash = if attempt.parent == "/" { "" } else { "/" };
        let path = format!("{}{slash}{name}", attempt.parent);
        let Some(stat) = client.exists(&path).timeout(*timeout).await? else {
            continue;
        };
        if !wish.ephemeral || Some(stat.ephemeral_owner) == client.session_id() {
            return Ok(Some((path, stat)));
        }
        match client.delete(&path).timeout(*timeout).await {
            Err(error) if error.code() != Some(ErrorCode::NoNode) && !error.is_retryable() => {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
    }
}
