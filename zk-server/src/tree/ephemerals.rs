//! Which nodes go with which session, and how long the transaction that deletes them would be.

use super::node::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use zk_proto::SessionId;

/// The nodes that sessions own.
#[derive(Debug, Default)]
pub(super) struct Ephemerals {
    nodes: BTreeSet<(SessionId, NodeId)>,
    /// Bytes that a session's paths take in its closing transaction.
    bytes: BTreeMap<SessionId, usize>,
}

/// Bytes a path takes in a closing transaction.
pub(super) fn listed_len(path: &str) -> usize {
    4 + path.len()
}

impl Ephemerals {
    pub(super) fn add(&mut self, session: SessionId, id: NodeId, path: &str) {
        if self.nodes.insert((session, id)) {
            *self.bytes.entry(session).or_default() += listed_len(path);
        }
    }

    pub(super) fn remove(&mut self, session: SessionId, id: NodeId, path: &str) {
        if self.nodes.remove(&(session, id))
            && let Some(bytes) = self.bytes.get_mut(&session)
        {
            *bytes -= listed_len(path);
            if *bytes == 0 {
                self.bytes.remove(&session);
            }
        }
    }

    /// The nodes of a session.
    pub(super) fn of(&self, session: SessionId) -> impl Iterator<Item = NodeId> {
        self.nodes
            .range((session, 0)..=(session, NodeId::MAX))
            .map(|&(_, id)| id)
    }

    /// Bytes that the session's paths take in its closing transaction.
    pub(super) fn bytes_of(&self, session: SessionId) -> usize {
        self.bytes.get(&session).copied().unwrap_or_default()
    }

    /// The sessions that own nodes.
    pub(super) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.bytes.keys().copied()
    }

    /// How many nodes sessions own.
    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }
}
