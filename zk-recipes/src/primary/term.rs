//! A term is opened: its number is counted and its primary written down, in one step that stands only while the
//! candidate does.

use super::member::Member;
use super::record::{PrimaryRecord, text};
use super::records::{read, record_path};
use super::{PrimaryBackup, Term};
use crate::error::{Error, Loss, may_try_again};
use crate::guard::Guard;
use crate::keeper::PAUSE;
use crate::patience::{found, repeat};
use zk_client::clock::Time;
use zk_client::{ErrorCode, Version};

/// A term that has been written down.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) term: Term,
    pub(super) record: PrimaryRecord,
    /// When it was asked for: others have seen a sign of life not earlier than that.
    pub(super) asked_at: Time,
}

impl<S: PrimaryBackup> Member<S> {
    /// Counts a term and writes down whose it is. A step whose reply is lost is left out: numbers rise, but may leave
    /// gaps.
    pub(super) async fn open_term(&self, guard: &Guard) -> Result<Opened, Error> {
        let client = &self.contest.client;
        let counter = format!("{}/epoch", self.root);
        loop {
            let Some((last, counted)) = self.last_epoch(&counter).await? else {
                continue;
            };
            let epoch = last
                .checked_add(1)
                .ok_or(Error::Usage("there are no more epochs"))?;
            let record = self.record_of(guard, epoch);
            let known = read(client, &self.root).await?;
            let asked_at = client.clock().now();
            let step = guard.fenced().set(&counter, epoch.to_be_bytes(), counted);
            // The own node too: whoever waits behind it sees a sign of life.
            let bid = text(&self.bid(self.service.fitness()));
            let step = step.set(guard.path(), bid, None);
            let step = match known {
                Some((_, version)) => step.set(record_path(&self.root), text(&record), version),
                None => step.create(record_path(&self.root), text(&record)),
            };
            match step.commit().await {
                Ok(_) => {
                    let token = guard.token();
                    let term = Term { epoch, token };
                    return Ok(Opened {
                        term,
                        record,
                        asked_at,
                    });
                }
                Err(Error::Client(error)) if is_late(&error) => {}
                Err(Error::Client(error)) if may_try_again(client, &error) => {
                    if !guard.presence().is_of_this_session() {
                        return Err(Error::Lost(Loss::SessionEnded));
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The number of the last term, and its version; `None` where its node had to be made.
    async fn last_epoch(&self, path: &str) -> Result<Option<(u64, Version)>, Error> {
        let client = &self.contest.client;
        let get = || client.get(path).timeout(None);
        if let Some((data, stat)) = found(repeat(client, get).await)? {
            let last = <[u8; 8]>::try_from(&data[..]).map(u64::from_be_bytes);
            let last = last.map_err(|_| Error::Usage("the node of the epochs holds no count"))?;
            return Ok(Some((last, stat.version)));
        }
        let zero = 0_u64.to_be_bytes();
        let make = || client.create(path, zero).parents().timeout(None);
        match repeat(client, make).await {
            Ok(_) => Ok(None),
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn record_of(&self, guard: &Guard, epoch: u64) -> PrimaryRecord {
        let node = guard.path().rsplit('/').next().unwrap_or_default();
        let delay = self.lock_delay().as_millis();
        PrimaryRecord {
            id: self.id.clone(),
            address: self.address.clone(),
            epoch,
            node: node.to_owned(),
            clean: false,
            lock_delay_ms: u64::try_from(delay).unwrap_or(u64::MAX),
            next: None,
        }
    }

    /// Leaves a clean record and gives the candidature up, in one step; what is left of it goes in the background.
    pub(super) async fn close_term(&self, guard: Guard, record: PrimaryRecord, next: Option<&str>) {
        let record = PrimaryRecord {
            clean: true,
            next: next.map(str::to_owned),
            ..record
        };
        let record = text(&record);
        let clean = async {
            loop {
                let step = guard.fenced().set(record_path(&self.root), &record, None);
                match step.delete(guard.path(), None).commit().await {
                    // Done before, it fails for want of the candidature.
                    Err(Error::Client(error)) if may_try_again(&self.contest.client, &error) => {
                        tokio::time::sleep(PAUSE).await;
                    }
                    // Where it is refused, the end is an unclean one, which the next one waits for.
                    Ok(_) | Err(_) => return,
                }
            }
        };
        tokio::select! {
            biased;
            () = clean => {}
            // So it is where no server answers before the lead is lost.
            _loss = guard.lost() => {}
        }
    }
}

/// Whether somebody else has written or deleted meanwhile, or an earlier try of ours.
fn is_late(error: &zk_client::Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::BadVersion | ErrorCode::NodeExists | ErrorCode::NoNode)
    )
}
