//! How contenders are called: the schemes of Curator and kazoo, what a name says, and which names belong to a scheme
//! that would not see ours. Pure.
//!
//! One directory has one scheme. Curator's recipes sort every child by what follows their mark, kazoo's ignore every
//! child without theirs, so that the two, with the names they choose by themselves, walk past each other.

use std::cmp::Ordering;

/// Whose names contenders have, and so with whom they may contend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Naming {
    /// Curator's: `_c_<uuid>-lock-N`. Contends with Curator, with go-zk's lock, with this crate, and with kazoo where
    /// kazoo was told to use Curator's names (a `Lock` with `_NODE_NAME = "-lock-"`, `_EXCLUDE_NAMES = ["lock-"]`).
    #[default]
    Curator,
    /// kazoo's: `_c_<uuid>-__lock__N`. Contends with kazoo and with this crate. The directory stays, as kazoo expects.
    Kazoo,
}

/// What a contender wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mark {
    /// To be alone.
    Lock,
    /// To read with other readers.
    Read,
    /// To be alone among readers and writers.
    Write,
    /// To lead, as Curator's `LeaderLatch` does.
    Latch,
    /// One of several places.
    Lease,
}

impl Mark {
    /// What stands before the number.
    pub(crate) const fn text(self, naming: Naming) -> &'static str {
        match (naming, self) {
            (Naming::Curator, Self::Lock) => "lock-",
            (Naming::Curator, Self::Read) => "__READ__",
            (Naming::Curator, Self::Write) => "__WRIT__",
            // kazoo has no such thing; there they are ours alone.
            (_, Self::Latch) => "latch-",
            (_, Self::Lease) => "lease-",
            (Naming::Kazoo, Self::Lock | Self::Write) => "__lock__",
            (Naming::Kazoo, Self::Read) => "__rlock__",
        }
    }
}

/// A contender's number: the parent's count of creates, a signed 32-bit number that wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sequence(i32);

impl Sequence {
    /// Reads the ten digits, with the sign of one that has wrapped.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let ten = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
        ten.then(|| text.parse().ok().map(Self)).flatten()
    }

    /// Which of two was given out first. Right as long as they are less than 2^31 creates apart.
    pub(crate) const fn cmp(self, other: Self) -> Ordering {
        match self.0.wrapping_sub(other.0) {
            0 => Ordering::Equal,
            ..0 => Ordering::Less,
            _ => Ordering::Greater,
        }
    }
}

/// A child that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) mark: Mark,
    pub(crate) sequence: Sequence,
}

impl Contender {
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.sequence.cmp(other.sequence) == Ordering::Less
    }
}

/// Who takes part in a directory: the marks that are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) naming: Naming,
    pub(crate) marks: &'static [Mark],
}

impl Rules {
    /// The contenders among a directory's children, first come first, or the name of one that is foreign.
    pub(crate) fn sort(&self, names: Vec<String>) -> Result<Vec<Contender>, String> {
        let mut contenders = Vec::with_capacity(names.len());
        for name in names {
            match self.parse(&name) {
                Some((mark, sequence)) => contenders.push(Contender {
                    name,
                    mark,
                    sequence,
                }),
                None if is_contender(&name) => return Err(name),
                None => {}
            }
        }
        contenders.sort_by(|one, other| one.sequence.cmp(other.sequence));
        Ok(contenders)
    }

    fn parse(&self, name: &str) -> Option<(Mark, Sequence)> {
        if self.naming == Naming::Kazoo && self.marks.contains(&Mark::Lease) && is_hex(name) {
            // kazoo's places have no order: whoever takes one holds the lock before it.
            return Some((Mark::Lease, Sequence(0)));
        }
        self.marks.iter().find_map(|mark| {
            let text = mark.text(self.naming);
            let at = name.rfind(text)?;
            let sequence = Sequence::parse(name.get(at + text.len()..)?)?;
            Some((*mark, sequence))
        })
    }
}

/// Whether some other scheme may see a contender here: it ends in a number, it is one of the directories of
/// Curator's semaphore, or it looks like a holder of kazoo's.
fn is_contender(name: &str) -> bool {
    let from = name.len().saturating_sub(10);
    let numbered = name
        .get(from..)
        .is_some_and(|end| Sequence::parse(end).is_some());
    numbered || is_hex(name) || name == "locks" || name == "leases"
}

/// Whether it is a random name of kazoo's.
fn is_hex(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(
        naming: Naming,
        marks: &'static [Mark],
        names: &[&str],
    ) -> Result<Vec<String>, String> {
        let names = names.iter().map(ToString::to_string).collect();
        let sorted = Rules { naming, marks }.sort(names)?;
        Ok(sorted.into_iter().map(|it| it.name).collect())
    }

    #[test]
    fn contenders_stand_in_the_order_of_their_numbers_whatever_precedes_them() {
        let sorted = sorted(
            Naming::Curator,
            &[Mark::Lock],
            &[
                "_c_ffffffff-e4f0-489d-b9ad-2c44caba1833-lock-0000000001",
                "_c_3deaea15e4f0489db9ad2c44caba1833-lock-0000000003",
                "_c_00000000-e4f0-489d-b9ad-2c44caba1833-lock-0000000002",
                "3deaea15e4f0489db9ad2c44caba1833-lock-0000000004",
                "note",
            ],
        );
        let ends: Vec<_> = sorted
            .unwrap()
            .iter()
            .map(|it| it[it.len() - 1..].to_owned())
            .collect();
        assert_eq!(ends, ["1", "2", "3", "4"]);
    }

    #[test]
    fn numbers_that_wrap_keep_their_order() {
        let names = [
            "lock--2147483648",
            "lock-2147483646",
            "lock-2147483647",
            "lock--2147483647",
        ];
        let sorted = sorted(Naming::Curator, &[Mark::Lock], &names).unwrap();
        let expected = [
            "lock-2147483646",
            "lock-2147483647",
            "lock--2147483648",
            "lock--2147483647",
        ];
        assert_eq!(sorted, expected);
    }

    #[test]
    fn whoever_would_not_see_us_is_foreign() {
        let foreign = |naming, marks, name: &str| {
            assert_eq!(
                sorted(naming, marks, &[name]),
                Err(name.to_owned()),
                "{naming:?}"
            );
        };
        let kazoo = "3deaea15e4f0489db9ad2c44caba1833__lock__0000000000";
        let reader = "3deaea15e4f0489db9ad2c44caba1833__rlock__0000000000";
        foreign(Naming::Curator, &[Mark::Lock], kazoo);
        foreign(Naming::Kazoo, &[Mark::Lock], reader);
        foreign(
            Naming::Kazoo,
            &[Mark::Lock],
            "_c_3deaea15e4f0489db9ad2c44caba1833-lock-0000000000",
        );
        foreign(Naming::Curator, &[Mark::Lock], "_c_x-latch-0000000000");
        foreign(Naming::Curator, &[Mark::Latch], "_c_x-lock-0000000000");
        foreign(
            Naming::Curator,
            &[Mark::Lock],
            "x-72057594037927936-0000000000",
        );
        foreign(
            Naming::Curator,
            &[Mark::Lock],
            "3deaea15e4f0489db9ad2c44caba1833",
        );
        foreign(Naming::Curator, &[Mark::Lock], "leases");
        let holder = "3deaea15e4f0489db9ad2c44caba1833";
        let ours = "_c_3deaea15-e4f0-489d-b9ad-2c44caba1833-lease-0000000001";
        let places = sorted(Naming::Kazoo, &[Mark::Lease], &[holder, ours]);
        assert_eq!(places.unwrap().len(), 2);
        assert_eq!(
            sorted(Naming::Kazoo, &[Mark::Read, Mark::Write], &[kazoo, reader])
                .unwrap()
                .len(),
            2
        );
    }
}
