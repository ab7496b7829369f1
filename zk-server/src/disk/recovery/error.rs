//! Why a data directory is not served, where exactly, and what a human can do about it.

use super::tail::Proof;
use crate::disk::record::Defect;
use crate::disk::snapshot::SnapshotError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use zk_proto::{DecodeError, Zxid};

/// A snapshot that could not be used.
#[derive(Debug)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// The zxid it is named for.
    pub zxid: Zxid,
    /// What is wrong with it.
    pub reason: SkipReason,
}

impl Skipped {
    /// Whether it looks as if it had been finished once.
    pub(super) const fn was_whole(&self) -> bool {
        matches!(self.reason, SkipReason::Unreadable(_))
    }
}

/// Why a snapshot could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SkipReason {
    /// Its end, or its beginning, is not a snapshot's.
    #[error("it is not a whole snapshot")]
    NotWhole,
    /// Reading it failed.
    #[error(transparent)]
    Unreadable(#[from] SnapshotError),
}

/// A start that is refused (P25, P26, P29).
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the fields are named for what the messages say"
)]
pub enum RecoveryError {
    /// The disk failed.
    #[error("{}: cannot {doing}: {source}; check the disk and the permissions", path.display())]
    Io {
        path: PathBuf,
        doing: &'static str,
        source: io::Error,
    },
    /// There are snapshots, all of them bad.
    #[error(
        "{}: none of the {} snapshots can be used ({}); {REJOIN}",
        dir.display(), tried.len(), Tried(tried)
    )]
    NoUsableSnapshot { dir: PathBuf, tried: Vec<Skipped> },
    /// There are transactions and nothing to apply them to.
    #[error(
        "{}: the log begins with {first} at byte 16, but {} holds no snapshot to apply it to; restore \
         the snapshots, or, if the log is known to be complete from the very first transaction on, \
         start once with snapshot.trust.empty=true",
        log.display(), dir.display()
    )]
    LogsWithoutSnapshot {
        dir: PathBuf,
        log: PathBuf,
        first: Zxid,
    },
    /// A log is damaged.
    #[error(
        "{} is damaged at byte {offset}: {what}; it is not the end of a crash's last write, because \
         {proof}; {}", file.display(), damage_remedy(*proof)
    )]
    Corrupt {
        file: PathBuf,
        offset: u64,
        what: Defect,
        proof: Proof,
    },
    /// A log holds a transaction that this version cannot read.
    #[error(
        "{}: transaction {zxid} at byte {offset} cannot be decoded: {source}; was it written by a \
         newer version? Start that one, or {REJOIN}", file.display()
    )]
    Undecodable {
        file: PathBuf,
        offset: u64,
        zxid: Zxid,
        source: DecodeError,
    },
    /// Transactions are missing.
    #[error(
        "{}: at byte {offset} {found} follows {last}: transactions between them are missing; if a log \
         file was moved away, bring it back, or {REJOIN}", file.display()
    )]
    Gap {
        file: PathBuf,
        offset: u64,
        last: Zxid,
        found: Zxid,
    },
    /// The order goes backwards.
    #[error(
        "{}: at byte {offset} {found} follows {last}: the order goes backwards; if a log file of \
         another time was copied here, take it away, or {REJOIN}", file.display()
    )]
    Regression {
        file: PathBuf,
        offset: u64,
        last: Zxid,
        found: Zxid,
    },
    /// An older log ends badly and the next does not continue it.
    #[error(
        "{} ends badly at byte {offset} ({what}) after {last}, and the next log goes on with {}: \
         transactions are lost; {REJOIN}",
        file.display(), Found(*found)
    )]
    Lost {
        file: PathBuf,
        offset: u64,
        what: Defect,
        last: Zxid,
        found: Option<Zxid>,
    },
    /// A tree is not what its writer had.
    #[error(
        "{}: after {zxid} (byte {offset}) the tree's digest is {computed:#x} where {expected:#x} is \
         recorded: this replica differs from what was agreed; keep the directory for an examination \
         and {REJOIN}. If paths here have characters outside of ASCII and Java wrote them under a \
         default charset other than UTF-8, it is only Java's digest that is wrong: start with \
         zookeeper.digest.enabled=false", file.display()
    )]
    DigestMismatch {
        file: PathBuf,
        offset: u64,
        zxid: Zxid,
        expected: u64,
        computed: u64,
    },
    /// The replica cannot go on.
    #[error("{}: transaction {zxid} at byte {offset} is refused: {reason}; {REJOIN}", file.display())]
    Refused {
        file: PathBuf,
        offset: u64,
        zxid: Zxid,
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was durable is gone.
    #[error(
        "{} ends at byte {offset} with {last}, but transactions up to {durable} had been durable; if \
         files were moved away, bring them back; if the loss is accepted, remove {}; or {REJOIN}",
        file.display(), mark.display()
    )]
    TooShort {
        file: PathBuf,
        offset: u64,
        last: Zxid,
        durable: Zxid,
        mark: PathBuf,
    },
    /// The best snapshot is bad and the logs do not make up for it.
    #[error(
        "{} cannot be used ({reason}), and from the snapshot before it the logs (byte 0 on) lead only \
         to {last}; restore it from a backup or {REJOIN}", file.display()
    )]
    SnapshotLost {
        file: PathBuf,
        reason: SkipReason,
        last: Zxid,
    },
    /// A snapshot was taken while transactions went on, and these are missing.
    #[error(
        "{} (byte 0 on) holds parts of transactions up to {needed}, but the logs end with {last}; \
         bring back the missing logs or {REJOIN}", file.display()
    )]
    SnapshotAhead {
        file: PathBuf,
        needed: Zxid,
        last: Zxid,
    },
}

const REJOIN: &str = "move this data directory aside, keeping myid, and let the server fetch its data from \
     the ensemble; a standalone server needs a backup";

const fn damage_remedy(proof: Proof) -> &'static str {
    match proof {
        Proof::Ambiguous => {
            "if the machine lost power and the last write may be dropped, start once with \
             zookeeper.log.dropDamagedTail=true; otherwise move this data directory aside, keeping \
             myid, and let the server fetch its data from the ensemble"
        }
        Proof::Durable(_)
        | Proof::Survivor(_)
        | Proof::MaybeSurvivor
        | Proof::NotTorn
        | Proof::NotNewest => REJOIN,
    }
}

struct Tried<'a>(&'a [Skipped]);

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, skipped) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}: {}", skipped.name, skipped.reason)?;
        }
        Ok(())
    }
}

struct Found(Option<Zxid>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(zxid) => zxid.fmt(f),
            None => f.write_str("nothing"),
        }
    }
}
