//! The command line of `zk-server`: from arguments to a [`Command`], and from results to text.
//!
//! Nothing is printed and nothing is started here; the binary does both. The parser is written by
//! hand: there are four verbs and five options, two of which (`-Dkey=value`, Java's positional
//! short form) fit no ready-made parser anyway, and a dependency would have to earn its place in a
//! binary that starts in milliseconds.

use std::path::{Path, PathBuf};

use crate::config::{
    self, Config, ConfigError, ExitCode, Files, Flag, Loaded, ShortForm, Sources, suggest,
};

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run a server in the foreground.
    Start(Launch),
    /// Say whether it would run, and with what.
    Check(Launch),
    /// Print the effective configuration as a file.
    Dump(Launch),
    /// List every key.
    Keys,
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

/// How to run a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Where its settings come from.
    pub sources: Sources,
    /// How it logs.
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    #[default]
    Human,
    /// For machines.
    Json,
}

/// A command line nobody understands. Ends the process with [`ExitCode::BadInvocation`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what it is")]
pub enum UsageError {
    #[error("unknown command {word:?}{}", did_you_mean(*.suggestion))]
    UnknownCommand {
        word: String,
        suggestion: Option<&'static str>,
    },
    #[error("unknown option {word}{}", did_you_mean(*.suggestion))]
    UnknownOption {
        word: String,
        suggestion: Option<&'static str>,
    },
    #[error("{option} needs a value: {form}")]
    MissingValue {
        option: &'static str,
        form: &'static str,
    },
    #[error("{0} is not a log format (allowed: human, json)")]
    LogFormat(String),
    #[error("Invalid number of arguments: {found} after {verb} (allowed: {allowed})")]
    Arguments {
        verb: &'static str,
        found: usize,
        allowed: &'static str,
    },
    #[error("--config-dump belongs to start, not to {0}")]
    DumpWithout(&'static str),
}

fn did_you_mean(suggestion: Option<&'static str>) -> String {
    suggestion.map_or_else(
        || "; see --help".to_owned(),
        |word| format!("; did you mean {word}?"),
    )
}

const COMMANDS: &[&str] = &[
    "start",
    "start-foreground",
    "check",
    "keys",
    "help",
    "version",
];
const OPTIONS: &[&str] = &[
    "--set",
    "--log-format",
    "--config-dump",
    "--help",
    "--version",
];

/// The usage text.
pub const HELP: &str = "\
zk-server: a coordination server compatible with Apache ZooKeeper 3.9

Usage:
  zk-server                       run with embedded defaults: 127.0.0.1:2181, data in ./zk-data
  zk-server start [zoo.cfg]       run in the foreground (start-foreground is the same)
  zk-server start PORT DATADIR [tickTime] [maxClientCnxns]
                                  run without a file; connections per client are unlimited
                                  unless maxClientCnxns is given
  zk-server check [zoo.cfg]       validate, and print every effective value with its source
  zk-server keys                  list every key with default, unit and meaning
  zk-server help | version

Options:
  -Dkey=value, --set key=value    override one setting (a zookeeper. prefix is optional)
  --log-format human|json         how log lines look (default human)
  --config-dump                   print what was configured as a zoo.cfg and exit
  -h, --help / -V, --version

Settings are taken from, weakest first: defaults, the file, the environment (SERVER_JVMFLAGS and
JVMFLAGS with -Dzookeeper.key=value, ZOO_ and a key in upper case such as ZOO_TICK_TIME,
ZOO_SERVERS, ZOO_CFG_EXTRA), arguments, options. Without a file argument, ZOOCFGDIR and ZOOCFG name
the file as they do for zkServer.sh.

Exit codes: 0 done, 1 unexpected, 2 bad invocation or configuration, 3 data directory.
";

/// Understands the arguments (without the program's name). `environment` becomes part of the
/// sources.
pub fn parse(
    arguments: &[String],
    environment: Vec<(String, String)>,
) -> Result<Command, UsageError> {
    let line = Line::read(arguments)?;
    if line.help {
        return Ok(Command::Help);
    }
    if line.version {
        return Ok(Command::Version);
    }
    let (verb, operands) = verb_of(&line.words)?;
    if line.dump && verb != Verb::Start {
        return Err(UsageError::DumpWithout(verb.name()));
    }
    if let Verb::Keys | Verb::Help | Verb::Version = verb {
        allow_operands(verb, operands.len(), 0, "none")?;
    }
    match verb {
        Verb::Keys => return Ok(Command::Keys),
        Verb::Help => return Ok(Command::Help),
        Verb::Version => return Ok(Command::Version),
        Verb::Start | Verb::Check => {}
    }
    let mut sources = Sources {
        environment,
        flags: line.flags,
        ..Sources::default()
    };
    match (verb, operands) {
        (_, []) => sources.file = default_file(&sources.environment),
        (_, [file]) => sources.file = Some(named_file(file, &sources.environment)),
        (Verb::Start, _) => sources.short_form = Some(short_form(operands)?),
        (_, more) => allow_operands(verb, more.len(), 1, "one file")?,
    }
    let launch = Launch {
        sources,
        log_format: line.log_format,
    };
    Ok(if verb == Verb::Check {
        Command::Check(launch)
    } else if line.dump {
        Command::Dump(launch)
    } else {
        Command::Start(launch)
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Start,
    Check,
    Keys,
    Help,
    Version,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Check => "check",
            Self::Keys => "keys",
            Self::Help => "help",
            Self::Version => "version",
        }
    }
}

fn verb_of(words: &[String]) -> Result<(Verb, &[String]), UsageError> {
    let Some((first, rest)) = words.split_first() else {
        return Ok((Verb::Start, words));
    };
    let verb = match first.as_str() {
        "start" | "start-foreground" => Verb::Start,
        "check" => Verb::Check,
        "keys" => Verb::Keys,
        "help" => Verb::Help,
        "version" => Verb::Version,
        // Java's main class takes a file, or a port and a directory, without any verb.
        word if word.contains(['/', '.']) => return Ok((Verb::Start, words)),
        word if word.parse::<u16>().is_ok() => return Ok((Verb::Start, words)),
        word => {
            let suggestion = suggest::nearest(word, COMMANDS.iter().copied());
            return Err(UsageError::UnknownCommand {
                word: word.to_owned(),
                suggestion,
            });
        }
    };
    Ok((verb, rest))
}

fn allow_operands(
    verb: Verb,
    found: usize,
    most: usize,
    allowed: &'static str,
) -> Result<(), UsageError> {
    if found > most {
        return Err(UsageError::Arguments {
            verb: verb.name(),
            found,
            allowed,
        });
    }
    Ok(())
}

fn short_form(operands: &[String]) -> Result<ShortForm, UsageError> {
    let (Some(port), Some(data_dir), None) = (operands.first(), operands.get(1), operands.get(4))
    else {
        let allowed = "a file, or PORT DATADIR [tickTime] [maxClientCnxns]";
        return Err(UsageError::Arguments {
            verb: "start",
            found: operands.len(),
            allowed,
        });
    };
    Ok(ShortForm {
        port: port.clone(),
        data_dir: data_dir.clone(),
        tick_time: operands.get(2).cloned(),
        max_client_cnxns: operands.get(3).cloned(),
    })
}

fn variable<'a>(environment: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    let found = environment
        .iter()
        .find(|(name, value)| name == wanted && !value.is_empty());
    found.map(|(_, value)| value.as_str())
}

/// `$ZOOCFGDIR/$ZOOCFG`, if either is set: who sets them means that file, and wants to hear if it
/// is missing.
fn default_file(environment: &[(String, String)]) -> Option<PathBuf> {
    let directory = variable(environment, "ZOOCFGDIR");
    let file = variable(environment, "ZOOCFG");
    match (directory, file) {
        (None, None) => None,
        (directory, file) => {
            Some(Path::new(directory.unwrap_or_default()).join(file.unwrap_or("zoo.cfg")))
        }
    }
}

/// A bare name is looked for in `$ZOOCFGDIR`, as `zkServer.sh start NAME` does.
fn named_file(name: &str, environment: &[(String, String)]) -> PathBuf {
    match variable(environment, "ZOOCFGDIR") {
        Some(directory) if !name.contains('/') => Path::new(directory).join(name),
        _ => PathBuf::from(name),
    }
}

/// The arguments sorted into options and the rest.
#[derive(Default)]
struct Line {
    words: Vec<String>,
    flags: Vec<Flag>,
    log_format: LogFormat,
    dump: bool,
    help: bool,
    version: bool,
}

impl Line {
    fn read(arguments: &[String]) -> Result<Self, UsageError> {
        let mut line = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (option, inline) = match argument.split_once('=') {
                Some((option, value)) if option.starts_with("--") => (option, Some(value)),
                _ => (argument.as_str(), None),
            };
            let mut value = || inline.or_else(|| rest.next().map(String::as_str));
            match option {
                "--" => line.words.extend(rest.by_ref().cloned()),
                "--set" => line.flags.push(assignment("--set ", "--set", value())?),
                "--log-format" => line.log_format = log_format(value())?,
                "--config-dump" if inline.is_none() => line.dump = true,
                "--help" | "-h" if inline.is_none() => line.help = true,
                "--version" | "-V" if inline.is_none() => line.version = true,
                "-D" => line.flags.push(assignment("-D", "-D", value())?),
                _ if option.starts_with("-D") => {
                    line.flags.push(assignment("-D", "-D", option.get(2..))?);
                }
                _ if option.starts_with('-') && option.len() > 1 => {
                    let suggestion = suggest::nearest(option, OPTIONS.iter().copied());
                    return Err(UsageError::UnknownOption {
                        word: option.to_owned(),
                        suggestion,
                    });
                }
                _ => line.words.push(argument.clone()),
            }
        }
        Ok(line)
    }
}

fn assignment(
    style: &'static str,
    option: &'static str,
    text: Option<&str>,
) -> Result<Flag, UsageError> {
    let missing = UsageError::MissingValue {
        option,
        form: "key=value",
    };
    let (key, value) = text.and_then(|text| text.split_once('=')).ok_or(missing)?;
    Ok(Flag {
        style,
        key: key.to_owned(),
        value: value.to_owned(),
    })
}

fn log_format(text: Option<&str>) -> Result<LogFormat, UsageError> {
    match text {
        Some("human") => Ok(LogFormat::Human),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => Err(UsageError::LogFormat(other.to_owned())),
        None => Err(UsageError::MissingValue {
            option: "--log-format",
            form: "human or json",
        }),
    }
}

/// What to print, where, and how to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
    /// For the operating system.
    pub code: ExitCode,
}

impl Answer {
    fn fine(out: String) -> Self {
        Self {
            out,
            err: String::new(),
            code: ExitCode::Done,
        }
    }
}

/// The whole answer to a command line, unless it asks for a server: then that is what to start.
pub fn answer(
    command: Result<Command, UsageError>,
    files: &dyn Files,
) -> Result<(Loaded, LogFormat), Answer> {
    let load = |launch: &Launch| Config::load(&launch.sources, files);
    Err(match command {
        Ok(Command::Start(launch)) => match load(&launch) {
            Ok(loaded) => return Ok((loaded, launch.log_format)),
            Err(errors) => refusal(&errors),
        },
        Ok(Command::Check(launch)) => check_report(load(&launch)),
        Ok(Command::Dump(launch)) => match load(&launch) {
            Ok(loaded) => Answer::fine(config::dump(&loaded.effective)),
            Err(errors) => refusal(&errors),
        },
        Ok(Command::Keys) => Answer::fine(config::key_listing()),
        Ok(Command::Help) => Answer::fine(HELP.to_owned()),
        Ok(Command::Version) => Answer::fine(version()),
        Err(error) => Answer {
            out: String::new(),
            err: line("zk-server", &error),
            code: ExitCode::BadInvocation,
        },
    })
}

/// The version in one line.
pub fn version() -> String {
    format!(
        "zk-server {} (compatible with Apache ZooKeeper 3.9)\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// One message, one line: what a file smuggles in must neither break lines nor reach the terminal.
fn line(label: &str, message: &impl ToString) -> String {
    format!("{label}: {}\n", config::printable(&message.to_string()))
}

/// Every reason, and then the line that Java prints.
fn refusal(errors: &[ConfigError]) -> Answer {
    let code = ConfigError::exit_code_of(errors);
    let mut err: String = errors.iter().map(|error| line("error", error)).collect();
    if let Some(headline) = code.headline() {
        err.push_str(headline);
        err.push('\n');
    }
    Answer {
        out: String::new(),
        err,
        code,
    }
}

/// What `zk-server check` says: the table, then the warnings.
fn check_report(loaded: Result<Loaded, Vec<ConfigError>>) -> Answer {
    match loaded {
        Ok(loaded) => {
            let mut out = config::table(&loaded.effective);
            for warning in &loaded.warnings {
                out.push_str(&line("warning", warning));
            }
            out.push_str("The configuration is valid.\n");
            Answer::fine(out)
        }
        Err(errors) => refusal(&errors),
    }
}

#[cfg(test)]
mod tests;
