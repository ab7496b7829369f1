//! A member from its start to its end: backup, promotion, service, step-down, and again.

use super::candidate::Turn;
use super::gate::Gate;
use super::judge::{Verdict, delay, verdict};
use super::record::PrimaryRecord;
use super::records::read;
use super::switchover::{asked, bids};
use super::term::Opened;
use super::{PrimaryBackup, Refusal, Role, Settings, StepDown};
use crate::contest::Contest;
use crate::error::{Error, Loss, may_try_again};
use crate::guard::Guard;
use crate::keeper::PAUSE;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};
use zk_client::clock::Time;
use zk_client::{ErrorCode, State};

/// Between two attempts to take part, when something is in the way.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Member<S> {
    pub(super) contest: Contest,
    pub(super) root: String,
    pub(super) id: String,
    pub(super) address: String,
    pub(super) service: Arc<S>,
    pub(super) settings: Settings,
    pub(super) gate: Gate,
    pub(super) role: watch::Sender<Role>,
    pub(super) trouble: watch::Sender<Option<Error>>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// What is left when the member ends, however it does: its task may be dropped at any await, its service may panic.
struct InTheEnd {
    gate: Gate,
    role: watch::Sender<Role>,
}

impl Drop for InTheEnd {
    fn drop(&mut self) {
        self.gate.shut();
        self.role.send_replace(Role::Stopped);
    }
}

/// Since when better candidates are let go first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The last term that there was: after each primary it is counted anew.
    last: u64,
    since: Time,
}

/// What has become of a turn.
enum Turned {
    /// Take over.
    Taken(Guard),
    /// Stand again.
    Passed,
}

/// What has become of a time as the primary.
enum Served {
    Stopped,
    Over,
}

/// Waits for the wish to take part no more, or for its owner to be gone.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stop| *stop).await;
}

impl<S: PrimaryBackup> Member<S> {
    pub(super) async fn run(self) -> Result<(), Error> {
        let _end = InTheEnd {
            gate: self.gate.clone(),
            role: self.role.clone(),
        };
        self.go_on().await
    }

    async fn go_on(&self) -> Result<(), Error> {
        let mut patience = None;
        loop {
            let error = match self.stand_and_serve(&mut patience).await {
                Ok(Served::Stopped) => return Ok(()),
                Ok(Served::Over) => continue,
                Err(error) => error,
            };
            if self.contest.client.state() == State::Closed {
                return Err(error);
            }
            // Whatever is in the way may be taken out of it: a member that ends is one that nobody starts again.
            warn!(id = self.id, %error, "a member is kept from taking part");
            self.role.send_replace(Role::Backup);
            self.trouble.send_replace(Some(error));
            tokio::select! {
                biased;
                () = stopped(self.stopped.clone()) => return Ok(()),
                () = tokio::time::sleep(AFTER_TROUBLE) => {}
            }
        }
    }

    /// Once through all roles.
    async fn stand_and_serve(&self, patience: &mut Option<Patience>) -> Result<Served, Error> {
        let turned = tokio::select! {
            biased;
            () = stopped(self.stopped.clone()) => return Ok(Served::Stopped),
            turned = self.come_forward(patience) => turned?,
        };
        match turned {
            Turned::Passed => Ok(Served::Over),
            Turned::Taken(guard) => self.take_over(guard).await,
        }
    }

    /// It takes part as it should.
    pub(super) fn is_well(&self) {
        let trouble = |it: &mut Option<Error>| it.take().is_some();
        self.trouble.send_if_modified(trouble);
    }

    pub(super) fn lock_delay(&self) -> Duration {
        let session = self.contest.client.session_timeout();
        self.settings.lock_delay.unwrap_or(session)
    }

    /// Stands until it is our turn, and decides whether to take it.
    async fn come_forward(&self, patience: &mut Option<Patience>) -> Result<Turned, Error> {
        let Turn { presence, sign } = self.stand().await?;
        presence.hold();
        let guard = Guard::new(presence);
        self.role.send_replace(Role::Promoting);
        tokio::select! {
            biased;
            _loss = guard.lost() => return Ok(Turned::Passed),
            fit = self.decide(&guard, sign, patience) => if !fit? {
                return Ok(Turned::Passed);
            },
        }
        Ok(Turned::Taken(guard))
    }

    /// Waits until the last primary's time is over, and looks whether somebody else is to come first.
    async fn decide(
        &self,
        guard: &Guard,
        sign: Option<super::candidate::Sign>,
        patience: &mut Option<Patience>,
    ) -> Result<bool, Error> {
        let client = &self.contest.client;
        let known = read(client, &self.root).await?;
        let wait = match &known {
            None => Duration::ZERO,
            Some((Some(previous), _)) => delay(previous, self.since(sign.as_ref(), &previous.node)),
            // Whoever it was, it is taken for one of us that was alive a moment ago.
            Some((None, _)) => self.lock_delay(),
        };
        let previous = known.and_then(|(it, _)| it);
        if !wait.is_zero() {
            let previous = previous.as_ref().map(|it| &it.id);
            info!(?wait, previous, "the last primary may still believe");
        }
        tokio::time::sleep(wait).await;
        loop {
            match self.verdict(guard, previous.as_ref(), patience).await? {
                Verdict::Take => break,
                Verdict::Wait => tokio::time::sleep(PAUSE).await,
                Verdict::StandBack => {
                    self.stand_back(guard, previous).await;
                    return Ok(false);
                }
            }
        }
        if let Some(previous) = &previous {
            let mut fenced = self.service.fence(previous).await;
            while let Err(refusal) = fenced {
                warn!(%refusal, previous = previous.id, "the last primary is not fenced");
                tokio::time::sleep(PAUSE).await;
                fenced = self.service.fence(previous).await;
            }
        }
        Ok(true)
    }

    async fn verdict(
        &self,
        guard: &Guard,
        previous: Option<&PrimaryRecord>,
        patience: &mut Option<Patience>,
    ) -> Result<Verdict, Error> {
        let client = &self.contest.client;
        let others = bids(&self.contest).await?;
        let others = others.into_iter().filter(|(node, _)| node != guard.path());
        let others: Vec<_> = others.map(|(_, bid)| bid).collect();
        let now = client.clock().now();
        let last = previous.map_or(0, |it| it.epoch);
        let known = patience.filter(|it| it.last == last);
        let Patience { since, .. } =
            *patience.insert(known.unwrap_or(Patience { last, since: now }));
        let longest = self.settings.patience;
        let longest = longest.unwrap_or_else(|| client.session_timeout());
        let patient = now.saturating_since(since) < longest;
        let own = (self.id.as_str(), self.service.fitness());
        let next = previous.and_then(|it| it.next.as_deref());
        let lag = self.settings.allowed_lag;
        Ok(verdict(own, &others, next, lag, patient))
    }

    /// Goes to the end of the queue. The last primary's time is over, as we have waited for that: those behind us,
    /// who have not watched it, need not wait again.
    async fn stand_back(&self, guard: &Guard, previous: Option<PrimaryRecord>) {
        let Some(previous) = previous.filter(|it| !it.clean) else {
            return;
        };
        let over = PrimaryRecord {
            clean: true,
            ..previous
        };
        let path = super::records::record_path(&self.root);
        let step = guard.fenced().set(path, super::record::text(&over), None);
        // Otherwise they wait.
        let _told = step.commit().await;
    }

    /// Becomes the primary, and is it until that is over.
    async fn take_over(&self, guard: Guard) -> Result<Served, Error> {
        let opened = match self.open_term(&guard).await {
            Ok(opened) => opened,
            Err(Error::Lost(_)) => return Ok(Served::Over),
            Err(error) => return Err(error),
        };
        self.is_well();
        let epoch = opened.term.epoch;
        let promoted: Result<Result<(), Refusal>, Loss> = tokio::select! {
            biased;
            loss = guard.lost() => Err(loss),
            promoted = self.service.promote(&opened.term) => Ok(promoted),
        };
        match promoted {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => {
                warn!(epoch, %refusal, "the service cannot be promoted");
                self.service.demote(&StepDown::Refused).await;
                self.close_term(guard, opened.record, None).await;
                // The others come first now; alone, it is tried again.
                tokio::time::sleep(PAUSE).await;
                return Ok(Served::Over);
            }
            Err(loss) => {
                self.service.demote(&StepDown::Lost(loss)).await;
                return Ok(Served::Over);
            }
        }
        info!(epoch, id = self.id, "the primary of a new term");
        let why = self.serve(&guard, &opened).await;
        info!(epoch, id = self.id, ?why, "the term is over");
        self.step_down(guard, opened.record, why).await
    }

    /// Serves until something ends it; the gate is open all the while, and closes by itself if nothing extends it.
    async fn serve(&self, guard: &Guard, opened: &Opened) -> StepDown {
        let epoch = opened.term.epoch;
        let mut last = opened.asked_at;
        if let Some(until) = self.deadline(guard, last) {
            self.gate.open(epoch, until);
            self.role.send_replace(Role::Primary { epoch });
        }
        let mut handed = Box::pin(self.asked_to_hand_over());
        let mut beat = Box::pin(self.beat(guard, last));
        loop {
            tokio::select! {
                biased;
                loss = guard.lost() => return StepDown::Lost(loss),
                () = stopped(self.stopped.clone()) => return StepDown::Stopped,
                alive = &mut beat => {
                    last = alive;
                    // The client shows the new deadline a moment after the answer.
                    tokio::task::yield_now().await;
                    if let Some(until) = self.deadline(guard, last) {
                        if self.role.borrow().eq(&Role::Promoting) {
                            self.gate.open(epoch, until);
                            self.role.send_replace(Role::Primary { epoch });
                        }
                        self.gate.extend(until);
                    }
                    beat.set(self.beat(guard, last));
                }
                to = &mut handed => return StepDown::HandOver(to),
            }
        }
    }

    /// Waits until somebody else is asked for.
    async fn asked_to_hand_over(&self) -> String {
        match asked(&self.contest, &self.root, &self.id).await {
            Ok(to) => to,
            Err(error) => {
                warn!(%error, "nobody can ask for a hand-over");
                std::future::pending().await
            }
        }
    }

    /// Until when the gate may be open after a sign of life that was sent at this time.
    fn deadline(&self, guard: &Guard, sent: Time) -> Option<Time> {
        let session = guard.valid_until()?;
        Some(session.min(sent + self.lock_delay()))
    }

    /// Gives the next sign of life, and tells when it was sent.
    async fn beat(&self, guard: &Guard, last: Time) -> Time {
        let client = &self.contest.client;
        let every = client.session_timeout().min(self.lock_delay()) / 4;
        tokio::time::sleep(client.clock().until(last + every)).await;
        loop {
            let sent = client.clock().now();
            let bid = super::record::text(&self.bid(self.service.fitness()));
            match client.set(guard.path(), bid).timeout(None).await {
                Ok(_) => return sent,
                Err(error) if may_try_again(client, &error) => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    if error.code() != Some(ErrorCode::NoNode) {
                        warn!(%error, "no sign of life can be given");
                    }
                    // Whoever keeps the node finds out, or the gate closes by itself.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// The gate first, then the service, then the candidature.
    async fn step_down(
        &self,
        guard: Guard,
        record: PrimaryRecord,
        why: StepDown,
    ) -> Result<Served, Error> {
        let planned = !matches!(why, StepDown::Lost(_));
        if planned {
            let drained = tokio::time::timeout(self.settings.drain, self.gate.drain()).await;
            if drained.is_err() {
                warn!("writes are still on their way; they will not be acknowledged");
            }
        }
        self.gate.shut();
        self.role.send_replace(Role::Backup);
        self.service.demote(&why).await;
        let next = match &why {
            StepDown::HandOver(to) => Some(to.as_str()),
            StepDown::Stopped | StepDown::Lost(_) | StepDown::Refused => None,
        };
        if planned {
            self.close_term(guard, record, next).await;
        }
        Ok(match why {
            StepDown::Stopped => Served::Stopped,
            StepDown::HandOver(_) | StepDown::Lost(_) | StepDown::Refused => Served::Over,
        })
    }
}
