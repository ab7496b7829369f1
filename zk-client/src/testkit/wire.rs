//! One bare connection: frames out, frames in, nothing remembered. For looking at a server beside the client under
//! test, and for saying to it what no client would.

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_proto::frame::{self, LENGTH_WORD};
use zk_proto::jute::Reader;
use zk_proto::{
    ConnectRequest, ConnectResponse, DecodeError, PASSWORD_LEN, Reply, ReplyHeader, Request,
    RequestHeader, SessionId, Xid, Zxid,
};

const MAX_FRAME: usize = 64 << 20;

/// Why a bare connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection failed, or the server closed it.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// What came is not what the protocol has there.
    #[error("a frame cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// A frame of impossible length.
    #[error(transparent)]
    Frame(#[from] frame::BadFrame),
    /// The session to take up again is gone.
    #[error("the server does not know the session, or not with this password")]
    NoSession,
    /// The server refused a request, with this code.
    #[error("the server refused the request with code {0}")]
    Refused(i32),
}

/// A connection over any stream, TLS included.
#[derive(Debug)]
pub struct Wire<S = TcpStream> {
    stream: S,
    arrived: BytesMut,
    next_xid: i32,
}

impl Wire<TcpStream> {
    /// Connects and opens a new session.
    pub async fn open(address: SocketAddr) -> Result<(Self, ConnectResponse), WireError> {
        let mut wire = Self::over(TcpStream::connect(address).await?);
        let response = wire.handshake(10_000, None).await?;
        Ok((wire, response))
    }

    /// Connects and takes up a session again.
    pub async fn resume(
        address: SocketAddr,
        session: SessionId,
        password: [u8; PASSWORD_LEN],
    ) -> Result<Self, WireError> {
        let mut wire = Self::over(TcpStream::connect(address).await?);
        wire.handshake(10_000, Some((session, password))).await?;
        Ok(wire)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Speaks over a stream that is connected already.
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            arrived: BytesMut::new(),
            next_xid: 1,
        }
    }

    /// Opens a session, or takes one up again.
    pub async fn handshake(
        &mut self,
        timeout: i32,
        session: Option<(SessionId, [u8; PASSWORD_LEN])>,
    ) -> Result<ConnectResponse, WireError> {
        let (session, password) = session.unwrap_or((SessionId::NONE, [0; PASSWORD_LEN]));
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout,
            session,
            password: Some(password.as_slice().into()),
            read_only: Some(false),
        };
        let mut out = BytesMut::new();
        frame::put_frame(&mut out, |payload| request.encode(payload));
        self.stream.write_all(&out).await?;
        self.stream.flush().await?;
        let response = ConnectResponse::decode(&self.receive().await?)?;
        if response.timeout <= 0 {
            return Err(WireError::NoSession);
        }
        Ok(response)
    }

    /// Sends a request without waiting, and returns the number its reply will have.
    pub async fn send(&mut self, request: &Request<'_>) -> Result<Xid, WireError> {
        let xid = Xid(self.next_xid);
        self.next_xid += 1;
        let op = request.op();
        let mut out = BytesMut::new();
        frame::put_frame(&mut out, |payload| {
            RequestHeader { xid, op }.encode(payload);
            request.encode(payload);
        });
        self.stream.write_all(&out).await?;
        self.stream.flush().await?;
        Ok(xid)
    }

    /// The payload of the next frame, whatever it is. May be cancelled without losing any of it.
    pub async fn receive(&mut self) -> Result<Bytes, WireError> {
        loop {
            if let Some(len) = frame::payload_len(&self.arrived, MAX_FRAME)?
                && self.arrived.len() >= LENGTH_WORD + len
            {
                self.arrived.advance(LENGTH_WORD);
                return Ok(self.arrived.split_to(len).freeze());
            }
            if self.stream.read_buf(&mut self.arrived).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Asks and waits for the answer; events and pings that come before it are dropped.
    pub async fn call(&mut self, request: &Request<'_>) -> Result<Reply, WireError> {
        let xid = self.send(request).await?;
        loop {
            let payload = self.receive().await?;
            let mut reader = Reader::new(&payload);
            let header = ReplyHeader::decode(&mut reader)?;
            if header.xid != xid {
                continue;
            }
            if header.err != 0 {
                return Err(WireError::Refused(header.err));
            }
            return Ok(Reply::decode(request.op(), reader.rest())?);
        }
    }
}
