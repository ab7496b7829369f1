//! Any value survives its bytes, and any bytes are survived: what is written reads back equal and is
//! written again alike; what is not one of ours is refused without a panic.

mod values;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use values::{
    any_acl, any_connect_request, any_connect_response, any_create, any_event, any_multi_op,
    any_multi_read, any_multi_result, any_reply, any_request, any_stat, any_stored_stat,
    any_txn_record, any_xid,
};
use zk_proto::jute::{JuteMut, Reader};
use zk_proto::txn::TxnRecord;
use zk_proto::{
    Acl, ConnectRequest, ConnectResponse, Create, MultiOp, MultiResult, OpCode, Reply, ReplyHeader,
    Request, RequestHeader, Stat, StoredStat, WatchEvent, WireAcl, Xid, Zxid, frame, path,
};

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is public in a crate of its own")]
#[expect(dead_code, reason = "the targets run in a test of their own")]
mod targets;

const LIMIT: usize = 2 * 0xf_ffff;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn check_request(request: &Request<'_>) {
    let bytes = written(|out| request.encode(out));
    let read = Request::decode(request.op(), &bytes).expect("our own bytes are good");
    assert_eq!(&read, request);
    assert_eq!(written(|out| read.encode(out)), bytes);
    // As in Java, what stands behind a record is not looked at.
    let longer = [&bytes[..], b"more"].concat();
    assert_eq!(Request::decode(request.op(), &longer).as_ref(), Ok(request));
}

fn check_reply(op: OpCode, reply: &Reply) {
    let bytes = written(|out| reply.encode(out));
    let read = Reply::decode(op, &bytes).expect("our own bytes are good");
    assert_eq!(&read, reply);
    assert_eq!(written(|out| read.encode(out)), bytes);
}

proptest! {
    #[test]
    fn requests_survive(request in any_request()) {
        check_request(&request);
    }

    #[test]
    fn creates_survive(create in any_create()) {
        check_request(&Request::Create(create));
    }

    #[test]
    fn multis_survive(ops in prop::collection::vec(any_multi_op(), 0..8)) {
        check_request(&Request::Multi(ops));
    }

    #[test]
    fn multi_reads_survive(ops in prop::collection::vec(any_multi_read(), 0..8)) {
        check_request(&Request::MultiRead(ops));
    }

    #[test]
    fn a_multi_of_reads_and_writes_is_refused(
        write in any_multi_op(),
        read in any_multi_read(),
        write_first in any::<bool>(),
    ) {
        let mut ops = vec![write, read];
        if !write_first {
            ops.reverse();
        }
        let bytes = written(|out| MultiOp::encode_all(&ops, out));
        prop_assert!(Request::decode(OpCode::Multi, &bytes).is_err());
        prop_assert!(Request::decode(OpCode::MultiRead, &bytes).is_err());
    }

    #[test]
    fn a_create_with_impossible_flags_spoils_a_multi_only(
        create in any_create(),
        flags in prop_oneof![Just(-1), Just(7), any::<i32>().prop_filter("a mode", |f| !(0..7).contains(f))],
    ) {
        let create = Create { flags, ..create };
        let bytes = written(|out| MultiOp::encode_all(&[MultiOp::Create(create.clone())], out));
        // With a TTL the flags are judged with the rest of the request.
        let judged_later = create.op == OpCode::CreateTtl && create.acl.is_some();
        prop_assert_eq!(Request::decode(OpCode::Multi, &bytes).is_ok(), judged_later);
        check_request(&Request::Create(create));
    }

    #[test]
    fn replies_survive((op, reply) in any_reply()) {
        check_reply(op, &reply);
    }

    #[test]
    fn results_survive(results in prop::collection::vec(any_multi_result(), 0..8)) {
        let bytes = written(|out| MultiResult::encode_all(&results, out));
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(MultiResult::decode_all(&mut reader), Ok(results));
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn transactions_survive(record in any_txn_record()) {
        let bytes = written(|out| record.encode(out));
        let read = TxnRecord::decode(&Bytes::from(bytes.clone()), LIMIT).expect("our own bytes");
        prop_assert_eq!(&read, &record);
        prop_assert_eq!(written(|out| read.encode(out)), bytes);
    }

    #[test]
    fn connect_requests_survive(request in any_connect_request()) {
        let bytes = written(|out| request.encode(out));
        prop_assert_eq!(ConnectRequest::decode(&bytes), Ok(request));
    }

    #[test]
    fn connect_responses_survive(response in any_connect_response()) {
        let bytes = written(|out| response.encode(out));
        prop_assert_eq!(ConnectResponse::decode(&bytes), Ok(response));
    }

    #[test]
    fn events_survive(event in any_event(), zxid in any::<i64>()) {
        let zxid = Zxid::from_wire(zxid);
        let mut out = BytesMut::new();
        WatchEvent::put_frame(&mut out, zxid, event.event, &event.path);
        let payload = &out[frame::LENGTH_WORD..];
        prop_assert_eq!(frame::payload_len(&out, payload.len()), Ok(Some(payload.len())));
        let mut reader = Reader::new(payload);
        let header = ReplyHeader::decode(&mut reader).expect("our own header");
        prop_assert_eq!(header, ReplyHeader { xid: Xid::NOTIFICATION, zxid, err: 0 });
        prop_assert_eq!(WatchEvent::decode(reader.rest()), Ok(event));
    }

    #[test]
    fn headers_survive(xid in any_xid(), op in any::<i32>(), zxid in any::<i64>(), err in any::<i32>()) {
        let request = RequestHeader { xid, op: OpCode::from_wire(op) };
        let bytes = written(|out| request.encode(out));
        prop_assert_eq!(bytes.len(), RequestHeader::WIRE_LEN);
        prop_assert_eq!(RequestHeader::decode(&mut Reader::new(&bytes)), Ok(request));
        let reply = ReplyHeader { xid, zxid: Zxid::from_wire(zxid), err };
        let bytes = written(|out| reply.encode(out));
        prop_assert_eq!(bytes.len(), ReplyHeader::WIRE_LEN);
        prop_assert_eq!(ReplyHeader::decode(&mut Reader::new(&bytes)), Ok(reply));
    }

    #[test]
    fn stats_survive(stat in any_stat(), stored in any_stored_stat()) {
        let bytes = written(|out| stat.encode(out));
        prop_assert_eq!(bytes.len(), Stat::WIRE_LEN);
        prop_assert_eq!(Stat::decode(&mut Reader::new(&bytes)), Ok(stat));
        let bytes = written(|out| stored.encode(out));
        prop_assert_eq!(bytes.len(), StoredStat::WIRE_LEN);
        prop_assert_eq!(StoredStat::decode(&mut Reader::new(&bytes)), Ok(stored));
    }

    #[test]
    fn an_acl_that_is_stored_can_be_asked_for(acl in any_acl()) {
        let stored = written(|out| acl.encode(out));
        prop_assert_eq!(Acl::decode(&mut Reader::new(&stored)), Ok(acl.clone()));
        let asked = WireAcl::from(acl);
        prop_assert_eq!(written(|out| asked.encode(out)), stored.clone());
        prop_assert_eq!(WireAcl::decode(&mut Reader::new(&stored)), Ok(asked));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for &op in OpCode::NAMED {
            let _ = Request::decode(op, &bytes);
            let _ = Reply::decode(op, &bytes);
        }
        let _ = ConnectRequest::decode(&bytes);
        let _ = ConnectResponse::decode(&bytes);
        let _ = WatchEvent::decode(&bytes);
        for limit in [0, 16, LIMIT, usize::MAX] {
            let _ = TxnRecord::decode(&Bytes::from(bytes.clone()), limit);
        }
        let _ = frame::payload_len(&bytes, 100);
    }

    /// Few bytes, all of them meaningful, come past the first fields far more often.
    #[test]
    fn bytes_that_look_like_lengths_are_survived(
        op in prop::sample::select(OpCode::NAMED),
        bytes in prop::collection::vec(prop::sample::select(&[0, 0, 0, 1, 2, 4, 0x7f, 0xff][..]), 0..80),
    ) {
        let frame = [&op.to_wire().to_be_bytes()[..], &bytes].concat();
        targets::reply(&frame);
        targets::request(&[&[0; 4][..], &frame].concat());
        targets::txn(&[&[0; 28][..], &frame].concat());
        targets::acl(&bytes);
        targets::multi(&bytes);
        targets::connect(&bytes);
    }

    #[test]
    fn frames_do_not_depend_on_how_they_arrive(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10),
        cuts in prop::collection::vec(1_usize..40, 1..60),
    ) {
        let mut stream = BytesMut::new();
        for payload in &payloads {
            frame::put_frame(&mut stream, |out| out.extend_from_slice(payload));
        }
        let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
        let mut cuts = cuts.into_iter().cycle();
        while !stream.is_empty() {
            let cut = cuts.next().expect("an endless row").min(stream.len());
            buffer.extend_from_slice(&stream.split_to(cut));
            while let Some(len) = frame::payload_len(&buffer, 50).expect("all are within it") {
                if buffer.len() < frame::LENGTH_WORD + len {
                    break;
                }
                let whole = buffer.split_to(frame::LENGTH_WORD + len);
                found.push(whole[frame::LENGTH_WORD..].to_vec());
            }
        }
        prop_assert_eq!(found, payloads);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn paths_are_judged_by_javas_rules(path in "/?([a./]|[\\x00-\\x7f]|\\PC|.){0,12}") {
        let verdict = path::validate(&path);
        prop_assert_eq!(verdict.is_ok(), targets::is_path(&path), "{:?}", verdict);
    }

    #[test]
    fn dots_and_slashes_are_judged_by_javas_rules(path in "[a./]{0,9}") {
        prop_assert_eq!(path::validate(&path).is_ok(), targets::is_path(&path));
    }

    #[test]
    fn any_bytes_are_a_string(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        targets::text(&bytes);
    }

    #[test]
    fn any_text_is_read_as_written(text in any::<String>()) {
        let bytes = written(|out| out.put_string(&text));
        let read = Reader::new(&bytes).string().expect("our own bytes");
        prop_assert_eq!(read, text);
    }
}

/// Every character stands alone in a path once, so that no border is off by one.
#[test]
fn every_character_is_judged_by_javas_rules() {
    for c in '\0'..=char::MAX {
        let path = format!("/{c}");
        assert_eq!(
            path::validate(&path).is_ok(),
            targets::is_path(&path),
            "{c:?}"
        );
    }
}
