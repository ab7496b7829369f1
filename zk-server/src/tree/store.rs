//! The arena of nodes and the index from paths to them.
//!
//! A path is not stored: a node knows its name and its parent. The index finds candidates by the hash of
//! the whole path and proves them by walking up. It is split into shards, each growing on its own, so
//! that no single insertion pays for moving all entries and no growth doubles the whole.

use super::node::{NIL, Node, NodeId, ROOT};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use zk_proto::StoredStat;

const CHUNK_BITS: u32 = 12;
const CHUNK: usize = 1 << CHUNK_BITS;
const SHARDS: usize = 256;

/// An entry of the index: the hash again, so that growing needs no look at the node.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    id: NodeId,
}

/// All nodes.
#[derive(Debug)]
pub(super) struct Nodes {
    /// Chunks never move: growing adds one.
    chunks: Vec<Vec<Node>>,
    free: NodeId,
    index: Vec<HashTable<Slot>>,
    hasher: FixedState,
    count: usize,
}

impl Nodes {
    /// Only the root.
    pub(super) fn new(hash_seed: u64) -> Self {
        let mut nodes = Self {
            chunks: Vec::new(),
            free: NIL,
            index: std::iter::repeat_with(HashTable::new)
                .take(SHARDS)
                .collect(),
            hasher: FixedState::with_seed(hash_seed),
            count: 1,
        };
        let root = nodes.allocate(Node::new("", Some(b""), &StoredStat::default()));
        assert_eq!(root, ROOT);
        nodes
    }

    /// How many there are, with the root.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) fn get(&self, id: NodeId) -> &Node {
        &self.chunks[(id >> CHUNK_BITS) as usize][id as usize % CHUNK]
    }

    pub(super) fn get_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.chunks[(id >> CHUNK_BITS) as usize][id as usize % CHUNK]
    }

    fn allocate(&mut self, node: Node) -> NodeId {
        if self.free != NIL {
            let id = self.free;
            self.free = self.get(id).next;
            *self.get_mut(id) = node;
            return id;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = self.chunks.len() - 1;
        let chunk = self.chunks.last_mut().expect("one was just pushed");
        chunk.push(node);
        let id = NodeId::try_from(before * CHUNK + chunk.len() - 1).expect("fewer than 2^32 nodes");
        assert!(id < NIL, "the arena is full");
        id
    }

    fn hash(&self, path: &[u8]) -> u32 {
        u32::try_from(self.hasher.hash_one(path) >> 32).expect("the upper half fits")
    }

    const fn shard(hash: u32) -> usize {
        hash as usize % SHARDS
    }

    /// The table wants its bits spread over the whole word, and those that chose the shard are spent.
    const fn spread(hash: u32) -> u64 {
        (hash as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// The node at a path; `""` and `/` are the root.
    pub(super) fn find(&self, path: &str) -> Option<NodeId> {
        if path.is_empty() || path == "/" {
            return Some(ROOT);
        }
        let hash = self.hash(path.as_bytes());
        self.index[Self::shard(hash)]
            .find(Self::spread(hash), |slot| {
                slot.hash == hash && self.is_at(slot.id, path.as_bytes())
            })
            .map(|slot| slot.id)
    }

    fn is_at(&self, mut id: NodeId, mut path: &[u8]) -> bool {
        while id != ROOT {
            let node = self.get(id);
            let Some(rest) = path
                .strip_suffix(node.name())
                .and_then(|rest| rest.strip_suffix(b"/"))
            else {
                return false;
            };
            (path, id) = (rest, node.parent);
        }
        path.is_empty()
    }

    /// Adds a node below a parent. The caller has made sure that the path is free.
    pub(super) fn insert(&mut self, path: &str, parent: NodeId, mut node: Node) -> NodeId {
        let first = self.get(parent).first_child;
        (node.parent, node.next, node.prev) = (parent, first, NIL);
        let id = self.allocate(node);
        if first != NIL {
            self.get_mut(first).prev = id;
        }
        let above = self.get_mut(parent);
        above.first_child = id;
        above.set_children(above.children() + 1);
        let hash = self.hash(path.as_bytes());
        self.index[Self::shard(hash)].insert_unique(
            Self::spread(hash),
            Slot { hash, id },
            |slot| Self::spread(slot.hash),
        );
        self.count += 1;
        id
    }

    /// Takes a node without children out.
    pub(super) fn remove(&mut self, path: &str, id: NodeId) {
        let node = self.get(id);
        assert!(
            id != ROOT && node.first_child == NIL,
            "only leaves are removed"
        );
        let (parent, prev, next) = (node.parent, node.prev, node.next);
        if prev == NIL {
            self.get_mut(parent).first_child = next;
        } else {
            self.get_mut(prev).next = next;
        }
        if next != NIL {
            self.get_mut(next).prev = prev;
        }
        let above = self.get_mut(parent);
        above.set_children(above.children() - 1);
        let hash = self.hash(path.as_bytes());
        let entry = self.index[Self::shard(hash)]
            .find_entry(Self::spread(hash), |slot| slot.id == id)
            .expect("every node is in the index under its path");
        entry.remove();
        let free = self.free;
        *self.get_mut(id) = Node::vacant(free);
        self.free = id;
        self.count -= 1;
    }

    /// A node and those above it, without the root.
    fn lineage(&self, id: NodeId) -> impl Iterator<Item = &Node> {
        std::iter::successors(Some(id), |&id| Some(self.get(id).parent))
            .take_while(|&id| id != ROOT)
            .map(|id| self.get(id))
    }

    /// How long the path of a node is.
    pub(super) fn path_len(&self, id: NodeId) -> usize {
        self.lineage(id).map(|node| 1 + node.name().len()).sum()
    }

    /// Appends the path of a node, with the root as nothing: names are met from the last to the first.
    pub(super) fn put_path(&self, id: NodeId, out: &mut Vec<u8>) {
        let mut end = out.len() + self.path_len(id);
        out.resize(end, b'/');
        for node in self.lineage(id) {
            let start = end - node.name().len();
            out[start..end].copy_from_slice(node.name());
            end = start - 1;
        }
    }

    /// The path of a node, with the root as the empty string.
    pub(super) fn path(&self, id: NodeId) -> String {
        let mut path = Vec::new();
        self.put_path(id, &mut path);
        String::from_utf8(path).expect("paths are text")
    }

    /// The children of a node, the youngest first.
    pub(super) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let first = self.get(id).first_child;
        std::iter::successors((first != NIL).then_some(first), |&child| {
            let next = self.get(child).next;
            (next != NIL).then_some(next)
        })
    }

    /// The node after this one, parents before children, inside the subtree of `top`.
    pub(super) fn next_in(&self, top: NodeId, id: NodeId) -> Option<NodeId> {
        match self.get(id).first_child {
            NIL => self.next_beside(top, id),
            child => Some(child),
        }
    }

    /// The node after this one and everything below it, inside the subtree of `top`.
    pub(super) fn next_beside(&self, top: NodeId, mut id: NodeId) -> Option<NodeId> {
        while id != top {
            let node = self.get(id);
            if node.next != NIL {
                return Some(node.next);
            }
            id = node.parent;
        }
        None
    }

    /// A node and everything below it, parents before children.
    pub(super) fn subtree(&self, top: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(Some(top), move |&id| self.next_in(top, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(nodes: &mut Nodes, path: &str) -> NodeId {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = nodes.find(parent).unwrap();
        nodes.insert(path, parent, Node::new(name, None, &StoredStat::default()))
    }

    #[test]
    fn nodes_are_found_by_their_exact_path() {
        let mut nodes = Nodes::new(1);
        let a = add(&mut nodes, "/a");
        let ab = add(&mut nodes, "/a/b");
        assert_eq!((nodes.find(""), nodes.find("/")), (Some(ROOT), Some(ROOT)));
        assert_eq!((nodes.find("/a"), nodes.find("/a/b")), (Some(a), Some(ab)));
        for odd in ["a", "/b", "//a", "/a/", "/a/b/", "/a//b", "x/a", "\0"] {
            assert_eq!(nodes.find(odd), None, "{odd:?}");
        }
        assert_eq!(nodes.path(ab), "/a/b");
        nodes.remove("/a/b", ab);
        assert_eq!((nodes.find("/a/b"), nodes.count()), (None, 2));
        assert_eq!(add(&mut nodes, "/a/c"), ab, "a free place is used again");
    }

    #[test]
    fn many_nodes_stay_findable_through_growth_and_removal() {
        let mut nodes = Nodes::new(2);
        for n in 0..10_000 {
            add(&mut nodes, &format!("/n{n}"));
        }
        for n in (0..10_000).step_by(3) {
            let path = format!("/n{n}");
            let id = nodes.find(&path).unwrap();
            nodes.remove(&path, id);
        }
        for n in 0..10_000 {
            assert_eq!(nodes.find(&format!("/n{n}")).is_some(), n % 3 != 0);
        }
        assert_eq!(nodes.children(ROOT).count(), nodes.count() - 1);
        assert_eq!(nodes.subtree(ROOT).count(), nodes.count());
    }
}
