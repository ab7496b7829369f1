//! The wrappings of a snapshot file: gzip, and snappy in the framing of Java's snappy library.
//!
//! ```text
//! snappy  82 "SNAPPY" 00 | 1: i32 | 1: i32 | (len: i32, raw snappy block of at most 32 KiB)*
//! ```

use crate::disk::files::Handle;
use crate::disk::names::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, BufReader, Read, Write};

const SNAPPY_HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// What Java's writer puts into one block.
const BLOCK: usize = 32 << 10;
/// The most that is unpacked at once, whatever a block declares.
const MAX_BLOCK: usize = 1 << 20;
const READ_BUFFER: usize = 256 << 10;
/// How much is written before the disk must take it: a great fsync at the end would stall the log's.
const SYNC_EVERY: u64 = 8 << 20;

/// The first bytes of a packed file.
pub(super) const fn magic(compression: Compression) -> &'static [u8] {
    match compression {
        Compression::None => &super::MAGIC,
        Compression::Gzip => &GZIP_MAGIC,
        Compression::Snappy => SNAPPY_HEADER.split_at(8).0,
    }
}

/// A file read from its start.
pub(super) fn unpack(handle: Box<dyn Handle>, compression: Compression) -> Box<dyn Read> {
    let file = BufReader::with_capacity(READ_BUFFER, FileReader { handle, at: 0 });
    match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        Compression::Snappy => Box::new(SnappyReader {
            inner: file,
            block: Vec::new(),
            at: 0,
        }),
    }
}

#[derive(Debug)]
struct FileReader {
    handle: Box<dyn Handle>,
    at: u64,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.handle.read_at(self.at, buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

struct SnappyReader<R> {
    inner: R,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> SnappyReader<R> {
    /// Unpacks the next block; false at the end.
    fn refill(&mut self) -> io::Result<bool> {
        let mut word = [0; 4];
        loop {
            if !fill_or_end(&mut self.inner, &mut word)? {
                return Ok(false);
            }
            // A header begins the file, and each file of several put together.
            if SNAPPY_HEADER.starts_with(&word) {
                let mut rest = [0; 12];
                self.inner.read_exact(&mut rest)?;
                if SNAPPY_HEADER.ends_with(&rest) {
                    continue;
                }
                return Err(bad("a snappy header of another version"));
            }
            break;
        }
        let len = usize::try_from(i32::from_be_bytes(word)).unwrap_or(usize::MAX);
        if len > snap::raw::max_compress_len(MAX_BLOCK) {
            return Err(bad("a snappy block with an unreasonable length"));
        }
        let mut packed = vec![0; len];
        self.inner.read_exact(&mut packed)?;
        let unpacked = snap::raw::decompress_len(&packed).map_err(damaged_block)?;
        if unpacked > MAX_BLOCK {
            return Err(bad("a snappy block that unpacks to too much"));
        }
        self.block.resize(unpacked, 0);
        snap::raw::Decoder::new()
            .decompress(&packed, &mut self.block)
            .map_err(damaged_block)?;
        self.at = 0;
        Ok(true)
    }
}

fn damaged_block(error: snap::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Fills the buffer, or finds the end before its first byte.
fn fill_or_end(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let Some((first, rest)) = buffer.split_first_mut() else {
        return Ok(true);
    };
    loop {
        match reader.read(std::slice::from_mut(first)) {
            Ok(0) => return Ok(false),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    reader.read_exact(rest)?;
    Ok(true)
}

impl<R: Read> Read for SnappyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.block.len() {
            if !self.refill()? {
                return Ok(0);
            }
        }
        let ready = self.block.get(self.at..).unwrap_or_default();
        let take = ready.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(ready) {
            *to = *from;
        }
        self.at += take;
        Ok(take)
    }
}

/// A file written from its start, packed on the way.
pub(super) enum Packer {
    Plain(FileWriter),
    Gzip(Box<GzEncoder<FileWriter>>),
    Snappy(SnappyWriter),
}

impl Packer {
    pub(super) fn new(handle: Box<dyn Handle>, compression: Compression) -> io::Result<Self> {
        let mut file = FileWriter {
            handle,
            at: 0,
            synced: 0,
        };
        Ok(match compression {
            Compression::None => Self::Plain(file),
            Compression::Gzip => Self::Gzip(Box::new(GzEncoder::new(
                file,
                flate2::Compression::default(),
            ))),
            Compression::Snappy => {
                file.write_all(&SNAPPY_HEADER)?;
                Self::Snappy(SnappyWriter {
                    file,
                    block: Vec::with_capacity(BLOCK),
                })
            }
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Snappy(writer) => writer.write(bytes),
        }
    }

    /// Writes what is left, makes the file durable, and says how long it is.
    pub(super) fn finish(self) -> io::Result<u64> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Snappy(mut writer) => {
                writer.flush_block()?;
                writer.file
            }
        };
        file.handle.sync()?;
        Ok(file.at)
    }
}

pub(super) struct SnappyWriter {
    file: FileWriter,
    block: Vec<u8>,
}

impl SnappyWriter {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = BLOCK - self.block.len();
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == BLOCK {
                self.flush_block()?;
            }
        }
        Ok(())
    }

    fn flush_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let packed = snap::raw::Encoder::new()
            .compress_vec(&self.block)
            .map_err(io::Error::other)?;
        let len = i32::try_from(packed.len()).map_err(io::Error::other)?;
        self.file.write_all(&len.to_be_bytes())?;
        self.file.write_all(&packed)?;
        self.block.clear();
        Ok(())
    }
}

pub(super) struct FileWriter {
    handle: Box<dyn Handle>,
    at: u64,
    synced: u64,
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.handle.write_at(self.at, bytes)?;
        self.at += bytes.len() as u64;
        if self.at - self.synced >= SYNC_EVERY {
            self.handle.sync()?;
            self.synced = self.at;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
