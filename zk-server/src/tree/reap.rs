//! Which containers and aged nodes are due. The deletion itself is a transaction, judged once more.

use super::Tree;
use super::owner::Owner;

/// When a container is due.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReapRules {
    /// After how many milliseconds a container goes that never had a child; 0 is never
    /// (`znode.container.maxNeverUsedIntervalMs`).
    pub max_never_used: i64,
}

/// The paths that are due at a wall-clock time in milliseconds: empty containers that had a child, and
/// childless nodes whose TTL has passed since their creation or last data. In the order of their
/// places, which is that of their creation on a server that never deleted any.
pub fn reapable(tree: &Tree, now: i64, rules: ReapRules) -> impl Iterator<Item = String> {
    let age = move |mtime: i64| now.saturating_sub(mtime);
    let containers = tree.containers.iter().filter(move |&&id| {
        let node = tree.nodes.get(id);
        let stat = node.stored();
        let unused = rules.max_never_used != 0 && age(stat.mtime) > rules.max_never_used;
        node.children() == 0 && (stat.cversion.0 > 0 || (stat.cversion.0 == 0 && unused))
    });
    let aged = tree.ttls.iter().filter(move |&&id| {
        let node = tree.nodes.get(id);
        let Owner::Ttl(ttl) = node.owner(&tree.rules) else {
            return false;
        };
        node.children() == 0 && age(node.stored().mtime) > ttl
    });
    containers.chain(aged).map(|&id| tree.nodes.path(id))
}
