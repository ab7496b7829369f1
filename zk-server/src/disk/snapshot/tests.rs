use super::*;
use crate::disk::fake::{Fault, FaultKind, FaultyFiles};
use crate::disk::files::{Files, RealFiles, read_all};
use crate::disk::leave::Leave;
use crate::disk::names::{Compression, FileName};
use crate::disk::testing::{DIRECTORIES, Memory, recorded, testdata};
use bytes::Bytes;
use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};
use zk_proto::Zxid;

const DIR: &str = "/d";

/// Reads bytes under a name that tells how they are packed.
fn read(name: &str, bytes: &[u8]) -> Result<(SnapshotEnd, Memory), SnapshotError> {
    let files = FaultyFiles::new(0);
    files.create_dir(Path::new(DIR)).unwrap();
    let path = Path::new(DIR).join(name);
    files.create(&path).unwrap().write_at(0, bytes).unwrap();
    let mut memory = Memory::default();
    let end = read_snapshot(&files, &path, SnapshotLimits::default(), &mut memory)?;
    Ok((end, memory))
}

/// Writes an image in small pieces and waits for the outcome.
fn write(
    files: &FaultyFiles,
    zxid: Zxid,
    compression: Compression,
    image: &[u8],
    trailer: SnapshotTrailer,
) -> SnapshotEvent {
    files.create_dir(Path::new(DIR)).unwrap();
    let (events, outcome) = mpsc::channel();
    let file = SnapshotFile {
        dir: DIR.into(),
        zxid,
        compression,
    };
    let writer = SnapshotWriter::start(Arc::new(files.clone()), file, move |event| {
        events.send(event).unwrap();
    })
    .unwrap();
    for piece in image.chunks(1000) {
        if !writer.push_waiting(Bytes::copy_from_slice(piece)) {
            break;
        }
    }
    let _ended = writer.finish(trailer);
    outcome.recv().unwrap()
}

fn trailer_of(end: &SnapshotEnd) -> SnapshotTrailer {
    SnapshotTrailer {
        digest: end.digest.map(|found| (found.zxid, found.digest.digest)),
        last_zxid: end.last_zxid,
    }
}

fn recorded_snapshots() -> Vec<String> {
    let mut names = Vec::new();
    for directory in DIRECTORIES {
        let dir = format!("{directory}/version-2");
        for entry in RealFiles.list(&testdata(&dir)).unwrap() {
            if matches!(FileName::parse(&entry.name), Some(FileName::Snapshot(..))) {
                names.push(format!("{dir}/{}", entry.name));
            }
        }
    }
    assert!(names.len() > 12);
    names
}

#[test]
fn every_recorded_snapshot_is_written_again_byte_for_byte() {
    for name in recorded_snapshots() {
        let bytes = recorded(&name);
        let (end, memory) = read("snapshot.1", &bytes).unwrap();
        assert_eq!(end.bytes, bytes.len() as u64, "{name}");
        assert_eq!(end.last_zxid.is_some(), name.contains("3.9.5"), "{name}");
        // Java 3.8 seals a digest even before the first transaction, 3.6 and later by default.
        let digest = end.digest.expect(&name);
        assert!(digest.digest.version == 2);
        let files = FaultyFiles::new(1);
        let zxid = Zxid::from_wire(0x34);
        let event = write(
            &files,
            zxid,
            Compression::None,
            &memory.image(),
            trailer_of(&end),
        );
        assert!(matches!(event, SnapshotEvent::Written(_)), "{event:?}");
        files.crash();
        let path = Path::new(DIR).join("snapshot.34");
        assert_eq!(read_all(&files, &path, 1 << 20).unwrap(), bytes, "{name}");
    }
}

#[test]
fn packed_snapshots_hold_the_same_tree() {
    let plain = read(
        "snapshot.34",
        &recorded("standalone-3.9.5-reopened/version-2/snapshot.34"),
    );
    let (end, memory) = plain.unwrap();
    for (suffix, compression) in [("gz", Compression::Gzip), ("snappy", Compression::Snappy)] {
        let name = format!("snapshot.34.{suffix}");
        let javas = read(&name, &recorded(&format!("compressed/{name}"))).unwrap();
        assert_eq!(javas.1.nodes.len(), memory.nodes.len(), "{name}");
        let files = FaultyFiles::new(1);
        let zxid = Zxid::from_wire(0x34);
        let event = write(&files, zxid, compression, &memory.image(), trailer_of(&end));
        assert!(matches!(event, SnapshotEvent::Written(_)), "{event:?}");
        let path = Path::new(DIR).join(&name);
        assert!(looks_whole(&files, &path, compression).unwrap());
        let bytes = read_all(&files, &path, 1 << 20).unwrap();
        assert_eq!(
            read(&name, &bytes).unwrap(),
            (end, memory.clone()),
            "{name}"
        );
        for cut in 0..bytes.len() {
            assert!(read(&name, &bytes[..cut]).is_err(), "{name} cut at {cut}");
        }
    }
}

#[test]
fn only_whole_sections_are_accepted() {
    let bytes = recorded("standalone-3.9.5-reopened/version-2/snapshot.34");
    // The tree and its seal; with the digest; with both.
    let whole = [bytes.len() - 54, bytes.len() - 21, bytes.len()];
    for cut in 0..=bytes.len() {
        let read = read("snapshot.34", &bytes[..cut]);
        assert_eq!(read.is_ok(), whole.contains(&cut), "cut at {cut}: {read:?}");
    }
    let (end, _) = read("snapshot.34", &bytes[..whole[0]]).unwrap();
    assert_eq!((end.digest, end.last_zxid), (None, None));
    let (end, _) = read("snapshot.34", &bytes[..whole[1]]).unwrap();
    assert_eq!((end.digest.is_some(), end.last_zxid), (true, None));
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let bytes = recorded("standalone-3.9.5-reopened/version-2/snapshot.34");
    // Version and dbid may be anything by themselves, but the seals cover them.
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(read("snapshot.34", &flipped).is_err(), "flipped at {at}");
    }
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    let mut image = vec![0; 8];
    image.extend_from_slice(&[0; 4]);
    image.extend_from_slice(&(1_i32 << 20).to_be_bytes());
    image.extend_from_slice(&vec![0; 1 << 20]);
    let files = FaultyFiles::new(1);
    let zxid = Zxid::ZERO;
    write(
        &files,
        zxid,
        Compression::Gzip,
        &image,
        SnapshotTrailer::default(),
    );
    let limits = SnapshotLimits {
        field: 1 << 21,
        total: 1 << 19,
    };
    let error = verify_snapshot(
        &files,
        &Path::new(DIR).join("snapshot.0.gz"),
        limits,
        &Leave::default(),
    )
    .unwrap_err();
    let damage = SnapshotError::Damaged {
        at: 32,
        damage: Damage::TooMuch,
    };
    assert!(
        error.to_string().starts_with("more data"),
        "{error} {damage}"
    );
}

#[test]
fn a_declared_length_is_not_believed() {
    let mut bytes = header().to_vec();
    bytes.extend_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(
        read("snapshot.0", &bytes),
        Err(SnapshotError::Damaged {
            damage: Damage::CutOff,
            ..
        })
    ));
    let mut bytes = header().to_vec();
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(
        read("snapshot.0", &bytes),
        Err(SnapshotError::Damaged {
            damage: Damage::Length,
            ..
        })
    ));
}

#[test]
fn a_snapshot_that_fails_leaves_the_old_ones_and_nothing_else() {
    let (end, memory) = read(
        "snapshot.34",
        &recorded("standalone-3.9.5-reopened/version-2/snapshot.34"),
    )
    .unwrap();
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        let mut failed = 0;
        for at in 1.. {
            let files = FaultyFiles::new(at);
            let (old, new) = (Zxid::from_wire(0x33), Zxid::from_wire(0x34));
            write(
                &files,
                old,
                Compression::None,
                &memory.image(),
                trailer_of(&end),
            );
            files.plan(Fault {
                at,
                on: "",
                kind: FaultKind::Once(kind),
            });
            let event = write(
                &files,
                new,
                Compression::None,
                &memory.image(),
                trailer_of(&end),
            );
            files.crash();
            let path = Path::new(DIR).join("snapshot.33");
            verify_snapshot(&files, &path, SnapshotLimits::default(), &Leave::default()).unwrap();
            match event {
                SnapshotEvent::Written(written) => {
                    let path = Path::new(DIR).join(written.name);
                    verify_snapshot(&files, &path, SnapshotLimits::default(), &Leave::default())
                        .unwrap();
                    break;
                }
                SnapshotEvent::Failed(failure) => {
                    assert_eq!(failure.full, kind == io::ErrorKind::StorageFull);
                    failed += 1;
                }
                SnapshotEvent::Aborted(_) => panic!("nobody gave up"),
            }
        }
        assert!(failed > 5);
    }
}

#[test]
fn an_aborted_snapshot_leaves_nothing() {
    let files = FaultyFiles::new(1);
    files.create_dir(Path::new(DIR)).unwrap();
    let (events, outcome) = mpsc::channel();
    let file = SnapshotFile {
        dir: DIR.into(),
        zxid: Zxid::ZERO,
        compression: Compression::None,
    };
    let writer = SnapshotWriter::start(Arc::new(files.clone()), file, move |event| {
        events.send(event).unwrap();
    })
    .unwrap();
    assert_eq!(writer.push(Bytes::from_static(b"half")), Pushed::Taken);
    writer.abort();
    assert!(matches!(outcome.recv().unwrap(), SnapshotEvent::Aborted(_)));
    assert_eq!(files.list(Path::new(DIR)).unwrap(), []);
}

#[test]
fn a_snapshot_given_up_ends_by_itself() {
    let files = FaultyFiles::new(1);
    files.create_dir(Path::new(DIR)).unwrap();
    let (events, outcome) = mpsc::channel();
    let file = SnapshotFile {
        dir: DIR.into(),
        zxid: Zxid::ZERO,
        compression: Compression::None,
    };
    let mut writer = SnapshotWriter::start(Arc::new(files.clone()), file, move |event| {
        events.send(event).unwrap();
    })
    .unwrap();
    assert_eq!(writer.push(Bytes::from_static(b"half")), Pushed::Taken);
    writer.give_up();
    assert!(matches!(outcome.recv().unwrap(), SnapshotEvent::Aborted(_)));
    assert_eq!(files.list(Path::new(DIR)).unwrap(), []);
    assert_eq!(writer.push(Bytes::from_static(b"more")), Pushed::Gone);
}

/// What `ours` says about a packed file whose unpacked form is these bytes and then zeros without end.
fn bomb(head: &[u8]) -> SnapshotError {
    use std::io::Write;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(&header()).unwrap();
    gz.write_all(head).unwrap();
    for _ in 0..64 {
        gz.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bytes = gz.finish().unwrap();
    assert!(bytes.len() < 100_000, "it is small");
    let files = FaultyFiles::new(1);
    files.create_dir(Path::new(DIR)).unwrap();
    let path = Path::new(DIR).join("snapshot.0.gz");
    files.create(&path).unwrap().write_at(0, &bytes).unwrap();
    let limits = SnapshotLimits::default();
    verify_snapshot(&files, &path, limits, &Leave::default()).unwrap_err()
}

#[test]
fn a_small_file_that_unpacks_to_much_is_refused_where_it_stops_making_sense() {
    let many = i32::MAX.to_be_bytes();
    let none = [0; 4];
    let cases: [(&str, Vec<u8>, u64); 5] = [
        ("one node again and again", [none, none].concat(), 1 << 10),
        ("sessions", many.to_vec(), 1 << 10),
        ("ACL lists", [none, many].concat(), 1 << 10),
        (
            "entries of an ACL",
            [none.as_slice(), &[0, 0, 0, 1], &[0; 8], &many].concat(),
            3 << 20,
        ),
        (
            "data",
            [none.as_slice(), &none, &none, &many].concat(),
            1 << 10,
        ),
    ];
    for (what, head, bound) in cases {
        let error = bomb(&head);
        let (SnapshotError::Damaged { at, .. } | SnapshotError::Refused { at, .. }) = error else {
            panic!("{what}: {error}");
        };
        assert!(at < bound, "{what}: {error}");
    }
}

#[test]
fn a_tree_of_equal_nodes_is_no_bomb() {
    let data = Bytes::from(vec![0; 100_000]);
    let stat = zk_proto::StoredStat::default();
    let mut memory = Memory::default();
    memory.nodes.push((String::new(), None, -1, stat));
    for number in 0..200 {
        memory
            .nodes
            .push((format!("/n{number}"), Some(data.clone()), -1, stat));
    }
    for (suffix, compression) in [("gz", Compression::Gzip), ("snappy", Compression::Snappy)] {
        let files = FaultyFiles::new(1);
        let trailer = SnapshotTrailer::default();
        write(&files, Zxid::ZERO, compression, &memory.image(), trailer);
        let bytes = read_all(
            &files,
            &Path::new(DIR).join(format!("snapshot.0.{suffix}")),
            1 << 24,
        );
        let bytes = bytes.unwrap();
        assert!(bytes.len() < 2_000_000, "{} of twenty million", bytes.len());
        assert_eq!(
            read(&format!("snapshot.0.{suffix}"), &bytes).unwrap().1,
            memory
        );
    }
}
