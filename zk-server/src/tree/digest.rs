//! The digest of a node, the history of the tree's digest, and how far a digest may be trusted.
//!
//! The sum itself is kept by whoever changes nodes: the tree, and the pending changes before it.

use std::collections::VecDeque;
use zk_proto::txn::TxnDigest;
use zk_proto::{StoredStat, Zxid};

/// Every so many transactions the digest is remembered.
const INTERVAL: i64 = 128;
/// So many digests are remembered.
const REMEMBERED: usize = 1024;

/// Whether a path counts. What lies below `/zookeeper` is partly local to each server.
pub(super) fn counts(path: &str) -> bool {
    !path.starts_with("/zookeeper/")
}

/// The CRC-32 of the parts that only creation and new data change: path and data. The root is `""`.
pub(super) fn prefix(path: &str, data: Option<&[u8]>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(path.as_bytes());
    hasher.update(data.unwrap_or_default());
    hasher.finalize()
}

/// The digest of a node: the CRC-32 of path, data and stat.
pub(super) fn of_node(prefix: u32, stat: &StoredStat) -> u64 {
    let mut bytes = [0; StoredStat::WIRE_LEN];
    let mut at = 0;
    let mut put = |field: &[u8]| {
        bytes[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    };
    put(&stat.czxid.to_wire().to_be_bytes());
    put(&stat.mzxid.to_wire().to_be_bytes());
    put(&stat.pzxid.to_wire().to_be_bytes());
    put(&stat.ctime.to_be_bytes());
    put(&stat.mtime.to_be_bytes());
    put(&stat.version.0.to_be_bytes());
    put(&stat.cversion.0.to_be_bytes());
    put(&stat.aversion.0.to_be_bytes());
    put(&stat.ephemeral_owner.to_be_bytes());
    let mut hasher = crc32fast::Hasher::new_with_initial(prefix);
    hasher.update(&bytes);
    u64::from(hasher.finalize())
}

/// The digests at round zxids, for operators who compare servers.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<(Zxid, u64)>);

impl History {
    pub(super) fn note(&mut self, zxid: Zxid, digest: u64) {
        if zxid.to_wire() % INTERVAL == 0 {
            if self.0.len() == REMEMBERED {
                self.0.pop_front();
            }
            self.0.push_back((zxid, digest));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Zxid, u64)> {
        self.0.iter().copied()
    }
}

/// Whether the tree is known to be exactly what its zxid says.
///
/// Java writes snapshots while transactions apply, so a tree restored from one is a mixture until the
/// transactions of that time have been applied again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is: every transaction's digest is compared.
    Exact,
    /// It will be after this transaction, and then has this digest.
    From {
        /// The transaction after which the snapshot's writer knew the digest.
        zxid: Zxid,
        /// The digest.
        digest: u64,
    },
    /// Nobody wrote down when: the first transaction whose digest agrees ends the doubt.
    Unknown,
}

impl Trust {
    /// Judges the digest after a transaction. Returns whether all is well, and what to trust next.
    pub(super) fn judge(
        self,
        zxid: Zxid,
        digest: u64,
        expected: Option<TxnDigest>,
    ) -> (bool, Self) {
        let expected = expected
            .filter(|expected| expected.version == TxnDigest::VERSION)
            .map(|expected| expected.digest);
        match self {
            Self::Exact => (expected.is_none_or(|expected| expected == digest), self),
            Self::From { zxid: at, .. } if zxid < at => (true, self),
            Self::From {
                zxid: at,
                digest: there,
            } if zxid == at => (digest == there, Self::Exact),
            // The writer's transaction never came: what follows must agree all the same.
            Self::From { .. } => (
                expected.is_none_or(|expected| expected == digest),
                Self::Exact,
            ),
            Self::Unknown if expected == Some(digest) => (true, Self::Exact),
            Self::Unknown => (true, Self::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_keeps_round_zxids_only() {
        let mut history = History::default();
        for zxid in 1..=128 * 1030 {
            history.note(Zxid::from_wire(zxid), zxid.cast_unsigned());
        }
        let kept: Vec<_> = history.iter().collect();
        assert_eq!(kept.len(), 1024);
        assert_eq!(kept[0], (Zxid::from_wire(7 * 128), 7 * 128));
        assert_eq!(kept[1023].0, Zxid::from_wire(1030 * 128));
    }

    #[test]
    fn doubt_ends_where_the_snapshot_was_finished() {
        let expect = |digest| {
            Some(TxnDigest {
                version: TxnDigest::VERSION,
                digest,
            })
        };
        let z = Zxid::from_wire;
        let from = Trust::From {
            zxid: z(5),
            digest: 50,
        };
        for (trust, zxid, digest, expected, verdict) in [
            (Trust::Exact, 1, 10, expect(10), (true, Trust::Exact)),
            (Trust::Exact, 1, 10, expect(11), (false, Trust::Exact)),
            (Trust::Exact, 1, 10, None, (true, Trust::Exact)),
            (from, 4, 1, expect(2), (true, from)),
            (from, 5, 50, expect(50), (true, Trust::Exact)),
            (from, 5, 51, None, (false, Trust::Exact)),
            (from, 6, 60, expect(60), (true, Trust::Exact)),
            (from, 6, 60, expect(61), (false, Trust::Exact)),
            (Trust::Unknown, 1, 1, expect(2), (true, Trust::Unknown)),
            (Trust::Unknown, 1, 2, expect(2), (true, Trust::Exact)),
        ] {
            assert_eq!(
                trust.judge(z(zxid), digest, expected),
                verdict,
                "{trust:?} at {zxid}"
            );
        }
        let foreign = Some(TxnDigest {
            version: 1,
            digest: 11,
        });
        assert_eq!(Trust::Exact.judge(z(1), 10, foreign), (true, Trust::Exact));
    }
}
