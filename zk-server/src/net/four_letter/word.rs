//! The words themselves, and which of them an operator allows.

use std::fmt;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $bytes:literal, $text:literal;)*) => {
        /// A word that stands where a frame's length would.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Word {
            $($(#[$doc])* $name,)*
        }

        impl Word {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Reads the first four bytes of a connection. `None` is no word: a length, good or bad.
            pub const fn parse(bytes: [u8; 4]) -> Option<Self> {
                match &bytes {
                    $($bytes => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name it has in a whitelist.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

words! {
    /// The configuration.
    Conf = b"conf", "conf";
    /// Every connection in full.
    Cons = b"cons", "cons";
    /// Begins the connections' counts anew.
    Crst = b"crst", "crst";
    /// Sizes of the directories.
    Dirs = b"dirs", "dirs";
    /// Sessions and ephemeral nodes.
    Dump = b"dump", "dump";
    /// The process's surroundings.
    Envi = b"envi", "envi";
    /// Shows the trace mask.
    Gtmk = b"gtmk", "gtmk";
    /// Digests of the tree.
    Hash = b"hash", "hash";
    /// Whether only reads are served.
    Isro = b"isro", "isro";
    /// Every metric.
    Mntr = b"mntr", "mntr";
    /// Are you OK?
    Ruok = b"ruok", "ruok";
    /// Begins the server's counts anew.
    Srst = b"srst", "srst";
    /// The server in short.
    Srvr = b"srvr", "srvr";
    /// The server and its connections in short.
    Stat = b"stat", "stat";
    /// Sets the trace mask.
    Stmk = b"stmk", "stmk";
    /// Watches by session.
    Wchc = b"wchc", "wchc";
    /// Watches by path.
    Wchp = b"wchp", "wchp";
    /// How many watches.
    Wchs = b"wchs", "wchs";
    /// What telnet sends when it is interrupted.
    TelnetClose = b"\xff\xf4\xff\xfd", "telnet close";
}

impl Word {
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The words that are answered; the others are refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whitelist(u32);

impl Whitelist {
    /// Reads `4lw.commands.whitelist`: words between commas, or `*`. As in Java, `srvr` is always allowed, and
    /// `isro` on a server that may serve reads alone; unknown words are passed over.
    pub fn new(list: Option<&str>, read_only_mode: bool) -> Self {
        let mut allowed = Word::Srvr.bit();
        if read_only_mode {
            allowed |= Word::Isro.bit();
        }
        for entry in list.unwrap_or_default().split(',').map(java_trim) {
            for word in Word::ALL {
                if entry == "*" || entry == word.name() {
                    allowed |= word.bit();
                }
            }
        }
        Self(allowed)
    }

    /// Whether a word is answered.
    pub const fn allows(self, word: Word) -> bool {
        self.0 & word.bit() != 0
    }

    /// How many bytes after a word belong to it. A word that is not answered has none: nobody waits for
    /// them before he refuses it.
    pub const fn more_bytes(self, word: Word) -> usize {
        if matches!(word, Word::Stmk) && self.allows(word) {
            8
        } else {
            0
        }
    }
}

/// `String.trim`: everything up to U+0020 counts as blank.
fn java_trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allowed(list: Option<&str>, read_only_mode: bool) -> String {
        let whitelist = Whitelist::new(list, read_only_mode);
        let words = Word::ALL.iter().filter(|word| whitelist.allows(**word));
        words.map(|word| word.name()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_whitelist_reads_as_java_reads_it() {
        assert_eq!(allowed(None, false), "srvr");
        assert_eq!(allowed(None, true), "isro srvr");
        assert_eq!(allowed(Some(""), false), "srvr");
        assert_eq!(allowed(Some("ruok, mntr"), false), "mntr ruok srvr");
        assert_eq!(
            allowed(Some(" stat ,, nope,RUOK,telnet close"), false),
            "srvr stat telnet close"
        );
        assert_eq!(
            allowed(Some("ruok, * "), false).split(' ').count(),
            Word::ALL.len() + 1
        );
    }

    #[test]
    fn every_word_is_found_by_its_bytes() {
        for word in Word::ALL {
            // All but telnet's are their own names.
            let bytes = word
                .name()
                .as_bytes()
                .try_into()
                .unwrap_or([0xff, 0xf4, 0xff, 0xfd]);
            assert_eq!(Word::parse(bytes), Some(*word));
        }
        assert_eq!(Word::parse(*b"RUOK"), None);
        assert_eq!(Word::parse([0, 0, 0, 45]), None);
    }

    #[test]
    fn a_refused_word_is_not_waited_for() {
        let more = |list| Whitelist::new(list, false).more_bytes(Word::Stmk);
        assert_eq!(more(Some("stmk")), 8);
        assert_eq!(more(Some("gtmk")), 0);
        assert_eq!(Whitelist::new(Some("*"), false).more_bytes(Word::Gtmk), 0);
    }

    proptest! {
        #[test]
        fn any_four_bytes_are_a_word_or_not(bytes: [u8; 4]) {
            let known = Word::ALL.iter().any(|word| word.name().as_bytes() == bytes)
                || bytes == [0xff, 0xf4, 0xff, 0xfd];
            prop_assert_eq!(Word::parse(bytes).is_some(), known);
        }

        #[test]
        fn any_whitelist_allows_srvr(list: String, read_only_mode: bool) {
            let whitelist = Whitelist::new(Some(&list), read_only_mode);
            prop_assert!(whitelist.allows(Word::Srvr));
            prop_assert!(!read_only_mode || whitelist.allows(Word::Isro));
        }
    }
}
