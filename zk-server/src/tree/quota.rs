//! Quotas: which paths have one, what their texts say, and the arithmetic between them.
//!
//! The usage under a quota is a node whose data every server keeps up by itself, without a transaction.

use super::Tree;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Below it each quota has its place.
pub(super) const QUOTA_PATH: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// The node with the limits of a path.
pub(super) fn limits_path(path: &str) -> String {
    format!("{QUOTA_PATH}{path}/{LIMITS}")
}

/// The node with the usage below a path.
pub(super) fn stats_path(path: &str) -> String {
    format!("{QUOTA_PATH}{path}/{STATS}")
}

/// What a node below the quota root is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special<'a> {
    /// The limits of this path.
    Limits(&'a str),
    /// The usage below this path.
    Stats(&'a str),
}

impl<'a> Special<'a> {
    /// Recognizes the two kinds of nodes.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let (parent, name) = path.strip_prefix(QUOTA_PATH)?.rsplit_once('/')?;
        match name {
            LIMITS => Some(Self::Limits(parent)),
            STATS => Some(Self::Stats(parent)),
            _ => None,
        }
    }
}

/// The paths that have limits.
#[derive(Debug, Default)]
pub(super) struct Quotas(BTreeSet<String>);

impl Quotas {
    pub(super) fn add(&mut self, path: &str) {
        // A quota on the root is kept by no one.
        if !path.is_empty() {
            self.0.insert(path.to_owned());
        }
    }

    pub(super) fn remove(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// The longest path with a quota that the given one is, or lies below.
    pub(super) fn over<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.0.is_empty() {
            return None;
        }
        let mut at = path;
        while !at.is_empty() {
            if self.0.contains(at) {
                return Some(at);
            }
            at = at.rsplit_once('/')?.0;
        }
        None
    }
}

/// The text of a limits or a stats node: keys and numbers.
///
/// Java dies of a text without numbers; here such a part is as good as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Track(BTreeMap<String, i64>);

impl Track {
    pub(super) fn parse(data: Option<&[u8]>) -> Self {
        let text = String::from_utf8_lossy(data.unwrap_or_default());
        let pairs = text.split([',', ';']).filter_map(|pair| {
            let mut parts = pair.split('=');
            let (key, value) = (parts.next()?, parts.next()?);
            let value = if value.is_empty() { "-1" } else { value };
            Some((key.to_owned(), value.parse().ok()?))
        });
        Self(pairs.collect())
    }

    pub(super) fn new(count: i64, bytes: i64) -> Self {
        Self(BTreeMap::from([
            ("bytes".to_owned(), bytes),
            ("count".to_owned(), count),
        ]))
    }

    fn get(&self, key: &str) -> i64 {
        self.0.get(key).copied().unwrap_or(-1)
    }

    pub(super) fn add(&mut self, count: i64, bytes: i64) {
        let sum = Self::new(
            self.get("count").wrapping_add(count),
            self.get("bytes").wrapping_add(bytes),
        );
        self.0.extend(sum.0);
    }

    /// The text, in the form that parsers before 3.4.3 understand too.
    pub(super) fn text(&self) -> String {
        let mut text = format!("count={},bytes={}", self.get("count"), self.get("bytes"));
        let rest = || {
            self.0
                .iter()
                .filter(|(key, _)| !matches!(key.as_str(), "count" | "bytes"))
        };
        if rest().next().is_some() {
            text.push('=');
        }
        for (key, value) in rest() {
            write!(text, ";{key}={value}").expect("a string takes everything");
        }
        text
    }

    fn usage(&self) -> QuotaAmount {
        QuotaAmount {
            count: self.get("count"),
            bytes: self.get("bytes"),
        }
    }

    /// As limits: the hard one, if there is one.
    fn limit(&self) -> QuotaAmount {
        let of = |hard: &str, soft: &str| match self.get(hard) {
            limit if limit > -1 => limit,
            _ => self.get(soft),
        };
        QuotaAmount {
            count: of("countHardLimit", "count"),
            bytes: of("byteHardLimit", "bytes"),
        }
    }

    /// Whether a hard limit forbids the growth. Soft limits forbid nothing.
    pub(super) fn forbids(&self, usage: &Self, count: i64, bytes: i64) -> bool {
        let over = |limit: &str, used: &str, more: i64| {
            let limit = self.get(limit);
            more != 0 && limit > -1 && usage.get(used).wrapping_add(more) > limit
        };
        over("countHardLimit", "count", count) || over("byteHardLimit", "bytes", bytes)
    }
}

/// Nodes and bytes, allowed or there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaAmount {
    /// How many nodes.
    pub count: i64,
    /// How many bytes of data.
    pub bytes: i64,
}

impl std::ops::Add for QuotaAmount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

/// All quotas below one top-level node; none of what none of them has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaTotals {
    /// What is allowed, by the hard limit where there is one.
    pub limit: Option<QuotaAmount>,
    /// What is there.
    pub usage: Option<QuotaAmount>,
}

impl Tree {
    /// The quotas by top-level node, added up as Java's metrics do: an absent limit, -1, too.
    pub fn quota_totals(&self) -> BTreeMap<String, QuotaTotals> {
        let mut totals: BTreeMap<String, QuotaTotals> = BTreeMap::new();
        let Some(top) = self.nodes.find(QUOTA_PATH) else {
            return totals;
        };
        let leaves = self.nodes.subtree(top).map(|id| (id, self.nodes.get(id)));
        for (id, node) in leaves.filter(|(_, node)| node.children() == 0) {
            let path = self.nodes.path(id);
            let (Some(special), Some(data)) = (Special::of(&path), node.data()) else {
                continue;
            };
            let (Special::Limits(over) | Special::Stats(over)) = special;
            let Some(name) = over.split('/').nth(1) else {
                continue;
            };
            let track = Track::parse(Some(data));
            let totals = totals.entry(name.to_owned()).or_default();
            let (sum, amount) = match special {
                Special::Limits(_) => (&mut totals.limit, track.limit()),
                Special::Stats(_) => (&mut totals.usage, track.usage()),
            };
            *sum = Some(sum.unwrap_or_default() + amount);
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_java_s() {
        for (text, again) in [
            ("count=4,bytes=-1", "count=4,bytes=-1"),
            (
                "count=4,bytes=-1=;byteHardLimit=20;countHardLimit=4",
                "count=4,bytes=-1=;byteHardLimit=20;countHardLimit=4",
            ),
            ("bytes=7", "count=-1,bytes=7"),
            ("", "count=-1,bytes=-1"),
            ("nonsense", "count=-1,bytes=-1"),
            ("count=,bytes=x", "count=-1,bytes=-1"),
            (
                "countHardLimit=3,,;byteHardLimit=2",
                "count=-1,bytes=-1=;byteHardLimit=2;countHardLimit=3",
            ),
        ] {
            assert_eq!(
                Track::parse(Some(text.as_bytes())).text(),
                again,
                "{text:?}"
            );
        }
        let mut track = Track::parse(Some(b"count=4,bytes=10=;countHardLimit=9"));
        track.add(1, -3);
        assert_eq!(track.text(), "count=5,bytes=7=;countHardLimit=9");
    }

    #[test]
    fn only_hard_limits_forbid() {
        let usage = Track::new(4, 100);
        for (limits, count, bytes, forbidden) in [
            ("count=4,bytes=100", 1, 1, false),
            ("count=1,bytes=1=;countHardLimit=4", 1, 0, true),
            ("countHardLimit=5", 1, 0, false),
            ("byteHardLimit=100", 1, 0, false),
            ("byteHardLimit=100", 0, 1, true),
            ("byteHardLimit=10", 0, -1, true),
            ("countHardLimit=-1;byteHardLimit=-1", 1, 1, false),
        ] {
            let limits = Track::parse(Some(limits.as_bytes()));
            assert_eq!(
                limits.forbids(&usage, count, bytes),
                forbidden,
                "{limits:?}"
            );
        }
    }

    #[test]
    fn the_longest_path_with_a_quota_counts() {
        let mut quotas = Quotas::default();
        for path in ["", "/a", "/a/b/c"] {
            quotas.add(path);
        }
        for (path, over) in [
            ("/a", Some("/a")),
            ("/a/b", Some("/a")),
            ("/a/b/c/d", Some("/a/b/c")),
            ("/ab", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(quotas.over(path), over, "{path}");
        }
        quotas.remove("/a");
        assert_eq!(quotas.over("/a/b"), None);
    }

    #[test]
    fn special_nodes_are_recognized() {
        for (path, special) in [
            (
                "/zookeeper/quota/a/b/zookeeper_limits",
                Some(Special::Limits("/a/b")),
            ),
            (
                "/zookeeper/quota/a/zookeeper_stats",
                Some(Special::Stats("/a")),
            ),
            (
                "/zookeeper/quota/zookeeper_limits",
                Some(Special::Limits("")),
            ),
            ("/zookeeper/quota/a", None),
            ("/a/zookeeper_limits", None),
        ] {
            assert_eq!(Special::of(path), special, "{path}");
        }
    }
}
