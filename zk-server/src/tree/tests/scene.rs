//! A tree with what a leader needs around it: a clock and a counter that step, and changes in flight.

use super::super::{
    Applied, Asker, Identity, Internal, Pending, Rules, Stamp, Standing, Tree, prepare,
    prepare_internal,
};
use super::model::{AclKind, Op, user_of};
use bytes::Bytes;
use zk_proto::txn::TxnRecord;
use zk_proto::{
    Acl, Create, ErrorCode, MultiOp, OpCode, Perms, Reply, Request, SessionId, WireAcl, Xid, Zxid,
};

pub(super) struct Scene {
    pub(super) tree: Tree,
    pub(super) pending: Pending,
    pub(super) zxid: i64,
}

pub(super) const SESSION: SessionId = SessionId::from_wire(0x100);

impl Scene {
    /// A fresh tree in which one session is open.
    pub(super) fn new(rules: Rules) -> Self {
        let mut scene = Self {
            tree: Tree::new(rules),
            pending: Pending::new(),
            zxid: 0,
        };
        scene.open(SESSION);
        scene
    }

    pub(super) fn stamp(&mut self) -> Stamp {
        self.zxid += 1;
        Stamp {
            zxid: Zxid::from_wire(self.zxid),
            time: 1000 + self.zxid,
        }
    }

    pub(super) fn open(&mut self, session: SessionId) {
        let timeout = 4000;
        self.run_internal(Internal::CreateSession { session, timeout })
            .unwrap();
    }

    pub(super) fn run_internal(&mut self, internal: Internal) -> Result<Reply, ErrorCode> {
        let record = self.prepare_internal(internal);
        self.apply(&record)
    }

    pub(super) fn prepare_internal(&mut self, internal: Internal) -> TxnRecord {
        let stamp = self.stamp();
        prepare_internal(&self.tree, &mut self.pending, stamp, internal)
    }

    /// Prepares what a session with its user's identity asks.
    pub(super) fn prepare_as(&mut self, session: SessionId, request: &Request<'_>) -> TxnRecord {
        let identities = [
            Identity::new("ip", "127.0.0.1"),
            Identity::new("digest", user_of(session.to_wire())),
        ];
        self.prepare_with(session, &identities, Standing::Global, request)
    }

    pub(super) fn prepare_with(
        &mut self,
        session: SessionId,
        identities: &[Identity],
        standing: Standing,
        request: &Request<'_>,
    ) -> TxnRecord {
        let mut body = Vec::new();
        request.encode(&mut body);
        let frame = Bytes::from(body);
        let request = Request::decode(request.op(), &frame).expect("requests survive the wire");
        let asker = Asker {
            session,
            xid: Xid(7),
            identities,
            standing,
        };
        let stamp = self.stamp();
        prepare(
            &self.tree,
            &mut self.pending,
            &asker,
            stamp,
            &request,
            &frame,
        )
    }

    pub(super) fn prepare(&mut self, request: &Request<'_>) -> TxnRecord {
        self.prepare_as(SESSION, request)
    }

    /// Applies a record that was prepared here: its digest must be right.
    pub(super) fn apply(&mut self, record: &TxnRecord) -> Result<Reply, ErrorCode> {
        self.applied(record).outcome.result
    }

    pub(super) fn applied<'r>(&mut self, record: &'r TxnRecord) -> Applied<'r> {
        // What goes to a log must come back.
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let decoded = TxnRecord::decode(&Bytes::from(bytes), usize::MAX);
        assert_eq!(decoded.as_ref(), Ok(record));
        let applied = self.tree.apply(record);
        assert!(applied.digest_ok, "after {record:?}");
        self.pending.forget_up_to(record.header.zxid);
        applied
    }

    /// Prepares and applies at once.
    pub(super) fn run(&mut self, request: &Request<'_>) -> Result<Reply, ErrorCode> {
        let record = self.prepare(request);
        self.apply(&record)
    }

    pub(super) fn run_as(
        &mut self,
        session: SessionId,
        request: &Request<'_>,
    ) -> Result<Reply, ErrorCode> {
        let record = self.prepare_as(session, request);
        self.apply(&record)
    }
}

pub(super) fn open_acl() -> Option<Vec<WireAcl<'static>>> {
    Some(vec![Acl::world(Perms::ALL).into()])
}

pub(super) fn create(path: &str, flags: i32) -> Request<'_> {
    Request::Create(create_op(OpCode::Create, path, flags))
}

pub(super) fn create_op(op: OpCode, path: &str, flags: i32) -> Create<'_> {
    Create {
        op,
        path: path.into(),
        data: Some(b"data"),
        acl: open_acl(),
        flags,
        ttl: -1,
    }
}

pub(super) fn delete(path: &str) -> Request<'_> {
    Request::Delete {
        path: path.into(),
        version: -1,
    }
}

pub(super) fn set<'a>(path: &'a str, data: &'a [u8]) -> Request<'a> {
    Request::SetData {
        path: path.into(),
        data: Some(data),
        version: -1,
    }
}

/// The ACL that a kind asks for.
pub(super) fn wire_acl(kind: AclKind) -> Vec<WireAcl<'static>> {
    let read = || Acl::world(Perms::READ).into();
    match kind {
        AclKind::Open => vec![Acl::world(Perms::ALL).into()],
        AclKind::ReadOnly => vec![read()],
        AclKind::Mine => vec![
            Acl::new(Perms::ALL, "auth", "").into(),
            Acl::world(Perms::CREATE).into(),
        ],
        AclKind::Twice => vec![
            read(),
            Acl::new(Perms::ALL, "ip", "10.0.0.0/8").into(),
            read(),
        ],
        AclKind::Empty => vec![],
        AclKind::Unknown => vec![Acl::new(Perms::ALL, "nobody", "knows").into()],
    }
}

/// A model's operation as a request.
pub(super) fn request_of(op: &Op) -> Request<'_> {
    match op {
        Op::SetAcl { path, acl, version } => Request::SetAcl {
            path: path.into(),
            acl: Some(wire_acl(*acl)),
            version: *version,
        },
        Op::Multi(ops) => Request::Multi(ops.iter().map(multi_op_of).collect()),
        Op::Open | Op::Close | Op::Reap { .. } => unreachable!("no request"),
        Op::Create { .. } | Op::Delete { .. } | Op::SetData { .. } | Op::Check { .. } => {
            match multi_op_of(op) {
                MultiOp::Create(create) => Request::Create(create),
                MultiOp::Delete { path, version } => Request::Delete { path, version },
                MultiOp::SetData {
                    path,
                    data,
                    version,
                } => Request::SetData {
                    path,
                    data,
                    version,
                },
                MultiOp::Check { path, version } => Request::Check { path, version },
                MultiOp::GetData { .. } | MultiOp::GetChildren { .. } => unreachable!(),
            }
        }
    }
}

fn multi_op_of(op: &Op) -> MultiOp<'_> {
    match op {
        Op::Create {
            op,
            path,
            data,
            acl,
            flags,
            ttl,
        } => MultiOp::Create(Create {
            op: OpCode::from_wire(*op),
            path: path.into(),
            data: data.as_deref(),
            acl: Some(wire_acl(*acl)),
            flags: *flags,
            ttl: if *op == 21 { *ttl } else { -1 },
        }),
        Op::Delete { path, version } => MultiOp::Delete {
            path: path.into(),
            version: *version,
        },
        Op::SetData {
            path,
            data,
            version,
        } => MultiOp::SetData {
            path: path.into(),
            data: data.as_deref(),
            version: *version,
        },
        Op::Check { path, version } => MultiOp::Check {
            path: path.into(),
            version: *version,
        },
        Op::SetAcl { .. } | Op::Multi(_) | Op::Open | Op::Close | Op::Reap { .. } => {
            unreachable!("not inside a multi")
        }
    }
}
