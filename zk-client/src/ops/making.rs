//! What a create in several requests is made from, and the stat of one that an old server does not tell.
//!
//! Servers before 3.5 answer a create with its path alone, and refuse to answer with more. They are asked as they
//! understand it, and for the stat behind it.

use super::create::{Create, Wish, head, send_once};
use super::read::reader;
use crate::call::Call;
use crate::client::Client;
use crate::draft::Draft;
use crate::driver::{Orphan, Orphans};
use crate::error::{Error, ErrorKind};
use crate::path::{parts, strip};
use crate::session::Answered;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zk_proto::{ErrorCode, OpCode, Stat, Zxid};

/// A node that was created.
pub(super) struct Made {
    path: String,
    stat: Told,
}

enum Told {
    Stat(Stat),
    /// Which transaction it was.
    Zxid(Zxid),
}

/// What each request of a create is made from.
pub(super) struct Making {
    pub(super) client: Client,
    pub(super) wish: Wish,
    pub(super) path: String,
    pub(super) timeout: Option<Duration>,
    data: Vec<u8>,
    /// Whether the caller wants the stat.
    with_stat: bool,
}

impl Making {
    /// Of a create that has been told its path and data; with the request as it stands.
    pub(super) fn of(create: Create<'_>, with_stat: bool) -> (Self, Draft<'_>) {
        let making = Self {
            client: create.draft.client.clone(),
            timeout: create.draft.timeout,
            wish: create.wish,
            path: create.path,
            data: create.data,
            with_stat,
        };
        (making, create.draft)
    }

    /// The same, and the request is sent now.
    pub(super) fn begin(create: Create<'_>, with_stat: bool) -> (Self, Call<Made>) {
        let (making, draft) = Self::of(create, with_stat);
        let first = making.send_draft(draft);
        (making, first)
    }

    /// One request, which takes its place in the order now.
    pub(super) fn send(&self, path: &str) -> Call<Made> {
        let mut draft = head(&self.client, path, &self.data);
        draft.timeout = self.timeout;
        self.send_draft(draft)
    }

    fn send_draft(&self, draft: Draft<'_>) -> Call<Made> {
        let old = self.client.shared().before_3_5.load(Ordering::Relaxed);
        if self.with_stat && !old {
            send_once(draft, &self.wish, true, with_stat)
        } else {
            send_once(draft, &self.wish, false, path_alone)
        }
    }

    /// Whether the server is too old for the request, and has to be asked otherwise from now on.
    pub(super) fn is_too_new(&self, error: &Error) -> bool {
        let unknown =
            error.operation() == OpCode::Create2 && error.code() == Some(ErrorCode::Unimplemented);
        if unknown {
            let old = &self.client.shared().before_3_5;
            old.store(true, Ordering::Relaxed);
        }
        unknown
    }

    /// What the caller wants to know. An ephemeral node of which he does not hear is deleted again.
    pub(super) async fn tell(&self, made: Made) -> Result<(String, Stat), Error> {
        let zxid = match made.stat {
            Told::Stat(stat) => return Ok((made.path, stat)),
            // It was not asked for, and is not looked at.
            Told::Zxid(_) if !self.with_stat => return Ok((made.path, Stat::default())),
            Told::Zxid(zxid) => zxid,
        };
        let mut unheard = Unheard {
            orphan: self.wish.ephemeral.then(|| {
                let (root, path) = parts(self.client.root(), &made.path);
                Orphan::Created {
                    path: format!("{root}{path}"),
                    czxid: zxid,
                }
            }),
            orphans: self.client.shared().orphans.clone(),
        };
        let there = self.client.exists(&made.path).timeout(self.timeout).await?;
        unheard.orphan = None;
        match there.filter(|stat| stat.czxid == zxid) {
            Some(stat) => Ok((made.path, stat)),
            // Somebody was quicker.
            None => {
                let gone = ErrorKind::Server(ErrorCode::NoNode);
                Err(Error::new(gone, OpCode::Exists, Some(made.path.into())))
            }
        }
    }
}

/// A node of which nobody has heard yet.
struct Unheard {
    orphan: Option<Orphan>,
    orphans: Orphans,
}

impl Drop for Unheard {
    fn drop(&mut self) {
        if let Some(orphan) = self.orphan.take() {
            self.orphans.adopt(orphan);
        }
    }
}

fn with_stat(outcome: Result<Answered, ErrorKind>, root: &str) -> Result<Made, ErrorKind> {
    let answered = outcome?;
    let mut reader = reader(&answered);
    let path = reader.string()?.into_owned();
    let stat = Told::Stat(Stat::decode(&mut reader)?);
    let path = strip(root, &path).to_owned();
    Ok(Made { path, stat })
}

fn path_alone(outcome: Result<Answered, ErrorKind>, root: &str) -> Result<Made, ErrorKind> {
    let answered = outcome?;
    let path = reader(&answered).string()?.into_owned();
    let stat = Told::Zxid(answered.header.zxid);
    let path = strip(root, &path).to_owned();
    Ok(Made { path, stat })
}
