//! A blocking connection that speaks in frames. It knows lengths and silence, not what frames mean.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What a wait for a frame ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// A payload.
    Frame(Vec<u8>),
    /// The end of the stream, or a reset: the server has hung up.
    Closed,
    /// Nothing in time.
    Silence,
}

/// One connection to a server.
#[derive(Debug)]
pub(crate) struct Conn {
    stream: TcpStream,
    buf: Vec<u8>,
    start: usize,
    gone: bool,
    /// Where one read lands before it joins `buf`.
    chunk: Box<[u8]>,
    timeout: Duration,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_SIZE: usize = 64 * 1024;

impl Conn {
    pub(crate) fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self {
            stream,
            buf: Vec::new(),
            start: 0,
            gone: false,
            chunk: vec![0; READ_SIZE].into(),
            timeout: Duration::ZERO,
        })
    }

    /// Sends bytes. A connection that the server has closed is noticed by the next wait, not here.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if self.stream.write_all(bytes).is_err() {
            // What the server said before it hung up may still be readable.
            self.gone = !matches!(self.stream.peek(&mut [0]), Ok(1..));
        }
    }

    /// Sends bytes one by one, each in a segment of its own; long packets in a few hundred pieces.
    pub(crate) fn send_slowly(&mut self, bytes: &[u8]) {
        for byte in bytes.chunks(bytes.len() / 500 + 1) {
            self.send(byte);
        }
    }

    /// Says that no more bytes will come.
    pub(crate) fn half_close(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).ok();
    }

    /// The next frame, waiting no longer than `patience`.
    pub(crate) fn frame(&mut self, patience: Duration) -> Got {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(payload) = self.buffered_frame() {
                return Got::Frame(payload);
            }
            match self.fill(deadline) {
                Ok(0) => return Got::Closed,
                Ok(_) => {}
                Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Got::Silence,
                Err(_) => return Got::Closed,
            }
        }
    }

    /// Everything up to the end of the stream, as text: the answer to a four-letter word.
    /// `None` if the stream did not end in time.
    pub(crate) fn text(&mut self, patience: Duration) -> Option<String> {
        let deadline = Instant::now() + patience;
        loop {
            match self.fill(deadline) {
                Ok(0) => break,
                Ok(_) => {}
                Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
                Err(_) => break,
            }
        }
        Some(String::from_utf8_lossy(&self.buf).into_owned())
    }

    /// Waits for the end of the stream and ignores what comes before it.
    pub(crate) fn closes_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            match self.fill(deadline) {
                Ok(0) => return true,
                Ok(_) => self.buf.clear(),
                Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => return false,
                Err(_) => return true,
            }
        }
    }

    fn buffered_frame(&mut self) -> Option<Vec<u8>> {
        let rest = self.buf.get(self.start..)?;
        let (word, tail) = rest.split_first_chunk::<4>()?;
        let len = usize::try_from(i32::from_be_bytes(*word)).ok()?;
        let payload = tail.get(..len)?.to_vec();
        self.start += 4 + len;
        if self.start == self.buf.len() {
            self.buf.clear();
            self.start = 0;
        }
        Some(payload)
    }

    fn fill(&mut self, deadline: Instant) -> Result<usize, ErrorKind> {
        if self.gone {
            return Ok(0);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut);
        }
        // Whole seconds, or the rest of the last one: one system call less for nearly every frame.
        let wait = match left.as_secs() {
            0 => left,
            seconds => Duration::from_secs(seconds),
        };
        if wait != self.timeout {
            self.stream
                .set_read_timeout(Some(wait))
                .map_err(|e| e.kind())?;
            self.timeout = wait;
        }
        let count = match self.stream.read(&mut self.chunk) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return self.fill(deadline);
            }
            other => other.map_err(|e| e.kind())?,
        };
        self.buf
            .extend_from_slice(self.chunk.get(..count).unwrap_or_default());
        self.gone = count == 0;
        Ok(count)
    }
}

/// A payload behind its length.
pub(crate) fn framed(payload: &[u8]) -> Vec<u8> {
    let len = i32::try_from(payload.len()).expect("a frame of ours is small");
    [&len.to_be_bytes()[..], payload].concat()
}

/// Asks a four-letter word on a connection of its own.
pub(crate) fn four_letters(addr: SocketAddr, word: &str) -> Option<String> {
    let mut conn = Conn::open(addr).ok()?;
    conn.send(word.as_bytes());
    conn.text(Duration::from_secs(5))
}
