//! The session with everything around it that is not a socket: commands, watchers' queues, the timer, and where
//! effects go.

use super::orphans::{Orphans, orphan_of};
use super::pace::Pace;
use super::{Command, ReplySlot, Response, Status};
use crate::clock::{Clock, Time};
use crate::observe::Metrics;
use crate::session::{Call, Effect, Phase, Session, State};
use crate::watch::{Inbox, Item, SubscriptionId};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tracing::{debug, info};

/// Commands taken in one go.
const BATCH: usize = 256;

/// Everything of a driver but its connection.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) session: Session<ReplySlot>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<dyn Metrics>,
    commands: mpsc::UnboundedReceiver<Command>,
    batch: Vec<Command>,
    effects: Vec<Effect<ReplySlot>>,
    inboxes: HashMap<SubscriptionId, Arc<Inbox>>,
    orphans: Orphans,
    status: Arc<Status>,
    load: Arc<super::Load>,
    pub(super) pace: Pace,
    timer: Pin<Box<Sleep>>,
    /// What the timer is set to.
    armed: Option<Time>,
    /// Why the connection should be left.
    pub(crate) hangup: Option<&'static str>,
    /// Whether the connection's end is no fault of the server.
    pub(super) blameless: bool,
    /// No handle is left.
    abandoned: bool,
}

/// What a core is made from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) session: Session<ReplySlot>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<dyn Metrics>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) orphans: Orphans,
    pub(crate) status: Arc<Status>,
    pub(crate) load: Arc<super::Load>,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            session: parts.session,
            clock: parts.clock,
            metrics: parts.metrics,
            commands: parts.commands,
            batch: Vec::new(),
            effects: Vec::new(),
            inboxes: HashMap::new(),
            orphans: parts.orphans,
            status: parts.status,
            load: parts.load,
            pace: Pace::default(),
            timer: Box::pin(tokio::time::sleep(std::time::Duration::ZERO)),
            armed: None,
            hangup: None,
            blameless: false,
            abandoned: false,
        }
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.session.phase(), Phase::Over(_))
    }

    /// The session's states from now on.
    pub(crate) fn listen(&self) -> Arc<super::StateQueue> {
        self.status.listen()
    }

    /// Serves commands and the time while there is no connection. Returns when the session is over.
    pub(crate) async fn attend(&mut self) {
        std::future::poll_fn(|cx| {
            let now = self.clock.now();
            self.poll_commands(now, cx);
            self.poll_time(cx);
            self.settle();
            self.hangup = None;
            if self.is_over() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Takes every command there is.
    pub(crate) fn poll_commands(&mut self, now: Time, cx: &mut Context<'_>) {
        let mut batch = std::mem::take(&mut self.batch);
        while !self.abandoned {
            match self.commands.poll_recv_many(cx, &mut batch, BATCH) {
                Poll::Pending => break,
                Poll::Ready(0) => self.abandon(now),
                Poll::Ready(count) => {
                    self.pace.on_calls(count);
                    batch.drain(..).for_each(|command| self.on_command(command));
                }
            }
        }
        self.batch = batch;
    }

    fn on_command(&mut self, command: Command) {
        let out = &mut self.effects;
        match command {
            Command::Call(call) => self.session.call(call, out),
            Command::Watch(call, inbox) => self.watch(call, inbox),
            Command::Unwatch(id) => {
                self.inboxes.remove(&id);
                self.session.unwatch(id);
            }
            Command::AddAuth { scheme, auth, slot } => {
                self.session.add_auth(&scheme, &auth, slot, out);
            }
            Command::Close { slot, until } => self.session.close(slot, until, out),
            Command::Detach(slot) => {
                self.session.detach(out);
                out.push(Effect::Answer {
                    slot,
                    outcome: Ok(crate::session::Answered::nothing()),
                    frame: Vec::new(),
                    took: None,
                });
            }
        }
    }

    fn watch(&mut self, call: Call<ReplySlot>, inbox: Arc<Inbox>) {
        if let Some(wish) = call.watch {
            self.inboxes.insert(wish.id, inbox);
        }
        self.session.call(call, &mut self.effects);
    }

    /// The last handle is gone: nobody can ask for anything, or use what the session holds. It is closed, so that
    /// its ephemeral nodes do not wait for a timeout.
    fn abandon(&mut self, now: Time) {
        self.abandoned = true;
        let (nobody, _) = tokio::sync::oneshot::channel();
        let until = now + self.session.timeout();
        self.load.take(1, 0);
        let slot = ReplySlot::new(nobody, Arc::clone(&self.load), 0);
        self.session.close(slot, until, &mut self.effects);
    }

    /// Looks at the time and sets the timer for the next look. A later deadline than the armed one leaves the
    /// timer as it is: with every request the deadlines move on, and setting a timer costs more than a look.
    pub(crate) fn poll_time(&mut self, cx: &mut Context<'_>) {
        while let Some(deadline) = self.session.deadline() {
            if self.armed.is_none_or(|armed| deadline < armed) {
                let wait = self.clock.until(deadline);
                self.timer.as_mut().reset(Instant::now() + wait);
                self.armed = Some(deadline);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return;
            }
            self.armed = None;
            let now = self.clock.now();
            self.session.on_time(now, &mut self.effects);
            self.settle();
            if self.hangup.is_some() || self.is_over() {
                return;
            }
        }
    }

    /// Runs a step of the session, whose effects are settled before anything else happens.
    pub(crate) fn step<R>(
        &mut self,
        step: impl FnOnce(&mut Session<ReplySlot>, &mut Vec<Effect<ReplySlot>>) -> R,
    ) -> R {
        step(&mut self.session, &mut self.effects)
    }

    /// Carries effects to whom they concern. Who sees an answer sees what it proves as well: the deadline moves
    /// before anybody is woken.
    pub(crate) fn settle(&mut self) {
        self.status
            .on_turn(self.session.last_zxid(), self.session.alive_until());
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Answer {
                    slot,
                    outcome,
                    frame,
                    took,
                } => {
                    if let Some(op) = crate::session::op_of(&frame) {
                        self.metrics.request(op, took, outcome.as_ref().err());
                    }
                    self.pace.on_answer();
                    let response = Response { outcome, frame };
                    if let Err(unheard) = slot.send(response)
                        && let Some(orphan) = orphan_of(&unheard)
                    {
                        self.orphans.adopt(orphan);
                    }
                }
                Effect::Notify(id, item) => self.notify(id, item),
                Effect::State(state) => self.on_state(state),
                Effect::Hangup(why) => self.hang_up(why),
                Effect::Leave(why) => {
                    self.blameless = true;
                    self.hang_up(why);
                }
            }
        }
        self.effects = effects;
        self.load.announce();
    }

    fn hang_up(&mut self, why: &'static str) {
        debug!(why, "connection is left");
        self.hangup = Some(why);
    }

    fn notify(&mut self, id: SubscriptionId, item: Item) {
        if let Some(inbox) = self.inboxes.get(&id) {
            let last = item == Item::Lost;
            inbox.push(item);
            if last {
                self.inboxes.remove(&id);
            }
        }
    }

    fn on_state(&mut self, state: State) {
        info!(session = %self.session.id(), ?state, "session state");
        self.metrics.state(&state);
        if let Some(end) = self.session.refusal() {
            self.status.on_end(end);
        }
        self.status
            .on_state(state, self.session.ticket(), self.session.timeout());
    }
}

impl Drop for Core {
    /// A runtime that is shut down drops its tasks: whoever still waits hears it.
    fn drop(&mut self) {
        self.session.detach(&mut self.effects);
        self.settle();
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.on_command(command);
        }
        self.settle();
    }
}
