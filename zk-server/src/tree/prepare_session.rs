//! Preparing what no client asks for in so many words: sessions that begin and end, and reaping.

use super::owner::Owner;
use super::pending::Pending;
use super::prepare::{Stamp, parent_of_deletable, record};
use super::reap::ReapRules;
use super::{Tree, size};
use zk_proto::txn::{Txn, TxnRecord};
use zk_proto::{ErrorCode, SessionId, Xid};

/// A transaction that the server itself begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Internal {
    /// A session begins, with its negotiated timeout in milliseconds.
    CreateSession {
        /// Which.
        session: SessionId,
        /// The timeout.
        timeout: i32,
    },
    /// A session ends: by its client's wish, with the number of that request, or by expiry, without.
    CloseSession {
        /// Which.
        session: SessionId,
        /// The client's number, or [`Xid::INTERNAL`].
        xid: Xid,
    },
    /// A container or an aged node is due.
    Reap {
        /// Its path.
        path: String,
        /// What made it due, and must still.
        rules: ReapRules,
    },
}

/// Prepares a transaction of the server's own.
pub fn prepare_internal(
    tree: &Tree,
    pending: &mut Pending,
    stamp: Stamp,
    internal: Internal,
) -> TxnRecord {
    pending.mark();
    match internal {
        Internal::CreateSession { session, timeout } => {
            pending.open(session, stamp.zxid);
            let txn = Txn::CreateSession { timeout };
            record(tree, pending, session, Xid::INTERNAL, stamp, txn)
        }
        Internal::CloseSession { session, xid } => {
            let paths = close(tree, pending, session, stamp);
            close_record(tree, pending, (session, xid), stamp, paths)
        }
        Internal::Reap { path, rules } => {
            let txn = reap(tree, pending, stamp, (path, rules)).unwrap_or_else(Txn::Error);
            record(tree, pending, SessionId::NONE, Xid::INTERNAL, stamp, txn)
        }
    }
}

/// The record of a session's end. Without its list, every server deletes what it knows to be the
/// session's: as the operator may wish, and the way out for a list that grew too long elsewhere.
fn close_record(
    tree: &Tree,
    pending: &Pending,
    (session, xid): (SessionId, Xid),
    stamp: Stamp,
    paths: Vec<String>,
) -> TxnRecord {
    let txn = Txn::CloseSession { paths: Some(paths) };
    let fits = size::record_len(&txn) <= tree.rules.max_txn_len;
    if tree.rules.close_session_txn_list && fits {
        return record(tree, pending, session, xid, stamp, txn);
    }
    let bare = Txn::CloseSession { paths: None };
    TxnRecord {
        // A reader would take the digest for the missing list.
        digest: None,
        ..record(tree, pending, session, xid, stamp, bare)
    }
}

/// All nodes the session will own when everything in flight has been applied, in no promised order.
fn owned(tree: &Tree, pending: &Pending, session: SessionId) -> Vec<String> {
    let applied = tree.ephemerals.of(session).map(|id| tree.nodes.path(id));
    let untouched = applied.filter(|path| pending.touched(path).is_none());
    let raw = session.to_wire();
    // A path in flight may be touched without having been created there: ask for its newest owner.
    let still_owned = |path: &str| {
        let touched = pending.touched(path);
        touched.is_some_and(|view| view.is_some_and(|view| view.stat.ephemeral_owner == raw))
    };
    let changed = tree.ephemerals.of(session).map(|id| tree.nodes.path(id));
    let mut paths: Vec<String> = untouched
        .chain(changed.filter(|path| still_owned(path)))
        .chain(
            pending
                .created_for(session)
                .filter(|path| still_owned(path))
                .map(|path| path.as_ref().to_owned()),
        )
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Decision: the parents in flight lose the children. Java moves only their zxid, so that deleting such a
/// parent is refused as not empty until the closing is applied; no sequential order explains that (P2).
fn close(tree: &Tree, pending: &mut Pending, session: SessionId, stamp: Stamp) -> Vec<String> {
    let paths = owned(tree, pending, session);
    for path in &paths {
        let Some((above, _)) = zk_proto::path::split(path) else {
            continue;
        };
        if let Some(mut parent) = pending.view(tree, above) {
            parent.children = parent.children.saturating_sub(1);
            parent.stat.pzxid = parent.stat.pzxid.max(stamp.zxid);
            pending.put(tree, stamp.zxid, above, Some(parent));
        }
        pending.put(tree, stamp.zxid, path, None);
    }
    pending.close(session, stamp.zxid);
    paths
}

/// No session, no version and no ACL: the node must be there, empty, and still due. It may have been found
/// long ago: what is under the path by now can be somebody's ordinary node, or may have been used again.
fn reap(
    tree: &Tree,
    pending: &mut Pending,
    stamp: Stamp,
    (path, rules): (String, ReapRules),
) -> Result<Txn, ErrorCode> {
    let above = parent_of_deletable(&path)?;
    let node = pending.view(tree, &path).ok_or(ErrorCode::NoNode)?;
    if node.children > 0 {
        return Err(ErrorCode::NotEmpty);
    }
    let owner = Owner::from_raw(node.stat.ephemeral_owner, &tree.rules);
    if !rules.is_due(owner, &node.stat, stamp.time) {
        return Err(ErrorCode::BadVersion);
    }
    let mut parent = pending.view(tree, above).ok_or(ErrorCode::NoNode)?;
    parent.children = parent.children.saturating_sub(1);
    parent.stat.pzxid = parent.stat.pzxid.max(stamp.zxid);
    pending.put(tree, stamp.zxid, above, Some(parent));
    pending.put(tree, stamp.zxid, &path, None);
    Ok(Txn::DeleteContainer { path })
}
