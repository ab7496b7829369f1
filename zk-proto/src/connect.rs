//! The handshake that opens a connection: the only frames without a header.

use crate::jute::{DecodeError, JuteMut, Reader};
use crate::{SessionId, Zxid};
use bytes::BufMut;
use std::borrow::Cow;

/// The length of a session password.
pub const PASSWORD_LEN: usize = 16;

/// A client's first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// Always 0; servers do not look at it.
    pub protocol_version: i32,
    /// The highest zxid the client has seen: a server that is behind it must refuse (P4).
    pub last_zxid_seen: Zxid,
    /// The session timeout the client wishes, in milliseconds.
    pub timeout: i32,
    /// The session to take up again, or [`SessionId::NONE`].
    pub session: SessionId,
    /// The session's password; may be missing for a new session.
    pub password: Option<Cow<'a, [u8]>>,
    /// Whether a read-only server would do. `None` from clients older than 3.4, which must not be sent the byte either.
    pub read_only: Option<bool>,
}

impl<'a> ConnectRequest<'a> {
    /// Takes the payload of the first frame. As in Java, bytes after it are ignored.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            protocol_version: reader.i32()?,
            last_zxid_seen: Zxid::from_wire(reader.i64()?),
            timeout: reader.i32()?,
            session: SessionId::from_wire(reader.i64()?),
            password: reader.buffer()?.map(Cow::Borrowed),
            read_only: reader.bool().ok(),
        })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(self.protocol_version);
        out.put_i64(self.last_zxid_seen.to_wire());
        out.put_i32(self.timeout);
        out.put_i64(self.session.to_wire());
        out.put_buffer(self.password.as_deref());
        if let Some(read_only) = self.read_only {
            out.put_bool(read_only);
        }
    }
}

/// The server's first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Always 0.
    pub protocol_version: i32,
    /// The timeout that was agreed on; zero or less says that the session is gone.
    pub timeout: i32,
    /// The session.
    pub session: SessionId,
    /// Its password.
    pub password: [u8; PASSWORD_LEN],
    /// Whether the server is read-only; `None` if the client did not speak of it.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// The answer to a client whose session is gone or was never its own.
    pub const fn expired(read_only: Option<bool>) -> Self {
        Self {
            protocol_version: 0,
            timeout: 0,
            session: SessionId::NONE,
            password: [0; PASSWORD_LEN],
            read_only,
        }
    }

    /// Takes the payload of the first frame.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let protocol_version = reader.i32()?;
        let timeout = reader.i32()?;
        let session = SessionId::from_wire(reader.i64()?);
        let password = reader.buffer()?.ok_or(DecodeError::Null)?;
        let found = password.len();
        let password = password.try_into().map_err(|_| DecodeError::Truncated {
            needed: PASSWORD_LEN,
            left: found,
        })?;
        Ok(Self {
            protocol_version,
            timeout,
            session,
            password,
            read_only: reader.bool().ok(),
        })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(self.protocol_version);
        out.put_i32(self.timeout);
        out.put_i64(self.session.to_wire());
        out.put_buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            out.put_bool(read_only);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_the_read_only_byte_is_understood() {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::from_wire(7),
            timeout: 10_000,
            session: SessionId::NONE,
            password: Some(Cow::Borrowed(&[0; PASSWORD_LEN])),
            read_only: Some(true),
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        assert_eq!(bytes.len(), 45);
        assert_eq!(ConnectRequest::decode(&bytes), Ok(request.clone()));
        assert_eq!(
            ConnectRequest::decode(&bytes[..44]),
            Ok(ConnectRequest {
                read_only: None,
                ..request
            })
        );
        assert!((0..44).all(|len| ConnectRequest::decode(&bytes[..len]).is_err()));
    }

    #[test]
    fn a_response_is_36_or_37_bytes() {
        for (read_only, len) in [(None, 36), (Some(false), 37)] {
            let response = ConnectResponse {
                timeout: 4000,
                ..ConnectResponse::expired(read_only)
            };
            let mut bytes = Vec::new();
            response.encode(&mut bytes);
            assert_eq!(bytes.len(), len);
            assert_eq!(ConnectResponse::decode(&bytes), Ok(response));
        }
    }
}
