//! Preparing everything about a node that is there: delete, setData, setACL and check.

use super::pending::View;
use super::prepare::{Preparation, Refusal, check_path, parent_of_deletable};
use super::{digest, edit};
use zk_proto::txn::Txn;
use zk_proto::{ErrorCode, Perms, Version, WireAcl};

impl Preparation<'_> {
    pub(super) fn delete(&mut self, path: &str, version: i32) -> Result<Txn, Refusal> {
        self.check_session()?;
        let above = parent_of_deletable(path)?;
        let mut parent = self.view(above)?;
        self.check_access(&parent.acl, Perms::DELETE)?;
        let node = self.view(path)?;
        check_version(node.stat.version, version)?;
        if node.children > 0 {
            return Err(ErrorCode::NotEmpty.into());
        }
        self.note_removal(path, above, &mut parent);
        Ok(Txn::Delete { path: path.into() })
    }

    pub(super) fn note_removal(&mut self, path: &str, above: &str, parent: &mut View) {
        parent.children = parent.children.saturating_sub(1);
        parent.stat.pzxid = parent.stat.pzxid.max(self.stamp.zxid);
        self.put(above, Some(parent.clone()));
        self.put(path, None);
    }

    pub(super) fn set_data(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
    ) -> Result<Txn, Refusal> {
        self.check_session()?;
        check_path(path)?;
        let mut node = self.view(path)?;
        self.check_access(&node.acl, Perms::WRITE)?;
        if self.tree.rules.enforce_quota {
            let before = self
                .tree
                .get(path)
                .map_or(0, |node| edit::length(node.data()));
            self.check_quota(path, 0, edit::length(data) - before)?;
        }
        let version = check_version(node.stat.version, version)?;
        node.stat.version = version;
        node.stat.mzxid = self.stamp.zxid;
        node.stat.mtime = self.stamp.time;
        node.prefix = self.prefix(path, data);
        self.put(path, Some(node));
        Ok(Txn::SetData {
            path: path.into(),
            data: self.slice(data),
            version,
        })
    }

    pub(super) fn prefix(&self, path: &str, data: Option<&[u8]>) -> u32 {
        if self.tree.rules.digest && digest::counts(path) {
            digest::prefix(if path == "/" { "" } else { path }, data)
        } else {
            0
        }
    }

    /// Decision: what is in flight carries the new ACL. Java's overlay keeps the old one, so that a
    /// pipelined write is judged by an ACL that will be gone when it applies; no sequential order of the
    /// requests explains that (P2). Replicas cannot tell: they see facts only.
    pub(super) fn set_acl(
        &mut self,
        path: &str,
        acl: Option<&[WireAcl<'_>]>,
        version: i32,
    ) -> Result<Txn, Refusal> {
        self.check_session()?;
        check_path(path)?;
        let acl = self.fix_up(acl)?;
        let mut node = self.view(path)?;
        self.check_access(&node.acl, Perms::ADMIN)?;
        let version = check_version(node.stat.aversion, version)?;
        node.stat.aversion = version;
        node.acl = self.tree.acls.share(&acl);
        self.put(path, Some(node));
        Ok(Txn::SetAcl {
            path: path.into(),
            acl,
            version,
        })
    }

    pub(super) fn check(&self, path: &str, version: i32) -> Result<Txn, Refusal> {
        self.check_session()?;
        check_path(path)?;
        let node = self.view(path)?;
        self.check_access(&node.acl, Perms::READ)?;
        let version = check_version(node.stat.version, version)?;
        Ok(Txn::Check {
            path: path.into(),
            version,
        })
    }
}

/// The version after this one, if this is the expected one.
fn check_version(current: Version, expected: i32) -> Result<Version, ErrorCode> {
    match Version::expected(expected) {
        Some(expected) if expected != current => Err(ErrorCode::BadVersion),
        _ => Ok(current.next()),
    }
}
