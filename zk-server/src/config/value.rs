//! From text to value: strict where Java is strict, lenient (with a warning instead of silence)
//! where Java is lenient.

use super::error::{Caution, Fault};
use super::host;
use super::keys::Key;

/// How a wrong value is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A wrong value is an error.
    Strict,
    /// A wrong value is replaced as Java replaces it, and a warning says so.
    Lenient,
}

/// What may be written.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `true` or `false`. Strict: in any case, nothing else. Lenient: whatever is not `true` is
    /// false.
    Bool(Reading),
    /// `yes` or `no`; anything else means the default, as in Java.
    YesNo,
    /// A whole number of this range. Lenient: `0x10`, `#10` and leading-zero octal are understood.
    Int {
        /// Whether wrong text is fatal.
        reading: Reading,
        /// Smallest allowed.
        min: i64,
        /// Largest allowed.
        max: i64,
    },
    /// A TCP port; 0 lets the system choose.
    Port,
    /// A decimal fraction of this range.
    Real {
        /// Whether wrong text is fatal.
        reading: Reading,
        /// Smallest allowed.
        min: f64,
        /// Largest allowed.
        max: f64,
    },
    /// A span of time in hours, or with a unit: `30m`, `90s`, `500ms`, `2h`, `1d`.
    Hours,
    /// One of these words, in any case.
    Choice {
        /// Whether another word is fatal.
        reading: Reading,
        /// The words.
        words: &'static [&'static str],
    },
    /// A path of the file system.
    Path,
    /// A host name or address.
    Host,
    /// Words separated by commas.
    List,
    /// Anything.
    Text,
}

/// The largest Java `int`.
pub(super) const INT_MAX: i64 = i32::MAX as i64;
/// The longest span of time anybody may ask for (35 000 years): it can be added to any clock
/// without overflow.
pub(super) const MILLIS_MAX: i64 = 1 << 50;
/// The smallest Java `int`.
pub(super) const INT_MIN: i64 = i32::MIN as i64;
/// A strict boolean.
pub(super) const STRICT: Kind = Kind::Bool(Reading::Strict);
/// A lenient boolean.
pub(super) const LENIENT: Kind = Kind::Bool(Reading::Lenient);

/// A strict whole number up to Java's largest `int`.
pub(super) const fn int(min: i64) -> Kind {
    Kind::Int {
        reading: Reading::Strict,
        min,
        max: INT_MAX,
    }
}

/// A lenient whole number up to Java's largest `int`.
pub(super) const fn loose(min: i64) -> Kind {
    Kind::Int {
        reading: Reading::Lenient,
        min,
        max: INT_MAX,
    }
}

/// A lenient whole number up to this.
pub(super) const fn loose_long(min: i64, max: i64) -> Kind {
    Kind::Int {
        reading: Reading::Lenient,
        min,
        max,
    }
}

/// A strict whole number up to this.
pub(super) const fn long(min: i64, max: i64) -> Kind {
    Kind::Int {
        reading: Reading::Strict,
        min,
        max,
    }
}

/// A value that has been understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Real(f64),
    /// Milliseconds.
    Millis(i64),
    Text(String),
}

impl Value {
    /// As one would write it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Real(value) => value.to_string(),
            Self::Millis(value) if value % 3_600_000 == 0 => (value / 3_600_000).to_string(),
            Self::Millis(value) => format!("{value}ms"),
            Self::Text(value) => value.clone(),
        }
    }
}

impl Kind {
    /// What may be written, for error messages and for `zk-server keys`.
    pub fn allowed(&self) -> String {
        match self {
            Self::Bool(_) => "true or false".to_owned(),
            Self::YesNo => "yes or no".to_owned(),
            Self::Int { min, max, .. } if *min <= INT_MIN && *max >= INT_MAX => {
                "a whole number".to_owned()
            }
            Self::Int { min, max, .. } if *max >= INT_MAX => format!("a whole number from {min}"),
            Self::Int { min, max, .. } => format!("a whole number from {min} to {max}"),
            Self::Port => "a port from 0 to 65535".to_owned(),
            Self::Real { min, max, .. } => format!("a decimal number from {min} to {max}"),
            Self::Hours => "a number of hours, or a number with ms, s, m, h or d".to_owned(),
            Self::Choice { words, .. } => words
                .iter()
                .map(|word| if word.is_empty() { "(empty)" } else { word })
                .collect::<Vec<_>>()
                .join(", "),
            Self::Path => "a path".to_owned(),
            Self::Host => "a host name or address".to_owned(),
            Self::List => "words separated by commas".to_owned(),
            Self::Text => "any text".to_owned(),
        }
    }

    /// Reads one value. A lenient kind never fails; what it had to change comes back as a caution.
    pub(super) fn read(&self, key: &Key, text: &str) -> Result<(Value, Option<Caution>), Fault> {
        let fine = |value| Ok((value, None));
        match *self {
            Self::Bool(reading) => read_bool(reading, key, text),
            Self::YesNo => match text {
                "yes" | "no" => fine(Value::Bool(text == "yes")),
                _ => self.replaced(key, text, Value::Bool(key.default == "yes"), key.default),
            },
            Self::Int { reading, min, max } => self.read_int(key, text, reading, min, max),
            Self::Port => read_port(self, text).map(|port| (port, None)),
            Self::Real { reading, min, max } => match text.parse::<f64>() {
                Ok(value) if value.is_finite() && (min..=max).contains(&value) => {
                    fine(Value::Real(value))
                }
                _ if reading == Reading::Lenient => {
                    let default = key.default.parse().unwrap_or(min);
                    self.replaced(key, text, Value::Real(default), key.default)
                }
                Ok(_) => Err(Fault::OutOfRange {
                    found: text.to_owned(),
                    allowed: self.allowed(),
                }),
                Err(_) => Err(self.not_a_number(text)),
            },
            Self::Hours => parse_hours(text).map_or_else(
                || Err(self.not_a_number(text)),
                |ms| fine(Value::Millis(ms)),
            ),
            Self::Choice { reading, words } => {
                match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
                    Some(word) => fine(Value::Text((*word).to_owned())),
                    None if reading == Reading::Lenient => {
                        self.replaced(key, text, Value::Text(key.default.to_owned()), key.default)
                    }
                    None => Err(Fault::NotAChoice {
                        found: text.to_owned(),
                        allowed: self.allowed(),
                    }),
                }
            }
            Self::Path | Self::Host if text.is_empty() => Err(Fault::Empty {
                allowed: self.allowed(),
            }),
            Self::Host => fine(Value::Text(host::read(text, || self.allowed())?)),
            Self::Path | Self::List | Self::Text => fine(Value::Text(text.to_owned())),
        }
    }

    fn read_int(
        &self,
        key: &Key,
        text: &str,
        reading: Reading,
        min: i64,
        max: i64,
    ) -> Result<(Value, Option<Caution>), Fault> {
        let number = match reading {
            Reading::Strict => parse_decimal(text),
            Reading::Lenient => parse_java_literal(text),
        };
        match (number, reading) {
            (Some(number), _) if (min..=max).contains(&number) => Ok((Value::Int(number), None)),
            (Some(number), Reading::Lenient) if number < min => {
                let allowed = self.allowed();
                let caution = Caution::Clamped {
                    key: key.name.to_owned(),
                    found: number,
                    allowed,
                    used: min,
                };
                Ok((Value::Int(min), Some(caution)))
            }
            // Too large for Java's type is not a number to Java, and a lenient reader then takes
            // the default.
            (_, Reading::Lenient) => {
                let default = parse_decimal(key.default).unwrap_or(min);
                self.replaced(key, text, Value::Int(default), key.default)
            }
            (Some(number), Reading::Strict)
                if (INT_MIN..=INT_MAX).contains(&number) || max > INT_MAX =>
            {
                Err(Fault::OutOfRange {
                    found: text.to_owned(),
                    allowed: self.allowed(),
                })
            }
            (_, Reading::Strict) => Err(self.not_a_number(text)),
        }
    }

    fn replaced(
        &self,
        key: &Key,
        text: &str,
        value: Value,
        used: &str,
    ) -> Result<(Value, Option<Caution>), Fault> {
        let (found, allowed) = (text.to_owned(), self.allowed());
        let caution = Caution::Replaced {
            key: key.name.to_owned(),
            found,
            allowed,
            used: if used.is_empty() {
                "nothing".to_owned()
            } else {
                used.to_owned()
            },
        };
        Ok((value, Some(caution)))
    }

    fn not_a_number(&self, text: &str) -> Fault {
        Fault::NotANumber {
            found: text.to_owned(),
            allowed: self.allowed(),
        }
    }
}

fn read_bool(reading: Reading, key: &Key, text: &str) -> Result<(Value, Option<Caution>), Fault> {
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        return Ok((Value::Bool(text.eq_ignore_ascii_case("true")), None));
    }
    match reading {
        Reading::Strict => Err(Fault::NotABoolean {
            found: text.to_owned(),
            key: key.name.to_owned(),
        }),
        Reading::Lenient => Kind::Bool(reading).replaced(key, text, Value::Bool(false), "false"),
    }
}

fn read_port(kind: &Kind, text: &str) -> Result<Value, Fault> {
    let number = parse_decimal(text).filter(|number| (INT_MIN..=INT_MAX).contains(number));
    match number {
        Some(port) if u16::try_from(port).is_ok() => Ok(Value::Int(port)),
        Some(_) => Err(Fault::PortOutOfRange {
            found: text.to_owned(),
            allowed: kind.allowed(),
        }),
        None => Err(kind.not_a_number(text)),
    }
}

/// `Long.parseLong`: an optional sign and ASCII digits.
pub(super) fn parse_decimal(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// `Long.decode`: decimal, `0x`/`0X`/`#` hexadecimal, or octal after a leading zero; a sign may
/// come first.
fn parse_java_literal(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let hexadecimal = ["0x", "0X", "#"]
        .iter()
        .find_map(|prefix| digits.strip_prefix(prefix));
    let (digits, radix) = match hexadecimal {
        Some(rest) => (rest, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None; // a second sign, which from_str_radix would take
    }
    let signed = format!("{}{digits}", if negative { "-" } else { "" });
    i64::from_str_radix(&signed, radix).ok()
}

/// Milliseconds of an interval whose bare number means hours. Zero and less mean "never".
fn parse_hours(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "" | "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let number =
        parse_decimal(digits.trim_end()).filter(|number| (INT_MIN..=INT_MAX).contains(number))?;
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_literals() {
        for (text, expected) in [
            ("10", Some(10)),
            ("0x10", Some(16)),
            ("0X1f", Some(31)),
            ("#ff", Some(255)),
            ("-0x10", Some(-16)),
            ("010", Some(8)),
            ("-010", Some(-8)),
            ("0", Some(0)),
            ("+5", Some(5)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("08", None),
            ("--5", None),
            ("0x-5", None),
            ("0x", None),
            ("", None),
            ("-", None),
            ("5k", None),
            ("é", None),
        ] {
            assert_eq!(parse_java_literal(text), expected, "{text}");
        }
    }

    #[test]
    fn intervals() {
        for (text, expected) in [
            ("24", Some(86_400_000)),
            ("0", Some(0)),
            ("-1", Some(-3_600_000)),
            ("30m", Some(1_800_000)),
            ("500ms", Some(500)),
            ("2 h", Some(7_200_000)),
            ("1D", Some(86_400_000)),
            ("m", None),
            ("1w", None),
            ("1.5", None),
            ("", None),
            ("99999999999", None),
        ] {
            assert_eq!(parse_hours(text), expected, "{text}");
        }
    }
}
