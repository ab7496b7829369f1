//! What goes over a connection once both sides know each other: notifications behind their lengths,
//! both ways. A side that breaks the framing or does not read is hung up on; a notification that makes
//! no sense is not heard, as with Java.

use super::Heard;
use bytes::{Buf, Bytes, BytesMut};
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tracing::debug;
use zk_proto::{ServerId, frame};
use zk_zab::Notification;
use zk_zab::wire::MAX_NOTIFICATION_LEN;

/// How long a peer may take to make room for one message.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
/// Notifications are small: what a read makes room for at first.
const READ_SIZE: usize = 2048;

/// A connection, and what has come over it already.
pub(super) struct Link {
    pub(super) stream: TcpStream,
    pub(super) received: BytesMut,
}

impl Link {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            received: BytesMut::new(),
        }
    }
}

/// Talks until the connection breaks; says why it did.
pub(super) async fn converse(
    link: Link,
    peer: ServerId,
    outbox: &mut watch::Receiver<Bytes>,
    heard: &mpsc::Sender<Heard>,
) -> io::Error {
    let (read, write) = link.stream.into_split();
    let ended = tokio::select! {
        ended = listen(read, link.received, peer, heard) => ended,
        ended = speak(write, outbox) => ended,
    };
    match ended {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

enum Never {}

async fn listen(
    mut read: OwnedReadHalf,
    mut received: BytesMut,
    from: ServerId,
    heard: &mpsc::Sender<Heard>,
) -> io::Result<Never> {
    loop {
        while let Some(payload) = take_frame(&mut received)? {
            match Notification::decode(&payload) {
                Ok(notification) => {
                    let message = Heard::Notification { from, notification };
                    let listening = heard.send(message).await;
                    listening.map_err(|_| io::Error::from(ErrorKind::BrokenPipe))?;
                }
                Err(error) => debug!(%from, %error, "not a notification"),
            }
        }
        received.reserve(READ_SIZE);
        if read.read_buf(&mut received).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The notification at the front, if all of it is there.
fn take_frame(received: &mut BytesMut) -> io::Result<Option<Bytes>> {
    let len = frame::payload_len(received, MAX_NOTIFICATION_LEN).map_err(io::Error::other)?;
    match len {
        Some(0) => Err(ErrorKind::InvalidData.into()),
        Some(len) if received.len() >= frame::LENGTH_WORD + len => {
            received.advance(frame::LENGTH_WORD);
            Ok(Some(received.split_to(len).freeze()))
        }
        Some(_) | None => Ok(None),
    }
}

/// The last message first: nobody knows whether it arrived on the connection before this one.
async fn speak(
    mut write: OwnedWriteHalf,
    outbox: &mut watch::Receiver<Bytes>,
) -> io::Result<Never> {
    loop {
        let message = outbox.borrow_and_update().clone();
        let written = tokio::time::timeout(WRITE_PATIENCE, write.write_all(&message));
        written.await.map_err(|_| ErrorKind::TimedOut)??;
        next_message(outbox).await;
    }
}

/// Waits for something to send. When the port closes there is nothing any more.
pub(super) async fn next_message(outbox: &mut watch::Receiver<Bytes>) {
    if outbox.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
