//! Requests that change the tree, alone and in multis.
//!
//! What is never generated, because it kills the reference: opcode 21 with a mode that has no TTL and a
//! negative TTL outside of a multi, and quota nodes whose text is not a list of numbers.

use super::words::{acl, create_acl, data, open_acl, path, plain_path, prefix, version};
use crate::rng::Rng;
use bytes::BufMut;
use std::borrow::Cow;
use zk_proto::jute::JuteMut;
use zk_proto::{Create, MultiOp, OpCode, Request};

const TTLS: [i64; 11] = [
    3_600_000,
    10_000_000,
    1,
    0,
    -1,
    1_099_511_627_775,
    1_099_511_627_776,
    i64::MIN,
    i64::MAX,
    86_400_000,
    -2,
];

/// A create request and the bytes it borrows.
#[derive(Debug)]
pub(crate) struct Made {
    op: OpCode,
    path: String,
    data: Option<Vec<u8>>,
    acl: Option<Vec<zk_proto::WireAcl<'static>>>,
    flags: i32,
    ttl: i64,
}

impl Made {
    fn create(&self) -> Create<'_> {
        Create {
            op: self.op,
            path: Cow::Borrowed(&self.path),
            data: self.data.as_deref(),
            acl: self.acl.clone(),
            flags: self.flags,
            ttl: self.ttl,
        }
    }

    pub(crate) fn request(&self) -> Request<'_> {
        Request::Create(self.create())
    }
}

pub(crate) fn create(rng: &mut Rng) -> Made {
    let op = rng.weighted(&[
        (45, OpCode::Create),
        (30, OpCode::Create2),
        (10, OpCode::CreateContainer),
        (15, OpCode::CreateTtl),
    ]);
    let flags = flags(rng, op);
    let ttl = if op != OpCode::CreateTtl {
        -1
    } else if flags == 5 || flags == 6 {
        ttl(rng)
    } else {
        rng.pick(&[0, 1, 3_600_000])
    };
    let sequential = matches!(flags, 2 | 3 | 6);
    Made {
        op,
        path: if sequential { prefix(rng) } else { path(rng) },
        data: data(rng),
        acl: create_acl(rng),
        flags,
        ttl,
    }
}

fn ttl(rng: &mut Rng) -> i64 {
    if rng.permille(700) {
        TTLS[0]
    } else {
        rng.pick(&TTLS)
    }
}

fn flags(rng: &mut Rng, op: OpCode) -> i32 {
    if rng.permille(50) {
        return rng.pick(&[-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 100, i32::MIN, i32::MAX]);
    }
    if op == OpCode::CreateContainer {
        4
    } else if op == OpCode::CreateTtl {
        rng.pick(&[5, 5, 6])
    } else {
        rng.weighted(&[(60, 0), (20, 1), (12, 2), (8, 3)])
    }
}

pub(crate) fn delete(rng: &mut Rng) -> Request<'static> {
    Request::Delete {
        path: path(rng).into(),
        version: version(rng),
    }
}

pub(crate) fn set_data<'a>(rng: &mut Rng, bytes: &'a mut Option<Vec<u8>>) -> Request<'a> {
    *bytes = data(rng);
    Request::SetData {
        path: path(rng).into(),
        data: bytes.as_deref(),
        version: version(rng),
    }
}

pub(crate) fn set_acl(rng: &mut Rng) -> Request<'static> {
    Request::SetAcl {
        path: path(rng).into(),
        acl: acl(rng),
        version: version(rng),
    }
}

/// The body of a multi. Mostly what a client would send; sometimes with something no client would.
pub(crate) fn multi(rng: &mut Rng) -> Vec<u8> {
    let mut body = Vec::new();
    let count = rng.weighted(&[(4, 0), (15, 1), (30, 2), (30, 3), (10, 5), (3, 12)]);
    for _ in 0..count {
        put_sub(rng, &mut body);
    }
    if rng.permille(30) {
        put_strange(rng, &mut body);
    }
    MultiOp::encode_all(&[], &mut body);
    body
}

/// The end mark of an encoded list, which a list under construction does not want yet.
const END_LEN: usize = 9;

fn put_ops(ops: &[MultiOp<'_>], body: &mut Vec<u8>) {
    MultiOp::encode_all(ops, body);
    body.truncate(body.len() - END_LEN);
}

fn put_sub(rng: &mut Rng, body: &mut Vec<u8>) {
    // A multi of many parts rarely succeeds if each part is as often wrong as a request of its own.
    let tame = rng.permille(600);
    let where_to = |rng: &mut Rng| {
        if tame { plain_path(rng) } else { path(rng) }
    };
    let any = |rng: &mut Rng| if tame { -1 } else { version(rng) };
    match rng.below(10) {
        0..4 => {
            let mut made = create(rng);
            if tame {
                made.path = if matches!(made.flags, 2 | 3 | 6) {
                    prefix(rng)
                } else {
                    plain_path(rng)
                };
                made.acl = Some(open_acl());
                if !(0..=6).contains(&made.flags) {
                    made.flags = 0;
                }
            } else if made.op == OpCode::CreateTtl && rng.permille(100) {
                // Harmless here: inside a multi the mode decides what the operation is.
                (made.flags, made.ttl) = (rng.pick(&[0, 1, 2]), -1);
            }
            put_ops(&[MultiOp::Create(made.create())], body);
        }
        4..6 => {
            let (path, version) = (where_to(rng).into(), any(rng));
            put_ops(&[MultiOp::Delete { path, version }], body);
        }
        6..8 => {
            let bytes = data(rng);
            let (path, version) = (where_to(rng).into(), any(rng));
            let data = bytes.as_deref();
            put_ops(
                &[MultiOp::SetData {
                    path,
                    data,
                    version,
                }],
                body,
            );
        }
        _ => {
            let (path, version) = (where_to(rng).into(), any(rng));
            put_ops(&[MultiOp::Check { path, version }], body);
        }
    }
}

/// A part that spoils a multi: a read, another operation, an unknown one, nulls.
fn put_strange(rng: &mut Rng, body: &mut Vec<u8>) {
    let path = plain_path(rng);
    match rng.below(4) {
        0 => put_ops(
            &[MultiOp::GetData {
                path: path.into(),
                watch: true,
            }],
            body,
        ),
        1 => {
            let op = rng.pick(&[7, 9, 3, 20, 16, 12, 14, 99, -1, -11, 0]);
            body.put_i32(op);
            body.put_bool(false);
            body.put_i32(-1);
            body.put_string(&path);
            body.put_i32(-1);
        }
        2 => {
            let op = rng.pick(&[2, 5, 13, 1, 15]);
            body.put_i32(op);
            body.put_bool(false);
            body.put_i32(rng.pick(&[-1, 0, 7]));
            body.put_buffer(None);
            body.put_i32(-1);
            body.put_i32(-1);
            body.put_i32(0);
        }
        _ => {
            let made = Made {
                acl: None,
                ..create(rng)
            };
            put_ops(&[MultiOp::Create(made.create())], body);
        }
    }
}

/// Nodes below `/zookeeper/quota`, always with well-formed text.
pub(crate) fn quota(rng: &mut Rng, bytes: &mut Vec<u8>) -> (i32, Vec<u8>) {
    const LIMITS: [&str; 8] = [
        "count=-1,bytes=-1=;byteHardLimit=400;countHardLimit=8",
        "count=3,bytes=10",
        "count=3,bytes=10=;byteHardLimit=-1;countHardLimit=-1",
        "count=-1,bytes=-1=;byteHardLimit=60;countHardLimit=-1",
        "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=4",
        "count=-1,bytes=-1=;byteHardLimit=100000;countHardLimit=1000",
        "byteHardLimit=200,countHardLimit=6",
        "count=1000000,bytes=-1",
    ];
    let base = rng.pick(&["/a", "/b", "/a/a", "/d/e", "/c"]);
    let dir = format!("/zookeeper/quota{base}");
    let leaf = rng.pick(&["", "/zookeeper_limits", "/zookeeper_stats"]);
    *bytes = match leaf {
        "/zookeeper_limits" => rng.pick(&LIMITS).as_bytes().to_vec(),
        "/zookeeper_stats" => b"count=0,bytes=0".to_vec(),
        _ => Vec::new(),
    };
    let data = Some(bytes.as_slice());
    let path: Cow<'_, str> = format!("{dir}{leaf}").into();
    let request = match rng.below(10) {
        0..5 => Request::Create(Create {
            op: rng.pick(&[OpCode::Create, OpCode::Create2]),
            path,
            data,
            acl: Some(open_acl()),
            flags: 0,
            ttl: -1,
        }),
        5 => Request::SetData {
            path,
            data,
            version: -1,
        },
        6..8 => Request::GetData { path, watch: false },
        8 => Request::Delete { path, version: -1 },
        _ => return (OpCode::Multi.to_wire(), quota_multi(&dir, data)),
    };
    let mut body = Vec::new();
    request.encode(&mut body);
    (request.op().to_wire(), body)
}

/// What the command line tool does: the directory, the limits and the usage.
fn quota_multi(dir: &str, data: Option<&[u8]>) -> Vec<u8> {
    let create = |path: String, data: &'static [u8]| {
        MultiOp::Create(Create {
            op: OpCode::Create,
            path: path.into(),
            data: Some(data),
            acl: Some(open_acl()),
            flags: 0,
            ttl: -1,
        })
    };
    let mut ops = Vec::new();
    if data.is_some_and(<[u8]>::is_empty) {
        ops.push(create(dir.to_owned(), b""));
    }
    ops.push(create(
        format!("{dir}/zookeeper_limits"),
        b"count=-1,bytes=-1=;byteHardLimit=300;countHardLimit=7",
    ));
    ops.push(create(format!("{dir}/zookeeper_stats"), b"count=0,bytes=0"));
    let mut body = Vec::new();
    MultiOp::encode_all(&ops, &mut body);
    body
}
