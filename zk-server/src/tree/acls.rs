//! Every distinct ACL once, under the number by which snapshots know it.

use std::collections::BTreeMap;
use std::sync::Arc;
use zk_proto::{Acl, Perms};

/// The number of the ACL that the first nodes have without anyone having written it; snapshots write -1.
pub(super) const OPEN: u32 = 0;

#[derive(Clone, Debug)]
struct Entry {
    list: Arc<[Acl]>,
    uses: u64,
}

/// The ACLs in use. Numbers from 1 up are Java's `aclId`s.
#[derive(Debug)]
pub(super) struct Acls {
    open: Arc<[Acl]>,
    /// Number `n` at place `n - 1`.
    entries: Vec<Option<Entry>>,
    numbers: BTreeMap<Arc<[Acl]>, u32>,
    free: Vec<u32>,
    /// Numbers that an unfinished image has written down: not to be used for another list meanwhile.
    held: Option<Vec<u32>>,
}

impl Acls {
    pub(super) fn new() -> Self {
        Self {
            open: Arc::new([Acl::world(Perms::ALL)]),
            entries: Vec::new(),
            numbers: BTreeMap::new(),
            free: Vec::new(),
            held: None,
        }
    }

    /// The list of a number in use.
    pub(super) fn get(&self, number: u32) -> &Arc<[Acl]> {
        if number == OPEN {
            return &self.open;
        }
        let entry = self.entries[number as usize - 1].as_ref();
        &entry.expect("a node's ACL is in use").list
    }

    /// The list, shared with the nodes that have it already.
    pub(super) fn share(&self, list: &[Acl]) -> Arc<[Acl]> {
        match self.numbers.get_key_value(list) {
            Some((known, _)) => Arc::clone(known),
            None => list.into(),
        }
    }

    /// The number of a list, which is used once more.
    pub(super) fn acquire(&mut self, list: &[Acl]) -> u32 {
        if let Some(&number) = self.numbers.get(list) {
            self.acquire_number(number);
            return number;
        }
        let list: Arc<[Acl]> = list.into();
        let entry = Some(Entry {
            list: list.clone(),
            uses: 1,
        });
        let number = if let Some(number) = self.free.pop() {
            self.entries[number as usize - 1] = entry;
            number
        } else {
            self.entries.push(entry);
            u32::try_from(self.entries.len()).expect("fewer than 2^32 distinct ACLs")
        };
        self.numbers.insert(list, number);
        number
    }

    /// Uses a number once more.
    pub(super) fn acquire_number(&mut self, number: u32) {
        if number != OPEN {
            let entry = self.entries[number as usize - 1].as_mut();
            entry.expect("a number in use").uses += 1;
        }
    }

    /// Uses a number once less; the last use frees it.
    pub(super) fn release(&mut self, number: u32) {
        if number == OPEN {
            return;
        }
        let place = &mut self.entries[number as usize - 1];
        let entry = place.as_mut().expect("a node's ACL is in use");
        entry.uses -= 1;
        if entry.uses == 0 {
            self.numbers.remove(&entry.list);
            *place = None;
            match &mut self.held {
                Some(held) => held.push(number),
                None => self.free.push(number),
            }
        }
    }

    /// How often a list is used.
    pub(super) fn uses(&self, list: &[Acl]) -> u64 {
        let number = self.numbers.get(list).copied().unwrap_or(OPEN);
        let place = (number as usize).checked_sub(1);
        let entry = place.and_then(|place| self.entries.get(place)?.as_ref());
        entry.map_or(0, |entry| entry.uses)
    }

    /// From now on no freed number is used again.
    pub(super) fn hold(&mut self) {
        self.held.get_or_insert_with(Vec::new);
    }

    /// Freed numbers may be used again.
    pub(super) fn unhold(&mut self) {
        self.free.append(&mut self.held.take().unwrap_or_default());
    }

    /// How many lists there are, without the open one that no one wrote.
    pub(super) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// All numbers and lists, without the open one that no one wrote.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &[Acl])> {
        (1..)
            .zip(&self.entries)
            .filter_map(|(number, entry)| Some((number, &*entry.as_ref()?.list)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_share_a_number_until_the_last_use() {
        let mut acls = Acls::new();
        let one = [Acl::world(Perms::ALL)];
        let two = [Acl::world(Perms::READ)];
        assert_eq!((acls.acquire(&one), acls.acquire(&two)), (1, 2));
        assert_eq!(acls.acquire(&one), 1);
        acls.release(1);
        assert_eq!(&acls.get(1)[..], &one);
        acls.release(1);
        assert_eq!(
            acls.iter().map(|(number, _)| number).collect::<Vec<_>>(),
            [2]
        );
        let three = [Acl::world(Perms::ADMIN)];
        assert_eq!(acls.acquire(&three), 1, "a freed number is used again");
    }

    #[test]
    fn a_held_number_is_not_used_for_another_list() {
        let mut acls = Acls::new();
        let first = acls.acquire(&[Acl::world(Perms::READ)]);
        acls.hold();
        acls.release(first);
        assert_ne!(acls.acquire(&[Acl::world(Perms::WRITE)]), first);
        acls.unhold();
        assert_eq!(acls.acquire(&[Acl::world(Perms::ADMIN)]), first);
    }
}
