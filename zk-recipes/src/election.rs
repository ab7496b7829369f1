//! Who leads: a queue of candidates, of whom the first is it. Observers are in [`observer`](crate::observer).

use crate::contenders::{self, Participant};
use crate::contest::{Contest, nearest};
use crate::error::{Error, may_try_again};
use crate::guard::Guard;
use crate::keeper::PAUSE;
use crate::naming::{Mark, Naming, Rules};
use crate::observer::Leaders;
use crate::presence::{OnSuspension, Presence};
use std::ops::Deref;
use zk_client::{Client, ErrorCode, Version};

/// How a note begins that names the candidate who should lead next.
const HAND_OVER: &str = "hand-over ";

/// An election in a directory of its own. [`latch`](Self::latch) shares it with Curator's `LeaderLatch`,
/// [`selector`](Self::selector) with Curator's `LeaderSelector`; the two do not see each other, and a candidate of one
/// kind is refused where there are some of the other.
///
/// | | |
/// |---|---|
/// | guarantee | one leader at a time in the servers' view, the candidate that came first, unless one was handed the lead; tokens, and epochs if asked for, strictly increase |
/// | suspension | a leader is told by [`OnSuspension`]; a candidate waits on |
/// | session's end | a leader has lost; a candidate goes to the end of the queue, in the client's next session if it opens one, else fails |
/// | cancellation | the candidature is given up, in the background |
/// | cost | as for a [`Mutex`](crate::Mutex), and 1 read when the turn comes, for a note of a hand-over; with epochs, 1 read and 1 write more. 1 watch each: the leader's end wakes one candidate |
/// | layout | `<directory>/_c_<uuid>-latch-N`, or `-lock-N` for a selector (ephemeral, sequential), data: the id, as text. The directory's own data, which the others do not use: `hand-over <node>` |
#[derive(Clone, Debug)]
pub struct Election {
    contest: Contest,
    epochs: Option<String>,
}

/// What an election is to be like; from [`Election::latch_builder`] and [`Election::selector_builder`].
#[must_use = "a builder makes nothing until it is told"]
#[derive(Clone, Debug)]
pub struct ElectionBuilder {
    election: Election,
}

impl ElectionBuilder {
    /// Whose names a selector uses: with [`Naming::Kazoo`] it is kazoo's `Election`. A latch has none but Curator's.
    pub fn naming(mut self, naming: Naming) -> Self {
        self.election.contest.rules.naming = naming;
        self
    }

    /// When the lead counts as lost while no server answers.
    pub const fn on_suspension(mut self, policy: OnSuspension) -> Self {
        self.election.contest.policy = policy;
        self
    }

    /// Counts terms in this node: eight bytes, big-endian, one more for each. It is to be outside of the directory,
    /// and is created, persistent, if it is missing.
    pub fn epochs_at(mut self, path: impl Into<String>) -> Self {
        self.election.epochs = Some(path.into());
        self
    }

    /// The election. Nothing is asked of the servers yet.
    pub fn build(self) -> Election {
        self.election
    }
}

impl Election {
    /// An election that Curator's `LeaderLatch` may take part in, for a candidate of this name.
    pub fn latch(client: &Client, directory: impl Into<String>, id: impl Into<String>) -> Self {
        Self::latch_builder(client, directory, id).build()
    }

    /// An election that Curator's `LeaderSelector` may take part in, for a candidate of this name.
    pub fn selector(client: &Client, directory: impl Into<String>, id: impl Into<String>) -> Self {
        Self::selector_builder(client, directory, id).build()
    }

    /// Describes a [`latch`](Self::latch).
    pub fn latch_builder(
        client: &Client,
        directory: impl Into<String>,
        id: impl Into<String>,
    ) -> ElectionBuilder {
        Self::describe(client, directory.into(), id.into(), &[Mark::Latch])
    }

    /// Describes a [`selector`](Self::selector).
    pub fn selector_builder(
        client: &Client,
        directory: impl Into<String>,
        id: impl Into<String>,
    ) -> ElectionBuilder {
        Self::describe(client, directory.into(), id.into(), &[Mark::Lock])
    }

    fn describe(
        client: &Client,
        directory: String,
        id: String,
        marks: &'static [Mark],
    ) -> ElectionBuilder {
        let rules = Rules {
            naming: Naming::default(),
            marks,
        };
        let mut contest = Contest::new(client, directory, rules);
        contest.data = id.into_bytes();
        ElectionBuilder {
            election: Self {
                contest,
                epochs: None,
            },
        }
    }

    /// Stands for election, and waits to lead.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`](crate::Mutex::lock); [`Error::Usage`] if the node of the epochs holds something else.
    ///
    /// # Cancellation
    ///
    /// The candidature is given up.
    pub async fn campaign(&self) -> Result<Leadership, Error> {
        let mark = self
            .contest
            .rules
            .marks
            .first()
            .copied()
            .unwrap_or(Mark::Latch);
        loop {
            let candidate = self.contest.wait(mark, nearest).await?;
            if self.stands_back(&candidate).await? {
                continue;
            }
            candidate.hold();
            let guard = Guard::new(candidate);
            let epoch = match &self.epochs {
                None => None,
                Some(path) => match self.open_epoch(path, &guard).await {
                    Ok(epoch) => Some(epoch),
                    // Lost before it began: no term was opened, or one that nobody serves.
                    Err(Error::Lost(_)) => continue,
                    Err(error) => return Err(error),
                },
            };
            return Ok(Leadership {
                guard,
                epoch,
                election: self.clone(),
            });
        }
    }

    /// Everybody who stands, the leader first.
    ///
    /// # Errors
    ///
    /// As [`Mutex::contenders`](crate::Mutex::contenders).
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        contenders::read(&self.contest).await
    }

    /// Follows who leads, without standing. Costs 2 requests and 1 watch at first and for each change.
    pub fn observe(&self) -> Leaders {
        Leaders::new(self.contest.clone())
    }

    /// Whether the last leader has named somebody else, who is there.
    async fn stands_back(&self, candidate: &Presence) -> Result<bool, Error> {
        let Some((note, _)) = self.note().await? else {
            return Ok(false);
        };
        let Some(named) = note.strip_prefix(HAND_OVER) else {
            return Ok(false);
        };
        let there = || async {
            Ok::<_, Error>(self.contest.list().await?.iter().any(|it| it.name == named))
        };
        Ok(named != candidate.name() && there().await?)
    }

    /// What the directory itself holds; `None` without a directory.
    async fn note(&self) -> Result<Option<(String, Version)>, Error> {
        let client = &self.contest.client;
        loop {
            match client.get(&self.contest.directory).timeout(None).await {
                Ok((data, stat)) => {
                    let note = String::from_utf8_lossy(&data).into_owned();
                    return Ok(Some((note, stat.version)));
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(None),
                Err(error) if may_try_again(client, &error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Counts the term that begins, while it is ours. A count whose reply is lost is left out: numbers rise, but may
    /// leave gaps.
    async fn open_epoch(&self, path: &str, guard: &Guard) -> Result<u64, Error> {
        let client = &self.contest.client;
        loop {
            let fenced = guard.fenced();
            let (next, counted) = match client.get(path).timeout(None).await {
                Ok((data, stat)) => {
                    let last = <[u8; 8]>::try_from(&data[..]).map(u64::from_be_bytes);
                    let next = last.ok().and_then(|last| last.checked_add(1));
                    let next = next.ok_or(Error::Usage("the node of the epochs holds no count"))?;
                    (
                        next,
                        fenced
                            .set(path, next.to_be_bytes(), stat.version)
                            .commit()
                            .await,
                    )
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    // Empty of terms, so that the count itself is fenced.
                    let made = client.create(path, 0_u64.to_be_bytes()).parents().await;
                    match made {
                        Ok(_) => continue,
                        Err(error) if error.code() == Some(ErrorCode::NodeExists) => continue,
                        Err(error) => (0, Err(error.into())),
                    }
                }
                Err(error) => (0, Err(error.into())),
            };
            match counted {
                Ok(_) => return Ok(next),
                Err(Error::Client(error)) if error.code() == Some(ErrorCode::BadVersion) => {}
                Err(Error::Client(error)) if may_try_again(client, &error) => {
                    if !guard.presence().is_of_this_session() {
                        return Err(Error::Lost(crate::Loss::SessionEnded));
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The lead, while it lasts: a [`Guard`] with a term of office.
#[must_use = "what is not kept is let go at once"]
#[derive(Debug)]
pub struct Leadership {
    guard: Guard,
    epoch: Option<u64>,
    election: Election,
}

impl Leadership {
    /// The number of this term, larger than those before; `None` unless the election
    /// [counts them](ElectionBuilder::epochs_at). The [`token`](Guard::token) rises too, in larger steps.
    pub const fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// Gives the lead up.
    ///
    /// # Errors
    ///
    /// As [`Guard::release`].
    ///
    /// # Cancellation
    ///
    /// It is given up in the background.
    pub async fn resign(self) -> Result<(), Error> {
        self.guard.release().await
    }

    /// Gives the lead up in favour of a candidate: those of this crate who come before it go to the end of the queue
    /// once. Others do not know the note and may lead in between. If the candidate goes meanwhile, it is as if nobody
    /// had been named.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if it was lost before; [`Error::Usage`] if the directory holds somebody's data. Either way it
    /// is given up.
    ///
    /// # Cancellation
    ///
    /// It is given up in the background, in favour of the candidate or not.
    pub async fn hand_over(self, to: &Participant) -> Result<(), Error> {
        let name = to.path().rsplit('/').next().unwrap_or_default();
        let Some((note, version)) = self.election.note().await? else {
            return self.guard.release().await;
        };
        if !note.is_empty() && !note.starts_with(HAND_OVER) {
            return Err(Error::Usage(
                "the directory of the election holds data of its own",
            ));
        }
        let directory = &self.election.contest.directory;
        let note = format!("{HAND_OVER}{name}");
        let own = self.guard.path().to_owned();
        // In one step, so that nobody's turn comes before the note is there.
        let handed = self
            .guard
            .fenced()
            .set(directory, note, version)
            .delete(own, None);
        handed.commit().await?;
        let _gone = self.guard.release().await;
        Ok(())
    }

    /// Gives the lead up and stands again, at the end of the queue.
    ///
    /// # Errors
    ///
    /// As [`Election::campaign`].
    ///
    /// # Cancellation
    ///
    /// Lead and candidature are given up.
    pub async fn requeue(self) -> Result<Self, Error> {
        // Lost or given up: either way there is another election.
        let _over = self.guard.release().await;
        self.election.campaign().await
    }

    /// Works as the leader, then resigns; as [`Guard::run`].
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the work was stopped.
    ///
    /// # Cancellation
    ///
    /// The work is dropped, then the lead given up.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> Result<T, Error> {
        self.guard.run(work).await
    }
}

impl Deref for Leadership {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}
