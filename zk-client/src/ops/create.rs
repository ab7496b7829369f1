//! Creates: every kind of node, with parents if need be.

use super::making::Making;
use super::read::reader;
use crate::call::Call;
use crate::client::Client;
use crate::draft::Draft;
use crate::error::{Error, ErrorKind};
use crate::path::{IntoPath, split, strip};
use crate::session::Answered;
use bytes::BufMut;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zk_proto::jute::JuteMut;
use zk_proto::path::{PathError, validate};
use zk_proto::{Acl, CreateMode, ErrorCode, OpCode, Stat};

fn path(outcome: Result<Answered, ErrorKind>, root: &str) -> Result<String, ErrorKind> {
    let answered = outcome?;
    let path = reader(&answered).string()?.into_owned();
    Ok(strip(root, &path).to_owned())
}

/// What a create asks for besides path and data.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) ephemeral: bool,
    pub(super) sequential: bool,
    pub(super) container: bool,
    pub(super) ttl: Option<Duration>,
    pub(super) acl: Option<Vec<Acl>>,
    pub(super) parents: bool,
    pub(super) protected: bool,
}

impl Wish {
    pub(super) const PERSISTENT: Self = Self {
        ephemeral: false,
        sequential: false,
        container: false,
        ttl: None,
        acl: None,
        parents: false,
        protected: false,
    };

    /// The mode, if there is one that is all of this.
    pub(super) const fn mode(&self) -> Option<CreateMode> {
        Some(
            match (
                self.ephemeral,
                self.sequential,
                self.container,
                self.ttl.is_some(),
            ) {
                (false, false, false, false) => CreateMode::Persistent,
                (true, false, false, false) => CreateMode::Ephemeral,
                (false, true, false, false) => CreateMode::PersistentSequential,
                (true, true, false, false) => CreateMode::EphemeralSequential,
                (false, false, true, false) => CreateMode::Container,
                (false, false, false, true) => CreateMode::PersistentWithTtl,
                (false, true, false, true) => CreateMode::PersistentSequentialWithTtl,
                _ => return None,
            },
        )
    }

    /// Appends what follows path and data, and chooses the operation.
    pub(super) fn finish(&self, draft: &mut Draft<'_>, with_stat: bool) {
        let Some(mode) = self.mode() else {
            draft.refuse("no node is ephemeral and lasting, or a container with a number or a TTL");
            return;
        };
        let ttl = self.ttl.map(|ttl| i64::try_from(ttl.as_millis()));
        let op = match (mode, with_stat) {
            (CreateMode::Container, _) => OpCode::CreateContainer,
            (mode, _) if mode.is_ttl() => OpCode::CreateTtl,
            (_, true) => OpCode::Create2,
            // The oldest operation, which every server knows.
            (_, false) => OpCode::Create,
        };
        draft.change_op(op);
        let acl = self.acl.as_ref();
        let acl = acl.unwrap_or(&draft.client.shared().default_acl);
        let entries = acl.as_slice();
        draft.frame.put_len(entries.len());
        for entry in entries {
            entry.encode(&mut draft.frame);
        }
        draft.frame.put_i32(mode.to_flags());
        match ttl {
            None => {}
            Some(Ok(millis)) if millis > 0 => draft.frame.put_i64(millis),
            Some(_) => draft.refuse("a TTL is at least a millisecond, and less than an age"),
        }
    }
}

/// Creates a node; from [`Client::create`]. Yields its path, which a sequential one gets from the server.
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Create<'a> {
    pub(super) draft: Draft<'a>,
    pub(super) wish: Wish,
    pub(super) path: String,
    pub(super) data: Vec<u8>,
}

impl<'a> Create<'a> {
    pub(super) fn new(client: &'a Client, path: &impl IntoPath, data: &[u8]) -> Self {
        let mut draft = head(client, path.text(), data);
        if let Err(error) = path.check()
            && error != PathError::TrailingSlash
        {
            draft.refuse_path(error, path.text());
        }
        Self {
            draft,
            wish: Wish::PERSISTENT,
            path: String::new(),
            data: Vec::new(),
        }
    }

    /// Goes with the session.
    pub fn ephemeral(mut self) -> Self {
        self.wish.ephemeral = true;
        self
    }

    /// The server appends a number of ten digits to the name, which may be empty: `/locks/` is a fine path here.
    pub fn sequential(mut self) -> Self {
        self.wish.sequential = true;
        self
    }

    /// Goes when its last child went. Servers know it from 3.5 on.
    pub fn container(mut self) -> Self {
        self.wish.container = true;
        self
    }

    /// Goes when it has not been modified for this long and has no children. Servers have to be told to allow it
    /// (`extendedTypesEnabled`).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.wish.ttl = Some(ttl);
        self
    }

    /// Who may do what to it, instead of the client's default.
    pub fn acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.wish.acl = Some(acl.into());
        self
    }

    /// Creates the nodes above it as well, as containers, or persistent where the server knows no containers. They
    /// stay if the node itself is then refused.
    ///
    /// # Cancellation
    ///
    /// Parents that were created stay; containers go by themselves.
    pub fn parents(mut self) -> Self {
        self.wish.parents = true;
        self
    }

    /// Survives the loss of its reply: the name gets a prefix of its own, `_c_<uuid>-`, by which the node is found
    /// again after a reconnect. Exactly one node is there in the end, or none. Adopted only in the session that
    /// created it.
    ///
    /// # Cancellation
    ///
    /// A node that was created, or is found later, is deleted again, in the background and across reconnects.
    pub fn protected(mut self) -> Self {
        self.wish.protected = true;
        self
    }

    /// Yields the stat as well. Servers before 3.5 are asked for it in a request of its own.
    ///
    /// # Cancellation
    ///
    /// As without; an ephemeral node of such a server is deleted again as well.
    pub fn with_stat(self) -> CreateWithStat<'a> {
        CreateWithStat { create: self }
    }

    /// How long to wait for each answer, instead of the client's default; `None` waits as long as the session
    /// lives.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.draft.timeout = timeout.into();
        self
    }

    /// Takes its place in the order now.
    pub fn send(mut self) -> Call<String> {
        if !self.wish.parents && !self.wish.protected {
            self.check_slash();
            return send_once(self.draft, &self.wish, false, path);
        }
        self.dispatch(false, |(path, _)| path)
    }

    fn dispatch<T: Send + 'static>(
        mut self,
        with_stat: bool,
        pick: fn((String, Stat)) -> T,
    ) -> Call<T> {
        self.check_slash();
        if let Some(error) = self.draft.error.take() {
            return Call::failed(error);
        }
        self.remember();
        if self.wish.protected {
            super::protected::create(self, with_stat, pick)
        } else {
            in_steps(self, with_stat, pick)
        }
    }

    /// Only a name that gets a number may be empty.
    fn check_slash(&mut self) {
        let wire = crate::session::wire_path(&self.draft.frame).unwrap_or_default();
        if wire.len() > 1
            && let Some(parent) = wire.strip_suffix('/')
        {
            let fine = self.wish.sequential && (parent.is_empty() || validate(parent).is_ok());
            if !fine {
                self.draft.refuse_path(PathError::TrailingSlash, &wire);
            }
        }
    }

    /// Takes path and data back out of the frame, for what has several steps.
    fn remember(&mut self) {
        let record = self.draft.frame.get(crate::session::RECORD_AT..);
        let mut fields = zk_proto::jute::Reader::new(record.unwrap_or_default());
        if let (Ok(path), Ok(data)) = (fields.string(), fields.buffer()) {
            strip(self.draft.client.root(), &path).clone_into(&mut self.path);
            self.data = data.unwrap_or_default().to_vec();
        }
    }
}

impl std::future::IntoFuture for Create<'_> {
    type Output = Result<String, Error>;
    type IntoFuture = Call<String>;

    fn into_future(self) -> Call<String> {
        self.send()
    }
}

/// Creates a node and tells its stat; from [`Create::with_stat`].
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct CreateWithStat<'a> {
    create: Create<'a>,
}

impl CreateWithStat<'_> {
    /// Takes its place in the order now.
    pub fn send(self) -> Call<(String, Stat)> {
        self.create.dispatch(true, |it| it)
    }
}

impl std::future::IntoFuture for CreateWithStat<'_> {
    type Output = Result<(String, Stat), Error>;
    type IntoFuture = Call<(String, Stat)>;

    fn into_future(self) -> Call<(String, Stat)> {
        self.send()
    }
}

/// A create up to its data.
pub(super) fn head<'a>(client: &'a Client, path: &str, data: &[u8]) -> Draft<'a> {
    let room = client.root().len() + path.len() + data.len() + 64;
    let mut draft = Draft::bare(client, OpCode::Create, room);
    draft.put_path(path);
    draft.frame.put_buffer(Some(data));
    draft
}

/// One request. Nodes that would outlive their creator unseen are deleted again if nobody hears of them.
pub(super) fn send_once<T>(
    mut draft: Draft<'_>,
    wish: &Wish,
    with_stat: bool,
    finish: crate::call::Finish<T>,
) -> Call<T> {
    wish.finish(&mut draft, with_stat);
    if wish.ephemeral || wish.protected {
        draft.send_owned(finish)
    } else {
        draft.send(finish)
    }
}

/// Tries, and again where parents are missing, which are created then, or the server wants to be asked otherwise.
/// An empty container may be reaped in between, so as often as it takes.
fn in_steps<T: Send + 'static>(
    create: Create<'_>,
    with_stat: bool,
    pick: fn((String, Stat)) -> T,
) -> Call<T> {
    let (making, first) = Making::begin(create, with_stat);
    Call::steps(async move {
        let mut call = first;
        loop {
            match call.await {
                Ok(made) => return making.tell(made).await.map(pick),
                Err(error) if error.code() == Some(ErrorCode::NoNode) && making.wish.parents => {
                    make_parents(&making.client, &making.path, making.timeout).await?;
                }
                Err(error) if making.is_too_new(&error) => {}
                Err(error) => return Err(error),
            }
            call = making.send(&making.path);
        }
    })
}

/// Creates what is missing above a path, from the top, the view's own root included.
pub(super) async fn make_parents(
    client: &Client,
    path: &str,
    timeout: Option<Duration>,
) -> Result<(), Error> {
    let parent = match path.strip_suffix('/') {
        Some(parent) => parent,
        None => split(path).map_or("/", |(parent, _)| parent),
    };
    let (root, rest) = crate::path::parts(client.root(), parent);
    let parent = format!("{root}{rest}");
    let client = client.at_server_root();
    let ends = parent.match_indices('/').map(|(at, _)| at).skip(1);
    for end in ends.chain([parent.len()]) {
        match parent.get(..end) {
            Some("" | "/") | None => {}
            Some(above) => make_one(&client, above, timeout).await?,
        }
    }
    Ok(())
}

async fn make_one(client: &Client, path: &str, timeout: Option<Duration>) -> Result<(), Error> {
    let plain = || client.create(path, "").timeout(timeout);
    let old = &client.shared().before_3_5;
    let made = if old.load(Ordering::Relaxed) {
        plain().await
    } else {
        match plain()
            .container()
            .await
            .map_err(|error| (error.code(), error))
        {
            Err((Some(ErrorCode::Unimplemented), _)) => {
                old.store(true, Ordering::Relaxed);
                plain().await
            }
            Err((Some(ErrorCode::BadArguments), _)) => plain().await,
            Err((_, error)) => Err(error),
            Ok(path) => Ok(path),
        }
    };
    match made {
        Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(()),
        other => other.map(drop),
    }
}
