//! Real file systems, ext4 and xfs, in a file: their power is cut under concurrent writers, with and without a
//! kill before it, and they fill up (P19, P20, P23, P24). Needs root, loop devices, mkfs and xfs_io, or says
//! SKIPPED. `POWER_CUTS` is the number of rounds on each.

#[path = "support/image.rs"]
mod image;
#[path = "support/process.rs"]
mod process;
mod support;

use image::Image;
use process::Process;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use support::{Client, Numbers, check_numbers, create, free_port, write_numbers};
use zk_proto::{Reply, Request};

const WRITERS: [&str; 3] = ["/a", "/b", "/c"];
/// Two rounds with each: as delivered; with small files and many snapshots.
const SETTINGS: [&[&str]; 2] = [
    &[],
    &["preAllocSize=64", "txnLogSizeLimitInKb=64", "snapCount=200"],
];

fn rounds() -> u32 {
    std::env::var("POWER_CUTS").map_or(2, |rounds| rounds.parse().expect("a number"))
}

/// The last transaction that the server has applied.
fn zxid(client: &mut Client) -> i64 {
    let path = "/".into();
    let asked = client.send(&Request::Exists { path, watch: false });
    asked.expect("the server listens");
    client.receive().expect("it answers").0.to_wire()
}

/// How the machine ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The power goes while everybody writes, and the process lives to see it.
    Cut,
    /// First the process, then the power: what only the kernel knew is gone as well.
    KillAndCut,
}

/// Writes until the end. Returns what each writer knows.
fn write_until(
    mut server: Process,
    image: &Image,
    from: [u32; 3],
    end: End,
    txns: i64,
) -> Option<[Numbers; 3]> {
    let address = server.address;
    // One connection asks all the time: a new one for each question would fill the kernel's tables.
    let mut watcher = Client::connect(address).expect("it serves");
    let target = zxid(&mut watcher) + txns;
    std::thread::scope(|scope| {
        let mut from = from.into_iter();
        let writers = WRITERS.map(|base| {
            let next = from.next().expect("one for each");
            scope.spawn(move || write_numbers(address, base, next, u32::MAX))
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        while zxid(&mut watcher) < target {
            assert!(
                Instant::now() < deadline,
                "{txns} transactions take too long"
            );
        }
        let cut = match end {
            End::Cut => {
                // The kernel's shutdown of a file system lies to who waits in fdatasync at that moment: it
                // returns success for data that then is not there, in ext4 and xfs alike. So nobody waits.
                server.pause();
                let cut = image.cut();
                server.signal(rustix::process::Signal::CONT);
                if cut {
                    let status = server.wait(Duration::from_secs(5));
                    let status = status.expect("it cannot write, so it ends (P22)");
                    assert_eq!(status.code(), Some(1), "{status}");
                }
                cut
            }
            End::KillAndCut => {
                server.signal(rustix::process::Signal::KILL);
                server.wait(Duration::from_secs(5)).expect("it is killed");
                image.cut()
            }
        };
        drop(server);
        let numbers = writers.map(|writer| writer.join().expect("it does not panic"));
        cut.then_some(numbers)
    })
}

fn power_cuts(kind: &str) {
    let Some(mut image) = Image::new(kind) else {
        return;
    };
    let port = free_port();
    let mut next = [0; 3];
    for round in 0..rounds() {
        let settings = SETTINGS[(round as usize / 2) % SETTINGS.len()];
        let end = [End::Cut, End::KillAndCut][round as usize % 2];
        let server = Process::start(&image.path().join("data"), port, settings);
        if round == 0 {
            let mut client = Client::connect(server.address).expect("it serves");
            for base in WRITERS {
                client
                    .create(base, b"", 0)
                    .expect("it answers")
                    .expect("new");
            }
        }
        let txns = 150 + i64::from(round) * 97;
        let Some(numbers) = write_until(server, &image, next, end, txns) else {
            return;
        };
        image = image.mount_again();
        let server = Process::start(&image.path().join("data"), port, settings);
        for (next, (base, numbers)) in next.iter_mut().zip(WRITERS.into_iter().zip(numbers)) {
            *next = check_numbers(server.address, base, numbers);
        }
        server.kill();
    }
    assert!(next.iter().all(|next| *next > 50), "{next:?} were written");
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_of_an_ext4_is_cut() {
    power_cuts("ext4");
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_of_an_xfs_is_cut() {
    power_cuts("xfs");
}

/// Creates nodes of 8 KiB until the server is gone. Returns how many were acknowledged.
fn fill(address: SocketAddr, from: u32) -> u32 {
    let data = [7; 8 << 10];
    let mut client = Client::connect(address).expect("it serves");
    let mut acknowledged = from;
    loop {
        match client.call(&create(&format!("/n{acknowledged:06}"), &data, 0)) {
            Ok(answer) => assert!(matches!(answer, Ok(Reply::Path(_))), "{answer:?}"),
            Err(_) => return acknowledged,
        }
        acknowledged += 1;
    }
}

fn full_disk(kind: &str) {
    let Some(image) = Image::new(kind) else {
        return;
    };
    let (data, port) = (image.path().join("data"), free_port());
    let settings = ["storage.diskHeadroomBytes=0"];
    let errors = tempfile::NamedTempFile::new().expect("a file can be made");
    let mut next = 0;
    for _ in 0..2 {
        image.leave(16 << 20);
        let mut server = Process::spawn_logged(&data, port, &settings, errors.path());
        server
            .wait_until_serving()
            .expect("it serves on a small disk");
        let acknowledged = fill(server.address, next);
        assert!(acknowledged > next + 100, "{acknowledged} fit");
        let status = server
            .wait(Duration::from_secs(2))
            .expect("it ends at once");
        let said = std::fs::read_to_string(errors.path()).expect("errors are text");
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("free some space and restart"), "{said}");
        image.leave(32 << 20);
        let server = Process::start(&data, port, &settings);
        let mut client = Client::connect(server.address).expect("it serves");
        let names = client.children("/").expect("it answers").expect("a root");
        next = u32::try_from(names.len() - 1).expect("few");
        assert!(
            next == acknowledged || next == acknowledged + 1,
            "{next} are there of {acknowledged}"
        );
        server.kill();
    }
}

#[test]
fn a_full_ext4_needs_room_and_a_restart() {
    full_disk("ext4");
}

#[test]
fn a_full_xfs_needs_room_and_a_restart() {
    full_disk("xfs");
}
