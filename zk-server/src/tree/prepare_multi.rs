//! Preparing several writes as one: all or nothing, under one zxid (P7).

use super::prepare::{Preparation, Refusal};
use super::prepare_create::{self, Kind};
use zk_proto::txn::Txn;
use zk_proto::{CreateMode, ErrorCode, MultiOp};

/// Prepares a multi. Each operation sees what those before it will have done.
///
/// The first that is refused takes back all: its part of the transaction is the refusal, those after it
/// are marked as not tried, and those before it stay in the record, where nobody applies them.
pub(super) fn multi(
    preparation: &mut Preparation<'_>,
    ops: &[MultiOp<'_>],
) -> Result<Txn, Refusal> {
    // The caller's mark for the whole request is the one to return to.
    let mark = preparation.pending.mark();
    let mut parts = Vec::with_capacity(ops.len());
    for op in ops {
        match one(preparation, op) {
            Ok(txn) => parts.push(txn),
            Err(Refusal::Garbage) => return Err(Refusal::Garbage),
            Err(Refusal::Code(code)) => {
                preparation.pending.roll_back(mark);
                parts.push(Txn::Error(code));
                let untried = Txn::Error(ErrorCode::RuntimeInconsistency);
                parts.resize(ops.len(), untried);
                break;
            }
        }
    }
    Ok(Txn::Multi(parts))
}

fn one(preparation: &mut Preparation<'_>, op: &MultiOp<'_>) -> Result<Txn, Refusal> {
    match op {
        MultiOp::Create(create) => {
            let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
            prepare_create::create(preparation, create, Kind::in_multi(create.op, mode))
        }
        MultiOp::Delete { path, version } => preparation.delete(path, *version),
        MultiOp::SetData {
            path,
            data,
            version,
        } => preparation.set_data(path, *data, *version),
        MultiOp::Check { path, version } => preparation.check(path, *version),
        // The decoder does not mix reads with writes, and a multi of reads is no write.
        MultiOp::GetData { .. } | MultiOp::GetChildren { .. } => Err(Refusal::Garbage),
    }
}
