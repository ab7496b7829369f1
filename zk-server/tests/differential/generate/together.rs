//! Several connections write at once, each below a node of its own: what each hears is certain, only the
//! zxids depend on who was faster. Two more connections do nothing but watch two of the writers.

use super::words::open_acl;
use crate::rng::Rng;
use crate::script::{Ask, Pace, SLOTS, Step};
use zk_proto::{AddWatchMode, Create, MultiOp, OpCode, Request};

/// The last ones only watch: the first writers, one each.
const WRITERS: usize = SLOTS - 2;
/// Requests of one connection in one go, not counting those that make and remove its node.
const LENGTH: usize = 60;
/// Goes between two comparisons of the trees.
const COMPARE_EVERY: usize = 10;

pub(super) fn script(seed: u64, ops: usize) -> Vec<Step> {
    let mut rng = Rng::new(seed ^ 0x7067_6574);
    let mut steps: Vec<Step> = (WRITERS..SLOTS)
        .map(|slot| {
            let path = home(slot - WRITERS).into();
            let mode = AddWatchMode::PersistentRecursive;
            send(slot, &Request::AddWatch { path, mode })
        })
        .collect();
    let mut weight = 0;
    let mut round = 0;
    while weight < ops {
        let bursts = (0..SLOTS)
            .map(|slot| match slot {
                0..WRITERS => burst(&mut rng, &home(slot)),
                _ => Vec::new(),
            })
            .collect();
        let step = Step::Together { bursts };
        weight += step.weight();
        steps.push(step);
        // The root's latest change was anyone's; this one is the same on both sides.
        steps.push(send(0, &create("/settled", 0)));
        steps.push(send(0, &delete("/settled")));
        round += 1;
        if round % COMPARE_EVERY == 0 {
            steps.push(Step::Compare);
        }
    }
    steps.push(Step::Compare);
    steps
}

fn home(slot: usize) -> String {
    format!("/together{slot}")
}

/// Makes a node, works below it, and leaves nothing behind.
fn burst(rng: &mut Rng, top: &str) -> Vec<Ask> {
    let mut asks = vec![Ask::new(1, &create(top, 0))];
    let names = ["a", "b", "c"];
    for xid in 2..2 + i32::try_from(LENGTH).expect("a small number") {
        let path = format!("{top}/{}", rng.pick(&names));
        let watch = rng.permille(400);
        let version = rng.pick(&[-1, -1, 0, 1, 2]);
        let request = match rng.below(12) {
            0..3 => create(&path, rng.pick(&[0, 0, 1])),
            3 => delete_at(&path, version),
            4..6 => Request::SetData {
                path: path.into(),
                data: Some(&b"0123456789"[..3 + rng.below(7)]),
                version,
            },
            6 => Request::Exists {
                path: path.into(),
                watch,
            },
            7 | 8 => Request::GetData {
                path: path.into(),
                watch,
            },
            9 => Request::GetChildren2 {
                path: top.to_owned().into(),
                watch,
            },
            10 => Request::Multi(vec![
                MultiOp::Check {
                    path: top.to_owned().into(),
                    version: -1,
                },
                MultiOp::Delete {
                    path: path.into(),
                    version,
                },
            ]),
            _ => Request::Sync { path: path.into() },
        };
        asks.push(Ask::new(xid, &request));
    }
    for name in names {
        asks.push(Ask::new(100, &delete(&format!("{top}/{name}"))));
    }
    asks.push(Ask::new(101, &delete(top)));
    asks
}

fn send(slot: usize, request: &Request<'_>) -> Step {
    Step::Send {
        slot,
        asks: vec![Ask::new(1, request)],
        pace: Pace::Whole,
    }
}

fn create(path: &str, flags: i32) -> Request<'static> {
    Request::Create(Create {
        op: OpCode::Create2,
        path: path.to_owned().into(),
        data: Some(b"new"),
        acl: Some(open_acl()),
        flags,
        ttl: -1,
    })
}

fn delete(path: &str) -> Request<'static> {
    delete_at(path, -1)
}

fn delete_at(path: &str, version: i32) -> Request<'static> {
    Request::Delete {
        path: path.to_owned().into(),
        version,
    }
}
