//! Listings for people: the effective configuration as a table or as a file, and the table of keys.

use super::keys::{self, Class, Key, Status};
use super::settings::REDACTED;
use super::{Origin, Setting};

/// Aligned columns: key, value, where it was written, and why it has no effect if it has none.
pub fn table(settings: &[Setting]) -> String {
    let rows = settings.iter().map(|setting| {
        let note = setting
            .note
            .map_or_else(String::new, |note| format!("no effect: {note}"));
        [
            printable(&setting.key),
            printable(&setting.value),
            setting.source.to_string(),
            note,
        ]
    });
    align(rows.collect(), ["KEY", "VALUE", "SOURCE", ""])
}

/// What was written, as a `zoo.cfg`, with each line's source above it; defaults are left out,
/// secrets commented out.
pub fn dump(settings: &[Setting]) -> String {
    let mut text = String::new();
    for setting in settings
        .iter()
        .filter(|setting| setting.source != Origin::Default)
    {
        let comment = if setting.value == REDACTED { "# " } else { "" };
        let (key, value) = (escape(&setting.key), escape(&setting.value));
        let source = printable(&setting.source.to_string());
        text.push_str(&format!("# {source}\n{comment}{key}={value}\n"));
    }
    text
}

/// Every key with default, unit and meaning, by topic.
pub fn key_listing() -> String {
    let mut text = String::new();
    for (topic, keys) in keys::TOPICS {
        let rows = keys.iter().map(|key| {
            [
                key.name.to_owned(),
                default_of(key),
                key.unit.to_owned(),
                meaning_of(key),
            ]
        });
        text.push_str(&format!("{topic}\n\n"));
        text.push_str(&align(
            rows.collect(),
            ["KEY", "DEFAULT", "UNIT", "MEANING"],
        ));
        text.push('\n');
    }
    text
}

fn default_of(key: &Key) -> String {
    if key.default.is_empty() {
        "-".to_owned()
    } else {
        key.default.to_owned()
    }
}

fn meaning_of(key: &Key) -> String {
    let status = match key.status {
        Status::Supported => String::new(),
        Status::AcceptedNoEffect(reason) => format!(" [no effect: {reason}]"),
        Status::NotYet { reason, .. } => format!(" [refused: {reason}]"),
    };
    let spellings = if key.aliases.is_empty() {
        String::new()
    } else {
        format!(" (also: {})", key.aliases.join(", "))
    };
    let class = if key.class == Class::Own {
        " (not a ZooKeeper key)"
    } else {
        ""
    };
    format!("{}{spellings}{class}{status}", key.meaning)
}

fn align(rows: Vec<[String; 4]>, heading: [&str; 4]) -> String {
    let rows: Vec<[String; 4]> = std::iter::once(heading.map(str::to_owned))
        .chain(rows)
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for [first, second, third, last] in &rows {
        let line = format!(
            "{first:0$}  {second:1$}  {third:2$}  {last}",
            widths[0], widths[1], widths[2]
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Control characters of a hostile file must not reach a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}

/// So that a dump can be read back.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' | '=' | ':' | '#' | '!' => escaped.extend(['\\', c]),
            ' ' if at == 0 => escaped.push_str("\\ "),
            ' '..='~' => escaped.push(c),
            _ => {
                let mut units = [0; 2];
                escaped.extend(
                    c.encode_utf16(&mut units)
                        .iter()
                        .map(|unit| format!("\\u{unit:04x}")),
                );
            }
        }
    }
    escaped
}
