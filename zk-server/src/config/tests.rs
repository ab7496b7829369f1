//! One `Case` says what was written where; `check` compares everything the loader says about it.

mod faults;
mod members;
mod sources;
mod typed;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use expect_test::Expect;

use super::*;

/// Files that exist only in a test.
#[derive(Debug, Default)]
pub(crate) struct FakeFiles {
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    pub(crate) directories: BTreeSet<PathBuf>,
}

impl Files for FakeFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.directories.contains(path) {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        self.files
            .get(path)
            .cloned()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.directories.contains(path)
    }
}

#[derive(Debug, Default)]
struct Case {
    sources: Sources,
    files: FakeFiles,
}

fn pair((name, value): &(&str, &str)) -> (String, String) {
    ((*name).to_owned(), (*value).to_owned())
}

impl Case {
    /// No file: the embedded defaults.
    fn embedded() -> Self {
        Self::default()
    }

    /// A `zoo.cfg` with this text.
    fn file(text: &str) -> Self {
        let mut case = Self::default();
        case.sources.file = Some(PathBuf::from("zoo.cfg"));
        case.with_file("zoo.cfg", text)
    }

    /// A `zoo.cfg` that starts, followed by this text (from line 3).
    fn fine(text: &str) -> Self {
        Self::file(&format!("dataDir=/data\nclientPort=2181\n{text}"))
    }

    fn with_file(mut self, path: &str, text: &str) -> Self {
        self.files
            .files
            .insert(PathBuf::from(path), text.as_bytes().to_vec());
        self
    }

    fn environment(mut self, variables: &[(&str, &str)]) -> Self {
        self.sources.environment = variables.iter().map(pair).collect();
        self
    }

    fn flags(mut self, flags: &[(&str, &str)]) -> Self {
        let flag = |(key, value)| Flag {
            style: "-D",
            key,
            value,
        };
        self.sources.flags = flags.iter().map(pair).map(flag).collect();
        self
    }

    fn arguments(mut self, words: &[&str]) -> Self {
        let word = |at: usize| words.get(at).map(|word| (*word).to_owned());
        self.sources.short_form = Some(ShortForm {
            port: word(0).unwrap(),
            data_dir: word(1).unwrap(),
            tick_time: word(2),
            max_client_cnxns: word(3),
        });
        self
    }

    fn load(&self) -> Result<Loaded, Vec<ConfigError>> {
        Config::load(&self.sources, &self.files)
    }

    fn config(&self) -> Config {
        self.load().unwrap().config
    }

    fn describe(&self) -> String {
        match self.load() {
            Ok(loaded) => {
                let written = loaded
                    .effective
                    .iter()
                    .filter(|setting| setting.source != Origin::Default);
                let settings = written.map(|setting| {
                    let note = setting
                        .note
                        .map_or_else(String::new, |note| format!(" (no effect: {note})"));
                    format!(
                        "{} = {} [{}]{note}\n",
                        setting.key, setting.value, setting.source
                    )
                });
                let warnings = loaded
                    .warnings
                    .iter()
                    .map(|warning| format!("warning: {warning}\n"));
                settings.chain(warnings).collect()
            }
            Err(errors) => {
                let lines: String = errors.iter().map(|error| format!("{error}\n")).collect();
                format!(
                    "{lines}exit {}\n",
                    ConfigError::exit_code_of(&errors).value()
                )
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "cases are written in place")]
fn check(case: Case, expected: Expect) {
    expected.assert_eq(&case.describe());
}
