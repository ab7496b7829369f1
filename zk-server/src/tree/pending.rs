//! Changes that were prepared and not yet applied, as the next preparation must see them.
//!
//! For each touched path the newest state is kept: stat, number of children, ACL, or that it is gone. A
//! state is forgotten when the transaction that made it, or a later one, has been applied: from then on
//! the tree says the same.

use super::ephemerals::listed_len;
use super::{Tree, digest};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use zk_proto::{Acl, SessionId, StoredStat, Zxid};

/// A node as it will be once everything prepared has been applied.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) stat: StoredStat,
    pub(super) children: u32,
    pub(super) acl: Arc<[Acl]>,
    /// CRC-32 of path and data; see [`digest::prefix`].
    pub(super) prefix: u32,
}

impl View {
    fn digest(&self) -> u64 {
        digest::of_node(self.prefix, &self.stat)
    }
}

/// The newest state of a path; `None` is gone.
#[derive(Clone, Debug)]
struct Record {
    zxid: Zxid,
    view: Option<View>,
}

/// What was noted, for forgetting it in order.
#[derive(Debug)]
struct Note {
    zxid: Zxid,
    path: Arc<str>,
    /// The session for which the node was created.
    owner: Option<SessionId>,
}

/// What becomes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Opens,
    Closes,
}

/// All that is in flight.
#[derive(Debug, Default)]
pub struct Pending {
    records: HashMap<Arc<str>, Record, FixedState>,
    notes: VecDeque<Note>,
    /// The tree's digest after the last note.
    digest: Option<u64>,
    /// What the running preparation has replaced.
    undo: Vec<(Arc<str>, Option<Record>)>,
    /// Sessions that begin or end, and the transaction by which they last do.
    sessions: BTreeMap<SessionId, (Zxid, Fate)>,
    /// All such transactions in order.
    fates: VecDeque<(Zxid, SessionId)>,
    /// Creations in flight by the session that will own the node; one path may be created repeatedly.
    owned: BTreeMap<(SessionId, Arc<str>), u32>,
    /// Bytes that those creations will take in the transaction that closes the session.
    owned_len: BTreeMap<SessionId, usize>,
    /// What a hard quota refused last. In the transaction that refusal looks like others.
    over_quota: Option<String>,
}

/// Where a preparation began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    notes: usize,
    digest: Option<u64>,
}

impl Pending {
    /// Nothing in flight: the state of a new leader.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn note_over_quota(&mut self, path: &str) {
        self.over_quota = Some(path.to_owned());
    }

    /// The path of the write that a hard quota has refused since this was last asked for, if one was.
    pub fn take_over_quota(&mut self) -> Option<String> {
        self.over_quota.take()
    }

    /// How many changes are in flight.
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.fates.is_empty()
    }

    /// Everything up to a transaction has been applied.
    pub fn forget_up_to(&mut self, zxid: Zxid) {
        while let Some(note) = self.notes.front()
            && note.zxid <= zxid
        {
            let note = self.notes.pop_front().expect("it was just seen");
            self.disown(&note);
            if self
                .records
                .get(&note.path)
                .is_some_and(|record| record.zxid <= zxid)
            {
                self.records.remove(&note.path);
            }
        }
        if self.notes.is_empty() {
            self.digest = None;
        }
        while let Some(&(at, session)) = self.fates.front()
            && at <= zxid
        {
            self.fates.pop_front();
            if self
                .sessions
                .get(&session)
                .is_some_and(|&(last, _)| last == at)
            {
                self.sessions.remove(&session);
            }
        }
    }

    fn disown(&mut self, note: &Note) {
        if let Some(session) = note.owner {
            if let Some(len) = self.owned_len.get_mut(&session) {
                *len -= listed_len(&note.path);
                if *len == 0 {
                    self.owned_len.remove(&session);
                }
            }
            let key = (session, note.path.clone());
            if let Some(count) = self.owned.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.owned.remove(&key);
                }
            }
        }
    }

    /// The node at a path, through everything in flight.
    pub(super) fn view(&self, tree: &Tree, path: &str) -> Option<View> {
        if let Some(record) = self.records.get(key(path)) {
            return record.view.clone();
        }
        let id = tree.nodes.find(path)?;
        let node = tree.nodes.get(id);
        Some(View {
            stat: node.stored(),
            children: node.children(),
            acl: tree.acls.get(node.acl).clone(),
            prefix: node.prefix,
        })
    }

    /// Begins a preparation that may have to be taken back.
    pub(super) fn mark(&mut self) -> Mark {
        self.undo.clear();
        Mark {
            notes: self.notes.len(),
            digest: self.digest,
        }
    }

    /// Takes everything since the mark back; what it had replaced stands again.
    pub(super) fn roll_back(&mut self, mark: Mark) {
        while self.notes.len() > mark.notes {
            let note = self.notes.pop_back().expect("there are more than the mark");
            self.disown(&note);
        }
        while let Some((path, before)) = self.undo.pop() {
            match before {
                Some(record) => self.records.insert(path, record),
                None => self.records.remove(&path),
            };
        }
        self.digest = mark.digest;
    }

    /// Notes a node's new state. The digest moves from the state before it.
    pub(super) fn put(&mut self, tree: &Tree, zxid: Zxid, path: &str, view: Option<View>) {
        if tree.rules.digest {
            let digest = self.digest_now(tree);
            self.digest = Some(if digest::counts(path) {
                let before = self.contribution(tree, path);
                digest
                    .wrapping_sub(before)
                    .wrapping_add(view.as_ref().map_or(0, View::digest))
            } else {
                digest
            });
        }
        let path = match self.records.get_key_value(key(path)) {
            Some((known, _)) => known.clone(),
            None => key(path).into(),
        };
        let before = self.records.insert(path.clone(), Record { zxid, view });
        self.undo.push((path.clone(), before));
        self.notes.push_back(Note {
            zxid,
            path,
            owner: None,
        });
    }

    /// What the newest state of a path adds to the digest.
    fn contribution(&self, tree: &Tree, path: &str) -> u64 {
        match self.records.get(key(path)) {
            Some(record) => record.view.as_ref().map_or(0, View::digest),
            None => tree.nodes.find(path).map_or(0, |id| {
                let node = tree.nodes.get(id);
                digest::of_node(node.prefix, &node.stored())
            }),
        }
    }

    /// Notes that the node just put will belong to a session.
    pub(super) fn own_last(&mut self, session: SessionId) {
        if let Some(note) = self.notes.back_mut() {
            note.owner = Some(session);
            *self.owned_len.entry(session).or_default() += listed_len(&note.path);
            *self.owned.entry((session, note.path.clone())).or_default() += 1;
        }
    }

    /// The tree's digest after everything in flight.
    pub(super) fn digest_now(&self, tree: &Tree) -> u64 {
        self.digest.unwrap_or(tree.digest)
    }

    /// The paths of nodes in flight that were created for a session.
    pub(super) fn created_for(&self, session: SessionId) -> impl Iterator<Item = &Arc<str>> {
        self.owned
            .range((session, Arc::from(""))..)
            .take_while(move |((owner, _), _)| *owner == session)
            .map(|((_, path), _)| path)
    }

    /// Bytes that they will take in the transaction that closes the session.
    pub(super) fn created_len(&self, session: SessionId) -> usize {
        self.owned_len.get(&session).copied().unwrap_or_default()
    }

    /// The newest state in flight of a path, if it is touched at all.
    pub(super) fn touched(&self, path: &str) -> Option<Option<&View>> {
        self.records
            .get(key(path))
            .map(|record| record.view.as_ref())
    }

    pub(super) fn open(&mut self, session: SessionId, zxid: Zxid) {
        self.sessions.insert(session, (zxid, Fate::Opens));
        self.fates.push_back((zxid, session));
    }

    pub(super) fn close(&mut self, session: SessionId, zxid: Zxid) {
        self.sessions.insert(session, (zxid, Fate::Closes));
        self.fates.push_back((zxid, session));
    }

    /// Whether a session will be open after everything in flight.
    pub fn knows(&self, tree: &Tree, session: SessionId) -> bool {
        match self.sessions.get(&session) {
            Some((_, fate)) => *fate == Fate::Opens,
            None => tree.sessions.contains_key(&session),
        }
    }

    /// Whether the closing of a session is in flight.
    pub fn is_closing(&self, session: SessionId) -> bool {
        matches!(self.sessions.get(&session), Some((_, Fate::Closes)))
    }
}

/// The root has one state, whichever of its two names is used. (In Java `""` and `/` do not see each
/// other; whoever wrote that wanted one state, and the transactions come out the same.)
fn key(path: &str) -> &str {
    if path == "/" { "" } else { path }
}
