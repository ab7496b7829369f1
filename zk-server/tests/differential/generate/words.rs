//! What requests are made of: paths, data, versions, ACLs. A small working set, so that operations
//! collide, and every way to be wrong that the reference knows.

use crate::rng::Rng;
use std::borrow::Cow;
use zk_proto::{Perms, WireAcl};

/// Where nodes live. Short, and closed under parents.
const WORK: [&str; 18] = [
    "/a", "/b", "/c", "/a/a", "/a/b", "/b/a", "/b/b", "/c/a", "/a/a/a", "/a/a/b", "/a/b/a",
    "/b/a/a", "/a/a/a/a", "/d", "/d/e", "/d/e/f", "/ü", "/a/...",
];

const SPECIAL: [&str; 8] = [
    "/",
    "",
    "/zookeeper",
    "/zookeeper/quota",
    "/zookeeper/config",
    "/missing",
    "/missing/below",
    "/zookeeper/x",
];

/// One for every rule about paths, and some that only look bad.
const ODD: [&str; 26] = [
    "a",
    "a/b",
    "/a/",
    "//",
    "/a//b",
    "/.",
    "/..",
    "/a/.",
    "/a/./b",
    "/a/../b",
    "/..a",
    "/a..",
    "/a\0b",
    "\0",
    "/a\u{1}",
    "/a\u{1f}b",
    "/a\u{7f}",
    "/a\u{9f}b",
    "/a\u{a0}b",
    "/a\u{e000}",
    "/a\u{f8ff}b",
    "/a\u{f900}",
    "/a\u{fff0}",
    "/a\u{fffd}b",
    "/a😀",
    "/a\u{ffff}",
];

/// Bases of sequential names.
const PREFIXES: [&str; 8] = [
    "/", "/a/", "/a/s-", "/b/", "/b/s-", "/d/e/", "/c/q", "/a/a/",
];

pub(crate) fn path(rng: &mut Rng) -> String {
    match rng.below(100) {
        0..40 => rng.pick(&WORK[..7]).to_owned(),
        40..82 => rng.pick(&WORK).to_owned(),
        82..88 => format!("{}{:010}", rng.pick(&PREFIXES), rng.below(12)),
        88..93 => rng.pick(&SPECIAL).to_owned(),
        93..94 => deep(rng),
        _ => rng.pick(&ODD).to_owned(),
    }
}

/// A path that is surely well-formed and mostly exists sooner or later.
pub(crate) fn plain_path(rng: &mut Rng) -> String {
    rng.pick(&WORK).to_owned()
}

pub(crate) fn prefix(rng: &mut Rng) -> String {
    if rng.permille(900) {
        rng.pick(&PREFIXES).to_owned()
    } else {
        path(rng)
    }
}

fn deep(rng: &mut Rng) -> String {
    let depth = 5 + rng.below(60);
    "/a".repeat(depth)
}

pub(crate) fn data(rng: &mut Rng) -> Option<Vec<u8>> {
    match rng.below(100) {
        0..6 => None,
        6..14 => Some(Vec::new()),
        14..90 => Some(vec![b'x'; rng.below(24)]),
        90..99 => Some((0..=255).cycle().take(rng.below(3000)).collect()),
        _ if rng.permille(300) => Some(vec![0xee; 40_000 + rng.below(60_000)]),
        _ => Some(b"plain".to_vec()),
    }
}

pub(crate) fn version(rng: &mut Rng) -> i32 {
    rng.weighted(&[
        (55, -1),
        (18, 0),
        (10, 1),
        (5, 2),
        (3, 3),
        (3, 7),
        (2, -2),
        (2, i32::MAX),
        (2, i32::MIN),
    ])
}

type Entry = (i32, Option<&'static str>, Option<&'static str>);

/// Digests of `alice:a` and `bob:b`.
const ALICE: &str = "alice:AIueg8ag5ALfqeEyKdLnva1Wvi0=";
const BOB: &str = "bob:LcrmCNs/wfVD+i5a5yaz89GyjIM=";

const WORLD: (Option<&str>, Option<&str>) = (Some("world"), Some("anyone"));

/// Single entries that are accepted.
const GOOD: [Entry; 24] = [
    (31, WORLD.0, WORLD.1),
    (1, WORLD.0, WORLD.1),
    (3, WORLD.0, WORLD.1),
    (27, WORLD.0, WORLD.1),
    (0, WORLD.0, WORLD.1),
    (-1, WORLD.0, WORLD.1),
    (0x7fff_ffe1, WORLD.0, WORLD.1),
    (31, Some("digest"), Some(ALICE)),
    (16, Some("digest"), Some(ALICE)),
    (1, Some("digest"), Some(BOB)),
    (12, Some("digest"), Some(BOB)),
    (31, Some("digest"), Some(":h")),
    (31, Some("digest"), Some("u:h:")),
    (31, Some("ip"), Some("127.0.0.1")),
    (31, Some("ip"), Some("127.1.2.3/8")),
    (15, Some("ip"), Some("10.0.0.1/32")),
    (31, Some("ip"), Some("0.0.0.0/0")),
    (31, Some("ip"), Some("::1")),
    (31, Some("ip"), Some("fe80::/10")),
    (1, Some("digest"), Some("ü:ñ")),
    (1, Some("digest"), Some("u😀:h")),
    // Whatever Java's parseInt takes is a number.
    (31, Some("ip"), Some("+127.0.0.1")),
    (31, Some("ip"), Some("0127.0.00.1/+08")),
    (31, Some("ip"), Some("1:2:3:4:5:6:7::")),
];

/// Single entries that are refused, or expanded, or beyond decoding.
const BAD: [Entry; 33] = [
    (31, Some("auth"), Some("")),
    (9, Some("auth"), Some("ignored")),
    (31, Some("auth"), None),
    (31, Some("world"), Some("someone")),
    (31, Some("world"), Some("")),
    (31, Some("world"), None),
    (31, Some("digest"), Some("u")),
    (31, Some("digest"), Some("u:")),
    (31, Some("digest"), Some("a:b:c")),
    (31, Some("digest"), Some("")),
    (31, Some("digest"), Some(":")),
    (31, Some("digest"), None),
    (31, Some("ip"), Some("127.0.0")),
    (31, Some("ip"), Some("127.0.0.256")),
    (31, Some("ip"), Some("127.0.0.1/33")),
    (31, Some("ip"), Some("127.0.0.1/-1")),
    (31, Some("ip"), Some("127.0.0.1/")),
    (31, Some("ip"), Some("127.0.0.1/8/8")),
    (31, Some("ip"), Some("::1/129")),
    (31, Some("ip"), Some("1:2:3:4:5:6:7:8:9")),
    (31, Some("ip"), Some("::ffff:127.0.0.1")),
    (31, Some("ip"), Some("localhost")),
    (31, Some("ip"), Some(" 127.0.0.1")),
    (31, Some("ip"), Some("1::2::3")),
    (31, Some("ip"), Some("::1%lo")),
    (31, Some("ip"), Some("")),
    (31, Some("ip"), None),
    (31, Some("super"), Some("")),
    (31, Some("sasl"), Some("u")),
    (31, Some("nonsense"), Some("x")),
    (31, Some(""), Some("x")),
    (31, None, Some("x")),
    (31, None, None),
];

fn entry((perms, scheme, id): Entry) -> WireAcl<'static> {
    WireAcl {
        perms: Perms(perms),
        scheme: scheme.map(Cow::Borrowed),
        id: id.map(Cow::Borrowed),
    }
}

/// What opens a node to everyone.
pub(crate) fn open_acl() -> Vec<WireAcl<'static>> {
    vec![entry(GOOD[0])]
}

/// For a new node: mostly open, or the stream would starve.
pub(crate) fn create_acl(rng: &mut Rng) -> Option<Vec<WireAcl<'static>>> {
    if rng.permille(800) {
        Some(open_acl())
    } else {
        acl(rng)
    }
}

pub(crate) fn acl(rng: &mut Rng) -> Option<Vec<WireAcl<'static>>> {
    match rng.below(100) {
        0..30 => Some(open_acl()),
        30..60 => Some(vec![entry(rng.pick(&GOOD))]),
        60..72 => Some(vec![entry(rng.pick(&BAD))]),
        72..76 => Some(vec![entry(BAD[rng.below(3)])]),
        76..79 => None,
        79..82 => Some(Vec::new()),
        _ => Some(several(rng)),
    }
}

fn several(rng: &mut Rng) -> Vec<WireAcl<'static>> {
    let mut entries: Vec<_> = (0..2 + rng.below(3))
        .map(|_| {
            if rng.permille(900) {
                entry(rng.pick(&GOOD))
            } else {
                entry(rng.pick(&BAD))
            }
        })
        .collect();
    if rng.permille(400) {
        entries.push(entries[0].clone());
    }
    entries
}
