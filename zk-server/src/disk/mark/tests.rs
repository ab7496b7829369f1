use super::*;
use crate::disk::fake::FaultyFiles;

const DIR: &str = "/d";

fn mark(number: i64) -> Mark {
    Mark {
        log: Zxid::from_wire(0x26),
        nonce: 0xabcd,
        zxid: Zxid::from_wire(number),
        offset: number.unsigned_abs() * 100,
    }
}

#[test]
fn a_torn_write_costs_freshness_only() {
    for seed in 0..64 {
        let files = FaultyFiles::new(seed);
        files.create_dir(Path::new(DIR)).unwrap();
        let mut file = MarkFile::open(&files, Path::new(DIR)).unwrap();
        file.write(&mark(1)).unwrap();
        file.sync().unwrap();
        file.write(&mark(2)).unwrap();
        file.write(&mark(3)).unwrap();
        files.crash();
        let found = Mark::read(&files, Path::new(DIR)).unwrap();
        let allowed = [Some(mark(1)), Some(mark(2)), Some(mark(3))];
        // Both slots may be torn by two writes, but a slot is one sector: the newest whole one counts.
        assert!(allowed.contains(&found), "{found:?}");
    }
}

#[test]
fn garbage_is_no_mark() {
    let files = FaultyFiles::new(0);
    files.create_dir(Path::new(DIR)).unwrap();
    assert_eq!(Mark::read(&files, Path::new(DIR)).unwrap(), None);
    let slot = mark(1).encode(1);
    for at in 0..slot.len() {
        let mut flipped = slot;
        flipped[at] ^= 1;
        crate::disk::files::replace(&files, &Path::new(DIR).join(MARK_NAME), &flipped).unwrap();
        assert_eq!(
            Mark::read(&files, Path::new(DIR)).unwrap(),
            None,
            "flipped at {at}"
        );
    }
    Mark::forget(&files, Path::new(DIR)).unwrap();
    Mark::forget(&files, Path::new(DIR)).unwrap();
}

#[test]
fn a_seal_is_found_and_none_of_another_log_or_nonce() {
    let mut bytes = vec![0xab; 77];
    put_seal(mark(1).nonce, mark(1).log, 4711, &mut bytes);
    bytes.extend_from_slice(&[0; 9]);
    let seal = Seal {
        at: 77,
        begin: 4711,
    };
    assert_eq!(find_seals(&bytes, mark(9)).next(), Some(seal));
    let other = Mark {
        nonce: 7,
        ..mark(1)
    };
    assert_eq!(find_seals(&bytes, other).next(), None);
    let other = Mark {
        log: Zxid::ZERO,
        ..mark(1)
    };
    assert_eq!(find_seals(&bytes, other).next(), None);
    bytes[77 + 15] ^= 1;
    assert_eq!(find_seals(&bytes, mark(1)).next(), None);
}
