//! Names that can be found again: a create that carries a number of its own survives the loss of its reply.
//! The form is Curator's, `_c_<uuid>-<name>`, so that both can share a directory.

use std::hash::{BuildHasher, RandomState};

const MARK: &str = "_c_";
const UUID_LEN: usize = 36;

/// A prefix that nobody else has: for one attempt, never for two.
pub(crate) fn prefix() -> String {
    // The standard library seeds each of these from the system; 122 random bits are asked for (RFC 9562, version 4).
    let random = || RandomState::new().hash_one(0_u8);
    let high = (random() & !0xf000) | 0x4000;
    let low = (random() & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{MARK}{:08x}-{:04x}-{:04x}-{:04x}-{:012x}-",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff,
    )
}

/// The parent and the prefix of a protected path; `None` if it is not one.
pub(crate) fn parts(path: &str) -> Option<(&str, &str)> {
    let (parent, name) = zk_proto::path::split(path)?;
    let rest = name.strip_prefix(MARK)?;
    let uuid = rest.get(..UUID_LEN)?;
    let marked = uuid.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    let ends = rest.as_bytes().get(UUID_LEN) == Some(&b'-');
    let prefix = name.get(..MARK.len() + UUID_LEN + 1)?;
    (marked && ends).then_some((if parent.is_empty() { "/" } else { parent }, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protected_name_is_recognised() {
        let prefix = prefix();
        assert_eq!(prefix.len(), 40);
        let path = format!("/a/{prefix}lock-0000000000");
        assert_eq!(parts(&path), Some(("/a", prefix.as_str())));
        let top = format!("/{prefix}");
        assert_eq!(parts(&top), Some(("/", prefix.as_str())));
        let seen = "/x/_c_3deaea15-f4e0-489d-b9ad-2c44caba1833-lock-0000000000";
        assert_eq!(
            parts(seen),
            Some(("/x", "_c_3deaea15-f4e0-489d-b9ad-2c44caba1833-"))
        );
        for other in [
            "/a/b",
            "/a/_c_b",
            "/_c_3deaea15-f4e0-489d-b9ad-2c44caba1833",
        ] {
            assert_eq!(parts(other), None, "{other}");
        }
    }

    #[test]
    fn no_two_prefixes_are_alike() {
        assert_ne!(prefix(), prefix());
    }
}
