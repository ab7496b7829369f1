//! A client of few words for tests: blocking, honest about every byte, with no logic of its own.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::wildcard_enum_match_arm,
    clippy::allow_attributes,
    reason = "each test binary uses its own part"
)]

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use zk_proto::jute::Reader;
use zk_proto::{
    ConnectRequest, ConnectResponse, Create, OpCode, Reply, ReplyHeader, Request, RequestHeader,
    SessionId, WatchEvent, WireAcl, Xid, Zxid,
};

/// A connection with a session.
pub struct Client {
    stream: TcpStream,
    next_xid: i32,
    asked: VecDeque<(Xid, OpCode)>,
    pub session: ConnectResponse,
    pub events: Vec<(Zxid, WatchEvent)>,
    /// The newest state this client has seen.
    pub seen: Zxid,
}

/// A reply: its zxid, and what it says.
pub type Answer = (Zxid, Result<Reply, i32>);

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::connect_with(address, SessionId::NONE, &[0; 16], 10_000)
    }

    pub fn resume(address: SocketAddr, session: &ConnectResponse) -> io::Result<Self> {
        Self::connect_with(address, session.session, &session.password, session.timeout)
    }

    pub fn connect_with(
        address: SocketAddr,
        session: SessionId,
        password: &[u8],
        timeout: i32,
    ) -> io::Result<Self> {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout,
            session,
            password: Some(password.into()),
            read_only: Some(false),
        };
        let (stream, session) = greet(address, &request, Duration::from_secs(20))?;
        Ok(Self {
            stream,
            next_xid: 1,
            asked: VecDeque::new(),
            session,
            events: Vec::new(),
            seen: Zxid::ZERO,
        })
    }

    /// Goes on with its session elsewhere, as a client does that lost its connection: it counts on, has seen
    /// what it has seen, and never hears what became of what it had asked. A session that is gone has no timeout.
    pub fn move_to(&mut self, address: SocketAddr, patience: Duration) -> io::Result<()> {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.seen,
            timeout: self.session.timeout,
            session: self.session.session,
            password: Some((&self.session.password).into()),
            read_only: Some(false),
        };
        (self.stream, self.session) = greet(address, &request, patience)?;
        self.asked.clear();
        Ok(())
    }

    /// Sends without waiting.
    pub fn send(&mut self, request: &Request<'_>) -> io::Result<Xid> {
        let xid = Xid(self.next_xid);
        self.send_together(std::slice::from_ref(request))?;
        Ok(xid)
    }

    /// Sends in one write: all of it is on its way then, or nothing.
    pub fn send_together(&mut self, requests: &[Request<'_>]) -> io::Result<()> {
        let mut frames = Vec::new();
        for request in requests {
            let xid = Xid(self.next_xid);
            self.next_xid += 1;
            let op = request.op();
            let mut payload = Vec::new();
            RequestHeader { xid, op }.encode(&mut payload);
            request.encode(&mut payload);
            write_frame(&mut frames, &payload)?;
            self.asked.push_back((xid, op));
        }
        self.stream.write_all(&frames)
    }

    /// The next reply, which must be that of the oldest request. Events before it are kept.
    pub fn receive(&mut self) -> io::Result<Answer> {
        loop {
            let frame = read_frame(&mut self.stream)?;
            let mut reader = Reader::new(&frame);
            let header = ReplyHeader::decode(&mut reader).map_err(io::Error::other)?;
            if header.xid == Xid::NOTIFICATION {
                let event = WatchEvent::decode(reader.rest()).map_err(io::Error::other)?;
                self.events.push((header.zxid, event));
                continue;
            }
            let (xid, op) = self.asked.pop_front().expect("a reply without a request");
            let expected = if op == OpCode::Ping { Xid::PING } else { xid };
            assert_eq!(
                header.xid, expected,
                "replies come in the order of requests"
            );
            let reply = match header.err {
                0 => Ok(Reply::decode(op, reader.rest()).map_err(io::Error::other)?),
                err => Err(err),
            };
            if header.zxid > self.seen {
                self.seen = header.zxid;
            }
            return Ok((header.zxid, reply));
        }
    }

    /// Sends and waits.
    pub fn call(&mut self, request: &Request<'_>) -> io::Result<Result<Reply, i32>> {
        self.send(request)?;
        assert_eq!(self.asked.len(), 1, "call waits for one");
        Ok(self.receive()?.1)
    }

    pub fn create(
        &mut self,
        path: &str,
        data: &[u8],
        flags: i32,
    ) -> io::Result<Result<String, i32>> {
        Ok(self
            .call(&create(path, data, flags))?
            .map(|reply| match reply {
                Reply::Path(path) => path,
                other => panic!("create answered {other:?}"),
            }))
    }

    pub fn data(&mut self, path: &str) -> io::Result<Result<Vec<u8>, i32>> {
        let request = Request::GetData {
            path: path.into(),
            watch: false,
        };
        Ok(self.call(&request)?.map(|reply| match reply {
            Reply::Data(data, _) => data.unwrap_or_default().to_vec(),
            other => panic!("getData answered {other:?}"),
        }))
    }

    pub fn children(&mut self, path: &str) -> io::Result<Result<Vec<String>, i32>> {
        let request = Request::GetChildren {
            path: path.into(),
            watch: false,
        };
        Ok(self.call(&request)?.map(|reply| match reply {
            Reply::Names(names) => names,
            other => panic!("getChildren answered {other:?}"),
        }))
    }

    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

fn greet(
    address: SocketAddr,
    request: &ConnectRequest<'_>,
    patience: Duration,
) -> io::Result<(TcpStream, ConnectResponse)> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    let mut payload = Vec::new();
    request.encode(&mut payload);
    write_frame(&mut stream, &payload)?;
    let response = read_frame(&mut stream)?;
    let response = ConnectResponse::decode(&response).map_err(io::Error::other)?;
    Ok((stream, response))
}

/// A create with the open ACL.
pub fn create<'a>(path: &'a str, data: &'a [u8], flags: i32) -> Request<'a> {
    Request::Create(Create {
        op: OpCode::Create,
        path: path.into(),
        data: Some(data),
        acl: Some(vec![WireAcl::from(zk_proto::Acl::world(
            zk_proto::Perms::ALL,
        ))]),
        flags,
        ttl: -1,
    })
}

pub fn write_frame(stream: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    let len = i32::try_from(payload.len()).expect("a test's frame is small");
    let mut frame = len.to_be_bytes().to_vec();
    frame.extend_from_slice(payload);
    stream.write_all(&frame)
}

pub fn read_frame(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let len = usize::try_from(i32::from_be_bytes(len)).expect("a reply has a length");
    let mut payload = vec![0; len];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}

/// What a four-letter word is answered.
pub fn four_letters(address: SocketAddr, word: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.write_all(word.as_bytes()).expect("the word is sent");
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .expect("the answer is text");
    text
}

/// A writer of numbered nodes, many in flight, and what became of them.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    pub acknowledged: u32,
    pub sent: u32,
    pub last_answer: Instant,
}

/// Creates `base/00000000`, ... until the connection breaks or `until` are there.
pub fn write_numbers(address: SocketAddr, base: &str, from: u32, until: u32) -> Numbers {
    const IN_FLIGHT: u32 = 8;
    let mut numbers = Numbers {
        acknowledged: from,
        sent: from,
        last_answer: Instant::now(),
    };
    let Ok(mut client) = Client::connect(address) else {
        return numbers;
    };
    while numbers.acknowledged < until {
        while numbers.sent < until && numbers.sent < numbers.acknowledged + IN_FLIGHT {
            let path = format!("{base}/{:08}", numbers.sent);
            numbers.sent += 1;
            if client
                .send(&create(&path, b"some data of no meaning", 0))
                .is_err()
            {
                return numbers;
            }
        }
        match client.receive() {
            Ok((_, answer)) => assert!(matches!(answer, Ok(Reply::Path(_))), "{answer:?}"),
            Err(_) => return numbers,
        }
        numbers.acknowledged += 1;
        numbers.last_answer = Instant::now();
    }
    let _closed = client.call(&Request::CloseSession);
    numbers
}

/// Checks that exactly a prefix of the numbers is there, with all that was acknowledged in it (P19, P3).
pub fn check_numbers(address: SocketAddr, base: &str, numbers: Numbers) -> u32 {
    let mut client = Client::connect(address).expect("the server serves");
    let mut names = client
        .children(base)
        .expect("it answers")
        .expect("the base is there");
    names.sort_unstable();
    let found = u32::try_from(names.len()).expect("few");
    for (number, name) in names.iter().enumerate() {
        assert_eq!(
            *name,
            format!("{number:08}"),
            "{base}: a later write outlived an earlier one"
        );
    }
    assert!(
        (numbers.acknowledged..=numbers.sent).contains(&found),
        "{base}: {found} are there of {numbers:?}"
    );
    let _closed = client.call(&Request::CloseSession);
    found
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    socket.local_addr().expect("it has an address").port()
}
