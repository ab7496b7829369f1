//! The command line. Parsing only: nothing here looks at the machine.

use crate::catalog::{self, SCENARIOS, Scenario};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What is put under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum System {
    /// The server of this workspace.
    Ours,
    /// Apache `ZooKeeper`.
    Java,
    /// A server that parses frames and answers 1 KB, on a multi-threaded runtime.
    Echo,
    /// The same on one thread.
    EchoSingle,
    /// No server: a file, written and synced in a loop.
    Fsync,
}

impl System {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 5] = [
        Self::Ours,
        Self::Java,
        Self::Echo,
        Self::EchoSingle,
        Self::Fsync,
    ];

    /// Its name on the command line, in the table and in the JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Java => "java",
            Self::Echo => "echo",
            Self::EchoSingle => "echo-single",
            Self::Fsync => "fsync",
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is to be measured, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Which systems.
    pub(crate) systems: Vec<System>,
    /// Which scenarios.
    pub(crate) scenarios: Vec<Scenario>,
    /// How long each timed scenario is measured.
    pub(crate) seconds: Duration,
    /// How long each is driven before, at least; a JVM compiles meanwhile.
    pub(crate) warm: Duration,
    /// How often everything is repeated.
    pub(crate) runs: usize,
    /// What part of the nodes and sessions of the large scenarios, in percent.
    pub(crate) scale: usize,
    /// Where the numbers go besides the table.
    pub(crate) json: Option<PathBuf>,
    /// Where a drawing of the ratios goes.
    pub(crate) svg: Option<PathBuf>,
    /// Where the data directories go, if not into the target directory.
    pub(crate) dir: Option<PathBuf>,
    /// Whether this is the short run that nobody should quote.
    pub(crate) short: bool,
}

impl Settings {
    /// A run that takes its time.
    fn full() -> Self {
        Self {
            systems: System::ALL.to_vec(),
            scenarios: SCENARIOS.to_vec(),
            seconds: Duration::from_secs(10),
            warm: Duration::from_secs(10),
            runs: 3,
            scale: 100,
            json: None,
            svg: None,
            dir: None,
            short: false,
        }
    }

    /// What a plain `cargo bench` does: enough to see that everything works.
    fn short() -> Self {
        Self {
            seconds: Duration::from_secs(1),
            warm: Duration::from_secs(1),
            runs: 1,
            scale: 5,
            short: true,
            ..Self::full()
        }
    }

    /// A size of the catalogue at this run's scale.
    pub(crate) fn scaled(&self, size: usize) -> usize {
        (size * self.scale / 100).max(1)
    }
}

/// What the program was asked to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Invocation {
    /// Measure.
    Measure(Settings),
    /// Be the echo server, started by ourselves.
    Echo { multi: bool },
    /// Print the usage.
    Help,
    /// Print the scenarios.
    List,
    /// Built and started by `cargo test --benches`: nothing to do.
    Nothing,
}

/// Why a command line makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadArgs {
    /// An option nobody knows.
    #[error("unknown option {0}")]
    Option(String),
    /// An option without its value.
    #[error("{0} needs a value")]
    Missing(&'static str),
    /// A value that is no number above zero.
    #[error("{option} needs a number above zero, not {value}")]
    Number { option: &'static str, value: String },
    /// A system nobody knows.
    #[error("no system is called {0}")]
    System(String),
    /// A scenario nobody knows.
    #[error("no scenario is called {0}; --list shows them")]
    Scenario(String),
}

/// How to use it.
pub(crate) const USAGE: &str = "\
cargo bench --bench side_by_side -- [options]
  --systems LIST    of ours,java,echo,echo-single,fsync        (default: all)
  --scenarios LIST  names or beginnings of names, see --list   (default: all)
  --seconds N       how long each timed scenario is measured   (default: 10)
  --warm N          how long it is driven before, at least     (default: 10)
  --runs N          how often everything is repeated           (default: 3)
  --scale PERCENT   of the nodes and sessions of large ones    (default: 100)
  --json FILE       write every number there
  --svg FILE        draw the ratios ours/java there
  --dir DIR         put the data directories there             (default: the target directory)
  --list            show the scenarios
Without options: one short, small run. Servers: ZK_SERVER_BIN, ZK_JAVA_CP.";

/// Reads the arguments behind the program's name. Cargo adds `--bench` when it benches.
pub(crate) fn parse(args: &[String]) -> Result<Invocation, BadArgs> {
    let given: Vec<&str> = args.iter().map(String::as_str).collect();
    match given.as_slice() {
        ["--echo-server", "multi"] => return Ok(Invocation::Echo { multi: true }),
        ["--echo-server", "single"] => return Ok(Invocation::Echo { multi: false }),
        [] => return Ok(Invocation::Nothing),
        ["--bench"] => return Ok(Invocation::Measure(Settings::short())),
        _ => {}
    }
    let mut settings = Settings::full();
    let mut rest = given.iter().copied();
    while let Some(option) = rest.next() {
        let mut value = |option| rest.next().ok_or(BadArgs::Missing(option));
        match option {
            "--bench" => {}
            "--help" | "-h" => return Ok(Invocation::Help),
            "--list" => return Ok(Invocation::List),
            "--systems" => settings.systems = systems(value("--systems")?)?,
            "--scenarios" => settings.scenarios = scenarios(value("--scenarios")?)?,
            "--seconds" => settings.seconds = seconds("--seconds", value("--seconds")?)?,
            "--warm" => settings.warm = seconds("--warm", value("--warm")?)?,
            "--runs" => settings.runs = number("--runs", value("--runs")?)?,
            "--scale" => settings.scale = number("--scale", value("--scale")?)?,
            "--json" => settings.json = Some(value("--json")?.into()),
            "--svg" => settings.svg = Some(value("--svg")?.into()),
            "--dir" => settings.dir = Some(value("--dir")?.into()),
            // `cargo test --benches -- --nocapture` and its like.
            _ if !given.contains(&"--bench") => return Ok(Invocation::Nothing),
            other => return Err(BadArgs::Option(other.to_owned())),
        }
    }
    Ok(Invocation::Measure(settings))
}

fn systems(list: &str) -> Result<Vec<System>, BadArgs> {
    let find = |name: &str| {
        let system = System::ALL.into_iter().find(|system| system.name() == name);
        system.ok_or_else(|| BadArgs::System(name.to_owned()))
    };
    let mut systems = list.split(',').map(find).collect::<Result<Vec<_>, _>>()?;
    systems.sort_unstable();
    systems.dedup();
    Ok(systems)
}

fn scenarios(list: &str) -> Result<Vec<Scenario>, BadArgs> {
    let mut wanted = Vec::new();
    for name in list.split(',') {
        let found = catalog::named(name);
        if found.is_empty() {
            return Err(BadArgs::Scenario(name.to_owned()));
        }
        wanted.extend(found);
    }
    let asked = |scenario: &&Scenario| wanted.contains(scenario);
    Ok(SCENARIOS.iter().filter(asked).copied().collect())
}

fn number(option: &'static str, value: &str) -> Result<usize, BadArgs> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(BadArgs::Number {
            option,
            value: value.to_owned(),
        }),
    }
}

fn seconds(option: &'static str, value: &str) -> Result<Duration, BadArgs> {
    let seconds: Option<f64> = value.parse().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| BadArgs::Number {
            option,
            value: value.to_owned(),
        })
}
