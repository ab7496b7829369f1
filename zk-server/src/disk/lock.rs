//! One server to a directory.
//!
//! The lock is the kernel's and goes with the process, however that ends; the file stays and means
//! nothing by itself. Java knows nothing of it: it cannot be kept out, only other servers of ours can.

use super::files::{Files, Handle, read_all};
use std::io;
use std::path::{Path, PathBuf};

/// The file's name; it lies with the files it protects: two data directories may lead to one `version-2`.
pub const LOCK_NAME: &str = ".zk-server.lock";

/// The directories of this server, locked until this is dropped.
#[derive(Debug)]
pub struct DirLock {
    held: Vec<Box<dyn Handle>>,
}

/// A directory that cannot be locked.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the fields are named for what the messages say"
)]
pub enum LockError {
    /// Another server has it.
    #[error(
        "{} (byte 0) is locked: another server{} uses this data directory; stop it, or give this one a \
         directory of its own", path.display(), Pid(*pid)
    )]
    Held { path: PathBuf, pid: Option<u32> },
    /// The disk failed.
    #[error("{}: cannot lock: {source}; check the disk and the permissions", path.display())]
    Io { path: PathBuf, source: io::Error },
}

struct Pid(Option<u32>);

impl std::fmt::Display for Pid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            // Itself, unless several live in one process.
            Some(pid) if pid == std::process::id() => {
                let hint = "dataDir and dataLogDir may be two names of one directory";
                write!(f, ", process {pid}, this one ({hint}),")
            }
            Some(pid) => write!(f, ", process {pid},"),
            None => Ok(()),
        }
    }
}

impl DirLock {
    /// Locks the directory of the snapshots and, if it is another, that of the logs.
    pub fn take(files: &dyn Files, snapshots: &Path, logs: &Path) -> Result<Self, LockError> {
        let mut held = vec![lock(files, snapshots)?];
        if logs != snapshots {
            held.push(lock(files, logs)?);
        }
        Ok(Self { held })
    }

    /// How many directories are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

fn lock(files: &dyn Files, dir: &Path) -> Result<Box<dyn Handle>, LockError> {
    let path = dir.join(LOCK_NAME);
    let io = |source: io::Error| LockError::Io {
        path: path.clone(),
        source,
    };
    match files.lock(&path) {
        Ok(handle) => {
            // For the message of whoever comes second; nothing depends on it.
            let pid = std::process::id().to_string();
            handle
                .set_size(0)
                .and_then(|()| handle.write_at(0, pid.as_bytes()))
                .map_err(io)?;
            Ok(handle)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(LockError::Held {
            pid: read_all(files, &path, 16)
                .ok()
                .and_then(|pid| String::from_utf8(pid).ok()?.trim().parse().ok()),
            path,
        }),
        Err(source) => Err(io(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::files::RealFiles;

    #[test]
    fn a_second_server_is_refused_and_a_stale_lock_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let (data, logs) = (temp.path().join("data"), temp.path().join("logs"));
        for dir in [&data, &logs] {
            std::fs::create_dir(dir).unwrap();
            // What a killed server left.
            std::fs::write(dir.join(LOCK_NAME), "999999").unwrap();
        }
        let lock = DirLock::take(&RealFiles, &data, &logs).unwrap();
        assert_eq!(lock.len(), 2);
        let error = DirLock::take(&RealFiles, &logs, &logs).unwrap_err();
        let pid = std::process::id();
        assert!(matches!(error, LockError::Held { pid: Some(found), .. } if found == pid));
        assert!(
            error.to_string().contains(&format!("process {pid},")),
            "{error}"
        );
        drop(lock);
        assert_eq!(DirLock::take(&RealFiles, &data, &data).unwrap().len(), 1);
    }
}
