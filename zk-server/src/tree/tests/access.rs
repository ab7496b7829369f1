//! Who may do what, rule by rule.

use super::super::access::{self, AclRefused};
use super::super::{Identity, Rules, Standing, mask, permits, who_am_i};
use super::model::user_of;
use super::scene::{SESSION, Scene, create, create_op, delete, set};
use zk_proto::txn::Txn;
use zk_proto::{Acl, ErrorCode, MultiOp, OpCode, Perms, Reply, Request, SessionId, WireAcl};

fn acl(perms: Perms, scheme: &str, id: &str) -> Acl {
    Acl::new(perms, scheme, id)
}

#[test]
fn an_entry_matches_by_its_scheme() {
    let rules = Rules {
        sasl: true,
        let_any_sasl_user_do: Some("anyone-at-all".into()),
        ..Rules::default()
    };
    let check = |entry: Acl, scheme: &str, id: &str, permitted| {
        let identities = [Identity::new(scheme, id)];
        let acl = [entry];
        assert_eq!(
            permits(&rules, &acl, &identities, Perms::READ),
            permitted,
            "{acl:?} {id}"
        );
    };
    let read = Perms::READ;
    check(acl(read, "world", "anyone"), "ip", "1.2.3.4", true);
    check(acl(Perms::WRITE, "world", "anyone"), "ip", "1.2.3.4", false);
    check(acl(read, "digest", "u:h"), "digest", "u:h", true);
    check(acl(read, "digest", "u:h"), "digest", "u:H", false);
    check(acl(read, "digest", "u:h"), "sasl", "u:h", false);
    check(acl(read, "ip", "10.0.0.0/8"), "ip", "10.9.9.9", true);
    check(acl(read, "ip", "10.0.0.0/8"), "ip", "11.9.9.9", false);
    check(acl(read, "sasl", "bob"), "sasl", "bob", true);
    check(acl(read, "sasl", "bob"), "sasl", "super", true);
    check(acl(read, "sasl", "anyone-at-all"), "sasl", "eve", true);
    check(acl(read, "sasl", "bob"), "sasl", "eve", false);
    check(acl(read, "x509", "CN=a"), "x509", "CN=a", false);
    check(acl(read, "digest", "u:h"), "super", "", true);
}

#[test]
fn an_absent_acl_and_a_server_without_acls_permit_everything() {
    let skip = Rules {
        skip_acl: true,
        ..Rules::default()
    };
    assert!(permits(
        &skip,
        &[acl(Perms::READ, "digest", "u:h")],
        &[],
        Perms::ALL
    ));
    assert!(permits(&Rules::default(), &[], &[], Perms::ADMIN));
    assert!(!permits(
        &Rules::default(),
        &[acl(Perms(0), "world", "anyone")],
        &[],
        Perms::ALL
    ));
}

fn fix_up(
    rules: &Rules,
    asked: Option<&[WireAcl<'_>]>,
    identities: &[Identity],
) -> Result<Vec<Acl>, AclRefused> {
    access::fix_up(rules, asked, identities, &mut 1000)
}

fn asked(scheme: Option<&str>, id: Option<&str>) -> WireAcl<'static> {
    WireAcl {
        perms: Perms::READ,
        scheme: scheme.map(|text| text.to_owned().into()),
        id: id.map(|text| text.to_owned().into()),
    }
}

#[test]
fn an_acl_is_stored_only_if_someone_could_match_it() {
    let rules = Rules::default();
    let check = |entries: &[WireAcl<'_>], expected: Result<&[&str], AclRefused>| {
        let identities = [
            Identity::new("ip", "10.0.0.1"),
            Identity::superuser(),
            Identity::new("digest", "u:h"),
        ];
        let fixed = fix_up(&rules, Some(entries), &identities)
            .map(|acl| acl.iter().map(ToString::to_string).collect::<Vec<_>>());
        let expected = expected.map(|acl| acl.iter().map(|&text| text.to_owned()).collect());
        assert_eq!(fixed, expected, "{entries:?}");
    };
    let one = |scheme, id| asked(Some(scheme), Some(id));
    let (invalid, garbage) = (Err(AclRefused::Invalid), Err(AclRefused::Garbage));
    check(&[], invalid);
    check(&[asked(None, Some("anyone"))], invalid);
    check(&[asked(Some("world"), None)], garbage);
    check(&[asked(Some("digest"), None)], garbage);
    check(&[asked(Some("ip"), None)], garbage);
    check(&[asked(Some("nobody"), None)], invalid);
    check(&[asked(Some("auth"), None)], Ok(&["digest:u:h:1"]));
    check(&[one("auth", "ignored")], Ok(&["digest:u:h:1"]));
    check(&[one("world", "anyone")], Ok(&["world:anyone:1"]));
    check(&[one("world", "someone")], invalid);
    check(&[one("super", "")], invalid);
    check(&[one("sasl", "bob")], invalid);
    check(&[one("x509", "CN=a")], invalid);
    check(&[one("ip", "::1/64")], Ok(&["ip:::1/64:1"]));
    check(&[one("ip", "host")], invalid);
    for good in ["u:h", ":h", "u:h:", "u:h::"] {
        check(
            &[one("digest", good)],
            Ok(&[format!("digest:{good}:1").as_str()]),
        );
    }
    for bad in ["u", "u:", "", "::", "a:b:c"] {
        check(&[one("digest", bad)], invalid);
    }
    check(
        &[
            one("world", "anyone"),
            one("digest", "u:h"),
            one("world", "anyone"),
        ],
        Ok(&["world:anyone:1", "digest:u:h:1"]),
    );
    // What has to be compared must be there; nothing is compared without equal permissions.
    check(&[one("nobody", "x"), asked(None, Some("x"))], garbage);
    check(
        &[asked(Some("auth"), None), asked(Some("auth"), None)],
        garbage,
    );
    let other = |entry| WireAcl {
        perms: Perms::ALL,
        ..entry
    };
    check(&[one("nobody", "x"), other(asked(None, None))], invalid);
    check(
        &[asked(Some("auth"), None), other(asked(Some("auth"), None))],
        Ok(&["digest:u:h:1", "digest:u:h:31"]),
    );
    // Garbage behind an invalid entry is never reached, as in Java.
    check(&[one("nobody", "x"), asked(Some("world"), None)], invalid);
    assert_eq!(fix_up(&rules, None, &[]), Err(AclRefused::Invalid));
    assert_eq!(
        fix_up(&rules, Some(&[one("auth", "")]), &[]),
        Err(AclRefused::Invalid)
    );
}

#[test]
fn an_acl_grows_as_far_as_its_room() {
    let rules = Rules::default();
    let identities: Vec<_> = (100..300)
        .map(|user| Identity::new("digest", format!("{user}:h")))
        .collect();
    let auth = |perms| WireAcl {
        perms: Perms(perms),
        ..asked(Some("auth"), Some(""))
    };
    // An entry: permissions, and scheme and id with their lengths.
    let all = 200 * (4 + 4 + 6 + 4 + 5);
    let asked: Vec<_> = (0..20_000).map(auth).collect();
    let check = |entries: usize, mut room: usize, expected: Result<usize, AclRefused>| {
        let entries = &asked[..entries];
        let fixed = access::fix_up(&rules, Some(entries), &identities, &mut room);
        assert_eq!(fixed.map(|acl| acl.len()), expected);
        room
    };
    assert_eq!(check(1, all, Ok(200)), 0, "what it took is gone");
    check(1, all - 1, Err(AclRefused::Garbage));
    check(3, 3 * all, Ok(600));
    check(20_000, 2 << 20, Err(AclRefused::Garbage));
}

#[test]
fn repetitions_are_found_among_thousands() {
    let ids: Vec<_> = (0..20_000).map(|user| format!("{user}:h")).collect();
    let one = |id: &String| asked(Some("digest"), Some(id));
    let twice: Vec<_> = ids.iter().chain(&ids).map(one).collect();
    let fixed = access::fix_up(&Rules::default(), Some(&twice), &[], &mut (1 << 20)).unwrap();
    assert!(
        fixed.iter().map(|entry| &entry.id).eq(&ids),
        "in their order"
    );
}

/// The parts of a multi share the room of its transaction.
#[test]
fn a_multi_of_expanding_acls_is_refused_before_it_is_large() {
    let mut scene = Scene::new(Rules {
        max_txn_len: 2000,
        ..Rules::default()
    });
    let identities: Vec<_> = (100..120)
        .map(|user| Identity::new("digest", format!("{user}:h")))
        .collect();
    let paths: Vec<_> = (0..7).map(|name| format!("/{name}")).collect();
    let part = |path| {
        let mut create = create_op(OpCode::Create, path, 0);
        create.acl = Some(vec![asked(Some("auth"), Some(""))]);
        MultiOp::Create(create)
    };
    let mut run = |range: std::ops::Range<usize>| {
        let parts = paths[range].iter().map(|path| part(path)).collect();
        let multi = Request::Multi(parts);
        scene
            .prepare_with(SESSION, &identities, Standing::Global, &multi)
            .txn
    };
    assert!(matches!(run(0..3), Txn::Multi(_)));
    assert_eq!(run(3..7), Txn::Error(ErrorCode::MarshallingError));
}

#[test]
fn registered_providers_judge_their_ids() {
    let rules = Rules {
        sasl: true,
        x509: true,
        digest_auth: None,
        ..Rules::default()
    };
    for (scheme, id, good) in [
        ("sasl", "bob", true),
        ("sasl", "bob/host@REALM", true),
        ("sasl", "bob@REALM@REALM", false),
        ("sasl", "a/b/c@REALM", false),
        ("x509", "CN=a, O=b", true),
        ("x509", "nonsense", false),
        ("digest", "u:h", false),
    ] {
        let fixed = fix_up(&rules, Some(&[asked(Some(scheme), Some(id))]), &[]);
        assert_eq!(fixed.is_ok(), good, "{scheme}:{id}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let shown = mask(&[
        acl(Perms::ALL, "digest", "u:hash"),
        acl(Perms::ALL, "ip", "::1"),
    ]);
    assert_eq!(
        shown,
        [
            acl(Perms::ALL, "digest", "u:x"),
            acl(Perms::ALL, "ip", "::1")
        ]
    );
    let identities = [
        Identity::new("ip", "::1"),
        Identity::new("digest", "u:hash"),
        Identity::superuser(),
    ];
    let infos = who_am_i(&identities);
    let infos: Vec<_> = infos
        .iter()
        .map(|info| (&*info.scheme, &*info.user))
        .collect();
    assert_eq!(infos, [("ip", "::1"), ("digest", "u"), ("super", "")]);
}

/// A tree whose `/mine` is open to one session's user only, but for reading.
fn guarded() -> (Scene, SessionId) {
    let mut scene = Scene::new(Rules::default());
    let other = SessionId::from_wire(0x200);
    scene.open(other);
    scene.run(&create("/mine", 0)).unwrap();
    scene.run(&create("/mine/child", 0)).unwrap();
    let user = user_of(SESSION.to_wire());
    let mine = [
        acl(Perms::ALL, "digest", &user),
        acl(Perms::READ, "world", "anyone"),
    ];
    let request = Request::SetAcl {
        path: "/mine".into(),
        acl: Some(mine.map(WireAcl::from).into()),
        version: 0,
    };
    scene.run(&request).unwrap();
    (scene, other)
}

#[test]
fn each_write_needs_its_permission_on_the_right_node() {
    let (mut scene, other) = guarded();
    let open = || Some(vec![Acl::world(Perms::ALL).into()]);
    let set_acl = |path: &'static str, version| Request::SetAcl {
        path: path.into(),
        acl: open(),
        version,
    };
    let check = |path: &'static str| {
        Request::Multi(vec![MultiOp::Check {
            path: path.into(),
            version: -1,
        }])
    };
    for request in [
        create("/mine/other", 0),
        delete("/mine/child"),
        set("/mine", b"x"),
        set_acl("/mine", -1),
    ] {
        assert_eq!(
            scene.run_as(other, &request),
            Err(ErrorCode::NoAuth),
            "{request:?}"
        );
    }
    // The child itself is open, and so are the root and reading.
    scene.run_as(other, &set("/mine/child", b"x")).unwrap();
    assert!(matches!(
        scene.run_as(other, &check("/mine")),
        Ok(Reply::Multi(_))
    ));
    scene.run(&create("/mine/other", 0)).unwrap();
    scene.run(&delete("/mine/child")).unwrap();
    scene.run(&delete("/mine/other")).unwrap();
    scene.run_as(other, &delete("/mine")).unwrap();
}

#[test]
fn a_changed_acl_judges_what_is_prepared_after_it() {
    let (mut scene, other) = guarded();
    let opened = Request::SetAcl {
        path: "/mine".into(),
        acl: Some(vec![Acl::world(Perms::ALL).into()]),
        version: -1,
    };
    let records = [
        scene.prepare_as(other, &set("/mine", b"early")),
        scene.prepare(&opened),
        scene.prepare_as(other, &set("/mine", b"late")),
    ];
    let results: Vec<_> = records
        .iter()
        .map(|record| scene.apply(record).is_ok())
        .collect();
    assert_eq!(results, [false, true, true]);
}

#[test]
fn an_acl_with_a_missing_id_is_garbage_also_inside_a_multi() {
    let mut scene = Scene::new(Rules::default());
    let with = |path: &'static str, acl: Vec<WireAcl<'static>>| {
        let mut create = create_op(OpCode::Create, path, 0);
        create.acl = Some(acl);
        create
    };
    let garbage = || vec![asked(Some("world"), None)];
    let single = Request::Create(with("/a", garbage()));
    assert_eq!(scene.run(&single), Err(ErrorCode::MarshallingError));
    let multi = Request::Multi(vec![
        MultiOp::Create(with("/b", vec![Acl::world(Perms::ALL).into()])),
        MultiOp::Create(with("/a", garbage())),
    ]);
    assert_eq!(scene.run(&multi), Err(ErrorCode::MarshallingError));
    assert!(scene.tree.get("/b").is_none());
    assert!(scene.pending.is_empty());
    let none = Request::Create(with("/a", vec![]));
    assert_eq!(scene.run(&none), Err(ErrorCode::InvalidAcl));
}
