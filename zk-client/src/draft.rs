//! A request being written: the frame grows as the caller speaks, so that sending it copies nothing and
//! allocates only its slot.

use crate::call::{Call, Finish, Watching};
use crate::client::Client;
use crate::driver::{Command, ReplySlot};
use crate::error::{Error, ErrorKind};
use crate::observe;
use crate::path::{IntoPath, parts};
use crate::session::{self, WatchWish};
use crate::spare;
use crate::watch::{Inbox, Once, Subscription, Watch, WatchKind};
use bytes::BufMut;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use zk_proto::jute::JuteMut;
use zk_proto::{OpCode, RequestHeader, Xid, frame};

/// Room for what usually follows a path.
const ROOM: usize = 32;

/// A request with its head and its path.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) client: &'a Client,
    pub(crate) op: OpCode,
    pub(crate) frame: Vec<u8>,
    /// What is wrong with it, told when it is awaited.
    pub(crate) error: Option<Error>,
    pub(crate) timeout: Option<Duration>,
}

impl<'a> Draft<'a> {
    /// A request without a path.
    pub(crate) fn bare(client: &'a Client, op: OpCode, room: usize) -> Self {
        let head = frame::LENGTH_WORD + RequestHeader::WIRE_LEN;
        let mut frame = spare::take(head + room);
        frame.put_u32(0);
        RequestHeader {
            xid: Xid::INTERNAL,
            op,
        }
        .encode(&mut frame);
        Self {
            client,
            op,
            frame,
            error: None,
            timeout: client.default_timeout(),
        }
    }

    /// A request that begins with a path, with room for as many bytes more.
    pub(crate) fn new(client: &'a Client, op: OpCode, path: &impl IntoPath, room: usize) -> Self {
        let text = path.text();
        let len = client.root().len() + text.len() + 4;
        let mut draft = Self::bare(client, op, len + room + ROOM);
        if let Err(error) = path.check() {
            draft.refuse_path(error, text);
        }
        draft.put_path(text);
        draft
    }

    /// Appends a path, below the chroot.
    pub(crate) fn put_path(&mut self, path: &str) {
        let (root, path) = parts(self.client.root(), path);
        self.frame.put_len(root.len() + path.len());
        self.frame.put_slice(root.as_bytes());
        self.frame.put_slice(path.as_bytes());
    }

    /// Notes what is wrong with the path.
    pub(crate) fn refuse_path(&mut self, error: impl Into<ErrorKind>, path: &str) {
        if self.error.is_none() {
            self.error = Some(Error::new(error, self.op, Some(path.into())));
        }
    }

    /// Notes that the call makes no sense.
    pub(crate) fn refuse(&mut self, why: &'static str) {
        if self.error.is_none() {
            let path = session::wire_path(&self.frame);
            let path = path.map(|path| crate::path::strip(self.client.root(), &path).into());
            self.error = Some(Error::new(ErrorKind::Usage(why), self.op, path));
        }
    }

    /// Another operation with the same record so far.
    pub(crate) fn change_op(&mut self, op: OpCode) {
        self.op = op;
        if let Some(word) = self.frame.get_mut(8..12) {
            word.copy_from_slice(&op.to_wire().to_be_bytes());
        }
    }

    /// Makes the call.
    pub(crate) fn send<T>(self, finish: Finish<T>) -> Call<T> {
        self.dispatch(finish, None, false)
    }

    /// Makes the call of something that is deleted again if nobody hears of it.
    pub(crate) fn send_owned<T>(self, finish: Finish<T>) -> Call<T> {
        self.dispatch(finish, None, true)
    }

    /// Makes the call and leaves a one-shot watcher.
    pub(crate) fn send_once<T>(self, finish: Finish<T>, kind: WatchKind) -> Watching<T, Once> {
        let subscription = self.client.subscribe(1);
        let watch = Some((kind, &subscription));
        Watching {
            call: self.dispatch(finish, watch, false),
            watcher: Some(Once { subscription }),
        }
    }

    /// Makes the call and leaves a lasting watcher.
    pub(crate) fn send_lasting<T>(
        self,
        finish: Finish<T>,
        kind: WatchKind,
        limit: usize,
    ) -> Watching<T, Watch> {
        let subscription = self.client.subscribe(limit);
        let watch = Some((kind, &subscription));
        Watching {
            call: self.dispatch(finish, watch, false),
            watcher: Some(Watch { subscription }),
        }
    }

    fn dispatch<T>(
        mut self,
        finish: Finish<T>,
        watch: Option<(WatchKind, &Subscription)>,
        owned: bool,
    ) -> Call<T> {
        if let Some(error) = self.error.take() {
            return Call::failed(error);
        }
        let shared = self.client.shared();
        let len = self.frame.len() - frame::LENGTH_WORD;
        if len > shared.max_request {
            let max = shared.max_request;
            return self.refused(ErrorKind::TooLarge { len, max });
        }
        if !shared.load.enter(self.frame.len()) {
            return self.refused(ErrorKind::Overloaded);
        }
        session::seal(&mut self.frame);
        let span = observe::span(self.op, &self.frame, || shared.status.ticket());
        let (sender, answer) = oneshot::channel();
        let len = self.frame.len();
        let slot = ReplySlot::new(sender, Arc::clone(&shared.load), len);
        let mut call = session::Call::new(self.op, std::mem::take(&mut self.frame), Some(slot));
        call.deadline = self.timeout.map(|timeout| shared.clock.now() + timeout);
        let command = match watch {
            None => Command::Call(call),
            Some((kind, subscription)) => {
                call.watch = Some(WatchWish {
                    id: subscription.id,
                    kind,
                    dropped: false,
                });
                Command::Watch(call, Arc::<Inbox>::clone(&subscription.inbox))
            }
        };
        if let Err(unsent) = shared.commands.send(command) {
            // The driver is gone; it has told why.
            let (Command::Call(call) | Command::Watch(call, _)) = unsent.0 else {
                unreachable!("what was sent comes back");
            };
            self.frame = call.frame;
            return self.refused(shared.status.end());
        }
        let orphans = owned.then(|| shared.orphans.clone());
        let root = Arc::clone(self.client.shared_root());
        Call::waiting(answer, self.op, root, finish, orphans, span)
    }

    fn refused<T>(&self, kind: ErrorKind) -> Call<T> {
        let path = session::wire_path(&self.frame);
        let path = path.map(|path| crate::path::strip(self.client.root(), &path).into());
        Call::failed(Error::new(kind, self.op, path))
    }
}
