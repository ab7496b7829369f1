//! Directories that others left: recorded ones, a log cut anywhere, a counter about to run over, a session
//! with more ephemeral nodes than its end can name. Each is opened by a server in this process.

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use support::{Client, create, four_letters};
use zk_proto::{ConnectResponse, ErrorCode, Reply, Request, SessionId, Zxid};
use zk_server::disk::files::{Files, RealFiles};
use zk_server::disk::names::Compression;
use zk_server::disk::record;
use zk_server::disk::snapshot::{SnapshotFile, SnapshotTrailer, SnapshotWriter};
use zk_server::tree::{ImageProgress, Rules, Tree};
use zk_server::{Config, Server};

const DIRECTORIES: [&str; 7] = [
    "standalone-3.8.0",
    "standalone-3.9.5-reopened",
    "member-3.8.0-follower",
    "member-3.8.0-truncated",
    "member-3.8.0-observer",
    "member-3.9.5-leader",
    "member-3.8.0-reconfig",
];

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("zk-server/testdata/disk")
        .join(name)
}

/// A copy of a recorded directory.
fn copy(name: &str) -> tempfile::TempDir {
    let temp = tempfile::tempdir().expect("a directory can be made");
    let to = temp.path().join("version-2");
    std::fs::create_dir(&to).expect("it can be made");
    for entry in std::fs::read_dir(testdata(name).join("version-2")).expect("it is there") {
        let from = entry.expect("an entry").path();
        let name = from.file_name().expect("a name");
        std::fs::copy(&from, to.join(name)).expect("it can be copied");
    }
    temp
}

struct Running {
    runtime: tokio::runtime::Runtime,
    server: Server,
    address: SocketAddr,
}

impl Running {
    fn start(data: &Path) -> Self {
        let mut config = Config::in_process(data);
        config.misc.extended_types = true;
        config.security.skip_acl = true;
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        let server = runtime.block_on(Server::start(config));
        let server = server.unwrap_or_else(|error| panic!("{}: {error}", data.display()));
        let address = server.client_address().expect("a port");
        Self {
            runtime,
            server,
            address,
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.address).expect("it serves")
    }

    /// The last transaction.
    fn zxid(&self) -> i64 {
        let text = four_letters(self.address, "srvr");
        let zxid = text.lines().find_map(|line| line.strip_prefix("Zxid: 0x"));
        i64::from_str_radix(zxid.expect("it has one"), 16).expect("it is hexadecimal")
    }

    fn stop(self) {
        self.runtime.block_on(self.server.stop()).expect("it stops");
    }
}

/// Base64, as the fixtures have it.
fn encoded(data: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in data.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

/// A node as a client sees it, in the words of the fixtures.
fn seen(client: &mut Client, path: &str) -> serde_json::Value {
    let get = Request::GetData {
        path: path.into(),
        watch: false,
    };
    let Ok(Reply::Data(data, stat)) = client.call(&get).expect("it answers") else {
        panic!("{path} has no data");
    };
    let get = Request::GetAcl { path: path.into() };
    let Ok(Reply::Acl(acl, _)) = client.call(&get).expect("it answers") else {
        panic!("{path} has no ACL");
    };
    let entry = |acl: &zk_proto::Acl| serde_json::json!({"perms": acl.perms.0, "scheme": acl.scheme, "id": acl.id});
    serde_json::json!({
        "data": data.map(|data| encoded(&data)),
        "stat": {
            "czxid": stat.czxid.to_wire(), "mzxid": stat.mzxid.to_wire(), "ctime": stat.ctime,
            "mtime": stat.mtime, "version": stat.version.0, "cversion": stat.cversion.0,
            "aversion": stat.aversion.0, "ephemeralOwner": stat.ephemeral_owner.to_wire(),
            "dataLength": stat.data_length, "numChildren": stat.num_children,
            "pzxid": stat.pzxid.to_wire(),
        },
        "acl": acl.iter().map(entry).collect::<Vec<_>>(),
    })
}

/// `new java.util.Random(id ^ 0xB3415C00L).nextBytes(new byte[16])`.
fn java_password(session: i64) -> [u8; 16] {
    const MASK: i64 = (1 << 48) - 1;
    let mut seed = (session ^ 0xb341_5c00 ^ 0x5_deec_e66d) & MASK;
    let mut password = [0; 16];
    for four in password.chunks_exact_mut(4) {
        seed = seed.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & MASK;
        let next = u32::try_from(seed >> 16).expect("32 bits");
        four.copy_from_slice(&next.to_le_bytes());
    }
    password
}

#[test]
fn a_client_of_java_s_server_finds_everything_again() {
    for name in DIRECTORIES {
        let text = std::fs::read(testdata(name).join("expected.json")).expect("it is there");
        let expected: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
        let temp = copy(name);
        let running = Running::start(temp.path());
        assert_eq!(
            format!("{:#x}", running.zxid()),
            expected["last_zxid"],
            "{name}"
        );
        // Sessions first, as they would expire.
        for (id, timeout) in expected["sessions"].as_object().expect("an object") {
            let id = u64::from_str_radix(&id[2..], 16)
                .expect("it is hexadecimal")
                .cast_signed();
            let timeout = i32::try_from(timeout.as_i64().expect("a number")).expect("it is short");
            let resumed = |password: &[u8]| {
                Client::connect_with(running.address, SessionId::from_wire(id), password, timeout)
                    .expect("it answers")
                    .session
            };
            let wrong: ConnectResponse = resumed(&[1; 16]);
            assert_eq!(wrong.session, SessionId::NONE, "{name}: a wrong password");
            let right = resumed(&java_password(id));
            assert_eq!(
                (right.session.to_wire(), right.timeout),
                (id, timeout),
                "{name}"
            );
        }
        let mut client = running.client();
        let nodes = expected["nodes"].as_object().expect("an object");
        for (path, node) in nodes {
            // Each server writes its own configuration when it starts.
            if path != "/zookeeper/config" {
                assert_eq!(&seen(&mut client, path), node, "{name}: {path}");
            }
        }
        running.stop();
    }
}

#[test]
fn a_log_cut_at_every_byte_of_its_last_three_records_starts_with_what_is_whole() {
    let bytes = std::fs::read(testdata("standalone-3.8.0/version-2/log.26")).expect("it is there");
    let scan = record::scan(&bytes, 1 << 20);
    let first = scan.records[scan.records.len() - 3].offset;
    let temp = tempfile::tempdir().expect("a directory can be made");
    for cut in first..=scan.end {
        let data = temp.path().join(cut.to_string());
        let dir = data.join("version-2");
        std::fs::create_dir_all(&dir).expect("it can be made");
        for file in ["snapshot.25", "log.1"] {
            let from = testdata("standalone-3.8.0/version-2").join(file);
            std::fs::copy(from, dir.join(file)).expect("it can be copied");
        }
        std::fs::write(dir.join("log.26"), &bytes[..cut]).expect("it can be written");
        let whole = scan
            .records
            .iter()
            .filter(|found| found.offset + found.len <= cut);
        let last = whole
            .map(|found| found.zxid.to_wire())
            .max()
            .expect("some are whole");
        let running = Running::start(&data);
        assert_eq!(running.zxid(), last, "cut at {cut}");
        running.stop();
    }
}

/// An empty database whose last transaction was this one.
fn write_snapshot(dir: &Path, zxid: i64) {
    let zxid = Zxid::from_wire(zxid);
    let mut tree = Tree::new(Rules::default());
    tree.advance_zxid(zxid);
    let mut body = Vec::new();
    let facts = tree.begin_image(&mut body).expect("nobody else takes one");
    while matches!(tree.step_image(100, &mut body), Ok(ImageProgress::More)) {}
    RealFiles.create_dir(dir).expect("it can be made");
    let (sender, ended) = mpsc::channel();
    let file = SnapshotFile {
        dir: dir.to_owned(),
        zxid,
        compression: Compression::None,
    };
    let tell = move |event| drop(sender.send(event));
    let writer = SnapshotWriter::start(Arc::new(RealFiles), file, tell).expect("a thread starts");
    assert!(writer.push_waiting(body.into()));
    let thread = writer.finish(SnapshotTrailer {
        digest: facts.digest.map(|digest| (zxid, digest)),
        last_zxid: Some(zxid),
    });
    ended.recv().expect("it says how it ended");
    let thread = thread.expect("it was started");
    thread.join().expect("it does not panic");
}

#[test]
fn a_spent_counter_opens_the_next_epoch_and_nobody_notices() {
    let temp = tempfile::tempdir().expect("a directory can be made");
    write_snapshot(&temp.path().join("version-2"), 0x7_ffff_fff0);
    let running = Running::start(temp.path());
    let mut client = running.client();
    let mut zxids = BTreeMap::new();
    for number in 0..40 {
        let path = format!("/n{number:02}");
        client.send(&create(&path, b"", 0)).expect("it is sent");
    }
    for number in 0..40 {
        let (zxid, answer) = client.receive().expect("it answers");
        answer.unwrap_or_else(|error| panic!("{number}: {error}"));
        assert!(zxids.insert(zxid, number).is_none(), "{zxid} twice");
    }
    assert!(
        zxids.values().copied().is_sorted(),
        "the order is the zxids'"
    );
    let epochs: Vec<_> = zxids.keys().map(|zxid| zxid.epoch().number()).collect();
    assert_eq!((epochs[0], epochs[39]), (7, 8));
    let session = client.session.clone();
    let before = running.zxid();
    running.stop();
    let running = Running::start(temp.path());
    assert_eq!(running.zxid(), before);
    let mut client = Client::resume(running.address, &session).expect("it answers");
    assert_eq!(
        client.session.session, session.session,
        "the session is the same"
    );
    let names = client.children("/").expect("it answers").expect("a root");
    assert_eq!(names.len(), 41);
    let (zxid, answer) = client
        .send(&create("/later", b"", 0))
        .and_then(|_| client.receive())
        .expect("it answers");
    assert!(
        answer.is_ok() && zxid.epoch().number() == 8,
        "{zxid} {answer:?}"
    );
    running.stop();
}

#[test]
fn a_session_cannot_own_more_than_its_end_can_name() {
    let temp = tempfile::tempdir().expect("a directory can be made");
    let running = Running::start(temp.path());
    let mut client = running.client();
    let long = "x".repeat(8000);
    let mut owned = 0;
    // Two buffers of the default size hold some 260 such paths.
    let refused = loop {
        assert!(owned < 1000, "no limit is met");
        match client
            .create(&format!("/{owned:04}{long}"), b"", 1)
            .expect("it answers")
        {
            Ok(_) => owned += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, ErrorCode::QuotaExceeded.to_wire());
    assert!(owned > 200, "{owned}");
    client
        .create("/lasting", b"", 0)
        .expect("it answers")
        .expect("others are not refused");
    let session = client.session.clone();
    drop(client);
    running.stop();
    // It is there after a restart, and its end can be written and read.
    let running = Running::start(temp.path());
    let mut client = Client::resume(running.address, &session).expect("it answers");
    let names = client.children("/").expect("it answers").expect("a root");
    assert_eq!(names.len(), owned + 2);
    let closed = client.call(&Request::CloseSession).expect("it answers");
    assert!(closed.is_ok());
    running.stop();
    let running = Running::start(temp.path());
    let names = running
        .client()
        .children("/")
        .expect("it answers")
        .expect("a root");
    assert_eq!(names.len(), 2, "only what lasts is left");
    running.stop();
}
