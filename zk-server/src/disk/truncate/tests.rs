use super::*;
use crate::disk::fake::{Fault, FaultKind, FaultyFiles};
use crate::disk::files::read_all;
use crate::disk::mark::{MARK_NAME, MarkFile};
use crate::disk::recovery::{RecoveryOptions, recover};
use crate::disk::testing::{Memory, copy_recorded, recorded};

const DIR: &str = "/d";
const LIMIT: usize = 1 << 20;

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

fn last(files: &FaultyFiles) -> Zxid {
    let options = RecoveryOptions::new(DIR.into(), DIR.into());
    recover(files, &options, &mut Memory::default())
        .unwrap()
        .last
}

#[test]
fn a_cut_log_has_the_shape_java_gives_it() {
    let files = leader();
    let zxid = Zxid::from_wire(0x1_0000_001e);
    truncate(&files, &dirs(), zxid, LIMIT).unwrap();
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
    truncate(&files, &dirs(), zxid, LIMIT).unwrap();
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
        let error = truncate(&files, &dirs(), Zxid::from_wire(zxid), LIMIT).unwrap_err();
        assert!(matches!(error, TruncateError::Unknown { .. }), "{error}");
        assert_eq!(files.list(Path::new(DIR)).unwrap(), before);
    }
    let files = leader();
    files.remove(&Path::new(DIR).join("snapshot.0")).unwrap();
    files
        .remove(&Path::new(DIR).join("snapshot.100000000"))
        .unwrap();
    let error = truncate(&files, &dirs(), Zxid::from_wire(0x1_0000_0010), LIMIT).unwrap_err();
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
        let done = truncate(&files, &dirs(), zxid, LIMIT).is_ok();
        files.crash();
        let left = last(&files);
        assert!(
            left >= zxid && (!done || left == zxid),
            "stopped at {at}: {left}"
        );
        truncate(&files, &dirs(), zxid, LIMIT).unwrap();
        assert_eq!(last(&files), zxid, "stopped at {at}");
    }
}
