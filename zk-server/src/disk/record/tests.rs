use super::*;
use crate::disk::testing::transaction;
use proptest::prelude::*;

const LIMIT: usize = 1 << 16;

fn log(lens: &[usize]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut bytes = file_header(0).to_vec();
    let mut payloads = Vec::new();
    for (at, len) in lens.iter().enumerate() {
        let record = transaction(i64::try_from(at).unwrap() + 1, *len);
        encode(&record.payload, &mut bytes).unwrap();
        payloads.push(record.payload.to_vec());
    }
    (bytes, payloads)
}

/// The payloads that a scan takes for records.
fn accepted(bytes: &[u8]) -> (Vec<Vec<u8>>, Scan) {
    let scan = scan(bytes, LIMIT);
    let payload = |found: &Found| bytes[found.offset + 12..found.offset + found.len - 1].to_vec();
    (scan.records.iter().map(payload).collect(), scan)
}

proptest! {
    #[test]
    fn a_mutated_record_is_never_accepted(
        lens in prop::collection::vec(0_usize..300, 1..6),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
        padding in 0_usize..200,
    ) {
        let (mut bytes, payloads) = log(&lens);
        let end = bytes.len();
        let at = HEADER_LEN + at.index(end - HEADER_LEN);
        bytes[at] ^= flip;
        bytes.resize(end + padding, 0);
        let (accepted, scan) = accepted(&bytes);
        prop_assert!(scan.end <= at && accepted.len() < payloads.len());
        prop_assert_eq!(&accepted[..], &payloads[..accepted.len()]);
        prop_assert!(matches!(scan.tail, Tail::Bad(..)));
        // Whatever follows the damaged one whole is seen.
        if let Tail::Bad(_, survivor) = scan.tail {
            let follows = accepted.len() + 1 < payloads.len();
            prop_assert_eq!(survivor != Survivor::None, follows);
        }
    }

    #[test]
    fn a_log_cut_anywhere_keeps_its_true_prefix(
        lens in prop::collection::vec(0_usize..300, 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (bytes, payloads) = log(&lens);
        let cut = cut.index(bytes.len() + 1);
        let (accepted, scan) = accepted(&bytes[..cut]);
        prop_assert_eq!(&accepted[..], &payloads[..accepted.len()]);
        let whole = cut == scan.end && cut >= HEADER_LEN;
        prop_assert_eq!(scan.tail == Tail::Eof, whole);
    }

    #[test]
    fn any_bytes_are_read_to_some_end(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut log = file_header(0).to_vec();
        log.extend_from_slice(&bytes);
        prop_assert!(accepted(&log).1.end <= log.len());
        prop_assert!(accepted(&bytes).1.end <= bytes.len());
    }
}

#[test]
fn bytes_that_look_like_a_thousand_records_are_not_summed_for_ever() {
    let one = [0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 66, 70];
    let bytes: Vec<u8> = one.iter().copied().cycle().take(1 << 20).collect();
    let mut budget = 1 << 20;
    assert_eq!(find_survivor(&bytes, LIMIT, &mut budget), Survivor::Unknown);
}
