//! Java `.properties` text, read exactly as `java.util.Properties.load` reads it.
//!
//! Operators' `zoo.cfg` files were written for that reader, so its oddities are part of the format:
//! three kinds of separator, lines joined by a trailing backslash, `\uXXXX`, and bytes that are
//! ISO-8859-1 whatever the editor thought. What a key *means* is not known here. The invariant: any
//! bytes at all yield entries or complaints, never a panic.

use std::fmt;

/// One `key=value`, with the line on which its key begins (counted from 1).
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, unescaped, not trimmed.
    pub key: String,
    /// The value, unescaped; trailing blanks belong to it, as in Java.
    pub value: String,
    /// The line of the key's first character.
    pub line: usize,
}

/// Without the value, which may be a secret.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}=...", self.line, self.key)
    }
}

/// What a file said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// In file order, duplicates included: who wins is the caller's business.
    pub entries: Vec<Entry>,
    /// Lines with a `\u` that is not followed by four hexadecimal digits, which Java refuses as
    /// well.
    pub malformed: Vec<usize>,
}

/// Reads a whole file.
pub fn parse(bytes: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    let mut lines = LogicalLines {
        bytes,
        at: 0,
        line: 1,
    };
    while let Some((line, text)) = lines.next_line() {
        let (key, value) = split(&text);
        match (unescape(key), unescape(value)) {
            (Some(key), Some(value)) => parsed.entries.push(Entry { key, value, line }),
            (None, _) | (_, None) => parsed.malformed.push(line),
        }
    }
    parsed
}

/// Joins natural lines into logical ones; comments and blank lines never leave it.
struct LogicalLines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl LogicalLines<'_> {
    /// The next byte, with `\r\n` and lone `\r` both seen as one `\n`.
    fn next_byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        if byte == b'\r' && self.bytes.get(self.at) == Some(&b'\n') {
            self.at += 1;
        }
        if byte == b'\r' || byte == b'\n' {
            self.line += 1;
            return Some(b'\n');
        }
        Some(byte)
    }

    fn skip_comment(&mut self) {
        while let Some(byte) = self.next_byte() {
            if byte == b'\n' {
                return;
            }
        }
    }

    fn next_line(&mut self) -> Option<(usize, Vec<u8>)> {
        let mut text = Vec::new();
        let mut begins_at = self.line;
        let mut skipping_blanks = true;
        let mut just_joined = false;
        let mut escaped = false;
        loop {
            let line = self.line;
            let Some(byte) = self.next_byte() else {
                if escaped {
                    text.pop();
                }
                // A file that ends in a lone backslash still holds one (empty) entry, as it does in
                // Java.
                return if text.is_empty() && !escaped {
                    None
                } else {
                    Some((begins_at, text))
                };
            };
            if skipping_blanks {
                if is_blank(byte) || (byte == b'\n' && !just_joined) {
                    continue;
                }
                skipping_blanks = false;
                just_joined = false;
            }
            if text.is_empty() {
                begins_at = line;
                if byte == b'#' || byte == b'!' {
                    self.skip_comment();
                    skipping_blanks = true;
                    continue;
                }
            }
            match byte {
                b'\n' if text.is_empty() => skipping_blanks = true,
                b'\n' if escaped => {
                    text.pop();
                    escaped = false;
                    // Java asks whether the file ends before it has swallowed the second half of a
                    // CRLF.
                    if self.at == self.bytes.len() && !self.bytes.ends_with(b"\r\n") {
                        return Some((begins_at, text));
                    }
                    skipping_blanks = true;
                    just_joined = true;
                }
                b'\n' => return Some((begins_at, text)),
                _ => {
                    escaped = byte == b'\\' && !escaped;
                    text.push(byte);
                }
            }
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

/// Cuts a logical line at its first unescaped separator: `=`, `:` or a blank, with blanks around it
/// ignored.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    let end = text.iter().position(|&byte| {
        let ends = !escaped && (byte == b'=' || byte == b':' || is_blank(byte));
        escaped = byte == b'\\' && !escaped;
        ends
    });
    let Some(end) = end else {
        return (text, &[]);
    };
    let (key, mut value) = text.split_at(end);
    let mut separator_seen = false;
    while let Some((&byte, rest)) = value.split_first() {
        let separator = !separator_seen && (byte == b'=' || byte == b':');
        if !separator && !is_blank(byte) {
            break;
        }
        separator_seen |= separator;
        value = rest;
    }
    (key, value)
}

/// `None` for a malformed `\u`. Works in UTF-16 because that is what `\uXXXX` spells.
fn unescape(text: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            units.push(u16::from(byte));
            continue;
        }
        match bytes.next() {
            Some(b'u') => units.push(hex_unit(&mut bytes)?),
            Some(b't') => units.push(u16::from(b'\t')),
            Some(b'n') => units.push(u16::from(b'\n')),
            Some(b'r') => units.push(u16::from(b'\r')),
            Some(b'f') => units.push(0x0c),
            Some(other) => units.push(u16::from(other)),
            None => {}
        }
    }
    Some(String::from_utf16_lossy(&units))
}

fn hex_unit(bytes: &mut impl Iterator<Item = u8>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = char::from(bytes.next()?).to_digit(16)?;
        unit = unit * 16 + u16::try_from(digit).ok()?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests;
