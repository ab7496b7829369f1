//! Images and restores, case by case.

use super::super::{ImageError, ImageProgress, Restore, RestoreError, Rules, Tree};
use super::replay::restore;
use super::scene::{Scene, create, delete, set};
use zk_proto::txn::{Txn, TxnHeader, TxnRecord};
use zk_proto::{Acl, Perms, SessionId, StoredStat, Xid, Zxid};

fn finish(tree: &mut Tree, bytes: &mut Vec<u8>) {
    while tree.step_image(3, bytes).unwrap() == ImageProgress::More {}
}

#[test]
fn an_untouched_tree_comes_back_as_it_was() {
    let mut tree = Tree::new(Rules::default());
    let mut bytes = Vec::new();
    let facts = tree.begin_image(&mut bytes).unwrap();
    assert_eq!(tree.begin_image(&mut Vec::new()), Err(ImageError::Busy));
    finish(&mut tree, &mut bytes);
    assert_eq!(
        (facts.nodes, facts.digest, tree.is_imaging()),
        (4, tree.digest(), false)
    );
    assert_eq!(tree.step_image(1, &mut bytes), Err(ImageError::None));
    let back = restore(&bytes, Rules::default(), 0);
    assert_eq!((back.digest(), back.node_count()), (tree.digest(), 4));
}

#[test]
fn changes_do_not_reach_an_image_under_way() {
    let mut scene = Scene::new(Rules::default());
    for path in ["/a", "/a/b", "/a/b/c", "/z"] {
        scene.run(&create(path, 0)).unwrap();
    }
    let (digest, zxid) = (scene.tree.digest(), scene.zxid);
    let mut bytes = Vec::new();
    scene.tree.begin_image(&mut bytes).unwrap();
    scene.run(&delete("/a/b/c")).unwrap();
    assert!(
        scene.tree.image_backlog() > 0,
        "the deleted node and its ancestors"
    );
    scene.run(&create("/a/young", 0)).unwrap();
    scene.run(&set("/z", b"new")).unwrap();
    scene.run(&delete("/z")).unwrap();
    scene.run(&create("/z", 0)).unwrap();
    finish(&mut scene.tree, &mut bytes);
    let back = restore(&bytes, Rules::default(), zxid);
    assert_eq!(back.digest(), digest);
    let paths: Vec<_> = back.walk().map(|(path, _)| path).collect();
    assert_eq!(paths.len(), 8);
    assert_eq!(back.get("/z").unwrap().data(), Some(&b"data"[..]));
}

#[test]
fn an_aborted_image_leaves_nothing_behind() {
    let mut scene = Scene::new(Rules::default());
    scene.run(&create("/a", 0)).unwrap();
    scene.tree.begin_image(&mut Vec::new()).unwrap();
    scene.tree.step_image(2, &mut Vec::new()).unwrap();
    scene.run(&set("/a", b"x")).unwrap();
    scene.tree.abort_image();
    let mut bytes = Vec::new();
    scene.tree.begin_image(&mut bytes).unwrap();
    finish(&mut scene.tree, &mut bytes);
    assert_eq!(
        restore(&bytes, Rules::default(), 3).digest(),
        scene.tree.digest()
    );
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let stat = StoredStat::default();
    let begin = || {
        let mut restore = Restore::new(Rules::default());
        restore.acl(5, &[Acl::world(Perms::READ)]).unwrap();
        restore.node("", Some(b""), -1, &stat).unwrap();
        restore.node("/a", None, 5, &stat).unwrap();
        restore
    };
    for (path, acl, error) in [
        ("/x/y", 5, RestoreError::NoParent("/x/y".into())),
        ("/a", 5, RestoreError::Twice("/a".into())),
        ("", 5, RestoreError::Twice(String::new())),
    ] {
        assert_eq!(begin().node(path, None, acl, &stat), Err(error));
    }
    for path in ["a", "/a/", "//", "/a/../b", "/", "/a\0"] {
        let refused = begin().node(path, None, 5, &stat);
        assert!(refused.is_err(), "{path:?}");
    }
    assert_eq!(begin().acl(5, &[]), Err(RestoreError::AclNumber(5)));
    assert_eq!(begin().acl(-1, &[]), Err(RestoreError::AclNumber(-1)));
    let session = SessionId::from_wire(1);
    let mut twice = begin();
    twice.session(session, 1).unwrap();
    assert_eq!(
        twice.session(session, 1),
        Err(RestoreError::Session(session))
    );
    let mut rootless = Restore::new(Rules::default());
    assert_eq!(
        rootless.node("/a", None, -1, &stat),
        Err(RestoreError::NoRoot)
    );
    assert!(rootless.finish(Zxid::ZERO).is_err());
    let tree = begin().finish(Zxid::from_wire(4)).unwrap();
    assert_eq!(tree.get("/a").unwrap().acl(), [Acl::world(Perms::READ)]);
}

/// Java writes the ACLs of a snapshot before its nodes, and nodes come with new ones meanwhile.
#[test]
fn an_acl_that_is_not_defined_yet_denies_all_until_the_log_tells_it() {
    let stat = StoredStat::default();
    let mut restore = Restore::new(Rules::default());
    restore.node("", Some(b""), -1, &stat).unwrap();
    restore.node("/a", None, 7, &stat).unwrap();
    restore.node("/b", None, 8, &stat).unwrap();
    restore.node("/c", None, 7, &stat).unwrap();
    let mut tree = restore.finish(Zxid::from_wire(4)).unwrap();
    assert_eq!(tree.undefined_acls(), 3);
    let denied = tree.get("/a").unwrap().acl().to_vec();
    assert!(!super::super::access::permits(
        &Rules::default(),
        &denied,
        &[super::super::Identity::new(
            "digest",
            "undefined-in-the-snapshot"
        )],
        Perms::ALL,
    ));
    tree.apply(&created("/a", 5));
    assert_eq!(tree.get("/a").unwrap().acl(), [Acl::world(Perms::READ)]);
    assert_eq!(tree.undefined_acls(), 2);
    tree.apply(&created("/c", 6));
    tree.apply(&created("/b", 7));
    assert_eq!(tree.undefined_acls(), 0);
}

fn created(path: &str, zxid: i64) -> zk_proto::txn::TxnRecord {
    use zk_proto::txn::{Creation, Txn, TxnHeader, TxnRecord};
    TxnRecord {
        header: TxnHeader {
            session: SessionId::from_wire(1),
            cxid: zk_proto::Xid(1),
            zxid: Zxid::from_wire(zxid),
            time: 9,
        },
        txn: Txn::Create {
            creation: Creation::Create2 { ephemeral: false },
            path: path.into(),
            data: None,
            acl: vec![Acl::world(Perms::READ)],
            parent_cversion: -1,
        },
        digest: None,
    }
}

/// A mixture, as Java's snapshots are, may hold children of a node whose deletion is yet to be applied.
#[test]
fn deleting_a_node_that_a_mixture_gave_children_takes_them_too() {
    let mut scene = Scene::new(Rules::default());
    for (path, flags) in [("/a", 0), ("/a/b", 0), ("/a/e", 1)] {
        scene.run(&create(path, flags)).unwrap();
    }
    let zxid = scene.stamp().zxid;
    let record = TxnRecord {
        header: TxnHeader {
            session: SessionId::NONE,
            cxid: Xid(0),
            zxid,
            time: 0,
        },
        txn: Txn::Delete { path: "/a".into() },
        digest: None,
    };
    assert!(scene.tree.apply(&record).outcome.result.is_ok());
    assert_eq!(
        (scene.tree.node_count(), scene.tree.ephemeral_count()),
        (4, 0)
    );
    scene.run(&create("/a", 0)).unwrap();
    scene.run(&create("/a/b", 0)).unwrap();
}

#[test]
fn a_quota_found_in_a_snapshot_is_kept_up_again() {
    let mut scene = Scene::new(Rules::default());
    for path in [
        "/app",
        "/app/child",
        "/zookeeper/quota/app",
        "/zookeeper/quota/app/zookeeper_limits",
        "/zookeeper/quota/app/zookeeper_stats",
    ] {
        scene.run(&create(path, 0)).unwrap();
    }
    let mut bytes = Vec::new();
    scene.tree.begin_image(&mut bytes).unwrap();
    finish(&mut scene.tree, &mut bytes);
    scene.tree = restore(&bytes, Rules::default(), scene.zxid);
    let usage = |scene: &Scene| {
        let node = scene
            .tree
            .get("/zookeeper/quota/app/zookeeper_stats")
            .unwrap();
        String::from_utf8_lossy(node.data().unwrap()).into_owned()
    };
    assert_eq!(usage(&scene), "count=2,bytes=8");
    scene.run(&delete("/app/child")).unwrap();
    assert_eq!(usage(&scene), "count=1,bytes=4");
}

/// Nobody waits for the copying of hundreds of megabytes, be they visited or forced out by changes.
#[test]
fn a_step_ends_where_enough_has_been_written() {
    const LARGE: usize = 100 << 10;
    const STEP: usize = 256 << 10;
    let mut scene = Scene::new(Rules::default());
    let data = vec![1; LARGE];
    for name in 0..12 {
        let path = format!("/{name}");
        scene.run(&create(&path, 0)).unwrap();
        scene.run(&set(&path, &data)).unwrap();
    }
    let (digest, zxid) = (scene.tree.digest(), scene.zxid);
    let mut bytes = Vec::new();
    scene.tree.begin_image(&mut bytes).unwrap();
    for name in 6..12 {
        scene.run(&delete(&format!("/{name}"))).unwrap();
    }
    let spilled = scene.tree.image_backlog();
    assert!(spilled > 6 * LARGE);
    let mut steps = Vec::new();
    loop {
        let mut piece = Vec::new();
        let progress = scene.tree.step_image(400, &mut piece).unwrap();
        steps.push(piece.len());
        bytes.extend(piece);
        if progress == ImageProgress::Done {
            break;
        }
    }
    assert_eq!(steps.first(), Some(&spilled), "nothing on top of that");
    assert!(
        steps[1..].iter().all(|&len| len < STEP + LARGE + 200),
        "{steps:?}"
    );
    assert!(steps.len() > 2);
    assert_eq!(restore(&bytes, Rules::default(), zxid).digest(), digest);
}
