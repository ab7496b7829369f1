//! A second decoder, driven by schemas instead of types: it walks the bytes of a record and writes them
//! out again in canonical form, or refuses. It shares nothing with `zk_proto`, so that the two can
//! only agree by both being right.
//!
//! A schema is a row of letters:
//!
//! | letter | field |
//! |---|---|
//! | `b` `i` `l` | bool, int, long |
//! | `B` | buffer or null |
//! | `S` `s` | string; string or null |
//! | `[..]` `{..}` `(..)` | vector; vector or null; vector, where null reads as empty |
//! | `K` | the stat that clients see |
//! | `w` `m` `e` | int out of a table: watcher type, watch mode, event |
//!
//! Canonical: true is 1, text is what Java reads, a count below -1 is an empty vector.

use super::java_text;

/// The limit of one field that a server's reader has by default.
pub const FIELD_LIMIT: usize = 2 * 0xf_ffff;

/// A walk over one record.
pub struct Walk<'a> {
    left: &'a [u8],
    limit: usize,
    out: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], limit: usize) -> Self {
        Self {
            left: bytes,
            limit,
            out: Vec::new(),
        }
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.left.split_at_checked(len)?;
        self.left = tail;
        Some(head)
    }

    fn int(&mut self) -> Option<i32> {
        let bytes = self.take(4)?;
        Some(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn put_int(&mut self, value: i32) {
        self.out.extend(value.to_be_bytes());
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_int(i32::try_from(bytes.len()).expect("inputs are small"));
        self.out.extend(bytes);
    }

    /// `None` is a refusal, `Some(None)` a null.
    fn bytes(&mut self) -> Option<Option<&'a [u8]>> {
        let len = self.int()?;
        if len == -1 {
            return Some(None);
        }
        let len = usize::try_from(len).ok()?;
        if len > self.limit {
            return None;
        }
        self.take(len).map(Some)
    }

    fn record(&mut self, schema: &str) -> Option<()> {
        let mut rest = schema;
        while let Some(letter) = rest.chars().next() {
            rest = &rest[1..];
            if let Some(close) = closing(letter) {
                let end = rest.find(close).expect("schemas are balanced");
                self.vector(&rest[..end], letter)?;
                rest = &rest[end + 1..];
            } else {
                self.field(letter)?;
            }
        }
        Some(())
    }

    fn field(&mut self, letter: char) -> Option<()> {
        match letter {
            'b' => {
                let byte = self.take(1)?[0];
                self.out.push(u8::from(byte != 0));
            }
            'i' => {
                let bytes = self.take(4)?;
                self.out.extend(bytes);
            }
            'l' => {
                let bytes = self.take(8)?;
                self.out.extend(bytes);
            }
            'B' => match self.bytes()? {
                None => self.put_int(-1),
                Some(bytes) => self.put_bytes(bytes),
            },
            's' | 'S' => match self.bytes()? {
                None if letter == 'S' => return None,
                None => self.put_int(-1),
                Some(bytes) => self.put_bytes(java_text::decode(bytes).as_bytes()),
            },
            'K' => self.record("lllliiiliil")?,
            'w' => self.int_within(1, 5)?,
            'm' => self.int_within(0, 1)?,
            'e' => self.int_within(1, 4)?,
            _ => panic!("no schema has the letter {letter}"),
        }
        Some(())
    }

    fn int_within(&mut self, least: i32, most: i32) -> Option<()> {
        let value = self.int()?;
        self.put_int(value);
        (least..=most).contains(&value).then_some(())
    }

    fn vector(&mut self, element: &str, open: char) -> Option<()> {
        let count = self.int()?;
        match (count, open) {
            (-1, '[') => return None,
            (-1, '{') => self.put_int(-1),
            _ => self.put_int(count.max(0)),
        }
        // Every element takes bytes, so that a monstrous count ends with the input.
        for _ in 0..count {
            self.record(element)?;
        }
        Some(())
    }
}

fn closing(letter: char) -> Option<char> {
    match letter {
        '[' => Some(']'),
        '{' => Some('}'),
        '(' => Some(')'),
        _ => None,
    }
}

/// The canonical form of a record with that schema at the front of `bytes`.
pub fn canonical(schema: &str, bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut walk = Walk::new(bytes, limit);
    walk.record(schema)?;
    Some(walk.out)
}

/// The same, where a bool may follow or not.
pub fn canonical_with_optional_bool(schema: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut walk = Walk::new(bytes, FIELD_LIMIT);
    walk.record(schema)?;
    let _absent_is_fine = walk.field('b');
    Some(walk.out)
}

/// The body of a request, by opcode.
pub fn request(op: i32, body: &[u8]) -> Option<Vec<u8>> {
    if op == 14 || op == 22 {
        return multi_request(body);
    }
    let schema = match op {
        1 | 15 | 19 => "SB{iss}i",
        21 => "SB{iss}il",
        2 | 13 => "Si",
        3 | 4 | 8 | 12 => "Sb",
        5 => "SBi",
        6 | 9 | 104 => "S",
        7 => "S{iss}i",
        11 | 107 | -11 => "",
        16 => "sssl",
        17 | 18 => "Sw",
        100 => "isB",
        101 => "l[S][S][S]",
        102 => "B",
        103 => "s",
        105 => "l[S][S][S][S][S]",
        106 => "Sm",
        _ => return None,
    };
    canonical(schema, body, FIELD_LIMIT)
}

/// Operations between headers; the whole is refused as soon as one of them is.
fn multi_request(body: &[u8]) -> Option<Vec<u8>> {
    let mut walk = Walk::new(body, FIELD_LIMIT);
    let mut reads = None;
    loop {
        let (kind, done) = multi_header(&mut walk)?;
        if done {
            put_multi_header(&mut walk, -1, true, -1);
            return Some(walk.out);
        }
        let (schema, read) = match kind {
            1 | 15 | 19 => ("SB[iss]i", false),
            21 => ("SB[iss]il", false),
            2 | 13 => ("Si", false),
            5 => ("SBi", false),
            4 | 8 => ("Sb", true),
            _ => return None,
        };
        put_multi_header(&mut walk, kind, false, -1);
        walk.record(schema)?;
        // The flags stand last. Where a TTL stands behind them they are judged later.
        let last = walk.out.len();
        let flags = i32::from_be_bytes(walk.out[last - 4..last].try_into().expect("four bytes"));
        let good = !matches!(kind, 1 | 15 | 19) || (0..=4).contains(&flags);
        if !good || *reads.get_or_insert(read) != read {
            return None;
        }
    }
}

fn multi_header(walk: &mut Walk<'_>) -> Option<(i32, bool)> {
    let kind = walk.int()?;
    let done = walk.take(1)?[0] != 0;
    walk.int()?;
    Some((kind, done))
}

fn put_multi_header(walk: &mut Walk<'_>, kind: i32, done: bool, err: i32) {
    walk.put_int(kind);
    walk.out.push(u8::from(done));
    walk.put_int(err);
}

/// The body of a successful reply, by opcode.
pub fn reply(op: i32, body: &[u8]) -> Option<Vec<u8>> {
    let schema = match op {
        1 | 9 => "S",
        15 | 19 | 21 => "SK",
        3 | 5 | 7 => "K",
        4 | 16 => "BK",
        6 => "[iSS]K",
        8 | 103 => "[S]",
        12 => "[S]K",
        14 | 22 => return multi_reply(body),
        104 | 106 => "i",
        107 => "[SS]",
        102 => "B",
        -10 => return connect_response(body),
        _ => "",
    };
    canonical(schema, body, body.len())
}

/// A connect response: its password is of one length only.
pub fn connect_response(body: &[u8]) -> Option<Vec<u8>> {
    let canonical = canonical_with_optional_bool("iilB", body)?;
    (canonical[16..20] == [0, 0, 0, 16]).then_some(canonical)
}

fn multi_reply(body: &[u8]) -> Option<Vec<u8>> {
    let mut walk = Walk::new(body, body.len());
    loop {
        let (kind, done) = multi_header(&mut walk)?;
        if done {
            put_multi_header(&mut walk, -1, true, -1);
            return Some(walk.out);
        }
        let schema = match kind {
            1 => "S",
            15 => "SK",
            2 | 13 => "",
            5 => "K",
            4 => "BK",
            8 => "[S]",
            -1 => {
                let err = walk.int()?;
                put_multi_header(&mut walk, -1, false, err);
                walk.put_int(err);
                continue;
            }
            _ => return None,
        };
        put_multi_header(&mut walk, kind, false, 0);
        walk.record(schema)?;
    }
}

/// A transaction behind its header, with the digest if there is one.
pub fn txn(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut walk = Walk::new(bytes, limit);
    walk.record("lill")?;
    let kind = walk.int()?;
    walk.put_int(kind);
    match kind {
        -11 => close_session(&mut walk)?,
        14 => {
            let count = walk.int()?;
            if count == -1 {
                return None;
            }
            walk.put_int(count.max(0));
            for _ in 0..count {
                let kind = walk.int()?;
                let mut part = Walk::new(walk.bytes()??, limit);
                if !matches!(kind, 1 | 2 | 5 | 13 | 15 | 19 | 20 | 21 | -1) {
                    return None;
                }
                txn_record(kind, &mut part)?;
                walk.put_int(kind);
                walk.put_bytes(&part.out);
            }
        }
        13 => return None,
        _ => txn_record(kind, &mut walk)?,
    }
    if walk.left.len() >= 12 {
        walk.record("il")?;
    }
    Some(walk.out)
}

/// Where the list ends early, there is none. Twelve bytes that are not a list are a digest.
fn close_session(walk: &mut Walk<'_>) -> Option<()> {
    let all = walk.left;
    let mut list = Walk::new(all, walk.limit);
    if list.record("[S]").is_some() {
        walk.left = list.left;
        walk.out.extend(list.out);
        return Some(());
    }
    if all.len() == 12 {
        return Some(());
    }
    walk.left = &[];
    ends_early(all, walk.limit).then_some(())
}

/// Whether a list of strings fails for want of bytes rather than by what they say.
fn ends_early(all: &[u8], limit: usize) -> bool {
    let mut walk = Walk::new(all, limit);
    let Some(count) = walk.int() else {
        return true;
    };
    let Ok(count) = usize::try_from(count) else {
        return false;
    };
    if count > walk.left.len() / 4 {
        return true;
    }
    for _ in 0..count {
        let Some(len) = walk.int() else {
            return true;
        };
        match usize::try_from(len) {
            Ok(len) if len <= limit => {
                if walk.take(len).is_none() {
                    return true;
                }
            }
            _ => return false,
        }
    }
    false
}

fn txn_record(kind: i32, walk: &mut Walk<'_>) -> Option<()> {
    let schema = match kind {
        -10 | -1 => "i",
        1 => {
            // Old logs end behind the bool.
            walk.record("SB(iSS)b")?;
            if walk.left.len() < 4 {
                walk.put_int(-1);
                return Some(());
            }
            "i"
        }
        15 => "SB(iSS)bi",
        19 => "SB(iSS)i",
        21 => "SB(iSS)il",
        2 | 20 => "S",
        5 | 16 => "SBi",
        7 => "S(iSS)i",
        13 => "Si",
        _ => return None,
    };
    walk.record(schema)
}
