//! Whether members hold the same: every node a client can see, and the digests they keep of themselves.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::print_stdout,
    reason = "each test binary uses its own part"
)]

use super::members::{Id, Members};
use super::support::{Client, create};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use zk_proto::{Reply, Request, Stat};

/// A node as every member must have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub data: Vec<u8>,
    pub stat: Stat,
}

pub type Tree = BTreeMap<String, Node>;

/// Requests on their way at once.
const IN_FLIGHT: usize = 256;

/// Everything a member shows; its own configuration apart, which is of its own making.
fn walk(address: SocketAddr) -> io::Result<Tree> {
    let mut client = Client::connect(address)?;
    let mut tree = Tree::new();
    let mut level = vec!["/".to_owned()];
    while !level.is_empty() {
        let mut below = Vec::new();
        for paths in level.chunks(IN_FLIGHT) {
            for path in paths {
                let (path, watch) = (path.as_str(), false);
                let data = Request::GetData {
                    path: path.into(),
                    watch,
                };
                client.send(&data)?;
                let children = Request::GetChildren {
                    path: path.into(),
                    watch,
                };
                client.send(&children)?;
            }
            for path in paths {
                let (_, data) = client.receive()?;
                let (_, names) = client.receive()?;
                let (Ok(Reply::Data(data, stat)), Ok(Reply::Names(names))) = (data, names) else {
                    continue;
                };
                let data = data.unwrap_or_default().to_vec();
                tree.insert(path.clone(), Node { data, stat });
                let parent = path.trim_end_matches('/');
                let children = names.into_iter().map(|name| format!("{parent}/{name}"));
                below.extend(children.filter(|child| child != "/zookeeper/config"));
            }
        }
        level = below;
    }
    let _closed = client.call(&Request::CloseSession);
    Ok(tree)
}

/// The digests a member has kept, by zxid.
fn digests(members: &Members, id: Id) -> BTreeMap<u64, String> {
    let text = members.word(id, "hash").unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    let pairs = pairs.filter_map(|(zxid, digest)| {
        let zxid = zxid.trim().trim_start_matches("0x");
        Some((
            u64::from_str_radix(zxid, 16).ok()?,
            digest.trim().to_owned(),
        ))
    });
    pairs.collect()
}

/// Members note a digest every 128 transactions, those included of which a snapshot had some already: only
/// what is noted from here on must be the same.
fn let_digests_be_noted(members: &mut Members) {
    const PAIRS: usize = 130;
    let id = members.running()[0];
    let mut client = Client::connect(members.address(id)).expect("it serves");
    let path = "/passing";
    for _pair in 0..PAIRS {
        client.send(&create(path, b"", 0)).expect("it is there");
        let delete = Request::Delete {
            path: path.into(),
            version: -1,
        };
        client.send(&delete).expect("it is there");
    }
    for _answer in 0..2 * PAIRS {
        let (_, answer) = client.receive().expect("it answers");
        answer.expect("nobody else does that");
    }
    let _closed = client.call(&Request::CloseSession);
}

/// How often a member may hang up meanwhile. One did once, on a busy machine, and nobody noted which or why; what they
/// all said is told, so that the next one explains itself.
const AGAIN: usize = 2;

/// What each of those that run shows.
fn walk_all(members: &mut Members) -> Vec<Tree> {
    for _again in 0..AGAIN {
        let running = members.running();
        let trees = running.iter().map(|id| {
            let tree = walk(members.address(*id));
            tree.map_err(|error| (*id, error))
        });
        match trees.collect::<Result<_, _>>() {
            Ok(trees) => return trees,
            Err((id, error)) => {
                println!("member {id} hung up: {error}\n{}", members.said());
                members.wait_until_all_serve();
                members.wait_until_equal();
            }
        }
    }
    let running = members.running();
    let trees = running.iter().map(|id| walk(members.address(*id)));
    trees.collect::<Result<_, _>>().expect("it answers")
}

/// Waits until all that run have applied the same, and compares what they hold (P29). Returns it.
pub fn check_equal(members: &mut Members) -> Tree {
    let_digests_be_noted(members);
    members.wait_until_equal();
    let running = members.running();
    let all: Vec<_> = running.iter().map(|id| digests(members, *id)).collect();
    let newest = all[0].last_key_value();
    assert!(newest.is_some(), "digests are noted");
    for (id, digests) in running.iter().zip(&all) {
        let own = digests.last_key_value();
        assert_eq!(own, newest, "on members {} and {id}", running[0]);
    }
    let trees = walk_all(members);
    let (first, others) = trees.split_first().expect("somebody runs");
    for (id, other) in running[1..].iter().zip(others) {
        for (path, node) in first {
            assert_eq!(
                Some(node),
                other.get(path),
                "{path} on members {} and {id}",
                running[0]
            );
        }
        for path in other.keys() {
            assert!(first.contains_key(path), "{path} is on member {id} only");
        }
    }
    first.clone()
}
