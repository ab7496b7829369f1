//! What is written down of the client's answers, and what must be true of it: P3, P4, P9 to P12.

use super::model::{Author, Log, PATHS};
use crate::ErrorKind;
use crate::clock::Time;
use crate::error::Outcome;
use crate::session::Answered;
use crate::watch::{Item, SubscriptionId};
use std::collections::{BTreeMap, BTreeSet};
use zk_proto::{EventType, OpCode, Reply};

/// What a call asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Set(usize),
    Get(usize, Option<u64>),
    Watch(usize, u64),
    Sync,
}

/// A watcher that is armed.
#[derive(Debug)]
struct Watcher {
    path: usize,
    lasting: bool,
    /// Every change up to here was shown or told.
    through: i64,
    /// Something between `through` and now may not have been told, and that was said.
    gap: bool,
}

/// All that the client was told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    open: BTreeMap<u64, (Asked, Option<Time>)>,
    /// Sets nobody knows the end of, and the newest call when that was said.
    unknown: BTreeMap<u64, u64>,
    newest_call: u64,
    not_applied: BTreeSet<u64>,
    applied: BTreeSet<u64>,
    watchers: BTreeMap<u64, Watcher>,
    /// Watches that were there while their watcher's answer was not.
    early: BTreeSet<u64>,
    newest: i64,
    last_answered: u64,
    pub(super) counts: Counts,
}

/// What has happened at all; a day in which something never did proves nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) answers: u64,
    pub(super) unknown: u64,
    pub(super) not_applied: u64,
    pub(super) events: u64,
    pub(super) gaps: u64,
    pub(super) lost_watches: u64,
}

impl Ledger {
    pub(super) fn on_call(&mut self, id: u64, asked: Asked, deadline: Option<Time>) {
        self.open.insert(id, (asked, deadline));
        self.newest_call = id;
    }

    /// Nobody waits past the time he gave; called when the session has looked at the time.
    pub(super) fn check_deadlines(&self, now: Time) {
        let late = self
            .open
            .iter()
            .find(|(_, (_, deadline))| deadline.is_some_and(|deadline| deadline <= now));
        assert!(late.is_none(), "a call hangs past its time: {late:?}");
    }

    pub(super) fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// Returns the watcher of a call that failed.
    pub(super) fn on_answer(
        &mut self,
        log: &Log,
        id: u64,
        outcome: &Result<Answered, ErrorKind>,
    ) -> Option<u64> {
        let asked = self.open.remove(&id);
        let (asked, _) = asked.unwrap_or_else(|| panic!("call {id} is answered twice"));
        let error = match outcome {
            Ok(answered) => {
                self.on_success(log, id, asked, answered);
                return None;
            }
            Err(error) => error,
        };
        match error.outcome() {
            Outcome::Applied => panic!("call {id} failed and was done: {error}"),
            Outcome::Unknown => {
                self.counts.unknown += 1;
                if let Asked::Set(_) = asked {
                    self.unknown.insert(id, self.newest_call);
                }
            }
            Outcome::NotApplied => {
                self.counts.not_applied += 1;
                self.not_applied.insert(id);
            }
        }
        match asked {
            Asked::Get(_, watcher) => watcher,
            Asked::Watch(_, watcher) => Some(watcher),
            Asked::Set(_) | Asked::Sync => None,
        }
    }

    fn on_success(&mut self, log: &Log, id: u64, asked: Asked, answered: &Answered) {
        self.counts.answers += 1;
        assert!(
            id > self.last_answered,
            "P3: {id} is answered behind {}",
            self.last_answered
        );
        self.last_answered = id;
        let zxid = answered.header.zxid.to_wire();
        assert!(
            zxid >= self.newest,
            "P4: {zxid} is shown behind {}",
            self.newest
        );
        self.newest = zxid;
        match asked {
            Asked::Set(_) => {
                assert_eq!(
                    log.author(zxid),
                    Some(Author::Call(id)),
                    "P9: call {id} was not done"
                );
                self.applied.insert(id);
            }
            Asked::Get(path, watcher) => {
                self.on_data(log, path, zxid, answered);
                if let Some(watcher) = watcher {
                    self.arm(watcher, path, false, zxid);
                }
            }
            Asked::Watch(path, watcher) => {
                let missed = log.changed_behind(id, path, zxid) && !self.early.contains(&watcher);
                assert!(
                    !missed,
                    "P11: watcher {watcher} was not told of what its own session changed behind it"
                );
                self.arm(watcher, path, true, zxid);
            }
            Asked::Sync => {}
        }
    }

    fn arm(&mut self, id: u64, path: usize, lasting: bool, through: i64) {
        // What a lasting watch says before its answer is about what its watcher has not looked at.
        let gap = self.early.remove(&id);
        let known = self.watchers.insert(
            id,
            Watcher {
                path,
                lasting,
                through,
                gap,
            },
        );
        assert!(known.is_none(), "watcher {id} is armed twice");
    }

    /// A read shows a prefix whole, and nothing a watcher has not been told of (P4, P10).
    fn on_data(&mut self, log: &Log, path: usize, zxid: i64, answered: &Answered) {
        let reply = Reply::decode(OpCode::GetData, &answered.body).unwrap();
        let Reply::Data(Some(data), _) = reply else {
            panic!("a read has data: {reply:?}");
        };
        let shown: i64 = std::str::from_utf8(&data).unwrap().parse().unwrap();
        assert_eq!(
            shown,
            log.last_change(path, zxid),
            "P4: {} at {zxid}",
            PATHS[path]
        );
        for (id, watcher) in self
            .watchers
            .iter_mut()
            .filter(|(_, watcher)| watcher.path == path)
        {
            let told = !log.changed(path, watcher.through, zxid) || watcher.gap;
            assert!(
                told,
                "P10: watcher {id} was not told of {shown}, after {}",
                watcher.through
            );
            watcher.through = watcher.through.max(zxid);
            watcher.gap = false;
        }
    }

    pub(super) fn on_notify(&mut self, log: &Log, id: SubscriptionId, item: &Item) {
        let SubscriptionId(id) = id;
        match item {
            Item::Event { event, path, zxid } => {
                self.counts.events += 1;
                assert_eq!(*event, EventType::DataChanged);
                self.on_event(log, id, path, zxid.map(zk_proto::Zxid::to_wire));
            }
            Item::Gap { since } => {
                self.counts.gaps += 1;
                let Some(watcher) = self.watchers.get_mut(&id) else {
                    self.early.insert(id);
                    return;
                };
                let untold = log.changed(watcher.path, watcher.through, since.to_wire());
                assert!(
                    !untold || watcher.gap,
                    "P11: the gap of {id} begins after what is missing"
                );
                watcher.gap = true;
            }
            Item::Lost => {
                self.counts.lost_watches += 1;
                self.watchers.remove(&id);
            }
        }
    }

    fn on_event(&mut self, log: &Log, id: u64, path: &str, zxid: Option<i64>) {
        let watcher = self.watchers.get_mut(&id);
        let watcher =
            watcher.unwrap_or_else(|| panic!("P11: {id} is not armed, or has fired already"));
        assert_eq!(PATHS[watcher.path], path);
        let after = watcher.through;
        if let Some(zxid) = zxid {
            assert!(zxid > after, "P11: {id} hears of {zxid} behind {after}");
            assert_eq!(
                log.last_change(watcher.path, zxid),
                zxid,
                "P11: an event without a change"
            );
            let missed = log.changed(watcher.path, after, zxid - 1);
            assert!(
                !missed || watcher.gap,
                "P11: {id} hears of {zxid}, not of what was before"
            );
            watcher.through = zxid;
            watcher.gap = false;
        } else {
            // Meant for a one-shot watch on the same node, which catches up: which change it was is not told.
            assert!(
                log.changed(watcher.path, after, log.end()),
                "P11: an event without a change"
            );
            watcher.gap = true;
        }
        if !watcher.lasting {
            self.watchers.remove(&id);
        }
    }

    /// How many of the armed watchers have not heard of a change of their node after `zxid` (P12).
    pub(super) fn deaf(&self, zxid: i64) -> usize {
        let deaf = |watcher: &&Watcher| !watcher.lasting || watcher.through < zxid;
        self.watchers.values().filter(deaf).count()
    }

    /// A lasting watcher of this node.
    pub(super) fn lasting(&self, path: usize) -> Option<u64> {
        let mut watchers = self.watchers.iter();
        let found = watchers.find(|(_, watcher)| watcher.path == path && watcher.lasting);
        found.map(|(id, _)| *id)
    }

    /// A watcher goes away; it hears nothing more.
    pub(super) fn drop_watcher(&mut self, id: u64) {
        self.watchers.remove(&id);
    }

    /// At the end of the day: each verdict was true, and nothing was done twice or out of order (P3, P9).
    pub(super) fn close(&self, log: &Log) {
        let done: Vec<_> = log.calls().collect();
        assert!(
            done.is_sorted_by(|one, next| one < next),
            "P3, P9: done twice, or out of order"
        );
        for id in &done {
            assert!(
                !self.not_applied.contains(id),
                "P9: {id} was done and denied"
            );
        }
        // Whoever called before an earlier call's end was unknown relied on the order of both.
        for (lost, known) in &self.unknown {
            if done.binary_search(lost).is_err() {
                let from = done.partition_point(|id| id < lost);
                let later = done[from..].iter().find(|id| *id <= known);
                assert!(
                    later.is_none(),
                    "P3: {lost} was not done, and {later:?} behind it"
                );
            }
        }
        for id in &self.applied {
            assert!(
                done.binary_search(id).is_ok(),
                "P9: {id} was not done and confirmed"
            );
        }
    }
}
