//! Creates that survive the loss of their reply (recipes 1.1): found again by a prefix nobody else has, adopted
//! only where they belong to the present session, deleted where nobody wants them any more.

use super::create::{Create, Wish, head, make_parents, path_and_stat, send_once};
use crate::call::{Call, Finish};
use crate::client::Client;
use crate::driver::{Orphan, Orphans};
use crate::error::{Error, ErrorKind, Outcome};
use crate::path::{parts, strip};
use crate::protect;
use crate::session::Answered;
use std::time::Duration;
use zk_proto::jute::Reader;
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

fn path_alone(
    outcome: Result<Answered, ErrorKind>,
    root: &str,
) -> Result<(String, Stat), ErrorKind> {
    let answered = outcome?;
    let path = Reader::new(&answered.body).string()?.into_owned();
    // The stat was not asked for, and is not looked at.
    Ok((strip(root, &path).to_owned(), Stat::default()))
}

/// A create in several steps, the first of which is sent now.
pub(super) fn create<T: Send + 'static>(
    create: Create<'_>,
    with_stat: bool,
    finish: fn((String, Stat)) -> T,
) -> Call<T> {
    let client = create.draft.client.clone();
    let timeout = create.draft.timeout;
    let Create {
        wish, path, data, ..
    } = create;
    let mut steps = Steps {
        client,
        wish,
        path,
        data,
        timeout,
        with_stat,
    };
    let attempt = Attempt::new(&steps.client, &steps.path);
    let first = steps.send(&attempt);
    Call::steps(async move { steps.run(attempt, first).await.map(finish) })
}

struct Steps {
    client: Client,
    wish: Wish,
    path: String,
    data: Vec<u8>,
    timeout: Option<Duration>,
    /// Whether the caller wants the stat, which the reply then has as well.
    with_stat: bool,
}

impl Steps {
    fn send(&self, attempt: &Attempt) -> Call<(String, Stat)> {
        let mut draft = head(&self.client, &attempt.path(), &self.data);
        draft.timeout = self.timeout;
        let finish: Finish<_> = if self.with_stat {
            path_and_stat
        } else {
            path_alone
        };
        send_once(draft, &self.wish, self.with_stat, finish)
    }

    async fn run(
        &mut self,
        mut attempt: Attempt,
        mut call: Call<(String, Stat)>,
    ) -> Result<(String, Stat), Error> {
        loop {
            let error = match call.await {
                Ok(created) => {
                    attempt.armed = false;
                    return Ok(created);
                }
                Err(error) => error,
            };
            match (error.outcome(), error.kind()) {
                (Outcome::Unknown, ErrorKind::ConnectionLoss { .. }) => {
                    if let Some(found) = self.find(&attempt).await? {
                        attempt.armed = false;
                        return Ok(found);
                    }
                }
                (_, ErrorKind::Server(ErrorCode::NoNode)) if self.wish.parents => {
                    make_parents(&self.client, &self.path, self.timeout).await?;
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
            attempt = Attempt::new(&self.client, &self.path);
            call = self.send(&attempt);
        }
    }

    /// Looks for what an attempt without an answer has left. A node of an earlier session is not ours any more: it
    /// is about to go, and is helped along.
    async fn find(&self, attempt: &Attempt) -> Result<Option<(String, Stat)>, Error> {
        loop {
            let children = self.client.children(&attempt.parent).timeout(self.timeout);
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
            let Some(stat) = self.client.exists(&path).timeout(self.timeout).await? else {
                continue;
            };
            if !self.wish.ephemeral || Some(stat.ephemeral_owner) == self.client.session_id() {
                return Ok(Some((path, stat)));
            }
            match self.client.delete(&path).timeout(self.timeout).await {
                Err(error) if error.code() != Some(ErrorCode::NoNode) && !error.is_retryable() => {
                    return Err(error);
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}
