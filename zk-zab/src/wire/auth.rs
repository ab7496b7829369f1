//! SASL between servers: the packets around the mechanism's tokens. What the tokens mean is not known
//! here.
//!
//! ```text
//! long magic, int status, buffer token
//! ```

use super::WireError;
use bytes::{BufMut, Bytes};
use std::fmt;
use zk_proto::DecodeError;
use zk_proto::jute::{JuteMut, Reader};

const MAGIC: i64 = 0x5F24_3501_3501_EDCC;
const HEAD: usize = 16;
/// Far above what any mechanism says; Java allows as much as a record may hold.
const MAX_TOKEN: usize = 65536;

/// How far a proof is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthStatus {
    /// More is to be said. A dialler says nothing else.
    InProgress,
    /// The acceptor is convinced.
    Success,
    /// It is not.
    Error,
}

/// One step of a proof.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthPacket {
    /// How far it is.
    pub status: AuthStatus,
    /// What the mechanism says.
    pub token: Bytes,
}

impl AuthPacket {
    /// Whether these first bytes of a link begin an auth packet, or `None` while that is open.
    pub fn begins(buf: &[u8]) -> Option<bool> {
        let magic = MAGIC.to_be_bytes();
        match buf.first_chunk::<8>() {
            Some(first) => Some(*first == magic),
            None if magic.starts_with(buf) => None,
            None => Some(false),
        }
    }

    /// The length of the packet that begins here, or `None` while it is not all there.
    pub fn len_at(buf: &[u8]) -> Result<Option<usize>, WireError> {
        let mut reader = Reader::new(buf);
        let Ok(magic) = reader.i64() else {
            return Ok(None);
        };
        check_magic(magic)?;
        let (Ok(_), Ok(declared)) = (reader.i32(), reader.i32()) else {
            return Ok(None);
        };
        let len = match usize::try_from(declared) {
            _ if declared == -1 => 0,
            Ok(len) if len <= MAX_TOKEN => len,
            _ => return Err(DecodeError::Length(declared).into()),
        };
        Ok(Some(HEAD + len).filter(|len| *len <= buf.len()))
    }

    /// Takes a whole packet. A null token is an empty one.
    pub fn decode(bytes: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::with_field_limit(bytes, MAX_TOKEN);
        check_magic(reader.i64()?)?;
        let status = match reader.i32()? {
            0 => AuthStatus::InProgress,
            1 => AuthStatus::Success,
            -1 => AuthStatus::Error,
            other => {
                let what = "the status of an auth packet";
                let found = other.into();
                return Err(WireError::Field { what, found });
            }
        };
        let token = bytes.slice_ref(reader.buffer()?.unwrap_or_default());
        Ok(Self { status, token })
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i64(MAGIC);
        out.put_i32(match self.status {
            AuthStatus::InProgress => 0,
            AuthStatus::Success => 1,
            AuthStatus::Error => -1,
        });
        out.put_buffer(Some(&self.token));
    }
}

fn check_magic(found: i64) -> Result<(), WireError> {
    if found == MAGIC {
        return Ok(());
    }
    let what = "the magic of an auth packet";
    Err(WireError::Field { what, found })
}

impl fmt::Display for AuthPacket {
    /// Never prints the token: it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AUTH {:?} ({} bytes)", self.status, self.token.len())
    }
}

impl fmt::Debug for AuthPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
