//! Configuration: from `zoo.cfg`, environment and command line to one typed struct that is read
//! once.
//!
//! The way through the files: [`properties`] reads the file's syntax and `environment` the
//! variables, `sources` collects everything that was written in order of strength, `values` looks
//! each key up in the table of [`keys`] and understands its value, `build` makes the typed
//! [`Config`] of [`settings`] and checks rules between keys, `ensemble` refuses what this release
//! cannot do. All faults are reported, not only the first.
//!
//! Deliberately absent: any look at the clock, the network or name resolution, and any printing.
//! Files are read through [`Files`]; nothing is ever written.

mod build;
pub mod change;
mod ensemble;
mod environment;
mod error;
mod exit;
mod host;
pub mod keys;
mod members;
pub mod peers;
pub mod properties;
mod quorum;
mod report;
mod rules;
pub mod settings;
mod sources;
pub(crate) mod suggest;
mod value;
mod values;

pub use error::{Caution, ConfigError, Fault, Origin, Warning};
pub use exit::ExitCode;
pub(crate) use report::printable;
pub use report::{dump, key_listing, table};
pub use settings::Config;
pub use sources::{Files, Flag, RealFiles, ShortForm, Sources};
pub use value::{Kind, Reading};

use keys::Status;
use values::Values;

/// A configuration that can be started.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What the server uses.
    pub config: Config,
    /// What it uses, key by key, with the places it was written; secrets are redacted.
    pub effective: Vec<Setting>,
    /// To be said once at start.
    pub warnings: Vec<Warning>,
}

/// One line of the effective configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The canonical name.
    pub key: String,
    /// The value in use, redacted if secret.
    pub value: String,
    /// Where it was written.
    pub source: Origin,
    /// Why it has no effect, if it has none.
    pub note: Option<&'static str>,
}

impl Config {
    /// Reads all sources. Without a file and without arguments the base is [`Config::default`].
    pub fn load(sources: &Sources, files: &dyn Files) -> Result<Loaded, Vec<ConfigError>> {
        let (config, values) = Self::read(sources, files)?;
        if values.errors.is_empty() {
            let effective = effective(&values);
            return Ok(Loaded {
                config,
                effective,
                warnings: values.warnings,
            });
        }
        let mut errors = values.errors;
        errors.sort_by(|one, other| one.origin.cmp(&other.origin));
        errors.dedup();
        Err(errors)
    }

    /// The configuration, and what is wrong with it: with errors, it means nothing.
    fn read(sources: &Sources, files: &dyn Files) -> Result<(Self, Values), Vec<ConfigError>> {
        let collected = sources::collect(sources, files);
        let unread = collected.errors.iter().any(|error| {
            matches!(
                error.fault,
                Fault::FileMissing(_) | Fault::FileUnreadable { .. }
            )
        });
        if unread {
            // Every other complaint would only be an echo of this one.
            return Err(collected.errors);
        }
        let defaults = match (&sources.file, &sources.short_form) {
            (Some(_), _) => build::FROM_FILE,
            (None, Some(_)) => build::SHORT_FORM,
            (None, None) => build::EMBEDDED,
        };
        let my_id = collected.my_id.clone();
        let mut values = Values::resolve(collected, defaults);
        let mut config = build::build(&mut values);
        config.misc.config_file.clone_from(&sources.file);
        ensemble::settle(&mut values, &mut config, my_id.as_deref(), files);
        rules::check(&mut values, &config, files);
        Ok((config, values))
    }
}

impl Default for Config {
    /// A standalone on 127.0.0.1:2181 with its data in `./zk-data`; otherwise as ZooKeeper, but
    /// with old snapshots purged.
    fn default() -> Self {
        let mut values = Values::resolve(sources::Collected::default(), build::EMBEDDED);
        let config = build::build(&mut values);
        assert!(
            values.errors.is_empty(),
            "the defaults are wrong: {:?}",
            values.errors
        );
        config
    }
}

/// Every supported key, and every other one that somebody wrote.
fn effective(values: &Values) -> Vec<Setting> {
    let mut settings = Vec::new();
    for key in keys::all().filter(|key| key.status == Status::Supported && !key.name.ends_with('*'))
    {
        let (value, source) = values.shown(key.name, key);
        settings.push(Setting {
            key: key.name.to_owned(),
            value,
            source,
            note: None,
        });
    }
    for (name, found) in values.written() {
        let note = match found.key.status {
            Status::AcceptedNoEffect(reason) => Some(reason),
            Status::NotYet { .. } => Some("this is the value that leaves the feature off"),
            Status::Supported if found.key.name.ends_with('*') => None,
            Status::Supported => continue,
        };
        let (value, source) = values.shown(name, found.key);
        settings.push(Setting {
            key: name.to_owned(),
            value,
            source,
            note,
        });
    }
    settings
}

#[cfg(test)]
pub(crate) mod tests;
