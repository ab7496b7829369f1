//! Reads of one node: data, existence, children, ACL; with a one-shot watcher, or behind a sync.

use super::builder;
use crate::call::{Call, Watching};
use crate::draft::Draft;
use crate::error::{Error, ErrorKind};
use crate::session::Answered;
use crate::watch::{Once, WatchKind};
use bytes::{BufMut, Bytes};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use zk_proto::jute::Reader;
use zk_proto::{Acl, ErrorCode, OpCode, Stat, ZPath};

/// Data up to here is copied out of the buffer it arrived in; more is lent, and keeps the buffer.
const LEND_FROM: usize = 16 << 10;

/// Reads a body that may be as long as it is.
pub(super) fn reader(answered: &Answered) -> Reader<'_> {
    Reader::with_field_limit(&answered.body, answered.body.len())
}

pub(super) fn lend(body: &Bytes, data: Option<&[u8]>) -> Bytes {
    match data {
        None => Bytes::new(),
        Some(data) if data.len() < LEND_FROM => Bytes::copy_from_slice(data),
        Some(data) => body.slice_ref(data),
    }
}

pub(super) fn data_and_stat(
    outcome: Result<Answered, ErrorKind>,
    _root: &str,
) -> Result<(Bytes, Stat), ErrorKind> {
    let answered = outcome?;
    let mut reader = reader(&answered);
    let data = lend(&answered.body, reader.buffer()?);
    Ok((data, Stat::decode(&mut reader)?))
}

fn stat_if_there(
    outcome: Result<Answered, ErrorKind>,
    _root: &str,
) -> Result<Option<Stat>, ErrorKind> {
    match outcome {
        Ok(answered) => Ok(Some(Stat::decode(&mut reader(&answered))?)),
        Err(ErrorKind::Server(ErrorCode::NoNode)) => Ok(None),
        Err(kind) => Err(kind),
    }
}

pub(super) fn names(
    outcome: Result<Answered, ErrorKind>,
    _root: &str,
) -> Result<Vec<String>, ErrorKind> {
    Ok(owned(reader(&outcome?).strings()?))
}

fn names_and_stat(
    outcome: Result<Answered, ErrorKind>,
    _root: &str,
) -> Result<(Vec<String>, Stat), ErrorKind> {
    let answered = outcome?;
    let mut reader = reader(&answered);
    let names = owned(reader.strings()?);
    Ok((names, Stat::decode(&mut reader)?))
}

fn acl_and_stat(
    outcome: Result<Answered, ErrorKind>,
    _root: &str,
) -> Result<(Vec<Acl>, Stat), ErrorKind> {
    let answered = outcome?;
    let mut reader = reader(&answered);
    let acl = reader.vector(Acl::MIN_WIRE_LEN, Acl::decode)?;
    Ok((acl, Stat::decode(&mut reader)?))
}

fn owned(names: Vec<std::borrow::Cow<'_, str>>) -> Vec<String> {
    names
        .into_iter()
        .map(std::borrow::Cow::into_owned)
        .collect()
}

/// Appends the watch flag; without one the read is done.
fn unwatched(mut draft: Draft<'_>) -> Draft<'_> {
    draft.frame.put_u8(0);
    draft
}

fn watched(mut draft: Draft<'_>) -> Draft<'_> {
    draft.frame.put_u8(1);
    draft
}

/// Reads data; from [`Client::get`](crate::Client::get).
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Get<'a> {
    pub(super) draft: Draft<'a>,
}

impl Get<'_> {
    /// Takes its place in the order now.
    pub fn send(self) -> Call<(Bytes, Stat)> {
        unwatched(self.draft).send(data_and_stat)
    }

    /// Sends it, and leaves a watcher that fires once, when the data changes or the node is deleted.
    pub fn watch(self) -> Watching<(Bytes, Stat), Once> {
        watched(self.draft).send_once(data_and_stat, WatchKind::Data)
    }

    /// Reads behind a sync, in one go: sees every write that was done, by anyone, when this is sent.
    pub fn linearizable(self) -> Linearizable<(Bytes, Stat)> {
        let sync = Linearizable::<()>::sync(&self.draft);
        Linearizable::new(sync, self.send())
    }
}

builder!(Get => Call<(Bytes, Stat)>);

/// Asks whether a node is there; from [`Client::exists`](crate::Client::exists).
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Exists<'a> {
    pub(super) draft: Draft<'a>,
}

impl Exists<'_> {
    /// Takes its place in the order now.
    pub fn send(self) -> Call<Option<Stat>> {
        unwatched(self.draft).send(stat_if_there)
    }

    /// Sends it, and leaves a watcher that fires once: when the node is created, or, if it is there, when its data
    /// changes or it is deleted.
    pub fn watch(self) -> Watching<Option<Stat>, Once> {
        watched(self.draft).send_once(stat_if_there, WatchKind::Exist)
    }

    /// Looks behind a sync, in one go: sees every write that was done, by anyone, when this is sent.
    pub fn linearizable(self) -> Linearizable<Option<Stat>> {
        let sync = Linearizable::<()>::sync(&self.draft);
        Linearizable::new(sync, self.send())
    }
}

builder!(Exists => Call<Option<Stat>>);

/// Lists children; from [`Client::children`](crate::Client::children).
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Children<'a> {
    pub(super) draft: Draft<'a>,
}

impl<'a> Children<'a> {
    /// Takes its place in the order now.
    pub fn send(self) -> Call<Vec<String>> {
        unwatched(self.draft).send(names)
    }

    /// Reads the node's stat as well.
    pub fn with_stat(mut self) -> ChildrenWithStat<'a> {
        self.draft.change_op(OpCode::GetChildren2);
        ChildrenWithStat { draft: self.draft }
    }

    /// Sends it, and leaves a watcher that fires once, when a child is created or deleted, or the node deleted.
    pub fn watch(self) -> Watching<Vec<String>, Once> {
        watched(self.draft).send_once(names, WatchKind::Child)
    }

    /// Lists behind a sync, in one go: sees every write that was done, by anyone, when this is sent.
    pub fn linearizable(self) -> Linearizable<Vec<String>> {
        let sync = Linearizable::<()>::sync(&self.draft);
        Linearizable::new(sync, self.send())
    }
}

builder!(Children => Call<Vec<String>>);

/// Lists children and reads the stat; from [`Children::with_stat`].
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct ChildrenWithStat<'a> {
    draft: Draft<'a>,
}

impl ChildrenWithStat<'_> {
    /// Takes its place in the order now.
    pub fn send(self) -> Call<(Vec<String>, Stat)> {
        unwatched(self.draft).send(names_and_stat)
    }

    /// Sends it, and leaves a watcher that fires once, when a child is created or deleted, or the node deleted.
    pub fn watch(self) -> Watching<(Vec<String>, Stat), Once> {
        watched(self.draft).send_once(names_and_stat, WatchKind::Child)
    }

    /// Lists behind a sync, in one go: sees every write that was done, by anyone, when this is sent.
    pub fn linearizable(self) -> Linearizable<(Vec<String>, Stat)> {
        let sync = Linearizable::<()>::sync(&self.draft);
        Linearizable::new(sync, self.send())
    }
}

builder!(ChildrenWithStat => Call<(Vec<String>, Stat)>);

/// Reads an ACL; from [`Client::get_acl`](crate::Client::get_acl).
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct GetAcl<'a> {
    pub(super) draft: Draft<'a>,
}

impl GetAcl<'_> {
    /// Takes its place in the order now.
    pub fn send(self) -> Call<(Vec<Acl>, Stat)> {
        self.draft.send(acl_and_stat)
    }
}

builder!(GetAcl => Call<(Vec<Acl>, Stat)>);

/// A read behind a sync, both sent at once.
///
/// # Cancellation
///
/// As for any read.
#[must_use = "a call that is dropped may never be sent"]
#[derive(Debug)]
pub struct Linearizable<T> {
    sync: Option<Call<()>>,
    read: Call<T>,
}

impl<T> Linearizable<T> {
    fn sync(of: &Draft<'_>) -> Call<()> {
        let mut draft = Draft::new(of.client, OpCode::Sync, &ZPath::ROOT, 0);
        draft.timeout = of.timeout;
        draft.send(super::nothing)
    }

    const fn new(sync: Call<()>, read: Call<T>) -> Self {
        Self {
            sync: Some(sync),
            read,
        }
    }
}

impl<T> Future for Linearizable<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(sync) = &mut self.sync {
            let synced = ready!(Pin::new(sync).poll(cx));
            self.sync = None;
            if let Err(error) = synced {
                return Poll::Ready(Err(error));
            }
        }
        Pin::new(&mut self.read).poll(cx)
    }
}
