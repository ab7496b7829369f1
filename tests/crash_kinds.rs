//! kill -9 under every kind of write: version chains, deletes, sequential names (P8), ephemeral nodes of
//! sessions that live on and of sessions that ended (P15), nodes with a TTL, containers; and into snapshots.
//!
//! `KILL_ROUNDS` sets how often; a plain `cargo test` does a few.

#[path = "support/process.rs"]
mod process;
mod support;

use process::Process;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use support::{Client, create, free_port};
use zk_proto::{Create, OpCode, Reply, Request};

const EPHEMERAL: i32 = 1;
const SEQUENTIAL: i32 = 2;
/// No restart takes longer, whatever was interrupted.
const RESTART: Duration = Duration::from_secs(10);

fn made(client: &mut Client, path: &str, flags: i32) -> String {
    let made = client.create(path, b"", flags).expect("it answers");
    made.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Sets one node again and again, each time expecting the version before. Returns how many sets were
/// acknowledged and sent.
fn chain(address: SocketAddr, from: i32) -> (i32, i32) {
    let (mut acknowledged, mut sent) = (from, from);
    let Ok(mut client) = Client::connect(address) else {
        return (acknowledged, sent);
    };
    loop {
        while sent < acknowledged + 16 {
            let data = (sent + 1).to_string();
            let path = "/chain".into();
            let set = Request::SetData {
                path,
                data: Some(data.as_bytes()),
                version: sent,
            };
            if client.send(&set).is_err() {
                return (acknowledged, sent);
            }
            sent += 1;
        }
        match client.receive() {
            Ok((_, answer)) => assert!(matches!(answer, Ok(Reply::Stat(_))), "{answer:?}"),
            Err(_) => return (acknowledged, sent),
        }
        acknowledged += 1;
    }
}

fn check_chain(client: &mut Client, (acknowledged, sent): (i32, i32)) -> i32 {
    let (path, watch) = ("/chain".into(), false);
    let answer = client.call(&Request::GetData { path, watch });
    let Ok(Ok(Reply::Data(data, stat))) = answer else {
        panic!("{answer:?}");
    };
    let version = stat.version.0;
    assert!(
        (acknowledged..=sent).contains(&version),
        "{version}: {acknowledged}, {sent}"
    );
    let expected = if version == 0 {
        String::new()
    } else {
        version.to_string()
    };
    assert_eq!(data.unwrap_or_default(), expected.as_bytes());
    version
}

/// What is known of the sequential nodes.
#[derive(Clone, Default)]
struct Names {
    there: BTreeSet<String>,
    gone: BTreeSet<String>,
    /// Its deletion was sent, and nobody knows.
    unsure: Option<String>,
    highest: String,
}

/// Makes sequential nodes, and deletes every second one.
fn sequence(address: SocketAddr, mut names: Names) -> Names {
    let Ok(mut client) = Client::connect(address) else {
        return names;
    };
    loop {
        let mut previous = None;
        for _ in 0..2 {
            let Ok(answer) = client.create("/seq/s-", b"", SEQUENTIAL) else {
                return names;
            };
            let name = answer.expect("a name can be made");
            assert!(name > names.highest, "{name} after {} (P8)", names.highest);
            names.highest.clone_from(&name);
            names.there.insert(name.clone());
            previous = Some(name);
        }
        let name = previous.expect("two were made");
        names.there.remove(&name);
        names.unsure = Some(name.clone());
        let path = name.as_str().into();
        match client.call(&Request::Delete { path, version: 0 }) {
            Ok(answer) => assert!(answer.is_ok(), "{answer:?}"),
            Err(_) => return names,
        }
        names.unsure = None;
        names.gone.insert(name);
    }
}

fn check_names(client: &mut Client, mut names: Names) -> Names {
    let found = client
        .children("/seq")
        .expect("it answers")
        .expect("it is there");
    let found: BTreeSet<_> = found
        .into_iter()
        .map(|name| format!("/seq/{name}"))
        .collect();
    assert!(
        names.there.is_subset(&found),
        "an acknowledged create is lost (P19)"
    );
    assert!(
        names.gone.is_disjoint(&found),
        "an acknowledged delete is undone (P19)"
    );
    let unknown: Vec<_> = found.difference(&names.there).collect();
    assert!(unknown.len() <= 1, "only one was in flight: {unknown:?}");
    names.highest = names.highest.max(found.last().cloned().unwrap_or_default());
    if let Some(name) = names.unsure.take().filter(|name| !found.contains(name)) {
        names.gone.insert(name);
    }
    names.there = found;
    names
}

fn special(client: &mut Client, op: OpCode, path: &str, flags: i32, ttl: i64) {
    let Request::Create(plain) = create(path, b"", flags) else {
        unreachable!("a create is one");
    };
    let answer = client.call(&Request::Create(Create { op, ttl, ..plain }));
    assert!(matches!(answer, Ok(Ok(_))), "{path}: {answer:?}");
}

fn start(data: &std::path::Path, port: u16) -> Process {
    let settings = [
        "snapCount=400",
        "preAllocSize=64",
        "zookeeper.extendedTypesEnabled=true",
    ];
    let began = Instant::now();
    let server = Process::start(data, port, &settings);
    assert!(began.elapsed() < RESTART, "{:?}", began.elapsed());
    server
}

/// Whether a snapshot was being written.
fn interrupted_a_snapshot(data: &std::path::Path) -> bool {
    let names = std::fs::read_dir(data.join("version-2")).expect("it is there");
    names.into_iter().any(|entry| {
        let name = entry.expect("an entry").file_name();
        name.to_str().is_some_and(|name| name.ends_with(".tmp"))
    })
}

#[test]
fn every_kind_of_write_survives_kill_9() {
    let rounds: u32 = std::env::var("KILL_ROUNDS")
        .map_or(5, |rounds| rounds.parse().expect("KILL_ROUNDS is a number"));
    let data = tempfile::tempdir().expect("a directory can be made");
    let port = free_port();
    let mut server = start(data.path(), port);
    let mut client = Client::connect(server.address).expect("it serves");
    for path in ["/chain", "/seq", "/eph", "/gone"] {
        made(&mut client, path, 0);
    }
    special(&mut client, OpCode::CreateTtl, "/aging", 5, 3_600_000);
    special(&mut client, OpCode::CreateContainer, "/container", 4, -1);
    made(&mut client, "/container/child", 0);
    let owner = client.session.clone();
    let (mut version, mut names, mut interrupted) = (0, Names::default(), 0);
    for round in 0..rounds {
        let address = server.address;
        let known = names.clone();
        let chain = thread::spawn(move || chain(address, version));
        let sequence = thread::spawn(move || sequence(address, known));
        made(&mut client, &format!("/eph/{round}"), EPHEMERAL);
        let mut ended = Client::connect(address).expect("it serves");
        made(&mut ended, &format!("/gone/{round}"), EPHEMERAL);
        let closed = ended.call(&Request::CloseSession).expect("it answers");
        assert!(closed.is_ok());
        thread::sleep(Duration::from_millis(20 + u64::from(round * 53 % 160)));
        server.kill();
        interrupted += u32::from(interrupted_a_snapshot(data.path()));
        let sets = chain.join().expect("a writer never panics");
        names = sequence.join().expect("a writer never panics");
        server = start(data.path(), port);
        client = Client::resume(server.address, &owner).expect("it answers");
        assert_eq!(
            client.session.session, owner.session,
            "the session lives on"
        );
        version = check_chain(&mut client, sets);
        names = check_names(&mut client, names);
        let owned = client
            .children("/eph")
            .expect("it answers")
            .expect("it is there");
        assert_eq!(
            owned.len(),
            round as usize + 1,
            "ephemerals live with their session"
        );
        let gone = client
            .children("/gone")
            .expect("it answers")
            .expect("it is there");
        assert_eq!(gone, [""; 0], "a session that ended owns nothing (P15)");
        for path in ["/aging", "/container/child"] {
            assert!(client.data(path).expect("it answers").is_ok(), "{path}");
        }
    }
    println!("{rounds} kills, {interrupted} of them into a snapshot; {version} sets in a chain");
}
