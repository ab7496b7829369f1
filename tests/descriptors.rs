//! A process may open so many files: clients get as many as there can be, and never the last, which the log,
//! snapshots and other members need (P22, H3).

#[path = "support/process.rs"]
mod process;
mod support;

use process::Process;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{Client, free_port};

/// Starts the binary where `ulimit` has been called with this, with a log that is soon full.
fn start(data: &std::path::Path, ulimit: &str) -> Process {
    let script = format!("ulimit {ulimit} && exec \"$@\"");
    let before = ["sh", "-c", &script, "sh"];
    let settings = ["snapCount=20"];
    let mut server = Process::spawn(&before, data, free_port(), &settings, Stdio::inherit());
    if let Err(status) = server.wait_until_serving() {
        panic!("the server ended with {status} instead of serving");
    }
    server
}

fn is_served(mut stream: &TcpStream) -> bool {
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).expect("it is no zero");
    let mut answer = String::new();
    // Who is refused may hear so before it has asked.
    let _refused = stream.write_all(b"srvr");
    let _refused = stream.read_to_string(&mut answer);
    answer.starts_with("Zookeeper version: ")
}

#[test]
fn a_flood_of_connections_leaves_the_disk_its_files() {
    let data = tempfile::tempdir().expect("a directory can be made");
    let server = start(data.path(), "-n 64");
    let mut client = Client::connect(server.address).expect("the server serves");
    let flood: Vec<_> = (0..100)
        .map_while(|_| TcpStream::connect(server.address).ok())
        .collect();
    assert!(!flood.iter().rev().take(20).any(is_served));
    for number in 0..200 {
        let made = client.create(&format!("/{number}"), b"", 0);
        made.expect("it answers").expect("it creates");
    }
    drop(flood);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !TcpStream::connect(server.address).is_ok_and(|stream| is_served(&stream)) {
        assert!(Instant::now() < deadline, "nobody is let in again");
    }
}

#[test]
fn what_the_process_may_have_is_asked_for() {
    let data = tempfile::tempdir().expect("a directory can be made");
    let server = start(data.path(), "-Sn 64");
    let crowd: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(server.address).expect("it listens"))
        .collect();
    // The last first: whoever is answered gives its file back.
    assert!(crowd.iter().rev().all(is_served));
}
