//! Writes, rule by rule: what the properties cannot reach or would reach too rarely.

use super::super::{Asker, Pending, Rules, Standing, Tree, prepare_reconfig, prepare_refusal};
use super::scene::{SESSION, Scene, create, create_op, delete, set};
use bytes::Bytes;
use zk_proto::txn::{Creation, Txn, TxnHeader, TxnRecord};
use zk_proto::{
    Acl, Create, ErrorCode, MultiOp, MultiResult, OpCode, Perms, Reply, Request, SessionId,
    Version, Xid, Zxid,
};

fn name_of(result: Result<Reply, ErrorCode>) -> String {
    match result {
        Ok(Reply::Path(path) | Reply::PathStat(path, _)) => path,
        other => panic!("no path: {other:?}"),
    }
}

#[test]
fn sequence_numbers_count_creations_and_no_failures() {
    let mut scene = Scene::new(Rules::default());
    scene.run(&create("/q", 0)).unwrap();
    assert_eq!(name_of(scene.run(&create("/q/s", 2))), "/q/s0000000000");
    assert_eq!(name_of(scene.run(&create("/q/", 2))), "/q/0000000001");
    scene.run(&delete("/q/s0000000000")).unwrap();
    scene.run(&create("/q/plain", 0)).unwrap();
    assert_eq!(
        scene.run(&create("/q/plain", 0)),
        Err(ErrorCode::NodeExists)
    );
    assert_eq!(name_of(scene.run(&create("/q/s", 3))), "/q/s0000000003");
    let stat = scene.tree.get("/q").unwrap().stat();
    assert_eq!((stat.cversion, stat.num_children), (Version(5), 3));
}

/// A record as a log would bring it.
fn logged(zxid: i64, txn: Txn) -> TxnRecord {
    TxnRecord {
        header: TxnHeader {
            session: SESSION,
            cxid: Xid(1),
            zxid: Zxid::from_wire(zxid),
            time: 5,
        },
        txn,
        digest: None,
    }
}

fn created(path: &str, parent_cversion: i32) -> Txn {
    Txn::Create {
        creation: Creation::Create { ephemeral: false },
        path: path.into(),
        data: None,
        acl: vec![Acl::world(Perms::ALL)],
        parent_cversion,
    }
}

#[test]
fn the_last_sequence_number_is_the_last() {
    let mut scene = Scene::new(Rules::default());
    scene.run(&create("/q", 0)).unwrap();
    let zxid = scene.stamp().zxid.to_wire();
    scene
        .tree
        .apply(&logged(zxid, created("/q/before", i32::MAX)));
    let records = [
        scene.prepare(&create("/q/s", 2)),
        scene.prepare(&create("/q/s", 2)),
    ];
    assert_eq!(name_of(scene.apply(&records[0])), "/q/s2147483647");
    assert_eq!(scene.apply(&records[1]), Err(ErrorCode::NodeExists));
    assert_eq!(
        scene.tree.get("/q").unwrap().stored_stat().cversion,
        Version(i32::MAX)
    );
}

#[test]
fn old_logs_do_not_say_the_parent_s_count() {
    let mut tree = Tree::new(Rules::default());
    tree.apply(&logged(1, created("/a", -1)));
    tree.apply(&logged(2, created("/b", -1)));
    assert_eq!(tree.get("/").unwrap().stored_stat().cversion, Version(2));
}

#[test]
fn versions_wrap_around() {
    let mut scene = Scene::new(Rules::default());
    scene.run(&create("/v", 0)).unwrap();
    let zxid = scene.stamp().zxid.to_wire();
    scene.tree.apply(&logged(
        zxid,
        Txn::SetData {
            path: "/v".into(),
            data: None,
            version: Version(i32::MAX),
        },
    ));
    match scene.run(&set("/v", b"x")) {
        Ok(Reply::Stat(stat)) => assert_eq!(stat.version, Version(i32::MIN)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn operation_and_flags_must_fit() {
    let extended = Rules {
        extended_types: true,
        ..Rules::default()
    };
    let check = |rules: &Rules, op, flags, ttl, expected: Result<Creation, ErrorCode>| {
        let mut scene = Scene::new(rules.clone());
        let request = Request::Create(Create {
            ttl,
            ..create_op(op, "/n", flags)
        });
        let record = scene.prepare(&request);
        let found = if let Txn::Create { creation, .. } = &record.txn {
            Ok(*creation)
        } else if let Txn::Error(code) = &record.txn {
            Err(*code)
        } else {
            panic!("{record:?}")
        };
        assert_eq!(found, expected, "{op} {flags} {ttl}");
    };
    let plain = &Rules::default();
    let (one, two) = (
        |ephemeral| Ok(Creation::Create { ephemeral }),
        |ephemeral| Ok(Creation::Create2 { ephemeral }),
    );
    let (bad, off) = (Err(ErrorCode::BadArguments), Err(ErrorCode::Unimplemented));
    check(plain, OpCode::Create, 1, -1, one(true));
    check(plain, OpCode::Create2, 3, -1, two(true));
    check(plain, OpCode::Create, 4, -1, one(false));
    check(
        plain,
        OpCode::CreateContainer,
        4,
        -1,
        Ok(Creation::Container),
    );
    check(
        plain,
        OpCode::CreateContainer,
        3,
        -1,
        Ok(Creation::Container),
    );
    check(plain, OpCode::Create, 7, -1, bad);
    check(plain, OpCode::Create, -1, -1, bad);
    for op in [OpCode::Create, OpCode::CreateContainer, OpCode::CreateTtl] {
        check(plain, op, 5, 10, off);
    }
    check(&extended, OpCode::Create2, 5, -1, bad);
    check(&extended, OpCode::CreateTtl, 5, 10, Ok(Creation::Ttl(10)));
    check(
        &extended,
        OpCode::CreateTtl,
        6,
        (1 << 40) - 1,
        Ok(Creation::Ttl((1 << 40) - 1)),
    );
    for ttl in [-1, 0, 1 << 40, i64::MAX, i64::MIN] {
        check(&extended, OpCode::CreateTtl, 5, ttl, bad);
    }
    for ttl in [-1, 0, 10] {
        check(&extended, OpCode::CreateTtl, 0, ttl, bad);
    }
}

#[test]
fn the_first_reason_to_refuse_is_java_s() {
    let mut scene = Scene::new(Rules::default());
    scene.run(&create("/e", 1)).unwrap();
    scene.run(&create("/p", 0)).unwrap();
    for (request, code) in [
        (create("x", 0), ErrorCode::BadArguments),
        (create("/none/x", 0), ErrorCode::NoNode),
        (create("/none//x", 0), ErrorCode::NoNode),
        (create("/p/", 0), ErrorCode::BadArguments),
        (create("/p//x", 0), ErrorCode::NoNode),
        (create("/", 0), ErrorCode::NodeExists),
        (create("/e/x", 0), ErrorCode::NoChildrenForEphemerals),
        (delete("/"), ErrorCode::BadArguments),
        (delete("/zookeeper/config"), ErrorCode::BadArguments),
        (delete("p"), ErrorCode::BadArguments),
        (delete("/p/"), ErrorCode::NoNode),
        (delete("/none/x"), ErrorCode::NoNode),
        (set("/p/", b""), ErrorCode::BadArguments),
        (set("/none", b""), ErrorCode::NoNode),
        (set("/zookeeper/config", b""), ErrorCode::NoAuth),
        (
            Request::Check {
                path: "/p".into(),
                version: -1,
            },
            ErrorCode::Unimplemented,
        ),
    ] {
        let record = scene.prepare(&request);
        assert_eq!(record.digest, None, "a refusal has no digest");
        assert_eq!(scene.apply(&record), Err(code), "{request:?}");
    }
}

#[test]
fn a_multi_does_all_or_nothing_under_one_zxid() {
    let mut scene = Scene::new(Rules::default());
    let ops = |last: &'static str| {
        Request::Multi(vec![
            MultiOp::Create(create_op(OpCode::Create2, "/m", 0)),
            MultiOp::Create(create_op(OpCode::Create, "/m/s", 2)),
            MultiOp::Delete {
                path: last.into(),
                version: -1,
            },
            MultiOp::Check {
                path: "/m".into(),
                version: 0,
            },
        ])
    };
    let failed = scene.prepare(&ops("/none"));
    assert_eq!(failed.header.zxid.to_wire(), scene.zxid);
    assert_eq!(
        failed.digest.map(|digest| digest.digest),
        scene.tree.digest()
    );
    let results = [0, 0, -101, -2].map(MultiResult::Error).to_vec();
    assert_eq!(scene.apply(&failed), Ok(Reply::Multi(results)));
    assert!(scene.tree.get("/m").is_none());
    let done = scene.run(&ops("/m/s0000000000")).unwrap();
    let Reply::Multi(results) = done else {
        panic!("{done:?}")
    };
    assert!(matches!(&results[0], MultiResult::Create2(path, stat)
        if path == "/m" && stat.num_children == 0 && stat.czxid.to_wire() == scene.zxid));
    assert_eq!(results[1], MultiResult::Create("/m/s0000000000".into()));
    assert_eq!(results[2..], [MultiResult::Delete, MultiResult::Check]);
    assert_eq!(scene.run(&Request::Multi(vec![])), Ok(Reply::Multi(vec![])));
}

#[test]
fn inside_a_multi_the_flags_choose_the_operation() {
    let mut scene = Scene::new(Rules::default());
    let multi = Request::Multi(vec![
        MultiOp::Create(create_op(OpCode::Create, "/c", 4)),
        MultiOp::Create(create_op(OpCode::CreateTtl, "/t", 0)),
    ]);
    let record = scene.prepare(&multi);
    let Txn::Multi(parts) = &record.txn else {
        panic!()
    };
    assert_eq!(parts[0].op(), OpCode::CreateContainer);
    assert_eq!(parts[1].op(), OpCode::Create);
    scene.apply(&record).unwrap();
}

#[test]
fn a_reconfiguration_writes_the_configuration_node() {
    let mut scene = Scene::new(Rules::default());
    let config = Bytes::from_static(b"server.1=...");
    let asker = Asker {
        session: SESSION,
        xid: Xid(3),
        identities: &[super::super::Identity::superuser()],
        standing: Standing::Global,
    };
    let nobody = Asker {
        identities: &[],
        ..asker.clone()
    };
    let stamp = scene.stamp();
    let refused = prepare_reconfig(
        &scene.tree,
        &mut scene.pending,
        &nobody,
        stamp,
        config.clone(),
    );
    assert_eq!(refused.txn, Txn::Error(ErrorCode::NoAuth));
    let stamp = scene.stamp();
    let record = prepare_reconfig(
        &scene.tree,
        &mut scene.pending,
        &asker,
        stamp,
        config.clone(),
    );
    match scene.apply(&record) {
        Ok(Reply::Data(Some(data), stat)) => {
            assert_eq!(
                (data, stat.version, stat.mzxid),
                (config, Version(-1), stamp.zxid)
            );
        }
        other => panic!("{other:?}"),
    }
    let changes = scene.tree.set_config(b"own", Zxid::from_wire(9), 77);
    let node = scene.tree.get("/zookeeper/config").unwrap();
    assert_eq!(
        (node.data(), node.stat().mtime, changes.len()),
        (Some(&b"own"[..]), 77, 1)
    );
}

#[test]
fn a_refusal_from_outside_takes_its_place_in_the_order() {
    let asker = Asker {
        session: SessionId::from_wire(5),
        xid: Xid(6),
        identities: &[],
        standing: Standing::Global,
    };
    let mut scene = Scene::new(Rules::default());
    let stamp = scene.stamp();
    let record = prepare_refusal(&asker, stamp, ErrorCode::SessionMoved);
    assert_eq!(scene.apply(&record), Err(ErrorCode::SessionMoved));
    assert_eq!(scene.tree.last_zxid(), stamp.zxid);
    assert!(Pending::new().is_empty());
}
