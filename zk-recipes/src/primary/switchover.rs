//! A planned change of the primary: somebody asks, the primary hears of it and hands over.

use super::candidates;
use super::record::{Bid, PrimaryRecord};
use super::records::Records;
use crate::contenders;
use crate::contest::Contest;
use crate::error::Error;
use crate::patience::repeat;
use std::time::Duration;
use zk_client::{Client, ErrorCode, Once};

/// When nothing has come of a wish for so long, it is looked whether it still stands.
const ASK_AGAIN: Duration = Duration::from_secs(1);

fn request_path(root: &str) -> String {
    format!("{root}/switchover")
}

/// Asks the primary of the service below this node to hand over to another member, and waits until that one is the
/// primary. Writes pause from when the primary lets in no more until the other's gate is open: about ten requests
/// one after the other, and whatever the service does to [`demote`](crate::PrimaryBackup::demote) and
/// [`promote`](crate::PrimaryBackup::promote).
///
/// # Errors
///
/// [`Error::Usage`] if no eligible candidate has this name, or has any more; the servers' refusal, or the client's end.
///
/// # Cancellation
///
/// The primary may be changed all the same. Whoever waits for a limited time takes the wish back by asking for another.
pub async fn switch_over(client: &Client, root: &str, to: &str) -> Result<PrimaryRecord, Error> {
    let contest = candidates(client, root);
    let mut records = Records::new(client, root);
    let mut record = records.next().await?;
    let holds = |record: &Option<PrimaryRecord>| {
        let there = record.as_ref().filter(|it| it.id == to && !it.clean);
        there.cloned()
    };
    if let Some(there) = holds(&record)
        && is_there(&contest, &there.node).await?
    {
        return Ok(there);
    }
    if !is_candidate(&contest, to).await? {
        return Err(Error::Usage("there is no eligible candidate of this name"));
    }
    let path = request_path(root);
    let ask = || client.set(&path, to).timeout(None).or_create();
    let before = record.as_ref().map_or(0, |it| it.epoch);
    loop {
        // Whoever took the wish off the table may have died with it; asked twice, it is granted once.
        repeat(client, ask).await?;
        while let Ok(next) = tokio::time::timeout(ASK_AGAIN, records.next()).await {
            record = next?;
            if let Some(there) = holds(&record).filter(|it| it.epoch > before) {
                return Ok(there);
            }
        }
        if !is_candidate(&contest, to).await? {
            return Err(Error::Usage("the candidate of this name has gone"));
        }
    }
}

/// Whether somebody of this name could take over.
async fn is_candidate(contest: &Contest, id: &str) -> Result<bool, Error> {
    let bids = bids(contest).await?;
    Ok(bids.iter().any(|(_, bid)| bid.id == id && bid.eligible))
}

async fn is_there(contest: &Contest, node: &str) -> Result<bool, Error> {
    Ok(contest.list().await?.iter().any(|it| it.name == node))
}

/// Waits until the primary of this name is asked to hand over, to somebody who is there. The wish is taken off the
/// table then; one that cannot be granted is, too.
pub(super) async fn asked(contest: &Contest, root: &str, own: &str) -> Result<String, Error> {
    let client = &contest.client;
    let path = request_path(root);
    loop {
        let changed: Once = match look(client, &path).await? {
            (None, changed) => changed,
            (Some(to), _) => {
                let gone = || client.delete(&path).timeout(None);
                match repeat(client, gone).await {
                    Ok(()) => {}
                    Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                    Err(error) => return Err(error.into()),
                }
                if to != own && is_candidate(contest, &to).await? {
                    return Ok(to);
                }
                continue;
            }
        };
        let _event = changed.changed().await;
    }
}

async fn look(client: &Client, path: &str) -> Result<(Option<String>, Once), Error> {
    let get = || client.get(path).timeout(None).watch();
    let exists = || client.exists(path).timeout(None).watch();
    loop {
        match repeat(client, get).await {
            Ok(((to, _), changed)) => {
                let to = String::from_utf8_lossy(&to).into_owned();
                return Ok((Some(to), changed));
            }
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
            Err(error) => return Err(error.into()),
        }
        if let (None, made) = repeat(client, exists).await? {
            return Ok((None, made));
        }
    }
}

/// What the candidates say of themselves, by node; those of other programs say nothing and are left out.
pub(super) async fn bids(contest: &Contest) -> Result<Vec<(String, Bid)>, Error> {
    let all = contenders::read(contest).await?;
    let said = all.iter().filter_map(|it| {
        let bid = serde_json::from_str(&it.id()).ok()?;
        Some((it.path().to_owned(), bid))
    });
    Ok(said.collect())
}
