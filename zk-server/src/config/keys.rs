//! The one table of every setting: what it is called (in all its spellings), what may be written,
//! what it defaults to, and whether this release honours it, accepts it without effect, or refuses
//! it.
//!
//! Everything else derives from here: parsing, "did you mean", the environment's names, `zk-server
//! keys`. A setting that is not in this table does not exist, and one whose feature is missing says
//! so instead of being ignored.

mod admin;
mod core;
mod ensemble;
mod limits;
mod own;
mod security;
mod storage;
mod threads;

use super::value::Kind;

/// Where Java reads a setting from, which decides how strict Java is about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Read by the file parser into a typed field; a wrong value is fatal.
    Parsed,
    /// Passed through as the JVM property `zookeeper.KEY`; a wrong number silently means the
    /// default.
    PassThrough,
    /// A JVM property without prefix, which Java cannot read from the file (this server can).
    JvmOnly,
    /// Not ZooKeeper's: a setting of this server.
    Own,
}

/// What this release does with a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has its effect.
    Supported,
    /// It is read and checked, and changes nothing, for this reason.
    AcceptedNoEffect(&'static str),
    /// Its feature is missing: refused, with this sentence, unless the value is one that asks for
    /// nothing.
    NotYet {
        /// Why, and what to do.
        reason: &'static str,
        /// Values (in any case) that leave the feature off and are therefore fine.
        harmless: &'static [&'static str],
    },
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The name this server uses. A name that ends in `.*` stands for a family (`server.*`:
    /// server.1, server.2, ...).
    pub name: &'static str,
    /// Where Java reads it.
    pub class: Class,
    /// What may be written.
    pub kind: Kind,
    /// The value when nobody writes one, as one would write it; empty for none.
    pub default: &'static str,
    /// The unit of the value, or what kind of thing it is.
    pub unit: &'static str,
    /// What it does, in one line.
    pub meaning: &'static str,
    /// Further accepted names. (`zookeeper.NAME` is always accepted as well.)
    pub aliases: &'static [&'static str],
    /// What this release does with it.
    pub status: Status,
    /// Never shown.
    pub secret: bool,
}

type Text = &'static str;

const fn key(
    class: Class,
    name: Text,
    kind: Kind,
    default: Text,
    unit: Text,
    meaning: Text,
) -> Key {
    let status = Status::Supported;
    Key {
        name,
        class,
        kind,
        default,
        unit,
        meaning,
        aliases: &[],
        status,
        secret: false,
    }
}

const fn parsed(name: Text, kind: Kind, default: Text, unit: Text, meaning: Text) -> Key {
    key(Class::Parsed, name, kind, default, unit, meaning)
}

const fn passed(name: Text, kind: Kind, default: Text, unit: Text, meaning: Text) -> Key {
    key(Class::PassThrough, name, kind, default, unit, meaning)
}

const fn jvm(name: Text, kind: Kind, default: Text, unit: Text, meaning: Text) -> Key {
    key(Class::JvmOnly, name, kind, default, unit, meaning)
}

const fn own(name: Text, kind: Kind, default: Text, unit: Text, meaning: Text) -> Key {
    key(Class::Own, name, kind, default, unit, meaning)
}

impl Key {
    const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn without_effect(mut self, reason: Text) -> Self {
        self.status = Status::AcceptedNoEffect(reason);
        self
    }

    const fn not_yet(mut self, reason: Text, harmless: &'static [&'static str]) -> Self {
        self.status = Status::NotYet { reason, harmless };
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The part before the `*`, if this key is a family.
    fn family(&self) -> Option<&'static str> {
        self.name.strip_suffix('*')
    }
}

/// Every key, by topic, in the order in which `zk-server keys` prints them.
pub fn all() -> impl Iterator<Item = &'static Key> {
    TOPICS.iter().flat_map(|(_, keys)| keys.iter())
}

/// The tables with their headings.
pub(super) const TOPICS: &[(&str, &[Key])] = &[
    ("core", core::KEYS),
    ("storage", storage::KEYS),
    ("limits and throttling", limits::KEYS),
    ("limits of this server (not known to ZooKeeper)", own::KEYS),
    ("security", security::KEYS),
    ("ensemble", ensemble::KEYS),
    ("admin, metrics, audit, logging", admin::KEYS),
    ("threads and caches", threads::KEYS),
];

/// The key that a spelling means, and its canonical name (for a family, with the member:
/// `server.3`).
pub fn find(spelling: &str) -> Option<(&'static Key, String)> {
    let bare = spelling.strip_prefix("zookeeper.").unwrap_or(spelling);
    // Exact names come before families: `ssl.authProvider` is not just any `ssl.*`.
    let exact = all()
        .find(|key| key.family().is_none() && (key.name == bare || key.aliases.contains(&bare)));
    if let Some(key) = exact {
        return Some((key, key.name.to_owned()));
    }
    all()
        .filter(|key| {
            key.family()
                .is_some_and(|prefix| bare.len() > prefix.len() && bare.starts_with(prefix))
        })
        .max_by_key(|key| key.name.len())
        .map(|key| (key, bare.to_owned()))
}

/// Every spelling that can be written out in full: names and aliases, families left out.
pub(super) fn spellings() -> impl Iterator<Item = (&'static str, &'static Key)> {
    all().filter(|key| key.family().is_none()).flat_map(|key| {
        std::iter::once(key.name)
            .chain(key.aliases.iter().copied())
            .map(move |name| (name, key))
    })
}

/// The key with exactly this canonical name. Only code of this module asks, and only for names it
/// knows.
pub(super) fn named(name: &str) -> &'static Key {
    let Some(key) = all().find(|key| key.name == name) else {
        panic!("{name} is missing in the table of keys");
    };
    key
}

#[cfg(test)]
mod tests;
