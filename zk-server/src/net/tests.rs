//! The client port by its bytes: what no client library would send, and the answers it gets.

use crate::{Config, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const CREATE: i32 = 1;
const EXISTS: i32 = 3;
const AUTH: i32 = 100;
const PING: i32 = 11;
const SYNC: i32 = 9;
const MARSHALLING_ERROR: i32 = -5;
const BAD_ARGUMENTS: i32 = -8;

/// A client that sends what it is told to.
struct Raw(TcpStream);

/// A reply: its xid, zxid and error.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    xid: i32,
    zxid: i64,
    err: i32,
}

impl Raw {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.client_address().unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut raw = Self(stream);
        let mut hello = vec![0; 12];
        hello.extend(10_000_i32.to_be_bytes());
        hello.extend([0; 8]);
        hello.extend(string(&[0; 16]));
        hello.push(0);
        raw.0.write_all(&string(&hello)).unwrap();
        assert_eq!(raw.frame().len(), 37);
        raw
    }

    fn send(&mut self, requests: &[(i32, i32, &[u8])]) {
        let mut frames = Vec::new();
        for (xid, op, body) in requests {
            frames.extend(string(
                &[&xid.to_be_bytes()[..], &op.to_be_bytes(), body].concat(),
            ));
        }
        self.0.write_all(&frames).unwrap();
    }

    fn frame(&mut self) -> Vec<u8> {
        let mut len = [0; 4];
        self.0.read_exact(&mut len).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(len).try_into().unwrap()];
        self.0.read_exact(&mut frame).unwrap();
        frame
    }

    fn answer(&mut self) -> Answer {
        let frame = self.frame();
        Answer {
            xid: i32::from_be_bytes(frame[..4].try_into().unwrap()),
            zxid: i64::from_be_bytes(frame[4..12].try_into().unwrap()),
            err: i32::from_be_bytes(frame[12..16].try_into().unwrap()),
        }
    }

    fn ask(&mut self, xid: i32, op: i32, body: &[u8]) -> Answer {
        self.send(&[(xid, op, body)]);
        self.answer()
    }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap();
    [&len.to_be_bytes()[..], bytes].concat()
}

fn create(path: &str) -> Vec<u8> {
    let mut body = string(path.as_bytes());
    body.extend(string(b"data"));
    body.extend([1_i32.to_be_bytes(), 31_i32.to_be_bytes()].concat());
    body.extend([string(b"world"), string(b"anyone")].concat());
    body.extend(0_i32.to_be_bytes());
    body
}

/// Runs a scene against a server of its own.
fn with_server(scene: impl FnOnce(&Server)) {
    let data = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime
        .block_on(Server::start(Config::in_process(data.path())))
        .unwrap();
    scene(&server);
    runtime.block_on(server.stop()).unwrap();
}

#[test]
fn a_write_that_cannot_be_decoded_takes_no_zxid_but_its_turn() {
    with_server(|server| {
        let mut raw = Raw::connect(server);
        let start = raw.ask(-2, PING, b"").zxid;
        let (a, b) = (create("/a"), create("/b"));
        let exists = [string(b"/b"), vec![0]].concat();
        raw.send(&[
            (1, CREATE, &a),
            (2, CREATE, b"\0"),
            (3, CREATE, &b),
            (4, EXISTS, &exists),
        ]);
        let answers = [raw.answer(), raw.answer(), raw.answer(), raw.answer()];
        let seen = answers.map(|answer| (answer.xid, answer.zxid - start, answer.err));
        assert_eq!(
            seen,
            [(1, 1, 0), (2, 1, MARSHALLING_ERROR), (3, 2, 0), (4, 2, 0)]
        );
    });
}

/// As 3.9.5 answers them, operation by operation.
#[test]
fn a_null_path_is_answered_by_each_operation_in_its_own_way() {
    const NULL: [u8; 4] = [0xff; 4];
    let watch = |kind: i32| [&NULL[..], &kind.to_be_bytes()].concat();
    let set_data = [&NULL[..], &string(b"d"), &[0xff; 4]].concat();
    let acl = [0, 0, 0, 1, 0, 0, 0, 31];
    let acl = [&acl[..], &string(b"world"), &string(b"anyone")].concat();
    let set_acl = [&NULL[..], &acl, &[0xff; 4]].concat();
    let create = [&NULL[..], &string(b"d"), &acl, &[0; 4]].concat();
    let read = [&NULL[..], &[0]].concat();
    with_server(|server| {
        let mut raw = Raw::connect(server);
        let mut zxid = raw.ask(-2, PING, b"").zxid;
        // Operation, body, error, whether it takes its place in the order of writes.
        let asked: [(i32, &[u8], i32, i64); 12] = [
            (1, &create, -5, 1),
            (2, &[0xff; 8], -5, 1),
            (5, &set_data, -8, 1),
            (7, &set_acl, -8, 1),
            (5, &set_data[..11], -5, 0),
            (3, &read, -5, 0),
            (4, &read, -5, 0),
            (8, &read, -5, 0),
            (9, &NULL, 0, 0),
            (17, &watch(3), -121, 0),
            (18, &watch(9), -5, 0),
            (106, &watch(0), -5, 0),
        ];
        for (xid, (op, body, err, more)) in (1..).zip(asked) {
            let answer = raw.ask(xid, op, body);
            zxid += more;
            assert_eq!(answer, Answer { xid, zxid, err }, "operation {op}");
        }
    });
}

/// Apache's server would write each half of the pair by itself, which is not UTF-8.
#[test]
fn a_character_beyond_the_basic_plane_is_echoed_as_utf_8_and_names_no_node() {
    with_server(|server| {
        let mut raw = Raw::connect(server);
        let path = "/\u{1f600}";
        raw.send(&[
            (1, SYNC, &string(path.as_bytes())),
            (2, CREATE, &create(path)),
        ]);
        assert!(raw.frame().ends_with(&string(path.as_bytes())));
        assert_eq!(raw.answer().err, BAD_ARGUMENTS);
    });
}

#[test]
fn an_auth_packet_is_answered_under_its_own_xid() {
    with_server(|server| {
        let mut raw = Raw::connect(server);
        let body = [vec![0; 4], string(b"digest"), string(b"ann:x")].concat();
        for xid in [-4, 5] {
            let answer = raw.ask(xid, AUTH, &body);
            assert_eq!((answer.xid, answer.zxid, answer.err), (xid, 0, 0));
        }
    });
}
