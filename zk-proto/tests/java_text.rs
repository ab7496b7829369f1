//! Text as a real JVM reads it: `testdata/text/java-utf8.txt` holds byte strings and what OpenJDK 17's
//! `new String(bytes, UTF_8)` made of each, in UTF-16.

use zk_proto::jute::{JuteMut, Reader};

#[path = "../fuzz/src/java_text.rs"]
#[expect(unreachable_pub, reason = "it is public in a crate of its own")]
mod java_text;

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"))
        .collect()
}

fn table() -> Vec<(Vec<u8>, String)> {
    include_str!("../testdata/text/java-utf8.txt")
        .lines()
        .map(|line| {
            let (bytes, units) = line.split_once(' ').expect("two columns");
            let units: Vec<u16> = unhex(units)
                .chunks(2)
                .map(|unit| u16::from_be_bytes([unit[0], unit[1]]))
                .collect();
            let text = String::from_utf16(&units).expect("Java leaves no lone surrogate");
            (unhex(bytes), text)
        })
        .collect()
}

#[test]
fn malformed_text_is_read_as_a_jvm_reads_it() {
    let table = table();
    assert!(table.len() > 3000, "the table is there: {}", table.len());
    for (bytes, expected) in &table {
        let mut framed = Vec::new();
        framed.put_buffer(Some(bytes));
        let read = Reader::new(&framed).string().expect("no string is refused");
        assert_eq!(&read, expected, "{bytes:02x?}");
    }
}

#[test]
fn the_slow_reference_reads_as_a_jvm_too() {
    for (bytes, expected) in table() {
        assert_eq!(java_text::decode(&bytes), expected, "{bytes:02x?}");
    }
}
