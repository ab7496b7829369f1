//! The task that cares for one node: creates it, hears of its end, creates it again, deletes it when it is told to.
//!
//! A create that is under way is never given up: whoever creates a node under a name that is known in advance must
//! hear what became of it, or a late deletion of the one that was given up could hit the next.

use super::{Lifetime, Standing};
use crate::error::{Error, may_try_again};
use crate::keeper::PAUSE;
use crate::unique;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, warn};
use zk_client::{Acl, Client, CreateMode, ErrorCode, Once, OnceEvent, SessionId, Stat, State};

/// Between two attempts at what the servers have refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);
/// How many sessions of ours are remembered, whose node may still be there.
const FORMER: usize = 8;

type Reply = oneshot::Sender<Result<(), Error>>;

/// What the owner of a node asks for. A channel that was let go means to delete it, if it is ephemeral.
#[derive(Debug)]
pub(super) enum Command {
    Set(Vec<u8>, Reply),
    Close(Reply),
}

/// What a node is to be like.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    path: String,
    data: Vec<u8>,
    pub(super) lifetime: Lifetime,
    pub(super) protected: bool,
    pub(super) replace_at_first: bool,
    pub(super) acl: Option<Vec<Acl>>,
}

impl Wish {
    pub(super) const fn new(path: String, data: Vec<u8>) -> Self {
        Self {
            path,
            data,
            lifetime: Lifetime::Ephemeral,
            protected: false,
            replace_at_first: false,
            acl: None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Upkeep {
    client: Client,
    wish: Wish,
    standing: watch::Sender<Standing>,
    /// The path, once it is known: at once, unless the server appends a number.
    path: Option<String>,
    /// By which a node with a number is found again.
    prefix: String,
    /// Sessions that have created it.
    former: Vec<SessionId>,
    /// The data that is wished for may not be the node's.
    dirty: bool,
    /// Who waits for the data to be written.
    owed: Vec<Reply>,
}

/// How an attempt to create the node ended.
enum Attempt {
    Made,
    Again,
    /// Somebody else's node is there, until this fires.
    Taken(SessionId, Once),
    Failed(zk_client::Error),
}

/// Why the care ends: a reply to whoever asked for it, or nobody did.
enum End {
    Close(Reply),
    Dropped,
}

impl Upkeep {
    pub(super) fn new(client: Client, wish: Wish, standing: watch::Sender<Standing>) -> Self {
        let numbered = wish.lifetime == Lifetime::EphemeralSequential;
        let (parent, name) = wish.path.rsplit_once('/').unwrap_or(("", &wish.path));
        let prefix = unique::prefix();
        let path = match (numbered, wish.protected) {
            (true, _) => None,
            (false, true) => Some(format!("{parent}/{prefix}{name}")),
            (false, false) => Some(wish.path.clone()),
        };
        Self {
            path,
            prefix,
            client,
            wish,
            standing,
            former: Vec::new(),
            dirty: true,
            owed: Vec::new(),
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let end = loop {
            let attempt = self.attempt().await;
            let ended = match attempt {
                Attempt::Made => self.tend(&mut commands).await,
                Attempt::Again => None,
                Attempt::Taken(by, gone) => {
                    self.tell(Standing::Taken { by });
                    self.pause(&mut commands, gone.changed()).await
                }
                Attempt::Failed(error) if may_try_again(&self.client, &error) => {
                    self.pause(&mut commands, tokio::time::sleep(PAUSE)).await
                }
                Attempt::Failed(_) if self.client.state() == State::Closed => break None,
                Attempt::Failed(error) => {
                    self.refuse(error);
                    let wait = tokio::time::sleep(AFTER_REFUSAL);
                    self.pause(&mut commands, wait).await
                }
            };
            if let Some(end) = ended {
                break Some(end);
            }
        };
        match end {
            Some(End::Close(reply)) => {
                let removed = self.remove().await;
                self.tell(Standing::Over);
                let _gone = reply.send(removed);
            }
            Some(End::Dropped) if self.wish.lifetime.is_ephemeral() => {
                if let Err(error) = self.remove().await {
                    warn!(path = self.wish.path, %error, "a node cannot be deleted");
                }
                self.tell(Standing::Over);
            }
            Some(End::Dropped) | None => self.tell(Standing::Over),
        }
    }

    fn tell(&self, standing: Standing) {
        self.standing.send_if_modified(|told| {
            let differs = *told != standing;
            if differs {
                debug!(path = self.wish.path, ?standing, "a node that is cared for");
                *told = standing;
            }
            differs
        });
    }

    fn refuse(&mut self, error: zk_client::Error) {
        let error = Error::from(error);
        for reply in self.owed.drain(..) {
            let _gone = reply.send(Err(error.clone()));
        }
        self.tell(Standing::Refused(error));
    }

    /// Waits for something, unless the end comes first.
    async fn pause<T>(
        &mut self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        until: impl Future<Output = T>,
    ) -> Option<End> {
        tokio::pin!(until);
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => {
                    if let Some(end) = self.on_command(command) {
                        return Some(end);
                    }
                }
                _over = &mut until => return None,
            }
        }
    }

    fn on_command(&mut self, command: Option<Command>) -> Option<End> {
        match command {
            Some(Command::Set(data, reply)) => {
                self.wish.data = data;
                self.dirty = true;
                self.owed.push(reply);
                None
            }
            Some(Command::Close(reply)) => Some(End::Close(reply)),
            None => Some(End::Dropped),
        }
    }

    /// Tries to create the node, once.
    async fn attempt(&mut self) -> Attempt {
        if !matches!(&*self.standing.borrow(), Standing::Refused(_)) {
            self.tell(Standing::Absent);
        }
        if self.path.is_none() {
            // An attempt before this one may have created it without our hearing of it.
            match self.find().await {
                Ok(found) => self.path = found,
                Err(error) => return Attempt::Failed(error),
            }
        }
        let created = match &self.path {
            Some(path) => self.create(path, false).await,
            None => self.create(&self.numbered(), true).await,
        };
        match created {
            Ok(path) => {
                self.path = Some(path);
                self.dirty = false;
                self.made()
            }
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => self.meet().await,
            Err(error) => Attempt::Failed(error),
        }
    }

    fn made(&mut self) -> Attempt {
        self.wish.replace_at_first = false;
        if let Some(session) = self.client.session_id()
            && !self.former.contains(&session)
        {
            self.former.truncate(FORMER - 1);
            self.former.insert(0, session);
        }
        Attempt::Made
    }

    /// What a node with a number is created as.
    fn numbered(&self) -> String {
        let path = &self.wish.path;
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        format!("{parent}/{}{name}", self.prefix)
    }

    async fn create(&self, path: &str, numbered: bool) -> Result<String, zk_client::Error> {
        let create = || {
            let create = self.client.create(path, &self.wish.data);
            let create = create.parents().timeout(None);
            match &self.wish.acl {
                Some(acl) => create.acl(acl.clone()),
                None => create,
            }
        };
        match self.wish.lifetime {
            Lifetime::Ephemeral | Lifetime::EphemeralSequential if numbered => {
                create().ephemeral().sequential().await
            }
            Lifetime::Ephemeral | Lifetime::EphemeralSequential => create().ephemeral().await,
            Lifetime::Persistent => create().await,
            Lifetime::Container | Lifetime::Ttl(_) => match create().container().await {
                // Servers before 3.5 have none.
                Err(error) if error.code() == Some(ErrorCode::Unimplemented) => create().await,
                other => other,
            },
        }
    }

    /// A node with our prefix, and so ours.
    async fn find(&self) -> Result<Option<String>, zk_client::Error> {
        let (parent, _) = self.wish.path.rsplit_once('/').unwrap_or_default();
        let directory = if parent.is_empty() { "/" } else { parent };
        let listed = self.client.children(directory).timeout(None);
        match listed.linearizable().await {
            Ok(names) => {
                let ours = names.iter().find(|name| name.starts_with(&self.prefix));
                Ok(ours.map(|name| format!("{parent}/{name}")))
            }
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_ours(&self, stat: &Stat) -> bool {
        if self.wish.lifetime.is_ephemeral() {
            Some(stat.ephemeral_owner) == self.client.session_id()
        } else {
            stat.ephemeral_owner == SessionId::NONE
        }
    }

    /// The name is taken: by an attempt of ours whose reply was lost, by an earlier session of ours, or by others.
    async fn meet(&mut self) -> Attempt {
        let path = self.path.clone().unwrap_or_default();
        match self.client.get(&path).timeout(None).watch().await {
            Ok(((data, stat), gone)) => {
                let owner = stat.ephemeral_owner;
                let replaced = self.former.contains(&owner) || self.wish.replace_at_first;
                if self.is_ours(&stat) {
                    self.dirty = data != self.wish.data;
                    self.made()
                } else if replaced && self.wish.lifetime.is_ephemeral() {
                    self.replace(&path, &stat).await
                } else {
                    Attempt::Taken(owner, gone)
                }
            }
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Attempt::Again,
            Err(error) => Attempt::Failed(error),
        }
    }

    /// Ours for theirs in one step: nobody sees the node missing.
    async fn replace(&mut self, path: &str, theirs: &Stat) -> Attempt {
        let (data, acl) = (&self.wish.data, self.wish.acl.clone());
        let replace = self.client.multi().delete(path, theirs.version);
        let replace = replace.create_as(path, data, CreateMode::Ephemeral, acl);
        match replace.timeout(None).await {
            Ok(_) => {
                self.dirty = false;
                self.made()
            }
            Err(error) => match error.code() {
                Some(ErrorCode::NoNode | ErrorCode::BadVersion) => Attempt::Again,
                Some(_) | None => Attempt::Failed(error),
            },
        }
    }

    /// Cares for a node that was there a moment ago. `None` if it has to be created again.
    async fn tend(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) -> Option<End> {
        let path = self.path.clone().unwrap_or_default();
        let mut beat = self.beat();
        loop {
            let changed = match self.client.get(&path).timeout(None).watch().await {
                Ok(((_, stat), changed)) if self.is_ours(&stat) => {
                    if self.dirty && !self.write(&path, &stat).await {
                        let end = self.pause(commands, tokio::time::sleep(PAUSE)).await;
                        if end.is_some() {
                            return end;
                        }
                        continue;
                    }
                    changed
                }
                Err(error) if may_try_again(&self.client, &error) => {
                    let end = self.pause(commands, tokio::time::sleep(PAUSE)).await;
                    if end.is_some() {
                        return end;
                    }
                    continue;
                }
                Ok(_) => return None,
                Err(_) => return None,
            };
            if let (Lifetime::Ttl(ttl), Err(error)) = (self.wish.lifetime, self.touch(&path).await)
            {
                debug!(path, ?ttl, %error, "a node with a TTL cannot be touched");
                if error.code() == Some(ErrorCode::NoNode) {
                    return None;
                }
                self.refuse(error);
            } else {
                for reply in self.owed.drain(..) {
                    let _gone = reply.send(Ok(()));
                }
                self.tell(Standing::There { path: path.clone() });
            }
            tokio::select! {
                biased;
                command = commands.recv() => {
                    if let Some(end) = self.on_command(command) {
                        return Some(end);
                    }
                }
                event = changed.changed() => {
                    if event == OnceEvent::Lost {
                        self.tell(Standing::Absent);
                    }
                }
                _now = beat.tick() => {}
            }
        }
    }

    /// When a node with a TTL is touched; hardly ever for others.
    fn beat(&self) -> tokio::time::Interval {
        let period = match self.wish.lifetime {
            Lifetime::Ttl(ttl) => (ttl / 2).max(Duration::from_millis(1)),
            Lifetime::Ephemeral
            | Lifetime::EphemeralSequential
            | Lifetime::Persistent
            | Lifetime::Container => Duration::from_secs(86_400),
        };
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        beat
    }

    async fn touch(&self, path: &str) -> Result<(), zk_client::Error> {
        let Lifetime::Ttl(ttl) = self.wish.lifetime else {
            return Ok(());
        };
        let child = format!("{path}/touch");
        match self.client.set(&child, "").timeout(None).await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
            other => return other.map(drop),
        }
        let create = self.client.create(&child, "").ttl(ttl).timeout(None);
        match create.await {
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Writes the data that is wished for. `false` if that has to be tried again after another look.
    async fn write(&mut self, path: &str, stat: &Stat) -> bool {
        let set = self.client.set(path, &self.wish.data);
        match set.version(stat.version).timeout(None).await {
            Ok(_) => self.dirty = false,
            Err(error) => {
                let code = error.code();
                if matches!(code, Some(ErrorCode::BadVersion | ErrorCode::NoNode))
                    || may_try_again(&self.client, &error)
                {
                    return false;
                }
                for reply in self.owed.drain(..) {
                    let _gone = reply.send(Err(error.clone().into()));
                }
                // The wish stands for the next time it is created.
                self.dirty = false;
            }
        }
        true
    }

    /// Deletes the node if it is ours, as often as it takes.
    async fn remove(&mut self) -> Result<(), Error> {
        loop {
            match self.remove_once().await {
                Ok(()) => return Ok(()),
                Err(error) => match error.code() {
                    Some(ErrorCode::NoNode) => return Ok(()),
                    Some(ErrorCode::BadVersion) => {}
                    _ if may_try_again(&self.client, &error) => tokio::time::sleep(PAUSE).await,
                    // With its session the node goes too.
                    None if self.wish.lifetime.is_ephemeral() => return Ok(()),
                    Some(_) | None => return Err(error.into()),
                },
            }
        }
    }

    async fn remove_once(&mut self) -> Result<(), zk_client::Error> {
        if self.path.is_none() {
            self.path = self.find().await?;
        }
        let Some(path) = &self.path else {
            return Ok(());
        };
        let Some(stat) = self.client.exists(path).timeout(None).await? else {
            return Ok(());
        };
        if !self.is_ours(&stat) && !self.former.contains(&stat.ephemeral_owner) {
            return Ok(());
        }
        if let Lifetime::Ttl(_) = self.wish.lifetime {
            let touched = self.client.delete(format!("{path}/touch"));
            match touched.timeout(None).await {
                Err(error) if error.code() != Some(ErrorCode::NoNode) => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        let delete = self.client.delete(path).version(stat.version);
        delete.timeout(None).await
    }
}
