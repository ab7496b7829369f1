//! Whether a snapshot could be restored, in little memory and without a tree.
//!
//! The same is asked of it as by `tree::Restore`: a snapshot that a start would refuse must not count
//! as one when older ones are removed (P28).

use super::read::{
    Refusal, SnapshotEnd, SnapshotError, SnapshotLimits, SnapshotSink, read_snapshot,
};
use crate::disk::files::Files;
use crate::disk::leave::Leave;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use zk_proto::{Acl, SessionId, StoredStat, path};

/// Reads a snapshot to its last seal, to know whether it can be restored. Whoever is asked to leave finds
/// nothing out: reading it was interrupted.
pub fn verify_snapshot(
    files: &dyn Files,
    path: &Path,
    limits: SnapshotLimits,
    leave: &Leave,
) -> Result<SnapshotEnd, SnapshotError> {
    let mut checks = Checks {
        leave: leave.clone(),
        ..Checks::default()
    };
    let read = read_snapshot(files, path, limits, &mut checks);
    if leave.is_asked() {
        return Err(io::Error::from(io::ErrorKind::Interrupted).into());
    }
    let end = read?;
    if checks.paths.is_empty() {
        let (at, reason) = (end.bytes, "there is no root".into());
        return Err(SnapshotError::Refused { at, reason });
    }
    Ok(end)
}

#[derive(Default)]
struct Checks {
    sessions: BTreeSet<SessionId>,
    acls: BTreeSet<i64>,
    /// Of each path a hash that nobody can foresee: a false alarm only keeps a file longer.
    paths: HashSet<u64>,
    hasher: RandomState,
    leave: Leave,
}

fn check(fine: bool, otherwise: impl FnOnce() -> String) -> Result<(), Refusal> {
    if fine {
        Ok(())
    } else {
        Err(otherwise().into())
    }
}

impl SnapshotSink for Checks {
    fn session(&mut self, session: SessionId, _: i32) -> Result<(), Refusal> {
        check(self.sessions.insert(session), || {
            format!("the session {session} comes twice")
        })
    }

    fn acl(&mut self, id: i64, _: Vec<Acl>) -> Result<(), Refusal> {
        check(id != -1 && self.acls.insert(id), || {
            format!("the ACL number {id} is defined twice or reserved")
        })
    }

    fn node(&mut self, name: &str, _: Option<Bytes>, _: i64, _: StoredStat) -> Result<(), Refusal> {
        check(!self.leave.is_asked(), || "nobody waits for it".to_owned())?;
        let is_root = name.is_empty();
        check(is_root == self.paths.is_empty(), || {
            "the root is not the first node and the only root".to_owned()
        })?;
        if !is_root {
            path::validate(name)?;
            let parent = path::split(name).map(|(parent, _)| self.hasher.hash_one(parent));
            let known = parent.is_some_and(|parent| self.paths.contains(&parent));
            check(known, || format!("the parent of {name:?} is missing"))?;
        }
        let hash = self.hasher.hash_one(name);
        check(self.paths.insert(hash), || format!("{name:?} comes twice"))
    }
}
