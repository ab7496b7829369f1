//! One node, laid out to be small: a node that was only created needs 72 bytes besides its name and data.
//!
//! Name and data share one allocation. What differs from a fresh leaf (modifications, children, an owner)
//! lives in a second, optional one.

use super::Rules;
use super::owner::Owner;
use zk_proto::{Stat, StoredStat, Version, Zxid};

/// A node's place in the arena.
pub(super) type NodeId = u32;
/// No node.
pub(super) const NIL: NodeId = NodeId::MAX;
/// The root, which is always there.
pub(super) const ROOT: NodeId = 0;

const NULL_DATA: u32 = 1 << 31;

/// A node of the tree, or a free place in the arena.
#[derive(Debug)]
pub(super) struct Node {
    /// The name, then the data.
    payload: Box<[u8]>,
    czxid: i64,
    ctime: i64,
    rest: Option<Box<Rest>>,
    /// CRC-32 of path and data: the part of the digest that does not change with the stat.
    pub(super) prefix: u32,
    pub(super) parent: NodeId,
    pub(super) prev: NodeId,
    /// The next sibling; in a free place, the next free place.
    pub(super) next: NodeId,
    pub(super) first_child: NodeId,
    pub(super) acl: u32,
    /// Length of the name; the top bit says that the data is null.
    name_len: u32,
    /// The last image that has, or must not have, this node.
    pub(super) stamp: u32,
}

/// What distinguishes a node from a fresh leaf.
#[derive(Clone, Debug)]
struct Rest {
    mzxid: i64,
    mtime: i64,
    pzxid: i64,
    owner: i64,
    version: i32,
    cversion: i32,
    aversion: i32,
    children: u32,
}

impl Node {
    /// A node that no list knows yet.
    pub(super) fn new(name: &str, data: Option<&[u8]>, stat: &StoredStat) -> Self {
        let mut node = Self {
            payload: Box::default(),
            czxid: 0,
            ctime: 0,
            rest: None,
            prefix: 0,
            parent: NIL,
            prev: NIL,
            next: NIL,
            first_child: NIL,
            acl: 0,
            name_len: 0,
            stamp: 0,
        };
        node.set_payload(name.as_bytes(), data);
        node.set_stored(stat);
        node
    }

    /// A free place.
    pub(super) fn vacant(next: NodeId) -> Self {
        let mut node = Self::new("", None, &StoredStat::default());
        node.next = next;
        node
    }

    fn set_payload(&mut self, name: &[u8], data: Option<&[u8]>) {
        let mut payload = Vec::with_capacity(name.len() + data.map_or(0, <[u8]>::len));
        payload.extend_from_slice(name);
        payload.extend_from_slice(data.unwrap_or_default());
        self.payload = payload.into_boxed_slice();
        let name_len = u32::try_from(name.len()).expect("a name is far below two gigabytes");
        self.name_len = name_len | if data.is_none() { NULL_DATA } else { 0 };
    }

    fn name_len(&self) -> usize {
        (self.name_len & !NULL_DATA) as usize
    }

    /// The last component of the path.
    pub(super) fn name(&self) -> &[u8] {
        &self.payload[..self.name_len()]
    }

    /// The last component as text, which it always was.
    pub(super) fn name_str(&self) -> &str {
        std::str::from_utf8(self.name()).expect("a name is a part of a path, which is text")
    }

    pub(super) fn data(&self) -> Option<&[u8]> {
        (self.name_len & NULL_DATA == 0).then(|| &self.payload[self.name_len()..])
    }

    pub(super) fn data_len(&self) -> usize {
        self.payload.len() - self.name_len()
    }

    pub(super) fn set_data(&mut self, data: Option<&[u8]>) {
        let old = std::mem::take(&mut self.payload);
        let name_len = self.name_len();
        self.set_payload(&old[..name_len], data);
    }

    pub(super) fn children(&self) -> u32 {
        self.rest.as_ref().map_or(0, |rest| rest.children)
    }

    pub(super) fn set_children(&mut self, children: u32) {
        if children != self.children() {
            self.rest_mut().children = children;
        }
    }

    pub(super) fn raw_owner(&self) -> i64 {
        self.rest.as_ref().map_or(0, |rest| rest.owner)
    }

    pub(super) fn owner(&self, rules: &Rules) -> Owner {
        Owner::from_raw(self.raw_owner(), rules)
    }

    fn rest_mut(&mut self) -> &mut Rest {
        self.rest.get_or_insert_with(|| {
            Box::new(Rest {
                mzxid: self.czxid,
                mtime: self.ctime,
                pzxid: self.czxid,
                owner: 0,
                version: 0,
                cversion: 0,
                aversion: 0,
                children: 0,
            })
        })
    }

    pub(super) fn stored(&self) -> StoredStat {
        let fresh = StoredStat {
            czxid: Zxid::from_wire(self.czxid),
            mzxid: Zxid::from_wire(self.czxid),
            pzxid: Zxid::from_wire(self.czxid),
            ctime: self.ctime,
            mtime: self.ctime,
            ..StoredStat::default()
        };
        match &self.rest {
            None => fresh,
            Some(rest) => StoredStat {
                mzxid: Zxid::from_wire(rest.mzxid),
                pzxid: Zxid::from_wire(rest.pzxid),
                mtime: rest.mtime,
                version: Version(rest.version),
                cversion: Version(rest.cversion),
                aversion: Version(rest.aversion),
                ephemeral_owner: rest.owner,
                ..fresh
            },
        }
    }

    pub(super) fn set_stored(&mut self, stat: &StoredStat) {
        // Before czxid and ctime move: what is not stored apart is derived from them.
        let children = self.children();
        (self.czxid, self.ctime) = (stat.czxid.to_wire(), stat.ctime);
        let fresh = StoredStat {
            czxid: stat.czxid,
            mzxid: stat.czxid,
            pzxid: stat.czxid,
            ctime: stat.ctime,
            mtime: stat.ctime,
            ..StoredStat::default()
        };
        if self.rest.is_none() && *stat == fresh {
            return;
        }
        *self.rest_mut() = Rest {
            mzxid: stat.mzxid.to_wire(),
            mtime: stat.mtime,
            pzxid: stat.pzxid.to_wire(),
            owner: stat.ephemeral_owner,
            version: stat.version.0,
            cversion: stat.cversion.0,
            aversion: stat.aversion.0,
            children,
        };
    }

    /// What clients are told.
    pub(super) fn stat(&self, rules: &Rules) -> Stat {
        let stored = self.stored();
        let children = i32::try_from(self.children()).unwrap_or(i32::MAX);
        Stat {
            czxid: stored.czxid,
            mzxid: stored.mzxid,
            ctime: stored.ctime,
            mtime: stored.mtime,
            version: stored.version,
            // Creations twice, less those that are still there: creations and deletions.
            cversion: Version(stored.cversion.0.wrapping_mul(2).wrapping_sub(children)),
            aversion: stored.aversion,
            ephemeral_owner: self.owner(rules).shown(),
            data_length: i32::try_from(self.data_len()).unwrap_or(i32::MAX),
            num_children: children,
            pzxid: stored.pzxid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_small() {
        assert_eq!(size_of::<Node>(), 72);
        assert_eq!(size_of::<Rest>(), 48);
    }

    #[test]
    fn every_stat_survives_being_stored() {
        let fresh = StoredStat {
            czxid: Zxid::from_wire(7),
            mzxid: Zxid::from_wire(7),
            pzxid: Zxid::from_wire(7),
            ctime: 3,
            mtime: 3,
            ..StoredStat::default()
        };
        let mut node = Node::new("n", None, &fresh);
        assert!(node.rest.is_none());
        assert_eq!(node.stored(), fresh);
        node.set_children(2);
        let changed = StoredStat {
            czxid: Zxid::from_wire(8),
            mtime: 9,
            version: Version(-1),
            cversion: Version(5),
            ephemeral_owner: 77,
            ..fresh
        };
        node.set_stored(&changed);
        assert_eq!((node.stored(), node.children()), (changed, 2));
        let stat = node.stat(&Rules::default());
        assert_eq!(
            (stat.cversion, stat.ephemeral_owner.to_wire()),
            (Version(8), 77)
        );
    }

    #[test]
    fn null_data_is_not_empty_data() {
        let mut node = Node::new("näme", None, &StoredStat::default());
        assert_eq!((node.name_str(), node.data()), ("näme", None));
        node.set_data(Some(b""));
        assert_eq!((node.name_str(), node.data()), ("näme", Some(&b""[..])));
        node.set_data(Some(b"xyz"));
        assert_eq!((node.data(), node.data_len()), (Some(&b"xyz"[..]), 3));
    }
}
