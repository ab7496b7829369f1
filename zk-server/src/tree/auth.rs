//! Proving an identity by a secret: the scheme `digest`, and the superuser behind it.

use super::{DigestAlgorithm, Identity, Rules};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// The credentials were refused, or there is no such scheme; the answer is the same for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credentials were refused")]
pub struct AuthRefused;

/// Judges an auth packet and returns the identities it adds.
///
/// Schemes that need more than the packet (`ip`, `x509`, `sasl`, `ensemble`) belong to the connection.
pub fn authenticate(
    rules: &Rules,
    scheme: &str,
    auth: Option<&[u8]>,
) -> Result<Vec<Identity>, AuthRefused> {
    if scheme == "ip" {
        // Every connection has its address among its identities already.
        return Ok(Vec::new());
    }
    let (("digest", Some(algorithm)), Some(auth)) = ((scheme, rules.digest_auth), auth) else {
        return Err(AuthRefused);
    };
    let id = digest_identity(algorithm, &String::from_utf8_lossy(auth));
    let is_super = rules
        .super_digest
        .as_ref()
        .is_some_and(|expected| same(expected.as_bytes(), id.as_bytes()));
    let mut identities = Vec::with_capacity(2);
    if is_super {
        identities.push(Identity::superuser());
    }
    identities.push(Identity::new("digest", id));
    Ok(identities)
}

/// Whether an auth packet may be a try to find something out: one that will be refused, or one that would
/// make a superuser if its password were right. Any other secret is as good as the next, so nobody
/// guesses it here.
pub fn is_guess(rules: &Rules, scheme: &str, auth: Option<&[u8]>) -> bool {
    match (scheme, auth) {
        ("ip", _) => false,
        ("digest", Some(auth)) if rules.digest_auth.is_some() => {
            let user = auth.split(|byte| *byte == b':').next();
            let is_super = |digest: &String| digest.as_bytes().split(|b| *b == b':').next() == user;
            rules.super_digest.as_ref().is_some_and(is_super)
        }
        _ => true,
    }
}

/// The id of `user:password`: the user and the hash of both.
pub fn digest_identity(algorithm: DigestAlgorithm, credentials: &str) -> String {
    let user = credentials.split(':').next().unwrap_or_default();
    let bytes = credentials.as_bytes();
    let hash = match algorithm {
        DigestAlgorithm::Sha1 => STANDARD.encode(Sha1::digest(bytes)),
        DigestAlgorithm::Sha224 => STANDARD.encode(Sha224::digest(bytes)),
        DigestAlgorithm::Sha256 => STANDARD.encode(Sha256::digest(bytes)),
        DigestAlgorithm::Sha384 => STANDARD.encode(Sha384::digest(bytes)),
        DigestAlgorithm::Sha512 => STANDARD.encode(Sha512::digest(bytes)),
    };
    format!("{user}:{hash}")
}

/// Compares without telling by the time it takes where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |seen, (x, y)| seen | (x ^ y));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_java_s() {
        let id = digest_identity(DigestAlgorithm::Sha1, "super:admin");
        assert_eq!(id, "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=");
        let no_colon = digest_identity(DigestAlgorithm::Sha1, "alone");
        assert!(no_colon.starts_with("alone:"));
    }

    #[test]
    fn the_superuser_is_also_a_user() {
        let rules = Rules {
            super_digest: Some("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=".into()),
            ..Rules::default()
        };
        let check = |secret: &[u8], count| {
            let identities = authenticate(&rules, "digest", Some(secret)).unwrap();
            assert_eq!(identities.len(), count);
        };
        check(b"super:admin", 2);
        check(b"super:Admin", 1);
        check(b"", 1);
    }

    #[test]
    fn only_what_could_be_found_out_is_a_guess() {
        let mut rules = Rules::default();
        assert!(!is_guess(&rules, "ip", None));
        assert!(!is_guess(&rules, "digest", Some(b"super:x")));
        assert!(is_guess(&rules, "digest", None));
        assert!(is_guess(&rules, "sasl", Some(b"super:x")));
        rules.super_digest = Some("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=".into());
        assert!(is_guess(&rules, "digest", Some(b"super:x")));
        assert!(is_guess(&rules, "digest", Some(b"super:admin")));
        assert!(!is_guess(&rules, "digest", Some(b"user:x")));
    }

    #[test]
    fn other_schemes_and_missing_secrets_are_refused() {
        let rules = Rules::default();
        for (scheme, auth) in [
            ("world", Some(&b""[..])),
            ("sasl", Some(b"x")),
            ("digest", None),
        ] {
            assert_eq!(
                authenticate(&rules, scheme, auth),
                Err(AuthRefused),
                "{scheme}"
            );
        }
        let off = Rules {
            digest_auth: None,
            ..Rules::default()
        };
        assert_eq!(authenticate(&off, "digest", Some(b"a:b")), Err(AuthRefused));
    }
}
