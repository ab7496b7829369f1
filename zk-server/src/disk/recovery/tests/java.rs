//! Logs as Java leaves them, gaps, strangers and leftovers.

use super::*;

/// Two logs of Java's, the first with a tail; what becomes of them.
fn two_logs(first: &[i64], tail: &[u8], second: &[i64]) -> Result<i64, RecoveryError> {
    let files = FaultyFiles::new(0);
    begin(&files);
    java_log(&files, first, tail);
    java_log(&files, second, &[]);
    recover_all(&files).map(|(recovered, _)| recovered.last.to_wire())
}

#[test]
fn a_torn_end_that_java_left_behind_is_accepted_if_the_next_log_continues_it() {
    let torn = [0, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0];
    assert_eq!(two_logs(&[1, 2], &torn, &[3, 4]).unwrap(), 4);
    assert!(matches!(
        two_logs(&[1, 2], &torn, &[4]),
        Err(RecoveryError::Lost { .. })
    ));
    assert_eq!(
        two_logs(&[1, 2], &torn, &[0x1_0000_0001]).unwrap(),
        0x1_0000_0001
    );
    // A whole record in the dropped part, and an epoch between: it may have been acknowledged.
    let mut survivor = vec![0, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0, 0];
    record::encode(&transaction(4, 10).payload, &mut survivor).unwrap();
    let result = two_logs(&[1, 2], &survivor, &[0x1_0000_0001]);
    assert!(
        matches!(result, Err(RecoveryError::Lost { .. })),
        "{result:?}"
    );
    assert_eq!(
        two_logs(&[1, 2], &survivor, &[3]).unwrap(),
        3,
        "3 was given again"
    );
    let bad_sum = [0, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0, 1, 7, b'B'];
    let result = two_logs(&[1, 2], &bad_sum, &[3]);
    assert!(
        matches!(result, Err(RecoveryError::Corrupt { .. })),
        "Java refuses it too"
    );
}

#[test]
fn gaps_and_steps_back_are_refused_inside_and_between_files() {
    assert_eq!(two_logs(&[1, 2], &[], &[3]).unwrap(), 3);
    assert_eq!(
        two_logs(&[1, 2], &[], &[0x1_0000_0001]).unwrap(),
        0x1_0000_0001
    );
    for (first, second) in [
        (&[1, 2][..], &[4][..]),
        (&[1, 3], &[4]),
        (&[2], &[3]),
        (&[1], &[0x1_0000_0002]),
    ] {
        let result = two_logs(first, &[], second);
        assert!(
            matches!(result, Err(RecoveryError::Gap { .. })),
            "{first:?} {second:?}"
        );
    }
    for (first, second) in [
        (&[1, 2, 5][..], &[3][..]),
        (&[1, 2, 2], &[3]),
        (&[1, 2, 3], &[4, 3]),
    ] {
        let result = two_logs(first, &[], second);
        assert!(
            matches!(
                result,
                Err(RecoveryError::Regression { .. } | RecoveryError::Gap { .. })
            ),
            "{first:?} {second:?}"
        );
    }
}

#[test]
fn a_transaction_nobody_knows_is_refused() {
    let files = FaultyFiles::new(0);
    begin(&files);
    let mut payload = transaction(1, 10).payload.to_vec();
    payload[31] = 99;
    let mut bytes = record::file_header(0).to_vec();
    record::encode(&payload, &mut bytes).unwrap();
    replace(&files, &log_path(), &bytes).unwrap();
    let error = recover_all(&files).unwrap_err();
    assert!(
        matches!(error, RecoveryError::Undecodable { offset: 16, .. }),
        "{error}"
    );
}

#[test]
fn half_written_files_are_removed_and_foreign_ones_are_not() {
    let files = ours(true);
    for name in ["snapshot.9.tmp", "currentEpoch.tmp", "notes.tmp"] {
        replace(&files, &Path::new(DIR).join(name), b"half").unwrap();
    }
    let (recovered, _) = recover_all(&files).unwrap();
    let dir = Path::new(DIR);
    assert_eq!(recovered.removed, [dir.join("snapshot.9.tmp")]);
    for kept in ["notes.tmp", "currentEpoch.tmp"] {
        assert!(files.kind(&dir.join(kept)).unwrap().is_some(), "{kept}");
    }
}
