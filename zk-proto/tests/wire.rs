//! What real clients and real servers said to each other, frame by frame: it decodes to what an
//! independent decoder found, encodes back to the same bytes, and cut anywhere it is refused.
//!
//! `testdata/wire/README.md` says where the bytes come from.

mod recorded;

use bytes::BytesMut;
use recorded::{Connection, Json, hex_i64, json_i32, unhex};
use std::collections::BTreeMap;
use zk_proto::jute::Reader;
use zk_proto::{
    ConnectRequest, ConnectResponse, OpCode, Reply, ReplyHeader, Request, RequestHeader,
    WatchEvent, frame,
};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// Demands that the index and the frames agree on where each packet begins and ends.
fn payloads<'a>(stream: &'a [u8], packets: &[Json]) -> Vec<&'a [u8]> {
    let mut at = 0;
    let mut payloads = Vec::new();
    for packet in packets {
        assert_eq!(packet["off"], at, "packets follow each other without a gap");
        let len = frame::payload_len(&stream[at..], 0xf_ffff)
            .expect("a good length")
            .expect("a whole length");
        assert_eq!(packet["len"], frame::LENGTH_WORD + len);
        let start = at + frame::LENGTH_WORD;
        payloads.push(&stream[start..start + len]);
        at = start + len;
    }
    assert_eq!(at, stream.len(), "nothing is left");
    payloads
}

fn check_connect_request(payload: &[u8], packet: &Json) {
    let request = ConnectRequest::decode(payload).expect("a connect request");
    assert_eq!(
        request.protocol_version,
        json_i32(&packet["protocolVersion"])
    );
    assert_eq!(
        request.last_zxid_seen.to_wire(),
        hex_i64(&packet["lastZxidSeen"])
    );
    assert_eq!(request.timeout, json_i32(&packet["timeOut"]));
    assert_eq!(request.session.to_wire(), hex_i64(&packet["sessionId"]));
    assert_eq!(
        request.password.as_deref(),
        Some(&unhex(&packet["passwd"])[..])
    );
    assert_eq!(request.read_only, packet["readOnly"].as_bool());
    assert_eq!(written(|out| request.encode(out)), payload);
    for len in 0..payload.len() {
        let cut = ConnectRequest::decode(&payload[..len]);
        if len + 1 == payload.len() {
            // The old short form: everything but the last byte.
            let read_only = None;
            assert_eq!(
                cut,
                Ok(ConnectRequest {
                    read_only,
                    ..request.clone()
                })
            );
        } else {
            assert!(cut.is_err(), "{len} bytes");
        }
    }
}

fn check_connect_response(payload: &[u8], packet: &Json) {
    let response = ConnectResponse::decode(payload).expect("a connect response");
    assert_eq!(
        response.protocol_version,
        json_i32(&packet["protocolVersion"])
    );
    assert_eq!(response.timeout, json_i32(&packet["timeOut"]));
    assert_eq!(response.session.to_wire(), hex_i64(&packet["sessionId"]));
    assert_eq!(response.password[..], unhex(&packet["passwd"]));
    assert_eq!(response.read_only, packet["readOnly"].as_bool());
    assert_eq!(written(|out| response.encode(out)), payload);
    for len in 0..payload.len() {
        let cut = ConnectResponse::decode(&payload[..len]);
        if len + 1 == payload.len() {
            let read_only = None;
            assert_eq!(
                cut,
                Ok(ConnectResponse {
                    read_only,
                    ..response.clone()
                })
            );
        } else {
            assert!(cut.is_err(), "{len} bytes");
        }
    }
}

fn check_request(payload: &[u8], packet: &Json) -> OpCode {
    let mut reader = Reader::new(payload);
    let header = RequestHeader::decode(&mut reader).expect("a header");
    assert_eq!(header.xid.0, json_i32(&packet["xid"]));
    assert_eq!(header.op.to_wire(), json_i32(&packet["type"]));
    assert_eq!(packet["op"], header.op.to_string());
    let body = reader.rest();
    assert_eq!(body, unhex(&packet["body"]));
    let request = Request::decode(header.op, body).expect("a request");
    assert_eq!(request.op(), header.op);
    let again = written(|out| {
        header.encode(out);
        request.encode(out);
    });
    assert_eq!(again, payload, "{request:?}");
    for len in 0..payload.len() {
        let mut reader = Reader::new(&payload[..len]);
        let cut = RequestHeader::decode(&mut reader)
            .and_then(|header| Request::decode(header.op, reader.rest()).map(|_| ()));
        assert!(cut.is_err(), "{len} bytes of {request:?}");
    }
    header.op
}

fn check_reply(payload: &[u8], packet: &Json, op: OpCode) {
    let mut reader = Reader::new(payload);
    let header = ReplyHeader::decode(&mut reader).expect("a header");
    assert_eq!(header.xid.0, json_i32(&packet["xid"]));
    assert_eq!(header.zxid.to_wire(), hex_i64(&packet["zxid"]));
    assert_eq!(header.err, json_i32(&packet["err"]));
    let body = reader.rest();
    assert_eq!(body, unhex(&packet["body"]));
    let again = if header.err == 0 {
        assert_eq!(packet["op"], op.to_string());
        let reply = Reply::decode(op, body).expect("a reply");
        for len in 0..body.len() {
            assert!(
                Reply::decode(op, &body[..len]).is_err(),
                "{len} bytes of {reply:?}"
            );
        }
        written(|out| {
            header.encode(out);
            reply.encode(out);
        })
    } else {
        assert!(body.is_empty(), "a refusal is its header");
        written(|out| header.encode(out))
    };
    assert_eq!(again, payload);
    for len in 0..ReplyHeader::WIRE_LEN {
        assert!(ReplyHeader::decode(&mut Reader::new(&payload[..len])).is_err());
    }
}

fn check_event(payload: &[u8], packet: &Json) {
    let mut reader = Reader::new(payload);
    let header = ReplyHeader::decode(&mut reader).expect("a header");
    assert_eq!(header.xid.0, json_i32(&packet["xid"]));
    assert_eq!(header.zxid.to_wire(), hex_i64(&packet["zxid"]));
    let body = reader.rest();
    let event = WatchEvent::decode(body).expect("an event");
    let mut again = BytesMut::new();
    WatchEvent::put_frame(&mut again, header.zxid, event.event, &event.path);
    assert_eq!(again[frame::LENGTH_WORD..], *payload);
    for len in 0..body.len() {
        assert!(WatchEvent::decode(&body[..len]).is_err(), "{len} bytes");
    }
}

/// Checks one connection; how often each kind of packet was met.
fn check_connection(connection: &Connection) -> BTreeMap<String, usize> {
    let mut met = BTreeMap::new();
    let mut ops = BTreeMap::new();
    let asked = payloads(&connection.dialer, &connection.dialer_packets);
    for (payload, packet) in asked.into_iter().zip(&connection.dialer_packets) {
        let kind = if packet["name"] == "ConnectRequest" {
            check_connect_request(payload, packet);
            "connect".to_owned()
        } else {
            assert_eq!(packet["name"], "Request");
            let op = check_request(payload, packet);
            ops.insert(json_i32(&packet["xid"]), op);
            op.to_string()
        };
        *met.entry(kind).or_default() += 1;
    }
    let answered = payloads(&connection.acceptor, &connection.acceptor_packets);
    for (payload, packet) in answered.into_iter().zip(&connection.acceptor_packets) {
        let kind = match packet["name"].as_str() {
            Some("ConnectResponse") => {
                check_connect_response(payload, packet);
                "connected"
            }
            Some("WatchEvent") => {
                check_event(payload, packet);
                "event"
            }
            _ => {
                assert_eq!(packet["name"], "Reply");
                check_reply(payload, packet, ops[&json_i32(&packet["xid"])]);
                "reply"
            }
        };
        *met.entry(kind.to_owned()).or_default() += 1;
    }
    met
}

fn check_run(run: &str) -> BTreeMap<String, usize> {
    let mut met = BTreeMap::new();
    for connection in recorded::connections(run) {
        for (kind, count) in check_connection(&connection) {
            *met.entry(kind).or_default() += count;
        }
    }
    met
}

#[test]
fn a_whole_session_of_3_9_5_reads_and_writes_back() {
    let met = check_run("3.9.5-static");
    assert_eq!(met, check_run("3.8.0-static"), "both runs did the same");
    assert_eq!((met["connect"], met["connected"], met["event"]), (9, 9, 2));
    // Every operation that a client of the public API sends in ordinary life.
    for op in [
        "create",
        "create2",
        "createContainer",
        "createTTL",
        "delete",
        "exists",
        "getData",
        "setData",
        "getACL",
        "setACL",
        "getChildren",
        "getChildren2",
        "sync",
        "ping",
        "multi",
        "multiRead",
        "auth",
        "setWatches",
        "removeWatches",
        "addWatch",
        "getEphemerals",
        "getAllChildrenNumber",
        "whoAmI",
        "closeSession",
    ] {
        assert!(met.contains_key(op), "{op} was met");
    }
}

#[test]
fn reconfiguration_reads_and_writes_back() {
    assert!(check_run("3.8.0-reconfig")["reconfig"] >= 2);
}

#[test]
fn local_sessions_read_and_write_back() {
    assert_eq!(check_run("3.8.0-observermaster-localsession")["connect"], 2);
}

/// One line per packet, for human eyes: bytes may survive a round trip in the wrong fields.
#[test]
fn the_recorded_session_says_what_it_means() {
    let connection = &recorded::connections("3.9.5-static")[0];
    let mut lines = String::new();
    let mut ops = BTreeMap::new();
    for payload in &payloads(&connection.dialer, &connection.dialer_packets)[1..] {
        let mut reader = Reader::new(payload);
        let header = RequestHeader::decode(&mut reader).expect("a header");
        let request = Request::decode(header.op, reader.rest()).expect("a request");
        ops.insert(header.xid, header.op);
        lines += &format!("{} → {request:?}\n", header.xid);
    }
    for payload in &payloads(&connection.acceptor, &connection.acceptor_packets)[1..] {
        let mut reader = Reader::new(payload);
        let header = ReplyHeader::decode(&mut reader).expect("a header");
        let body = match (ops.get(&header.xid), header.err) {
            (None, _) => format!("{:?}", WatchEvent::decode(reader.rest()).expect("an event")),
            (Some(&op), 0) => format!("{:?}", Reply::decode(op, reader.rest()).expect("a reply")),
            (Some(_), err) => format!("refused with {err}"),
        };
        lines += &format!("{} ← {} {body}\n", header.xid, header.zxid);
    }
    expect_test::expect_file!["../testdata/wire/3.9.5-static/session.txt"].assert_eq(&lines);
}

/// A read-only server's refusal of a new session is shaped as a reply header; it is no response.
#[test]
fn the_refusal_of_a_read_only_server_is_no_connect_response() {
    let refusal = written(|out| {
        ReplyHeader {
            xid: zk_proto::Xid(0),
            zxid: zk_proto::Zxid::from_wire(0x1_0000_0005),
            err: -119,
        }
        .encode(out);
    });
    assert_eq!(refusal.len(), 16);
    assert!(ConnectResponse::decode(&refusal).is_err());
}
