//! Java's `new String(bytes, UTF_8)`, written over bytes as the JDK's decoder is: slow, literal, and
//! unrelated to the code it judges. `testdata/text/java-utf8.txt` holds it to a real JVM's answers.

const REPLACEMENT: u32 = 0xfffd;

/// The text Java makes of `bytes`.
pub fn decode(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let (scalar, used) = step(&bytes[at..]);
        text.push(
            char::from_u32(scalar).expect("only scalars and the replacement leave the decoder"),
        );
        at += used;
    }
    text
}

/// One character, or one replacement, and how many bytes it stands for.
fn step(bytes: &[u8]) -> (u32, usize) {
    let byte = |index: usize| bytes.get(index).copied().map(u32::from);
    let continues = |index: usize| byte(index).is_some_and(|b| b & 0xc0 == 0x80);
    let low = |index: usize| byte(index).unwrap_or(0) & 0x3f;
    let first = u32::from(bytes[0]);
    match first {
        0..=0x7f => (first, 1),
        0xc2..=0xdf if continues(1) => ((first & 0x1f) << 6 | low(1), 2),
        0xe0..=0xef => {
            let overlong = first == 0xe0 && byte(1).is_some_and(|b| b < 0xa0);
            if overlong || !continues(1) {
                return (REPLACEMENT, 1);
            }
            if !continues(2) {
                return (REPLACEMENT, 2);
            }
            let unit = (first & 0x0f) << 12 | low(1) << 6 | low(2);
            // A surrogate is one malformed character of three bytes: here Java and Rust part.
            if (0xd800..0xe000).contains(&unit) {
                (REPLACEMENT, 3)
            } else {
                (unit, 3)
            }
        }
        0xf0..=0xf4 => {
            let overlong = first == 0xf0 && byte(1).is_some_and(|b| b < 0x90);
            let beyond = first == 0xf4 && byte(1).is_some_and(|b| b > 0x8f);
            if overlong || beyond || !continues(1) {
                (REPLACEMENT, 1)
            } else if !continues(2) {
                (REPLACEMENT, 2)
            } else if !continues(3) {
                (REPLACEMENT, 3)
            } else {
                (
                    (first & 0x07) << 18 | low(1) << 12 | low(2) << 6 | low(3),
                    4,
                )
            }
        }
        _ => (REPLACEMENT, 1),
    }
}
