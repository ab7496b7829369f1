//! A server's first token, read: a list of `name=value` and `name="value"`.

use super::{SaslError, hashed};

/// What of a challenge matters to us.
#[derive(Debug)]
pub(super) struct Challenge {
    pub(super) realm: Vec<u8>,
    pub(super) realm_hashed: Vec<u8>,
    pub(super) nonce: Vec<u8>,
    pub(super) utf8: bool,
}

impl Challenge {
    pub(super) fn parse(token: &[u8]) -> Result<Self, SaslError> {
        let directives = directives(token)?;
        let find = |wanted: &str| {
            let found = directives.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_slice())
        };
        let shown =
            |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        let unsupported = |what, value, expected| SaslError::Unsupported {
            what,
            found: shown(value),
            expected,
        };
        let nonce = find("nonce").filter(|nonce| !nonce.is_empty());
        let nonce = nonce.ok_or_else(|| unsupported("nonce", None, "one"))?;
        let algorithm = find("algorithm");
        if algorithm != Some(b"md5-sess") {
            return Err(unsupported("algorithm", algorithm, "md5-sess"));
        }
        let qop = find("qop");
        let offered = qop.unwrap_or(b"auth").split(|&byte| byte == b',');
        if !offered.map(<[u8]>::trim_ascii).any(|word| word == b"auth") {
            return Err(unsupported("qop", qop, "auth"));
        }
        let utf8 = find("charset").is_some_and(|charset| charset.eq_ignore_ascii_case(b"utf-8"));
        let realm = find("realm").unwrap_or_default().to_vec();
        let realm_hashed = match str::from_utf8(&realm) {
            Ok(text) if utf8 => hashed(text, true),
            _ => realm.clone(),
        };
        Ok(Self {
            realm,
            realm_hashed,
            nonce: nonce.to_vec(),
            utf8,
        })
    }
}

/// The directives of a token in their order, names in lower case.
pub(super) fn directives(token: &[u8]) -> Result<Vec<(String, Vec<u8>)>, SaslError> {
    let mut found = Vec::new();
    let mut scanner = Scanner { token, at: 0 };
    loop {
        // Java's servers may pad with blanks and leave elements empty, as the RFC allows.
        while scanner.skip(|byte| byte == b',' || byte.is_ascii_whitespace()) {}
        if scanner.at == token.len() {
            return Ok(found);
        }
        let name = scanner.run(|byte| byte != b'=' && byte != b',' && byte != b'"');
        let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
        if name.is_empty() || !scanner.skip(|byte| byte == b'=') {
            return Err(scanner.malformed());
        }
        while scanner.skip(|byte| byte.is_ascii_whitespace()) {}
        let value = if scanner.skip(|byte| byte == b'"') {
            scanner.quoted()?
        } else {
            scanner.run(|byte| byte != b',').trim_ascii().to_vec()
        };
        found.push((name, value));
    }
}

struct Scanner<'a> {
    token: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.token.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    /// Steps over one byte if it is wanted.
    fn skip(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let here = self.token.get(self.at).is_some_and(|&byte| wanted(byte));
        self.at += usize::from(here);
        here
    }

    /// All bytes from here that are wanted.
    fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.token.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|&byte| !wanted(byte));
        let run = rest.get(..len.unwrap_or(rest.len())).unwrap_or(rest);
        self.at += run.len();
        run
    }

    /// What stands before the closing quote.
    fn quoted(&mut self) -> Result<Vec<u8>, SaslError> {
        let mut value = Vec::new();
        loop {
            let literal = match self.next() {
                Some(b'"') => return Ok(value),
                Some(b'\\') => self.next(),
                other => other,
            };
            value.push(literal.ok_or_else(|| self.malformed())?);
        }
    }

    const fn malformed(&self) -> SaslError {
        SaslError::Malformed { at: self.at }
    }
}
