//! Who leads, as seen by those who do not stand.

use crate::contenders::Participant;
use crate::contest::Contest;
use crate::error::{Error, may_try_again};
use crate::keeper::PAUSE;
use zk_client::{ErrorCode, Once};

/// The leaders of an election, one after the other; from [`Election::observe`](crate::Election::observe).
///
/// What it tells was so in the servers' view a moment ago, or, while no server answers
/// ([`Client::state`](zk_client::Client::state)), longer ago. Whether a leader still leads, only a fenced write says.
#[derive(Debug)]
pub struct Leaders {
    contest: Contest,
    told: Option<Option<Participant>>,
    changed: Option<Once>,
}

impl Leaders {
    pub(crate) const fn new(contest: Contest) -> Self {
        Self {
            contest,
            told: None,
            changed: None,
        }
    }

    /// Who leads, at first; then whoever leads next, or `None` when there is no candidate any more. Leaders that were
    /// quick to go may be left out.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`](crate::Mutex::lock). It may be asked again.
    ///
    /// # Cancellation
    ///
    /// Safe: a leader counts as told only when it is returned.
    pub async fn next(&mut self) -> Result<Option<Participant>, Error> {
        loop {
            if let Some(changed) = self.changed.take() {
                // The session's end is a change too: what was watched has to be watched again.
                let _event = changed.changed().await;
            }
            let (leader, changed) = self.look().await?;
            self.changed = Some(changed);
            if self.told.as_ref() != Some(&leader) {
                self.told = Some(leader.clone());
                return Ok(leader);
            }
        }
    }

    /// The leader now, and what fires when that may change: his node, or, where there is none, the list.
    async fn look(&self) -> Result<(Option<Participant>, Once), Error> {
        let client = &self.contest.client;
        loop {
            let listed = self.contest.list().await?;
            let looked = match listed.first() {
                Some(first) => self.read(&first.name).await,
                None => self
                    .nobody()
                    .await?
                    .map_or(Ok(None), |made| Ok(Some((None, made)))),
            };
            match looked {
                Ok(Some(looked)) => return Ok(looked),
                Ok(None) => {}
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) if may_try_again(client, &error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn read(
        &self,
        name: &str,
    ) -> Result<Option<(Option<Participant>, Once)>, zk_client::Error> {
        let path = self.contest.path(name);
        let get = self.contest.client.get(&path).timeout(None);
        let ((data, stat), changed) = get.watch().await?;
        let leader = Participant::new(path, data.to_vec(), &stat);
        Ok(Some((Some(leader), changed)))
    }

    /// What fires when there is somebody; `None` if there is already, or it is to be looked for again.
    async fn nobody(&self) -> Result<Option<Once>, Error> {
        let client = &self.contest.client;
        let directory = &self.contest.directory;
        let listed = client.children(directory).timeout(None).watch().await;
        let looked = match listed {
            Ok((names, changed)) => {
                let nobody = self.contest.sort(names)?.is_empty();
                return Ok(nobody.then_some(changed));
            }
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                client.exists(directory).timeout(None).watch().await
            }
            Err(error) => Err(error),
        };
        match looked {
            Ok((there, made)) => Ok(there.is_none().then_some(made)),
            Err(error) if may_try_again(client, &error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
