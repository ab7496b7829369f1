//! Names that nobody else has.

use std::hash::{BuildHasher, RandomState};

/// 122 random bits (RFC 9562, version 4), as high and low half. The standard library seeds each state from the system.
fn uuid() -> (u64, u64) {
    let random = || RandomState::new().hash_one(0_u8);
    let high = (random() & !0xf000) | 0x4000;
    let low = (random() & !(0b11 << 62)) | (0b10 << 62);
    (high, low)
}

/// A UUID with hyphens.
pub(crate) fn hyphenated() -> String {
    let (high, low) = uuid();
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff,
    )
}

/// A UUID without hyphens, as kazoo writes them.
pub(crate) fn hex() -> String {
    let (high, low) = uuid();
    format!("{high:016x}{low:016x}")
}

/// The prefix by which a node is found again, as Curator writes it: `_c_<uuid>-`.
pub(crate) fn prefix() -> String {
    format!("_c_{}-", hyphenated())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_hyphens_it_is_as_kazoo_writes_it() {
        let hex = hex();
        assert_eq!(hex.len(), 32);
        assert!(hex.bytes().all(|it| it.is_ascii_hexdigit()), "{hex}");
    }

    #[test]
    fn no_two_are_alike_and_all_have_the_form() {
        let (one, other) = (prefix(), prefix());
        assert_ne!(one, other);
        assert_eq!(one.len(), 40);
        let digits = one[3..39].split('-').map(str::len).collect::<Vec<_>>();
        assert_eq!(digits, [8, 4, 4, 4, 12]);
        assert!(one[17..18].starts_with('4'), "{one}");
    }
}
