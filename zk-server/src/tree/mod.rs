//! The replicated state and the decisions about it: what a write becomes ([`prepare`]), what a
//! transaction does ([`Tree::apply`]), what a read sees, who waits for what ([`WatchTable`]), and the tree
//! frozen at one zxid as bytes ([`Tree::begin_image`]).
//!
//! Deliberately absent: clocks, locks, files, sockets, sessions' timers, and the agreement. Whoever owns
//! the tree says what time it is and in which order transactions come; the same inputs make the same
//! outputs on every machine.
//!
//! Invariant: after a transaction the sum of all node digests is the digest its leader computed from
//! pending changes alone (P29).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod access;
mod acls;
mod apply;
mod apply_session;
mod auth;
mod digest;
mod edit;
mod ephemerals;
mod image;
mod ip;
mod node;
mod null_path;
mod owner;
mod pending;
mod prepare;
mod prepare_create;
mod prepare_multi;
mod prepare_session;
mod prepare_write;
mod quota;
mod read;
mod reap;
mod restore;
mod rules;
mod size;
mod store;
#[cfg(test)]
mod tests;
mod watch;
mod watch_entries;

pub use access::{Identity, mask, permits, who_am_i};
pub use apply::{Applied, Change, Outcome};
pub use auth::{AuthRefused, authenticate, digest_identity, is_guess};
pub use digest::Trust;
pub use image::{ImageError, ImageFacts, ImageProgress};
pub use null_path::null_path_refusal;
pub use pending::Pending;
pub use prepare::{
    Asker, Stamp, Standing, check_reconfig, prepare, prepare_reconfig, prepare_refusal,
};
pub use prepare_session::{Internal, prepare_internal};
pub use quota::{QuotaAmount, QuotaTotals};
pub use read::NodeRef;
pub use reap::{ReapRules, reapable};
pub use restore::{Restore, RestoreError};
pub use rules::{DigestAlgorithm, Rules};
pub use watch::{Missed, Wanted, WatchCounts, WatchRoom, WatchTable, WatcherId, missed_event};

use acls::Acls;
use digest::History;
use ephemerals::Ephemerals;
use image::Image;
use node::NodeId;
use quota::Quotas;
use std::collections::{BTreeMap, BTreeSet};
use store::Nodes;
use zk_proto::{SessionId, Zxid};

/// The node that holds the ensemble's configuration.
pub const CONFIG_PATH: &str = "/zookeeper/config";

/// The whole replicated state of a server: nodes, ACLs and sessions after one transaction.
#[derive(Debug)]
pub struct Tree {
    rules: Rules,
    nodes: Nodes,
    acls: Acls,
    sessions: BTreeMap<SessionId, i32>,
    ephemerals: Ephemerals,
    containers: BTreeSet<NodeId>,
    ttls: BTreeSet<NodeId>,
    quotas: Quotas,
    last_zxid: Zxid,
    /// The latest wall-clock time, in milliseconds, that any leader has put on anything here.
    newest_time: i64,
    /// The greatest session id seen to begin, of each server: the highest byte of an id.
    newest_sessions: BTreeMap<i64, SessionId>,
    /// The sum of all node digests, or zero where digests are switched off.
    digest: u64,
    history: History,
    trust: Trust,
    /// Bytes of paths and data, as Java counts them.
    data_size: u64,
    image: Option<Image>,
    /// The stamp of the last image begun.
    image_stamp: u32,
}
