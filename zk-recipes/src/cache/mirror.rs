//! What a cache knows, and how it becomes the next thing it knows: nodes are staged as they are read, then published
//! together. The differences are what the cache tells. Pure.

use super::events::CacheEvent;
use super::left_out::LeftOut;
use std::collections::BTreeMap;
use std::sync::Arc;
use zk_client::{Stat, Zxid};

/// The bytes of a node as the client lends them.
pub(crate) type Bytes = bytes::Bytes;

type Nodes = BTreeMap<Arc<str>, Arc<CachedNode>>;

/// A node as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedNode {
    path: Arc<str>,
    data: Bytes,
    stat: Stat,
}

impl CachedNode {
    pub(super) fn new(path: &str, data: Bytes, stat: Stat) -> Self {
        Self {
            path: path.into(),
            data,
            stat,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its name: what follows the last slash.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Its data.
    pub const fn data(&self) -> &Bytes {
        &self.data
    }

    /// Its stat when its data was read. What says how many children it has may be older than they are.
    pub const fn stat(&self) -> &Stat {
        &self.stat
    }

    pub(super) fn size(&self) -> usize {
        self.path.len() + self.data.len()
    }

    /// Whether the other is of a later state of the node.
    fn is_older_than(&self, other: &Self) -> bool {
        (self.stat.czxid, self.stat.mzxid) < (other.stat.czxid, other.stat.mzxid)
    }
}

/// What a cache holds at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) nodes: usize,
    pub(super) bytes: usize,
}

impl Limits {
    /// Whether there is room for more than a little.
    pub(super) const fn have_room(self, nodes: usize, bytes: usize) -> bool {
        nodes < self.nodes - self.nodes / 10 && bytes < self.bytes - self.bytes / 10
    }
}

/// All that a cache knew at one time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    nodes: Arc<Nodes>,
    zxid: Zxid,
    exact: bool,
    complete: bool,
}

impl Snapshot {
    /// A node, if it is there.
    pub fn get(&self, path: &str) -> Option<&Arc<CachedNode>> {
        self.nodes.get(path)
    }

    /// All nodes, by their paths.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<CachedNode>> {
        self.nodes.values()
    }

    /// The children of a node, by their names.
    pub fn children<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a Arc<CachedNode>> {
        let prefix = super::Scope::child(path, "");
        let from = Arc::<str>::from(prefix.as_str());
        let below = self.nodes.range(from..);
        below
            .map_while({
                let prefix = prefix.clone();
                move |(path, node)| path.starts_with(&prefix).then_some((path, node))
            })
            .filter(move |(path, _)| path.len() > prefix.len())
            .filter({
                let slashes = path.trim_end_matches('/').matches('/').count() + 1;
                move |(path, _)| path.matches('/').count() == slashes
            })
            .map(|(_, node)| node)
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Everything up to here is in it.
    pub const fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// Whether it is the tree as it was at one zxid; else some nodes may be newer than others.
    pub const fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether nothing was left out for want of room.
    pub const fn is_complete(&self) -> bool {
        self.complete
    }
}

/// What was read, or heard to be gone, since the last time something was published.
#[derive(Debug, Default)]
pub(super) struct Staged {
    nodes: BTreeMap<Arc<str>, Option<Arc<CachedNode>>>,
    /// All that is there was read: what is not among it is gone.
    pub(super) all: bool,
    /// There was more than fits, and nobody knows what.
    pub(super) truncated: bool,
    left_out: LeftOut,
}

impl Staged {
    pub(super) fn there(&mut self, node: CachedNode) {
        let node = Arc::new(node);
        let known = self.nodes.get(&node.path).and_then(Option::as_ref);
        if known.is_some_and(|known| node.is_older_than(known)) {
            return;
        }
        self.left_out.remove(&node.path);
        self.nodes.insert(Arc::clone(&node.path), Some(node));
    }

    /// It was read, and has no room.
    pub(super) fn left_out(&mut self, node: &CachedNode) {
        self.left_out.add(&node.path, node.size());
    }

    pub(super) fn gone(&mut self, path: &str) {
        self.left_out.remove(path);
        self.nodes.insert(path.into(), None);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && !self.all
    }
}

/// What is published.
#[derive(Debug)]
pub(super) struct Mirror {
    nodes: Arc<Nodes>,
    bytes: usize,
    limits: Limits,
    zxid: Zxid,
    exact: bool,
    /// Something is missing, and nobody knows what; or it is known.
    truncated: bool,
    left_out: LeftOut,
}

impl Mirror {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            nodes: Arc::default(),
            bytes: 0,
            limits,
            zxid: Zxid::ZERO,
            exact: true,
            truncated: false,
            left_out: LeftOut::default(),
        }
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn get(&self, path: &str) -> Option<Arc<CachedNode>> {
        self.nodes.get(path).map(Arc::clone)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            nodes: Arc::clone(&self.nodes),
            zxid: self.zxid,
            exact: self.exact,
            complete: !self.truncated && self.left_out.is_empty(),
        }
    }

    pub(super) const fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// Something was left out, but there is room for it again, and more than a little. Not for something too large for
    /// the room there is: that would be read again for ever.
    pub(super) fn has_room_again(&self) -> bool {
        let fits = |size: usize| self.bytes + size <= self.limits.bytes;
        let missing = self.truncated || self.left_out.smallest().is_some_and(fits);
        missing && self.limits.have_room(self.nodes.len(), self.bytes)
    }

    /// Takes over what was staged: everything up to `zxid` is in it. The differences, those that go before those that
    /// come, children before their parents when they go and behind them when they come.
    pub(super) fn publish(
        &mut self,
        mut staged: Staged,
        zxid: Zxid,
        exact: bool,
    ) -> Vec<CacheEvent> {
        if staged.all {
            self.truncated = staged.truncated;
            self.left_out = LeftOut::default();
            let known = self.nodes.keys();
            let missing: Vec<_> = known
                .filter(|path| !staged.nodes.contains_key(*path))
                .collect();
            let missing: Vec<_> = missing.into_iter().map(Arc::clone).collect();
            staged
                .nodes
                .extend(missing.into_iter().map(|it| (it, None)));
        }
        self.zxid = self.zxid.max(zxid);
        self.exact = exact;
        let events = if staged.nodes.is_empty() {
            Vec::new()
        } else {
            self.replace(staged.nodes)
        };
        self.left_out.merge(staged.left_out);
        events
    }

    /// Puts new nodes in the place of old ones.
    fn replace(&mut self, staged: BTreeMap<Arc<str>, Option<Arc<CachedNode>>>) -> Vec<CacheEvent> {
        let nodes = Arc::make_mut(&mut self.nodes);
        // All that goes makes room before anything comes.
        let mut changes = Vec::with_capacity(staged.len());
        for (path, new) in staged {
            let before = nodes.remove(&path);
            self.bytes -= before.as_ref().map_or(0, |node| node.size());
            changes.push((path, before, new));
        }
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for (path, before, new) in changes {
            let there = nodes.len() < self.limits.nodes;
            let fits =
                |node: &Arc<CachedNode>| there && self.bytes + node.size() <= self.limits.bytes;
            let stays = new.as_ref().filter(|node| fits(node));
            match (&new, stays) {
                (Some(node), None) if there => self.left_out.add(&path, node.size()),
                (Some(_), None) => self.truncated = true,
                (None | Some(_), _) => self.left_out.remove(&path),
            }
            if let Some(node) = stays {
                self.bytes += node.size();
                nodes.insert(path, Arc::clone(node));
            }
            match (before, stays.cloned()) {
                (None, None) => {}
                (Some(before), None) => gone.push(CacheEvent::Deleted { before }),
                (None, Some(node)) => come.push(CacheEvent::Created { node }),
                (Some(before), Some(node)) if before.stat.czxid != node.stat.czxid => {
                    gone.push(CacheEvent::Deleted { before });
                    come.push(CacheEvent::Created { node });
                }
                (Some(before), Some(node)) if before.stat.mzxid != node.stat.mzxid => {
                    come.push(CacheEvent::Changed { before, node });
                }
                // The same data; its children or its ACL have changed.
                (Some(_), Some(_)) => {}
            }
        }
        gone.reverse();
        gone.append(&mut come);
        gone
    }
}

#[cfg(test)]
mod tests;
