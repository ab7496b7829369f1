//! An fsync that does not return (S75): nobody is acknowledged, readers are served, the operator is told while it
//! hangs, what waits is bounded, and afterwards nothing is lost. `strace` holds the call; without it SKIPPED.

#[path = "support/process.rs"]
mod process;
#[path = "support/strace.rs"]
mod strace;
mod support;

use process::Process;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use strace::{Strace, can_inject, log_thread};
use support::{Answer, Client, create, four_letters, free_port};
use zk_proto::Request;

/// Longer than anybody here waits: the hang ends when strace lets go.
const HANG: &str = "fdatasync:delay_enter=60000000:when=1";
const CONNECTIONS: usize = 16;
/// What each of them would like to have written.
const OFFERED: usize = 32 << 20;
/// What the server may use in all.
const MOST_MIB: usize = 300;

fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.expect("it has a size") << 10
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// Writes without reading until nothing more is taken. Returns how many bytes were.
fn flood(mut client: Client, name: usize, size: usize) -> usize {
    let data = vec![7; size];
    let patience = Some(Duration::from_millis(500));
    client
        .stream()
        .set_write_timeout(patience)
        .expect("a socket");
    for number in 0..OFFERED / size {
        let path = format!("/f{name}-{number}");
        if client.send(&create(&path, &data, 0)).is_err() {
            return number * size;
        }
    }
    OFFERED
}

/// A server, and the clients that came before its disk hung.
struct Scene {
    data: tempfile::TempDir,
    server: Process,
    writer: Client,
    reader: Client,
    others: Vec<Client>,
}

const SETTINGS: [&str; 2] = [
    "fsync.warningthresholdms=200",
    "4lw.commands.whitelist=mntr,ruok",
];

impl Scene {
    fn new() -> Self {
        let data = tempfile::tempdir().expect("a directory can be made");
        let errors = std::fs::File::create(data.path().join("said.txt")).expect("a file");
        let words = ["env", "RUST_LOG=warn"];
        let mut server = Process::spawn(&words, data.path(), free_port(), &SETTINGS, errors);
        server.wait_until_serving().expect("it serves");
        let address = server.address;
        let connect = || Client::connect(address).expect("it serves");
        let mut writer = connect();
        let created = writer.create("/before", b"kept", 0).expect("it answers");
        created.expect("it is new");
        Self {
            data,
            server,
            writer,
            reader: connect(),
            others: (0..CONNECTIONS).map(|_| connect()).collect(),
        }
    }

    fn has_said(&self, words: &str) -> bool {
        let said = std::fs::read_to_string(self.data.path().join("said.txt")).expect("text");
        said.contains(words)
    }

    /// Everyone writes as much as the server takes. Returns how many MiB that was.
    fn flood(&mut self, size: usize) -> usize {
        let clients = std::mem::take(&mut self.others).into_iter().enumerate();
        let taken: usize = std::thread::scope(|scope| {
            let floods: Vec<_> = clients
                .map(|(name, client)| scope.spawn(move || flood(client, name, size)))
                .collect();
            let taken = floods
                .into_iter()
                .map(|flood| flood.join().expect("it ends"));
            taken.sum()
        });
        taken >> 20
    }

    fn answer_within(&mut self, patience: Duration) -> std::io::Result<Answer> {
        let stream = self.writer.stream();
        stream.set_read_timeout(Some(patience)).expect("a socket");
        self.writer.receive()
    }

    /// Nobody is acknowledged, and everything else goes on.
    fn check_hanging(&mut self) {
        assert_eq!(four_letters(self.server.address, "ruok"), "imok");
        let data = self.reader.data("/before").expect("readers are served");
        assert_eq!(data, Ok(b"kept".to_vec()));
        let early = self.answer_within(Duration::from_millis(50));
        let early = early.expect_err("no acknowledgement").kind();
        let silent = matches!(early, ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(silent, "{early}");
    }
}

/// What a server says and does while its disk hangs, under requests of this size.
fn hang(size: usize) {
    if !can_inject() {
        return;
    }
    let mut scene = Scene::new();
    let address = scene.server.address;
    let strace = Strace::attach(log_thread(scene.server.id()), HANG);
    let sent = scene.writer.send(&create("/during", b"", 0));
    sent.expect("it listens");
    wait_for("it is told while it hangs", || {
        scene.has_said("the disk does not answer")
    });
    let mntr = four_letters(address, "mntr");
    let mut lines = mntr.lines();
    let counted = lines.any(|line| line == "zk_fsync_threshold_exceed_count\t1");
    assert!(counted, "{mntr}");

    let taken = scene.flood(size);
    let resident = resident(scene.server.id()) >> 20;
    let offered = CONNECTIONS * (OFFERED >> 20);
    assert!(taken < offered, "it stops reading: {taken} MiB");
    assert!(resident < MOST_MIB, "{resident} MiB for {taken} MiB sent");
    scene.check_hanging();

    drop(strace);
    let answer = scene.answer_within(Duration::from_secs(20));
    let answer = answer.expect("it goes on").1;
    assert!(answer.is_ok(), "{answer:?}");
    wait_for("it is told that it goes on", || {
        scene.has_said("the log moves again")
    });
    scene.server.kill();
    let server = Process::start(scene.data.path(), free_port(), &SETTINGS);
    let mut client = Client::connect(server.address).expect("it serves");
    for path in ["/before", "/during"] {
        let data = client.data(path).expect("it answers");
        assert!(data.is_ok(), "{path} is there");
    }
    let _closed = client.call(&Request::CloseSession);
}

#[test]
fn a_hung_disk_is_told_of_and_costs_no_more_than_what_may_wait() {
    hang(4 << 10);
}

#[test]
fn a_hung_disk_does_not_fill_the_memory_with_large_requests() {
    hang(900 << 10);
}
