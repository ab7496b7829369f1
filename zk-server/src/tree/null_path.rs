//! Requests without a path. No client library sends one; Apache's server goes on with null until something
//! stumbles over it, each operation in its own way. Where that does no harm, the answer here is the same.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Rules;
use zk_proto::jute::Reader;
use zk_proto::{ErrorCode, OpCode, Request};

/// How a request is refused of which nothing is wrong but that its path is null; `None` if that is not so.
pub fn null_path_refusal(rules: &Rules, op: OpCode, body: &[u8]) -> Option<ErrorCode> {
    const NULL: [u8; 4] = [0xff; 4];
    const EMPTY: [u8; 4] = [0; 4];
    let rest = body.strip_prefix(&NULL)?;
    let named = [&EMPTY[..], rest].concat();
    let mut reader = Reader::with_field_limit(&named, rules.max_txn_len);
    Request::decode_with(op, &mut reader).ok()?;
    let code = if matches!(op, OpCode::SetData | OpCode::SetAcl) {
        ErrorCode::BadArguments
    } else if matches!(op, OpCode::CheckWatches | OpCode::RemoveWatches) {
        ErrorCode::NoWatcher
    } else if op == OpCode::CreateTtl && !rules.extended_types {
        ErrorCode::Unimplemented
    } else {
        ErrorCode::MarshallingError
    };
    Some(code)
}
