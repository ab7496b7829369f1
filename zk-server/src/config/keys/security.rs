//! Who may do what. What this release cannot enforce, it refuses to pretend.

use super::super::value::{Kind, LENIENT, Reading, STRICT};
use super::{Key, jvm, parsed, passed};

const NO_TLS: &str = "this release has no TLS; remove the key, and protect the port by a private \
                      network or a TLS proxy";
const NO_SASL: &str =
    "this release has no SASL; remove the key and authenticate with the digest scheme";
const NO_QUORUM_SASL: &str = "this release has no SASL between servers; remove the key";
const NO_PROVIDERS: &str =
    "this release has the schemes world, ip, digest and auth only; remove the key";
const NO_X509: &str = "this release has no X509 authentication; remove the key and use \
                       DigestAuthenticationProvider.superDigest for a super user";
const TUNES_SASL: &str = "it tunes SASL, which this release refuses to switch on";
const TUNES_TLS: &str = "it tunes TLS, which this release refuses to switch on";
const DIGESTS: Kind = Kind::Choice {
    reading: Reading::Strict,
    words: &["SHA1", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512"],
};
const OFF: &[&str] = &["false"];
const NO_PROVIDER: &[&str] = &["", "none"];

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    passed("DigestAuthenticationProvider.superDigest", Kind::Text, "", "super:digest",
        "who proves to be this user bypasses every ACL")
        .secret(),
    passed("DigestAuthenticationProvider.enabled", LENIENT, "true", "bool",
        "allow the digest scheme"),
    passed("DigestAuthenticationProvider.digestAlg", DIGESTS, "SHA1", "word",
        "the hash of the digest scheme; changing it locks out existing digest ACLs"),
    passed("enforce.auth.enabled", LENIENT, "false", "bool",
        "clients must authenticate before anything else"),
    passed("enforce.auth.schemes", Kind::List, "", "list",
        "one of these schemes must have been used"),
    passed("X509AuthenticationProvider.superUser", Kind::Text, "", "DN",
        "the certificate subject that is super")
        .not_yet(NO_X509, &[]),
    passed("superUser", Kind::Text, "", "id",
        "the SASL id that is super")
        .not_yet(NO_SASL, &[]),
    passed("superUser.*", Kind::Text, "", "id",
        "further SASL ids that are super")
        .not_yet(NO_SASL, &[]),
    passed("SASLAuthenticationProvider.superPassword", Kind::Text, "", "password",
        "SASL password of the user super")
        .secret().not_yet(NO_SASL, &[]),
    passed("letAnySaslUserDoX", Kind::Text, "", "id",
        "an ACL id that any SASL user satisfies")
        .not_yet(NO_SASL, &[]),
    passed("authProvider.*", Kind::Text, "", "class",
        "further authentication schemes")
        .not_yet(NO_PROVIDERS, NO_PROVIDER),
    passed("ensembleAuthName", Kind::List, "", "list",
        "names for the scheme ensemble")
        .not_yet(NO_PROVIDERS, NO_PROVIDER),
    passed("IPAuthenticationProvider.usexforwardedfor", LENIENT, "false", "bool",
        "trust X-Forwarded-For of admin requests")
        .without_effect("this release has no admin HTTP server"),
    passed("sessionRequireClientSASLAuth", LENIENT, "false", "bool",
        "clients must authenticate with SASL")
        .not_yet(NO_SASL, OFF),
    passed("allowSaslFailedClients", LENIENT, "false", "bool",
        "keep clients whose SASL authentication failed")
        .not_yet(NO_SASL, OFF),
    passed("kerberos.*", LENIENT, "false", "bool",
        "how Kerberos principals become ids")
        .without_effect(TUNES_SASL),
    passed("requireKerberosConfig", LENIENT, "false", "bool",
        "fail without a Kerberos configuration")
        .without_effect(TUNES_SASL),
    passed("security.auth_to_local", Kind::Text, "DEFAULT", "rules",
        "how Kerberos principals become names")
        .without_effect(TUNES_SASL),
    passed("sasl.*", Kind::Text, "", "word",
        "JAAS section and mechanism")
        .without_effect(TUNES_SASL),
    passed("server.realm", Kind::Text, "", "realm",
        "Kerberos realm of the server")
        .without_effect(TUNES_SASL),
    jvm("java.security.auth.login.config", Kind::Path, "", "path",
        "the JAAS file")
        .not_yet(NO_SASL, &[""]),
    parsed("quorum.auth.enableSasl", STRICT, "false", "bool",
        "servers authenticate to each other")
        .not_yet(NO_QUORUM_SASL, OFF),
    parsed("quorum.auth.learnerRequireSasl", STRICT, "false", "bool",
        "a learner insists on SASL")
        .not_yet(NO_QUORUM_SASL, OFF),
    parsed("quorum.auth.serverRequireSasl", STRICT, "false", "bool",
        "a leader insists on SASL")
        .not_yet(NO_QUORUM_SASL, OFF),
    parsed("quorum.auth.kerberos.servicePrincipal", Kind::Text, "zkquorum/localhost", "principal",
        "Kerberos principal of the servers")
        .without_effect(TUNES_SASL),
    parsed("quorum.auth.learner.saslLoginContext", Kind::Text, "QuorumLearner", "word",
        "JAAS section of a learner")
        .without_effect(TUNES_SASL),
    parsed("quorum.auth.server.saslLoginContext", Kind::Text, "QuorumServer", "word",
        "JAAS section of a leader")
        .without_effect(TUNES_SASL),
    parsed("sslQuorum", STRICT, "false", "bool",
        "TLS between servers")
        .not_yet(NO_TLS, OFF),
    parsed("portUnification", STRICT, "false", "bool",
        "TLS and plain on the quorum port")
        .not_yet(NO_TLS, OFF),
    parsed("sslQuorumReloadCertFiles", STRICT, "false", "bool",
        "reload quorum certificates that change")
        .without_effect(TUNES_TLS),
    passed("client.portUnification", LENIENT, "false", "bool",
        "TLS and plain on the client port")
        .not_yet(NO_TLS, OFF),
    passed("client.certReload", LENIENT, "false", "bool",
        "reload client certificates that change")
        .without_effect(TUNES_TLS),
    passed("ssl.*", Kind::Text, "", "various",
        "key stores, trust stores, protocols of TLS")
        .secret().not_yet(NO_TLS, &[]),
    passed("fips-mode", LENIENT, "true", "bool",
        "restrict TLS to what FIPS allows")
        .without_effect(TUNES_TLS),
];
