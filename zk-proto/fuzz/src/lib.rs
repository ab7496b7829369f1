//! What each fuzz target does with its input. The same functions run under libFuzzer, and as a plain
//! test over the corpus and its mutations (`zk-proto/tests/corpus.rs`).
//!
//! The oracle is never only "no crash": a decoder must agree with a second one ([`schema`]) on what it
//! refuses, what it reads, and on the bytes it writes back.

pub mod java_text;
pub mod schema;

use bytes::{Bytes, BytesMut};
use std::borrow::Cow;
use std::fmt::Debug;
use zk_proto::jute::{JuteMut, Reader};
use zk_proto::txn::TxnRecord;
use zk_proto::{
    Acl, ConnectRequest, ConnectResponse, DecodeError, OpCode, Reply, ReplyHeader, Request,
    RequestHeader, WatchEvent, WireAcl, Xid, Zxid, frame, path,
};

/// A target: its name, which is also that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("acl", acl),
    ("connect", connect),
    ("frames", frames),
    ("multi", multi),
    ("path", path),
    ("reply", reply),
    ("request", request),
    ("text", text),
    ("txn", txn),
];

/// Demands that a decoder and the schema agree, in what they refuse and in what they read.
fn agree<T: Debug + PartialEq>(
    expected: Option<Vec<u8>>,
    decoded: Result<T, DecodeError>,
    encode: impl FnOnce(&T) -> Vec<u8>,
) -> Option<(Vec<u8>, T)> {
    match (expected, decoded) {
        (Some(expected), Ok(value)) => {
            assert_eq!(encode(&value), expected, "the canonical bytes of {value:?}");
            Some((expected, value))
        }
        (None, Err(_)) => None,
        (Some(_), Err(error)) => panic!("refused though it is well formed: {error}"),
        (None, Ok(value)) => panic!("accepted though it is malformed: {value:?}"),
    }
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// The payload of a request frame: a header, then the body of its operation.
pub fn request(payload: &[u8]) {
    let mut reader = Reader::new(payload);
    let Ok(header) = RequestHeader::decode(&mut reader) else {
        assert!(payload.len() < RequestHeader::WIRE_LEN);
        return;
    };
    assert_eq!(
        written(|out| header.encode(out)),
        payload[..RequestHeader::WIRE_LEN]
    );
    request_body(header.op, reader.rest());
}

fn request_body(op: OpCode, body: &[u8]) {
    let decoded = Request::decode(op, body);
    let expected = schema::request(op.to_wire(), body);
    if let Some((bytes, request)) = agree(expected, decoded, |request| {
        written(|out| request.encode(out))
    }) {
        assert_eq!(request.op(), op);
        assert_eq!(Request::decode(op, &bytes), Ok(request));
    }
}

/// An opcode, then the body of a successful reply to it. Opcode 0 stands for a notification.
pub fn reply(input: &[u8]) {
    let Some((word, body)) = input.split_first_chunk::<4>() else {
        return;
    };
    let number = i32::from_be_bytes(*word);
    if number == 0 {
        event(body);
    } else {
        reply_body(OpCode::from_wire(number), body);
    }
}

fn reply_body(op: OpCode, body: &[u8]) {
    let decoded = Reply::decode(op, body);
    let expected = schema::reply(op.to_wire(), body);
    if let Some((bytes, reply)) = agree(expected, decoded, |reply| written(|out| reply.encode(out)))
    {
        assert_eq!(Reply::decode(op, &bytes), Ok(reply));
    }
}

/// The body of a notification, and the frame around it.
fn event(body: &[u8]) {
    let expected = schema::canonical("eiS", body, schema::FIELD_LIMIT).map(|mut bytes| {
        // Servers know one state only: connected.
        bytes[4..8].copy_from_slice(&3_i32.to_be_bytes());
        bytes
    });
    agree(expected, WatchEvent::decode(body), |event| {
        let mut out = BytesMut::new();
        WatchEvent::put_frame(&mut out, Zxid::NONE, event.event, &event.path);
        let len = frame::payload_len(&out, usize::MAX).expect("our own frame is good");
        assert_eq!(len, Some(out.len() - frame::LENGTH_WORD));
        let mut reader = Reader::new(&out[frame::LENGTH_WORD..]);
        let header = ReplyHeader::decode(&mut reader).expect("our own header is good");
        assert_eq!(
            (header.xid, header.zxid, header.err),
            (Xid::NOTIFICATION, Zxid::NONE, 0)
        );
        reader.rest().to_vec()
    });
}

/// The first frame of either side.
pub fn connect(payload: &[u8]) {
    let expected = schema::canonical_with_optional_bool("ililB", payload);
    let decoded = ConnectRequest::decode(payload);
    if let Some((bytes, request)) = agree(expected, decoded, |request| {
        written(|out| request.encode(out))
    }) {
        assert_eq!(ConnectRequest::decode(&bytes), Ok(request));
    }
    let expected = schema::connect_response(payload);
    let decoded = ConnectResponse::decode(payload);
    if let Some((bytes, response)) = agree(expected, decoded, |response| {
        written(|out| response.encode(out))
    }) {
        assert_eq!(ConnectResponse::decode(&bytes), Ok(response));
    }
}

/// The body of a multi, of a multiRead and of their results.
pub fn multi(body: &[u8]) {
    request_body(OpCode::Multi, body);
    request_body(OpCode::MultiRead, body);
    reply_body(OpCode::Multi, body);
}

/// A transaction as it stands in a log or travels between servers.
pub fn txn(record: &[u8]) {
    for limit in [schema::FIELD_LIMIT, 16] {
        let decoded = TxnRecord::decode(&Bytes::copy_from_slice(record), limit);
        let expected = schema::txn(record, limit);
        if let Some((bytes, record)) = agree(expected, decoded, |record| {
            written(|out| record.encode(out))
        }) {
            let again = TxnRecord::decode(&Bytes::from(bytes), schema::FIELD_LIMIT);
            assert_eq!(again, Ok(record));
        }
    }
}

/// Two bytes that choose the splits and the limit, then a stream of frames. However the stream is cut
/// on its way, the same frames come out, and the same verdict.
pub fn frames(input: &[u8]) {
    let [splits, limit, stream @ ..] = input else {
        return;
    };
    let max = usize::from(*limit) * 4;
    let (payloads, verdict) = frames_of(stream, max);
    let mut splits = u64::from(*splits) + 1;
    let mut buffer = BytesMut::new();
    let (mut rest, mut found, mut end) = (stream, Vec::new(), None);
    while !rest.is_empty() && end.is_none() {
        // A walk through chunk sizes from 1 to 31.
        splits = splits.wrapping_mul(25_214_903_917).wrapping_add(11);
        let len = usize::from(splits.to_be_bytes()[3] % 31 + 1).min(rest.len());
        let (chunk, behind) = rest.split_at(len);
        buffer.extend_from_slice(chunk);
        rest = behind;
        end = drain(&mut buffer, max, &mut found);
    }
    assert_eq!(found, payloads, "frames do not depend on how they arrive");
    assert_eq!(end, verdict, "nor does the verdict");
    let mut again = BytesMut::new();
    for payload in &payloads {
        frame::put_frame(&mut again, |out| out.extend_from_slice(payload));
    }
    assert_eq!(
        again,
        stream[..again.len()],
        "frames are written as they were read"
    );
}

/// Takes every whole frame out of the buffer; what the connection must be closed for, if anything.
fn drain(buffer: &mut BytesMut, max: usize, found: &mut Vec<Vec<u8>>) -> Option<i32> {
    loop {
        match frame::payload_len(buffer, max) {
            Err(bad) => return Some(bad.declared),
            Ok(Some(len)) if buffer.len() >= frame::LENGTH_WORD + len => {
                let whole = buffer.split_to(frame::LENGTH_WORD + len);
                found.push(whole[frame::LENGTH_WORD..].to_vec());
            }
            Ok(_) => return None,
        }
    }
}

/// The same from the whole stream at once, in plain arithmetic.
fn frames_of(mut stream: &[u8], max: usize) -> (Vec<Vec<u8>>, Option<i32>) {
    let mut payloads = Vec::new();
    while stream.len() >= 4 {
        let declared = i32::from_be_bytes([stream[0], stream[1], stream[2], stream[3]]);
        if declared < 0 || i64::from(declared) > i64::try_from(max).expect("a small limit") {
            return (payloads, Some(declared));
        }
        let end = 4 + usize::try_from(declared).expect("it is not negative");
        if stream.len() < end {
            break;
        }
        payloads.push(stream[4..end].to_vec());
        stream = &stream[end..];
    }
    (payloads, None)
}

/// A path, as the bytes of a string.
pub fn path(bytes: &[u8]) {
    let text = java_text::decode(bytes);
    let verdict = path::validate(&text);
    assert_eq!(verdict.is_ok(), is_path(&text), "{text:?}: {verdict:?}");
    if verdict.is_ok() && text != "/" {
        let (parent, name) = path::split(&text).expect("a path has a slash");
        assert_eq!(format!("{parent}/{name}"), text);
        assert!(!name.contains('/') && !name.is_empty());
        assert!(
            parent.is_empty() || path::validate(parent).is_ok(),
            "{parent:?}"
        );
    }
}

/// The rules for paths over UTF-16 code units, one after the other, as Java has them.
pub fn is_path(text: &str) -> bool {
    let units: Vec<u16> = text.encode_utf16().collect();
    const SLASH: u16 = b'/' as u16;
    const DOT: u16 = b'.' as u16;
    if units.first() != Some(&SLASH) {
        return false;
    }
    if units.len() == 1 {
        return true;
    }
    if units.last() == Some(&SLASH) {
        return false;
    }
    for at in 1..units.len() {
        let (unit, before) = (units[at], units[at - 1]);
        let ends_here = |at: usize| at + 1 == units.len() || units[at + 1] == SLASH;
        let empty = unit == SLASH && before == SLASH;
        let one_dot = unit == DOT && before == SLASH && ends_here(at);
        let two_dots = unit == DOT && before == DOT && units[at - 2] == SLASH && ends_here(at);
        let forbidden = unit <= 0x1f
            || (0x7f..=0x9f).contains(&unit)
            || (0xd800..=0xf8ff).contains(&unit)
            || unit >= 0xfff0;
        if empty || one_dot || two_dots || forbidden {
            return false;
        }
    }
    true
}

/// A list of ACL entries, as a request carries it and as a transaction does.
pub fn acl(bytes: &[u8]) {
    let wire = Reader::new(bytes).nullable_vector(Acl::MIN_WIRE_LEN, WireAcl::decode);
    let expected = schema::canonical("{iss}", bytes, schema::FIELD_LIMIT);
    agree(expected, wire, |entries| {
        written(|out| match entries {
            None => out.put_buffer(None),
            Some(entries) => out.put_vector(entries, |out, entry| entry.encode(out)),
        })
    });
    let stored = Reader::new(bytes).vector(Acl::MIN_WIRE_LEN, Acl::decode);
    let expected = schema::canonical("[iSS]", bytes, schema::FIELD_LIMIT);
    agree(expected, stored, |entries| {
        let stored = written(|out| out.put_vector(entries, |out, entry| entry.encode(out)));
        let entries: Vec<WireAcl<'_>> = entries.iter().cloned().map(WireAcl::from).collect();
        let asked = written(|out| out.put_vector(&entries, |out, entry| entry.encode(out)));
        assert_eq!(
            stored, asked,
            "an entry that is stored is one that can be asked for"
        );
        stored
    });
}

/// The bytes of a string: read as Java reads them, whatever they are.
pub fn text(bytes: &[u8]) {
    let framed = written(|out| out.put_buffer(Some(bytes)));
    let text = Reader::new(&framed)
        .string()
        .expect("no string is malformed");
    assert_eq!(text, java_text::decode(bytes), "{bytes:02x?}");
    if std::str::from_utf8(bytes).is_ok() {
        assert!(matches!(text, Cow::Borrowed(_)), "good text is not copied");
    }
}
