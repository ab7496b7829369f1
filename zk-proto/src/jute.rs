//! Jute, the encoding under every record: big-endian numbers, length-prefixed strings and vectors.
//!
//! A [`Reader`] borrows from what has arrived and never allocates from a declared length: a vector's
//! capacity is bounded by the bytes that are left (H2).

use bytes::BufMut;
use std::borrow::Cow;

/// Why bytes are not the record they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("the bytes end inside a field: {needed} needed, {left} left")]
    Truncated {
        /// How many bytes the field takes.
        needed: usize,
        /// How many there are.
        left: usize,
    },
    /// A length below zero that is not the null marker, or above the limit.
    #[error("a field declares the unreasonable length {0}")]
    Length(i32),
    /// A null where a value is required.
    #[error("a required field is null")]
    Null,
    /// A number outside of its table.
    #[error("{what} has no value {value}")]
    Unknown {
        /// Which table.
        what: &'static str,
        /// What was found.
        value: i32,
    },
}

/// The default of `jute.maxbuffer`: the largest request payload a server accepts.
pub const DEFAULT_MAX_BUFFER: usize = 0xf_ffff;

/// Takes jute fields from the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
    field_limit: usize,
}

impl<'a> Reader<'a> {
    /// Reads with the default limit on a single field.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::with_field_limit(bytes, 2 * DEFAULT_MAX_BUFFER)
    }

    /// Reads with a limit of one's own on a single string or buffer.
    pub fn with_field_limit(bytes: &'a [u8], field_limit: usize) -> Self {
        Self {
            left: bytes,
            field_limit,
        }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.left
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let Some((head, tail)) = self.left.split_at_checked(len) else {
            return Err(DecodeError::Truncated {
                needed: len,
                left: self.left.len(),
            });
        };
        self.left = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((head, tail)) = self.left.split_first_chunk::<N>() else {
            return Err(DecodeError::Truncated {
                needed: N,
                left: self.left.len(),
            });
        };
        self.left = tail;
        Ok(*head)
    }

    /// A byte; any value but zero is true.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.array::<1>()? != [0])
    }

    /// Four bytes.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A buffer, or null.
    pub fn buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let len = self.i32()?;
        if len == -1 {
            return Ok(None);
        }
        match usize::try_from(len) {
            Ok(bytes) if bytes <= self.field_limit => self.take(bytes).map(Some),
            _ => Err(DecodeError::Length(len)),
        }
    }

    /// A string, or null. Malformed UTF-8 is replaced exactly where Java replaces it.
    pub fn nullable_string(&mut self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        Ok(self.buffer()?.map(decode_text))
    }

    /// A string that must be there.
    pub fn string(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        self.nullable_string()?.ok_or(DecodeError::Null)
    }

    /// A vector, or null. As in Java, a count below -1 is an empty vector.
    pub fn nullable_vector<T>(
        &mut self,
        min_element: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let count = self.i32()?;
        if count == -1 {
            return Ok(None);
        }
        let count = usize::try_from(count).unwrap_or(0);
        let possible = self.left.len() / min_element.max(1);
        if count > possible {
            return Err(DecodeError::Truncated {
                needed: count.saturating_mul(min_element),
                left: self.left.len(),
            });
        }
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// A vector that must be there.
    pub fn vector<T>(
        &mut self,
        min_element: usize,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_vector(min_element, element)?
            .ok_or(DecodeError::Null)
    }

    /// A vector of strings that must be there.
    pub fn strings(&mut self) -> Result<Vec<Cow<'a, str>>, DecodeError> {
        self.vector(4, Self::string)
    }
}

/// Decodes text as Java's UTF-8 decoder does: each malformed sequence becomes one U+FFFD.
///
/// Rust and Java agree on what one malformed sequence is but for surrogates: Java's own writer emits
/// them as three bytes (CESU-8) and its reader replaces those three, or the two that are left of them,
/// by a single character.
fn decode_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(replace_malformed(bytes)),
    }
}

fn replace_malformed(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    while let Some(chunk) = bytes.utf8_chunks().next() {
        text.push_str(chunk.valid());
        bytes = bytes.get(chunk.valid().len()..).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        text.push(char::REPLACEMENT_CHARACTER);
        let malformed = match bytes {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
            [0xed, 0xa0..=0xbf, ..] => 2,
            _ => chunk.invalid().len(),
        };
        bytes = bytes.get(malformed..).unwrap_or_default();
    }
    text
}

/// Appends jute fields to a buffer.
pub trait JuteMut: BufMut {
    /// A byte, 0 or 1.
    fn put_bool(&mut self, value: bool) {
        self.put_u8(u8::from(value));
    }

    /// The length of a string, buffer or vector.
    fn put_len(&mut self, len: usize) {
        self.put_i32(i32::try_from(len).expect("no field of ours comes near two gigabytes"));
    }

    /// A buffer or null.
    fn put_buffer(&mut self, buffer: Option<&[u8]>) {
        match buffer {
            None => self.put_i32(-1),
            Some(bytes) => {
                self.put_len(bytes.len());
                self.put_slice(bytes);
            }
        }
    }

    /// A string.
    fn put_string(&mut self, text: &str) {
        self.put_buffer(Some(text.as_bytes()));
    }

    /// A vector.
    fn put_vector<T>(&mut self, elements: &[T], mut put: impl FnMut(&mut Self, &T))
    where
        Self: Sized,
    {
        self.put_len(elements.len());
        for element in elements {
            put(self, element);
        }
    }

    /// A vector of strings.
    fn put_strings<S: AsRef<str>>(&mut self, elements: &[S])
    where
        Self: Sized,
    {
        self.put_vector(elements, |out, text| out.put_string(text.as_ref()));
    }
}

impl<B: BufMut> JuteMut for B {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_length_costs_nothing() {
        let huge = [0x7f, 0xff, 0xff, 0xff];
        assert_eq!(
            Reader::new(&huge).buffer(),
            Err(DecodeError::Length(i32::MAX))
        );
        assert!(matches!(
            Reader::new(&huge).strings(),
            Err(DecodeError::Truncated { .. })
        ));
    }

    #[test]
    fn null_is_not_empty() {
        assert_eq!(Reader::new(&[0xff; 4]).buffer(), Ok(None));
        assert_eq!(Reader::new(&[0; 4]).buffer(), Ok(Some(&[][..])));
        assert_eq!(Reader::new(&[0xff; 4]).string(), Err(DecodeError::Null));
        assert_eq!(Reader::new(&[0xff; 4]).strings(), Err(DecodeError::Null));
    }

    #[test]
    fn a_count_below_minus_one_is_an_empty_vector_as_in_java() {
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xfe]).strings(), Ok(vec![]));
    }

    #[test]
    fn malformed_text_is_replaced_where_java_replaces_it() {
        assert_eq!(decode_text(b"plain"), "plain");
        assert_eq!(decode_text(b"\xed\xa0\xbd\xed\xb8\x80"), "\u{fffd}\u{fffd}");
        assert_eq!(decode_text(b"\xed\xa0"), "\u{fffd}");
        assert_eq!(decode_text(b"\xed\xa0/"), "\u{fffd}/");
        assert_eq!(decode_text(b"a\xc3(b"), "a\u{fffd}(b");
        assert_eq!(decode_text(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        assert_eq!(decode_text(b"end\xe2\x82"), "end\u{fffd}");
    }

    #[test]
    fn a_field_above_the_limit_is_refused_though_it_is_there() {
        let mut bytes = Vec::new();
        bytes.put_buffer(Some(&[7; 11]));
        assert!(Reader::with_field_limit(&bytes, 11).buffer().is_ok());
        assert_eq!(
            Reader::with_field_limit(&bytes, 10).buffer(),
            Err(DecodeError::Length(11))
        );
    }
}
