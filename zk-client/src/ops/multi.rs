//! Several operations in one request: writes that stand or fall together, reads that do not.

use super::builder;
use super::create::Wish;
use super::read::reader;
use crate::call::Call;
use crate::client::Client;
use crate::draft::Draft;
use crate::error::ErrorKind;
use crate::path::{IntoPath, strip};
use crate::session::Answered;
use bytes::{BufMut, Bytes};
use std::time::Duration;
use zk_proto::jute::JuteMut;
use zk_proto::{Acl, CreateMode, DecodeError, ErrorCode, MultiResult, OpCode, Stat, Version};

/// What one operation of a multi has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// Created this node. The stat is there for containers and nodes with a TTL.
    Created {
        /// Its path, with the number of a sequential one.
        path: String,
        /// Its stat, where the server tells it.
        stat: Option<Stat>,
    },
    /// Deleted.
    Deleted,
    /// Set the data.
    Set(Stat),
    /// The version was the expected one.
    Checked,
}

/// Several writes, all or nothing; from [`Client::multi`]. Results are in the order of the operations. If one is
/// refused, none is done, and the error is [`ErrorKind::Multi`] with its index, its code and its path.
///
/// ```
/// # async fn swap(client: zk_client::Client, seen: zk_client::Version) -> Result<(), zk_client::Error> {
/// client
///     .multi()
///     .check("/guard", seen)
///     .create("/new", "data")
///     .delete("/old", None)
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Multi<'a> {
    draft: Draft<'a>,
}

impl<'a> Multi<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            draft: Draft::bare(client, OpCode::Multi, 256),
        }
    }

    /// Demands that a node is there and its data has this version, or any.
    pub fn check(mut self, path: impl IntoPath, version: impl Into<Option<Version>>) -> Self {
        put_head(&mut self.draft, OpCode::Check, &path);
        put_version(&mut self.draft, version.into());
        self
    }

    /// Creates a persistent node.
    pub fn create(self, path: impl IntoPath, data: impl AsRef<[u8]>) -> Self {
        self.put_create(&path, data.as_ref(), Wish::PERSISTENT)
    }

    /// Creates a node of another kind, or with another ACL than the client's default.
    ///
    /// Kinds with a TTL take [`Self::create_with_ttl`].
    pub fn create_as(
        self,
        path: impl IntoPath,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
        acl: Option<Vec<Acl>>,
    ) -> Self {
        let wish = Wish {
            ephemeral: mode.is_ephemeral(),
            sequential: mode.is_sequential(),
            container: mode == CreateMode::Container,
            ttl: mode.is_ttl().then_some(Duration::ZERO),
            acl,
            ..Wish::PERSISTENT
        };
        self.put_create(&path, data.as_ref(), wish)
    }

    /// Creates a node that goes when it has not been modified for this long.
    pub fn create_with_ttl(
        self,
        path: impl IntoPath,
        data: impl AsRef<[u8]>,
        ttl: Duration,
    ) -> Self {
        let wish = Wish {
            ttl: Some(ttl),
            ..Wish::PERSISTENT
        };
        self.put_create(&path, data.as_ref(), wish)
    }

    /// Sets a node's data, if it has this version, or any.
    pub fn set(
        mut self,
        path: impl IntoPath,
        data: impl AsRef<[u8]>,
        version: impl Into<Option<Version>>,
    ) -> Self {
        put_head(&mut self.draft, OpCode::SetData, &path);
        self.draft.frame.put_buffer(Some(data.as_ref()));
        put_version(&mut self.draft, version.into());
        self
    }

    /// Deletes a node, if its data has this version, or any.
    pub fn delete(mut self, path: impl IntoPath, version: impl Into<Option<Version>>) -> Self {
        put_head(&mut self.draft, OpCode::Delete, &path);
        put_version(&mut self.draft, version.into());
        self
    }

    fn put_create(mut self, path: &impl IntoPath, data: &[u8], wish: Wish) -> Self {
        let op = match wish.mode() {
            Some(CreateMode::Container) => OpCode::CreateContainer,
            Some(mode) if mode.is_ttl() => OpCode::CreateTtl,
            Some(_) | None => OpCode::Create,
        };
        let sequential = wish.sequential;
        put_op(&mut self.draft, op);
        check_path(&mut self.draft, path, sequential);
        self.draft.put_path(path.text());
        self.draft.frame.put_buffer(Some(data));
        // The operation of the request stays a multi.
        wish.finish(&mut self.draft, false);
        self.draft.change_op(OpCode::Multi);
        self
    }

    /// Takes its place in the order now.
    pub fn send(mut self) -> Call<Vec<OpResult>> {
        put_end(&mut self.draft);
        self.draft.send(results)
    }
}

builder!(Multi => Call<Vec<OpResult>>);

fn put_op(draft: &mut Draft<'_>, op: OpCode) {
    draft.frame.put_i32(op.to_wire());
    draft.frame.put_bool(false);
    draft.frame.put_i32(-1);
}

fn put_head(draft: &mut Draft<'_>, op: OpCode, path: &impl IntoPath) {
    put_op(draft, op);
    check_path(draft, path, false);
    draft.put_path(path.text());
}

/// A sequential name may be empty.
fn check_path(draft: &mut Draft<'_>, path: &impl IntoPath, sequential: bool) {
    let judged = match path.text().strip_suffix('/') {
        Some("") if sequential => Ok(()),
        Some(parent) if sequential => zk_proto::path::validate(parent),
        Some(_) | None => path.check(),
    };
    if let Err(error) = judged {
        draft.refuse_path(error, path.text());
    }
}

fn put_version(draft: &mut Draft<'_>, version: Option<Version>) {
    draft.frame.put_i32(version.map_or(-1, |version| version.0));
}

fn put_end(draft: &mut Draft<'_>) {
    draft.frame.put_i32(-1);
    draft.frame.put_bool(true);
    draft.frame.put_i32(-1);
}

/// The first refusal is the reason for all others.
fn results(outcome: Result<Answered, ErrorKind>, root: &str) -> Result<Vec<OpResult>, ErrorKind> {
    let answered = outcome?;
    let results = MultiResult::decode_all(&mut reader(&answered))?;
    let refused = results.iter().enumerate().find_map(|(index, result)| {
        let MultiResult::Error(code) = result else {
            return None;
        };
        Some((index, ErrorCode::from_wire(*code)?))
    });
    if let Some((index, code)) = refused {
        return Err(ErrorKind::Multi { index, code });
    }
    let all = results.into_iter().map(|result| op_result(result, root));
    all.collect::<Result<_, _>>().map_err(ErrorKind::Answer)
}

fn op_result(result: MultiResult, root: &str) -> Result<OpResult, DecodeError> {
    Ok(match result {
        MultiResult::Create(path) => OpResult::Created {
            path: strip(root, &path).to_owned(),
            stat: None,
        },
        MultiResult::Create2(path, stat) => OpResult::Created {
            path: strip(root, &path).to_owned(),
            stat: Some(stat),
        },
        MultiResult::Delete => OpResult::Deleted,
        MultiResult::SetData(stat) => OpResult::Set(stat),
        MultiResult::Check => OpResult::Checked,
        MultiResult::GetData(..) | MultiResult::GetChildren(_) | MultiResult::Error(_) => {
            return Err(DecodeError::Unknown {
                what: "the results of writes",
                value: OpCode::Multi.to_wire(),
            });
        }
    })
}

/// What one read of a [`MultiRead`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadResult {
    /// Data and stat.
    Data(Bytes, Stat),
    /// Names of children.
    Children(Vec<String>),
    /// This one was refused; the others stand.
    Refused(ErrorCode),
}

/// Several reads in one request; from [`Client::multi_read`]. Servers know it from 3.6 on.
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct MultiRead<'a> {
    draft: Draft<'a>,
}

impl<'a> MultiRead<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            draft: Draft::bare(client, OpCode::MultiRead, 256),
        }
    }

    /// Reads a node's data and stat.
    pub fn get(mut self, path: impl IntoPath) -> Self {
        put_head(&mut self.draft, OpCode::GetData, &path);
        self.draft.frame.put_bool(false);
        self
    }

    /// Lists a node's children.
    pub fn children(mut self, path: impl IntoPath) -> Self {
        put_head(&mut self.draft, OpCode::GetChildren, &path);
        self.draft.frame.put_bool(false);
        self
    }

    /// Takes its place in the order now.
    pub fn send(mut self) -> Call<Vec<ReadResult>> {
        put_end(&mut self.draft);
        self.draft.send(reads)
    }
}

builder!(MultiRead => Call<Vec<ReadResult>>);

fn reads(outcome: Result<Answered, ErrorKind>, _root: &str) -> Result<Vec<ReadResult>, ErrorKind> {
    let answered = outcome?;
    let results = MultiResult::decode_all(&mut reader(&answered))?;
    let unknown = DecodeError::Unknown {
        what: "the results of reads",
        value: OpCode::MultiRead.to_wire(),
    };
    let all = results.into_iter().map(|result| match result {
        MultiResult::GetData(data, stat) => Ok(ReadResult::Data(data.unwrap_or_default(), stat)),
        MultiResult::GetChildren(names) => Ok(ReadResult::Children(names)),
        MultiResult::Error(code) => ErrorCode::from_wire(code)
            .map(ReadResult::Refused)
            .ok_or(unknown),
        MultiResult::Create(_)
        | MultiResult::Create2(..)
        | MultiResult::Delete
        | MultiResult::SetData(_)
        | MultiResult::Check => Err(unknown),
    });
    all.collect::<Result<_, _>>().map_err(ErrorKind::Answer)
}
