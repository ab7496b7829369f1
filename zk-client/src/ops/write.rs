//! Writes of one node, and lasting watches.

use super::read::reader;
use super::{builder, nothing};
use crate::call::{Call, Watching};
use crate::client::Client;
use crate::draft::Draft;
use crate::error::{Error, ErrorKind};
use crate::path::IntoPath;
use crate::session::Answered;
use crate::watch::{Watch, WatchKind};
use bytes::BufMut;
use zk_proto::jute::JuteMut;
use zk_proto::{Acl, AddWatchMode, ErrorCode, OpCode, Stat, Version};

/// What the wire says where any version will do.
const ANY: i32 = -1;

fn wire(version: Option<Version>) -> i32 {
    version.map_or(ANY, |version| version.0)
}

fn stat(outcome: Result<Answered, ErrorKind>, _root: &str) -> Result<Stat, ErrorKind> {
    Ok(Stat::decode(&mut reader(&outcome?))?)
}

/// Sets data; from [`Client::set`].
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Set<'a> {
    draft: Draft<'a>,
    version: Option<Version>,
}

impl<'a> Set<'a> {
    pub(super) fn new(client: &'a Client, path: &impl IntoPath, data: &[u8]) -> Self {
        let mut draft = Draft::new(client, OpCode::SetData, path, data.len() + 8);
        draft.frame.put_buffer(Some(data));
        Self {
            draft,
            version: None,
        }
    }

    /// Only if the data has this version.
    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Takes its place in the order now.
    pub fn send(mut self) -> Call<Stat> {
        self.draft.frame.put_i32(wire(self.version));
        self.draft.send(stat)
    }

    /// Sends it; if there is no such node, creates it, persistent and with the default ACL. Either way the data is
    /// there afterwards. The two alternate until one succeeds, since others may delete and create meanwhile.
    ///
    /// # Cancellation
    ///
    /// The set or the create under way may take effect; nothing further is sent.
    pub fn or_create(self) -> Call<Stat> {
        let client = self.draft.client.clone();
        let timeout = self.draft.timeout;
        let version = self.version;
        let path = crate::session::wire_path(&self.draft.frame).unwrap_or_default();
        let path = crate::path::strip(client.root(), &path).to_owned();
        let record = self.draft.frame.get(crate::session::RECORD_AT..);
        let mut fields = zk_proto::jute::Reader::new(record.unwrap_or_default());
        let data = fields
            .string()
            .and_then(|_path| fields.buffer())
            .ok()
            .flatten()
            .unwrap_or_default()
            .to_vec();
        let mut set = self.send();
        Call::steps(async move {
            loop {
                match set.await {
                    Err(error) if error.code() == Some(ErrorCode::NoNode) && version.is_none() => {}
                    other => return other,
                }
                let created = client.create(&path, &data).timeout(timeout).with_stat();
                match created.await {
                    Ok((_, stat)) => return Ok(stat),
                    Err(error) if error.code() == Some(ErrorCode::NodeExists) => {}
                    Err(error) => return Err(error),
                }
                set = client.set(&path, &data).timeout(timeout).send();
            }
        })
    }
}

builder!(Set => Call<Stat>);

/// Sets an ACL; from [`Client::set_acl`].
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct SetAcl<'a> {
    draft: Draft<'a>,
    version: Option<Version>,
}

impl<'a> SetAcl<'a> {
    pub(super) fn new(client: &'a Client, path: &impl IntoPath, acl: &[Acl]) -> Self {
        let mut draft = Draft::new(client, OpCode::SetAcl, path, 64);
        draft.frame.put_vector(acl, |out, entry| entry.encode(out));
        Self {
            draft,
            version: None,
        }
    }

    /// Only if the ACL has this version (`Stat::aversion`).
    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Takes its place in the order now.
    pub fn send(mut self) -> Call<Stat> {
        self.draft.frame.put_i32(wire(self.version));
        self.draft.send(stat)
    }
}

builder!(SetAcl => Call<Stat>);

/// Deletes a node; from [`Client::delete`].
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Delete<'a> {
    pub(super) draft: Draft<'a>,
    pub(super) version: Option<Version>,
}

impl<'a> Delete<'a> {
    /// Only if the data has this version.
    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Deletes everything below as well, from the leaves up, in batches.
    pub fn recursive(mut self) -> super::DeleteRecursive<'a> {
        if self.version.is_some() {
            self.draft.refuse("a recursive delete has no version");
        }
        super::DeleteRecursive { draft: self.draft }
    }

    /// Takes its place in the order now.
    pub fn send(mut self) -> Call<()> {
        self.draft.frame.put_i32(wire(self.version));
        self.draft.send(nothing)
    }
}

builder!(Delete => Call<()>);

/// Adds a lasting watch; from [`Client::watch`] and [`Client::watch_recursive`].
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct WatchPath<'a> {
    pub(super) draft: Draft<'a>,
    pub(super) kind: WatchKind,
}

/// A lasting watch being added: yields the [`Watch`].
#[must_use = "a call that is dropped may never be sent"]
#[derive(Debug)]
pub struct AddingWatch(Watching<(), Watch>);

impl std::future::Future for AddingWatch {
    type Output = Result<Watch, Error>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        let added = std::pin::Pin::new(&mut self.0).poll(cx);
        added.map(|added| added.map(|((), watch)| watch))
    }
}

impl WatchPath<'_> {
    /// Takes its place in the order now: every change behind it is told.
    pub fn send(mut self) -> AddingWatch {
        let mode = if self.kind == WatchKind::Recursive {
            AddWatchMode::PersistentRecursive
        } else {
            AddWatchMode::Persistent
        };
        self.draft.frame.put_i32(mode.to_wire());
        let limit = self.draft.client.shared().watch_queue;
        AddingWatch(self.draft.send_lasting(nothing, self.kind, limit))
    }
}

builder!(WatchPath => AddingWatch);
