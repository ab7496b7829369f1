//! From a question to a fact: what a write becomes, judged against the tree and everything in flight.
//!
//! Versions, sequence numbers, owners and times are settled here, once, by the leader; applying consults
//! nothing but the transaction. A refusal is a fact too: it takes a zxid and its place in the order.
//!
//! The order of checks is Java's, since it decides which refusal a client sees.

use super::access::{self, AclRefused, Identity};
use super::pending::{Pending, View};
use super::prepare_session::{Internal, prepare_internal};
use super::quota::{self, Track};
use super::{CONFIG_PATH, Tree, prepare_create, prepare_multi, size};
use bytes::Bytes;
use zk_proto::path;
use zk_proto::txn::{Txn, TxnDigest, TxnHeader, TxnRecord};
use zk_proto::{Acl, ErrorCode, Perms, Request, SessionId, Version, WireAcl, Xid, Zxid};

/// Whether a session is known to the whole ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    #[default]
    Global,
    /// Only to the server that accepted it, which vouches for it. It owns no ephemeral nodes.
    Local,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Asker<'a> {
    /// The session.
    pub session: SessionId,
    /// The session's number for the request.
    pub xid: Xid,
    /// What its connection has proved.
    pub identities: &'a [Identity],
    /// Where the session is known.
    pub standing: Standing,
}

/// The place of a transaction in the order, and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The place.
    pub zxid: Zxid,
    /// The leader's wall clock in milliseconds.
    pub time: i64,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// By a rule.
    Code(ErrorCode),
    /// As garbage: inside a multi, the whole of it.
    Garbage,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<AclRefused> for Refusal {
    fn from(refused: AclRefused) -> Self {
        match refused {
            AclRefused::Invalid => Self::Code(ErrorCode::InvalidAcl),
            AclRefused::Garbage => Self::Garbage,
        }
    }
}

/// One preparation under way.
pub(super) struct Preparation<'a> {
    pub(super) tree: &'a Tree,
    pub(super) pending: &'a mut Pending,
    pub(super) asker: &'a Asker<'a>,
    pub(super) stamp: Stamp,
    /// Where the request's data lies.
    pub(super) frame: &'a Bytes,
    /// What the ACLs of its parts together may still have as bytes.
    acl_room: usize,
}

/// Prepares a client's write. `frame` holds the bytes from which the request was decoded; data stays a
/// slice of it.
///
/// # Panics
///
/// If the request's data lies outside of `frame`.
pub fn prepare(
    tree: &Tree,
    pending: &mut Pending,
    asker: &Asker<'_>,
    stamp: Stamp,
    request: &Request<'_>,
    frame: &Bytes,
) -> TxnRecord {
    if let Request::CloseSession = request {
        let (session, xid) = (asker.session, asker.xid);
        return prepare_internal(
            tree,
            pending,
            stamp,
            Internal::CloseSession { session, xid },
        );
    }
    let mark = pending.mark();
    let mut preparation = Preparation {
        tree,
        pending,
        asker,
        stamp,
        frame,
        acl_room: tree.rules.max_txn_len,
    };
    let txn = preparation.dispatch(request).and_then(|txn| {
        // ZOOKEEPER-4306: what a peer or a restarted server could not read back is never proposed.
        if size::record_len(&txn) > tree.rules.max_txn_len {
            Err(Refusal::Garbage)
        } else {
            Ok(txn)
        }
    });
    let txn = txn.unwrap_or_else(|refusal| {
        pending.roll_back(mark);
        Txn::Error(match refusal {
            Refusal::Code(code) => code,
            Refusal::Garbage => ErrorCode::MarshallingError,
        })
    });
    record(tree, pending, asker.session, asker.xid, stamp, txn)
}

/// The transaction of a request that was refused before it came here: undecodable, moved, or not allowed.
pub fn prepare_refusal(asker: &Asker<'_>, stamp: Stamp, code: ErrorCode) -> TxnRecord {
    TxnRecord {
        header: header(asker.session, asker.xid, stamp),
        txn: Txn::Error(code),
        digest: None,
    }
}

/// Whether one may write the configuration.
pub fn check_reconfig(tree: &Tree, pending: &Pending, asker: &Asker<'_>) -> Result<(), ErrorCode> {
    let node = pending.view(tree, CONFIG_PATH).ok_or(ErrorCode::NoNode)?;
    if access::permits(&tree.rules, &node.acl, asker.identities, Perms::WRITE) {
        Ok(())
    } else {
        Err(ErrorCode::NoAuth)
    }
}

/// Prepares a reconfiguration whose text has been agreed on. The rules about members are not the tree's;
/// the tree knows only who may write the configuration.
pub fn prepare_reconfig(
    tree: &Tree,
    pending: &mut Pending,
    asker: &Asker<'_>,
    stamp: Stamp,
    config: Bytes,
) -> TxnRecord {
    pending.mark();
    let frame = Bytes::new();
    let mut preparation = Preparation {
        tree,
        pending,
        asker,
        stamp,
        frame: &frame,
        acl_room: 0,
    };
    let txn = preparation.reconfig(config).unwrap_or_else(Txn::Error);
    record(tree, pending, asker.session, asker.xid, stamp, txn)
}

const fn header(session: SessionId, xid: Xid, stamp: Stamp) -> TxnHeader {
    TxnHeader {
        session,
        cxid: xid,
        zxid: stamp.zxid,
        time: stamp.time,
    }
}

/// Completes a record. The digest is that of the tree after the transaction; a refusal carries none.
pub(super) fn record(
    tree: &Tree,
    pending: &Pending,
    session: SessionId,
    xid: Xid,
    stamp: Stamp,
    txn: Txn,
) -> TxnRecord {
    let digested = tree.rules.digest && !matches!(txn, Txn::Error(_));
    TxnRecord {
        header: header(session, xid, stamp),
        digest: digested.then(|| TxnDigest {
            version: TxnDigest::VERSION,
            digest: pending.digest_now(tree),
        }),
        txn,
    }
}

impl Preparation<'_> {
    fn dispatch(&mut self, request: &Request<'_>) -> Result<Txn, Refusal> {
        match request {
            Request::Create(create) => {
                prepare_create::create(self, create, prepare_create::Kind::of(create.op))
            }
            Request::Delete { path, version } => self.delete(path, *version),
            Request::SetData {
                path,
                data,
                version,
            } => self.set_data(path, *data, *version),
            Request::SetAcl { path, acl, version } => self.set_acl(path, acl.as_deref(), *version),
            Request::Multi(ops) => prepare_multi::multi(self, ops),
            // A check on its own is refused, as are reconfigurations that come this way; nothing else
            // here is a write.
            Request::Check { .. }
            | Request::Reconfig { .. }
            | Request::Exists { .. }
            | Request::GetData { .. }
            | Request::GetAcl { .. }
            | Request::GetChildren { .. }
            | Request::Sync { .. }
            | Request::Ping
            | Request::GetChildren2 { .. }
            | Request::CheckWatches { .. }
            | Request::RemoveWatches { .. }
            | Request::MultiRead(_)
            | Request::Auth { .. }
            | Request::SetWatches(_)
            | Request::Sasl { .. }
            | Request::GetEphemerals { .. }
            | Request::GetAllChildrenNumber { .. }
            | Request::SetWatches2(_)
            | Request::AddWatch { .. }
            | Request::WhoAmI
            | Request::CloseSession => Err(ErrorCode::Unimplemented.into()),
        }
    }

    /// The session must be open, also after everything in flight.
    pub(super) fn check_session(&self) -> Result<(), ErrorCode> {
        let session = self.asker.session;
        let open = match self.asker.standing {
            Standing::Global => self.pending.knows(self.tree, session),
            Standing::Local => !self.pending.is_closing(session),
        };
        if open {
            Ok(())
        } else {
            Err(ErrorCode::SessionExpired)
        }
    }

    pub(super) fn view(&self, path: &str) -> Result<View, ErrorCode> {
        self.pending.view(self.tree, path).ok_or(ErrorCode::NoNode)
    }

    pub(super) fn put(&mut self, path: &str, view: Option<View>) {
        self.pending.put(self.tree, self.stamp.zxid, path, view);
    }

    pub(super) fn check_access(&self, acl: &[Acl], wanted: Perms) -> Result<(), ErrorCode> {
        if access::permits(&self.tree.rules, acl, self.asker.identities, wanted) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    pub(super) fn fix_up(&mut self, asked: Option<&[WireAcl<'_>]>) -> Result<Vec<Acl>, Refusal> {
        Ok(access::fix_up(
            &self.tree.rules,
            asked,
            self.asker.identities,
            &mut self.acl_room,
        )?)
    }

    pub(super) fn slice(&self, data: Option<&[u8]>) -> Option<Bytes> {
        data.map(|data| self.frame.slice_ref(data))
    }

    /// A hard quota is judged by what has been applied; what is in flight does not count yet.
    pub(super) fn check_quota(
        &mut self,
        path: &str,
        count: i64,
        bytes: i64,
    ) -> Result<(), ErrorCode> {
        let tree = self.tree;
        if !tree.rules.enforce_quota {
            return Ok(());
        }
        let Some(over) = tree.quotas.over(path) else {
            return Ok(());
        };
        let track = |path: &str| tree.get(path).map(|node| Track::parse(node.data()));
        let (Some(limits), Some(usage)) = (
            track(&quota::limits_path(over)),
            track(&quota::stats_path(over)),
        ) else {
            return Ok(());
        };
        if limits.forbids(&usage, count, bytes) {
            self.pending.note_over_quota(path);
            return Err(ErrorCode::QuotaExceeded);
        }
        Ok(())
    }

    fn reconfig(&mut self, config: Bytes) -> Result<Txn, ErrorCode> {
        const VERSION: Version = Version(-1);
        self.check_session()?;
        let mut node = self.view(CONFIG_PATH)?;
        self.check_access(&node.acl, Perms::WRITE)?;
        node.stat.version = VERSION;
        node.stat.mzxid = self.stamp.zxid;
        node.stat.mtime = self.stamp.time;
        self.put(CONFIG_PATH, Some(node));
        Ok(Txn::Reconfig {
            path: CONFIG_PATH.into(),
            data: Some(config),
            version: VERSION,
        })
    }
}

/// The whole path must be one.
pub(super) fn check_path(path: &str) -> Result<(), ErrorCode> {
    path::validate(path).map_err(|_| ErrorCode::BadArguments)
}

/// What a path needs before anything is looked up: a parent. Odd paths merely name nothing.
pub(super) fn parent_of(path: &str) -> Result<&str, ErrorCode> {
    match path::split(path) {
        Some((above, _)) if !path.contains('\0') => Ok(above),
        _ => Err(ErrorCode::BadArguments),
    }
}

/// The same, and the node is none of those that are always there.
pub(super) fn parent_of_deletable(path: &str) -> Result<&str, ErrorCode> {
    if matches!(path, "/" | "/zookeeper" | quota::QUOTA_PATH | CONFIG_PATH) {
        return Err(ErrorCode::BadArguments);
    }
    parent_of(path)
}
