//! Who owns what: of all members, the one whose name and the partition's number give the largest hash. Pure; the same
//! everywhere, and for ever.

/// Which of some members owns a partition; `None` where there are none.
pub(super) fn owner<'a>(members: &[&'a str], partition: u32) -> Option<&'a str> {
    let weighed = members.iter().map(|it| (weigh(it, partition), *it));
    weighed.max().map(|(_, member)| member)
}

/// FNV-1a over the name and the number, then mixed, so that names that differ in one letter are far apart.
fn weigh(member: &str, partition: u32) -> u64 {
    let bytes = member.bytes().chain([0xff]).chain(partition.to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(members: &[&str]) -> Vec<String> {
        let owner = |partition| owner(members, partition).unwrap().to_owned();
        (0..1000).map(owner).collect()
    }

    #[test]
    fn only_what_a_member_had_moves_when_it_goes() {
        let four = owners(&["ann", "bob", "cid", "dan"]);
        let three = owners(&["dan", "ann", "bob"]);
        for (before, after) in four.iter().zip(&three) {
            assert!(before == "cid" || before == after);
        }
        assert_eq!(owner(&[], 1), None);
    }

    #[test]
    fn everybody_has_about_as_much() {
        let all = owners(&["member-1", "member-2", "member-3", "member-4"]);
        for member in ["member-1", "member-2", "member-3", "member-4"] {
            let has = all.iter().filter(|owner| *owner == member).count();
            assert!((200..300).contains(&has), "{member} has {has}");
        }
    }

    #[test]
    fn the_hash_is_the_same_in_every_version() {
        let first = owners(&["ann", "bob", "cid"]);
        let said: String = first[..16].iter().map(|it| &it[..1]).collect();
        assert_eq!(said, "accbabbcbaabaaba");
    }
}
