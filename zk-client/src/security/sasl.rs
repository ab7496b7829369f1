//! SASL DIGEST-MD5 (RFC 2831), as ZooKeeper's servers speak it: quality of protection `auth`, service
//! `zookeeper`, host `zk-sasl-md5`.
//!
//! Pure: tokens in, tokens out, chance as an argument. The exchange runs in requests of opcode 102, after the
//! connection is established and before anything else is sent on it:
//!
//! ```text
//!   start()          ──► an empty token
//!   realm, nonce     ◄──   on_challenge ──► Step::Send(response)
//!   rspauth          ◄──   on_challenge ──► Step::Done
//! ```
//!
//! The password never travels, but MD5 is what it is: without TLS, whoever listens may guess at leisure.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod challenge;

use bytes::Bytes;
use challenge::Challenge;
use md5::{Digest, Md5};
use std::fmt;

const DIGEST_URI: &str = "zookeeper/zk-sasl-md5";
const NONCE_COUNT: &str = "00000001";

/// Who we are, and how we prove it. Its `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    user: String,
    password: String,
}

impl Login {
    /// A user of the server's JAAS file, where it is written as `user_<name>="<password>"`.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
        }
    }

    /// Begins an exchange on a new connection. The number has to be one that nobody can foresee.
    pub fn begin(&self, chance: u128) -> Sasl {
        Sasl {
            login: self.clone(),
            cnonce: format!("{chance:032x}"),
            expects: Expects::Challenge,
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What to do with a server's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this back, and hand over the answer.
    Send(Bytes),
    /// Both sides have proved themselves; nothing more is to be sent.
    Done,
}

/// Why an exchange failed. Nothing here is cured by trying again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// The server has no SASL: it answers with no token at all.
    #[error("the server does not ask for SASL; it has no JAAS configuration for clients")]
    NotOffered,
    /// The token is no list of `name=value`.
    #[error("the server's challenge cannot be read at byte {at}")]
    Malformed {
        /// Where it ceases to make sense.
        at: usize,
    },
    /// The challenge lacks something, or asks for what is not spoken here.
    #[error("the server's challenge has {what} {found:?}; expected {expected}")]
    Unsupported {
        /// Which directive.
        what: &'static str,
        /// Its value, empty if it is missing.
        found: String,
        /// What is spoken here.
        expected: &'static str,
    },
    /// The server does not know the password, so that it is not the server we look for.
    #[error("the server did not prove that it knows the password")]
    ServerNotProved,
    /// A token after the end.
    #[error("the server sent a token after the exchange was over")]
    Over,
}

#[derive(Debug)]
enum Expects {
    Challenge,
    Proof { rspauth: String },
    Nothing,
}

/// One exchange on one connection.
#[derive(Debug)]
pub struct Sasl {
    login: Login,
    cnonce: String,
    expects: Expects,
}

impl Sasl {
    /// The first token: DIGEST-MD5 lets the server begin.
    pub const fn start(&self) -> Bytes {
        Bytes::new()
    }

    /// Takes the token of a successful reply; no token is an empty one.
    pub fn on_challenge(&mut self, token: &[u8]) -> Result<Step, SaslError> {
        match std::mem::replace(&mut self.expects, Expects::Nothing) {
            Expects::Challenge if token.is_empty() => Err(SaslError::NotOffered),
            Expects::Challenge => {
                let challenge = Challenge::parse(token)?;
                let rspauth = self.proof("", &challenge);
                self.expects = Expects::Proof { rspauth };
                Ok(Step::Send(self.response(&challenge).into()))
            }
            Expects::Proof { rspauth } => {
                let directives = challenge::directives(token)?;
                let found = directives.iter().find(|(name, _)| name == "rspauth");
                if found.is_some_and(|(_, value)| *value == rspauth.as_bytes()) {
                    Ok(Step::Done)
                } else {
                    Err(SaslError::ServerNotProved)
                }
            }
            Expects::Nothing => Err(SaslError::Over),
        }
    }

    fn response(&self, challenge: &Challenge) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        if challenge.utf8 {
            out.extend_from_slice(b"charset=utf-8,");
        }
        let mut put = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            for &byte in value {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            out.extend_from_slice(b"\",");
        };
        put("username", &encoded(&self.login.user, challenge.utf8));
        put("realm", &challenge.realm);
        put("nonce", &challenge.nonce);
        put("cnonce", self.cnonce.as_bytes());
        put("digest-uri", DIGEST_URI.as_bytes());
        let proof = self.proof("AUTHENTICATE", challenge);
        out.extend_from_slice(
            format!("nc={NONCE_COUNT},qop=auth,maxbuf=65536,response={proof}").as_bytes(),
        );
        out
    }

    /// Ours with the verb `AUTHENTICATE`, the server's with none (RFC 2831, 2.1.2.1 and 2.1.3).
    fn proof(&self, verb: &str, challenge: &Challenge) -> String {
        let secret = Md5::new()
            .chain_update(hashed(&self.login.user, challenge.utf8))
            .chain_update(b":")
            .chain_update(&challenge.realm_hashed)
            .chain_update(b":")
            .chain_update(hashed(&self.login.password, challenge.utf8))
            .finalize();
        let a1 = Md5::new()
            .chain_update(secret)
            .chain_update(b":")
            .chain_update(&challenge.nonce)
            .chain_update(b":")
            .chain_update(&self.cnonce)
            .finalize();
        let a2 = Md5::digest(format!("{verb}:{DIGEST_URI}"));
        let whole = Md5::new()
            .chain_update(hex(&a1))
            .chain_update(b":")
            .chain_update(&challenge.nonce)
            .chain_update(format!(":{NONCE_COUNT}:{}:auth:{}", self.cnonce, hex(&a2)))
            .finalize();
        hex(&whole)
    }
}

/// Text as it travels.
fn encoded(text: &str, utf8: bool) -> Vec<u8> {
    if utf8 {
        text.as_bytes().to_vec()
    } else {
        latin1(text).unwrap_or_else(|| text.as_bytes().to_vec())
    }
}

/// Text as it is hashed: in Latin-1 wherever that can express it, even when it travels as UTF-8
/// (RFC 2831, 2.1.2.1).
fn hashed(text: &str, utf8: bool) -> Vec<u8> {
    latin1(text).unwrap_or_else(|| encoded(text, utf8))
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(c).ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "sasl/tests.rs"]
mod tests;
