//! What a leader does to a learner's data: it cuts off what never stood, or replaces everything.
//!
//! Either way the tree in memory and the log are made anew, and nothing that was written before can come
//! back later. The log's thread has ended before a file is touched (ZOOKEEPER-4712), and who cannot obey
//! does not go on (ZOOKEEPER-3701).

use super::{Recent, Recovering, StorageError, Store, field_limit, rules};
use crate::config::Config;
use crate::disk::log::{Log, LogFailure};
use crate::disk::purge::PurgeDirs;
use crate::disk::recovery::Replica;
use crate::disk::snapshot::{SnapshotError, SnapshotLimits, read_sync};
use crate::disk::truncate::{TruncateError, TruncateLimits, forget_history, truncate};
use crate::replica::Event;
use crate::tree::{Tree, Trust};
use std::io::Read;
use tokio::sync::mpsc::UnboundedSender;
use zk_proto::Zxid;
use zk_zab::Epochs;

/// A directory as a leader wants it.
pub(crate) struct Reopened {
    pub(crate) tree: Tree,
    pub(crate) log: Log,
}

/// A directory as a start finds it.
pub(crate) struct Anew {
    pub(crate) reopened: Reopened,
    pub(crate) recent: Recent,
    pub(crate) epochs: Epochs,
}

/// Why a learner could not do what its leader wanted. It must not go on with what it has.
#[derive(Debug, thiserror::Error)]
pub enum RejoinError {
    /// What was appended before cannot be made durable.
    #[error(transparent)]
    Log(#[from] LogFailure),
    /// The log cannot be cut.
    #[error(transparent)]
    Truncate(#[from] TruncateError),
    /// The directory cannot be opened again.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Builds the tree that a leader sends, said to stand at `zxid`. Takes no more from the stream than that.
pub(crate) fn load_sync(
    from: impl Read,
    config: &Config,
    zxid: Zxid,
) -> Result<Tree, SnapshotError> {
    let limits = SnapshotLimits {
        field: field_limit(config),
        ..SnapshotLimits::default()
    };
    let mut loading = Recovering::new(rules(config));
    loading.reset();
    read_sync(from, limits, &mut loading)?;
    loading
        .restored(zxid)
        .map_err(|reason| SnapshotError::Refused { at: 0, reason })?;
    let mut tree = loading.into_tree();
    // A Java leader's tree went on changing while it was sent.
    tree.set_trust(Trust::Unknown);
    Ok(tree)
}

impl Store {
    /// Cuts everything behind `to` off, and recovers what is left (O5). Blocks.
    pub(crate) fn cut(
        &self,
        config: &Config,
        log: Log,
        to: Zxid,
        door: UnboundedSender<Event>,
    ) -> Result<Reopened, RejoinError> {
        let _alone = self.clearing.change();
        log.close()?;
        let limits = TruncateLimits {
            txn: field_limit(config),
            snapshots: self.limits,
        };
        truncate(&*self.files, &self.places(), to, limits)?;
        let (tree, _recent) = self.recover(config)?;
        assert_eq!(tree.last_zxid(), to, "the log ends where it was cut");
        let log = self.start_log(config, to, door)?;
        Ok(Reopened { tree, log })
    }

    /// Begins anew with what the directory holds, after a cut that could not be made and has changed nothing.
    /// Blocks.
    pub(crate) fn begin_anew(
        &self,
        config: &Config,
        door: UnboundedSender<Event>,
    ) -> Result<Anew, RejoinError> {
        let _alone = self.clearing.change();
        let (tree, recent) = self.recover(config)?;
        let last = tree.last_zxid();
        let epochs = self.epochs(config, last)?.unwrap_or_default();
        let log = self.start_log(config, last, door)?;
        let reopened = Reopened { tree, log };
        Ok(Anew {
            reopened,
            recent,
            epochs,
        })
    }

    /// Makes a leader's tree this server's own: durable as a snapshot, with nothing of the old history
    /// behind it (O6). Blocks.
    pub(crate) fn replace(
        &self,
        config: &Config,
        log: Log,
        mut tree: Tree,
        door: UnboundedSender<Event>,
    ) -> Result<Reopened, RejoinError> {
        let _alone = self.clearing.change();
        log.close()?;
        let zxid = tree.last_zxid();
        self.write_snapshot_now(&mut tree)?;
        forget_history(&*self.files, &self.places(), zxid)?;
        let log = self.start_log(config, zxid, door)?;
        Ok(Reopened { tree, log })
    }

    fn places(&self) -> PurgeDirs {
        PurgeDirs {
            snapshots: self.dirs.snapshots(),
            logs: self.dirs.txns(),
        }
    }
}

impl Recovering {
    fn into_tree(self) -> Tree {
        match self.state {
            super::State::Restoring(_) => unreachable!("the snapshot was finished"),
            super::State::Applying(tree) => *tree,
        }
    }
}

#[cfg(test)]
mod tests;
