//! Reads of many nodes at once, so many on their way at a time: whole subtrees, and those of which something was heard.

use super::Scope;
use super::mirror::{Bytes, CachedNode, Limits, Staged};
use std::collections::VecDeque;
use tracing::warn;
use zk_client::{Call, Client, Error, ErrorCode, Stat};

/// How many reads are on their way at a time.
const AT_A_TIME: usize = 64;

/// A read that is on its way.
enum Under {
    Data(String, usize, Call<(Bytes, Stat)>),
    Names(String, usize, Call<Vec<String>>),
}

/// Reads all that a scope covers, until the limits are reached.
pub(super) async fn subtree(
    client: &Client,
    scope: &Scope,
    limits: Limits,
) -> Result<Staged, Error> {
    let mut staged = Staged::default();
    staged.all = true;
    let (mut nodes, mut bytes, mut full) = (0, 0, false);
    let mut found = VecDeque::from([(scope.root.clone(), 0)]);
    let mut under_way = VecDeque::new();
    loop {
        while under_way.len() < AT_A_TIME
            && let Some((path, depth)) = found.pop_front()
        {
            let get = client.get(&path).timeout(None).send();
            under_way.push_back(Under::Data(path, depth, get));
        }
        match under_way.pop_front() {
            None => return Ok(staged),
            Some(Under::Data(path, depth, get)) => {
                let Some((data, stat)) = unless_gone(&path, get.await)? else {
                    continue;
                };
                let deeper = scope.depth.is_none_or(|most| depth < most);
                if deeper && stat.num_children > 0 {
                    let list = client.children(&path).timeout(None).send();
                    under_way.push_back(Under::Names(path.clone(), depth, list));
                }
                let node = CachedNode::new(&path, data, stat);
                if bytes + node.size() <= limits.bytes {
                    nodes += 1;
                    bytes += node.size();
                    staged.there(node);
                } else {
                    // It is too large, or there is hardly room for anything.
                    staged.left_out(&node);
                    full = !limits.have_room(nodes, bytes);
                }
            }
            Some(Under::Names(path, depth, list)) => {
                let names = unless_gone(&path, list.await)?.unwrap_or_default();
                let children = names.iter().map(|name| Scope::child(&path, name));
                found.extend(children.map(|child| (child, depth + 1)));
            }
        }
        if full || nodes >= limits.nodes {
            staged.truncated = !found.is_empty() || !under_way.is_empty();
            return Ok(staged);
        }
    }
}

/// Looks at some nodes.
pub(super) async fn nodes(
    client: &Client,
    paths: impl IntoIterator<Item = String>,
    staged: &mut Staged,
) -> Result<(), Error> {
    let mut paths = paths.into_iter();
    let mut under_way = VecDeque::new();
    loop {
        while under_way.len() < AT_A_TIME
            && let Some(path) = paths.next()
        {
            let get = client.get(&path).timeout(None).send();
            under_way.push_back((path, get));
        }
        let Some((path, get)) = under_way.pop_front() else {
            return Ok(());
        };
        match unless_gone(&path, get.await)? {
            Some((data, stat)) => staged.there(CachedNode::new(&path, data, stat)),
            None => staged.gone(&path),
        }
    }
}

/// A node that went meanwhile is none, and neither is one that we may not read.
fn unless_gone<T>(path: &str, read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) if error.code() == Some(ErrorCode::NoAuth) => {
            warn!(path, "a node may not be read, and is left out");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
