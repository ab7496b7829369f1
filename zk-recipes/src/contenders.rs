//! Who takes part in a contest, as others see it.

use crate::contest::Contest;
use crate::error::Error;
use crate::patience::repeat;
use crate::token::Token;
use zk_client::ops::{MultiRead, ReadResult};
use zk_client::{SessionId, Stat};

/// One who holds or waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    path: String,
    id: Vec<u8>,
    token: Token,
    session: SessionId,
}

impl Participant {
    pub(crate) fn new(path: String, id: Vec<u8>, stat: &Stat) -> Self {
        Self {
            path,
            id,
            token: Token::new(stat.czxid),
            session: stat.ephemeral_owner,
        }
    }

    /// Its node.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it calls itself: what its node holds, as text.
    pub fn id(&self) -> String {
        String::from_utf8_lossy(&self.id).into_owned()
    }

    /// Its token, if it holds, now or later.
    pub const fn token(&self) -> Token {
        self.token
    }

    /// Whose session it is.
    pub const fn session(&self) -> SessionId {
        self.session
    }
}

/// Everybody in a contest, first come first. Whoever goes while this reads is left out.
pub(crate) async fn read(contest: &Contest) -> Result<Vec<Participant>, Error> {
    let listed = contest.list().await?;
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let paths: Vec<_> = listed.iter().map(|it| contest.path(&it.name)).collect();
    let read = || {
        let reads = contest.client.multi_read().timeout(None);
        paths.iter().fold(reads, MultiRead::get)
    };
    let read = repeat(&contest.client, read).await?;
    let found = paths.iter().zip(read);
    let found = found.filter_map(|(path, result)| match result {
        ReadResult::Data(data, stat) => Some(Participant::new(path.clone(), data.to_vec(), &stat)),
        ReadResult::Children(_) | ReadResult::Refused(_) => None,
    });
    Ok(found.collect())
}
