//! Where each operation goes, and what its reply will probably take. Nothing is answered here.

use crate::tree::Tree;
use zk_proto::{MultiOp, OpCode, Request};

/// What a child's name takes in a list, roughly.
const NAME_COST: usize = 24;

/// By which door a request goes.
pub(super) enum Door {
    Read,
    Write,
    Auth,
    Sasl,
    Refuse,
}

/// Every operation has its door. What only servers ask of themselves, and what nobody knows, is refused.
pub(super) const fn door(op: OpCode, is_member: bool) -> Door {
    match op {
        // Only with its leader can a member tell that it is up to date.
        OpCode::Sync if is_member => Door::Write,
        OpCode::Exists
        | OpCode::GetData
        | OpCode::GetAcl
        | OpCode::GetChildren
        | OpCode::GetChildren2
        | OpCode::Sync
        | OpCode::Ping
        | OpCode::CheckWatches
        | OpCode::RemoveWatches
        | OpCode::MultiRead
        | OpCode::SetWatches
        | OpCode::SetWatches2
        | OpCode::GetEphemerals
        | OpCode::GetAllChildrenNumber
        | OpCode::AddWatch
        | OpCode::WhoAmI => Door::Read,
        OpCode::Create
        | OpCode::Create2
        | OpCode::CreateContainer
        | OpCode::CreateTtl
        | OpCode::Delete
        | OpCode::SetData
        | OpCode::SetAcl
        | OpCode::Multi
        | OpCode::Reconfig
        | OpCode::CloseSession => Door::Write,
        OpCode::Auth => Door::Auth,
        OpCode::Sasl => Door::Sasl,
        OpCode::CreateSession
        | OpCode::DeleteContainer
        | OpCode::Check
        | OpCode::Error
        | OpCode::Other(_) => Door::Refuse,
    }
}

/// What the reply to a read will take, as far as the tree can tell beforehand.
pub(super) fn expected_reply(tree: &Tree, op: OpCode, body: &[u8]) -> usize {
    let data = |path: &str| {
        tree.get(path)
            .map_or(0, |node| node.data().map_or(0, <[u8]>::len))
    };
    let names = |path: &str| {
        tree.get(path)
            .map_or(0, |node| node.child_count() * NAME_COST)
    };
    match Request::decode(op, body) {
        Ok(Request::GetData { path, .. }) => data(&path),
        Ok(Request::GetChildren { path, .. } | Request::GetChildren2 { path, .. }) => names(&path),
        Ok(Request::MultiRead(ops)) => ops
            .iter()
            .map(|op| match op {
                MultiOp::GetData { path, .. } => data(path),
                MultiOp::GetChildren { path, .. } => names(path),
                MultiOp::Create(_)
                | MultiOp::Delete { .. }
                | MultiOp::SetData { .. }
                | MultiOp::Check { .. } => 0,
            })
            .fold(0, usize::saturating_add),
        Ok(_) | Err(_) => 0,
    }
}
