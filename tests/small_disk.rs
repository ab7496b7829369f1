//! A disk that fills up under load: nothing acknowledged is lost, the message says what to do, and room and a
//! restart are all it takes (P23). Needs the right to mount a tmpfs, or says SKIPPED.
#![expect(clippy::print_stdout, reason = "a test that cannot run says so")]

#[path = "support/process.rs"]
mod process;
mod support;

use process::Process;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Client, create, free_port};
use zk_proto::{Reply, Request};

struct Disk(tempfile::TempDir);

impl Disk {
    fn mount(size: &str) -> Option<Self> {
        let disk = tempfile::tempdir().expect("a directory can be made");
        let words = ["-t", "tmpfs", "-o", size, "tmpfs"];
        let mut command = Command::new("mount");
        let mounted = command
            .args(words)
            .arg(disk.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(disk));
        }
        println!("SKIPPED: a tmpfs cannot be mounted here; run as root");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,{size}");
        let done = Command::new("mount")
            .args(["-o", &options])
            .arg(self.path())
            .status();
        assert!(done.is_ok_and(|status| status.success()), "it was mounted");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Creates nodes of 8 KiB until the server is gone. Returns how many were acknowledged.
fn fill(server: &Process, from: u32) -> u32 {
    let data = [7; 8 << 10];
    let mut acknowledged = from;
    let Ok(mut client) = Client::connect(server.address) else {
        return acknowledged;
    };
    loop {
        let path = format!("/n{acknowledged:06}");
        match client.call(&create(&path, &data, 0)) {
            Ok(answer) => assert!(matches!(answer, Ok(Reply::Path(_))), "{answer:?}"),
            Err(_) => return acknowledged,
        }
        acknowledged += 1;
    }
}

fn check(server: &Process, acknowledged: u32) -> u32 {
    let mut client = Client::connect(server.address).expect("it serves");
    let names = client.children("/").expect("it answers").expect("a root");
    let found = u32::try_from(names.len() - 1).expect("few");
    assert!(
        found == acknowledged || found == acknowledged + 1,
        "{found} are there of {acknowledged}"
    );
    for number in 0..found {
        let data = client.data(&format!("/n{number:06}")).expect("it answers");
        assert_eq!(data.map(|data| data.len()), Ok(8 << 10), "{number}");
    }
    let _closed = client.call(&Request::CloseSession);
    found
}

/// Writes would be refused long before the disk is full; here it is to be filled.
const WITHOUT_HEADROOM: &str = "storage.diskHeadroomBytes=0";

/// With the default settings otherwise, 64 MiB of preallocation among them.
fn scene(sizes: [&str; 3], settings: &[&str]) {
    let Some(disk) = Disk::mount(sizes[0]) else {
        return;
    };
    let errors = tempfile::NamedTempFile::new().expect("a file can be made");
    let (data, port) = (disk.path().join("data"), free_port());
    let mut next = 0;
    for size in &sizes[1..] {
        let mut server = Process::spawn_logged(&data, port, settings, errors.path());
        server
            .wait_until_serving()
            .expect("it serves on a small disk");
        check(&server, next);
        let acknowledged = fill(&server, next);
        assert!(acknowledged > next + 100, "{acknowledged} fit");
        let status = server
            .wait(Duration::from_secs(1))
            .expect("it ends at once");
        let said = std::fs::read_to_string(errors.path()).expect("errors are text");
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("version-2"), "{said}");
        assert!(said.contains("free some space and restart"), "{said}");
        disk.resize(size);
        let server = Process::start(&data, port, settings);
        next = check(&server, acknowledged);
        server.kill();
    }
}

#[test]
fn a_full_disk_of_16_mib_needs_room_and_a_restart() {
    scene(["size=16m", "size=32m", "size=64m"], &[WITHOUT_HEADROOM]);
}

#[test]
fn snapshots_that_do_not_fit_leave_the_room_to_the_log() {
    let settings = [
        "snapCount=100",
        "autopurge.snapRetainCount=3",
        WITHOUT_HEADROOM,
    ];
    scene(["size=16m", "size=48m", "size=64m"], &settings);
}

const THROTTLED: i32 = -127;
const WRITERS: [&str; 4] = ["a", "b", "c", "d"];
const KIB: u64 = 1 << 10;

fn free(disk: &Disk) -> u64 {
    let numbers = rustix::fs::statvfs(disk.path()).expect("it is mounted");
    numbers.f_bavail * numbers.f_frsize
}

/// Creates nodes of 8 KiB, 64 in flight, until one is refused. Returns how many were acknowledged.
fn hurry(server: &Process, name: &str) -> u32 {
    let data = [7; 8 << 10];
    let mut client = Client::connect(server.address).expect("it serves");
    let (mut sent, mut acknowledged) = (0, 0);
    loop {
        while sent < acknowledged + 64 {
            let path = format!("/{name}{sent:06}");
            client.send(&create(&path, &data, 0)).expect("it listens");
            sent += 1;
        }
        match client.receive().expect("it lives").1 {
            Ok(Reply::Path(_)) => acknowledged += 1,
            Err(THROTTLED) => break,
            other => panic!("{other:?}"),
        }
    }
    for _ in acknowledged + 1..sent {
        // Others may have been counted as written that were not, for a moment.
        match client.receive().expect("it lives").1 {
            Ok(Reply::Path(_)) => acknowledged += 1,
            other => assert_eq!(other, Err(THROTTLED)),
        }
    }
    let path = format!("/{name}000000");
    let delete = Request::Delete {
        path: (&*path).into(),
        version: -1,
    };
    let deleted = client.call(&delete).expect("it lives");
    assert!(deleted.is_ok(), "what makes room is done: {deleted:?}");
    let _closed = client.call(&Request::CloseSession);
    acknowledged
}

#[test]
fn fast_writers_meet_the_headroom_and_not_the_end_of_the_disk() {
    let Some(disk) = Disk::mount("size=64m") else {
        return;
    };
    let (data, port) = (disk.path().join("data"), free_port());
    let server = Process::start(&data, port, &[]);
    let writers = WRITERS.map(|name| (name, &server));
    let acknowledged: u32 = std::thread::scope(|scope| {
        let writing = writers.map(|(name, server)| scope.spawn(|| hurry(server, name)));
        let written = writing.map(|writer| writer.join().expect("it does not panic"));
        written.into_iter().sum()
    });
    // An eighth of 64 MiB is kept. The log takes its room in steps, and grows a little by what is still done.
    let (left, step) = (free(&disk), 2 << 10);
    assert!(
        left > (8 << 10) * KIB - 2 * step * KIB,
        "{left} bytes are left"
    );
    assert!(acknowledged > 4000, "{acknowledged} of 8 KiB fit");
    server.kill();
    let server = Process::start(&data, port, &[]);
    let mut client = Client::connect(server.address).expect("it serves");
    let names = client.children("/").expect("it answers").expect("a root");
    assert_eq!(names.len() - 1, acknowledged as usize - WRITERS.len());
    let _closed = client.call(&Request::CloseSession);
}
