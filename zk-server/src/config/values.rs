//! The settings after everybody has spoken: each key at most once, understood, with the place it
//! came from.

use std::collections::BTreeMap;

use super::error::{Caution, ConfigError, Fault, Origin, Warning};
use super::keys::{self, Key, Status};
use super::settings::REDACTED;
use super::sources::{Collected, Written};
use super::suggest;
use super::value::{Kind, Value};

/// One setting somebody wrote and nobody overrode.
pub(super) struct Found {
    pub(super) key: &'static Key,
    /// As it was written.
    pub(super) raw: String,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// The answer to "what is KEY?", with complaints collected on the way.
pub(super) struct Values {
    /// By canonical name, members of families included.
    found: BTreeMap<String, Found>,
    /// Defaults of the way the server was started, which replace the table's.
    defaults: &'static [(&'static str, &'static str)],
    /// What the server uses where that differs from what was written.
    shown: BTreeMap<&'static str, (String, Origin)>,
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<Warning>,
}

impl Values {
    pub(super) fn resolve(
        collected: Collected,
        defaults: &'static [(&'static str, &'static str)],
    ) -> Self {
        let Collected {
            written,
            errors,
            warnings,
            my_id: _,
        } = collected;
        let (found, shown) = (BTreeMap::new(), BTreeMap::new());
        let mut values = Self {
            found,
            defaults,
            shown,
            errors,
            warnings,
        };
        let mut winners: BTreeMap<String, (&'static Key, Written)> = BTreeMap::new();
        let mut strangers: Vec<String> = Vec::new();
        for written in written {
            match keys::find(&written.spelling) {
                Some((key, name)) => {
                    if let Some((_, earlier)) = winners.get(&name) {
                        values.warn_of_duplicate(&name, earlier, &written);
                    }
                    winners.insert(name, (key, written));
                }
                None if written.unknown_is_fine || strangers.contains(&written.spelling) => {}
                None => {
                    strangers.push(written.spelling.clone());
                    values.warn_of_stranger(written);
                }
            }
        }
        for (name, (key, written)) in winners {
            values.understand(name, key, written);
        }
        values
    }

    /// Two lines of one file, or two flags, contradict each other; a flag that overrides a file
    /// does not.
    fn warn_of_duplicate(&mut self, name: &str, earlier: &Written, later: &Written) {
        let same_source = match (&earlier.origin, &later.origin) {
            (Origin::File { path: one, .. }, Origin::File { path: other, .. }) => one == other,
            (Origin::Environment { .. }, Origin::Environment { .. })
            | (Origin::Flag { .. }, Origin::Flag { .. }) => true,
            _ => false,
        };
        if same_source {
            let caution = Caution::Duplicate {
                key: name.to_owned(),
                earlier: earlier.origin.clone(),
            };
            self.warn(later.origin.clone(), caution);
        }
    }

    fn warn_of_stranger(&mut self, written: Written) {
        let bare = written
            .spelling
            .strip_prefix("zookeeper.")
            .unwrap_or(&written.spelling);
        let suggestion = suggest::nearest(bare, keys::spellings().map(|(spelling, _)| spelling));
        self.warn(
            written.origin,
            Caution::UnknownKey {
                key: written.spelling,
                suggestion,
            },
        );
    }

    fn understand(&mut self, name: String, key: &'static Key, written: Written) {
        let Written {
            value: raw, origin, ..
        } = written;
        if let Status::NotYet { reason, harmless } = key.status {
            let asks_for_nothing = harmless.iter().any(|word| word.eq_ignore_ascii_case(&raw));
            if !asks_for_nothing && self.is_refused(key, &raw) {
                self.fail(origin.clone(), &name, Fault::NotYet(reason.to_owned()));
            }
        }
        match key.kind.read(key, &raw) {
            Ok((value, caution)) => {
                if let Some(caution) = caution {
                    self.warn(origin.clone(), caution);
                }
                self.found.insert(
                    name,
                    Found {
                        key,
                        raw,
                        value,
                        origin,
                    },
                );
            }
            Err(fault) => self.fail(origin, &name, fault),
        }
    }

    /// A value that is wrong in itself gets that complaint instead of the missing feature's.
    fn is_refused(&self, key: &Key, raw: &str) -> bool {
        match key.name {
            "peerType" => raw.eq_ignore_ascii_case("observer"),
            "metricsProvider.className" => raw.ends_with("PrometheusMetricsProvider"),
            "observerMasterPort" => raw.parse::<i64>().is_ok_and(|port| port > 0),
            // Lenient booleans other than `true` are false, and false asks for nothing.
            _ if matches!(key.kind, Kind::Bool(_)) => raw.eq_ignore_ascii_case("true"),
            _ => key.kind.read(key, raw).is_ok(),
        }
    }

    pub(super) fn fail(&mut self, origin: Origin, key: &str, fault: Fault) {
        self.errors.push(ConfigError {
            origin,
            key: Some(key.to_owned()),
            fault,
        });
    }

    pub(super) fn fail_at(&mut self, key: &str, fault: Fault) {
        self.fail(self.origin(key), key, fault);
    }

    pub(super) fn warn(&mut self, origin: Origin, caution: Caution) {
        self.warnings.push(Warning { origin, caution });
    }

    pub(super) fn warn_at(&mut self, key: &str, caution: Caution) {
        self.warn(self.origin(key), caution);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Found> {
        self.found.get(name)
    }

    /// Members of a family, in order of name.
    pub(super) fn family<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Found)> {
        let members = self
            .found
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix));
        members
            .filter(move |(_, found)| found.key.name.strip_suffix('*') == Some(prefix))
            .map(|(n, f)| (n.as_str(), f))
    }

    pub(super) fn written(&self) -> impl Iterator<Item = (&str, &Found)> {
        self.found
            .iter()
            .map(|(name, found)| (name.as_str(), found))
    }

    pub(super) fn origin(&self, name: &str) -> Origin {
        self.found
            .get(name)
            .map_or(Origin::Default, |found| found.origin.clone())
    }

    /// The value of a key, or its default; `None` where neither exists.
    fn value(&self, name: &'static str) -> Option<Value> {
        if let Some(found) = self.found.get(name) {
            return Some(found.value.clone());
        }
        let key = keys::named(name);
        let default = self.default_text(key);
        if default.is_empty() && !matches!(key.kind, Kind::Text | Kind::List | Kind::Choice { .. })
        {
            return None;
        }
        key.kind.read(key, default).ok().map(|(value, _)| value)
    }

    fn default_text(&self, key: &Key) -> &'static str {
        let replaced = self.defaults.iter().find(|(name, _)| *name == key.name);
        replaced.map_or(key.default, |(_, text)| text)
    }

    pub(super) fn bool(&self, name: &'static str) -> bool {
        matches!(self.value(name), Some(Value::Bool(true)))
    }

    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        match self.value(name) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A whole number, or milliseconds.
    pub(super) fn int(&self, name: &'static str) -> Option<i64> {
        match self.value(name) {
            Some(Value::Int(number) | Value::Millis(number)) => Some(number),
            _ => None,
        }
    }

    pub(super) fn real(&self, name: &'static str) -> f64 {
        match self.value(name) {
            Some(Value::Real(number)) => number,
            _ => 0.0,
        }
    }

    /// Says what the server really uses, for the effective listing.
    pub(super) fn show(&mut self, name: &'static str, text: impl ToString) {
        self.show_from(name, text, self.origin(name));
    }

    /// The same for a value that was written under another key.
    pub(super) fn show_from(&mut self, name: &'static str, text: impl ToString, origin: Origin) {
        self.shown.insert(name, (text.to_string(), origin));
    }

    /// What the listing says about a key, and where it comes from. A secret only says that it is
    /// one.
    pub(super) fn shown(&self, name: &str, key: &'static Key) -> (String, Origin) {
        let found = self.found.get(name);
        if let Some(found) = found.filter(|found| found.key.secret) {
            return (REDACTED.to_owned(), found.origin.clone());
        }
        if let Some(used) = self.shown.get(name) {
            return used.clone();
        }
        match found {
            Some(found) => (found.value.text(), found.origin.clone()),
            None => (self.default_text(key).to_owned(), Origin::Default),
        }
    }
}
