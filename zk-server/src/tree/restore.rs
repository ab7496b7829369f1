//! Building a tree from the parts of a snapshot. The parts come from a file or from a peer and are
//! believed only as far as they fit together.

use super::node::ROOT;
use super::quota::{QUOTA_PATH, Special};
use super::{CONFIG_PATH, Rules, Tree, acls};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use zk_proto::path::{self, PathError};
use zk_proto::{Acl, Perms, SessionId, StoredStat, Version, Zxid};

/// Why parts do not make a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The first node must be the root, whose path is empty.
    #[error("the nodes do not begin with the root")]
    NoRoot,
    /// A path that no node can have.
    #[error("{path:?} is no path: {reason}")]
    Path {
        /// The path.
        path: String,
        /// Why it is none.
        reason: PathError,
    },
    /// Parents come before children.
    #[error("the parent of {0:?} is missing")]
    NoParent(String),
    /// No path comes twice.
    #[error("{0:?} comes twice")]
    Twice(String),
    /// An ACL number that was defined twice, or is reserved.
    #[error("the ACL number {0} is defined twice or reserved")]
    AclNumber(i64),
    /// A session that comes twice.
    #[error("the session {0} comes twice")]
    Session(SessionId),
}

/// Stands for an ACL whose number nothing defined: nobody is permitted anything.
///
/// Apache writes the ACLs of a snapshot before the nodes and goes on serving meanwhile, so a node that
/// came late has a number that came later still. The transaction that made it is in the log behind the
/// snapshot, and being applied once more it sets the ACL. An empty list would permit everything.
static UNDEFINED: LazyLock<[Acl; 1]> = LazyLock::new(|| {
    [Acl {
        perms: Perms(0),
        scheme: "digest".into(),
        id: "undefined-in-the-snapshot".into(),
    }]
});

/// A tree that is being built.
#[derive(Debug)]
pub struct Restore {
    tree: Tree,
    /// Numbers in the snapshot, and ours.
    acls: BTreeMap<i64, u32>,
    has_root: bool,
}

impl Restore {
    /// Nothing yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            tree: Tree::bare(rules),
            acls: BTreeMap::new(),
            has_root: false,
        }
    }

    /// A session and its timeout in milliseconds.
    pub fn session(&mut self, id: SessionId, timeout: i32) -> Result<(), RestoreError> {
        match self.tree.sessions.insert(id, timeout) {
            None => Ok(()),
            Some(_) => Err(RestoreError::Session(id)),
        }
    }

    /// The ACL behind a number.
    pub fn acl(&mut self, number: i64, list: &[Acl]) -> Result<(), RestoreError> {
        if number == -1 || self.acls.contains_key(&number) {
            return Err(RestoreError::AclNumber(number));
        }
        let ours = self.tree.acls.acquire(list);
        self.acls.insert(number, ours);
        Ok(())
    }

    /// A node. The root comes first and has the empty path.
    pub fn node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: i64,
        stat: &StoredStat,
    ) -> Result<(), RestoreError> {
        self.tree.newest_time = self.tree.newest_time.max(stat.mtime);
        let ours = match acl {
            -1 => acls::OPEN,
            number => *self
                .acls
                .entry(number)
                .or_insert_with(|| self.tree.acls.acquire(&*UNDEFINED)),
        };
        if path.is_empty() {
            return self.root(data, ours, stat);
        }
        if !self.has_root {
            return Err(RestoreError::NoRoot);
        }
        path::validate(path).map_err(|reason| RestoreError::Path {
            path: path.to_owned(),
            reason,
        })?;
        let parent = path::split(path).and_then(|(parent, _)| self.tree.nodes.find(parent));
        if parent.is_none() {
            return Err(RestoreError::NoParent(path.to_owned()));
        }
        if self.tree.nodes.find(path).is_some() {
            return Err(RestoreError::Twice(path.to_owned()));
        }
        self.tree.acls.acquire_number(ours);
        self.tree.attach(path, data, ours, stat);
        Ok(())
    }

    fn root(
        &mut self,
        data: Option<&[u8]>,
        acl: u32,
        stat: &StoredStat,
    ) -> Result<(), RestoreError> {
        if self.has_root {
            return Err(RestoreError::Twice(String::new()));
        }
        self.has_root = true;
        self.tree.acls.acquire_number(acl);
        self.tree.nodes.get_mut(ROOT).acl = acl;
        self.tree.edit_data(ROOT, "", data, |root| *root = *stat);
        Ok(())
    }

    /// The tree, said to stand at this zxid.
    pub fn finish(mut self, last_zxid: Zxid) -> Result<Tree, RestoreError> {
        if !self.has_root {
            return Err(RestoreError::NoRoot);
        }
        for &number in self.acls.values() {
            self.tree.acls.release(number);
        }
        self.tree.last_zxid = last_zxid;
        self.tree.supply_config();
        self.tree.register_quotas();
        Ok(self.tree)
    }
}

impl Tree {
    /// How many nodes have an ACL that neither the snapshot nor a transaction after it has told.
    pub fn undefined_acls(&self) -> u64 {
        self.acls.uses(&*UNDEFINED)
    }

    /// Snapshots before 3.5 have no configuration node. It is outside of the digest.
    fn supply_config(&mut self) {
        if self.nodes.find(CONFIG_PATH).is_none() && self.nodes.find("/zookeeper").is_some() {
            let readable = self.acls.acquire(&[Acl::world(Perms::READ)]);
            let stat = StoredStat {
                aversion: Version(-1),
                ..StoredStat::default()
            };
            self.attach(CONFIG_PATH, Some(b""), readable, &stat);
        }
    }

    /// Finds all quotas and counts what is below them anew: stats are each server's own.
    fn register_quotas(&mut self) {
        let Some(top) = self.nodes.find(QUOTA_PATH) else {
            return;
        };
        let paths: Vec<_> = self
            .nodes
            .subtree(top)
            .filter(|&id| self.nodes.get(id).children() == 0)
            .map(|id| self.nodes.path(id))
            .collect();
        for path in &paths {
            if let Some(Special::Limits(over)) = Special::of(path) {
                self.quotas.add(over);
                self.recount(over);
            }
        }
    }
}
