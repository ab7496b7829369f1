//! The ceiling for reads: a server that does everything our server must do around a read, on the same
//! runtime, and nothing of the read itself. It cuts frames, looks at the header, and answers every
//! request with a kilobyte and a stat, many answers in one write.

use crate::error::{Context, Failure};
use bytes::{Buf, BytesMut};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use zk_proto::jute::{DEFAULT_MAX_BUFFER, JuteMut, Reader};
use zk_proto::{ConnectResponse, ReplyHeader, RequestHeader, SessionId, Stat, Zxid, frame};

const ANSWER: [u8; 1024] = [b'e'; 1024];

/// Serves for ever on a port of the system's choice, which goes to `report`.
pub(crate) fn serve(multi: bool, report: impl FnOnce(u16)) -> Result<(), Failure> {
    let mut builder = if multi {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    let runtime = builder
        .enable_io()
        .build()
        .context("building the runtime")?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("binding")?;
        report(listener.local_addr().context("binding")?.port());
        loop {
            let (stream, _) = listener.accept().await.context("accepting")?;
            // Detached on purpose: a connection lives until its client hangs up, or we are killed.
            drop(tokio::spawn(converse(stream)));
        }
    })
}

async fn converse(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BytesMut::with_capacity(64 * 1024);
    let mut output = BytesMut::with_capacity(64 * 1024);
    let mut connected = false;
    while stream.read_buf(&mut input).await? > 0 {
        while let Some(len) =
            frame::payload_len(&input, DEFAULT_MAX_BUFFER).map_err(io::Error::other)?
        {
            if input.len() < frame::LENGTH_WORD + len {
                break;
            }
            input.advance(frame::LENGTH_WORD);
            let payload = input.split_to(len);
            if connected {
                answer(&payload, &mut output).map_err(io::Error::other)?;
            } else {
                connected = true;
                welcome(&mut output);
            }
        }
        stream.write_all(&output).await?;
        output.clear();
        input.reserve(16 * 1024);
    }
    Ok(())
}

fn welcome(output: &mut BytesMut) {
    let response = ConnectResponse {
        timeout: 40_000,
        session: SessionId::from_wire(1),
        ..ConnectResponse::expired(Some(false))
    };
    frame::put_frame(output, |payload| response.encode(payload));
}

fn answer(payload: &[u8], output: &mut BytesMut) -> Result<(), zk_proto::DecodeError> {
    let request = RequestHeader::decode(&mut Reader::new(payload))?;
    frame::put_frame(output, |payload| {
        let header = ReplyHeader {
            xid: request.xid,
            zxid: Zxid::from_wire(1),
            err: 0,
        };
        header.encode(payload);
        payload.put_buffer(Some(&ANSWER));
        Stat::default().encode(payload);
    });
    Ok(())
}
