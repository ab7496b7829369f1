//! Hostile clients against one server: whatever they do, the server goes on serving others, and it gets
//! rid of them in time. Each check is a client with bad manners and a polite one that looks on.
//!
//! ```text
//! cargo test -p zk-server --test hostile                         against a server in this process
//! HOSTILE_ADDR=127.0.0.1:2181 cargo test -p zk-server --test hostile      against a running one
//! HOSTILE_ORACLE=1 cargo test …                                  against the reference
//! ```
#![expect(
    clippy::print_stdout,
    reason = "a test program speaks to whoever runs it"
)]
#![expect(
    dead_code,
    reason = "shares its wire client and servers with the differential test"
)]

mod script;
mod servers;
mod wire;

use bytes::BufMut;
use script::{Ask, Hello};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wire::{Conn, Got, four_letters, framed};
use zk_proto::jute::{DEFAULT_MAX_BUFFER, JuteMut};
use zk_proto::{Acl, ConnectResponse, Create, MultiOp, OpCode, Perms, Request};

/// How soon a polite client must be answered while others misbehave.
const SERVED: Duration = Duration::from_secs(5);
/// How soon nonsense must end a connection.
const PROMPT: Duration = Duration::from_secs(3);
/// How long a connection without a session may live: ten seconds and the reference's rounding.
const SESSIONLESS: Duration = Duration::from_secs(23);

/// Both ends of each are descriptors of this process, which may have no more than 1024.
const FLOOD: usize = 400;

type Check = fn(SocketAddr) -> Result<(), String>;

const CHECKS: [(&str, Check); 12] = [
    ("a handshake that never ends is cut off", slowloris),
    ("a connection that says nothing is cut off", mute),
    ("a slow but honest handshake is served", slow_but_honest),
    (
        "garbage instead of a handshake closes the connection",
        garbage_hello,
    ),
    (
        "garbage after the handshake closes the connection",
        garbage_frame,
    ),
    ("huge declared lengths cost nothing", huge_lengths),
    (
        "counts that promise more than a frame holds are refused",
        huge_counts,
    ),
    ("a client that does not read is not waited for", slow_reader),
    ("many connections at once leave room for one more", flood),
    ("a half-closed connection is closed", half_close),
    (
        "a reset in the middle of a frame harms nobody",
        reset_mid_frame,
    ),
    (
        "a client that opens and leaves sessions harms nobody",
        abandoned_sessions,
    ),
];

fn main() -> ExitCode {
    let (addr, server) = match target() {
        Ok(target) => target,
        Err(reason) => {
            println!("\n**** SKIPPED: hostile clients: {reason} ****\n");
            return ExitCode::SUCCESS;
        }
    };
    println!("hostile clients against {addr}");
    let only = std::env::var("HOSTILE_ONLY").unwrap_or_default();
    let (mut passed, mut failed) = (0, 0);
    for (name, check) in CHECKS.iter().filter(|(name, _)| name.contains(&only)) {
        let started = Instant::now();
        let outcome =
            check(addr).and_then(|()| polite(addr).map_err(|e| format!("afterwards: {e}")));
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("ok      {seconds:5.1} s  {name}");
            }
            Err(reason) => {
                failed += 1;
                println!("FAILED  {seconds:5.1} s  {name}: {reason}");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    match server {
        Target::Elsewhere => {}
        Target::Reference(server) if failed > 0 => println!("{}", server.log_tail()),
        Target::Reference(_) => {}
        Target::Own(own) => {
            if let Err(reason) = own.stop() {
                println!("FAILED  the server itself: {reason}");
                failed += 1;
            }
        }
    }
    if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whose server it is.
enum Target {
    Elsewhere,
    Reference(servers::Server),
    Own(Own),
}

fn target() -> Result<(SocketAddr, Target), String> {
    if let Ok(addr) = std::env::var("HOSTILE_ADDR") {
        let addr = addr.parse().map_err(|e| format!("HOSTILE_ADDR: {e}"))?;
        return Ok((addr, Target::Elsewhere));
    }
    if std::env::var("HOSTILE_ORACLE").is_ok() {
        let server = servers::oracle()?.start(&servers::PROFILES[0])?;
        return Ok((server.addr, Target::Reference(server)));
    }
    let own = Own::start().unwrap_or_else(|reason| panic!("our server does not start: {reason}"));
    Ok((own.addr, Target::Own(own)))
}

/// A server in this process.
struct Own {
    addr: SocketAddr,
    server: zk_server::Server,
    runtime: tokio::runtime::Runtime,
    _data: tempfile::TempDir,
}

impl Own {
    fn start() -> Result<Self, String> {
        let data = tempfile::tempdir().map_err(|e| e.to_string())?;
        let mut config = zk_server::Config::in_process(data.path());
        config.storage.force_sync = false;
        config.sessions.tick_time = Duration::from_millis(100);
        config.sessions.min_timeout = Duration::from_millis(700);
        config.sessions.max_timeout = Duration::from_secs(60);
        config.four_letter_words = zk_server::config::settings::FourLetterWords::All;
        let runtime = tokio::runtime::Runtime::new().map_err(|e| e.to_string())?;
        let server = runtime
            .block_on(zk_server::Server::start(config))
            .map_err(|e| e.to_string())?;
        let addr = server.client_address().ok_or("it has no port")?;
        Ok(Self {
            addr,
            server,
            runtime,
            _data: data,
        })
    }

    /// It must still be able to say goodbye.
    fn stop(self) -> Result<(), String> {
        self.runtime
            .block_on(self.server.stop())
            .map_err(|e| e.to_string())
    }
}

/// Opens a session.
fn session(addr: SocketAddr, timeout: i32) -> Result<Conn, String> {
    let mut conn = Conn::open(addr).map_err(|e| format!("no connection: {e}"))?;
    conn.send(&framed(&Hello::new(timeout, Some(false)).payload(0, None)));
    match conn.frame(SERVED) {
        Got::Frame(payload) => match ConnectResponse::decode(&payload) {
            Ok(response) if response.timeout > 0 => Ok(conn),
            other => Err(format!("no session but {other:?}")),
        },
        silent @ (Got::Closed | Got::Silence) => Err(format!("no session but {silent:?}")),
    }
}

fn ask(conn: &mut Conn, request: &Request<'_>) -> Result<Vec<u8>, String> {
    conn.send(&framed(&Ask::new(1, request).payload(0)));
    match conn.frame(SERVED) {
        Got::Frame(payload) => Ok(payload),
        silent @ (Got::Closed | Got::Silence) => {
            Err(format!("no answer to {} but {silent:?}", request.op()))
        }
    }
}

/// What must work whatever others do: a session, a write, a read, a four-letter word, a goodbye.
fn polite(addr: SocketAddr) -> Result<(), String> {
    let mut conn = session(addr, 10_000)?;
    let err = |payload: &[u8]| payload.get(12..16).map(<[u8]>::to_vec);
    let made = ask(&mut conn, &create("/polite-", 3, None))?;
    if err(&made) != Some(vec![0; 4]) {
        return Err(format!("a create is answered with {made:02x?}"));
    }
    let path = "/".into();
    let read = ask(&mut conn, &Request::GetData { path, watch: false })?;
    if err(&read) != Some(vec![0; 4]) {
        return Err(format!("a read is answered with {read:02x?}"));
    }
    ask(&mut conn, &Request::CloseSession)?;
    match four_letters(addr, "ruok").as_deref() {
        Some("imok") => Ok(()),
        other => Err(format!("ruok is answered with {other:?}")),
    }
}

fn create<'a>(path: &'a str, flags: i32, data: Option<&'a [u8]>) -> Request<'a> {
    Request::Create(Create {
        op: OpCode::Create,
        path: path.into(),
        data,
        acl: Some(vec![Acl::world(Perms::ALL).into()]),
        flags,
        ttl: -1,
    })
}

fn ended(conn: &mut Conn, within: Duration, what: &str) -> Result<(), String> {
    if conn.closes_within(within) {
        Ok(())
    } else {
        Err(format!("{what}: still open after {within:?}"))
    }
}

/// Connections that send a byte of their handshake now and then, and never the last one.
fn slowloris(addr: SocketAddr) -> Result<(), String> {
    let hello = framed(&Hello::new(10_000, Some(false)).payload(0, None));
    let mut conns = Vec::new();
    for _ in 0..50 {
        conns.push(Conn::open(addr).map_err(|e| e.to_string())?);
    }
    for byte in hello.chunks(1).take(10) {
        conns.iter_mut().for_each(|conn| conn.send(byte));
        polite(addr)?;
    }
    // Bytes that keep coming may keep a connection alive; silence must not.
    let deadline = Instant::now() + SESSIONLESS;
    conns.iter_mut().try_for_each(|conn| {
        let left = deadline.saturating_duration_since(Instant::now());
        ended(
            conn,
            left.max(Duration::from_millis(50)),
            "an unfinished handshake",
        )
    })
}

fn mute(addr: SocketAddr) -> Result<(), String> {
    let mut conn = Conn::open(addr).map_err(|e| e.to_string())?;
    ended(&mut conn, SESSIONLESS, "a silent connection")
}

fn slow_but_honest(addr: SocketAddr) -> Result<(), String> {
    let mut conn = Conn::open(addr).map_err(|e| e.to_string())?;
    for byte in framed(&Hello::new(10_000, Some(false)).payload(0, None)).chunks(1) {
        conn.send(byte);
        std::thread::sleep(Duration::from_millis(20));
    }
    match conn.frame(SERVED) {
        Got::Frame(payload) if ConnectResponse::decode(&payload).is_ok() => Ok(()),
        other @ (Got::Frame(_) | Got::Closed | Got::Silence) => Err(format!("{other:?}")),
    }
}

fn garbage_hello(addr: SocketAddr) -> Result<(), String> {
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[0xff; 64],
        b"ruok?no!",
        &[0, 0, 0, 4, 1, 2, 3, 4],
    ] {
        let mut conn = Conn::open(addr).map_err(|e| e.to_string())?;
        conn.send(garbage);
        ended(&mut conn, PROMPT, &format!("{garbage:02x?}"))?;
    }
    Ok(())
}

fn garbage_frame(addr: SocketAddr) -> Result<(), String> {
    for garbage in [
        &[0xff; 64][..],
        &[0x7f; 64],
        &[0, 0, 0, 3, 1, 2, 3],
        &[0, 0, 0, 0],
    ] {
        let mut conn = session(addr, 10_000)?;
        conn.send(garbage);
        ended(&mut conn, PROMPT, &format!("{garbage:02x?}"))?;
    }
    Ok(())
}

/// Lengths of frames, within and beyond the limit, with nothing behind them.
fn huge_lengths(addr: SocketAddr) -> Result<(), String> {
    let max = i32::try_from(DEFAULT_MAX_BUFFER).map_err(|e| e.to_string())?;
    let mut waiting = Vec::new();
    for _ in 0..300 {
        // Each of these may arrive one day; a server that sets the bytes aside now holds 300 MB.
        let mut conn = session(addr, 4_000)?;
        conn.send(&max.to_be_bytes());
        waiting.push(conn);
    }
    polite(addr)?;
    for length in [max + 1, i32::MAX, -1, i32::MIN] {
        let mut conn = session(addr, 10_000)?;
        conn.send(&length.to_be_bytes());
        ended(&mut conn, PROMPT, &format!("a frame of {length} bytes"))?;
    }
    Ok(())
}

/// Vectors and strings whose declared size is a lie, in frames that are honest.
fn huge_counts(addr: SocketAddr) -> Result<(), String> {
    let mut conn = session(addr, 10_000)?;
    for (op, strings_before) in [(1, 2), (7, 1), (101, 0), (105, 0), (4, 0), (14, 0)] {
        for count in [i32::MAX, 0x0fff_ffff, i32::MIN] {
            let mut payload = Vec::new();
            payload.put_i32(1);
            payload.put_i32(op);
            if matches!(op, 101 | 105) {
                payload.put_i64(0);
            }
            if op == 14 {
                payload.put_i32(1);
                payload.put_bool(false);
                payload.put_i32(-1);
            }
            (0..strings_before).for_each(|_| payload.put_string("/x"));
            payload.put_i32(count);
            conn.send(&framed(&payload));
            match conn.frame(SERVED) {
                Got::Frame(_) => {}
                silent @ (Got::Closed | Got::Silence) => {
                    return Err(format!("op {op}, count {count}: {silent:?}"));
                }
            }
        }
    }
    Ok(())
}

/// Asks for megabytes and never reads them.
fn slow_reader(addr: SocketAddr) -> Result<(), String> {
    let mut owner = session(addr, 10_000)?;
    let data = vec![7; 900_000];
    ask(&mut owner, &create("/hostile-big", 1, Some(&data)))?;
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut conn = session(addr, 10_000)?;
        let path = "/hostile-big".into();
        let read = Ask::new(1, &Request::GetData { path, watch: false });
        for _ in 0..60 {
            conn.send(&framed(&read.payload(0)));
        }
        readers.push(conn);
    }
    for _ in 0..5 {
        polite(addr)?;
    }
    drop(readers);
    ask(&mut owner, &Request::CloseSession).map(drop)
}

fn flood(addr: SocketAddr) -> Result<(), String> {
    let mut conns = Vec::new();
    for _ in 0..FLOOD {
        conns.push(Conn::open(addr).map_err(|e| e.to_string())?);
    }
    polite(addr)?;
    for conn in &mut conns {
        conn.send(&framed(&Hello::new(4_000, Some(false)).payload(0, None)));
    }
    let served = conns
        .iter_mut()
        .filter_map(|conn| match conn.frame(SERVED) {
            Got::Frame(_) => Some(()),
            Got::Closed | Got::Silence => None,
        })
        .count();
    if served == FLOOD {
        Ok(())
    } else {
        Err(format!("{served} of {FLOOD} were served"))
    }
}

fn half_close(addr: SocketAddr) -> Result<(), String> {
    let mut fresh = Conn::open(addr).map_err(|e| e.to_string())?;
    fresh.half_close();
    ended(&mut fresh, PROMPT, "before the handshake")?;
    let mut conn = session(addr, 10_000)?;
    conn.send(&framed(&Ask::new(1, &Request::Ping).payload(0)));
    conn.half_close();
    ended(&mut conn, PROMPT, "after a request")
}

/// Leaves in the middle of a frame, many times.
fn reset_mid_frame(addr: SocketAddr) -> Result<(), String> {
    let ops = [MultiOp::Check {
        path: "/".into(),
        version: -1,
    }];
    let multi = framed(&Ask::new(1, &Request::Multi(ops.to_vec())).payload(0));
    for len in 0..multi.len() {
        let mut conn = session(addr, 4_000)?;
        conn.send(&multi[..len]);
    }
    Ok(())
}

/// Sessions with ephemeral nodes that nobody closes: they must be gone once their time is over.
fn abandoned_sessions(addr: SocketAddr) -> Result<(), String> {
    for n in 0..100 {
        let mut conn = session(addr, 1_000)?;
        ask(&mut conn, &create(&format!("/hostile-left-{n}"), 1, None))?;
    }
    let mut conn = session(addr, 60_000)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let path = "/".into();
        let names = ask(&mut conn, &Request::GetChildren { path, watch: false })?;
        let left = String::from_utf8_lossy(&names)
            .matches("hostile-left")
            .count();
        if left == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{left} nodes of dead sessions are left"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
