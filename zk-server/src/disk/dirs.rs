//! Where everything lies, and the refusals before anything is read.
//!
//! ```text
//! dataDir/      myid  version-2/snapshot.*  version-2/{accepted,current}Epoch  version-2/.zk-server.lock
//! dataLogDir/   initialize  version-2/log.*  version-2/.durable  version-2/.zk-server.lock
//! ```

use super::files::{Files, Kind, Space, read_all};
use super::names::FileName;
use std::io;
use std::path::{Path, PathBuf};
use zk_proto::ServerId;

const VERSION: &str = "version-2";
/// A myid has at most twenty digits and a newline.
const MAX_MYID: usize = 256;

/// The two directories. They may be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// `dataDir`
    pub data: PathBuf,
    /// `dataLogDir`
    pub logs: PathBuf,
}

/// A layout that is refused.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the fields are named for what the messages say"
)]
pub enum DirError {
    /// The disk failed.
    #[error("{}: cannot {doing}: {source}; check the disk and the permissions", path.display())]
    Io {
        path: PathBuf,
        doing: &'static str,
        source: io::Error,
    },
    /// Directories are not made here.
    #[error(
        "Missing data directory {}, and datadir.autocreate is false: create it, or check dataDir",
        path.display()
    )]
    Missing { path: PathBuf },
    /// Something else has the name.
    #[error("{} is no directory; move it away", path.display())]
    NotDirectory { path: PathBuf },
    /// `dataDir` and `dataLogDir` differ and a file is on the wrong side.
    #[error(
        "{} directory has {} files ({}). Check if dataLogDir and dataDir configuration is correct.",
        if *.is_log { "Snapshot" } else { "Log" }, if *.is_log { "log" } else { "snapshot" },
        path.display()
    )]
    Mixed { path: PathBuf, is_log: bool },
    /// No number in myid.
    #[error("{}: serverid {found} is not a number", path.display())]
    MyId { path: PathBuf, found: String },
}

impl Dirs {
    /// `dataDir` alone, or with a `dataLogDir`.
    pub fn new(data: PathBuf, logs: Option<PathBuf>) -> Self {
        Self {
            logs: logs.unwrap_or_else(|| data.clone()),
            data,
        }
    }

    /// Where the snapshots and the epochs are.
    pub fn snapshots(&self) -> PathBuf {
        self.data.join(VERSION)
    }

    /// Where the logs and the durable mark are.
    pub fn txns(&self) -> PathBuf {
        self.logs.join(VERSION)
    }

    /// Makes what is missing, durably, and refuses what is mixed up.
    pub fn prepare(&self, files: &dyn Files, autocreate: bool) -> Result<(), DirError> {
        for dir in [self.snapshots(), self.txns()] {
            prepare_dir(files, &dir, autocreate)?;
        }
        if self.data != self.logs {
            self.refuse_mixed(files)?;
        }
        Ok(())
    }

    fn refuse_mixed(&self, files: &dyn Files) -> Result<(), DirError> {
        for (dir, is_log) in [(self.snapshots(), true), (self.txns(), false)] {
            let entries = io(&dir, "list the directory", files.list(&dir))?;
            for entry in entries {
                let misplaced = match FileName::parse(&entry.name) {
                    Some(FileName::Log(_)) => is_log,
                    Some(FileName::Snapshot(..)) => !is_log,
                    Some(FileName::Tmp) | None => false,
                };
                if misplaced {
                    let path = dir.join(entry.name);
                    return Err(DirError::Mixed { path, is_log });
                }
            }
        }
        Ok(())
    }

    /// Reads `myid`; none for a server that needs no number.
    pub fn my_id(&self, files: &dyn Files) -> Result<Option<ServerId>, DirError> {
        let path = self.data.join("myid");
        let bytes = match read_all(files, &path, MAX_MYID) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return io(&path, "read", Err(error)),
        };
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().next().unwrap_or_default().trim();
        match line.parse() {
            Ok(number) => Ok(Some(ServerId::new(number))),
            Err(_) => Err(DirError::MyId {
                path,
                found: line.escape_default().to_string(),
            }),
        }
    }

    /// Whether the operator said that an empty database is meant to be; says it only once.
    pub fn take_initialize(&self, files: &dyn Files) -> Result<bool, DirError> {
        let path = self.logs.join("initialize");
        match files.remove(&path) {
            Ok(()) => {
                io(&self.logs, "sync the directory", files.sync_dir(&self.logs))?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => io(&path, "remove", Err(error)),
        }
    }

    /// The bytes in the snapshots' and in the logs' directory, for `dirs` and `conf`.
    pub fn sizes(&self, files: &dyn Files) -> io::Result<(u64, u64)> {
        Ok((
            size_below(files, &self.snapshots())?,
            size_below(files, &self.txns())?,
        ))
    }

    /// What is left on the logs' disk.
    pub fn log_space(&self, files: &dyn Files) -> io::Result<Space> {
        files.space(&self.txns())
    }
}

fn io<T>(path: &Path, doing: &'static str, result: io::Result<T>) -> Result<T, DirError> {
    result.map_err(|source| DirError::Io {
        path: path.to_path_buf(),
        doing,
        source,
    })
}

fn prepare_dir(files: &dyn Files, dir: &Path, autocreate: bool) -> Result<(), DirError> {
    match io(dir, "look at", files.kind(dir))? {
        Some(Kind::Dir) => return Ok(()),
        // An operator moved it to another disk.
        Some(Kind::Link) if files.list(dir).is_ok() => return Ok(()),
        Some(Kind::Link | Kind::File | Kind::Other) => {
            let path = dir.to_path_buf();
            return Err(DirError::NotDirectory { path });
        }
        None if !autocreate => {
            let path = dir.to_path_buf();
            return Err(DirError::Missing { path });
        }
        None => {}
    }
    // Every name on the way may be new, and a new name is durable in the directory above it.
    let mut above = Vec::new();
    for made in dir.ancestors() {
        if io(made, "look at", files.kind(made))?.is_some() {
            break;
        }
        match made.parent() {
            Some(parent) if parent.as_os_str().is_empty() => above.push(Path::new(".")),
            Some(parent) => above.push(parent),
            None => break,
        }
        if made
            .parent()
            .is_none_or(|parent| parent.as_os_str().is_empty())
        {
            break;
        }
    }
    io(dir, "make the directory", files.create_dir(dir))?;
    for parent in above {
        io(parent, "sync the directory", files.sync_dir(parent))?;
    }
    Ok(())
}

fn size_below(files: &dyn Files, dir: &Path) -> io::Result<u64> {
    let entries = match files.list(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut size = 0;
    for entry in entries {
        size += match entry.kind {
            Kind::Dir => size_below(files, &dir.join(entry.name))?,
            Kind::File | Kind::Link | Kind::Other => entry.len,
        };
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::files::{RealFiles, replace};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn missing_directories_are_made_for_the_owner_alone() {
        let temp = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(temp.path().join("a/data"), Some(temp.path().join("log")));
        let error = dirs.prepare(&RealFiles, false).unwrap_err();
        assert!(matches!(error, DirError::Missing { .. }));
        dirs.prepare(&RealFiles, true).unwrap();
        dirs.prepare(&RealFiles, false).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&dirs.snapshots()), mode(&dirs.txns())),
            (0o700, 0o700)
        );
        replace(&RealFiles, &dirs.snapshots().join("f"), b"12345").unwrap();
        assert_eq!(mode(&dirs.snapshots().join("f")), 0o600);
        assert_eq!(dirs.sizes(&RealFiles).unwrap(), (5, 0));
    }

    #[test]
    fn files_on_the_wrong_side_refuse_the_start() {
        let temp = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(temp.path().join("data"), Some(temp.path().join("log")));
        dirs.prepare(&RealFiles, true).unwrap();
        let log = dirs.snapshots().join("log.1");
        replace(&RealFiles, &log, b"").unwrap();
        let error = dirs.prepare(&RealFiles, true).unwrap_err().to_string();
        assert!(
            error.starts_with("Snapshot directory has log files"),
            "{error}"
        );
        std::fs::remove_file(log).unwrap();
        replace(&RealFiles, &dirs.txns().join("snapshot.0"), b"").unwrap();
        let error = dirs.prepare(&RealFiles, true).unwrap_err().to_string();
        assert!(
            error.starts_with("Log directory has snapshot files"),
            "{error}"
        );
    }

    #[test]
    fn links_to_directories_are_the_operators_and_links_to_files_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let (data, elsewhere) = (temp.path().join("data"), temp.path().join("elsewhere"));
        std::fs::create_dir_all(&data).unwrap();
        std::fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, data.join(VERSION)).unwrap();
        let dirs = Dirs::new(data, None);
        dirs.prepare(&RealFiles, true).unwrap();
        let victim = temp.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, dirs.txns().join("log.1")).unwrap();
        assert!(RealFiles.create(&dirs.txns().join("log.1")).is_err());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn myid_is_the_number_in_the_first_line() {
        let temp = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(temp.path().to_path_buf(), None);
        assert_eq!(dirs.my_id(&RealFiles).unwrap(), None);
        std::fs::write(temp.path().join("myid"), " 3 \nnotes").unwrap();
        assert_eq!(dirs.my_id(&RealFiles).unwrap(), Some(ServerId::new(3)));
        std::fs::write(temp.path().join("myid"), "x\u{1b}[2J").unwrap();
        let error = dirs.my_id(&RealFiles).unwrap_err().to_string();
        assert!(
            error.contains("serverid x\\u{1b}[2J is not a number"),
            "{error}"
        );
    }

    #[test]
    fn initialize_is_said_once() {
        let temp = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(temp.path().to_path_buf(), None);
        std::fs::write(temp.path().join("initialize"), "").unwrap();
        assert!(dirs.take_initialize(&RealFiles).unwrap());
        assert!(!dirs.take_initialize(&RealFiles).unwrap());
    }
}
