//! What readers see. Everything is borrowed: a reply is encoded straight from the tree.

use super::node::{Node, NodeId, ROOT};
use super::{Rules, Tree, Trust};
use std::sync::Arc;
use zk_proto::{Acl, SessionId, Stat, StoredStat, Zxid};

/// A node, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct NodeRef<'t> {
    tree: &'t Tree,
    id: NodeId,
}

impl<'t> NodeRef<'t> {
    pub(super) const fn new(tree: &'t Tree, id: NodeId) -> Self {
        Self { tree, id }
    }

    fn node(self) -> &'t Node {
        self.tree.nodes.get(self.id)
    }

    /// Its data; null is not empty.
    pub fn data(self) -> Option<&'t [u8]> {
        self.node().data()
    }

    /// What clients are told about it.
    pub fn stat(self) -> Stat {
        self.node().stat(&self.tree.rules)
    }

    /// What is stored about it.
    pub fn stored_stat(self) -> StoredStat {
        self.node().stored()
    }

    /// Who may do what to it.
    pub fn acl(self) -> &'t [Acl] {
        self.shared_acl()
    }

    /// The same, to keep.
    pub fn shared_acl(self) -> &'t Arc<[Acl]> {
        self.tree.acls.get(self.node().acl)
    }

    /// How many children it has.
    pub fn child_count(self) -> usize {
        self.node().children() as usize
    }

    /// The names of its children, in no particular order.
    pub fn children(self) -> impl Iterator<Item = &'t str> {
        let nodes = &self.tree.nodes;
        nodes.children(self.id).map(|id| nodes.get(id).name_str())
    }

    /// Everything below it, counted (`getAllChildrenNumber`).
    pub fn descendant_count(self) -> usize {
        if self.id == ROOT {
            return self.tree.nodes.count() - 1;
        }
        self.tree.nodes.subtree(self.id).count() - 1
    }
}

impl Tree {
    /// The node at a path as a client wrote it; `""` and `/` are the root.
    pub fn get(&self, path: &str) -> Option<NodeRef<'_>> {
        let id = self.nodes.find(path)?;
        Some(NodeRef::new(self, id))
    }

    /// What the operator decided.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The last transaction applied.
    pub const fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The latest wall-clock time known to have been: that of a transaction applied, or of a node's data.
    pub const fn newest_time(&self) -> i64 {
        self.newest_time
    }

    /// The greatest session ids that were seen to begin, closed ones too, of each server.
    pub fn newest_sessions(&self) -> impl Iterator<Item = SessionId> {
        self.newest_sessions.values().copied()
    }

    /// Says which transaction the tree stands at, where none was applied: at a new epoch's beginning.
    pub fn advance_zxid(&mut self, zxid: Zxid) {
        self.last_zxid = self.last_zxid.max(zxid);
    }

    /// The digest of all nodes, where digests are not switched off.
    pub fn digest(&self) -> Option<u64> {
        self.rules.digest.then_some(self.digest)
    }

    /// The digests at round zxids, the oldest first.
    pub fn digest_history(&self) -> impl Iterator<Item = (Zxid, u64)> {
        self.history.iter()
    }

    /// Whether, and from when on, transactions' digests are compared.
    pub const fn trust(&self) -> Trust {
        self.trust
    }

    /// Says how far the tree, restored from someone's snapshot, can be trusted.
    pub const fn set_trust(&mut self, trust: Trust) {
        self.trust = trust;
    }

    /// How many nodes there are, with the root.
    pub const fn node_count(&self) -> usize {
        self.nodes.count()
    }

    /// How many there are as operators are told: Java's table of nodes holds the root under both its names,
    /// `""` and `/`, and its counts show it.
    pub const fn shown_node_count(&self) -> u64 {
        self.node_count() as u64 + 1
    }

    /// Bytes of paths and data (`approximate_data_size`).
    pub const fn approximate_data_size(&self) -> u64 {
        self.data_size
    }

    /// About how much memory the nodes take, with their place in the arena and in the index.
    pub const fn approximate_memory(&self) -> u64 {
        const NODE: u64 = 128;
        self.data_size + NODE * self.node_count() as u64
    }

    /// How many nodes sessions own.
    pub fn ephemeral_count(&self) -> usize {
        self.ephemerals.count()
    }

    /// The paths of a session's ephemeral nodes that begin with a prefix (`getEphemerals`). No prefix,
    /// a blank one and `/` mean all.
    pub fn ephemerals_of(
        &self,
        session: SessionId,
        prefix: Option<&str>,
    ) -> impl Iterator<Item = String> {
        let prefix = prefix.filter(|prefix| !prefix.trim().is_empty() && *prefix != "/");
        self.ephemerals
            .of(session)
            .map(|id| self.nodes.path(id))
            .filter(move |path| prefix.is_none_or(|prefix| path.starts_with(prefix)))
    }

    /// The sessions that own ephemeral nodes, in order.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = SessionId> {
        self.ephemerals.sessions()
    }

    /// The timeout in milliseconds of a session, if it is open.
    pub fn session(&self, session: SessionId) -> Option<i32> {
        self.sessions.get(&session).copied()
    }

    /// All open sessions and their timeouts in milliseconds, in order.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32)> {
        self.sessions.iter().map(|(&id, &timeout)| (id, timeout))
    }

    /// How many sessions are open.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Everything, parents before children, the root as `""`. Slow: for tools and tests.
    pub fn walk(&self) -> impl Iterator<Item = (String, NodeRef<'_>)> {
        self.nodes
            .subtree(ROOT)
            .map(|id| (self.nodes.path(id), NodeRef::new(self, id)))
    }
}
