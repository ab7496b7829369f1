//! Carrying out what the agreement wants. Nothing is decided here.
//!
//! One input at a time: its effects are carried out, in order, before the next one. What blocks (epochs,
//! cuts, replaced trees) is waited for without holding anything, so that nothing overtakes it.

use super::leading::millis;
use super::traffic::count_sent;
use super::{Fatal, Node};
use crate::disk::epoch::{ACCEPTED, CURRENT};
use crate::disk::truncate::TruncateError;
use crate::storage::rejoin::RejoinError;
use bytes::Bytes;
use tracing::{debug, info, warn};
use zk_proto::txn::TxnRecord;
use zk_proto::{Epoch, Zxid};
use zk_zab::{Departure, Effect, Input, LinkId, Message, Time, Zab};

impl Node {
    /// Carries out all that is to be done, and what comes of it.
    pub(super) async fn settle(&mut self, now: Time) -> Result<(), Fatal> {
        loop {
            if let Some(effect) = self.later.pop_front() {
                self.carry_out(effect, now).await?;
            } else if let Some(input) = self.inputs.pop_front() {
                if self.member.is_some() {
                    debug!(%input, "zab");
                }
                self.zab.step(now, input, &mut self.effects);
                self.later.extend(self.effects.drain(..));
            } else {
                return Ok(());
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect, now: Time) -> Result<(), Fatal> {
        match effect {
            Effect::Append { zxid, payload } => return self.append(zxid, payload),
            Effect::Deliver { through } | Effect::Replay { through } => {
                return self.deliver(through);
            }
            Effect::PersistAccepted { epoch } => {
                self.persist_epoch(ACCEPTED, epoch).await?;
                self.inputs.push_back(Input::AcceptedPersisted { epoch });
            }
            Effect::PersistCurrent { epoch } => {
                self.persist_epoch(CURRENT, epoch).await?;
                self.inputs.push_back(Input::CurrentPersisted { epoch });
            }
            Effect::Truncate { to } => return self.truncate(to).await,
            Effect::Become(standing) => self.on_become(standing, now),
            Effect::Serve { epoch } => self.on_serve(epoch, now),
            Effect::Notify { to, notification } => {
                self.membership().electing.tell(to, &notification);
            }
            Effect::Halt(Departure::CannotTruncate) => return self.begin_anew(now).await,
            Effect::Halt(because) => return Err(Fatal::Halted(because)),
            Effect::Asked { link, message, .. } => self.on_asked(link, message, now),
            Effect::Answered { message } => self.on_answered(message, now),
            Effect::Confirmed { ticket } => {
                self.flight.confirm(ticket);
                return self.deliver(self.delivered);
            }
            Effect::Touched { link: _, touched } => {
                for touch in touched {
                    self.sessions
                        .touch(touch.session, millis(touch.timeout), now);
                }
            }
            Effect::Pong { link, zxid } => {
                let touched = self.sessions.tell(now);
                let message = Message::Pong { zxid, touched };
                self.membership().peers.send(link, message);
            }
            Effect::Send { link, message } => {
                let member = self.membership();
                let is_news = member.note_sent(link, &message);
                if is_news {
                    self.tell_rank();
                }
                count_sent(self.replica.metrics(), &message);
                self.membership().peers.send(link, message);
            }
            Effect::Dial { to } => self.membership().peers.dial(to),
            Effect::Close { link, because } => self.close_link(link, because),
            Effect::SendSnapshot { link, zxid } => self.membership().copies.push(link, zxid),
            Effect::ReceiveSnapshot { link, zxid } => {
                if !self.membership().peers.load_snapshot(link, zxid) {
                    self.inputs.push_back(Input::SnapshotAbandoned { link });
                }
            }
            Effect::SeekLog {
                link,
                after,
                through,
            } => self.seek_log(link, after, through),
            Effect::SendLog { link, .. } => self.send_log(link),
            Effect::Resigned => self.membership().resigned = true,
        }
        Ok(())
    }

    fn close_link(&mut self, link: LinkId, because: Departure) {
        debug!(%link, %because, "closing a peer's connection");
        let member = self.membership();
        member.peers.close(link);
        member.roster.remove(&link);
        self.tell_rank();
    }

    /// A leader's own proposals are in flight already, decoded; a learner's come from its leader.
    pub(super) fn append(&mut self, zxid: Zxid, payload: Bytes) -> Result<(), Fatal> {
        if self.flight.last() < zxid {
            let limit = self.replica.rules().max_txn_len;
            let record = TxnRecord::decode(&payload, limit)
                .map_err(|error| Fatal::Undecodable { zxid, error })?;
            self.flight.push_txn(record, super::Answer::Nobody);
        }
        self.stage(zxid, payload);
        Ok(())
    }

    /// A cut could not be made, and has changed nothing: the member begins anew with what its disk holds, and
    /// asks its next leader for a snapshot. What was under way for the one before is of no use any more, but
    /// for the wish to stop.
    async fn begin_anew(&mut self, now: Time) -> Result<(), Fatal> {
        let replica = std::sync::Arc::clone(&self.replica);
        let config = replica.config();
        let Some(ensemble) = &config.ensemble else {
            return Err(Fatal::Halted(Departure::CannotTruncate));
        };
        let (store, door) = (std::sync::Arc::clone(&self.store), replica.door());
        let begin = {
            let config = config.clone();
            tokio::task::spawn_blocking(move || store.begin_anew(&config, door))
        };
        let begun = begin.await;
        let begun = begun.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        self.reopen(begun.reopened);
        let mut settings = super::membership::settings(config, ensemble);
        settings.wants_snapshot = true;
        self.later.clear();
        self.inputs.clear();
        if self.stopping {
            self.inputs.push_back(Input::Resign);
        }
        self.membership().peers.close_all();
        let last = self.delivered;
        let mut later = Vec::new();
        self.zab = Zab::member(now, settings, begun.epochs, last, begun.recent, &mut later);
        self.later.extend(later);
        Ok(())
    }

    async fn persist_epoch(&mut self, name: &'static str, epoch: Epoch) -> Result<(), Fatal> {
        let store = std::sync::Arc::clone(&self.store);
        let written = tokio::task::spawn_blocking(move || store.write_epoch(name, epoch)).await;
        Ok(written.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?)
    }

    /// Cuts the log, and what is in memory with it.
    async fn truncate(&mut self, to: Zxid) -> Result<(), Fatal> {
        info!(%to, "the leader cuts this server's history");
        let cut = self.rejoin(move |store, config, log, door| store.cut(config, log, to, door));
        match cut.await {
            Ok(reopened) => {
                self.reopen(reopened);
                self.inputs.push_back(Input::Truncated { to });
                Ok(())
            }
            Err(RejoinError::Truncate(
                error @ (TruncateError::Unknown { .. } | TruncateError::NoBase { .. }),
            )) => {
                warn!(%error, "the history cannot be cut");
                self.inputs.push_back(Input::TruncateFailed);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
