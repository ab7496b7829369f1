//! How a learner gets the history of its leader: one table, the first row that matches wins.
//!
//! `peer` is the last transaction of the learner's log, `floor` the last one before those in memory,
//! `stands` the last one that counts as committed here: at a leader that has no quorum yet the end of
//! its log, later what is committed. What is in flight beyond follows after UPTODATE.
//!
//! ```text
//!     the learner's log                                        it gets
//!  A  (snapshots are forced, or the learner wants one: -1)     SNAP
//!  B  peer == stands                                           DIFF, nothing missing
//!  C  peer > stands, and names a transaction                   TRUNC stands
//!  D  floor <= peer < stands, and peer is in memory            DIFF, what follows peer
//!  E  floor <= peer < stands, peer opens an epoch (n.0) whose
//!     transactions are in memory                               DIFF, what follows peer
//!  F  floor <= peer < stands, peer is neither, but continues
//!     an epoch that is in memory                               TRUNC to that epoch's last, what follows it
//!  F' floor <= peer < stands, none of these                    SNAP
//!  G  peer < floor                                             the log on disk is asked: DIFF or SNAP
//!  H  peer > stands, and opens an epoch                        SNAP
//! ```
//! C: a transaction behind `stands` was seen by no quorum. The learner must hold `stands` itself, and
//!    refuses the cut if it does not (ZOOKEEPER-2832).
//! E: somebody proposed in that epoch, so its first history stood. Without its transactions nobody knows:
//!    Apache's server answers DIFF there, we do not.
//! F: a tail that others have not seen, while the next epoch began. Apache's server sends a snapshot.
//!
//! A leader that serves sends a snapshot in place of any TRUNC, see [`crate::leader`].

use crate::canary::Canary;
use crate::history::History;
use zk_proto::Zxid;

/// What a learner gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// What follows this place.
    Diff { after: Zxid },
    /// Its tail is cut off.
    Trunc { to: Zxid },
    /// Everything.
    Snap,
    /// What follows `after`, if the disk still has it up to `through`.
    Seek { after: Zxid, through: Zxid },
}

/// The table.
pub(crate) fn plan(history: &History, stands: Zxid, peer: Zxid, force_snapshot: bool) -> Plan {
    let floor = history.floor();
    let opens_epoch = peer.counter() == 0;
    if force_snapshot || peer < Zxid::ZERO {
        return Plan::Snap; // A
    }
    if peer == stands {
        return Plan::Diff { after: peer }; // B
    }
    if peer > stands && Canary::TailStays.sings() {
        return Plan::Diff { after: stands };
    }
    if peer > stands && !opens_epoch {
        return Plan::Trunc { to: stands }; // C
    }
    if peer < floor && Canary::WindowWithAHole.sings() {
        return Plan::Diff { after: floor };
    }
    if peer < floor {
        return Plan::Seek {
            after: peer,
            through: floor,
        }; // G
    }
    if peer > stands {
        return Plan::Snap; // H
    }
    if history.holds(peer) {
        return Plan::Diff { after: peer }; // D
    }
    let next = history.after(peer).next();
    if opens_epoch && next.is_some_and(|entry| entry.zxid.epoch() == peer.epoch()) {
        return Plan::Diff { after: peer }; // E
    }
    match history.last_before(peer) {
        Some(last) if last.epoch() == peer.epoch() => Plan::Trunc { to: last }, // F
        _ => Plan::Snap,                                                        // F'
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    /// A zxid as it prints.
    fn zxid(text: &str) -> Zxid {
        let (epoch, counter) = text.split_once('.').unwrap();
        let (epoch, counter): (i64, i64) = (epoch.parse().unwrap(), counter.parse().unwrap());
        Zxid::from_wire(epoch << 32 | counter)
    }

    /// A leader whose memory holds these, the first one being the floor.
    fn history(window: &[&str]) -> History {
        let last = zxid(window.last().unwrap());
        let mut history = History::ending_with(last);
        history.remember(window.iter().map(|text| (zxid(text), Bytes::new())));
        history
    }

    fn check(window: &[&str], stands: &str, peer: &str, expected: &str) {
        let plan = plan(&history(window), zxid(stands), zxid(peer), false);
        let text = match plan {
            Plan::Diff { after } => format!("DIFF after {after}"),
            Plan::Trunc { to } => format!("TRUNC {to}"),
            Plan::Snap => "SNAP".to_string(),
            Plan::Seek { after, through } => format!("seek {after}..{through}"),
        };
        assert_eq!(text, expected, "{window:?} stands={stands} peer={peer}");
    }

    const WINDOW: [&str; 5] = ["1.4", "1.5", "1.6", "2.1", "2.2"];

    #[test]
    fn a_learner_that_misses_nothing_gets_an_empty_diff() {
        check(&WINDOW, "2.2", "2.2", "DIFF after 2.2");
        check(&["2.0"], "2.0", "2.0", "DIFF after 2.0");
        check(&["0.0"], "0.0", "0.0", "DIFF after 0.0");
    }

    #[test]
    fn a_learner_gets_what_follows_its_last_transaction() {
        check(&WINDOW, "2.2", "1.4", "DIFF after 1.4");
        check(&WINDOW, "2.2", "1.6", "DIFF after 1.6");
        check(&WINDOW, "2.1", "1.5", "DIFF after 1.5");
    }

    #[test]
    fn a_tail_beyond_what_stands_is_cut_off() {
        check(&WINDOW, "2.2", "2.3", "TRUNC 2.2");
        check(&WINDOW, "2.1", "2.2", "TRUNC 2.1");
        check(&WINDOW, "2.2", "3.1", "TRUNC 2.2");
    }

    #[test]
    fn a_tail_that_others_continued_differently_is_cut_off_too() {
        check(&WINDOW, "2.2", "1.7", "TRUNC 1.6");
        check(&["1.4", "3.1"], "3.1", "1.7", "TRUNC 1.4");
        check(&["1.4", "3.1"], "3.1", "2.7", "SNAP");
    }

    #[test]
    fn the_opening_of_an_epoch_is_a_place_only_where_its_transactions_are_known() {
        check(&WINDOW, "2.2", "2.0", "DIFF after 2.0");
        check(&["1.4", "1.5", "3.1"], "3.1", "2.0", "SNAP");
        check(&WINDOW, "2.2", "3.0", "SNAP");
    }

    #[test]
    fn what_memory_has_forgotten_is_sought_on_disk() {
        check(&WINDOW, "2.2", "1.3", "seek 1.3..1.4");
        check(&WINDOW, "2.2", "0.0", "seek 0.0..1.4");
    }

    #[test]
    fn snapshots_can_be_forced() {
        let plan = plan(&history(&WINDOW), zxid("2.2"), zxid("2.2"), true);
        assert_eq!(plan, Plan::Snap);
    }

    #[test]
    fn a_learner_may_ask_for_a_snapshot() {
        let plan = plan(&history(&WINDOW), zxid("2.2"), Zxid::NONE, false);
        assert_eq!(plan, Plan::Snap);
    }
}
