//! Arbitrary values of everything that has a form on the wire.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::borrow::Cow;
use zk_proto::txn::{Creation, Txn, TxnDigest, TxnHeader, TxnRecord};
use zk_proto::{
    Acl, AddWatchMode, ClientInfo, ConnectRequest, ConnectResponse, Create, ErrorCode, EventType,
    MultiOp, MultiResult, OpCode, PASSWORD_LEN, Perms, Reply, Request, SessionId, Stat, StoredStat,
    Version, WatchEvent, WatchLists, WatcherType, WireAcl, Xid, Zxid,
};

/// What borrowed data borrows from.
static POOL: [u8; 64] =
    *b"\0\x01\x02\x03\xff\xfe\x80\x7f0123456789abcdefghijklmnopqrstuvwxyz/.:,;-_ ABCDEFGHIJKL";

fn slice() -> impl Strategy<Value = &'static [u8]> {
    (0..POOL.len(), 0..POOL.len()).prop_map(|(a, b)| &POOL[a.min(b)..a.max(b)])
}

fn data() -> impl Strategy<Value = Option<&'static [u8]>> {
    option::weighted(0.8, slice())
}

fn shared() -> impl Strategy<Value = Option<Bytes>> {
    data().prop_map(|data| data.map(Bytes::from_static))
}

fn owned() -> impl Strategy<Value = String> {
    prop_oneof!["(/[a-z]{1,5}){1,3}", ".{0,12}", any::<String>()]
}

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    owned().prop_map(Cow::Owned)
}

fn texts() -> impl Strategy<Value = Vec<Cow<'static, str>>> {
    vec(text(), 0..4)
}

fn zxid() -> impl Strategy<Value = Zxid> {
    any::<i64>().prop_map(Zxid::from_wire)
}

fn version() -> impl Strategy<Value = Version> {
    any::<i32>().prop_map(Version)
}

fn session() -> impl Strategy<Value = SessionId> {
    any::<i64>().prop_map(SessionId::from_wire)
}

pub(crate) fn any_xid() -> impl Strategy<Value = Xid> {
    any::<i32>().prop_map(Xid)
}

pub(crate) fn any_acl() -> impl Strategy<Value = Acl> {
    (any::<i32>(), owned(), owned())
        .prop_map(|(perms, scheme, id)| Acl::new(Perms(perms), scheme, id))
}

fn asked_acl() -> impl Strategy<Value = Vec<WireAcl<'static>>> {
    let entry =
        (any::<i32>(), option::of(text()), option::of(text())).prop_map(|(perms, scheme, id)| {
            WireAcl {
                perms: Perms(perms),
                scheme,
                id,
            }
        });
    vec(entry, 0..4)
}

pub(crate) fn any_stat() -> impl Strategy<Value = Stat> {
    (
        (
            zxid(),
            zxid(),
            zxid(),
            any::<i64>(),
            any::<i64>(),
            session(),
        ),
        (version(), version(), version(), any::<i32>(), any::<i32>()),
    )
        .prop_map(
            |((czxid, mzxid, pzxid, ctime, mtime, ephemeral_owner), numbers)| {
                let (version, cversion, aversion, data_length, num_children) = numbers;
                Stat {
                    czxid,
                    mzxid,
                    ctime,
                    mtime,
                    version,
                    cversion,
                    aversion,
                    ephemeral_owner,
                    data_length,
                    num_children,
                    pzxid,
                }
            },
        )
}

pub(crate) fn any_stored_stat() -> impl Strategy<Value = StoredStat> {
    any_stat().prop_map(|stat| StoredStat {
        czxid: stat.czxid,
        mzxid: stat.mzxid,
        ctime: stat.ctime,
        mtime: stat.mtime,
        version: stat.version,
        cversion: stat.cversion,
        aversion: stat.aversion,
        ephemeral_owner: stat.ephemeral_owner.to_wire(),
        pzxid: stat.pzxid,
    })
}

pub(crate) fn any_create() -> impl Strategy<Value = Create<'static>> {
    let ops = [
        OpCode::Create,
        OpCode::Create2,
        OpCode::CreateContainer,
        OpCode::CreateTtl,
    ];
    (
        select(ops.to_vec()),
        text(),
        data(),
        option::of(asked_acl()),
        any::<i32>(),
        any::<i64>(),
    )
        .prop_map(|(op, path, data, acl, flags, ttl)| Create {
            op,
            path,
            data,
            acl,
            flags,
            ttl: if op == OpCode::CreateTtl { ttl } else { -1 },
        })
}

pub(crate) fn any_multi_op() -> impl Strategy<Value = MultiOp<'static>> {
    let create = (any_create(), asked_acl(), 0..7).prop_map(|(create, acl, flags)| {
        // Inside a multi the flags are judged where there is no TTL: five of them need none.
        let flags = if create.op == OpCode::CreateTtl {
            create.flags
        } else {
            flags % 5
        };
        MultiOp::Create(Create {
            acl: Some(acl),
            flags,
            ..create
        })
    });
    prop_oneof![
        create,
        (text(), any::<i32>()).prop_map(|(path, version)| MultiOp::Delete { path, version }),
        (text(), any::<i32>()).prop_map(|(path, version)| MultiOp::Check { path, version }),
        (text(), data(), any::<i32>()).prop_map(|(path, data, version)| MultiOp::SetData {
            path,
            data,
            version
        }),
    ]
}

pub(crate) fn any_multi_read() -> impl Strategy<Value = MultiOp<'static>> {
    (text(), any::<bool>(), any::<bool>()).prop_map(|(path, watch, children)| {
        if children {
            MultiOp::GetChildren { path, watch }
        } else {
            MultiOp::GetData { path, watch }
        }
    })
}

fn watcher_type() -> impl Strategy<Value = WatcherType> {
    (1..=5).prop_map(|number| WatcherType::from_wire(number).expect("in the table"))
}

fn lists(with_persistent: bool) -> impl Strategy<Value = WatchLists<'static>> {
    (zxid(), texts(), texts(), texts(), texts(), texts()).prop_map(
        move |(relative_zxid, data, exist, child, persistent, recursive)| WatchLists {
            relative_zxid,
            data,
            exist,
            child,
            persistent: if with_persistent {
                persistent
            } else {
                Vec::new()
            },
            recursive: if with_persistent {
                recursive
            } else {
                Vec::new()
            },
        },
    )
}

fn plain_request() -> impl Strategy<Value = Request<'static>> {
    let with_watch = (text(), any::<bool>(), 0..4).prop_map(|(path, watch, op)| match op {
        0 => Request::Exists { path, watch },
        1 => Request::GetData { path, watch },
        2 => Request::GetChildren { path, watch },
        _ => Request::GetChildren2 { path, watch },
    });
    let with_path = (text(), 0..3).prop_map(|(path, op)| match op {
        0 => Request::GetAcl { path },
        1 => Request::Sync { path },
        _ => Request::GetAllChildrenNumber { path },
    });
    prop_oneof![
        with_watch,
        with_path,
        (text(), any::<i32>()).prop_map(|(path, version)| Request::Delete { path, version }),
        (text(), any::<i32>()).prop_map(|(path, version)| Request::Check { path, version }),
        (text(), data(), any::<i32>()).prop_map(|(path, data, version)| Request::SetData {
            path,
            data,
            version
        }),
        (text(), option::of(asked_acl()), any::<i32>())
            .prop_map(|(path, acl, version)| Request::SetAcl { path, acl, version }),
        select(vec![Request::Ping, Request::WhoAmI, Request::CloseSession]),
    ]
}

fn rare_request() -> impl Strategy<Value = Request<'static>> {
    prop_oneof![
        (
            option::of(text()),
            option::of(text()),
            option::of(text()),
            any::<i64>()
        )
            .prop_map(
                |(joining, leaving, new_members, config_id)| Request::Reconfig {
                    joining,
                    leaving,
                    new_members,
                    config_id,
                }
            ),
        (text(), watcher_type()).prop_map(|(path, kind)| Request::CheckWatches { path, kind }),
        (text(), watcher_type()).prop_map(|(path, kind)| Request::RemoveWatches { path, kind }),
        (any::<i32>(), option::of(text()), data()).prop_map(|(kind, scheme, auth)| Request::Auth {
            kind,
            scheme,
            auth
        }),
        lists(false).prop_map(Request::SetWatches),
        lists(true).prop_map(Request::SetWatches2),
        data().prop_map(|token| Request::Sasl { token }),
        option::of(text()).prop_map(|prefix| Request::GetEphemerals { prefix }),
        (text(), any::<bool>()).prop_map(|(path, recursive)| Request::AddWatch {
            path,
            mode: if recursive {
                AddWatchMode::PersistentRecursive
            } else {
                AddWatchMode::Persistent
            },
        }),
    ]
}

/// Any request but creates and multis, which have strategies of their own.
pub(crate) fn any_request() -> impl Strategy<Value = Request<'static>> {
    prop_oneof![plain_request(), rare_request()]
}

pub(crate) fn any_multi_result() -> impl Strategy<Value = MultiResult> {
    prop_oneof![
        owned().prop_map(MultiResult::Create),
        (owned(), any_stat()).prop_map(|(path, stat)| MultiResult::Create2(path, stat)),
        Just(MultiResult::Delete),
        any_stat().prop_map(MultiResult::SetData),
        Just(MultiResult::Check),
        (shared(), any_stat()).prop_map(|(data, stat)| MultiResult::GetData(data, stat)),
        vec(owned(), 0..4).prop_map(MultiResult::GetChildren),
        any::<i32>().prop_map(MultiResult::Error),
    ]
}

/// A reply, with an operation that it answers.
pub(crate) fn any_reply() -> impl Strategy<Value = (OpCode, Reply)> {
    fn of(
        ops: &'static [OpCode],
        reply: impl Strategy<Value = Reply> + 'static,
    ) -> BoxedStrategy<(OpCode, Reply)> {
        (select(ops), reply).boxed()
    }
    let info = (owned(), owned()).prop_map(|(scheme, user)| ClientInfo { scheme, user });
    let creates = &[OpCode::Create2, OpCode::CreateContainer, OpCode::CreateTtl];
    prop_oneof![
        of(
            &[
                OpCode::Delete,
                OpCode::Ping,
                OpCode::Auth,
                OpCode::CloseSession
            ],
            Just(Reply::Empty)
        ),
        of(
            &[OpCode::Create, OpCode::Sync],
            owned().prop_map(Reply::Path)
        ),
        of(
            creates,
            (owned(), any_stat()).prop_map(|(path, stat)| Reply::PathStat(path, stat))
        ),
        of(
            &[OpCode::Exists, OpCode::SetData, OpCode::SetAcl],
            any_stat().prop_map(Reply::Stat)
        ),
        of(
            &[OpCode::GetData, OpCode::Reconfig],
            (shared(), any_stat()).prop_map(|(data, stat)| Reply::Data(data, stat))
        ),
        of(
            &[OpCode::GetAcl],
            (vec(any_acl(), 0..4), any_stat()).prop_map(|(acl, stat)| Reply::Acl(acl, stat))
        ),
        of(
            &[OpCode::GetChildren, OpCode::GetEphemerals],
            vec(owned(), 0..4).prop_map(Reply::Names)
        ),
        of(
            &[OpCode::GetChildren2],
            (vec(owned(), 0..4), any_stat()).prop_map(|(names, stat)| Reply::Children(names, stat))
        ),
        of(
            &[OpCode::Multi, OpCode::MultiRead],
            vec(any_multi_result(), 0..6).prop_map(Reply::Multi)
        ),
        of(
            &[OpCode::GetAllChildrenNumber, OpCode::AddWatch],
            any::<i32>().prop_map(Reply::Number)
        ),
        of(&[OpCode::WhoAmI], vec(info, 0..4).prop_map(Reply::WhoAmI)),
        of(&[OpCode::Sasl], shared().prop_map(Reply::Token)),
        of(
            &[OpCode::CreateSession],
            any_connect_response().prop_map(Reply::Connected)
        ),
    ]
}

pub(crate) fn any_connect_request() -> impl Strategy<Value = ConnectRequest<'static>> {
    (
        any::<i32>(),
        zxid(),
        any::<i32>(),
        session(),
        data(),
        any::<Option<bool>>(),
    )
        .prop_map(
            |(protocol_version, last_zxid_seen, timeout, session, password, read_only)| {
                ConnectRequest {
                    protocol_version,
                    last_zxid_seen,
                    timeout,
                    session,
                    password: password.map(Cow::Borrowed),
                    read_only,
                }
            },
        )
}

pub(crate) fn any_connect_response() -> impl Strategy<Value = ConnectResponse> {
    let password = any::<[u8; PASSWORD_LEN]>();
    (
        any::<i32>(),
        any::<i32>(),
        session(),
        password,
        any::<Option<bool>>(),
    )
        .prop_map(
            |(protocol_version, timeout, session, password, read_only)| ConnectResponse {
                protocol_version,
                timeout,
                session,
                password,
                read_only,
            },
        )
}

pub(crate) fn any_event() -> impl Strategy<Value = WatchEvent> {
    (1..=4, owned()).prop_map(|(event, path)| WatchEvent {
        event: EventType::from_wire(event).expect("in the table"),
        path,
    })
}

/// What may stand alone and inside a multi.
fn part() -> impl Strategy<Value = Txn> {
    let creation = prop_oneof![
        any::<bool>().prop_map(|ephemeral| Creation::Create { ephemeral }),
        any::<bool>().prop_map(|ephemeral| Creation::Create2 { ephemeral }),
        Just(Creation::Container),
        any::<i64>().prop_map(Creation::Ttl),
    ];
    prop_oneof![
        any::<i32>()
            .prop_map(|err| { Txn::Error(ErrorCode::from_wire(err).unwrap_or(ErrorCode::NoNode)) }),
        (
            creation,
            owned(),
            shared(),
            vec(any_acl(), 0..4),
            any::<i32>()
        )
            .prop_map(|(creation, path, data, acl, parent_cversion)| Txn::Create {
                creation,
                path,
                data,
                acl,
                parent_cversion,
            }),
        owned().prop_map(|path| Txn::Delete { path }),
        owned().prop_map(|path| Txn::DeleteContainer { path }),
        (owned(), shared(), version()).prop_map(|(path, data, version)| Txn::SetData {
            path,
            data,
            version
        }),
    ]
}

fn any_txn() -> impl Strategy<Value = Txn> {
    let inside = prop_oneof![
        part(),
        (owned(), version()).prop_map(|(path, version)| Txn::Check { path, version })
    ];
    prop_oneof![
        4 => part(),
        1 => any::<i32>().prop_map(|timeout| Txn::CreateSession { timeout }),
        1 => option::of(vec(owned(), 0..4)).prop_map(|paths| Txn::CloseSession { paths }),
        1 => (owned(), shared(), version())
            .prop_map(|(path, data, version)| Txn::Reconfig { path, data, version }),
        1 => (owned(), vec(any_acl(), 0..4), version())
            .prop_map(|(path, acl, version)| Txn::SetAcl { path, acl, version }),
        2 => vec(inside, 0..5).prop_map(Txn::Multi),
    ]
}

pub(crate) fn any_txn_record() -> impl Strategy<Value = TxnRecord> {
    let header =
        (session(), any_xid(), zxid(), any::<i64>()).prop_map(|(session, cxid, zxid, time)| {
            TxnHeader {
                session,
                cxid,
                zxid,
                time,
            }
        });
    // Zero would read as two empty paths where a list of paths is missing; no tree's sum is zero.
    let digest = (1..=u64::MAX).prop_map(|digest| TxnDigest {
        version: TxnDigest::VERSION,
        digest,
    });
    (header, any_txn(), option::of(digest)).prop_map(|(header, txn, digest)| TxnRecord {
        header,
        txn,
        digest,
    })
}
