//! Containers and TTL nodes as they disappear. Not random: each time the server is about to write by
//! itself, the script waits until it has, so that both servers still see one order.

use crate::script::{Ask, Pace, SLOTS, Step};
use zk_proto::{Acl, AddWatchMode, Create, OpCode, Perms, Request};

/// The scene is played this often, by different connections.
const ROUNDS: usize = 4;

pub(super) fn script() -> Vec<Step> {
    let mut steps = vec![send(
        1,
        &Request::AddWatch {
            path: "/".into(),
            mode: AddWatchMode::PersistentRecursive,
        },
    )];
    for round in 0..ROUNDS {
        scene(round % SLOTS, &format!("/r{round}"), &mut steps);
        steps.push(Step::Compare);
    }
    steps
}

fn scene(slot: usize, top: &str, steps: &mut Vec<Step>) {
    let path = |name: &str| format!("{top}{name}");
    let await_writes = |writes| Step::AwaitWrites { slot, writes };
    steps.push(send(slot, &create(OpCode::Create, top, 0, -1)));
    // Never used, or in use: these stay.
    steps.push(send(slot, &container(&path("/unused"))));
    steps.push(send(slot, &container(&path("/used"))));
    steps.push(send(slot, &create(OpCode::Create, &path("/used/x"), 0, -1)));
    // A TTL node with a child stays, and goes once the child has gone.
    steps.push(Step::Send {
        slot,
        asks: vec![
            Ask::new(1, &ttl(&path("/parent"), 5, 20)),
            Ask::new(2, &create(OpCode::Create, &path("/parent/x"), 0, -1)),
        ],
        pace: Pace::Whole,
    });
    steps.push(send(slot, &delete(&path("/parent/x"))));
    steps.push(await_writes(1));
    // A container goes after its last child.
    steps.push(send(slot, &container(&path("/box"))));
    steps.push(send(slot, &create(OpCode::Create, &path("/box/x"), 2, -1)));
    steps.push(send(slot, &delete(&path("/box/x0000000000"))));
    steps.push(await_writes(1));
    steps.push(send(slot, &exists(&path("/box"))));
    // A container of containers goes from the inside out.
    steps.push(send(slot, &container(&path("/out"))));
    steps.push(send(slot, &container(&path("/out/in"))));
    steps.push(send(
        slot,
        &create(OpCode::Create2, &path("/out/in/x"), 1, -1),
    ));
    steps.push(send(slot, &delete(&path("/out/in/x"))));
    steps.push(await_writes(2));
    // A TTL node goes by its age, with a sequence number or without.
    steps.push(send(slot, &ttl(&path("/t"), 6, 1)));
    steps.push(await_writes(1));
    steps.push(send(slot, &ttl(&path("/t"), 5, 250)));
    steps.push(await_writes(1));
    steps.push(send(slot, &exists(&path("/t"))));
    steps.push(send(slot, &children(top)));
}

fn send(slot: usize, request: &Request<'_>) -> Step {
    Step::Send {
        slot,
        asks: vec![Ask::new(1, request)],
        pace: Pace::Whole,
    }
}

fn create(op: OpCode, path: &str, flags: i32, ttl: i64) -> Request<'_> {
    Request::Create(Create {
        op,
        path: path.into(),
        data: Some(b"x"),
        acl: Some(vec![Acl::world(Perms::ALL).into()]),
        flags,
        ttl,
    })
}

fn container(path: &str) -> Request<'_> {
    create(OpCode::CreateContainer, path, 4, -1)
}

fn ttl(path: &str, flags: i32, ttl: i64) -> Request<'_> {
    create(OpCode::CreateTtl, path, flags, ttl)
}

fn delete(path: &str) -> Request<'_> {
    let path = path.into();
    Request::Delete { path, version: -1 }
}

fn exists(path: &str) -> Request<'_> {
    let path = path.into();
    Request::Exists { path, watch: false }
}

fn children(path: &str) -> Request<'_> {
    let path = path.into();
    Request::GetChildren2 { path, watch: false }
}
