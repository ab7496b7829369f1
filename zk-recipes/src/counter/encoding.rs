//! How a number stands in a node, by whom one shares it with. Pure.

use crate::error::Error;

/// How a counter's number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Eight bytes, big-endian: Curator's `DistributedAtomicLong`.
    Long,
    /// Four bytes, big-endian: Curator's `SharedCount` and `DistributedAtomicInteger`, kazoo's `Counter` with
    /// `support_curator`.
    Int,
    /// Digits: kazoo's `Counter`, as long as its numbers are whole.
    Text,
}

impl Encoding {
    /// The bytes of a number, if it fits.
    pub(super) fn write(self, number: i64) -> Result<Vec<u8>, Error> {
        Ok(match self {
            Self::Long => number.to_be_bytes().to_vec(),
            Self::Int => i32::try_from(number)
                .map_err(|_| Error::Usage("the number does not fit into the counter"))?
                .to_be_bytes()
                .to_vec(),
            Self::Text => number.to_string().into_bytes(),
        })
    }

    /// The number in some bytes; zero where there are none.
    pub(super) fn read(self, data: &[u8]) -> Result<i64, Error> {
        if data.is_empty() {
            return Ok(0);
        }
        let number = match self {
            Self::Long => data.try_into().ok().map(i64::from_be_bytes),
            Self::Int => data
                .try_into()
                .ok()
                .map(|bytes| i64::from(i32::from_be_bytes(bytes))),
            Self::Text => std::str::from_utf8(data)
                .ok()
                .and_then(|text| text.parse().ok()),
        };
        number.ok_or(Error::Usage("the counter's node holds no such number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_as_the_others_write_them() {
        let check = |encoding: Encoding, number, bytes: &[u8]| {
            assert_eq!(encoding.write(number).unwrap(), bytes);
            assert_eq!(encoding.read(bytes), Ok(number));
        };
        check(Encoding::Long, 258, &[0, 0, 0, 0, 0, 0, 1, 2]);
        check(Encoding::Long, i64::MIN, &[0x80, 0, 0, 0, 0, 0, 0, 0]);
        check(Encoding::Int, -2, &[0xff, 0xff, 0xff, 0xfe]);
        check(Encoding::Text, -42, b"-42");
        for encoding in [Encoding::Long, Encoding::Int, Encoding::Text] {
            assert_eq!(encoding.read(b""), Ok(0));
            assert!(encoding.read(b"12345").is_err() || encoding == Encoding::Text);
            assert!(encoding.read(b"1.5").is_err());
        }
        assert!(Encoding::Int.write(i64::from(i32::MAX) + 1).is_err());
    }
}
