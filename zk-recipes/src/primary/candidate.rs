//! A candidate on its way to the front: it follows the primary, says what it has to offer, and notes every sign of life
//! of the one before it.

use super::member::Member;
use super::record::{Bid, Fitness, text};
use super::records::Records;
use super::{PrimaryBackup, Role};
use crate::contest::{Contest, nearest};
use crate::error::Error;
use crate::naming::{Contender, Mark};
use crate::patience::{found, repeat};
use crate::presence::Presence;
use std::time::Duration;
use zk_client::clock::Time;
use zk_client::{EventType, OnceEvent, State};

/// When somebody was certainly the one who stood before us, for the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sign {
    pub(super) node: String,
    pub(super) at: Time,
}

/// What has become of the one before us.
enum Seen {
    /// It has gone, and has said nothing more after this.
    Gone(Time),
    /// Whatever may be: it has to be looked for.
    Changed,
    /// Our own session is over.
    Lost,
}

/// A candidate that comes first.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) presence: Presence,
    pub(super) sign: Option<Sign>,
}

impl<S: PrimaryBackup> Member<S> {
    /// Stands, and waits until nobody is before us.
    pub(super) async fn stand(&self) -> Result<Turn, Error> {
        self.role.send_replace(Role::Backup);
        loop {
            let fitness = self.service.fitness();
            let mut contest = self.contest.clone();
            contest.data = text(&self.bid(fitness));
            let (presence, listed) = contest.enter(Mark::Latch).await?;
            let came = tokio::select! {
                biased;
                came = self.come_to_front(&presence, listed) => came?,
                ended = self.advertise(presence.path(), fitness) => return Err(ended),
                ended = self.follow() => return Err(ended),
            };
            if let Some(sign) = came {
                return Ok(Turn { presence, sign });
            }
        }
    }

    pub(super) fn bid(&self, fitness: Fitness) -> Bid {
        Bid {
            id: self.id.clone(),
            address: self.address.clone(),
            offset: fitness.offset,
            eligible: fitness.eligible,
        }
    }

    /// Waits for the one before us, again and again; `None` if our node or its session is gone.
    async fn come_to_front(
        &self,
        presence: &Presence,
        mut listed: Vec<Contender>,
    ) -> Result<Option<Option<Sign>>, Error> {
        let contest: &Contest = &self.contest;
        let mut sign = None;
        loop {
            let Some(me) = listed.iter().find(|it| it.name == presence.name()) else {
                return Ok(None);
            };
            let Some(before) = nearest(&listed, me) else {
                // Who has only waited may not have heard from the leader for long.
                return Ok(contest.confirm(presence).await?.then_some(sign));
            };
            self.is_well();
            let node = before.name.clone();
            let gone = match self.look_at(&contest.path(&node)).await? {
                Seen::Gone(at) => Some(at),
                Seen::Changed => None,
                Seen::Lost => return Ok(None),
            };
            listed = contest.list().await?;
            // Until it is found to be gone it may have said more than we have heard.
            let at = gone.unwrap_or_else(|| contest.client.clock().now());
            sign = Some(Sign { node, at });
        }
    }

    /// Waits until something happens to the one before us, or its signs of life may have gone unheard.
    async fn look_at(&self, path: &str) -> Result<Seen, Error> {
        let client = &self.contest.client;
        let mut states = client.states();
        let get = || client.get(path).timeout(None).watch();
        let Some((_, changed)) = found(repeat(client, get).await)? else {
            return Ok(Seen::Changed);
        };
        // Whatever it has said, it was not later than now.
        let at = client.clock().now();
        let mut changed = std::pin::pin!(changed.changed());
        loop {
            tokio::select! {
                biased;
                state = states.next() => match state {
                    Some(State::Connected { .. }) => {}
                    // Of what happens meanwhile, only the end is told afterwards.
                    Some(State::Suspended { .. } | State::Lost { .. } | State::Closed) | None => {
                        return Ok(Seen::Changed);
                    }
                },
                event = &mut changed => return Ok(match event {
                    // Had it said anything more, that would have come first.
                    OnceEvent::Fired(event) if event.kind == EventType::Deleted => Seen::Gone(at),
                    OnceEvent::Fired(_) => Seen::Changed,
                    OnceEvent::Lost => Seen::Lost,
                }),
            }
        }
    }

    /// Says what we have to offer whenever that has changed. Comes to an end only by failing.
    async fn advertise(&self, path: &str, mut said: Fitness) -> Error {
        loop {
            tokio::time::sleep(self.settings.advertise).await;
            let fitness = self.service.fitness();
            if fitness == said {
                continue;
            }
            let bid = text(&self.bid(fitness));
            let client = &self.contest.client;
            let set = || client.set(path, &bid).timeout(None);
            match found(repeat(client, set).await) {
                Ok(Some(_)) => said = fitness,
                // Our node is gone; whoever waits at it finds out.
                Ok(None) => std::future::pending().await,
                Err(error) => return error.into(),
            }
        }
    }

    /// Lets the service follow whoever is the primary. Comes to an end only by failing.
    async fn follow(&self) -> Error {
        let mut records = Records::new(&self.contest.client, &self.root);
        let mut next = records.next().await;
        loop {
            let record = match next {
                Ok(record) => record,
                Err(error) => return error,
            };
            let lives = record.filter(|it| !it.clean && it.id != self.id);
            next = tokio::select! {
                biased;
                never = async {
                    self.service.follow(lives).await;
                    std::future::pending().await
                } => never,
                next = records.next() => next,
            };
        }
    }

    /// How long ago the last primary has given a sign of life, if it was the one before us.
    pub(super) fn since(&self, sign: Option<&Sign>, node: &str) -> Option<Duration> {
        let sign = sign.filter(|sign| sign.node == node)?;
        let now = self.contest.client.clock().now();
        Some(now.saturating_since(sign.at))
    }
}
