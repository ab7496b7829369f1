//! What the operator decided about the tree, read once at the start.

/// How a digest identity is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// Java's default.
    #[default]
    Sha1,
    /// `SHA-224`.
    Sha224,
    /// `SHA-256`.
    Sha256,
    /// `SHA-384`.
    Sha384,
    /// `SHA-512`.
    Sha512,
}

impl DigestAlgorithm {
    /// Reads the name Java's property uses.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "SHA1" | "SHA-1" | "SHA" => Some(Self::Sha1),
            "SHA-224" => Some(Self::Sha224),
            "SHA-256" => Some(Self::Sha256),
            "SHA-384" => Some(Self::Sha384),
            "SHA-512" => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// The switches that decide what the tree accepts.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch of the operator"
)]
pub struct Rules {
    /// Whether nodes may age (`zookeeper.extendedTypesEnabled`).
    pub extended_types: bool,
    /// Whether negative owners are TTLs in the form of 3.5.3 (`zookeeper.emulate353TTLNodes`).
    pub emulate_353: bool,
    /// Whether everything is permitted (`zookeeper.skipACL`).
    pub skip_acl: bool,
    /// Whether hard quotas refuse (`zookeeper.enforceQuota`).
    pub enforce_quota: bool,
    /// Whether digests are computed and compared (`zookeeper.digest.enabled`).
    pub digest: bool,
    /// Whether closing a session lists its ephemeral nodes (`zookeeper.closeSessionTxn.enabled`).
    pub close_session_txn_list: bool,
    /// The longest transaction record that may be proposed. Java's peers read up to `jute.maxbuffer` and
    /// `jute.maxbuffer.extrasize` together, so that is the default (S64, ZOOKEEPER-4306).
    pub max_txn_len: usize,
    /// How digest identities are computed; `None` when the scheme is switched off.
    pub digest_auth: Option<DigestAlgorithm>,
    /// The digest identity that may do everything (`…DigestAuthenticationProvider.superDigest`).
    pub super_digest: Option<String>,
    /// Whether the scheme `sasl` is registered.
    pub sasl: bool,
    /// The ACL id that every SASL identity matches (`zookeeper.letAnySaslUserDoX`).
    pub let_any_sasl_user_do: Option<String>,
    /// Whether the scheme `x509` is registered.
    pub x509: bool,
    /// Seeds the path index. The index is never iterated, so the seed is not observable; one that clients
    /// cannot guess keeps them from choosing paths that collide.
    pub hash_seed: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            extended_types: false,
            emulate_353: false,
            skip_acl: false,
            enforce_quota: false,
            digest: true,
            close_session_txn_list: true,
            max_txn_len: 2 * zk_proto::jute::DEFAULT_MAX_BUFFER,
            digest_auth: Some(DigestAlgorithm::Sha1),
            super_digest: None,
            sasl: false,
            let_any_sasl_user_do: None,
            x509: false,
            hash_seed: 0,
        }
    }
}
