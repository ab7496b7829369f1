//! The end of the history, kept while it is replayed at a start, so that a leader that has just started can tell
//! learners what little they miss.

use bytes::Bytes;
use std::collections::VecDeque;
use zk_proto::Zxid;

/// How many transactions are kept, as many as a leader that runs keeps.
const MOST: usize = 500;
/// How many bytes they may take.
const MOST_BYTES: usize = 16 << 20;

/// A bounded tail of the history. Of its first entry only the place counts.
#[derive(Debug)]
pub(crate) struct Recent {
    entries: VecDeque<(Zxid, Bytes)>,
    bytes: usize,
}

impl Recent {
    /// The history up to here is in a snapshot.
    pub(super) fn after(base: Zxid) -> Self {
        Self {
            entries: VecDeque::from([(base, Bytes::new())]),
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, zxid: Zxid, payload: &Bytes) {
        if self.entries.back().is_some_and(|(last, _)| zxid <= *last) {
            return;
        }
        self.bytes += payload.len();
        self.entries.push_back((zxid, payload.clone()));
        while self.entries.len() > MOST + 1 || (self.bytes > MOST_BYTES && self.entries.len() > 1) {
            self.entries.pop_front();
            // The new first one is only a place.
            if let Some((_, payload)) = self.entries.front_mut() {
                self.bytes -= payload.len();
                payload.clear();
            }
        }
    }
}

impl IntoIterator for Recent {
    type Item = (Zxid, Bytes);
    type IntoIter = std::collections::vec_deque::IntoIter<(Zxid, Bytes)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(payload: usize, count: i64) -> Vec<(i64, usize)> {
        let mut recent = Recent::after(Zxid::from_wire(7));
        for wire in 1..=count {
            recent.push(Zxid::from_wire(7 + wire), &vec![0; payload].into());
        }
        let entries = recent.into_iter();
        entries
            .map(|(zxid, bytes)| (zxid.to_wire(), bytes.len()))
            .collect()
    }

    #[test]
    fn it_begins_with_the_place_of_the_snapshot() {
        assert_eq!(kept(5, 2), [(7, 0), (8, 5), (9, 5)]);
        assert_eq!(kept(5, 0), [(7, 0)]);
    }

    #[test]
    fn it_is_bounded_in_number_and_in_bytes() {
        let many = kept(1, 2000);
        assert_eq!(many.len(), MOST + 1);
        assert_eq!(many.last(), Some(&(2007, 1)));
        assert_eq!(many[0], (1507, 0), "of the first only the place counts");
        let large = kept(MOST_BYTES / 4, 10);
        assert_eq!(large.iter().map(|(_, len)| len).sum::<usize>(), MOST_BYTES);
        let huge = kept(MOST_BYTES + 1, 3);
        assert_eq!(huge, [(10, 0)]);
    }
}
