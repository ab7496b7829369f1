//! Limits: what is too long to be proposed, and quotas.

use super::super::{QuotaAmount, QuotaTotals, Rules};
use super::scene::{Scene, create, create_op, delete, set};
use zk_proto::txn::{Txn, TxnRecord};
use zk_proto::{ErrorCode, MultiOp, OpCode, Reply, Request, Version};

#[test]
fn what_could_not_be_read_back_is_not_proposed() {
    let limit = 400;
    let mut scene = Scene::new(Rules {
        max_txn_len: limit,
        ..Rules::default()
    });
    scene.run(&create("/d", 0)).unwrap();
    let encoded = |record: &TxnRecord| {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes.len()
    };
    let small = scene.prepare(&set("/d", &[]));
    let room = limit - encoded(&small);
    let exact = vec![1; room];
    let fits = scene.prepare(&set("/d", &exact));
    assert_eq!(encoded(&fits), limit, "the length is foreseen to the byte");
    let over = vec![1; room + 1];
    let refused = scene.prepare(&set("/d", &over));
    assert_eq!(refused.txn, Txn::Error(ErrorCode::MarshallingError));
    let checks = |count| {
        Request::Multi(
            (0..count)
                .map(|_| MultiOp::Check {
                    path: "/zookeeper".into(),
                    version: -1,
                })
                .collect(),
        )
    };
    assert!(matches!(scene.prepare(&checks(12)).txn, Txn::Multi(_)));
    assert_eq!(
        scene.prepare(&checks(14)).txn,
        Txn::Error(ErrorCode::MarshallingError)
    );
    for record in [small, fits, refused] {
        let _either = scene.apply(&record);
    }
}

#[test]
fn a_refused_giant_leaves_nothing_in_flight() {
    let mut scene = Scene::new(Rules {
        max_txn_len: 200,
        ..Rules::default()
    });
    let mut create = create_op(OpCode::Create, "/big", 0);
    create.data = Some(&[7; 300]);
    let record = scene.prepare(&Request::Create(create));
    assert_eq!(record.txn, Txn::Error(ErrorCode::MarshallingError));
    assert!(scene.pending.is_empty());
}

fn quota(scene: &mut Scene, limits: &[u8]) {
    for path in ["/app", "/zookeeper/quota/app"] {
        scene.run(&create(path, 0)).unwrap();
    }
    for (path, data) in [
        ("/zookeeper/quota/app/zookeeper_limits", limits),
        ("/zookeeper/quota/app/zookeeper_stats", b"count=0,bytes=0"),
    ] {
        let mut create = create_op(OpCode::Create, path, 0);
        create.data = Some(data);
        scene.run(&Request::Create(create)).unwrap();
    }
}

fn usage(scene: &Scene) -> String {
    let node = scene
        .tree
        .get("/zookeeper/quota/app/zookeeper_stats")
        .unwrap();
    String::from_utf8(node.data().unwrap().to_vec()).unwrap()
}

#[test]
fn usage_is_kept_without_transactions() {
    let mut scene = Scene::new(Rules::default());
    quota(&mut scene, b"count=1,bytes=1");
    assert_eq!(usage(&scene), "count=1,bytes=4");
    scene.run(&create("/app/a", 0)).unwrap();
    scene.run(&set("/app/a", b"123456")).unwrap();
    assert_eq!(usage(&scene), "count=2,bytes=10");
    let stat = scene
        .tree
        .get("/zookeeper/quota/app/zookeeper_stats")
        .unwrap()
        .stat();
    assert_eq!((stat.version, stat.mzxid), (Version(0), stat.czxid));
    scene.run(&delete("/app/a")).unwrap();
    assert_eq!(usage(&scene), "count=1,bytes=4");
    scene
        .run(&delete("/zookeeper/quota/app/zookeeper_limits"))
        .unwrap();
    scene.run(&create("/app/b", 0)).unwrap();
    assert_eq!(usage(&scene), "count=1,bytes=4", "the quota is gone");
}

#[test]
fn a_new_usage_node_is_told_as_it_was_asked_for() {
    let mut scene = Scene::new(Rules::default());
    for path in ["/app", "/zookeeper/quota/app"] {
        scene.run(&create(path, 0)).unwrap();
    }
    let mut create = create_op(OpCode::Create, "/zookeeper/quota/app/zookeeper_limits", 0);
    create.data = Some(b"count=5,bytes=5");
    scene.run(&Request::Create(create)).unwrap();
    let asked = b"count=0,bytes=0,,,";
    let mut create = create_op(OpCode::Create2, "/zookeeper/quota/app/zookeeper_stats", 0);
    create.data = Some(asked);
    let Ok(Reply::PathStat(_, stat)) = scene.run(&Request::Create(create)) else {
        panic!("no stat");
    };
    assert_eq!(usize::try_from(stat.data_length), Ok(asked.len()));
    assert_eq!(usage(&scene), "count=1,bytes=4");
}

#[test]
fn hard_quotas_refuse_where_they_are_enforced() {
    let enforced = Rules {
        enforce_quota: true,
        ..Rules::default()
    };
    for (rules, limits, created, set_result) in [
        (
            Rules::default(),
            "count=1,bytes=-1=;countHardLimit=1",
            true,
            true,
        ),
        (enforced.clone(), "count=1,bytes=1", true, true),
        (
            enforced.clone(),
            "count=-1,bytes=-1=;countHardLimit=1",
            false,
            true,
        ),
        (
            enforced.clone(),
            "count=-1,bytes=-1=;byteHardLimit=9",
            true,
            false,
        ),
        (enforced, "nonsense", true, true),
    ] {
        let mut scene = Scene::new(rules);
        quota(&mut scene, limits.as_bytes());
        let exceeded = |permitted| {
            if permitted {
                Ok(())
            } else {
                Err(ErrorCode::QuotaExceeded)
            }
        };
        assert_eq!(
            scene.run(&create("/app/a", 0)).map(drop),
            exceeded(created),
            "{limits}"
        );
        assert_eq!(
            scene.run(&set("/app", b"1234567")).map(drop),
            exceeded(set_result),
            "{limits}"
        );
    }
}

/// Java adds an absent limit as the -1 that stands for it.
#[test]
fn quotas_are_added_up_by_top_level_node() {
    let mut scene = Scene::new(Rules::default());
    for path in [
        "/q",
        "/t",
        "/t/u",
        "/zookeeper/quota/q",
        "/zookeeper/quota/t",
        "/zookeeper/quota/t/u",
    ] {
        scene.run(&create(path, 0)).unwrap();
    }
    for (path, data) in [
        (
            "/q/zookeeper_limits",
            &b"count=2,bytes=-1=;countHardLimit=9"[..],
        ),
        ("/q/zookeeper_stats", b"count=1,bytes=0"),
        ("/t/zookeeper_limits", b"bytes=5"),
        ("/t/u/zookeeper_limits", b"count=7,bytes=-1"),
        ("/t/u/zookeeper_stats", b"count=4"),
        ("/zookeeper_limits", b"count=4"),
    ] {
        let path = format!("/zookeeper/quota{path}");
        let mut create = create_op(OpCode::Create, &path, 0);
        create.data = Some(data);
        scene.run(&Request::Create(create)).unwrap();
    }
    scene.run(&create("/t/u/v", 0)).unwrap();
    let amount = |count, bytes| Some(QuotaAmount { count, bytes });
    let totals = |limit, usage| QuotaTotals { limit, usage };
    let found: Vec<_> = scene.tree.quota_totals().into_iter().collect();
    assert_eq!(
        found,
        [
            ("q".to_owned(), totals(amount(9, -1), amount(1, 4))),
            ("t".to_owned(), totals(amount(6, 4), amount(2, 8))),
        ]
    );
}
