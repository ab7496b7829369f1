//! Random operations: the tree agrees with the naive model in every result, stat, child and digest,
//! however many changes are in flight, and its images are exact however it changes meanwhile.

use super::super::{ImageProgress, Internal, ReapRules, Rules, Tree};
use super::model::{AclKind, At, Model, NEVER_USED, Op};
use super::replay::restore;
use super::scene::{Scene, request_of};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::collections::VecDeque;
use zk_proto::txn::TxnRecord;
use zk_proto::{ErrorCode, Reply, SessionId, Xid};

fn path() -> impl Strategy<Value = String> {
    let component = prop::sample::select(vec!["a", "b", "ü"]);
    let plain = vec(component, 1..4).prop_map(|names| format!("/{}", names.join("/")));
    let odd = prop::sample::select(vec![
        "/",
        "",
        "a",
        "/a/",
        "/a//b",
        "/a/..",
        "/zookeeper",
        "/zookeeper/quota",
        "/zookeeper/x",
        "/a\\0",
        "/zookeeper/config",
    ]);
    prop_oneof![9 => plain, 1 => odd.prop_map(str::to_owned)]
}

fn data() -> impl Strategy<Value = Option<Vec<u8>>> {
    option::of(vec(any::<u8>(), 0..20))
}

fn version() -> impl Strategy<Value = i32> {
    prop_oneof![6 => Just(-1), 2 => 0..3, 1 => any::<i32>()]
}

fn acl() -> impl Strategy<Value = AclKind> {
    prop_oneof![
        12 => Just(AclKind::Open),
        2 => Just(AclKind::Mine),
        1 => Just(AclKind::ReadOnly),
        1 => Just(AclKind::Twice),
        1 => Just(AclKind::Empty),
        1 => Just(AclKind::Unknown),
    ]
}

fn create(in_multi: bool) -> impl Strategy<Value = Op> {
    let ops = prop::sample::select(vec![1, 15, 19, 21]);
    let flags = if in_multi { 0..7 } else { -1..8 };
    let ttl = prop_oneof![3 => 1..100_000_i64, 2 => 1..20_i64, 1 => Just(-1), 1 => Just(0), 1 => Just(1 << 40)];
    (ops, path(), data(), acl(), flags, ttl).prop_map(move |(op, path, data, acl, flags, ttl)| {
        // Inside a multi the decoder already refuses flags with a TTL in an operation without.
        let ages = matches!(flags, 5 | 6);
        let op = if in_multi && ages { 21 } else { op };
        Op::Create {
            op,
            path,
            data,
            acl,
            flags,
            ttl,
        }
    })
}

fn simple(in_multi: bool) -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => create(in_multi),
        3 => (path(), version()).prop_map(|(path, version)| Op::Delete { path, version }),
        2 => (path(), data(), version())
            .prop_map(|(path, data, version)| Op::SetData { path, data, version }),
        1 => (path(), version()).prop_map(|(path, version)| Op::Check { path, version }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => simple(false),
        2 => (path(), acl(), version())
            .prop_map(|(path, acl, version)| Op::SetAcl { path, acl, version }),
        4 => vec(simple(true), 0..5).prop_map(Op::Multi),
        1 => Just(Op::Open),
        1 => Just(Op::Close),
        1 => path().prop_map(|path| Op::Reap { path }),
    ]
}

#[derive(Clone, Debug)]
struct Step {
    session: i64,
    op: Op,
    /// How many of the oldest changes in flight to apply afterwards.
    apply: usize,
    /// How many nodes of a running image to visit, or whether to begin one.
    image: usize,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        (1..4_i64, op(), 0..4_usize, 0..3_usize).prop_map(|(session, op, apply, image)| Step {
            session,
            op,
            apply,
            image,
        });
    vec(step, 1..120)
}

/// An image under way, and what it must show at its end.
struct Expected {
    model: Model,
    bytes: Vec<u8>,
    zxid: i64,
}

struct Run {
    scene: Scene,
    /// Ahead of the tree by what is in flight.
    model: Model,
    flight: VecDeque<(TxnRecord, Result<Reply, ErrorCode>, Model)>,
    /// The model at the tree's zxid.
    applied: Model,
    image: Option<Expected>,
}

impl Run {
    fn new() -> Self {
        let scene = Scene::new(Rules {
            extended_types: true,
            ..Rules::default()
        });
        let mut model = Model::new();
        for session in [super::scene::SESSION.to_wire(), 1, 2] {
            model.sessions.insert(session);
        }
        let mut run = Self {
            scene,
            applied: model.clone(),
            model,
            flight: VecDeque::new(),
            image: None,
        };
        run.scene.open(SessionId::from_wire(1));
        run.scene.open(SessionId::from_wire(2));
        run
    }

    fn step(&mut self, step: &Step) {
        let session = SessionId::from_wire(step.session);
        let record = match &step.op {
            Op::Open => self.scene.prepare_internal(Internal::CreateSession {
                session,
                timeout: 4000,
            }),
            Op::Close => self.scene.prepare_internal(Internal::CloseSession {
                session,
                xid: Xid(1),
            }),
            Op::Reap { path } => self.scene.prepare_internal(Internal::Reap {
                path: path.clone(),
                rules: ReapRules {
                    max_never_used: NEVER_USED,
                },
            }),
            Op::Create { .. }
            | Op::Delete { .. }
            | Op::SetData { .. }
            | Op::SetAcl { .. }
            | Op::Check { .. }
            | Op::Multi(_) => self.scene.prepare_as(session, &request_of(&step.op)),
        };
        let at = At {
            session: step.session,
            zxid: record.header.zxid.to_wire(),
            time: record.header.time,
        };
        let expected = self.model.execute(&at, &step.op);
        if let Some(digest) = record.digest {
            assert_eq!(digest.digest, self.model.digest(), "prepared {:?}", step.op);
        }
        self.flight
            .push_back((record, expected, self.model.clone()));
        for _ in 0..step.apply {
            self.apply_oldest();
        }
        self.advance_image(step.image);
    }

    fn apply_oldest(&mut self) {
        let Some((record, expected, model)) = self.flight.pop_front() else {
            return;
        };
        assert_eq!(
            self.scene.apply(&record),
            expected,
            "applied {:?}",
            record.txn
        );
        self.applied = model;
    }

    fn advance_image(&mut self, budget: usize) {
        if budget == 0 {
            return;
        }
        let tree = &mut self.scene.tree;
        let Some(expected) = &mut self.image else {
            let mut bytes = Vec::new();
            let facts = tree.begin_image(&mut bytes).unwrap();
            assert_eq!(facts.digest, Some(self.applied.digest()));
            assert_eq!(facts.nodes, self.applied.nodes.len());
            self.image = Some(Expected {
                model: self.applied.clone(),
                bytes,
                zxid: facts.zxid.to_wire(),
            });
            return;
        };
        let progress = tree.step_image(budget, &mut expected.bytes).unwrap();
        if progress == ImageProgress::Done {
            let expected = self.image.take().unwrap();
            let rules = self.scene.tree.rules().clone();
            compare(
                &restore(&expected.bytes, rules, expected.zxid),
                &expected.model,
            );
        }
    }

    fn finish(mut self) {
        while !self.flight.is_empty() {
            self.apply_oldest();
            self.advance_image(1);
        }
        compare(&self.scene.tree, &self.model);
        assert!(self.scene.pending.is_empty(), "everything was applied");
        while self.image.is_some() {
            self.advance_image(2);
        }
    }
}

fn compare(tree: &Tree, model: &Model) {
    let mut count = 0;
    for (path, node) in tree.walk() {
        count += 1;
        let expected = &model.nodes[&path];
        assert_eq!(node.data(), expected.data.as_deref(), "{path}");
        assert_eq!(node.acl(), expected.acl, "{path}");
        assert_eq!(node.stored_stat(), expected.stat, "{path}");
        assert_eq!(node.stat(), model.stat(&path), "{path}");
        let mut children: Vec<_> = node.children().collect();
        children.sort_unstable();
        assert_eq!(children, model.children(&path), "{path}");
        assert_eq!(
            tree.get(&path).unwrap().stat(),
            node.stat(),
            "found by its path"
        );
    }
    assert_eq!(
        (count, tree.node_count()),
        (model.nodes.len(), model.nodes.len())
    );
    assert_eq!(tree.digest(), Some(model.digest()));
    let sessions: Vec<_> = tree.sessions().map(|(id, _)| id.to_wire()).collect();
    assert_eq!(sessions, model.sessions.iter().copied().collect::<Vec<_>>());
    let size = |(path, node): (&String, &super::model::Node)| {
        (path.len() + node.data.as_ref().map_or(0, Vec::len)) as u64
    };
    assert_eq!(
        tree.approximate_data_size(),
        model.nodes.iter().map(size).sum::<u64>()
    );
    for session in 1..4 {
        let owned = |node: &super::model::Node| node.stat.ephemeral_owner == session;
        let expected = model.nodes.iter().filter(|(_, node)| owned(node));
        let expected: Vec<_> = expected.map(|(path, _)| path.clone()).collect();
        let session = SessionId::from_wire(session);
        let mut found: Vec<_> = tree.ephemerals_of(session, None).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "of session {session}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_tree_agrees_with_a_naive_map(steps in steps()) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.finish();
    }
}
