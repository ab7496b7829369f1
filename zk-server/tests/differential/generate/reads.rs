//! Requests that look, wait and watch, and those about the connection itself.

use super::words::path;
use crate::rng::Rng;
use crate::script::{AUTH_XID, Ask, digest_auth};
use bytes::BufMut;
use zk_proto::jute::JuteMut;
use zk_proto::{MultiOp, OpCode, Request, WatchLists, Zxid};

pub(crate) fn read(rng: &mut Rng) -> Request<'static> {
    let watch = rng.permille(350);
    let path = path(rng).into();
    match rng.below(14) {
        0..4 => Request::Exists { path, watch },
        4..8 => Request::GetData { path, watch },
        8..10 => Request::GetChildren { path, watch },
        10..12 => Request::GetChildren2 { path, watch },
        12 => Request::GetAcl { path },
        _ => Request::GetAllChildrenNumber { path },
    }
}

pub(crate) fn ephemerals(rng: &mut Rng) -> Request<'static> {
    let prefix = rng.pick(&[
        None,
        Some(""),
        Some(" "),
        Some("/"),
        Some("/a"),
        Some("/a/"),
        Some("a"),
        Some("/b/s-"),
    ]);
    Request::GetEphemerals {
        prefix: prefix.map(Into::into),
    }
}

pub(crate) fn multi_read(rng: &mut Rng) -> Vec<u8> {
    let ops: Vec<MultiOp<'_>> = (0..rng.below(5))
        .map(|_| {
            let (path, watch) = (path(rng).into(), rng.permille(500));
            if rng.permille(500) {
                MultiOp::GetData { path, watch }
            } else {
                MultiOp::GetChildren { path, watch }
            }
        })
        .collect();
    let mut body = Vec::new();
    MultiOp::encode_all(&ops, &mut body);
    if rng.permille(30) {
        // A write among reads spoils the whole request.
        let len = body.len();
        body.truncate(len - 9);
        let path = path(rng).into();
        MultiOp::encode_all(&[MultiOp::Check { path, version: -1 }], &mut body);
    }
    body
}

fn path_and_number(rng: &mut Rng, number: i32) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_string(&path(rng));
    body.put_i32(number);
    body
}

/// addWatch, checkWatches, removeWatches; sometimes of a kind that does not exist.
pub(crate) fn watch(rng: &mut Rng, xid: i32) -> Ask {
    let (op, table): (_, &[(usize, i32)]) = match rng.below(10) {
        0..4 => (
            OpCode::AddWatch,
            &[(50, 0), (50, 1), (1, 2), (1, -1), (1, i32::MAX)],
        ),
        4..7 => (OpCode::CheckWatches, &KINDS),
        _ => (OpCode::RemoveWatches, &KINDS),
    };
    let number = rng.weighted(table);
    Ask::raw(xid, op.to_wire(), path_and_number(rng, number))
}

const KINDS: [(usize, i32); 8] = [
    (20, 1),
    (20, 2),
    (20, 3),
    (20, 4),
    (20, 5),
    (1, 0),
    (1, 6),
    (1, -1),
];

/// What a client sends after it has found its server again.
pub(crate) fn set_watches(rng: &mut Rng, xid: i32) -> Ask {
    let list = |rng: &mut Rng| (0..rng.below(4)).map(|_| path(rng).into()).collect();
    let lists = WatchLists {
        relative_zxid: Zxid::ZERO,
        data: list(rng),
        exist: list(rng),
        child: list(rng),
        persistent: list(rng),
        recursive: list(rng),
    };
    let request = if rng.permille(500) {
        Request::SetWatches(lists)
    } else {
        Request::SetWatches2(lists)
    };
    let mut ask = Ask::new(if rng.permille(700) { -8 } else { xid }, &request);
    ask.back = Some(rng.pick(&[0, 1, 2, 5, 20, 100, 1000, -10]));
    ask
}

/// Requests whose answers may overtake others, or that end the connection: always sent alone.
pub(crate) fn loner(rng: &mut Rng, xid: i32) -> Ask {
    match rng.below(16) {
        0..3 => Ask::raw(xid, OpCode::Check.to_wire(), path_and_number(rng, -1)),
        3..6 => digest_auth(rng.pick(&["alice:a", "bob:b", "carol", "", "a:b:c", ":"])),
        6 => auth(Some("ip"), Some(b"anything")),
        7 => auth(
            rng.pick(&[
                Some("world"),
                Some("sasl"),
                Some("x509"),
                Some("nonsense"),
                Some(""),
                None,
            ]),
            rng.pick(&[None, Some(&b"alice:a"[..])]),
        ),
        8 => auth(Some("digest"), None),
        9 | 10 => {
            let token = rng.pick(&[None, Some(&b""[..]), Some(&b"token"[..])]);
            Ask::new(xid, &Request::Sasl { token })
        }
        11 | 12 => {
            let op = rng.pick(&[
                0,
                10,
                23,
                50,
                99,
                108,
                109,
                1000,
                -1,
                -2,
                -3,
                -9,
                i32::MIN,
                i32::MAX,
            ]);
            Ask::raw(xid, op, path_and_number(rng, 0))
        }
        13 => reconfig(rng, xid),
        _ => Ask::new(xid, &Request::CloseSession),
    }
}

fn auth(scheme: Option<&str>, auth: Option<&[u8]>) -> Ask {
    Ask::new(
        AUTH_XID,
        &Request::Auth {
            kind: 0,
            scheme: scheme.map(Into::into),
            auth,
        },
    )
}

fn reconfig(rng: &mut Rng, xid: i32) -> Ask {
    let members = rng.pick(&[
        None,
        Some(""),
        Some("server.1=127.0.0.1:2888:3888;2181"),
        Some("nonsense"),
    ]);
    Ask::new(
        xid,
        &Request::Reconfig {
            joining: rng
                .pick(&[None, Some("server.2=127.0.0.1:2889:3889;2182")])
                .map(Into::into),
            leaving: rng.pick(&[None, Some("1")]).map(Into::into),
            new_members: members.map(Into::into),
            config_id: rng.pick(&[-1, 0, 7]),
        },
    )
}
