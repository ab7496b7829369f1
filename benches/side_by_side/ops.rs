//! What connections ask, request by request, and how long each right answer is. A wrong answer, an
//! error, or a multi that failed has another length.

use crate::catalog::Work;
use std::borrow::Cow;
use zk_proto::{Create, CreateMode, MultiOp, OpCode, Perms, Request, Stat, WireAcl};

/// How many nodes reads and writes go to.
pub(crate) const KEYS: usize = 1000;
/// How many children the listed node has.
const CHILDREN: usize = 1000;
/// The data of a node that is read or written.
pub(crate) const KILOBYTE: [u8; 1024] = [b'z'; 1024];
/// The data of a node that is created.
pub(crate) const SMALL: [u8; 100] = [b's'; 100];
/// The digits that a sequential create appends.
const SEQUENCE: usize = 10;
/// The header of a result inside a multi.
const RESULT_HEADER: usize = 9;
const LENGTH: usize = 4;

/// An endless or finite supply of requests.
pub(crate) trait Source {
    /// The next request of a connection and the length of its reply's body; `None` when there are
    /// no more for it.
    fn next(&mut self, conn: usize) -> Option<(Request<'_>, usize)>;
}

/// The path of a node that is read and written.
pub(crate) fn key(index: usize) -> String {
    format!("/bench/keys/{index:04}")
}

fn get(path: &str, watch: bool) -> (Request<'_>, usize) {
    let path = Cow::Borrowed(path);
    (
        Request::GetData { path, watch },
        LENGTH + KILOBYTE.len() + Stat::WIRE_LEN,
    )
}

fn set<'a>(path: &'a str, data: &'a [u8]) -> (Request<'a>, usize) {
    let path = Cow::Borrowed(path);
    let (data, version) = (Some(data), -1);
    (
        Request::SetData {
            path,
            data,
            version,
        },
        Stat::WIRE_LEN,
    )
}

fn create<'a>(path: Cow<'a, str>, data: &'a [u8], mode: CreateMode) -> (Request<'a>, usize) {
    let sequence = if mode.is_sequential() { SEQUENCE } else { 0 };
    let body = LENGTH + path.len() + sequence;
    let request = Request::Create(Create {
        op: OpCode::Create,
        path,
        data: Some(data),
        acl: Some(vec![WireAcl {
            perms: Perms::ALL,
            scheme: Some(Cow::Borrowed("world")),
            id: Some(Cow::Borrowed("anyone")),
        }]),
        flags: mode.to_flags(),
        ttl: -1,
    });
    (request, body)
}

/// Numbers without a pattern, the same in every run.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let sides = u64::try_from(sides).unwrap_or(u64::MAX);
        usize::try_from(self.0 % sides).unwrap_or(0)
    }
}

/// Reads and writes of a thousand nodes, in some proportion.
#[derive(Debug)]
pub(crate) struct Mix {
    paths: Vec<String>,
    dice: Dice,
    writes_in_ten: usize,
}

impl Mix {
    /// So many writes among ten requests.
    pub(crate) fn new(writes_in_ten: usize) -> Self {
        Self {
            paths: (0..KEYS).map(key).collect(),
            dice: Dice(0x9e37_79b9_7f4a_7c15),
            writes_in_ten,
        }
    }
}

impl Source for Mix {
    fn next(&mut self, _conn: usize) -> Option<(Request<'_>, usize)> {
        let writes = self.dice.roll(10) < self.writes_in_ten;
        let path = self.paths.get(self.dice.roll(KEYS))?;
        Some(if writes {
            set(path, &KILOBYTE)
        } else {
            get(path, false)
        })
    }
}

/// One request for each path of a list.
#[derive(Debug)]
pub(crate) struct Each<'a, P> {
    paths: P,
    data: &'a [u8],
    current: String,
}

impl<'a, P: Iterator<Item = String>> Each<'a, P> {
    /// Creates all of these nodes, whichever connection asks.
    pub(crate) fn create(paths: P, data: &'a [u8]) -> Self {
        Self {
            paths,
            data,
            current: String::new(),
        }
    }
}

impl<P: Iterator<Item = String>> Source for Each<'_, P> {
    fn next(&mut self, _conn: usize) -> Option<(Request<'_>, usize)> {
        self.current = self.paths.next()?;
        Some(create(
            Cow::Borrowed(&self.current),
            self.data,
            CreateMode::Persistent,
        ))
    }
}

/// One sync on every connection: what one member has acknowledged another may not have seen before.
#[derive(Debug)]
pub(crate) struct Syncs {
    asked: Vec<bool>,
}

impl Syncs {
    /// For so many connections.
    pub(crate) fn new(conns: usize) -> Self {
        Self {
            asked: vec![false; conns],
        }
    }
}

impl Source for Syncs {
    fn next(&mut self, conn: usize) -> Option<(Request<'_>, usize)> {
        let asked = self.asked.get_mut(conn).filter(|asked| !**asked)?;
        *asked = true;
        let path = Cow::Borrowed("/bench");
        let body = LENGTH + path.len();
        Some((Request::Sync { path }, body))
    }
}

/// Creates below one parent per connection, without end.
#[derive(Debug)]
pub(crate) struct Creates {
    made: Vec<usize>,
    mode: CreateMode,
}

/// The parent of what a connection creates.
pub(crate) fn parent(conn: usize) -> String {
    format!("/bench/made/{conn:03}")
}

fn made(conn: usize, number: usize) -> String {
    format!("/bench/made/{conn:03}/n{number:07}")
}

impl Source for Creates {
    fn next(&mut self, conn: usize) -> Option<(Request<'_>, usize)> {
        if self.mode.is_sequential() {
            return Some(create(Cow::Borrowed("/bench/queue/n-"), &SMALL, self.mode));
        }
        let number = self.made.get_mut(conn)?;
        *number += 1;
        Some(create(
            Cow::Owned(made(conn, *number - 1)),
            &SMALL,
            self.mode,
        ))
    }
}

/// Deletes what was made for it, each connection its own.
#[derive(Debug)]
pub(crate) struct Deletes {
    next: Vec<usize>,
    each: usize,
}

impl Source for Deletes {
    fn next(&mut self, conn: usize) -> Option<(Request<'_>, usize)> {
        let number = self
            .next
            .get_mut(conn)
            .filter(|number| **number < self.each)?;
        *number += 1;
        let path = Cow::Owned(made(conn, *number - 1));
        Some((Request::Delete { path, version: -1 }, 0))
    }
}

/// Sets some nodes at once.
#[derive(Debug)]
struct Multi {
    ops: usize,
    paths: Vec<String>,
    dice: Dice,
}

impl Source for Multi {
    fn next(&mut self, _conn: usize) -> Option<(Request<'_>, usize)> {
        let first = self.dice.roll(KEYS - self.ops);
        let ops = self.paths.get(first..first + self.ops)?.iter();
        let ops = ops.map(|path| MultiOp::SetData {
            path: Cow::Borrowed(path),
            data: Some(&SMALL),
            version: -1,
        });
        let body = self.ops * (RESULT_HEADER + Stat::WIRE_LEN) + RESULT_HEADER;
        Some((Request::Multi(ops.collect()), body))
    }
}

/// Lists a node with a thousand children.
#[derive(Debug)]
struct Children;

impl Source for Children {
    fn next(&mut self, _conn: usize) -> Option<(Request<'_>, usize)> {
        let request = Request::GetChildren {
            path: Cow::Borrowed("/bench/keys"),
            watch: false,
        };
        Some((request, LENGTH + CHILDREN * (LENGTH + "0000".len())))
    }
}

/// Sets a watch on each of some nodes: every connection on its share, or all on all.
#[derive(Debug)]
pub(crate) struct SetWatches {
    paths: Vec<String>,
    next: Vec<usize>,
    conns: usize,
    shared: bool,
}

impl SetWatches {
    /// Watches for so many connections.
    pub(crate) fn new(paths: Vec<String>, conns: usize, shared: bool) -> Self {
        let first = |conn| if shared { 0 } else { conn };
        Self {
            next: (0..conns).map(first).collect(),
            paths,
            conns,
            shared,
        }
    }
}

impl Source for SetWatches {
    fn next(&mut self, conn: usize) -> Option<(Request<'_>, usize)> {
        let next = self.next.get_mut(conn)?;
        let path = self.paths.get(*next)?;
        *next += if self.shared { 1 } else { self.conns };
        Some(get(path, true))
    }
}

/// A write of a kilobyte and the length of its answer.
pub(crate) fn change(path: &str) -> (Request<'_>, usize) {
    set(path, &KILOBYTE)
}

/// A read of a small node and the length of its answer.
pub(crate) fn read_small(path: &str) -> (Request<'_>, usize) {
    let path = Cow::Borrowed(path);
    let request = Request::GetData { path, watch: false };
    (request, LENGTH + SMALL.len() + Stat::WIRE_LEN)
}

/// The requests of a closed loop over `conns` connections. Deletes have `prepared` nodes each.
pub(crate) fn source(work: Work, conns: usize, prepared: usize) -> Box<dyn Source> {
    let made = vec![0; conns];
    match work {
        Work::Reads => Box::new(Mix::new(0)),
        Work::Writes => Box::new(Mix::new(10)),
        Work::Mix(reads) => Box::new(Mix::new(10 - reads)),
        Work::Creates => Box::new(Creates {
            made,
            mode: CreateMode::Persistent,
        }),
        Work::Sequential => Box::new(Creates {
            made,
            mode: CreateMode::EphemeralSequential,
        }),
        Work::Deletes => Box::new(Deletes {
            next: made,
            each: prepared,
        }),
        Work::Multi(ops) => Box::new(Multi {
            ops,
            paths: (0..KEYS).map(key).collect(),
            dice: Dice(0x2545_f491_4f6c_dd1d),
        }),
        Work::Children => Box::new(Children),
    }
}

/// The nodes that must be there before a closed loop begins, parents first; data of [`KILOBYTE`].
pub(crate) fn prepared_paths(work: Work, conns: usize, deletes: usize) -> Vec<Vec<String>> {
    let keys = || {
        let parents = vec!["/bench".to_owned(), "/bench/keys".to_owned()];
        vec![parents, (0..KEYS).map(key).collect()]
    };
    match work {
        Work::Reads | Work::Writes | Work::Mix(_) | Work::Multi(_) | Work::Children => keys(),
        Work::Sequential => vec![vec!["/bench".to_owned(), "/bench/queue".to_owned()]],
        Work::Creates => vec![made_parents(conns)],
        Work::Deletes => {
            let each = |conn| (0..deletes).map(move |number| made(conn, number));
            vec![made_parents(conns), (0..conns).flat_map(each).collect()]
        }
    }
}

fn made_parents(conns: usize) -> Vec<String> {
    let tops = ["/bench", "/bench/made"].map(str::to_owned);
    tops.into_iter().chain((0..conns).map(parent)).collect()
}
