//! The few ways in which a node changes. Each tells a running image first, keeps the digest, and keeps
//! the indexes: sessions' nodes, containers, aging nodes and quotas.

use super::node::{NIL, Node, NodeId, ROOT};
use super::owner::Owner;
use super::quota::{self, Special, Track};
use super::{CONFIG_PATH, Rules, Tree, acls, digest};
use super::{acls::Acls, digest::History, digest::Trust, ephemerals::Ephemerals, quota::Quotas};
use std::collections::{BTreeMap, BTreeSet};
use zk_proto::{Acl, Perms, StoredStat, Version, Zxid};

impl Tree {
    /// The tree of a server that has seen nothing.
    pub fn new(rules: Rules) -> Self {
        let mut tree = Self::bare(rules);
        let add = |tree: &mut Self, path: &str, acl, stat| {
            tree.attach(path, Some(b""), acl, &stat);
        };
        add(&mut tree, "/zookeeper", acls::OPEN, StoredStat::default());
        add(
            &mut tree,
            quota::QUOTA_PATH,
            acls::OPEN,
            StoredStat::default(),
        );
        let readable = tree.acls.acquire(&[Acl::world(Perms::READ)]);
        let config = StoredStat {
            aversion: Version(-1),
            ..StoredStat::default()
        };
        add(&mut tree, CONFIG_PATH, readable, config);
        tree
    }

    /// Only a root; a snapshot fills in the rest.
    pub(super) fn bare(rules: Rules) -> Self {
        let mut tree = Self {
            nodes: super::store::Nodes::new(rules.hash_seed),
            rules,
            acls: Acls::new(),
            sessions: BTreeMap::new(),
            ephemerals: Ephemerals::default(),
            containers: BTreeSet::new(),
            ttls: BTreeSet::new(),
            quotas: Quotas::default(),
            last_zxid: Zxid::ZERO,
            newest_time: 0,
            newest_sessions: BTreeMap::new(),
            digest: 0,
            history: History::default(),
            trust: Trust::Exact,
            data_size: 0,
            image: None,
            image_stamp: 0,
        };
        tree.nodes.get_mut(ROOT).prefix = tree.prefix_of("", Some(b""));
        tree.begin_digest();
        tree
    }

    /// The digest of a tree that has only its root.
    pub(super) fn begin_digest(&mut self) {
        self.digest = self.digest_of(ROOT, "");
    }

    /// What a node contributes to the digest.
    fn digest_of(&self, id: NodeId, path: &str) -> u64 {
        if !self.rules.digest || !digest::counts(path) {
            return 0;
        }
        let node = self.nodes.get(id);
        digest::of_node(node.prefix, &node.stored())
    }

    fn prefix_of(&self, path: &str, data: Option<&[u8]>) -> u32 {
        if self.rules.digest && digest::counts(path) {
            digest::prefix(path, data)
        } else {
            0
        }
    }

    /// Adds a node, whose ACL number has been acquired, below a parent that is there. Its stat stays;
    /// the parent's does too.
    pub(super) fn attach(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: u32,
        stat: &StoredStat,
    ) -> NodeId {
        let (above, name) = path.rsplit_once('/').expect("a path has a slash");
        let parent = self.nodes.find(above).expect("the parent was looked up");
        let mut node = Node::new(name, data, stat);
        node.acl = acl;
        node.prefix = self.prefix_of(path, data);
        node.stamp = self.image.as_ref().map_or(0, super::image::Image::stamp);
        // The children of a node are no part of its encoding: the image need not hear of this.
        let id = self.nodes.insert(path, parent, node);
        self.digest = self.digest.wrapping_add(self.digest_of(id, path));
        self.data_size += (path.len() + data.map_or(0, <[u8]>::len)) as u64;
        match Owner::from_raw(stat.ephemeral_owner, &self.rules) {
            Owner::Nobody => {}
            Owner::Container => {
                self.containers.insert(id);
            }
            Owner::Ttl(_) => {
                self.ttls.insert(id);
            }
            Owner::Session(session) => self.ephemerals.add(session, id, path),
        }
        id
    }

    /// Takes a node out, with everything below it.
    ///
    /// A node is deleted with children only when transactions are applied again to a snapshot that was
    /// written while they happened: the children are from later, and their creation follows.
    pub(super) fn detach(&mut self, path: &str, id: NodeId) {
        if self.nodes.get(id).first_child != NIL {
            let below: Vec<_> = self.nodes.subtree(id).skip(1).collect();
            for child in below.into_iter().rev() {
                let path = self.nodes.path(child);
                self.detach_leaf(&path, child);
            }
        }
        self.detach_leaf(path, id);
    }

    fn detach_leaf(&mut self, path: &str, id: NodeId) {
        self.before_change(id);
        if let Some(image) = &mut self.image {
            image.forget(&self.nodes, id);
        }
        self.digest = self.digest.wrapping_sub(self.digest_of(id, path));
        let node = self.nodes.get(id);
        self.data_size -= (path.len() + node.data_len()) as u64;
        self.acls.release(node.acl);
        match node.owner(&self.rules) {
            Owner::Nobody => {}
            Owner::Container => {
                self.containers.remove(&id);
            }
            Owner::Ttl(_) => {
                self.ttls.remove(&id);
            }
            Owner::Session(session) => self.ephemerals.remove(session, id, path),
        }
        self.nodes.remove(path, id);
    }

    /// Changes a node's stat.
    pub(super) fn edit_stat(&mut self, id: NodeId, path: &str, edit: impl FnOnce(&mut StoredStat)) {
        let before = self.nodes.get(id).stored();
        let mut after = before;
        edit(&mut after);
        if before == after {
            return;
        }
        self.before_change(id);
        let old = self.digest_of(id, path);
        self.nodes.get_mut(id).set_stored(&after);
        let new = self.digest_of(id, path);
        self.digest = self.digest.wrapping_sub(old).wrapping_add(new);
    }

    /// Changes a node's data and stat.
    pub(super) fn edit_data(
        &mut self,
        id: NodeId,
        path: &str,
        data: Option<&[u8]>,
        edit: impl FnOnce(&mut StoredStat),
    ) {
        self.before_change(id);
        let old = self.digest_of(id, path);
        let prefix = self.prefix_of(path, data);
        let node = self.nodes.get_mut(id);
        self.data_size -= node.data_len() as u64;
        node.set_data(data);
        self.data_size += node.data_len() as u64;
        node.prefix = prefix;
        let mut stat = node.stored();
        edit(&mut stat);
        node.set_stored(&stat);
        let new = self.digest_of(id, path);
        self.digest = self.digest.wrapping_sub(old).wrapping_add(new);
    }

    /// Changes a node's ACL; its digest does not cover it.
    pub(super) fn edit_acl(&mut self, id: NodeId, acl: &[Acl]) {
        self.before_change(id);
        let number = self.acls.acquire(acl);
        let old = std::mem::replace(&mut self.nodes.get_mut(id).acl, number);
        self.acls.release(old);
    }

    /// A quota begins or ends with its limits node; a stats node begins with what is there.
    pub(super) fn note_quota_created(&mut self, path: &str) {
        match Special::of(path) {
            Some(Special::Limits(over)) => self.quotas.add(over),
            Some(Special::Stats(over)) => self.recount(over),
            None => {}
        }
    }

    /// See [`Self::note_quota_created`].
    pub(super) fn note_quota_deleted(&mut self, path: &str) {
        if let Some(Special::Limits(over)) = Special::of(path) {
            self.quotas.remove(over);
        }
    }

    /// Notes growth under a path's quota, if there is one.
    pub(super) fn charge(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(over) = self.quotas.over(path) else {
            return;
        };
        let stats_path = quota::stats_path(over);
        if let Some(id) = self.nodes.find(&stats_path) {
            let mut track = Track::parse(self.nodes.get(id).data());
            track.add(count, bytes);
            self.edit_data(id, &stats_path, Some(track.text().as_bytes()), |_| {});
        }
    }

    /// Writes into the stats node of a quota what is really below its path.
    pub(super) fn recount(&mut self, over: &str) {
        let stats_path = quota::stats_path(over);
        let Some(id) = self.nodes.find(&stats_path) else {
            return;
        };
        let (mut count, mut bytes) = (0, 0);
        if let Some(top) = self.nodes.find(over) {
            for below in self.nodes.subtree(top) {
                count += 1;
                bytes += length(self.nodes.get(below).data());
            }
        }
        let text = Track::new(count, bytes).text();
        self.edit_data(id, &stats_path, Some(text.as_bytes()), |_| {});
    }
}

/// The length of data as quotas count it.
pub(super) fn length(data: Option<&[u8]>) -> i64 {
    data.map_or(0, |data| i64::try_from(data.len()).unwrap_or(i64::MAX))
}
