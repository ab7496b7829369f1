//! Settings in environment variables: those of the start script, those of the Docker image, and
//! `ZOO_` followed by any key in upper case.
//!
//! Weakest first, as the start script and the image's entry point order them: the script's switch,
//! `-D` in `SERVER_JVMFLAGS`, `-D` in `JVMFLAGS`, single `ZOO_` variables, `ZOO_SERVERS`,
//! `ZOO_CFG_EXTRA`. An empty variable is an unset one, because that is how compose files and charts
//! say "no value".

use super::error::{Caution, Fault, Origin, Warning};
use super::keys;
use super::sources::{Collected, Written};
use super::suggest;

/// Variables of the start script and the image that place files and processes; the shell that
/// starts us read them.
const FOR_OTHERS: &[&str] = &[
    "ZOO_CONF_DIR",
    "ZOO_LOG_DIR",
    "ZOO_LOG_FILE",
    "ZOO_NOEXEC",
    "ZOO_LOG4J_PROP",
    "ZOO_LOG4J_OPTS",
];

/// The image's names that are not a key in upper case.
const IMAGE_NAMES: &[(&str, &str)] = &[("ZOO_ADMINSERVER_ENABLED", "admin.enableServer")];

pub(super) fn collect(variables: &[(String, String)], collected: &mut Collected) {
    let mut variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.trim()))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    // The environment has no order of its own; a fixed one makes messages repeatable.
    variables.sort_unstable();
    let get = |wanted: &str| {
        variables
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| *value)
    };

    if get("ZOO_DATADIR_AUTOCREATE_DISABLE").is_some() {
        collected.push(
            "datadir.autocreate",
            "false",
            origin("ZOO_DATADIR_AUTOCREATE_DISABLE"),
        );
    }
    for name in ["SERVER_JVMFLAGS", "JVMFLAGS"] {
        jvm_flags(name, get(name).unwrap_or_default(), collected);
    }
    for (name, value) in variables
        .iter()
        .filter(|(name, _)| name.starts_with("ZOO_"))
    {
        single(name, value, collected);
    }
    for name in ["ZOO_SERVERS", "ZOO_CFG_EXTRA"] {
        assignments(name, get(name).unwrap_or_default(), collected);
    }
    collected.my_id = get("ZOO_MY_ID").map(str::to_owned);
}

fn origin(name: &str) -> Origin {
    Origin::Environment {
        name: name.to_owned(),
    }
}

/// The script splits these at blanks without looking at quotes, and so do we.
fn jvm_flags(name: &str, flags: &str, collected: &mut Collected) {
    for definition in flags
        .split_whitespace()
        .filter_map(|flag| flag.strip_prefix("-D"))
    {
        let (key, value) = definition.split_once('=').unwrap_or((definition, ""));
        collected.written.push(Written {
            spelling: key.to_owned(),
            value: value.to_owned(),
            origin: origin(name),
            unknown_is_fine: !key.starts_with("zookeeper."),
        });
    }
}

fn single(name: &str, value: &str, collected: &mut Collected) {
    let handled_elsewhere = [
        "ZOO_SERVERS",
        "ZOO_CFG_EXTRA",
        "ZOO_MY_ID",
        "ZOO_DATADIR_AUTOCREATE_DISABLE",
    ];
    if FOR_OTHERS.contains(&name) || handled_elsewhere.contains(&name) {
        return;
    }
    let image_name = IMAGE_NAMES
        .iter()
        .find(|(variable, _)| *variable == name)
        .map(|(_, key)| *key);
    if let Some(key) = image_name.or_else(|| key_of(name)) {
        collected.push(key, value, origin(name));
        return;
    }
    let squeezed = squeeze(name.trim_start_matches("ZOO_"));
    let known: Vec<(String, &'static str)> = keys::spellings()
        .map(|(key, _)| (squeeze(key), key))
        .collect();
    let nearest = suggest::nearest(
        &squeezed,
        known.iter().map(|(squeezed, _)| squeezed.as_str()),
    );
    let suggestion = nearest
        .and_then(|found| known.iter().find(|(squeezed, _)| squeezed == found))
        .map(|(_, key)| *key);
    collected.warnings.push(Warning {
        origin: origin(name),
        caution: Caution::UnknownVariable { suggestion },
    });
}

/// The key whose letters and digits are those of the variable: `ZOO_AUTOPURGE_SNAPRETAINCOUNT` (the
/// image's spelling) and `ZOO_AUTOPURGE_SNAP_RETAIN_COUNT` (the obvious one) are both
/// `autopurge.snapRetainCount`.
fn key_of(name: &str) -> Option<&'static str> {
    let wanted = squeeze(name.strip_prefix("ZOO_")?);
    keys::spellings()
        .find(|(spelling, _)| squeeze(spelling) == wanted)
        .map(|(_, key)| key.name)
}

/// Letters and digits in lower case.
pub(super) fn squeeze(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// `key=value` pairs separated by blanks, as the image's entry point splits them. A stray word may
/// be the second half of a password, so it is counted, not quoted.
fn assignments(name: &str, pairs: &str, collected: &mut Collected) {
    for (at, pair) in pairs.split_whitespace().enumerate() {
        match pair.split_once('=') {
            Some((key, value)) => collected.push(key, value, origin(name)),
            None => collected.fail(origin(name), None, Fault::NotAnAssignment(at + 1)),
        }
    }
}
