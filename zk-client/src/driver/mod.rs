//! The only place with sockets: one task per session, which carries commands and bytes to the session's decisions
//! and their effects back. It decides nothing about the protocol.
//!
//! A turn, on every wake-up: take all commands; read what has arrived; answer; look at the time; write what may be
//! written, many requests in one write. Nothing is locked on the way of a request: it comes through a
//! queue and is answered through a slot of its own.

mod connect;
mod connection;
mod core;
mod orphans;
mod pace;
mod status;
mod watchman;

pub(crate) use connect::{Connected, Connector};
pub(crate) use core::{Core, Parts};
pub(crate) use orphans::{Orphan, Orphans, orphan_of};
pub(crate) use status::{Load, StateQueue, Status};
pub(crate) use watchman::Wanted;

use crate::ErrorKind;
use crate::clock::Time;
use crate::session::{Answered, Call, Slot};
use crate::watch::{Inbox, SubscriptionId};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What a call hears in the end.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) outcome: Result<Answered, ErrorKind>,
    /// The request, for its path.
    pub(crate) frame: Vec<u8>,
}

/// Where a call waits, and the place it takes among all that wait.
#[derive(Debug)]
pub(crate) struct ReplySlot {
    sender: Option<oneshot::Sender<Response>>,
    load: Arc<Load>,
    bytes: usize,
}

impl ReplySlot {
    /// A slot whose place was taken with [`Load::enter`].
    pub(crate) const fn new(
        sender: oneshot::Sender<Response>,
        load: Arc<Load>,
        bytes: usize,
    ) -> Self {
        Self {
            sender: Some(sender),
            load,
            bytes,
        }
    }

    /// Answers, or hands the answer back if nobody waits. Its place is free before anybody can hear the answer:
    /// who calls again at once finds room.
    pub(crate) fn send(mut self, response: Response) -> Result<(), Response> {
        match self.leave() {
            Some(sender) => sender.send(response),
            None => Err(response),
        }
    }

    /// Gives its place back, once.
    fn leave(&mut self) -> Option<oneshot::Sender<Response>> {
        let sender = self.sender.take()?;
        self.load.leave(1, self.bytes);
        Some(sender)
    }
}

impl Drop for ReplySlot {
    fn drop(&mut self) {
        drop(self.leave());
    }
}

impl Slot for ReplySlot {
    fn is_abandoned(&self) -> bool {
        self.sender.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}

/// What handles ask of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    Call(Call<ReplySlot>),
    /// A call that leaves a watch behind, and who hears it.
    Watch(Call<ReplySlot>, Arc<Inbox>),
    Unwatch(SubscriptionId),
    AddAuth {
        scheme: String,
        auth: Vec<u8>,
        slot: Option<ReplySlot>,
    },
    Close {
        slot: ReplySlot,
        until: Time,
    },
    Detach(ReplySlot),
}

pub(crate) type Commands = mpsc::UnboundedSender<Command>;
pub(crate) type WeakCommands = mpsc::WeakUnboundedSender<Command>;

/// Drives a session to its end.
pub(crate) async fn run(mut core: Core, mut connector: Connector) {
    while !core.is_over() {
        connector.bear_with(core.session.timeout());
        let connected = tokio::select! {
            biased;
            () = core.attend() => break,
            connected = connector.next() => connected,
        };
        let Connected {
            host,
            server,
            stream,
        } = connected;
        let terms = connector.terms();
        let states = core.listen();
        let leave = connector.reason_to_leave(host, states);
        let ended = core.converse(stream, &server, terms, leave).await;
        core.metrics
            .connect(&server, ended != connection::Ended::Unwelcome);
        connector.on_ended(host, ended);
    }
}
