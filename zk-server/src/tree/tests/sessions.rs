//! Sessions, their nodes, and what goes by itself.

use super::super::{Internal, ReapRules, Rules, Standing, reapable};
use super::replay::restore;
use super::scene::{SESSION, Scene, create, create_op, delete, set};
use zk_proto::txn::Txn;
use zk_proto::{Create, ErrorCode, OpCode, Request, SessionId, Xid};

fn close(session: SessionId) -> Internal {
    Internal::CloseSession {
        session,
        xid: Xid::INTERNAL,
    }
}

fn listed(txn: &Txn) -> Vec<&str> {
    let Txn::CloseSession { paths: Some(paths) } = txn else {
        panic!("no list: {txn:?}");
    };
    paths.iter().map(String::as_str).collect()
}

#[test]
fn a_session_takes_its_nodes_with_it_also_those_in_flight() {
    let mut scene = Scene::new(Rules::default());
    for path in ["/gone", "/kept", "/moved"] {
        scene.run(&create(path, 1)).unwrap();
    }
    let records = [
        scene.prepare(&delete("/gone")),
        scene.prepare(&create("/young", 1)),
        scene.prepare(&delete("/moved")),
        scene.prepare(&create("/moved", 0)),
        scene.prepare(&create("/brief", 1)),
        scene.prepare(&delete("/brief")),
        scene.prepare_internal(close(SESSION)),
        scene.prepare(&create("/late", 0)),
    ];
    assert_eq!(listed(&records[6].txn), ["/kept", "/young"]);
    for record in &records[..7] {
        scene.apply(record).unwrap();
    }
    assert_eq!(scene.apply(&records[7]), Err(ErrorCode::SessionExpired));
    assert!(scene.tree.get("/moved").is_some());
    assert_eq!(
        (scene.tree.ephemeral_count(), scene.tree.session_count()),
        (0, 0)
    );
    assert_eq!(
        scene.run(&create("/late", 0)),
        Err(ErrorCode::SessionExpired)
    );
}

#[test]
fn the_parent_of_what_a_closing_session_takes_is_empty_at_once() {
    let mut scene = Scene::new(Rules::default());
    let other = SessionId::from_wire(0x200);
    scene.open(other);
    scene.run(&create("/p", 0)).unwrap();
    scene.run(&create("/p/e", 1)).unwrap();
    let records = [
        scene.prepare_internal(close(SESSION)),
        scene.prepare_as(other, &delete("/p")),
    ];
    for record in &records {
        scene.apply(record).unwrap();
    }
    assert!(scene.tree.get("/p").is_none());
}

#[test]
fn without_the_list_every_server_finds_the_nodes_itself() {
    let mut scene = Scene::new(Rules {
        close_session_txn_list: false,
        ..Rules::default()
    });
    scene.run(&create("/e", 1)).unwrap();
    let record = scene.prepare_internal(close(SESSION));
    assert_eq!(
        (&record.txn, record.digest),
        (&Txn::CloseSession { paths: None }, None)
    );
    let applied = scene.applied(&record);
    assert_eq!(
        (applied.changes.len(), applied.outcome.closed),
        (2, Some(SESSION))
    );
    assert!(scene.tree.get("/e").is_none());
}

#[test]
fn a_client_s_own_closing_keeps_its_number() {
    let mut scene = Scene::new(Rules::default());
    let record = scene.prepare(&Request::CloseSession);
    assert_eq!(
        (record.header.session, record.header.cxid),
        (SESSION, Xid(7))
    );
    assert_eq!(listed(&record.txn), [""; 0]);
}

#[test]
fn a_session_owns_no_more_than_its_closing_can_list() {
    let mut scene = Scene::new(Rules {
        max_txn_len: 200,
        ..Rules::default()
    });
    // 48 bytes around the list, 8 for each path: 19 fit.
    for n in 10..29 {
        let record = scene.prepare(&create(&format!("/e{n}"), 1));
        if n < 20 {
            scene.apply(&record).unwrap();
        } else {
            assert!(matches!(record.txn, Txn::Create { .. }), "{n}");
        }
    }
    let over = scene.prepare(&create("/e29", 1));
    assert_eq!(over.txn, Txn::Error(ErrorCode::QuotaExceeded));
    assert!(matches!(
        scene.prepare(&create("/plain", 0)).txn,
        Txn::Create { .. }
    ));
    let closing = scene.prepare_internal(close(SESSION));
    assert_eq!(listed(&closing.txn).len(), 19);
    let mut bytes = Vec::new();
    closing.encode(&mut bytes);
    assert_eq!(bytes.len(), 200);
}

#[test]
fn a_local_session_writes_but_owns_nothing() {
    let mut scene = Scene::new(Rules::default());
    let local = SessionId::from_wire(0x999);
    let mut run = |flags| {
        let record = scene.prepare_with(local, &[], Standing::Local, &create("/l", flags));
        scene.apply(&record).map(drop)
    };
    assert_eq!(run(1), Err(ErrorCode::EphemeralOnLocalSession));
    assert_eq!(run(0), Ok(()));
    assert_eq!(
        scene.run_as(local, &create("/x", 0)),
        Err(ErrorCode::SessionExpired)
    );
}

#[test]
fn nodes_of_sessions_that_a_snapshot_does_not_know_are_removed() {
    let mut scene = Scene::new(Rules::default());
    scene.run(&create("/e", 1)).unwrap();
    let mut bytes = Vec::new();
    scene.tree.begin_image(&mut bytes).unwrap();
    while scene.tree.step_image(1, &mut bytes).unwrap() == super::super::ImageProgress::More {}
    // The same image with an empty session table.
    let without: Vec<u8> = [&[0; 4][..], &bytes[4 + 12..]].concat();
    let mut tree = restore(&without, Rules::default(), scene.zxid);
    assert_eq!((tree.kill_orphans(), tree.get("/e").is_none()), (1, true));
    assert_eq!(tree.get("/").unwrap().stat().pzxid, tree.last_zxid());
    let mut known = restore(&bytes, Rules::default(), scene.zxid);
    assert_eq!((known.kill_orphans(), known.get("/e").is_some()), (0, true));
}

#[test]
fn empty_containers_and_aged_nodes_are_due() {
    let mut scene = Scene::new(Rules {
        extended_types: true,
        ..Rules::default()
    });
    for path in ["/new", "/used", "/full"] {
        let container = create_op(OpCode::CreateContainer, path, 4);
        scene.run(&Request::Create(container)).unwrap();
    }
    for path in ["/used/c", "/full/c"] {
        scene.run(&create(path, 0)).unwrap();
    }
    scene.run(&delete("/used/c")).unwrap();
    let aging = |path| {
        Request::Create(Create {
            ttl: 50,
            ..create_op(OpCode::CreateTtl, path, 5)
        })
    };
    scene.run(&aging("/t")).unwrap();
    scene.run(&aging("/busy")).unwrap();
    scene.run(&create("/busy/c", 0)).unwrap();
    let born = scene.tree.get("/t").unwrap().stat().mtime;
    let due = |scene: &Scene, now, max_never_used| {
        reapable(&scene.tree, now, ReapRules { max_never_used }).collect::<Vec<_>>()
    };
    assert_eq!(due(&scene, born + 50, 0), ["/used"]);
    assert_eq!(due(&scene, born + 51, 0), ["/used", "/t"]);
    assert_eq!(due(&scene, born + 1000, 500), ["/new", "/used", "/t"]);
}

fn made(op: OpCode, path: &str, flags: i32, ttl: i64) -> Request<'_> {
    let create = create_op(op, path, flags);
    Request::Create(Create { ttl, ..create })
}

/// What was found waits for its turn, and the world goes on meanwhile: the deletion judges again.
#[test]
fn only_what_is_still_due_is_reaped() {
    let mut scene = Scene::new(Rules {
        extended_types: true,
        ..Rules::default()
    });
    for path in [
        "/used",
        "/new",
        "/full",
        "/again",
        "/again-session",
        "/pending",
    ] {
        let container = made(OpCode::CreateContainer, path, 4, -1);
        scene.run(&container).unwrap();
        if path != "/new" {
            let child = format!("{path}/c");
            scene.run(&create(&child, 0)).unwrap();
            scene.run(&delete(&child)).unwrap();
        }
    }
    scene.run(&made(OpCode::CreateTtl, "/aged", 5, 12)).unwrap();
    scene
        .run(&made(OpCode::CreateTtl, "/fresh", 5, 12))
        .unwrap();
    scene.run(&create("/pad", 0)).unwrap();
    scene.run(&create("/pad/2", 0)).unwrap();
    let found: Vec<_> = reapable(&scene.tree, 2000, ReapRules::default()).collect();
    let due = [
        "/used",
        "/full",
        "/again",
        "/again-session",
        "/pending",
        "/aged",
        "/fresh",
    ];
    assert_eq!(found, due);
    // Meanwhile:
    scene.run(&create("/full/c", 0)).unwrap();
    scene.run(&delete("/again")).unwrap();
    scene.run(&create("/again", 0)).unwrap();
    scene.run(&delete("/again-session")).unwrap();
    scene.run(&create("/again-session", 1)).unwrap();
    scene.run(&set("/fresh", b"used")).unwrap();
    let waiting =
        [delete("/pending"), create("/pending", 0)].map(|request| scene.prepare(&request));
    let mut reap = |path: &str| {
        let (path, rules) = (path.into(), ReapRules::default());
        scene.prepare_internal(Internal::Reap { path, rules }).txn
    };
    for (path, code) in [
        ("/pending", ErrorCode::BadVersion),
        ("/full", ErrorCode::NotEmpty),
        ("/again", ErrorCode::BadVersion),
        ("/again-session", ErrorCode::BadVersion),
        ("/fresh", ErrorCode::BadVersion),
        ("/new", ErrorCode::BadVersion),
        ("/none", ErrorCode::NoNode),
        ("/zookeeper", ErrorCode::BadArguments),
    ] {
        assert_eq!(reap(path), Txn::Error(code), "{path}");
    }
    for path in ["/used", "/aged"] {
        assert_eq!(reap(path), Txn::DeleteContainer { path: path.into() });
        assert_eq!(reap(path), Txn::Error(ErrorCode::NoNode));
    }
    for record in &waiting {
        scene.apply(record).unwrap();
    }
}

#[test]
fn a_client_sees_its_own_ephemeral_nodes_by_prefix() {
    let mut scene = Scene::new(Rules::default());
    for path in ["/a", "/ab", "/b"] {
        scene.run(&create(path, 1)).unwrap();
    }
    for (prefix, count) in [
        (None, 3),
        (Some(""), 3),
        (Some("  "), 3),
        (Some("/"), 3),
        (Some("/a"), 2),
        (Some("/ab"), 1),
        (Some("a"), 0),
    ] {
        assert_eq!(
            scene.tree.ephemerals_of(SESSION, prefix).count(),
            count,
            "{prefix:?}"
        );
    }
    assert_eq!(scene.tree.get("/").unwrap().descendant_count(), 6);
    assert_eq!(scene.tree.get("/zookeeper").unwrap().descendant_count(), 2);
    assert_eq!(scene.tree.get("/a").unwrap().descendant_count(), 0);
}
