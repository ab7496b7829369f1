use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn check(input: &str, expected: Expect) {
    let parsed = parse(input.as_bytes());
    let mut text: String = parsed
        .entries
        .iter()
        .map(|entry| format!("{}: {:?} = {:?}\n", entry.line, entry.key, entry.value))
        .collect();
    for line in parsed.malformed {
        text.push_str(&format!("{line}: malformed\n"));
    }
    expected.assert_eq(&text);
}

#[test]
fn three_separators_and_the_blanks_around_them() {
    check(
        "a=1\nb:2\nc 3\n  d \t = \t 4 \ne:=5\nf = = 6\nlonely\n=novalue",
        expect![[r#"
            1: "a" = "1"
            2: "b" = "2"
            3: "c" = "3"
            4: "d" = "4 "
            5: "e" = "=5"
            6: "f" = "= 6"
            7: "lonely" = ""
            8: "" = "novalue"
        "#]],
    );
}

#[test]
fn comments_are_whole_lines_and_never_continue() {
    check(
        "# one \\\n! two\n   # three\nkey=v # not a comment\n",
        expect![[r##"
            4: "key" = "v # not a comment"
        "##]],
    );
}

#[test]
fn a_trailing_backslash_joins_lines_and_keeps_the_first_line_number() {
    check(
        "\n\nlist = a,\\\n   b,\\\r\n\tc\neven=x\\\\\nnext=1\\",
        expect![[r#"
            3: "list" = "a,b,c"
            6: "even" = "x\\"
            7: "next" = "1"
        "#]],
    );
}

#[test]
fn escapes_of_java() {
    check(
        r"a\ b\=c\:d = \t\n\u0041\u00e9\q",
        expect![[r#"
            1: "a b=c:d" = "\t\nAéq"
        "#]],
    );
}

#[test]
fn bytes_are_latin_1() {
    assert_eq!(parse(b"k=\xe9").entries[0].value, "é");
}

#[test]
fn a_malformed_unicode_escape_names_its_line_and_spares_the_others() {
    check(
        "a=1\nb=\\u12\nc=\\u00zz\nd=2",
        expect![[r#"
            1: "a" = "1"
            4: "d" = "2"
            2: malformed
            3: malformed
        "#]],
    );
}

#[test]
fn every_kind_of_line_end_counts_one_line() {
    check(
        "a=1\r\nb=2\rc=3\n\r\rd=4",
        expect![[r#"
            1: "a" = "1"
            2: "b" = "2"
            3: "c" = "3"
            6: "d" = "4"
        "#]],
    );
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// The third opinion: some four hundred nasty little files and what Java's own reader made of them.
#[test]
fn agrees_with_java_on_recorded_cases() {
    let recorded = include_str!("../../../testdata/config/properties-java17.txt");
    let mut seen = 0;
    for case in recorded.lines().filter(|line| !line.starts_with('#')) {
        let (input, answer) = case.split_once(' ').unwrap();
        let parsed = parse(&unhex(input));
        if answer == "malformed" {
            assert!(!parsed.malformed.is_empty(), "{input}");
        } else {
            assert!(parsed.malformed.is_empty(), "{input}");
            let expected: BTreeMap<String, String> = answer
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .map(|(key, value)| (unhex(key), unhex(value)))
                .map(|(key, value)| {
                    (
                        String::from_utf8(key).unwrap(),
                        String::from_utf8(value).unwrap(),
                    )
                })
                .collect();
            let ours: BTreeMap<String, String> = parsed
                .entries
                .into_iter()
                .map(|entry| (entry.key, entry.value))
                .collect();
            assert_eq!(ours, expected, "{input}");
        }
        seen += 1;
    }
    assert_eq!(seen, 403);
}

/// Every prefix and every one-byte change of a real file is read without a panic, with lines that
/// exist.
#[test]
fn damaged_real_files_are_survived() {
    let original = include_bytes!("../../../testdata/config/debian-zoo.cfg");
    for length in 0..original.len() {
        parse(&original[..length]);
        for byte in [0, b'\\', b'\n', b'\r', b'=', b'#', b'u', 0xff] {
            let mut damaged = original.to_vec();
            damaged[length] = byte;
            let lines = original.iter().filter(|&&byte| byte == b'\n').count() + 2;
            for entry in parse(&damaged).entries {
                assert!((1..=lines).contains(&entry.line));
            }
        }
    }
}

/// Escapes everything that could mean something, so that any text survives the journey.
fn escape(text: &str) -> String {
    text.encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect()
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        parse(&bytes);
    }

    #[test]
    fn bytes_that_look_like_the_format_are_survived(text in "[\\\\u0-9a-f=: \t\r\n#!]{0,80}") {
        parse(text.as_bytes());
    }

    #[test]
    fn what_is_escaped_comes_back(pairs in proptest::collection::vec((".{0,12}", ".{0,12}"), 0..8)) {
        let text: String =
            pairs.iter().map(|(key, value)| format!("{}={}\n", escape(key), escape(value))).collect();
        let read: Vec<(String, String)> =
            parse(text.as_bytes()).entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
        prop_assert_eq!(read, pairs);
    }
}
