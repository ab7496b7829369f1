//! A server of ours behind somebody who knows no operation that came after 3.4: he answers it as 3.4.6 does, with
//! "unimplemented" and zxid -1 behind all earlier replies, and closes the connection.

use bytes::{BufMut, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use zk_client::testkit::TestServer;
use zk_proto::jute::Reader;
use zk_proto::{OpCode, ReplyHeader, RequestHeader, Xid, Zxid};

const UNIMPLEMENTED: i32 = -6;

pub(crate) struct OldServer {
    pub(crate) address: SocketAddr,
    /// Serves for as long as this is kept.
    _inner: TestServer,
    connections: Arc<AtomicUsize>,
}

impl OldServer {
    pub(crate) async fn start() -> Self {
        let inner = TestServer::start().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, server) = (Arc::clone(&connections), inner.address());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect(server).await.unwrap();
                tokio::spawn(serve(client, server));
            }
        });
        Self {
            address,
            _inner: inner,
            connections,
        }
    }

    /// How often a client has connected.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

const fn is_known(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Delete
            | OpCode::Exists
            | OpCode::GetData
            | OpCode::SetData
            | OpCode::GetAcl
            | OpCode::SetAcl
            | OpCode::GetChildren
            | OpCode::GetChildren2
            | OpCode::Sync
            | OpCode::Ping
            | OpCode::Check
            | OpCode::Multi
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::Sasl
            | OpCode::CloseSession
    )
}

/// A frame with its length; none at the end.
async fn frame(from: &mut (impl AsyncRead + Unpin)) -> Option<BytesMut> {
    let len = from.read_u32().await.ok()?;
    let mut frame = BytesMut::new();
    frame.put_u32(len);
    frame.resize(4 + usize::try_from(len).ok()?, 0);
    from.read_exact(&mut frame[4..]).await.ok()?;
    Some(frame)
}

async fn serve(client: TcpStream, server: TcpStream) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    // What is refused, and behind how many answers, that to the greeting among them.
    let (refused, mut refusal) = watch::channel(None::<(Xid, usize)>);
    let down = tokio::spawn(async move {
        let mut answered = 0;
        loop {
            let refused = *refusal.borrow_and_update();
            if let Some((xid, behind)) = refused
                && answered >= behind
            {
                let mut out = BytesMut::new();
                out.put_u32(16);
                let (zxid, err) = (Zxid::from_wire(-1), UNIMPLEMENTED);
                ReplyHeader { xid, zxid, err }.encode(&mut out);
                let _gone = to_client.write_all(&out).await;
                return;
            }
            tokio::select! {
                reply = frame(&mut from_server) => {
                    let Some(reply) = reply else { return };
                    let is_event = answered > 0
                        && ReplyHeader::decode(&mut Reader::new(&reply[4..]))
                            .is_ok_and(|it| it.xid == Xid::NOTIFICATION);
                    answered += usize::from(!is_event);
                    if to_client.write_all(&reply).await.is_err() {
                        return;
                    }
                }
                changed = refusal.changed() => if changed.is_err() { return },
            }
        }
    });
    let mut count = 0;
    while let Some(request) = frame(&mut from_client).await {
        let header = RequestHeader::decode(&mut Reader::new(&request[4..]));
        if count > 0
            && let Ok(header) = header
            && !is_known(header.op)
        {
            refused.send_replace(Some((header.xid, count)));
            // What comes behind it is read by nobody.
            let _ended = down.await;
            return;
        }
        count += 1;
        if to_server.write_all(&request).await.is_err() {
            return;
        }
    }
    down.abort();
}
