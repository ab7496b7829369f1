//! What this server's log holds, how far it is durable, what of it stands, and what is applied.
//!
//! ```text
//!        floor            delivered      committed          logged
//!   ───────┼──────────────────┼──────────────┼────────────────┤
//!   (disk) │◄──────────────── entries, in memory ────────────►│
//!                             │    durable: anywhere from delivered to logged
//! ```
//! Entries are contiguous (I16): the next zxid of the epoch, or the first of a later one. A window with
//! a hole can therefore not be offered to anyone (ZOOKEEPER-4925). What is not delivered yet is always
//! in memory; what is, for as long as learners may want it.

use crate::Effect;
use crate::canary::Canary;
use bytes::Bytes;
use std::collections::VecDeque;
use zk_proto::Zxid;

/// A transaction in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) zxid: Zxid,
    pub(crate) payload: Bytes,
    /// Bytes of all entries up to this one, since the server started.
    end: u64,
}

/// Whether `next` may come directly behind `last`.
pub(crate) fn follows(last: Zxid, next: Zxid) -> bool {
    last.next() == Some(next)
        || (next.epoch() > last.epoch() && Some(next) == Zxid::first_of(next.epoch()).next())
}

#[derive(Clone, Debug)]
pub(crate) struct History {
    /// The last transaction before the entries.
    floor: Zxid,
    entries: VecDeque<Entry>,
    floor_end: u64,
    logged: Zxid,
    durable: Zxid,
    committed: Zxid,
    delivered: Zxid,
    /// The cut that the disk has not answered yet.
    truncating: Option<Zxid>,
    /// The snapshot that is on its way in.
    receiving: bool,
}

impl History {
    /// A log that ends with `last`, durable and applied.
    pub(crate) fn ending_with(last: Zxid) -> Self {
        Self {
            floor: last,
            entries: VecDeque::new(),
            floor_end: 0,
            logged: last,
            durable: last,
            committed: last,
            delivered: last,
            truncating: None,
            receiving: false,
        }
    }

    /// Takes in the end of the log as it was read at the start, so that learners that miss little need no
    /// snapshot. What does not fit together is not taken.
    pub(crate) fn remember(&mut self, recent: impl IntoIterator<Item = (Zxid, Bytes)>) {
        let recent: Vec<_> = recent.into_iter().collect();
        let whole = recent.windows(2).all(|pair| follows(pair[0].0, pair[1].0))
            && recent.last().is_some_and(|(last, _)| *last == self.logged);
        if !whole || !self.entries.is_empty() {
            return;
        }
        // The first one only tells where the others begin.
        let mut recent = recent.into_iter();
        if let Some((floor, _)) = recent.next() {
            self.floor = floor;
        }
        for (zxid, payload) in recent {
            self.push(zxid, payload);
        }
    }

    pub(crate) const fn floor(&self) -> Zxid {
        self.floor
    }

    pub(crate) const fn logged(&self) -> Zxid {
        self.logged
    }

    pub(crate) const fn durable(&self) -> Zxid {
        self.durable
    }

    pub(crate) const fn committed(&self) -> Zxid {
        self.committed
    }

    pub(crate) const fn delivered(&self) -> Zxid {
        self.delivered
    }

    /// Whether the disk holds all that was ever appended, and nothing is about to change under it.
    pub(crate) fn is_settled(&self) -> bool {
        self.durable == self.logged && self.is_whole()
    }

    /// Whether no cut and no snapshot is on its way.
    pub(crate) const fn is_whole(&self) -> bool {
        self.truncating.is_none() && !self.receiving
    }

    /// The entries behind `zxid`, which is not before the floor.
    pub(crate) fn after(&self, zxid: Zxid) -> impl Iterator<Item = &Entry> {
        assert!(zxid >= self.floor, "memory does not hold that any more");
        self.entries.range(self.count_through(zxid)..)
    }

    /// How many entries there are up to `zxid`. An epoch has no holes, so the place of one of the last epoch
    /// is counted from the end; others are searched for.
    fn count_through(&self, zxid: Zxid) -> usize {
        if zxid >= self.logged {
            return self.entries.len();
        }
        if zxid <= self.floor {
            return 0;
        }
        let behind = self.logged.counter().saturating_sub(zxid.counter());
        let behind = usize::try_from(behind).unwrap_or(usize::MAX);
        let counted = self.entries.len().checked_sub(behind);
        let last_of = |count: usize| self.entries.get(count.checked_sub(1)?);
        counted
            .filter(|&count| last_of(count).is_some_and(|last| last.zxid == zxid))
            .unwrap_or_else(|| self.entries.partition_point(|entry| entry.zxid <= zxid))
    }

    /// Whether this very transaction is the floor or an entry.
    pub(crate) fn holds(&self, zxid: Zxid) -> bool {
        (Canary::DiffForStrangers.sings() && zxid > self.floor)
            || zxid == self.floor
            || self
                .entries
                .binary_search_by(|entry| entry.zxid.cmp(&zxid))
                .is_ok()
    }

    /// Whether the log has no such transaction, as far as memory can tell.
    pub(crate) fn surely_lacks(&self, zxid: Zxid) -> bool {
        zxid >= self.floor && !self.holds(zxid)
    }

    /// The last transaction before this one, as far as it is in memory.
    pub(crate) fn last_before(&self, zxid: Zxid) -> Option<Zxid> {
        let before = self.entries.partition_point(|entry| entry.zxid < zxid);
        match before.checked_sub(1) {
            Some(index) => Some(self.entries[index].zxid),
            None => (self.floor < zxid).then_some(self.floor),
        }
    }

    /// How many bytes lie between two places, as far as they are in memory.
    pub(crate) fn bytes_between(&self, from: Zxid, to: Zxid) -> u64 {
        self.end_of(to).saturating_sub(self.end_of(from))
    }

    fn end_of(&self, zxid: Zxid) -> u64 {
        match self.count_through(zxid).checked_sub(1) {
            Some(index) => self.entries[index].end,
            None => self.floor_end,
        }
    }

    fn push(&mut self, zxid: Zxid, payload: Bytes) {
        let begin = self.entries.back().map_or(self.floor_end, |last| last.end);
        let end = begin + payload.len() as u64;
        self.entries.push_back(Entry { zxid, payload, end });
    }

    /// The next transaction. Whether it follows was asked before.
    pub(crate) fn append(&mut self, zxid: Zxid, payload: Bytes, out: &mut Vec<Effect>) {
        assert!(follows(self.logged, zxid), "no hole in a log (I16)");
        self.push(zxid, payload.clone());
        self.logged = zxid;
        out.push(Effect::Append { zxid, payload });
    }

    /// What the disk says while a cut is on its way speaks of the log before it.
    pub(crate) fn on_persisted(&mut self, through: Zxid) {
        if !self.is_whole() {
            return;
        }
        assert!(
            through <= self.logged,
            "nothing is durable that was never appended"
        );
        self.durable = self.durable.max(through);
    }

    /// Everything up to `through` stands.
    pub(crate) fn commit(&mut self, through: Zxid) {
        assert!(through <= self.logged, "what stands is in the log");
        self.committed = self.committed.max(through);
    }

    /// Hands over what stands and is in the own log durably.
    pub(crate) fn deliver(&mut self, out: &mut Vec<Effect>) {
        let through = if Canary::DeliverBeforeDurable.sings() {
            self.committed
        } else {
            self.committed.min(self.durable)
        };
        if through > self.delivered {
            self.delivered = through;
            out.push(Effect::Deliver { through });
        }
    }

    /// Takes the whole log for what stands, as a start does: nobody is served yet, and what is cut off
    /// later goes from the tree as well.
    pub(crate) fn replay(&mut self, out: &mut Vec<Effect>) {
        assert!(self.is_settled(), "only what is durable is replayed");
        let through = self.logged;
        if self.delivered < through {
            self.committed = through;
            self.delivered = through;
            out.push(Effect::Replay { through });
        }
    }

    /// Forgets what is delivered, beyond `keep` entries or `bytes`; what lies behind `needed`, and what is
    /// not delivered, stays in any case.
    pub(crate) fn trim(&mut self, keep: usize, bytes: u64, needed: Zxid) {
        while let Some(first) = self.entries.front()
            && first.zxid <= self.delivered.min(needed)
            && (self.entries.len() > keep || self.bytes_between(self.floor, self.logged) > bytes)
        {
            self.floor = first.zxid;
            self.floor_end = first.end;
            self.entries.pop_front();
        }
    }

    /// Cuts off everything behind `to`. The disk follows; see [`Self::on_truncated`].
    pub(crate) fn truncate(&mut self, to: Zxid, out: &mut Vec<Effect>) {
        assert!(self.is_whole(), "one cut at a time");
        assert!(to < self.logged, "a cut cuts");
        assert!(
            !self.surely_lacks(to),
            "nobody is left with what he never had"
        );
        while self.entries.back().is_some_and(|entry| entry.zxid > to) {
            self.entries.pop_back();
        }
        if to < self.floor {
            self.floor = to;
        }
        self.logged = to;
        self.durable = self.durable.min(to);
        self.committed = self.committed.min(to);
        self.delivered = self.delivered.min(to);
        self.truncating = Some(to);
        out.push(Effect::Truncate { to });
    }

    /// What was appended behind the cut meanwhile is not durable yet.
    pub(crate) fn on_truncated(&mut self, to: Zxid) {
        assert_eq!(self.truncating, Some(to), "the disk answers what was asked");
        self.truncating = None;
        self.durable = to;
    }

    pub(crate) fn begin_snapshot(&mut self) {
        assert!(self.is_whole(), "one change at a time");
        self.receiving = true;
    }

    pub(crate) fn on_snapshot_abandoned(&mut self) {
        assert!(self.receiving, "the disk answers what was asked");
        self.receiving = false;
    }

    /// Log and tree begin anew at `zxid`.
    pub(crate) fn on_snapshot_received(&mut self, zxid: Zxid) {
        assert!(self.receiving, "the disk answers what was asked");
        *self = Self::ending_with(zxid);
    }

    /// The order of the cursors, and the newest step of the entries.
    pub(crate) fn check(&self) {
        assert!(
            self.floor <= self.delivered,
            "what is not delivered is in memory"
        );
        assert!(
            self.delivered <= self.committed,
            "only what stands is delivered (I19)"
        );
        assert!(
            self.delivered <= self.durable,
            "what is delivered is in the log"
        );
        assert!(self.committed <= self.logged, "what stands is in the log");
        assert!(self.durable <= self.logged, "what is durable is in the log");
        let mut newest = self.entries.iter().rev().map(|entry| entry.zxid);
        match (newest.next(), newest.next()) {
            (Some(last), before) => assert!(
                follows(before.unwrap_or(self.floor), last) && last == self.logged,
                "no hole in memory (I16)"
            ),
            (None, _) => assert_eq!(self.floor, self.logged, "no entries, no distance"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zxid(epoch: i64, counter: i64) -> Zxid {
        Zxid::from_wire(epoch << 32 | counter)
    }

    /// Counted from the end where that is sure, and searched for elsewhere: the place is the same.
    #[test]
    fn a_place_is_found_among_all_epochs() {
        let whole = [
            (1, 3),
            (1, 4),
            (1, 5),
            (2, 1),
            (2, 2),
            (2, 3),
            (4, 1),
            (4, 2),
        ];
        let all = whole.map(|(epoch, counter)| zxid(epoch, counter));
        for end in 1..=all.len() {
            for begin in 0..end {
                let window = &all[begin..end];
                let mut history = History::ending_with(all[end - 1]);
                history.remember(window.iter().map(|zxid| (*zxid, Bytes::from_static(b"x"))));
                let places = (1..=5).flat_map(|epoch| (0..7).map(move |c| zxid(epoch, c)));
                for place in places.filter(|place| *place >= window[0]) {
                    let expected: Vec<_> = window.iter().filter(|it| **it > place).collect();
                    let found: Vec<_> = history.after(place).map(|entry| &entry.zxid).collect();
                    assert_eq!(found, expected, "behind {place} in {window:?}");
                    let bytes = history.bytes_between(place, history.logged());
                    assert_eq!(bytes, expected.len() as u64, "{place} in {window:?}");
                }
            }
        }
    }
}
