//! Apache's own server, from the jars of this machine: found, configured, started, waited for, ended.
//!
//! Jars are looked for in `$ZK_ORACLE_CP` (a class path), in `$ZK39_LIB` (a directory, by default `/opt/zk39/lib`)
//! and where Debian has them; `$ZK_TEST_APACHE` (`3.8`) narrows it down to one. A test that finds none says so past
//! the test runner's capture.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zk_client::testkit::Wire;

/// A version that can be run here.
#[derive(Debug)]
pub(crate) struct Apache {
    pub(crate) name: &'static str,
    class_path: String,
}

/// A running one.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
    child: Child,
    scratch: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// All versions there are; none makes itself heard.
pub(crate) fn versions(test: &str) -> Vec<Apache> {
    let java = Command::new("java")
        .arg("-version")
        .stderr(Stdio::null())
        .status();
    let mut found = Vec::new();
    if java.is_ok_and(|status| status.success()) {
        if let Ok(class_path) = std::env::var("ZK_ORACLE_CP") {
            found.push(Apache {
                name: "ZK_ORACLE_CP",
                class_path,
            });
        }
        let lib = std::env::var("ZK39_LIB").unwrap_or_else(|_| "/opt/zk39/lib".to_owned());
        found.extend(in_directory("3.9", Path::new(&lib), |_| true));
        let wanted = [
            "zookeeper.jar",
            "zookeeper-jute.jar",
            "slf4j-api.jar",
            "slf4j-simple.jar",
            "commons-cli.jar",
            "commons-io.jar",
            "servlet-api.jar",
            "snappy-java.jar",
            "metrics-core.jar",
            "jackson-databind.jar",
            "jackson-core.jar",
            "jackson-annotations.jar",
            "jline.jar",
            "audience-annotations.jar",
        ];
        let debian = |name: &str| {
            wanted.contains(&name) || (name.starts_with("netty-") && !name.contains("4.1"))
        };
        found.extend(in_directory("3.8", Path::new("/usr/share/java"), debian));
    }
    if let Ok(only) = std::env::var("ZK_TEST_APACHE") {
        found.retain(|apache| apache.name == only);
    }
    if found.is_empty() {
        // Not `eprintln`, which the test runner swallows.
        let line =
            format!("SKIPPED: {test}: there is no Java here, or no jar of Apache ZooKeeper\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    found
}

fn in_directory(name: &'static str, dir: &Path, wanted: impl Fn(&str) -> bool) -> Option<Apache> {
    let entries = fs::read_dir(dir).ok()?;
    let mut jars: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    jars.retain(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.ends_with(".jar") && wanted(&file)
    });
    jars.sort();
    let is_server = |path: &PathBuf| path.to_string_lossy().contains("/zookeeper");
    jars.iter().any(is_server).then(|| {
        let jars: Vec<_> = jars.iter().map(|path| path.to_string_lossy()).collect();
        Apache {
            name,
            class_path: jars.join(":"),
        }
    })
}

impl Apache {
    /// Starts a server on two free ports, plain and secure, with `lines` for its configuration and `files` in
    /// its directory, whose path stands for `@DIR@` in both, and waits until it serves.
    pub(crate) async fn start(&self, lines: &str, files: &[(&str, String)]) -> Running {
        let mut running = self.launch(lines, files);
        running.wait_until_it_serves().await;
        running
    }

    /// The same, without waiting: a member of an ensemble does not serve alone.
    pub(crate) fn launch(&self, lines: &str, files: &[(&str, String)]) -> Running {
        let scratch = TempDir::with_prefix("zk-client-apache-").unwrap();
        let dir = scratch.path().to_str().unwrap().to_owned();
        let (plain, secure) = two_free_addresses();
        fs::create_dir(scratch.path().join("data")).unwrap();
        for (name, text) in files {
            fs::write(scratch.path().join(name), text.replace("@DIR@", &dir)).unwrap();
        }
        let config = format!(
            "dataDir={dir}/data\ntickTime=500\nadmin.enableServer=false\n\
             clientPortAddress=127.0.0.1\nclientPort={}\n\
             secureClientPortAddress=127.0.0.1\nsecureClientPort={}\n\
             serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n{}",
            plain.port(),
            secure.port(),
            lines.replace("@DIR@", &dir),
        );
        let config_file = scratch.path().join("zoo.cfg");
        fs::write(&config_file, config).unwrap();
        let log = File::create(scratch.path().join("log")).unwrap();
        let child = Command::new("java")
            .args(["-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"])
            // Of all settings this one is not read from the file.
            .arg("-Dreadonlymode.enabled=true")
            .arg(format!("-Djava.security.auth.login.config={dir}/jaas.conf"))
            .args([
                "-cp",
                &self.class_path,
                "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            ])
            .arg(&config_file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Running {
            plain,
            secure,
            child,
            scratch,
        }
    }
}

impl Running {
    async fn wait_until_it_serves(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            // While it starts it may accept connections that it never answers.
            let attempt = tokio::time::timeout(Duration::from_secs(1), Wire::open(self.plain));
            if attempt.await.is_ok_and(|opened| opened.is_ok()) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            let log = || fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "the server has ended: {}", log());
            assert!(
                Instant::now() < deadline,
                "the server does not serve: {}",
                log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) fn two_free_addresses() -> (SocketAddr, SocketAddr) {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (one, other) = (bind(), bind());
    (one.local_addr().unwrap(), other.local_addr().unwrap())
}
