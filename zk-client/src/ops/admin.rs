//! What concerns the session, the server or the ensemble rather than a node.

use super::builder;
use super::read::{data_and_stat, reader};
use crate::call::{Call, Watching};
use crate::client::Client;
use crate::draft::Draft;
use crate::error::ErrorKind;
use crate::path::strip;
use crate::session::Answered;
use crate::watch::{Once, WatchKind};
use bytes::{BufMut, Bytes};
use zk_proto::jute::JuteMut;
use zk_proto::{ClientInfo, DecodeError, OpCode, Reply, Stat};

/// Where the ensemble's configuration is.
const CONFIG: &str = "/zookeeper/config";

/// Waits for the leader's state; from [`Client::sync`].
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Sync<'a> {
    pub(super) draft: Draft<'a>,
}

impl Sync<'_> {
    /// Takes its place in the order now.
    pub fn send(self) -> Call<()> {
        self.draft.send(super::nothing)
    }
}

builder!(Sync => Call<()>);

/// Lists this session's ephemeral nodes; from [`Client::ephemerals`].
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Ephemerals<'a> {
    pub(super) draft: Draft<'a>,
}

fn stripped(outcome: Result<Answered, ErrorKind>, root: &str) -> Result<Vec<String>, ErrorKind> {
    let mut paths = super::read::names(outcome, root)?;
    for path in &mut paths {
        *path = strip(root, path).to_owned();
    }
    Ok(paths)
}

impl Ephemerals<'_> {
    /// Takes its place in the order now.
    pub fn send(self) -> Call<Vec<String>> {
        self.draft.send(stripped)
    }
}

builder!(Ephemerals => Call<Vec<String>>);

/// Counts descendants; from [`Client::count_descendants`].
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct AllChildrenNumber<'a> {
    pub(super) draft: Draft<'a>,
}

fn count(outcome: Result<Answered, ErrorKind>, _root: &str) -> Result<usize, ErrorKind> {
    let number = reader(&outcome?).i32()?;
    Ok(usize::try_from(number).map_err(|_negative| DecodeError::Length(number))?)
}

impl AllChildrenNumber<'_> {
    /// Takes its place in the order now.
    pub fn send(self) -> Call<usize> {
        self.draft.send(count)
    }
}

builder!(AllChildrenNumber => Call<usize>);

/// Lists identities; from [`Client::who_am_i`].
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct WhoAmI<'a> {
    pub(super) draft: Draft<'a>,
}

fn identities(
    outcome: Result<Answered, ErrorKind>,
    _root: &str,
) -> Result<Vec<ClientInfo>, ErrorKind> {
    match Reply::decode(OpCode::WhoAmI, &outcome?.body)? {
        Reply::WhoAmI(infos) => Ok(infos),
        Reply::Empty
        | Reply::Path(_)
        | Reply::PathStat(..)
        | Reply::Stat(_)
        | Reply::Data(..)
        | Reply::Acl(..)
        | Reply::Names(_)
        | Reply::Children(..)
        | Reply::Multi(_)
        | Reply::Number(_)
        | Reply::Token(_)
        | Reply::Connected(_) => Err(DecodeError::Null.into()),
    }
}

impl WhoAmI<'_> {
    /// Takes its place in the order now.
    pub fn send(self) -> Call<Vec<ClientInfo>> {
        self.draft.send(identities)
    }
}

builder!(WhoAmI => Call<Vec<ClientInfo>>);

/// Reads the ensemble's configuration; from [`Client::config`].
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct GetConfig<'a> {
    draft: Draft<'a>,
}

impl<'a> GetConfig<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        let mut draft = Draft::bare(client, OpCode::GetData, 32);
        draft.frame.put_string(CONFIG);
        Self { draft }
    }

    /// Takes its place in the order now. Yields lines of `server.N=…` and a last one of `version=…`.
    pub fn send(mut self) -> Call<(Bytes, Stat)> {
        self.draft.frame.put_bool(false);
        self.draft.send(data_and_stat)
    }

    /// Sends it, and leaves a watcher that fires once, when the configuration changes.
    pub fn watch(mut self) -> Watching<(Bytes, Stat), Once> {
        self.draft.frame.put_bool(true);
        self.draft.send_once(data_and_stat, WatchKind::Data)
    }
}

builder!(GetConfig => Call<(Bytes, Stat)>);

/// Changes the ensemble; from [`Client::reconfig`]. Either servers join and leave, or all members are named.
/// Yields the new configuration.
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Reconfig<'a> {
    draft: Draft<'a>,
    joining: Vec<String>,
    leaving: Vec<String>,
    members: Vec<String>,
    from: i64,
}

impl<'a> Reconfig<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            draft: Draft::bare(client, OpCode::Reconfig, 128),
            joining: Vec::new(),
            leaving: Vec::new(),
            members: Vec::new(),
            from: -1,
        }
    }

    /// A server joins, or changes: `server.4=host:2888:3888;2181`.
    pub fn join(mut self, server: impl Into<String>) -> Self {
        self.joining.push(server.into());
        self
    }

    /// A server leaves, by its number.
    pub fn leave(mut self, server: impl Into<String>) -> Self {
        self.leaving.push(server.into());
        self
    }

    /// A member of the whole new ensemble: `server.4=host:2888:3888;2181`.
    pub fn member(mut self, server: impl Into<String>) -> Self {
        self.members.push(server.into());
        self
    }

    /// Only if the present configuration has this version.
    pub fn from_version(mut self, version: i64) -> Self {
        self.from = version;
        self
    }

    /// Takes its place in the order now.
    pub fn send(mut self) -> Call<(Bytes, Stat)> {
        let by_difference = !self.joining.is_empty() || !self.leaving.is_empty();
        if !self.members.is_empty() && by_difference {
            self.draft
                .refuse("a reconfiguration names all members, or those who join and leave");
        }
        for list in [&self.joining, &self.leaving, &self.members] {
            let text = list.join(",");
            let named = (!list.is_empty()).then_some(text.as_bytes());
            self.draft.frame.put_buffer(named);
        }
        self.draft.frame.put_i64(self.from);
        self.draft.send(data_and_stat)
    }
}

builder!(Reconfig => Call<(Bytes, Stat)>);
