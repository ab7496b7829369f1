//! Whatever the server cannot live without ends it when it breaks (P35, P22), and what it can, does not.

mod ensemble;
mod leaving;
mod led;
mod read_only;
mod strangers;

use super::*;
use crate::disk::files::{Entry, Handle, Kind, Space};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_proto::{ConnectRequest, ConnectResponse, SessionId, Zxid, frame};

/// A handshake, by a client that has seen so much and would do with a server that can only be read.
async fn greet(address: SocketAddr, seen: Zxid) -> std::io::Result<ConnectResponse> {
    let mut stream = TcpStream::connect(address).await?;
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: seen,
        timeout: 10_000,
        session: SessionId::NONE,
        password: None,
        read_only: Some(true),
    };
    let mut greeting = bytes::BytesMut::new();
    frame::put_frame(&mut greeting, |out| request.encode(out));
    stream.write_all(&greeting).await?;
    let mut answer = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut answer).await?;
    Ok(ConnectResponse::decode(&answer).unwrap())
}

/// What the reliability programme gives a server whose vital part is gone.
const LIMIT: Duration = Duration::from_millis(100);

/// The real files, until a switch is turned: then whatever is created or made durable panics.
#[derive(Debug, Default)]
struct Breaking {
    log: Arc<AtomicBool>,
    snapshots: Arc<AtomicBool>,
    broke: Arc<AtomicUsize>,
    gate: Arc<Gate>,
}

/// Where an fsync of a snapshot waits, while it is shut.
#[derive(Debug, Default)]
struct Gate {
    /// Whether it is shut, and how many have come to it.
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Gate {
    fn shut(&self, shut: bool) {
        self.state.lock().unwrap().0 = shut;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |(shut, _)| *shut).unwrap());
    }

    fn wait_for_one(&self) {
        let state = self.state.lock().unwrap();
        let nobody = |state: &mut (bool, usize)| state.1 == 0;
        drop(self.changed.wait_while(state, nobody).unwrap());
    }
}

#[derive(Debug)]
struct BreakingHandle {
    real: Box<dyn Handle>,
    switch: Option<Arc<AtomicBool>>,
    gate: Option<Arc<Gate>>,
    broke: Arc<AtomicUsize>,
}

impl Breaking {
    fn wrap(&self, path: &Path, handle: Box<dyn Handle>) -> Box<dyn Handle> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        let switch = if name.starts_with("snapshot.") {
            Some(&self.snapshots)
        } else {
            name.starts_with("log.").then_some(&self.log)
        };
        let gate = name.starts_with("snapshot.");
        Box::new(BreakingHandle {
            real: handle,
            gate: gate.then(|| Arc::clone(&self.gate)),
            switch: switch.map(Arc::clone),
            broke: Arc::clone(&self.broke),
        })
    }
}

impl Files for Breaking {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(self.wrap(path, RealFiles.create(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(self.wrap(path, RealFiles.open(path)?))
    }
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        RealFiles.open_read(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealFiles.create_dir(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        RealFiles.list(dir)
    }
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        RealFiles.kind(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFiles.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealFiles.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealFiles.sync_dir(dir)
    }
    fn space(&self, dir: &Path) -> io::Result<Space> {
        RealFiles.space(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        RealFiles.lock(path)
    }
}

impl Handle for BreakingHandle {
    fn size(&self) -> io::Result<u64> {
        self.real.size()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.real.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.real.write_at(offset, bytes)
    }
    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        self.real.reserve(from, to)
    }
    fn set_size(&self, size: u64) -> io::Result<()> {
        self.real.set_size(size)
    }
    fn sync(&self) -> io::Result<()> {
        let switch = self.switch.as_ref();
        if switch.is_some_and(|switch| switch.load(Ordering::Relaxed)) {
            self.broke.fetch_add(1, Ordering::Relaxed);
            // No message and no backtrace: printing one takes longer than the limit.
            std::panic::resume_unwind(Box::new("the test's files break"));
        }
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        self.real.sync()
    }
}

async fn start(files: Breaking) -> (tempfile::TempDir, Server) {
    let temp = tempfile::tempdir().unwrap();
    let config = Config::in_process(temp.path());
    let server = Server::start_on(Arc::new(files), config).await.unwrap();
    (temp, server)
}

async fn end_of(server: &mut Server) -> String {
    let fatal = tokio::time::timeout(LIMIT, server.failed()).await;
    fatal.expect("the server ends in time").to_string()
}

/// Has the loop write a transaction, as a client that opens a session does.
fn write(server: &Server) {
    let link = Arc::new(crate::net::link::Link::new(
        server.replica.next_link_id(),
        server.client_address().unwrap(),
        1 << 16,
        server.replica.clock().now(),
    ));
    server.replica.send(Event::Connect {
        link,
        session: zk_proto::SessionId::NONE,
        password: vec![0; 16],
        timeout: Duration::from_secs(10),
    });
}

#[tokio::test]
async fn a_panic_of_the_loop_is_the_end() {
    let (_temp, mut server) = start(Breaking::default()).await;
    let question = |_: &_, _: &_| panic!("a defect in the loop");
    server.replica.send(Event::Ask(Box::new(question)));
    assert_eq!(end_of(&mut server).await, "the loop stopped unexpectedly");
}

#[tokio::test]
async fn a_panic_of_the_log_s_thread_is_the_end() {
    let files = Breaking::default();
    let log = Arc::clone(&files.log);
    let (_temp, mut server) = start(files).await;
    log.store(true, Ordering::Relaxed);
    write(&server);
    let end = end_of(&mut server).await;
    assert_eq!(end, "the log's thread stopped unexpectedly");
}

#[tokio::test]
async fn a_listener_that_is_gone_is_the_end() {
    let (_temp, mut server) = start(Breaking::default()).await;
    server.listener.as_ref().unwrap().abort();
    let end = end_of(&mut server).await;
    assert_eq!(end, "the listener stopped unexpectedly");
}

#[tokio::test]
async fn a_panic_of_a_snapshot_s_thread_is_a_failed_snapshot() {
    let files = Breaking::default();
    let (broken, broke) = (Arc::clone(&files.snapshots), Arc::clone(&files.broke));
    let (temp, mut server) = start(files).await;
    broken.store(true, Ordering::Relaxed);
    server.take_snapshot();
    while broke.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    // It is tried again, and then it works.
    broken.store(false, Ordering::Relaxed);
    write(&server);
    let snapshots = || {
        let names = RealFiles.list(&temp.path().join("version-2")).unwrap();
        let ours = |entry: &&Entry| entry.name == "snapshot.1";
        names.iter().filter(ours).count()
    };
    let again = async {
        while snapshots() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        fatal = server.failed() => panic!("{fatal}"),
        done = tokio::time::timeout(Duration::from_secs(20), again) => done.unwrap(),
    }
    server.stop().await.unwrap();
}
