//! The names of the files in a data directory, as Java spells and reads them.

use zk_proto::Zxid;

/// How a snapshot file is packed; its suffix says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// `.gz`
    Gzip,
    /// `.snappy`, in the framing of the Java library of that name.
    Snappy,
}

impl Compression {
    const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Snappy => ".snappy",
        }
    }
}

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileName {
    /// `log.<zxid of its first transaction>`
    Log(Zxid),
    /// `snapshot.<zxid it is named for>` and a suffix.
    Snapshot(Zxid, Compression),
    /// `*.tmp`: half of an atomic replacement.
    Tmp,
}

impl FileName {
    /// Reads a name; `None` for files that are neither ours nor Java's.
    pub fn parse(name: &str) -> Option<Self> {
        let path = std::path::Path::new(name);
        if path.extension().is_some_and(|suffix| suffix == "tmp") {
            return Some(Self::Tmp);
        }
        if let Some(zxid) = name.strip_prefix("log.") {
            return parse_zxid(zxid).map(Self::Log);
        }
        let rest = name.strip_prefix("snapshot.")?;
        let (zxid, compression) = match rest.split_once('.') {
            None => (rest, Compression::None),
            Some((zxid, "gz")) => (zxid, Compression::Gzip),
            Some((zxid, "snappy")) => (zxid, Compression::Snappy),
            Some(_) => return None,
        };
        Some(Self::Snapshot(parse_zxid(zxid)?, compression))
    }
}

/// Java's `Long.parseLong(_, 16)`, without the signs it would take.
fn parse_zxid(hex: &str) -> Option<Zxid> {
    if !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(hex, 16).ok().map(Zxid::from_wire)
}

/// The name of the log that begins with `first`.
pub fn log_name(first: Zxid) -> String {
    format!("log.{first:x}")
}

/// The name of the snapshot for `zxid`.
pub fn snapshot_name(zxid: Zxid, compression: Compression) -> String {
    format!("snapshot.{zxid:x}{}", compression.suffix())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_java_reads_them() {
        let zxid = Zxid::from_wire(0x1_0000_001c);
        assert_eq!(FileName::parse("log.10000001c"), Some(FileName::Log(zxid)));
        for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
            assert_eq!(
                FileName::parse(&snapshot_name(zxid, compression)),
                Some(FileName::Snapshot(zxid, compression))
            );
        }
        assert_eq!(FileName::parse("snapshot.34.tmp"), Some(FileName::Tmp));
        for other in [
            "log",
            "log.",
            "log.xyz",
            "log.1.2",
            "snapshot.",
            "snapshot.1.xz",
            ".durable",
            "log.-1",
            "log.+1",
        ] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn names_are_written_as_java_writes_them() {
        assert_eq!(log_name(Zxid::from_wire(0x1_0000_001c)), "log.10000001c");
        assert_eq!(snapshot_name(Zxid::ZERO, Compression::None), "snapshot.0");
    }
}
