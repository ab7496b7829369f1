//! What the beginning and the end of a session do.

use super::Tree;
use super::apply::{Change, Context, Outcome};
use super::node::NodeId;
use zk_proto::txn::TxnHeader;
use zk_proto::{Reply, SessionId, Zxid};

impl Tree {
    pub(super) fn open_session(&mut self, header: &TxnHeader, timeout: i32) -> Outcome {
        self.sessions.insert(header.session, timeout);
        let server = header.session.to_wire() >> 56;
        let newest = self.newest_sessions.entry(server).or_insert(header.session);
        *newest = header.session.max(*newest);
        Outcome {
            opened: Some((header.session, timeout)),
            ..Outcome::of(Ok(Reply::Empty))
        }
    }

    /// Deletes what the transaction lists, then what else the session owns here.
    pub(super) fn close_session<'r>(
        &mut self,
        context: Context,
        paths: Option<&'r [String]>,
        changes: &mut Vec<Change<'r>>,
    ) -> Outcome {
        for path in paths.unwrap_or_default() {
            // Missing ones are no news: the list may be older than the snapshot.
            self.remove(path, context.zxid, changes).unwrap_or_default();
        }
        self.remove_all_of(context.session, context.zxid, changes);
        self.sessions.remove(&context.session);
        Outcome {
            closed: Some(context.session),
            ..Outcome::of(Ok(Reply::Empty))
        }
    }

    fn remove_all_of(
        &mut self,
        session: SessionId,
        zxid: Zxid,
        changes: &mut Vec<Change<'_>>,
    ) -> usize {
        let ids: Vec<NodeId> = self.ephemerals.of(session).collect();
        for &id in &ids {
            let path = self.nodes.path(id);
            let mut own = Vec::new();
            self.remove(&path, zxid, &mut own).unwrap_or_default();
            for change in own {
                changes.push(change.into_owned());
            }
        }
        ids.len()
    }

    /// Removes the nodes of sessions that are not open: to be done before a server that was alone, or
    /// became leader, serves its snapshot. Returns how many.
    pub fn kill_orphans(&mut self) -> usize {
        let orphaned: Vec<SessionId> = self
            .ephemerals
            .sessions()
            .filter(|session| !self.sessions.contains_key(session))
            .collect();
        let zxid = self.last_zxid;
        orphaned
            .into_iter()
            .map(|session| self.remove_all_of(session, zxid, &mut Vec::new()))
            .sum()
    }
}
