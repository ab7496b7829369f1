//! Fields taken from a stream, summed as they come.
//!
//! Nothing is allocated from a declared length: a field grows as its bytes arrive (H2).

use super::read::{Damage, SnapshotError};
use simd_adler32::Adler32;
use std::io::{self, Read};
use zk_proto::jute::Reader;

/// How much of a field is asked for at once.
const STEP: usize = 64 << 10;

pub(super) struct Stream<R> {
    inner: R,
    sum: Adler32,
    at: u64,
    field_limit: usize,
    total_limit: u64,
    field: Vec<u8>,
}

impl<R: Read> Stream<R> {
    pub(super) fn new(inner: R, field_limit: usize, total_limit: u64) -> Self {
        Self {
            inner,
            sum: Adler32::new(),
            at: 0,
            field_limit,
            total_limit,
            field: Vec::new(),
        }
    }

    /// How many bytes were taken.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// The longest string or buffer that is believed.
    pub(super) const fn field_limit(&self) -> usize {
        self.field_limit
    }

    /// The checksum of all taken so far.
    pub(super) fn sum(&self) -> i64 {
        i64::from(self.sum.finish())
    }

    pub(super) const fn damaged(&self, damage: Damage) -> SnapshotError {
        SnapshotError::Damaged {
            at: self.at,
            damage,
        }
    }

    /// The unpackers tell damage by the kind of their errors.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other kind is the disk's"
    )]
    fn failed(&self, error: io::Error) -> SnapshotError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(Damage::CutOff),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                self.damaged(Damage::Packing)
            }
            _ => SnapshotError::Io(error),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), SnapshotError> {
        if self.at + buffer.len() as u64 > self.total_limit {
            return Err(self.damaged(Damage::TooMuch));
        }
        self.inner
            .read_exact(buffer)
            .map_err(|error| self.failed(error))?;
        self.sum.write(buffer);
        self.at += buffer.len() as u64;
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut array = [0; N];
        self.fill(&mut array)?;
        Ok(array)
    }

    pub(super) fn i32(&mut self) -> Result<i32, SnapshotError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, SnapshotError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A count that may be zero but not less.
    pub(super) fn count(&mut self) -> Result<u32, SnapshotError> {
        u32::try_from(self.i32()?).map_err(|_| self.damaged(Damage::Length))
    }

    /// Takes a length-prefixed field; `None` for null. The bytes include the prefix.
    fn field(&mut self) -> Result<Option<&[u8]>, SnapshotError> {
        let prefix = self.array::<4>()?;
        let len = match i32::from_be_bytes(prefix) {
            -1 => return Ok(None),
            len => usize::try_from(len)
                .ok()
                .filter(|len| *len <= self.field_limit)
                .ok_or_else(|| self.damaged(Damage::Length))?,
        };
        let mut field = std::mem::take(&mut self.field);
        field.clear();
        field.extend_from_slice(&prefix);
        let end = prefix.len() + len;
        while field.len() < end {
            let from = field.len();
            field.resize(end.min(from + STEP), 0);
            if let Some(fresh) = field.get_mut(from..) {
                self.fill(fresh)?;
            }
        }
        self.field = field;
        Ok(Some(&self.field))
    }

    /// A buffer, or null.
    pub(super) fn buffer(&mut self) -> Result<Option<&[u8]>, SnapshotError> {
        Ok(self
            .field()?
            .map(|field| field.get(4..).unwrap_or_default()))
    }

    /// A string that must be there, decoded as Java decodes it.
    pub(super) fn string(&mut self) -> Result<String, SnapshotError> {
        let limit = self.field_limit;
        let text = self.field()?.map(|field| {
            let mut reader = Reader::with_field_limit(field, limit);
            reader.string().map(std::borrow::Cow::into_owned)
        });
        match text {
            Some(Ok(text)) => Ok(text),
            Some(Err(_)) | None => Err(self.damaged(Damage::Null)),
        }
    }

    /// All that is left, if it is at most `limit` bytes. It is not summed.
    pub(super) fn rest(&mut self, limit: usize) -> Result<Vec<u8>, SnapshotError> {
        let mut rest = Vec::new();
        let take = limit as u64 + 1;
        match self.inner.by_ref().take(take).read_to_end(&mut rest) {
            Ok(_) if rest.len() <= limit => Ok(rest),
            Ok(_) => Err(self.damaged(Damage::Trailing)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Counts bytes taken with [`Stream::rest`] into the sum.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.sum.write(bytes);
        self.at += bytes.len() as u64;
    }
}
