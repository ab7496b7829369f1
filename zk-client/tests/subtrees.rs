//! Whole subtrees: a walk meets every node once, a copy and an export hold what was there, a damaged export is refused.

mod common;

use common::{Arena, everywhere};
use zk_client::subtree::{Copied, ImportError};
use zk_client::testkit::TestServer;
use zk_client::{Client, ErrorKind};

/// A tree that is wider than what is read ahead, and deeper than one level.
async fn plant(client: &Client, root: &str) -> Vec<String> {
    let mut paths = vec![root.to_owned()];
    client.create(root, "root").await.expect("created");
    for branch in 0..3 {
        let branch = format!("{root}/b{branch}");
        client.create(&branch, &branch).await.expect("created");
        paths.push(branch.clone());
        for leaf in 0..40 {
            let leaf = format!("{branch}/l{leaf:02}");
            client.create(&leaf, &leaf).await.expect("created");
            paths.push(leaf);
        }
    }
    paths
}

async fn walked(client: &Client, root: &str) -> Vec<(String, Vec<u8>)> {
    let mut walk = client.walk(root);
    let mut nodes = Vec::new();
    while let Some(node) = walk.next().await.expect("readable") {
        nodes.push((node.path, node.data.to_vec()));
    }
    nodes
}

#[tokio::test]
async fn a_walk_meets_parents_before_children_and_siblings_by_name() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        let planted = plant(&client, "/walk").await;
        let paths: Vec<_> = walked(&client, "/walk")
            .await
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        assert_eq!(paths, planted);
        assert_eq!(walked(&client, "/nothing").await, []);
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_walk_that_is_given_up_at_any_point_goes_on_where_it_was() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        let planted = plant(&client, "/given_up").await;
        let mut walk = client.walk("/given_up");
        let mut paths = Vec::new();
        loop {
            // Polled once and dropped, again and again.
            let next = tokio::time::timeout(std::time::Duration::ZERO, walk.next()).await;
            match next {
                Ok(Ok(Some(node))) => paths.push(node.path),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => panic!("{error}"),
                Err(_too_early) => tokio::task::yield_now().await,
            }
        }
        assert_eq!(paths, planted);
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_copy_holds_what_was_there_and_leaves_out_what_belongs_to_a_session() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        let planted = plant(&client, "/from").await;
        client
            .create("/from/b0/mine", "")
            .ephemeral()
            .await
            .expect("created");
        let view = client.chroot("/to").expect("a path");
        let copied = client
            .copy("/from", &view, "/deep/inside")
            .await
            .expect("copied");
        let all = u64::try_from(planted.len()).expect("few");
        assert_eq!(
            copied,
            Copied {
                created: all,
                replaced: 0,
                ephemeral: 1
            }
        );
        let expected: Vec<_> = walked(&client, "/from")
            .await
            .into_iter()
            .filter(|(path, _)| path != "/from/b0/mine")
            .map(|(path, data)| (path.replacen("/from", "/deep/inside", 1), data))
            .collect();
        assert_eq!(walked(&view, "/deep/inside").await, expected);

        // Once more: everything is there.
        client.set("/from/b1", "new").await.expect("set");
        let again = client
            .copy("/from", &view, "/deep/inside")
            .await
            .expect("copied");
        assert_eq!(
            again,
            Copied {
                created: 0,
                replaced: all,
                ephemeral: 1
            }
        );
        let (data, _) = view.get("/deep/inside/b1").await.expect("there");
        assert_eq!(&data[..], b"new");
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_copy_into_itself_is_refused() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        client.create("/self", "").await.expect("created");
        let view = client.chroot("/self").expect("a path");
        for (target, to) in [(&client, "/self/below"), (&view, "/x"), (&client, "/self")] {
            let refused = client.copy("/self", target, to).await.expect_err("no end");
            assert!(matches!(refused.kind(), ErrorKind::Usage(_)), "{refused}");
        }
        client
            .copy("/self", &client, "/selfish")
            .await
            .expect("another node");
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_export_read_back_is_the_same_tree() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        plant(&client, "/exported").await;
        let mut bytes = Vec::new();
        let count = client
            .export("/exported", &mut bytes)
            .await
            .expect("exported");
        let copied = client
            .import(&mut &bytes[..], "/imported/here")
            .await
            .expect("imported");
        assert_eq!((copied.created, copied.replaced), (count, 0));
        let expected: Vec<_> = walked(&client, "/exported")
            .await
            .into_iter()
            .map(|(path, data)| (path.replacen("/exported", "/imported/here", 1), data))
            .collect();
        assert_eq!(walked(&client, "/imported/here").await, expected);

        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_export_of_a_whole_server_leaves_out_what_is_the_ensembles_own() {
    let server = TestServer::start().await.expect("a server");
    let client = Client::connect(server.address().to_string()).await;
    let client = client.expect("connected");
    plant(&client, "/exported").await;
    let mut everything = Vec::new();
    client.export("/", &mut everything).await.expect("exported");
    client
        .import(&mut &everything[..], "/all")
        .await
        .expect("imported");
    assert_eq!(client.exists("/all/zookeeper").await.expect("asked"), None);
    assert!(
        client
            .exists("/all/exported/b2/l39")
            .await
            .expect("asked")
            .is_some()
    );
    client.close().await;
}

#[tokio::test]
async fn an_export_that_is_cut_or_damaged_is_refused_and_costs_nothing() {
    everywhere(async |arena: &Arena| {
        let client = arena.client().await;
        client.create("/small", "data").await.expect("created");
        client
            .create("/small/child", "more")
            .await
            .expect("created");
        let mut bytes = Vec::new();
        client.export("/small", &mut bytes).await.expect("exported");
        for end in 0..bytes.len() {
            let cut = client.import(&mut &bytes[..end], "/cut").await;
            assert!(
                matches!(cut, Err(ImportError::Read(_))),
                "cut at {end}: {cut:?}"
            );
        }
        let with = |at: usize, value: u8| {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            damaged
        };
        let import = async |bytes: Vec<u8>| {
            client
                .import(&mut &bytes[..], "/cut")
                .await
                .expect_err("damaged")
        };
        assert!(matches!(import(with(7, 2)).await, ImportError::NotAnExport));
        assert!(matches!(
            import(with(8, 0x7f)).await,
            ImportError::TooLarge { record: 0, .. }
        ));
        assert!(matches!(
            import(with(12, 0x7f)).await,
            ImportError::Damaged { record: 0, .. }
        ));
        let last = bytes.len() - 1;
        let count = import(with(last, 3)).await;
        assert!(
            matches!(
                count,
                ImportError::Count {
                    found: 2,
                    promised: 3
                }
            ),
            "{count}"
        );
        client.close().await;
    })
    .await;
}
