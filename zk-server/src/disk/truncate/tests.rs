use super::*;
use crate::disk::fake::{Fault, FaultKind, FaultyFiles};
use crate::disk::files::{read_all, replace};
use crate::disk::mark::{MARK_NAME, MarkFile};
use crate::disk::recovery::{Recovered, RecoveryOptions, recover};
use crate::disk::testing::{Memory, copy_recorded, recorded};

const DIR: &str = "/d";

fn limits() -> TruncateLimits {
    TruncateLimits {
        txn: 1 << 20,
        snapshots: SnapshotLimits::default(),
    }
}

fn dirs() -> PurgeDirs {
    PurgeDirs {
        snapshots: DIR.into(),
        logs: DIR.into(),
    }
}

/// A leader's directory, as it was before it had to truncate; with a durable mark that vouches for it.
fn leader() -> FaultyFiles {
    let files = FaultyFiles::new(1);
    copy_recorded("member-3.9.5-leader", &files, Path::new(DIR));
    let mark = Mark {
        log: Zxid::from_wire(0x2_0000_0001),
        nonce: 1,
        zxid: Zxid::from_wire(0x2_0000_0003),
        offset: 16,
    };
    let mut file = MarkFile::open(&files, Path::new(DIR)).unwrap();
    file.write(&mark).unwrap();
    file.sync().unwrap();
    files
}

fn recovered(files: &FaultyFiles) -> (Recovered, Memory) {
    let options = RecoveryOptions::new(DIR.into(), DIR.into());
    let mut memory = Memory::default();
    (recover(files, &options, &mut memory).unwrap(), memory)
}

fn last(files: &FaultyFiles) -> Zxid {
    recovered(files).0.last
}

/// The leader's snapshot of 0x10000001e under another name, as if its writing had begun there.
fn fuzzy(files: &FaultyFiles, name: u64, drop_bytes: usize) {
    let dir = Path::new(DIR);
    let mut bytes = recorded("member-3.9.5-leader/version-2/snapshot.10000001e");
    bytes.truncate(bytes.len() - drop_bytes);
    files.remove(&dir.join("snapshot.10000001e")).unwrap();
    replace(files, &dir.join(format!("snapshot.{name:x}")), &bytes).unwrap();
}

/// What its third, and its second and third section take.
const LAST_ZXID_SECTION: usize = 8 + 13;
const SECTIONS: usize = 20 + 13 + LAST_ZXID_SECTION;

#[test]
fn a_cut_log_has_the_shape_java_gives_it() {
    let files = leader();
    let zxid = Zxid::from_wire(0x1_0000_001e);
    truncate(&files, &dirs(), zxid, limits()).unwrap();
    files.crash();
    let bytes = read_all(&files, &Path::new(DIR).join("log.100000001"), 1 << 20).unwrap();
    let java = recorded("member-3.8.0-truncated/version-2/log.100000001");
    assert_eq!(bytes.len(), java.len());
    let names: Vec<_> = files
        .list(Path::new(DIR))
        .unwrap()
        .into_iter()
        .map(|e| e.name)
        .collect();
    assert!(!names.contains(&"log.200000001".to_owned()) && !names.contains(&MARK_NAME.to_owned()));
    assert_eq!(last(&files), zxid);
}

#[test]
fn later_snapshots_go_too() {
    let files = leader();
    let zxid = Zxid::from_wire(0x1_0000_0010);
    truncate(&files, &dirs(), zxid, limits()).unwrap();
    assert!(
        files
            .kind(&Path::new(DIR).join("snapshot.10000001e"))
            .unwrap()
            .is_none()
    );
    assert_eq!(last(&files), zxid);
}

#[test]
fn a_place_outside_of_the_history_changes_nothing() {
    for zxid in [0x1_0000_0fff, 0x3_0000_0000] {
        let files = leader();
        let before = files.list(Path::new(DIR)).unwrap();
        let error = truncate(&files, &dirs(), Zxid::from_wire(zxid), limits()).unwrap_err();
        assert!(matches!(error, TruncateError::Unknown { .. }), "{error}");
        assert_eq!(files.list(Path::new(DIR)).unwrap(), before);
    }
    let files = leader();
    files.remove(&Path::new(DIR).join("snapshot.0")).unwrap();
    files
        .remove(&Path::new(DIR).join("snapshot.100000000"))
        .unwrap();
    let error = truncate(&files, &dirs(), Zxid::from_wire(0x1_0000_0010), limits()).unwrap_err();
    assert!(matches!(error, TruncateError::NoBase { .. }), "{error}");
}

#[test]
fn whenever_it_is_interrupted_it_can_be_done_again() {
    let zxid = Zxid::from_wire(0x1_0000_0010);
    for at in 1..=12 {
        let files = leader();
        files.plan(Fault {
            at,
            on: "",
            kind: FaultKind::Stop,
        });
        let done = truncate(&files, &dirs(), zxid, limits()).is_ok();
        files.crash();
        let left = last(&files);
        assert!(
            left >= zxid && (!done || left == zxid),
            "stopped at {at}: {left}"
        );
        truncate(&files, &dirs(), zxid, limits()).unwrap();
        assert_eq!(last(&files), zxid, "stopped at {at}");
    }
}

#[test]
fn a_snapshot_that_was_still_written_behind_the_cut_goes_too() {
    // With all sections, with the digest only, and with nothing that tells when its writing ended.
    for dropped in [0, LAST_ZXID_SECTION, SECTIONS] {
        let mut kept = 0;
        for wire in 0x1_0000_0005..=0x1_0000_001e {
            let (files, zxid) = (leader(), Zxid::from_wire(wire));
            fuzzy(&files, 0x1_0000_0010, dropped);
            truncate(&files, &dirs(), zxid, limits()).unwrap();
            files.crash();
            let (recovered, memory) = recovered(&files);
            assert_eq!(recovered.last, zxid);
            let held = memory.nodes.iter().map(|(_, _, _, stat)| stat);
            let newest = held.map(|stat| stat.czxid.max(stat.mzxid).max(stat.pzxid));
            assert!(newest.max() <= Some(zxid), "{zxid} is not all there is");
            let path = Path::new(DIR).join("snapshot.100000010");
            kept += u32::from(files.kind(&path).unwrap().is_some());
        }
        // Only a cut at its end keeps it.
        assert_eq!(kept, u32::from(dropped != SECTIONS), "{dropped}");
    }
}

#[test]
fn without_a_sure_snapshot_nothing_is_changed() {
    let files = leader();
    fuzzy(&files, 0x1_0000_0010, 0);
    for name in ["snapshot.0", "snapshot.100000000"] {
        files.remove(&Path::new(DIR).join(name)).unwrap();
    }
    let before = files.list(Path::new(DIR)).unwrap();
    let error = truncate(&files, &dirs(), Zxid::from_wire(0x1_0000_0015), limits()).unwrap_err();
    assert!(matches!(error, TruncateError::NoBase { .. }), "{error}");
    assert_eq!(files.list(Path::new(DIR)).unwrap(), before);
}

#[test]
fn logs_that_do_not_lead_from_the_snapshot_change_nothing() {
    let (dir, files) = (Path::new(DIR), leader());
    // As after a purge: the log begins behind the snapshot that would be left.
    let log = recorded("member-3.9.5-leader/version-2/log.100000001");
    let mut scan = crate::disk::record::scan(&log, 1 << 20);
    let second = scan.records.remove(1);
    let mut bytes = log[..16].to_vec();
    bytes.extend_from_slice(&log[second.offset..]);
    files.remove(&dir.join("log.100000001")).unwrap();
    replace(&files, &dir.join("log.100000002"), &bytes).unwrap();
    let before = files.list(dir).unwrap();
    let error = truncate(&files, &dirs(), Zxid::from_wire(0x1_0000_0015), limits()).unwrap_err();
    assert!(matches!(error, TruncateError::NoBase { .. }), "{error}");
    assert_eq!(files.list(dir).unwrap(), before);
    truncate(&files, &dirs(), Zxid::from_wire(0x1_0000_001e), limits()).unwrap();
    assert_eq!(last(&files), Zxid::from_wire(0x1_0000_001e));
}

#[test]
fn a_damaged_snapshot_is_no_base_and_does_not_stay() {
    let (dir, files) = (Path::new(DIR), leader());
    let name = dir.join("snapshot.100000000");
    let mut bytes = read_all(&files, &name, 1 << 20).unwrap();
    bytes[40] ^= 1;
    replace(&files, &name, &bytes).unwrap();
    let zxid = Zxid::from_wire(0x1_0000_0010);
    truncate(&files, &dirs(), zxid, limits()).unwrap();
    assert!(files.kind(&name).unwrap().is_none());
    assert_eq!(last(&files), zxid);
}
