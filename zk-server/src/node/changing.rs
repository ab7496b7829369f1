//! Reconfigurations. Members are not changed at run time: what is asked for is judged in the order of Apache's servers,
//! so that whoever asks hears the first thing that is wrong with it, and only what nothing speaks against is refused as
//! unimplemented.

use super::Node;
use crate::config::change::Change;
use crate::config::peers::Ensemble;
use crate::tree::{Asker, Tree, check_reconfig};
use std::collections::BTreeSet;
use std::sync::Arc;
use zk_proto::ErrorCode;

/// A client that does not care which configuration it changes.
const ANY_CONFIG: i64 = -1;
/// The one and only, out of files.
const CONFIG: i64 = 0;

impl Node {
    /// Why members are not changed.
    pub(super) fn refusal_of_change(
        &self,
        tree: &Tree,
        asker: &Asker<'_>,
        change: &Change<'_>,
        config_id: i64,
    ) -> ErrorCode {
        let replica = Arc::clone(&self.replica);
        let config = replica.config();
        if !config.misc.reconfig_enabled {
            return ErrorCode::ReconfigDisabled;
        }
        let Some(ensemble) = &config.ensemble else {
            return ErrorCode::Unimplemented;
        };
        let judged = self.judge(tree, asker, ensemble, change, config_id);
        judged.err().unwrap_or(ErrorCode::Unimplemented)
    }

    fn judge(
        &self,
        tree: &Tree,
        asker: &Asker<'_>,
        ensemble: &Ensemble,
        change: &Change<'_>,
        config_id: i64,
    ) -> Result<(), ErrorCode> {
        if ![ANY_CONFIG, CONFIG].contains(&config_id) {
            return Err(ErrorCode::BadVersion);
        }
        let quorum = ensemble.quorum_after(change)?;
        let learners = self.member.iter().flat_map(|member| member.synced());
        let there: BTreeSet<_> = learners.chain([ensemble.me]).collect();
        if !quorum.is_met_by(&there) {
            return Err(ErrorCode::NewConfigNoQuorum);
        }
        check_reconfig(tree, &self.pending, asker)
    }
}
