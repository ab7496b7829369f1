//! Every operation, against every server there is: what it does, what it returns, how it is refused.

mod common;

use common::{Arena, everywhere};
use std::time::Duration;
use zk_client::ops::{OpResult, ReadResult};
use zk_client::{Acl, CreateMode, ErrorCode, ErrorKind, Outcome, Perms, SessionId, Version, ZPath};

#[expect(clippy::unwrap_used, reason = "a test's")]
fn code<T: std::fmt::Debug>(result: Result<T, zk_client::Error>) -> ErrorCode {
    let error = result.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    error.code().unwrap()
}

#[tokio::test]
async fn a_node_is_created_read_set_and_deleted() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        assert_eq!(client.create("/a", "one").await.unwrap(), "/a");
        assert_eq!(code(client.create("/a", "").await), ErrorCode::NodeExists);
        let (data, stat) = client.get("/a").await.unwrap();
        assert_eq!((&data[..], stat.version), (&b"one"[..], Version(0)));
        let set = client.set("/a", "two").version(stat.version).await.unwrap();
        assert_eq!(set.version, Version(1));
        let stale = client.set("/a", "three").version(stat.version).await;
        assert_eq!(code(stale), ErrorCode::BadVersion);
        assert_eq!(client.exists("/a").await.unwrap(), Some(set));
        assert_eq!(client.exists("/b").await.unwrap(), None);
        let stale = client.delete("/a").version(Version(0)).await;
        assert_eq!(code(stale), ErrorCode::BadVersion);
        client.delete("/a").version(Version(1)).await.unwrap();
        assert_eq!(code(client.delete("/a").await), ErrorCode::NoNode);
        let error = client.get("/a").await.unwrap_err();
        assert_eq!(error.path(), Some("/a"), "as the caller named it");
        assert_eq!(
            error.to_string(),
            "getData /a: the server refuses: NONODE (-101)"
        );
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn children_are_listed_with_and_without_their_parents_stat() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        for name in ["/a", "/a/x", "/a/y"] {
            client.create(name, "").await.unwrap();
        }
        let mut names = client.children("/a").await.unwrap();
        names.sort();
        assert_eq!(names, ["x", "y"]);
        let (mut again, stat) = client.children("/a").with_stat().await.unwrap();
        again.sort();
        assert_eq!((again, stat.num_children), (names, 2));
        assert_eq!(client.children("/").await.unwrap(), ["a"]);
        assert_eq!(client.count_descendants("/").await.unwrap(), 3);
        assert_eq!(code(client.children("/b").await), ErrorCode::NoNode);
        assert_eq!(code(client.delete("/a").await), ErrorCode::NotEmpty);
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn every_kind_of_node_is_created() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        let session = client.session_id().unwrap();
        client.create("/e", "").ephemeral().await.unwrap();
        let stat = client.exists("/e").await.unwrap().unwrap();
        assert_eq!(stat.ephemeral_owner, session);
        let child = client.create("/e/x", "").await;
        assert_eq!(code(child), ErrorCode::NoChildrenForEphemerals);
        client.create("/q", "").await.unwrap();
        let first = client.create("/q/", "").sequential().await.unwrap();
        assert_eq!(first, "/q/0000000000");
        let (second, stat) = client
            .create("/q/n-", "")
            .sequential()
            .ephemeral()
            .with_stat()
            .await
            .unwrap();
        assert_eq!(
            (second.as_str(), stat.ephemeral_owner),
            ("/q/n-0000000001", session)
        );
        let mut owned = client.ephemerals("/").await.unwrap();
        owned.sort();
        assert_eq!(owned, ["/e", "/q/n-0000000001"]);
        let (path, stat) = client
            .create("/c", "")
            .container()
            .with_stat()
            .await
            .unwrap();
        assert_eq!(
            (path.as_str(), stat.ephemeral_owner),
            ("/c", SessionId::NONE)
        );
        let aged = client.create("/ttl", "").ttl(Duration::from_secs(60)).await;
        // Apache's servers have to be told to allow it; either way the answer is one.
        match aged {
            Ok(path) => assert_eq!(path, "/ttl"),
            Err(error) => assert_eq!(error.code(), Some(ErrorCode::Unimplemented)),
        }
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn parents_are_created_where_they_are_missing() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        let path = client.create("/x/y/z", "deep").parents().await.unwrap();
        assert_eq!(path, "/x/y/z");
        assert_eq!(&client.get("/x/y/z").await.unwrap().0[..], b"deep");
        let numbered = client.create("/p/q/", "").parents().sequential().await;
        assert_eq!(numbered.unwrap(), "/p/q/0000000000");
        // The view's own root need not be there either.
        let view = client.chroot("/far/away").unwrap();
        view.create("/below", "").parents().await.unwrap();
        assert!(client.exists("/far/away/below").await.unwrap().is_some());
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_protected_create_carries_its_own_name() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        let create = client.create("/locks/lock-", "me").parents();
        let path = create.protected().ephemeral().sequential().await.unwrap();
        assert!(path.starts_with("/locks/_c_"), "{path}");
        assert!(path.ends_with("-lock-0000000000"), "{path}");
        let (path, stat) = client
            .create("/locks/lock-", "me")
            .protected()
            .ephemeral()
            .with_stat()
            .await
            .unwrap();
        assert_eq!(stat.ephemeral_owner, client.session_id().unwrap());
        assert_eq!(client.exists(&path).await.unwrap(), Some(stat));
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_node_is_set_or_created() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        let stat = client.set("/a", "one").or_create().await.unwrap();
        assert_eq!(stat.version, Version(0));
        let stat = client.set("/a", "two").or_create().await.unwrap();
        assert_eq!(stat.version, Version(1));
        assert_eq!(&client.get("/a").await.unwrap().0[..], b"two");
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_subtree_is_deleted_from_its_leaves_up() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        client.create("/r", "").await.unwrap();
        let mut creates = Vec::new();
        for i in 0..150 {
            creates.push(client.create(format!("/r/{i}"), "").send());
            creates.push(client.create(format!("/r/{i}/a"), "").send());
        }
        for create in creates {
            create.await.unwrap();
        }
        client
            .create("/r/7/a/deep/deeper", "")
            .parents()
            .await
            .unwrap();
        client.delete("/r").recursive().await.unwrap();
        assert_eq!(client.exists("/r").await.unwrap(), None);
        let gone = client.delete("/r").recursive().await;
        assert_eq!(code(gone), ErrorCode::NoNode);
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn acls_are_read_and_set_and_obeyed() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        let private = vec![Acl::new(Perms::ALL, "auth", "")];
        let unknown = client.create("/a", "").acl(private.clone()).await;
        assert_eq!(code(unknown), ErrorCode::InvalidAcl, "nobody is proved yet");
        client.add_auth("digest", "ann:secret").await.unwrap();
        client.create("/a", "").acl(private).await.unwrap();
        let (acl, stat) = client.get_acl("/a").await.unwrap();
        assert_eq!((acl.len(), acl[0].scheme.as_str()), (1, "digest"));
        let stranger = arena.client().await;
        assert_eq!(code(stranger.get("/a").await), ErrorCode::NoAuth);
        let open = [Acl::world(Perms::READ)];
        let stale = client.set_acl("/a", open.clone()).version(Version(7)).await;
        assert_eq!(code(stale), ErrorCode::BadVersion);
        let set = client
            .set_acl("/a", open)
            .version(stat.aversion)
            .await
            .unwrap();
        assert_eq!(set.aversion, Version(1));
        stranger.get("/a").await.unwrap();
        stranger.close().await;
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_multi_is_done_whole_or_not_at_all() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        client.create("/a", "").await.unwrap();
        let results = client
            .multi()
            .check("/a", Version(0))
            .create("/b", "b")
            .create_as("/s-", "", CreateMode::EphemeralSequential, None)
            .create_as("/c", "", CreateMode::Container, None)
            .set("/a", "new", None)
            .delete("/b", Version(0))
            .await
            .unwrap();
        assert_eq!(results[0], OpResult::Checked);
        let created = |path: &str| OpResult::Created {
            path: path.into(),
            stat: None,
        };
        assert_eq!(results[1], created("/b"));
        assert_eq!(results[2], created("/s-0000000002"));
        assert!(matches!(&results[3], OpResult::Created { path, .. } if path == "/c"));
        assert!(matches!(&results[4], OpResult::Set(stat) if stat.version == Version(1)));
        assert_eq!(results[5], OpResult::Deleted);
        let error = client
            .multi()
            .create("/d", "")
            .set("/nobody", "", None)
            .delete("/a", None)
            .await
            .unwrap_err();
        assert_eq!(
            error.kind(),
            &ErrorKind::Multi {
                index: 1,
                code: ErrorCode::NoNode
            }
        );
        assert_eq!(error.path(), Some("/nobody"), "the one that was refused");
        assert_eq!(client.exists("/d").await.unwrap(), None);
        assert_eq!(client.multi().await.unwrap(), []);
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn several_reads_have_a_result_each() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        client.create("/a", "data").await.unwrap();
        client.create("/a/b", "").await.unwrap();
        let results = client
            .multi_read()
            .get("/a")
            .get("/nobody")
            .children("/a")
            .await
            .unwrap();
        assert!(matches!(&results[0], ReadResult::Data(data, _) if &data[..] == b"data"));
        assert_eq!(results[1], ReadResult::Refused(ErrorCode::NoNode));
        assert_eq!(results[2], ReadResult::Children(vec!["b".into()]));
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn calls_take_effect_in_the_order_in_which_they_were_made() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        client.create("/a", "").await.unwrap();
        let calls: Vec<_> = (0..500)
            .map(|i| {
                let write = client.set("/a", format!("{i}")).send();
                (write, client.get("/a").send())
            })
            .collect();
        // Polled in the opposite order: it makes no difference.
        for (i, (write, read)) in calls.into_iter().enumerate().rev() {
            let (data, stat) = read.await.unwrap();
            assert_eq!(data, format!("{i}"), "P3: a session reads its own writes");
            assert_eq!(stat, write.await.unwrap());
        }
        assert_eq!(client.pending(), 0);
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_linearizable_read_sees_what_others_have_written() {
    everywhere(async |arena: &Arena| {
        let (writer, reader) = (arena.client().await, arena.client().await);
        writer.create("/a", "0").await.unwrap();
        for i in 0..50 {
            let written = writer.set("/a", format!("{i}")).await.unwrap();
            let (data, stat) = reader.get("/a").linearizable().await.unwrap();
            assert_eq!((data, stat), (format!("{i}").into(), written));
        }
        assert!(reader.exists("/a").linearizable().await.unwrap().is_some());
        assert_eq!(reader.children("/").linearizable().await.unwrap(), ["a"]);
        reader.sync("/").await.unwrap();
        reader.close().await;
        writer.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_server_tells_who_we_are_and_how_it_is_configured() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        client.add_auth("digest", "ann:secret").await.unwrap();
        let infos = client.who_am_i().await.unwrap();
        assert!(
            infos
                .iter()
                .any(|info| info.scheme == "digest" && info.user == "ann"),
            "{infos:?}"
        );
        client.config().await.unwrap();
        let refused = client.reconfig().leave("3").await;
        assert_eq!(refused.unwrap_err().outcome(), Outcome::NotApplied);
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_it_is_sent() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        let usage = |error: zk_client::Error| {
            assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
            assert!(!error.is_retryable(), "{error}");
            assert!(error.code().is_none(), "{error}");
        };
        for bad in ["", "a", "/a/", "/a//b", "/./a", "/\u{1}"] {
            usage(client.get(bad).await.unwrap_err());
            usage(client.create(bad, "").await.unwrap_err());
            usage(client.multi().set(bad, "", None).await.unwrap_err());
        }
        usage(client.create("/a/", "").ephemeral().await.unwrap_err());
        usage(
            client
                .create("/a", "")
                .container()
                .ephemeral()
                .await
                .unwrap_err(),
        );
        usage(client.set("/a", vec![0; 2 << 20]).await.unwrap_err());
        assert!(client.chroot("a").is_err());
        const CHECKED: ZPath<'static> = ZPath::constant("/checked");
        assert_eq!(client.exists(CHECKED).await.unwrap(), None);
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_view_sees_its_own_root() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        client.create("/app", "root").await.unwrap();
        let app = client.chroot("/app").unwrap();
        assert_eq!(&app.get("/").await.unwrap().0[..], b"root");
        assert_eq!(
            app.create("/x-", "").sequential().await.unwrap(),
            "/x-0000000000"
        );
        let inner = app.chroot("/x-0000000000").unwrap();
        assert_eq!(
            inner.root_path(),
            format!("{}/app/x-0000000000", arena.root)
        );
        assert_eq!(inner.create("/y", "").await.unwrap(), "/y");
        let seen = client.children("/app/x-0000000000").await.unwrap();
        assert_eq!(seen, ["y"]);
        assert_eq!(app.session_id(), client.session_id());
        let error = inner.get("/z").await.unwrap_err();
        assert_eq!(error.path(), Some("/z"));
        client.close().await;
        let closed = inner.get("/").await.unwrap_err();
        assert_eq!(closed.kind(), &ErrorKind::Closed { sent: false });
    })
    .await;
}
