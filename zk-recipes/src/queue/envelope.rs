//! What Curator's queues wrap around their items: a version, each item behind an opcode and its length, an end. Pure.

use std::fmt;

const VERSION: u32 = 0x0001_0001;
const ITEM: u8 = 1;
const END: u8 = 2;

/// The data of an entry are none of its queue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Poison(&'static str);

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Items in an envelope; `None` if one is longer than a length says.
pub(super) fn wrap<'a>(items: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut data = VERSION.to_be_bytes().to_vec();
    for item in items {
        let length = i32::try_from(item.len()).ok()?;
        data.push(ITEM);
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(item);
    }
    data.push(END);
    Some(data)
}

/// The items in an envelope. What follows its end is nobody's, as for Curator.
pub(super) fn unwrap(data: &[u8]) -> Result<Vec<Vec<u8>>, Poison> {
    let short = Poison("an envelope without an end");
    let (version, mut rest) = data.split_first_chunk::<4>().ok_or(short)?;
    if u32::from_be_bytes(*version) != VERSION {
        return Err(Poison("an envelope of another version, or none"));
    }
    let mut items = Vec::new();
    loop {
        let (opcode, behind) = rest.split_first().ok_or(short)?;
        match *opcode {
            END => return Ok(items),
            ITEM => {}
            _ => return Err(Poison("an envelope with something else than items")),
        }
        let (length, behind) = behind.split_first_chunk::<4>().ok_or(short)?;
        let length = usize::try_from(i32::from_be_bytes(*length));
        let length = length.map_err(|_| Poison("an item of negative length"))?;
        let (item, behind) = behind.split_at_checked(length).ok_or(short)?;
        items.push(item.to_vec());
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_wrapped_as_curator_wraps_them() {
        let check = |items: &[&[u8]], bytes: &[u8]| {
            assert_eq!(wrap(items.iter().copied()).unwrap(), bytes);
            assert_eq!(unwrap(bytes).unwrap(), items);
            for end in 0..bytes.len() {
                assert!(unwrap(&bytes[..end]).is_err(), "{end}");
            }
        };
        check(&[], &[0, 1, 0, 1, 2]);
        check(&[b"hi"], &[0, 1, 0, 1, 1, 0, 0, 0, 2, b'h', b'i', 2]);
        check(
            &[b"", b"x"],
            &[0, 1, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, b'x', 2],
        );
    }

    #[test]
    fn what_is_no_envelope_is_poison() {
        for bytes in [
            &b"plain text"[..],
            &[0, 1, 0, 2, 2],
            &[0, 1, 0, 1, 3],
            &[0, 1, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 2],
            &[0, 1, 0, 1, 1, 0x7f, 0xff, 0xff, 0xff, 2],
        ] {
            assert!(unwrap(bytes).is_err());
        }
        assert_eq!(unwrap(&[0, 1, 0, 1, 2, 9]), Ok(Vec::new()));
    }
}
