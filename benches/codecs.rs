//! What the words cost: encoding and decoding what a server meets most. Sizes are those of
//! `side_by_side`, so that a change here can be weighed against the CPU per operation there.

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::borrow::Cow;
use std::hint::black_box;
use zk_proto::jute::{DEFAULT_MAX_BUFFER, Reader};
use zk_proto::txn::{Creation, Txn, TxnDigest, TxnHeader, TxnRecord};
use zk_proto::{
    Acl, MultiOp, MultiResult, OpCode, Perms, Reply, ReplyHeader, Request, RequestHeader,
    SessionId, Stat, Version, Xid, Zxid, frame,
};

const PATH: &str = "/bench/keys/0042";
const KILOBYTE: [u8; 1024] = [b'z'; 1024];
const SMALL: [u8; 100] = [b's'; 100];
const XID: Xid = Xid(42);

fn get_data() -> Request<'static> {
    let path = Cow::Borrowed(PATH);
    Request::GetData { path, watch: false }
}

fn set_data() -> Request<'static> {
    Request::SetData {
        path: Cow::Borrowed(PATH),
        data: Some(&KILOBYTE),
        version: -1,
    }
}

fn multi_of_ten() -> Request<'static> {
    let op = MultiOp::SetData {
        path: Cow::Borrowed(PATH),
        data: Some(&SMALL),
        version: -1,
    };
    Request::Multi(vec![op; 10])
}

fn put_request(out: &mut BytesMut, request: &Request<'_>) {
    let (xid, op) = (XID, request.op());
    frame::put_frame(out, |payload| {
        RequestHeader { xid, op }.encode(payload);
        request.encode(payload);
    });
}

fn put_reply(out: &mut BytesMut, reply: &Reply) {
    let (xid, zxid) = (XID, Zxid::from_wire(0x5_0000_0011));
    frame::put_frame(out, |payload| {
        ReplyHeader { xid, zxid, err: 0 }.encode(payload);
        reply.encode(payload);
    });
}

/// The payload of the frame at the front.
fn payload(framed: &[u8]) -> &[u8] {
    let len = frame::payload_len(framed, DEFAULT_MAX_BUFFER).expect("a frame of ours");
    let end = frame::LENGTH_WORD + len.expect("a whole length word");
    &framed[frame::LENGTH_WORD..end]
}

fn bytes_of(framed: &BytesMut) -> Throughput {
    Throughput::Bytes(u64::try_from(framed.len()).expect("a small frame"))
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    for (name, request) in [
        ("getData", get_data()),
        ("setData 1 KB", set_data()),
        ("multi of 10", multi_of_ten()),
    ] {
        let mut framed = BytesMut::new();
        put_request(&mut framed, &request);
        group.throughput(bytes_of(&framed));
        let mut out = BytesMut::with_capacity(64 * 1024);
        group.bench_function(format!("{name}/encode"), |bencher| {
            bencher.iter(|| {
                out.clear();
                put_request(&mut out, black_box(&request));
                out.len()
            });
        });
        group.bench_function(format!("{name}/decode"), |bencher| {
            bencher.iter(|| {
                let mut reader = Reader::new(payload(black_box(&framed)));
                let header = RequestHeader::decode(&mut reader).expect("a header of ours");
                black_box(Request::decode(header.op, reader.rest()).expect("a request of ours"));
            });
        });
    }
    group.finish();
}

fn replies(criterion: &mut Criterion) {
    let stat = Stat::default();
    let data = Reply::Data(Some(Bytes::from_static(&KILOBYTE)), stat);
    let results = Reply::Multi(vec![MultiResult::SetData(stat); 10]);
    let mut group = criterion.benchmark_group("reply");
    for (name, op, reply) in [
        ("getData 1 KB", OpCode::GetData, data),
        ("setData", OpCode::SetData, Reply::Stat(stat)),
        ("multi of 10", OpCode::Multi, results),
    ] {
        let mut framed = BytesMut::new();
        put_reply(&mut framed, &reply);
        group.throughput(bytes_of(&framed));
        let mut out = BytesMut::with_capacity(64 * 1024);
        group.bench_function(format!("{name}/encode"), |bencher| {
            bencher.iter(|| {
                out.clear();
                put_reply(&mut out, black_box(&reply));
                out.len()
            });
        });
        group.bench_function(format!("{name}/decode"), |bencher| {
            bencher.iter(|| {
                let mut reader = Reader::new(payload(black_box(&framed)));
                black_box(ReplyHeader::decode(&mut reader).expect("a header of ours"));
                black_box(Reply::decode(op, reader.rest()).expect("a reply of ours"));
            });
        });
    }
    group.finish();
}

fn record(txn: Txn) -> TxnRecord {
    TxnRecord {
        header: TxnHeader {
            session: SessionId::from_wire(0x0100_0015_3fbe_0000),
            cxid: XID,
            zxid: Zxid::from_wire(0x5_0000_0011),
            time: 1_700_000_000_000,
        },
        txn,
        digest: Some(TxnDigest {
            version: TxnDigest::VERSION,
            digest: 0x1234_5678_9abc_def0,
        }),
    }
}

fn txns(criterion: &mut Criterion) {
    let path = || PATH.to_owned();
    let set = |data: &'static [u8]| Txn::SetData {
        path: path(),
        data: Some(Bytes::from_static(data)),
        version: Version(7),
    };
    let create = Txn::Create {
        creation: Creation::Create { ephemeral: false },
        path: path(),
        data: Some(Bytes::from_static(&SMALL)),
        acl: vec![Acl::world(Perms::ALL)],
        parent_cversion: 7,
    };
    let mut group = criterion.benchmark_group("txn record");
    for (name, txn) in [
        ("create 100 B", create),
        ("setData 1 KB", set(&KILOBYTE)),
        ("multi of 10", Txn::Multi(vec![set(&SMALL); 10])),
    ] {
        let record = record(txn);
        let mut encoded = BytesMut::new();
        record.encode(&mut encoded);
        group.throughput(bytes_of(&encoded));
        let encoded = encoded.freeze();
        let mut out = BytesMut::with_capacity(64 * 1024);
        group.bench_function(format!("{name}/encode"), |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(&record).encode(&mut out);
                out.len()
            });
        });
        group.bench_function(format!("{name}/decode"), |bencher| {
            bencher.iter(|| {
                TxnRecord::decode(black_box(&encoded), DEFAULT_MAX_BUFFER)
                    .expect("a record of ours")
            });
        });
    }
    group.finish();
}

criterion_group!(codecs, requests, replies, txns);
criterion_main!(codecs);
