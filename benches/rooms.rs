//! What the rooms behind the sockets cost by themselves: the tree at three sizes, the watches, the agreement
//! of a server alone, and the log on this machine's disk. Set beside the CPU per operation of `side_by_side`,
//! they say how much of it is decisions and how much is carrying.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::borrow::Cow;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use zk_proto::txn::TxnRecord;
use zk_proto::{
    Create, CreateMode, EventType, OpCode, Perms, Request, ServerId, SessionId, WireAcl, Xid, Zxid,
};
use zk_server::disk::files::RealFiles;
use zk_server::disk::names::log_name;
use zk_server::disk::reader::{LogReader, Next};
use zk_server::disk::store::{LogRecord, LogStore, StoreOptions};
use zk_server::tree::{
    Asker, Change, Identity, Internal, Pending, Rules, Stamp, Standing, Tree, Wanted, WatchTable,
    WatcherId, prepare, prepare_internal,
};
use zk_zab::{Effect, Input, Time, Zab};

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
/// Children of each parent in the tree.
const CHILDREN: usize = 1_000;
const KILOBYTE: [u8; 1024] = [b'z'; 1024];
const SMALL: [u8; 100] = [b's'; 100];
const SESSION: SessionId = SessionId::from_wire(0x100);
const MAX_TXN: usize = 4 << 20;

fn path(number: usize) -> String {
    format!("/bench/{:04}/{number:07}", number / CHILDREN)
}

fn create(path: &str) -> Request<'_> {
    Request::Create(Create {
        op: OpCode::Create,
        path: Cow::Borrowed(path),
        data: Some(&SMALL),
        acl: Some(vec![WireAcl {
            perms: Perms::ALL,
            scheme: Some(Cow::Borrowed("world")),
            id: Some(Cow::Borrowed("anyone")),
        }]),
        flags: CreateMode::Persistent.to_flags(),
        ttl: -1,
    })
}

/// A tree, and what a leader needs to write to it.
struct Ground {
    tree: Tree,
    pending: Pending,
    identities: [Identity; 1],
    zxid: Zxid,
}

impl Ground {
    /// A tree with so many small nodes.
    fn with_nodes(nodes: usize) -> Self {
        let mut ground = Self {
            tree: Tree::new(Rules::default()),
            pending: Pending::new(),
            identities: [Identity::new("ip", "127.0.0.1")],
            zxid: Zxid::ZERO,
        };
        let stamp = ground.stamp();
        let (session, timeout) = (SESSION, 4_000);
        let open = Internal::CreateSession { session, timeout };
        let record = prepare_internal(&ground.tree, &mut ground.pending, stamp, open);
        ground.apply(&record);
        ground.write(&create("/bench"));
        for number in 0..nodes {
            if number % CHILDREN == 0 {
                ground.write(&create(&format!("/bench/{:04}", number / CHILDREN)));
            }
            ground.write(&create(&path(number)));
        }
        ground
    }

    fn stamp(&mut self) -> Stamp {
        self.zxid = self.zxid.next().expect("an epoch is longer than a bench");
        Stamp {
            zxid: self.zxid,
            time: 1_700_000_000_000,
        }
    }

    fn apply(&mut self, record: &TxnRecord) {
        let applied = self.tree.apply(record);
        assert!(applied.outcome.result.is_ok(), "what is asked is right");
        black_box(applied.changes.len());
        self.pending.forget_up_to(record.header.zxid);
    }

    /// As the loop does it: encoded by a client, prepared, applied.
    fn write(&mut self, request: &Request<'_>) {
        let mut body = Vec::new();
        request.encode(&mut body);
        let body = Bytes::from(body);
        let decoded = Request::decode(request.op(), &body).expect("what was encoded decodes");
        let stamp = self.stamp();
        let asker = Asker {
            session: SESSION,
            xid: Xid(1),
            identities: &self.identities,
            standing: Standing::Global,
        };
        let record = prepare(
            &self.tree,
            &mut self.pending,
            &asker,
            stamp,
            &decoded,
            &body,
        );
        self.apply(&record);
    }
}

/// Numbers below `below` without a pattern.
fn stride(step: &mut usize, below: usize) -> usize {
    *step = step.wrapping_add(7_919);
    *step % below
}

fn tree(criterion: &mut Criterion) {
    for nodes in SIZES {
        let mut ground = Ground::with_nodes(nodes);
        let mut step = 0;
        let mut group = criterion.benchmark_group(format!("tree/{nodes}"));
        let paths: Vec<_> = (0..nodes).step_by(nodes / 1_000).map(path).collect();
        group.bench_function("get", |bencher| {
            bencher.iter(|| {
                let node = ground.tree.get(&paths[stride(&mut step, paths.len())]);
                black_box(node.map(|node| (node.data().map(<[u8]>::len), node.stat())))
            });
        });
        group.bench_function("children of a thousand", |bencher| {
            let parent = ground.tree.get("/bench/0000").expect("it was created");
            bencher.iter(|| parent.children().map(str::len).sum::<usize>());
        });
        group.bench_function("set 1 KB", |bencher| {
            bencher.iter(|| {
                let path = &paths[stride(&mut step, paths.len())];
                ground.write(&Request::SetData {
                    path: Cow::Borrowed(path),
                    data: Some(&KILOBYTE),
                    version: -1,
                });
            });
        });
        group.bench_function("create and delete", |bencher| {
            bencher.iter(|| {
                ground.write(&create("/bench/0000/new"));
                ground.write(&Request::Delete {
                    path: Cow::Borrowed("/bench/0000/new"),
                    version: -1,
                });
            });
        });
        group.finish();
    }
}

fn watches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("watches");
    for watchers in [1_u64, 100, 10_000] {
        group.throughput(Throughput::Elements(watchers));
        let change = Change {
            event: EventType::DataChanged,
            path: Cow::Borrowed("/bench/0000/0000042"),
            acl: Arc::from([]),
        };
        let set = || {
            let mut table = WatchTable::new();
            for watcher in 0..watchers {
                table.watch(WatcherId(watcher), &change.path, Wanted::Data);
            }
            table
        };
        group.bench_function(format!("set by {watchers}"), |bencher| bencher.iter(set));
        group.bench_function(format!("fire for {watchers}"), |bencher| {
            let fire = |mut table: WatchTable| {
                let mut told = 0_u64;
                table.fire(&change, |_, _, _| told += 1);
                assert_eq!(told, watchers, "everybody is told");
                table
            };
            bencher.iter_batched(set, fire, BatchSize::LargeInput);
        });
    }
}

/// A batch of proposals, made durable at once, by a server alone.
fn agreement(criterion: &mut Criterion) {
    const BATCH: u64 = 64;
    let mut group = criterion.benchmark_group("agreement");
    group.throughput(Throughput::Elements(BATCH));
    let mut zab = Zab::alone(ServerId::new(1), Zxid::ZERO);
    let mut effects = Vec::<Effect>::new();
    let payload = Bytes::from_static(&KILOBYTE);
    group.bench_function("64 proposals of a server alone", |bencher| {
        bencher.iter(|| {
            let mut through = Zxid::ZERO;
            for _ in 0..BATCH {
                through = zab.next_zxid().expect("a server alone always proposes");
                let payload = payload.clone();
                zab.step(Time::default(), Input::Propose { payload }, &mut effects);
            }
            zab.step(Time::default(), Input::Persisted { through }, &mut effects);
            black_box(effects.len());
            effects.clear();
        });
    });
}

fn record(zxid: Zxid) -> LogRecord {
    let payload = Bytes::from_static(&KILOBYTE);
    LogRecord { zxid, payload }
}

fn log_in(dir: &Path) -> LogStore {
    let files = Arc::new(RealFiles);
    LogStore::new(files, StoreOptions::new(dir.to_owned()), Zxid::ZERO)
}

fn log(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log");
    for batch in [1_usize, 16, 256] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let mut store = log_in(dir.path());
        let mut last = Zxid::ZERO;
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("write and sync {batch}"), |bencher| {
            bencher.iter(|| {
                let mut next = || {
                    last = last.next().expect("an epoch is longer than a bench");
                    record(last)
                };
                let records: Vec<_> = (0..batch).map(|_| next()).collect();
                store.write(&records).expect("the disk takes it");
                assert_eq!(store.sync().expect("the disk keeps it"), last);
            });
        });
    }
    scan(&mut group);
    group.finish();
}

/// Reading a log back, as a start does.
fn scan(group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>) {
    const RECORDS: u32 = 10_000;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut ground = Ground::with_nodes(0);
    let mut store = log_in(dir.path());
    let stamps: Vec<_> = (0..RECORDS).map(|_| ground.stamp()).collect();
    let records: Vec<_> = stamps.iter().map(|stamp| session_opens(*stamp)).collect();
    store.write(&records).expect("the disk takes it");
    store.sync().expect("the disk keeps it");
    let file = dir.path().join(log_name(records[0].zxid));
    group.throughput(Throughput::Elements(RECORDS.into()));
    group.bench_function("scan 10,000", |bencher| {
        bencher.iter(|| {
            let mut reader =
                LogReader::open(&RealFiles, &file, MAX_TXN, None).expect("it is there");
            let mut found = 0;
            while let Next::Entry(_) = reader.advance().expect("it can be read") {
                found += 1;
            }
            assert_eq!(found, RECORDS);
        });
    });
}

/// A real transaction: the scan looks into the header.
fn session_opens(stamp: Stamp) -> LogRecord {
    let (session, timeout) = (SESSION, 4_000);
    let open = Internal::CreateSession { session, timeout };
    let tree = Tree::new(Rules::default());
    let record = prepare_internal(&tree, &mut Pending::new(), stamp, open);
    let mut payload = bytes::BytesMut::new();
    record.encode(&mut payload);
    LogRecord {
        zxid: stamp.zxid,
        payload: payload.freeze(),
    }
}

criterion_group! {
    name = rooms;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = tree, watches, agreement, log
}
criterion_main!(rooms);
