//! What a transaction does. It cannot be refused: refusals were made facts before it got here.
//!
//! Applying again what a snapshot already contains is harmless, exactly as in Java: a node that is there
//! is kept, one that is gone stays gone, and the parent's counters only grow. Nothing is consulted but
//! the transaction and the tree.

use super::edit::length;
use super::node::NodeId;
use super::owner::{CONTAINER, Owner};
use super::{CONFIG_PATH, Tree, Trust};
use std::borrow::Cow;
use std::sync::Arc;
use zk_proto::path;
use zk_proto::txn::{Creation, Txn, TxnRecord};
use zk_proto::{
    Acl, ErrorCode, EventType, MultiResult, Reply, SessionId, Stat, StoredStat, Version, Zxid,
};

/// What came of a transaction.
#[derive(Debug)]
pub struct Applied<'r> {
    /// What its author is told.
    pub outcome: Outcome,
    /// What watchers are told, in this order.
    pub changes: Vec<Change<'r>>,
    /// Whether the tree's digest is the one the transaction's author computed (P29).
    pub digest_ok: bool,
}

/// What the author of a transaction is told.
#[derive(Debug)]
pub struct Outcome {
    /// The body of the reply, or why there is none.
    pub result: Result<Reply, ErrorCode>,
    /// The session that began with it, and its timeout in milliseconds.
    pub opened: Option<(SessionId, i32)>,
    /// The session that ended with it.
    pub closed: Option<SessionId>,
}

/// Something that watchers may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'r> {
    /// What happened.
    pub event: EventType,
    /// To which node; the root is `/`.
    pub path: Cow<'r, str>,
    /// Only who may read under this ACL is told.
    pub acl: Arc<[Acl]>,
}

/// Who and when, for every part of a transaction.
#[derive(Clone, Copy)]
pub(super) struct Context {
    pub(super) session: SessionId,
    pub(super) zxid: Zxid,
    pub(super) time: i64,
}

impl Tree {
    /// Applies a transaction.
    pub fn apply<'r>(&mut self, record: &'r TxnRecord) -> Applied<'r> {
        let mut changes = Vec::new();
        let context = Context {
            session: record.header.session,
            zxid: record.header.zxid,
            time: record.header.time,
        };
        let outcome = match &record.txn {
            Txn::CreateSession { timeout } => self.open_session(&record.header, *timeout),
            Txn::CloseSession { paths } => {
                self.close_session(context, paths.as_deref(), &mut changes)
            }
            Txn::Multi(parts) => Outcome::of(Ok(Reply::Multi(self.apply_multi(
                context,
                parts,
                &mut changes,
            )))),
            Txn::Error(_)
            | Txn::Create { .. }
            | Txn::Delete { .. }
            | Txn::DeleteContainer { .. }
            | Txn::SetData { .. }
            | Txn::Reconfig { .. }
            | Txn::SetAcl { .. }
            | Txn::Check { .. } => Outcome::of(self.apply_one(context, &record.txn, &mut changes)),
        };
        self.last_zxid = self.last_zxid.max(context.zxid);
        self.newest_time = self.newest_time.max(context.time);
        let (digest_ok, trust) = if self.rules.digest {
            self.trust.judge(context.zxid, self.digest, record.digest)
        } else {
            (true, Trust::Exact)
        };
        self.trust = trust;
        if self.rules.digest && !matches!(trust, Trust::From { .. }) {
            self.history.note(context.zxid, self.digest);
        }
        Applied {
            outcome,
            changes,
            digest_ok,
        }
    }

    /// Writes a server's own configuration over what a snapshot or a peer brought: not a transaction,
    /// and outside of the digest. The node's mzxid is the configuration's version.
    pub fn set_config(&mut self, text: &[u8], version: Zxid, time: i64) -> Vec<Change<'static>> {
        let context = Context {
            session: SessionId::NONE,
            zxid: version,
            time,
        };
        let mut changes = Vec::new();
        let _stat = self.set_data(context, CONFIG_PATH, Some(text), Version(-1), &mut changes);
        changes
    }

    fn apply_multi<'r>(
        &mut self,
        context: Context,
        parts: &'r [Txn],
        changes: &mut Vec<Change<'r>>,
    ) -> Vec<MultiResult> {
        let failed = parts.iter().position(|part| matches!(part, Txn::Error(_)));
        if let Some(first) = failed {
            return parts
                .iter()
                .enumerate()
                .map(|(index, part)| {
                    MultiResult::Error(if let Txn::Error(code) = part {
                        code.to_wire()
                    } else if index < first {
                        0
                    } else {
                        ErrorCode::RuntimeInconsistency.to_wire()
                    })
                })
                .collect();
        }
        parts
            .iter()
            .map(|part| match self.apply_one(context, part, changes) {
                Ok(reply) => multi_result(part, reply),
                Err(code) => MultiResult::Error(code.to_wire()),
            })
            .collect()
    }

    /// What may stand alone as well as inside a multi.
    fn apply_one<'r>(
        &mut self,
        context: Context,
        txn: &'r Txn,
        changes: &mut Vec<Change<'r>>,
    ) -> Result<Reply, ErrorCode> {
        match txn {
            Txn::Create { creation, path, .. } => {
                let stat = self.create(context, txn, changes)?;
                Ok(match creation {
                    Creation::Create { .. } => Reply::Path(path.clone()),
                    Creation::Create2 { .. } | Creation::Container | Creation::Ttl(_) => {
                        Reply::PathStat(path.clone(), stat)
                    }
                })
            }
            Txn::Delete { path } | Txn::DeleteContainer { path } => {
                self.remove(path, context.zxid, changes)?;
                Ok(Reply::Empty)
            }
            Txn::SetData {
                path,
                data,
                version,
            } => {
                let stat = self.set_data(context, path, data.as_deref(), *version, changes)?;
                Ok(Reply::Stat(stat))
            }
            Txn::Reconfig {
                path,
                data,
                version,
            } => {
                let stat = self.set_data(context, path, data.as_deref(), *version, changes)?;
                Ok(Reply::Data(data.clone(), stat))
            }
            Txn::SetAcl { path, acl, version } => {
                self.set_acl(path, acl, *version).map(Reply::Stat)
            }
            Txn::Error(code) => Err(*code),
            Txn::Check { .. } => Ok(Reply::Empty),
            // None of them is a part of anything.
            Txn::CreateSession { .. } | Txn::CloseSession { .. } | Txn::Multi(_) => {
                Err(ErrorCode::MarshallingError)
            }
        }
    }

    fn create<'r>(
        &mut self,
        context: Context,
        txn: &'r Txn,
        changes: &mut Vec<Change<'r>>,
    ) -> Result<Stat, ErrorCode> {
        let Txn::Create {
            creation,
            path,
            data,
            acl,
            parent_cversion,
        } = txn
        else {
            return Err(ErrorCode::MarshallingError);
        };
        let (above, _) = path::split(path).ok_or(ErrorCode::NoNode)?;
        let parent = self.nodes.find(above).ok_or(ErrorCode::NoNode)?;
        if let Some(existing) = self.nodes.find(path) {
            // Only when applied again: the node may be a later one of the same name.
            self.edit_acl(existing, acl);
            if matches!(creation, Creation::Create { .. }) {
                self.raise_cversion(parent, above, *parent_cversion, context.zxid);
            }
            return Err(ErrorCode::NodeExists);
        }
        let cversion = match parent_cversion {
            -1 => self.nodes.get(parent).stored().cversion.next().0,
            &given => given,
        };
        self.raise_cversion(parent, above, cversion, context.zxid);
        let stat = StoredStat {
            czxid: context.zxid,
            mzxid: context.zxid,
            pzxid: context.zxid,
            ctime: context.time,
            mtime: context.time,
            ephemeral_owner: self.owner_of(*creation, context.session),
            ..StoredStat::default()
        };
        let data = data.as_deref();
        let number = self.acls.acquire(acl);
        let id = self.attach(path, data, number, &stat);
        // Before quotas are settled: a new usage node is told with the text that was asked for.
        let told = self.nodes.get(id).stat(&self.rules);
        self.note_quota_created(path);
        self.charge(path, 1, length(data));
        changes.push(Change {
            event: EventType::Created,
            path: path.into(),
            acl: self.acls.get(number).clone(),
        });
        changes.push(self.children_changed(above, parent));
        Ok(told)
    }

    const fn owner_of(&self, creation: Creation, session: SessionId) -> i64 {
        match creation {
            Creation::Create { ephemeral: true } | Creation::Create2 { ephemeral: true } => {
                session.to_wire()
            }
            Creation::Create { .. } | Creation::Create2 { .. } => 0,
            Creation::Container => CONTAINER,
            Creation::Ttl(ttl) => Owner::ttl_to_raw(ttl, &self.rules),
        }
    }

    /// The count of creations only grows: in a snapshot it may be ahead.
    fn raise_cversion(&mut self, parent: NodeId, path: &str, cversion: i32, zxid: Zxid) {
        self.edit_stat(parent, path, |stat| {
            if cversion > stat.cversion.0 {
                stat.cversion = Version(cversion);
                stat.pzxid = zxid;
            }
        });
    }

    fn children_changed<'r>(&self, path: &'r str, id: NodeId) -> Change<'r> {
        Change {
            event: EventType::ChildrenChanged,
            path: if path.is_empty() { "/" } else { path }.into(),
            acl: self.acls.get(self.nodes.get(id).acl).clone(),
        }
    }

    pub(super) fn remove<'r>(
        &mut self,
        path: &'r str,
        zxid: Zxid,
        changes: &mut Vec<Change<'r>>,
    ) -> Result<(), ErrorCode> {
        let (above, name) = path::split(path).ok_or(ErrorCode::NoNode)?;
        if name.is_empty() {
            // The root: no transaction of anyone deletes it.
            return Err(ErrorCode::NoNode);
        }
        let parent = self.nodes.find(above).ok_or(ErrorCode::NoNode)?;
        self.edit_stat(parent, above, |stat| stat.pzxid = stat.pzxid.max(zxid));
        let id = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        let node = self.nodes.get(id);
        let bytes = length(node.data());
        let acl = self.acls.get(node.acl).clone();
        self.detach(path, id);
        self.note_quota_deleted(path);
        self.charge(path, -1, -bytes);
        changes.push(Change {
            event: EventType::Deleted,
            path: path.into(),
            acl,
        });
        changes.push(self.children_changed(above, parent));
        Ok(())
    }

    fn set_data<'r>(
        &mut self,
        context: Context,
        path: &'r str,
        data: Option<&[u8]>,
        version: Version,
        changes: &mut Vec<Change<'r>>,
    ) -> Result<Stat, ErrorCode> {
        let id = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        let before = length(self.nodes.get(id).data());
        self.edit_data(id, key(path), data, |stat| {
            stat.version = version;
            stat.mzxid = context.zxid;
            stat.mtime = context.time;
        });
        let node = self.nodes.get(id);
        let stat = node.stat(&self.rules);
        changes.push(Change {
            event: EventType::DataChanged,
            path: path.into(),
            acl: self.acls.get(node.acl).clone(),
        });
        self.charge(path, 0, length(data) - before);
        Ok(stat)
    }

    fn set_acl(&mut self, path: &str, acl: &[Acl], version: Version) -> Result<Stat, ErrorCode> {
        let id = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        self.edit_acl(id, acl);
        self.edit_stat(id, key(path), |stat| stat.aversion = version);
        Ok(self.nodes.get(id).stat(&self.rules))
    }
}

/// The path under which the digest knows a node: the root is `""`.
fn key(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

impl Outcome {
    pub(super) const fn of(result: Result<Reply, ErrorCode>) -> Self {
        Self {
            result,
            opened: None,
            closed: None,
        }
    }
}

impl Change<'_> {
    /// The same, borrowing nothing.
    pub fn into_owned(self) -> Change<'static> {
        Change {
            path: Cow::Owned(self.path.into_owned()),
            event: self.event,
            acl: self.acl,
        }
    }
}

/// A part's reply in the form it takes inside a multi's.
fn multi_result(part: &Txn, reply: Reply) -> MultiResult {
    match (part, reply) {
        (_, Reply::Path(path)) => MultiResult::Create(path),
        (_, Reply::PathStat(path, stat)) => MultiResult::Create2(path, stat),
        (_, Reply::Stat(stat) | Reply::Data(_, stat)) => MultiResult::SetData(stat),
        (Txn::Check { .. }, _) => MultiResult::Check,
        _ => MultiResult::Delete,
    }
}
