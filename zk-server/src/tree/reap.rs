//! Which containers and aged nodes are due. The deletion itself is a transaction, judged once more.

use super::Tree;
use super::owner::Owner;
use zk_proto::StoredStat;

/// When a container is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReapRules {
    /// After how many milliseconds a container goes that never had a child; 0 is never
    /// (`znode.container.maxNeverUsedIntervalMs`).
    pub max_never_used: i64,
}

impl ReapRules {
    /// Whether a childless node is due at a wall-clock time in milliseconds: a container that had a child,
    /// or one whose TTL has passed since its creation or last data.
    pub(super) const fn is_due(self, owner: Owner, stat: &StoredStat, now: i64) -> bool {
        let age = now.saturating_sub(stat.mtime);
        match owner {
            Owner::Container => {
                let unused = self.max_never_used != 0 && age > self.max_never_used;
                stat.cversion.0 > 0 || (stat.cversion.0 == 0 && unused)
            }
            Owner::Ttl(ttl) => age > ttl,
            Owner::Nobody | Owner::Session(_) => false,
        }
    }
}

/// The paths that are due at a wall-clock time in milliseconds, containers first. In the order of their
/// places, which is that of their creation on a server that never deleted any.
pub fn reapable(tree: &Tree, now: i64, rules: ReapRules) -> impl Iterator<Item = String> {
    let candidates = tree.containers.iter().chain(&tree.ttls);
    let due = candidates.filter(move |&&id| {
        let node = tree.nodes.get(id);
        let owner = node.owner(&tree.rules);
        node.children() == 0 && rules.is_due(owner, &node.stored(), now)
    });
    due.map(|&id| tree.nodes.path(id))
}
