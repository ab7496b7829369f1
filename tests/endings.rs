//! The server as a process: how it ends when it is asked to, and how it refuses to start (P25, P35).

#[path = "support/process.rs"]
mod process;
mod support;

use process::Process;
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use support::{Client, check_numbers, free_port, write_numbers};

const BASE: &str = "/numbers";
/// What a supervisor is promised.
const SECOND: Duration = Duration::from_secs(1);
/// What is long even on a busy machine.
const ENOUGH: Duration = Duration::from_secs(30);

fn make_base(server: &Process) {
    let mut client = Client::connect(server.address).expect("the server serves");
    let made = client.create(BASE, b"", 0).expect("it answers");
    made.expect("it creates");
}

#[test]
fn a_signal_under_load_ends_it_in_a_second_and_keeps_what_was_acknowledged() {
    for signal in [Signal::TERM, Signal::INT] {
        let data = tempfile::tempdir().expect("a directory can be made");
        let port = free_port();
        let mut server = Process::start(data.path(), port, &["snapCount=200"]);
        make_base(&server);
        let address = server.address;
        let writer = std::thread::spawn(move || write_numbers(address, BASE, 0, u32::MAX));
        std::thread::sleep(Duration::from_millis(200));
        server.signal(signal);
        let status = server.wait(SECOND).expect("it ends in time");
        assert_eq!(status.code(), Some(0), "{signal:?}");
        let numbers = writer.join().expect("a writer never panics");
        assert!(numbers.acknowledged > 0);
        let server = Process::start(data.path(), port, &[]);
        check_numbers(server.address, BASE, numbers);
    }
}

#[test]
fn sighup_ends_it_as_it_ends_java_and_loses_nothing() {
    let data = tempfile::tempdir().expect("a directory can be made");
    let port = free_port();
    let mut server = Process::start(data.path(), port, &[]);
    make_base(&server);
    let numbers = write_numbers(server.address, BASE, 0, 100);
    server.signal(Signal::HUP);
    let status = server.wait(SECOND).expect("it ends in time");
    assert_eq!(status.signal(), Some(1), "{status}");
    let server = Process::start(data.path(), port, &[]);
    assert_eq!(check_numbers(server.address, BASE, numbers), 100);
}

/// Serves, stops when asked, and has said at least two lines meanwhile.
fn check_unheard(errors: impl Into<Stdio>) {
    let data = tempfile::tempdir().expect("a directory can be made");
    let config = data.path().join("zoo.cfg");
    let port = free_port();
    let lines = format!("dataDir={}\nclientPort={port}\n", data.path().display());
    std::fs::write(&config, lines).expect("a file can be written");
    let mut server = Process::spawn_configured(&config, port, errors);
    if let Err(status) = server.wait_until_serving() {
        panic!("the server ended with {status} instead of serving");
    }
    make_base(&server);
    server.signal(Signal::TERM);
    let status = server.wait(ENOUGH).expect("it ends");
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
fn a_server_whom_nobody_hears_goes_on() {
    let full = File::options().write(true).open("/dev/full");
    check_unheard(full.expect("Linux has a device that is full"));
    let (gone, pipe) = std::io::pipe().expect("a pipe can be made");
    drop(gone);
    check_unheard(pipe);
}

#[test]
fn a_signal_during_recovery_ends_it_and_the_next_start_recovers() {
    let data = tempfile::tempdir().expect("a directory can be made");
    let port = free_port();
    let server = Process::start(data.path(), port, &[]);
    make_base(&server);
    let numbers = write_numbers(server.address, BASE, 0, 5000);
    server.kill();
    for millis in [0, 2, 5, 10, 20, 30, 45, 60] {
        let errors = data.path().join("errors.txt");
        let mut server = Process::spawn_logged(data.path(), port, &[], &errors);
        std::thread::sleep(Duration::from_millis(millis));
        server.signal(Signal::TERM);
        let status = server.wait(SECOND).expect("it ends in time");
        // The first moments of a process belong to the system's own way of ending it.
        let ended = status.code() == Some(0) || status.signal() == Some(15);
        assert!(ended, "after {millis} ms: {status}");
    }
    let server = Process::start(data.path(), port, &[]);
    assert_eq!(check_numbers(server.address, BASE, numbers), 5000);
}

/// Starts where no start can succeed. Returns the code and what was said.
fn refused(data: &Path, port: u16, settings: &[&str]) -> (ExitStatus, String) {
    let errors = tempfile::NamedTempFile::new().expect("a file can be made");
    let began = Instant::now();
    let mut server = Process::spawn_logged(data, port, settings, errors.path());
    let status = server.wait(Duration::from_secs(10)).expect("it gives up");
    assert!(began.elapsed() < Duration::from_secs(5));
    let said = std::fs::read_to_string(errors.path()).expect("errors are text");
    (status, said)
}

fn check_refused(data: &Path, port: u16, settings: &[&str], code: i32, words: &[&str]) {
    let (status, said) = refused(data, port, settings);
    assert_eq!(status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

#[test]
fn a_second_server_on_the_same_directory_is_refused_and_the_first_goes_on() {
    let data = tempfile::tempdir().expect("a directory can be made");
    let server = Process::start(data.path(), free_port(), &[]);
    make_base(&server);
    let pid = format!("process {}", server.id());
    let words = [
        ".zk-server.lock",
        "another server",
        &pid,
        "Unable to access datadir",
    ];
    check_refused(data.path(), free_port(), &[], 3, &words);
    // Operators move `version-2` to other disks, and copy configurations.
    let other = tempfile::tempdir().expect("a directory can be made");
    let (there, here) = (
        data.path().join("version-2"),
        other.path().join("version-2"),
    );
    std::os::unix::fs::symlink(there, here).expect("a link can be made");
    check_refused(other.path(), free_port(), &[], 3, &words);
    let numbers = write_numbers(server.address, BASE, 0, 50);
    assert_eq!(check_numbers(server.address, BASE, numbers), 50);
}

#[test]
fn two_names_of_one_directory_are_refused_with_a_hint() {
    let data = tempfile::tempdir().expect("a directory can be made");
    let other = tempfile::tempdir().expect("a directory can be made");
    let link = other.path().join("link");
    std::os::unix::fs::symlink(data.path(), &link).expect("a link can be made");
    let logs = format!("dataLogDir={}", link.display());
    let words = ["dataDir and dataLogDir may be two names of one directory"];
    check_refused(data.path(), free_port(), &[&logs], 3, &words);
}

#[test]
fn a_port_in_use_is_refused_by_its_address() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = taken.local_addr().expect("it has an address").port();
    let data = tempfile::tempdir().expect("a directory can be made");
    let words = [&port.to_string(), "is another server running there"];
    check_refused(data.path(), port, &[], 1, &words);
}

#[test]
fn a_directory_that_cannot_be_used_is_refused_by_its_name() {
    let temp = tempfile::tempdir().expect("a directory can be made");
    let file = temp.path().join("a-file");
    std::fs::write(&file, "").expect("it can be written");
    let headline = "Unable to access datadir, exiting abnormally";
    check_refused(
        &file.join("data"),
        free_port(),
        &[],
        3,
        &["a-file", headline],
    );
    check_refused(
        Path::new("/proc/zk"),
        free_port(),
        &[],
        3,
        &["/proc/zk", headline],
    );
    let absent = temp.path().join("absent");
    let settings = ["zookeeper.datadir.autocreate=false"];
    check_refused(
        &absent,
        free_port(),
        &settings,
        3,
        &["Missing data directory", headline],
    );
    assert!(!absent.exists());
}

#[test]
fn damage_is_refused_with_its_own_number_its_place_and_a_way_out() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("zk-server/testdata/disk");
    let text = std::fs::read(testdata.join("damaged-logs/expected.json")).expect("it is there");
    let cases: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
    let mut damaged = 0;
    for (name, facts) in cases.as_object().expect("an object") {
        let temp = tempfile::tempdir().expect("a directory can be made");
        let dir = temp.path().join("version-2");
        std::fs::create_dir(&dir).expect("it can be made");
        let from = testdata.join("standalone-3.8.0/version-2");
        for file in ["snapshot.0", "snapshot.25", "log.1"] {
            std::fs::copy(from.join(file), dir.join(file)).expect("it can be copied");
        }
        let log = testdata.join(format!("damaged-logs/{name}.log.26"));
        std::fs::copy(log, dir.join("log.26")).expect("it can be copied");
        // Java drops acknowledged records of this one without a word.
        if facts["java_last_zxid"].is_null() || name == "middle-length-zero" {
            let file = dir.join("log.26");
            let words = [
                file.to_str().expect("text"),
                "damaged at byte",
                "move this data directory",
            ];
            check_refused(temp.path(), free_port(), &[], 20, &words);
            damaged += 1;
        } else {
            let mut config = zk_server::Config::in_process(temp.path());
            config.misc.extended_types = true;
            let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
            let started = runtime.block_on(zk_server::Server::start(config));
            let server = started.unwrap_or_else(|error| panic!("{name}: {error}"));
            let address = server.client_address().expect("a port");
            let zxid = Client::connect(address)
                .expect("it serves")
                .create("/new", b"", 0);
            zxid.expect("it answers").expect("it creates");
            let state = support::four_letters(address, "srvr");
            let last = facts["java_last_zxid"].as_str().expect("a zxid");
            let last = i64::from_str_radix(&last[2..], 16).expect("hex");
            // A session and a node later.
            let line = format!("Zxid: {:#x}\n", last + 2);
            assert!(state.contains(&line), "{name}: {state}");
            runtime.block_on(server.stop()).expect("it stops");
        }
    }
    assert_eq!(damaged, 6);
}
