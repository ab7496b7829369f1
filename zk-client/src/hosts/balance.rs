//! Who moves when the list of servers changes, so that a thousand clients that decide alone spread evenly over the
//! new list, and no more of them move than must.
//!
//! Each server of the old list has as many clients as any other, a share of 1/old; in the end each should have
//! 1/new. Who is on a server that left must move. Where there are more servers than before, so many of the others
//! move, and only to servers that are new, that these get their share. (Java's client draws by the same rule.)

use super::{Chance, Endpoint};

/// What one client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It stays where it is.
    Stay,
    /// It moves to one of the servers that are new.
    ToAdded,
    /// It moves to one of those that were in the list before.
    ToKept,
}

/// Decides for the client of `current`, who knew the servers `old` and is told of `new`.
pub fn decide(current: &Endpoint, old: &[Endpoint], new: &[Endpoint], chance: &mut Chance) -> Move {
    let kept = new.iter().filter(|server| old.contains(server)).count();
    let added = new.len() - kept;
    let happens = |chance: &mut Chance, of: usize, in_all: usize| chance.below(in_all.max(1)) < of;
    if new.contains(current) {
        let grows = new.len().saturating_sub(old.len());
        let moves = added > 0 && happens(chance, grows, new.len());
        return if moves { Move::ToAdded } else { Move::Stay };
    }
    let removed = old.len().saturating_sub(kept);
    // Kept servers take what they lack: kept * (1/new - 1/old) of what the removed had, removed / old.
    let shrinks = old.len().saturating_sub(new.len());
    let to_kept = added == 0 || happens(chance, kept * shrinks, removed * new.len());
    if to_kept { Move::ToKept } else { Move::ToAdded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn endpoints(names: &[&str]) -> Vec<Endpoint> {
        names
            .iter()
            .map(|name| Endpoint::new(*name, 2181))
            .collect()
    }

    /// How many of 1000 clients each server has after a change, and how many have moved.
    fn spread(old: &[&str], new: &[&str]) -> (BTreeMap<String, i64>, usize) {
        let (old, new) = (endpoints(old), endpoints(new));
        let mut chance = Chance::seeded(7);
        let (mut load, mut moved) = (BTreeMap::<String, i64>::new(), 0);
        for client in 0..1000 {
            let current = &old[client % old.len()];
            let known = |server: &&Endpoint| old.contains(server);
            let goal: Vec<_> = match decide(current, &old, &new, &mut chance) {
                Move::Stay => vec![current],
                Move::ToKept => new.iter().filter(known).collect(),
                Move::ToAdded => new.iter().filter(|server| !known(server)).collect(),
            };
            let goal = goal[chance.below(goal.len())];
            moved += usize::from(goal != current);
            *load.entry(goal.host.clone()).or_default() += 1;
        }
        (load, moved)
    }

    #[test]
    fn whatever_changes_every_server_has_its_share_and_no_more_move_than_must() {
        for (old, new, must) in [
            (&["a", "b", "c"][..], &["a", "b", "c"][..], 0),
            (&["a", "b", "c"], &["a", "b"], 334),
            (&["a", "b", "c"], &["a", "b", "c", "d"], 250),
            (&["a", "b", "c"], &["a", "b", "d"], 334),
            (&["a", "b", "c"], &["d", "e", "f"], 1000),
            (&["a", "b", "c", "d", "e"], &["a", "b", "x"], 600),
            (&["a", "b"], &["a", "x", "y", "z"], 750),
            (&["a"], &["a", "b", "c"], 667),
        ] {
            let (load, moved) = spread(old, new);
            let share = 1000 / i64::try_from(new.len()).unwrap();
            for (server, count) in &load {
                let off = (count - share).abs();
                assert!(
                    off < 60,
                    "{old:?} to {new:?}: {server} has {count} of {load:?}"
                );
            }
            assert_eq!(load.len(), new.len());
            assert!(
                moved.abs_diff(must) < 50,
                "{old:?} to {new:?}: {moved} moved"
            );
        }
    }
}
