//! Where settings come from, and which of them wins: the server's own defaults, then the file, then
//! the environment, then positional arguments, then flags. Nothing is understood here, only
//! collected, weakest first.
//!
//! Decision (for docs/DECISIONS.md): *does a `-D` flag override the file?* In Java a pass-through
//! key in the file overrides the `-Dzookeeper.` property of the same name, because the parser
//! overwrites the property when it meets the key; nobody intends that, and it is the opposite of
//! what `-D` does everywhere else. Here an explicit flag always wins. `-D` inside `SERVER_JVMFLAGS`
//! belongs to the environment: above the file, below real flags.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::environment;
use super::error::{ConfigError, Fault, Origin, Warning};
use super::properties;

/// The files a configuration needs to look at, so that tests need none.
pub trait Files {
    /// The content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Whether this is a directory.
    fn is_dir(&self, path: &Path) -> bool;
}

/// The real file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFiles;

impl Files for RealFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }
}

/// What was said on the command line and around it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// The environment variables of the process.
    pub environment: Vec<(String, String)>,
    /// `PORT DATADIR [tickTime] [maxClientCnxns]`.
    pub short_form: Option<ShortForm>,
    /// `-Dkey=value` and `--set key=value`, in order.
    pub flags: Vec<Flag>,
}

/// Without the environment, which may hold secrets, ours and others'.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            environment,
            short_form,
            flags,
        } = self;
        f.debug_struct("Sources")
            .field("file", file)
            .field(
                "environment",
                &format_args!("{} variables", environment.len()),
            )
            .field("short_form", short_form)
            .field("flags", flags)
            .finish()
    }
}

/// Java's standalone arguments, as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortForm {
    /// The client port.
    pub port: String,
    /// Data and logs.
    pub data_dir: String,
    /// Milliseconds.
    pub tick_time: Option<String>,
    /// Unlimited in this form, unless given.
    pub max_client_cnxns: Option<String>,
}

/// One setting on the command line. Its value may be a secret, so it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Flag {
    /// `-D` or `--set `, for messages.
    pub style: &'static str,
    /// The key as it was written.
    pub key: String,
    /// The value.
    pub value: String,
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}=...", self.style, self.key)
    }
}

/// One setting somebody wrote.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) spelling: String,
    pub(super) value: String,
    pub(super) origin: Origin,
    /// JVM flags of other people's business (`-Djava.net.preferIPv4Stack`) are no typos.
    pub(super) unknown_is_fine: bool,
}

/// Everything that was written, weakest first.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) written: Vec<Written>,
    pub(super) my_id: Option<String>,
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<Warning>,
}

impl Collected {
    pub(super) fn push(&mut self, spelling: &str, value: &str, origin: Origin) {
        // Java trims both, whatever the source.
        let (spelling, value) = (spelling.trim().to_owned(), value.trim().to_owned());
        self.written.push(Written {
            spelling,
            value,
            origin,
            unknown_is_fine: false,
        });
    }

    pub(super) fn fail(&mut self, origin: Origin, key: Option<&str>, fault: Fault) {
        self.errors.push(ConfigError {
            origin,
            key: key.map(str::to_owned),
            fault,
        });
    }
}

/// Reads every source.
pub(super) fn collect(sources: &Sources, files: &dyn Files) -> Collected {
    let mut collected = Collected::default();
    if let Some(path) = &sources.file {
        collect_file(path, files, &mut collected);
    }
    environment::collect(&sources.environment, &mut collected);
    if let Some(short) = &sources.short_form {
        collect_short_form(short, &mut collected);
    }
    for flag in &sources.flags {
        let text = format!("{}{}", flag.style, flag.key);
        collected.push(&flag.key, &flag.value, Origin::Flag { text });
    }
    collected
}

fn collect_file(path: &Path, files: &dyn Files, collected: &mut Collected) {
    match read_properties(path, files) {
        Ok(parsed) => {
            for line in parsed.malformed {
                collected.fail(
                    Origin::File {
                        path: path.to_owned(),
                        line,
                    },
                    None,
                    Fault::MalformedEscape,
                );
            }
            for entry in parsed.entries {
                let origin = Origin::File {
                    path: path.to_owned(),
                    line: entry.line,
                };
                collected.push(&entry.key, &entry.value, origin);
            }
        }
        Err(fault) => collected.fail(Origin::Default, None, fault),
    }
}

/// A properties file, or why it cannot be had.
pub(super) fn read_properties(path: &Path, files: &dyn Files) -> Result<properties::Parsed, Fault> {
    match files.read(path) {
        Ok(bytes) => Ok(properties::parse(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Fault::FileMissing(path.to_owned()))
        }
        Err(error) => Err(Fault::FileUnreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        }),
    }
}

fn collect_short_form(short: &ShortForm, collected: &mut Collected) {
    let mut push = |key, name, value: &str| collected.push(key, value, Origin::Argument { name });
    push("clientPort", "PORT", &short.port);
    push("dataDir", "DATADIR", &short.data_dir);
    if let Some(value) = &short.tick_time {
        push("tickTime", "tickTime", value);
    }
    if let Some(value) = &short.max_client_cnxns {
        push("maxClientCnxns", "maxClientCnxns", value);
    }
}
