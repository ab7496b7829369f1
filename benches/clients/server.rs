//! The server all clients talk to: ours, as a process of its own, on a fresh directory.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use zk_client::Client;

/// A running server; it is killed when dropped, and its directory goes with it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) hosts: String,
    _dir: TempDir,
}

impl Server {
    /// Starts it and waits until it serves. It does not wait for its disk (`forceSync=no`): sets are to tell clients
    /// apart, not disks.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let port = free_port();
        let config = write_config(dir.path(), port);
        let child = Command::new(env!("CARGO_BIN_EXE_zk-server"))
            .arg("start")
            .arg(config)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server that was built along with this bench");
        let server = Self {
            child,
            hosts: format!("127.0.0.1:{port}"),
            _dir: dir,
        };
        // Its first session says that it serves.
        let first = Client::connect(&server.hosts).await;
        first.expect("the server serves").close().await;
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

fn write_config(dir: &Path, port: u16) -> std::path::PathBuf {
    let path = dir.join("zoo.cfg");
    let config = format!(
        "tickTime=2000\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n\
         admin.enableServer=false\nforceSync=no\n",
        dir.join("data").display()
    );
    std::fs::write(&path, config).expect("a file");
    path
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("a port").port()
}
