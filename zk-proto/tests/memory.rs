//! Nothing is allocated from a declared length or count (H2): whatever the bytes say, a decoder's peak
//! stays within a small multiple of the bytes that are there.
//!
//! One test only: the allocator counts for the whole process.

use bytes::Bytes;
use peak_alloc::PeakAlloc;
use zk_proto::jute::Reader;
use zk_proto::txn::TxnRecord;
use zk_proto::{Acl, ConnectRequest, OpCode, Reply, Request, WireAcl};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const PER_BYTE: usize = 64;
const ALLOWANCE: usize = 64 * 1024;
const MEBIBYTE: usize = 1 << 20;

/// The most that was allocated at once on top of what was there before.
fn peak_of<R>(work: impl FnOnce() -> R) -> usize {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    drop(work());
    HEAP.peak_usage().saturating_sub(before)
}

/// Bytes that declare `count` elements and repeat `element` until `len` bytes are there.
fn vector_of(count: i32, element: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = count.to_be_bytes().to_vec();
    bytes.extend(element.iter().cycle().take(len - bytes.len()));
    bytes
}

fn count_of(element: &[u8], len: usize) -> i32 {
    i32::try_from((len - 4) / element.len()).expect("a few millions")
}

/// Bodies that make a decoder hold as much as it can be made to.
fn hostile_bodies(len: usize) -> Vec<Vec<u8>> {
    let elements: [&[u8]; 9] = [
        // Empty and null strings, a string of one byte, and one that grows when it is replaced.
        &[0; 4],
        &[0xff; 4],
        b"\0\0\0\x01a",
        b"\0\0\0\x01\xff",
        b"\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff",
        // ACL entries: with empty strings, and with null ones.
        &[0; 12],
        b"\0\0\0\x1f\xff\xff\xff\xff\xff\xff\xff\xff",
        // Parts of a multi: the smallest delete as a transaction and as an operation.
        b"\0\0\0\x02\0\0\0\x04\0\0\0\0",
        b"\0\0\0\x02\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0",
    ];
    let mut bodies = vec![vec![0; len], vec![0xff; len], vec![0x7f; len]];
    for element in elements {
        for count in [count_of(element, len), i32::MAX, 0x00ff_ffff, -2] {
            bodies.push(vector_of(count, element, len));
        }
        // Without a count in front, for what is not counted.
        bodies.push(element.iter().copied().cycle().take(len).collect());
    }
    // One string that all but fills the rest, valid and malformed, and one that lies about its length.
    for (declared, byte) in [
        (len - 4, b'a'),
        (len - 4, 0xff),
        (0x1f_fffe, b'a'),
        (0x7fff_ffff, 0),
    ] {
        let mut body = u32::try_from(declared)
            .expect("a u32")
            .to_be_bytes()
            .to_vec();
        body.resize(len, byte);
        bodies.push(body);
    }
    bodies
}

/// What stands before the vector that is to be abused, by operation.
fn requests(body: &[u8]) -> Vec<(OpCode, Vec<u8>)> {
    let path_and_data: &[u8] = b"\0\0\0\x02/a\xff\xff\xff\xff";
    let zxid = &[0; 8];
    OpCode::NAMED
        .iter()
        .flat_map(|&op| {
            let prefixes: [&[u8]; 5] = [
                &[],
                path_and_data,
                &path_and_data[..6],
                zxid,
                // Four empty lists, so that the last one is reached.
                &[0; 24],
            ];
            prefixes.map(|prefix| (op, [prefix, body].concat()))
        })
        .collect()
}

fn check(what: &str, len: usize, peak: usize) {
    let bound = PER_BYTE * len + ALLOWANCE;
    assert!(peak < bound, "{what}: {peak} bytes at once for {len}");
}

fn check_body(body: &[u8]) {
    for (op, body) in requests(body) {
        let peak = peak_of(|| Request::decode(op, &body));
        check(&format!("request {op}"), body.len(), peak);
    }
    for &op in OpCode::NAMED {
        let peak = peak_of(|| Reply::decode(op, body));
        check(&format!("reply to {op}"), body.len(), peak);
        let mut header = vec![0; 28];
        header.extend(op.to_wire().to_be_bytes());
        for prefix in [&b""[..], b"\0\0\0\x02/a", b"\0\0\0\x02/a\xff\xff\xff\xff"] {
            let record = Bytes::from([&header[..], prefix, body].concat());
            let peak = peak_of(|| TxnRecord::decode(&record, MEBIBYTE));
            check(&format!("txn {op}"), record.len(), peak);
        }
    }
    let peak = peak_of(|| ConnectRequest::decode(body));
    check("connect request", body.len(), peak);
    let peak = peak_of(|| Reader::new(body).vector(Acl::MIN_WIRE_LEN, Acl::decode));
    check("ACL", body.len(), peak);
    let peak = peak_of(|| Reader::new(body).vector(Acl::MIN_WIRE_LEN, WireAcl::decode));
    check("asked ACL", body.len(), peak);
}

#[test]
fn no_decoder_takes_more_than_the_bytes_that_are_there_justify() {
    // The counter counts: without this, every bound below would hold.
    assert!(peak_of(|| vec![0_u8; MEBIBYTE]) >= MEBIBYTE);
    for len in [64, 1024, 64 * 1024] {
        for body in hostile_bodies(len) {
            check_body(&body);
        }
    }
    // A frame as large as a server takes, for the shapes that cost most per byte.
    let len = 0xf_ffff;
    for (op, element, prefix) in [
        (OpCode::SetWatches, &[0; 4][..], &[0; 8][..]),
        (OpCode::SetAcl, &[0; 12], b"\0\0\0\x02/a"),
    ] {
        let body = [prefix, &vector_of(count_of(element, len), element, len)].concat();
        check(
            &format!("{op}"),
            len,
            peak_of(|| Request::decode(op, &body)),
        );
    }
    let delete = b"\0\0\0\x02\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0";
    let body: Vec<u8> = delete.iter().copied().cycle().take(len).collect();
    check(
        "multi",
        len,
        peak_of(|| Request::decode(OpCode::Multi, &body)),
    );
}
